"""What people take home: pictures that show what is seen, names that say what is in a file."""

from __future__ import annotations

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from helpers.browsing import drawn, ready, settled, visit, wall_cell
from helpers.factories import OddProbe, make_large_store, make_store, sampled
from helpers.servers import running
from PIL import Image
from plotly.colors import hex_to_rgb, sequential

from dashboard import create_app
from dashboard.auth.guard import Login
from dashboard.auth.journal import Journal
from dashboard.auth.people import People
from dashboard.stores.source import Source
from fmcore import open_store

pytestmark = pytest.mark.browser

FIRST, SECOND = "block/conv 1", "conv2"
PASSWORD = "correct horse battery"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    path = make_store(tmp_path_factory.mktemp("odd") / "odd.h5", 9, probe=OddProbe())
    with running(create_app(Source(path))) as url:
        yield url


def save_picture(page, form: str = "PNG", scale: int = 2, *, labels: bool = True):
    """The file that the dialog of a picture gives, with its name."""
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Picture …").click()
    dialog = page.get_by_role("dialog", name="Picture of the wall")
    dialog.get_by_text(form, exact=True).click()
    dialog.get_by_text(f"{scale}×").click()
    switch = dialog.get_by_role("switch", name="Title, names and color bar")
    if switch.is_checked() != labels:
        switch.click(force=True)
    with page.expect_download() as caught:
        dialog.get_by_role("button", name="Save picture").click()
    dialog.wait_for(state="detached")
    return caught.value.suggested_filename, caught.value.path().read_bytes()


def layout_of(page) -> dict:
    return page.evaluate(
        """async () => {
          const { wall } = (await import("/assets/feature_maps/session.js")).session();
          return { ...wall.tiling, full: wall.size, boxes: [...wall.order.keys()].map(
            (place) => wall.boxOf(place)) };
        }"""
    )


@pytest.mark.parametrize("scale", sampled(1, [1, 2, 4]))
def test_a_picture_is_as_large_as_was_chosen_and_shows_what_is_seen(kept_page, url, scale):
    page = kept_page
    visit(page, f"{url}maps?layer={FIRST}&sample=2&filter=5&dead=hide&window=1,1,5,5")
    drawn(page, f"{FIRST} 2 5")
    settled(page)
    page.mouse.move(*wall_cell(page, 5, 3, 3))
    layout = layout_of(page)
    name, data = save_picture(page, "PNG", scale, labels=False)
    assert name == "tiny-block_conv_1-sample2.png"
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    margin = 12
    assert picture.shape[:2] == (
        round((layout["height"] + 2 * margin) * scale),
        round((layout["width"] + 2 * margin) * scale),
    )
    assert (picture[: margin * scale] == 255).all(), "without title"
    for place, box in enumerate(layout["boxes"]):
        top, left = (round((box[side] + margin) * scale) + (1 if scale > 1 else 0) for side in "yx")
        height, width = (round(box[side] * scale) for side in ("height", "width"))
        tile = picture[top : top + height - 2, left : left + width - 2]
        # Cells and nothing else: of the 4 by 4 that are seen each is of one color.
        colors = {tuple(color) for color in tile.reshape(-1, 3)}
        assert len(colors) <= 16, f"tile {place}: no frame, no name, nothing smoothed"


def test_a_picture_has_title_names_and_color_bar_where_they_are_wanted(kept_page, url):
    page = kept_page
    visit(page, f"{url}maps?layer={FIRST}&sample=2")
    drawn(page, f"{FIRST} 2 0")
    settled(page)
    plain = Image.open(io.BytesIO(save_picture(page, labels=False)[1]))
    full = Image.open(io.BytesIO(save_picture(page)[1]))
    assert full.width > plain.width
    assert full.height > plain.height
    accent = np.array([0xE8, 0x59, 0x0C])
    pixels = np.asarray(full.convert("RGB")).astype(int).reshape(-1, 3)
    assert np.abs(pixels - accent).sum(axis=1).min() > 30, "nothing of the selection"


@pytest.mark.parametrize("layer", sampled(1, [FIRST, SECOND]))
def test_an_svg_has_text_as_text_and_a_pixel_a_cell(kept_page_of, odd, layer, tmp_path):
    page = kept_page_of(odd)
    visit(page, f"{odd}maps?layer={layer}&sample=2&range=percentile&zeros=mark")
    drawn(page, f"{layer} 2 0")
    settled(page)
    name, data = save_picture(page, "SVG")
    assert name == f"odd-{layer.replace('/', '_').replace(' ', '_')}-sample2.svg"
    root = ElementTree.fromstring(data)
    texts = [text.text for text in root.iter(f"{SVG}text")]
    n = {FIRST: 20, SECOND: 3}[layer]
    assert texts[:1] == [f"{layer}, sample 2"]
    assert "activation" in texts
    assert {text.split()[0].rstrip("∅") for text in texts} >= {str(f) for f in range(n)}
    images = list(root.iter(f"{SVG}image"))
    shape = {FIRST: (8, 9), SECOND: (4, 4)}[layer]
    for image in images:
        assert "pixelated" in image.get("style")
        cells = Image.open(io.BytesIO(base64.b64decode(image.get("href").partition(",")[2])))
        assert cells.size == shape
    assert len(images) == n
    # The first cell of the first tile is NaN: the browser that opens the file draws it so.
    marked = [path for path in root.iter(f"{SVG}path") if "url(#" in path.get("fill", "")]
    assert marked
    ids = {node.get("id") for node in root.iter() if node.get("id")}
    used = set(re.findall(r"url\(#(\w+)\)", data.decode()))
    assert used == ids
    opened = page.context.new_page()
    file = tmp_path / name
    file.write_bytes(data)
    opened.goto(file.as_uri())
    box = next(root.iter(f"{SVG}svg")).get("viewBox").split()
    assert opened.locator("svg").first.bounding_box()["width"] == float(box[2])
    opened.close()


def test_in_the_dark_a_picture_is_dark_unless_it_is_for_paper(page_of, url):
    page = page_of(url, color_scheme="dark")
    page.goto(f"{url}maps?layer={FIRST}&sample=2")
    drawn(page, f"{FIRST} 2 0")
    settled(page)
    first = lambda data: Image.open(io.BytesIO(data)).convert("RGB").getpixel((1, 1))  # noqa: E731
    assert first(save_picture(page)[1]) == (0x24, 0x24, 0x24)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Picture …").click()
    page.get_by_role("switch", name="On white, for paper").click(force=True)
    page.keyboard.press("Escape")
    assert first(save_picture(page)[1]) == (255, 255, 255)


def test_a_picture_of_large_maps_is_drawn_from_finer_values(page_of, tmp_path):
    path = make_large_store(tmp_path / "large.h5")
    with running(create_app(Source(path))) as url, open_store(path) as store:
        page = page_of(url)
        maps = store.layers[FIRST].feature_maps(1)
        f = int(maps.max(axis=(0, 1)).argmax())
        page.goto(f"{url}maps?sample=1")
        drawn(page, f"{FIRST} 1 0")
        settled(page)
        box = layout_of(page)["boxes"][f]
        assert box["width"] < 300, "on the screen a pixel stands for several values"
        picture = Image.open(io.BytesIO(save_picture(page, "PNG", 4, labels=False)[1]))
        size = box["width"] * 4 / 300
        assert size > 1
        high = store.layers[FIRST].filter_range()[1].max()
        colors = np.array([hex_to_rgb(color) for color in sequential.Viridis])
        for y, x in ((10, 20), (150, 151), (151, 150), (280, 3)):
            at = (
                (box[side] + 12) * 4 + (place + 0.5) * size
                for side, place in zip("xy", (x, y), strict=True)
            )
            pixel = picture.convert("RGB").getpixel(tuple(int(value) for value in at))
            share = maps[y, x, f] / high * (len(colors) - 1)
            expected = [np.interp(share, range(len(colors)), part) for part in colors.T]
            assert np.abs(np.array(pixel) - expected).max() <= 5, (y, x)


GRAPHS = {
    f"maps?layer={SECOND}&sample=4&filter=2": {
        "maps-enlarged": "tiny-conv2-sample4-filter2",
    },
    f"classes?layer={SECOND}&filter=2&class=1&against=2": {
        "classes-heatmap": "tiny-conv2-mean-heatmap",
        "classes-distribution": "tiny-conv2-filter2-class1-against2-distribution",
        "classes-mean-maps-selected": "tiny-conv2-filter2-class1-against2-mean_maps",
        "classes-mean-maps-difference": "tiny-conv2-filter2-class1-against2-mean_maps-3",
    },
    f"filter?layer={FIRST}&filter=2": {
        "filter-histogram": "tiny-block_conv_1-filter2-histogram",
    },
}


@pytest.mark.parametrize("address", sampled(2, GRAPHS))
def test_a_figure_is_saved_by_what_it_is_of(kept_page, url, address):
    page = kept_page
    visit(page, f"{url}{address}")
    for graph, name in GRAPHS[address].items():
        ready(page, graph)
        place = page.locator(f"#{graph}")
        place.scroll_into_view_if_needed()
        place.hover()
        place.get_by_role("button", name="Download plot as a PNG").click(force=True)
        dialog = page.get_by_role("dialog", name="Save picture")
        with page.expect_download() as caught:
            dialog.get_by_role("button", name="Save picture").click()
        dialog.wait_for(state="detached")
        assert caught.value.suggested_filename == f"{name}.png"


def test_values_are_saved_by_what_they_are_of(kept_page, url):
    page = kept_page
    visit(page, f"{url}maps?layer={SECOND}&sample=4&filter=2")
    drawn(page, f"{SECOND} 4 2")
    settled(page)
    for words, ending in (("Values (.npy)", "npy"), ("Values (.csv)", "csv")):
        page.get_by_role("button", name="Save", exact=True).click()
        with page.expect_download() as caught:
            page.get_by_role("button", name=words).click()
        assert caught.value.suggested_filename == f"tiny-conv2-maps-sample4.{ending}"
    visit(page, f"{url}filter?layer={SECOND}&filter=2")
    with page.expect_download() as caught:
        page.get_by_role("link", name="Download its feature map (.npy)").click()
    assert re.fullmatch(r"tiny-conv2-maps-sample\d+-filter2\.npy", caught.value.suggested_filename)
    with page.expect_download() as caught:
        page.get_by_role("link", name="which samples (.csv)").first.click()
    assert caught.value.suggested_filename == "tiny-conv2-samples-sample_top_1-filter2.csv"


@pytest.fixture(scope="module")
def viewer(tmp_path_factory):
    """A server at which vera may look and taka may take home."""
    path = tmp_path_factory.mktemp("people")
    people = People(path / "people", create=True)
    people.add("vera", "view", PASSWORD)
    people.add("taka", "export", PASSWORD)
    store = make_store(path / "tiny.h5", 9)
    login = Login(people, Journal(path / "log"), secure=False)
    with running(create_app(Source(store), login=login)) as url:
        yield url


def log_in(page, url: str, name: str) -> None:
    page.goto(url)
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.get_by_role("banner").get_by_role("link", name="Feature maps", exact=True).click()
    drawn(page, f"{FIRST} 0 0")


def test_who_may_only_look_reads_why_there_are_no_files(page_of, viewer):
    page = page_of(viewer)
    log_in(page, viewer, "vera")
    reason = "vera has the role view: arrays and tables to take home need the role export."
    page.get_by_role("button", name="Save", exact=True).click()
    for words in ("Values (.npy)", "Values (.csv)"):
        item = page.get_by_role("button", name=words)
        assert item.is_disabled()
        assert reason in item.inner_text()
    page.keyboard.press("Escape")
    assert save_picture(page)[0] == "tiny-block_conv_1-sample0.png", "what is seen may be kept"
    page.goto(f"{viewer}classes")
    button = page.get_by_role("button", name="Download CSV")
    button.wait_for()
    assert button.is_disabled()
    page.get_by_text(reason).first.wait_for()
    page.goto(f"{viewer}filter?layer={SECOND}&filter=2")
    page.locator("#filter-raw").get_by_text(reason).wait_for()
    page.get_by_text("Download its feature map (.npy): not here.").wait_for()
    assert page.locator("a[download]").count() == 0


def test_who_may_take_home_has_all_links(page_of, viewer):
    page = page_of(viewer)
    log_in(page, viewer, "taka")
    page.goto(f"{viewer}filter?layer={SECOND}&filter=2")
    page.get_by_role("link", name="Download its feature map (.npy)").wait_for()
    page.locator("#filter-raw a[download]").first.wait_for()
    assert page.get_by_text("has the role").count() == 0
