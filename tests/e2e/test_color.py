"""What color and form say: no mark is read as a value, and every word can be read."""

from __future__ import annotations

import base64
import io
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from helpers.browsing import drawn, open_colors, ready, settled, until, visit, wall_cell
from helpers.color_vision import VISIONS, ciede2000, contrast, lab, nearest
from helpers.factories import OddProbe, make_store, sampled
from helpers.servers import running
from PIL import Image

from dashboard import create_app
from dashboard.auth.guard import Login
from dashboard.auth.journal import Journal
from dashboard.auth.people import People
from dashboard.figures.marks import WITHIN_CHANCE
from dashboard.pages.state import COLORS
from dashboard.stores.source import Source

pytestmark = pytest.mark.browser

FIRST, SECOND = "block/conv 1", "conv2"
APART = 15
GROUNDS = {"light": "#ffffff", "dark": "#242424"}
# What shares its color with another mark of the scale, or has the color of its value: the scale
# leaves no room for more colors that are far enough from all. Form alone tells these.
BY_WAY = {("above", "highest"), ("below", "lowest")}
ALL_OUTSIDE = {*combinations(("above", "below", "highest", "lowest"), 2)}
ABOUT_ZERO = {"diverging", "brown_teal"}


def rgb(color: str) -> np.ndarray:
    return np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)])


# Sharma, Wu, Dalal 2005, table 1: two colors of CIELAB and their difference.
PUBLISHED = """
50.0000 2.6772 -79.7751 50.0000 0.0000 -82.7485 2.0425
50.0000 3.1571 -77.2803 50.0000 0.0000 -82.7485 2.8615
50.0000 2.8361 -74.0200 50.0000 0.0000 -82.7485 3.4412
50.0000 -1.3802 -84.2814 50.0000 0.0000 -82.7485 1.0000
50.0000 -1.1848 -84.8006 50.0000 0.0000 -82.7485 1.0000
50.0000 -0.9009 -85.5211 50.0000 0.0000 -82.7485 1.0000
50.0000 0.0000 0.0000 50.0000 -1.0000 2.0000 2.3669
50.0000 -1.0000 2.0000 50.0000 0.0000 0.0000 2.3669
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0009 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0011 7.2195
50.0000 -0.0010 2.4900 50.0000 0.0009 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0011 -2.4900 4.7461
50.0000 2.5000 0.0000 50.0000 0.0000 -2.5000 4.3065
50.0000 2.5000 0.0000 73.0000 25.0000 -18.0000 27.1492
50.0000 2.5000 0.0000 61.0000 -5.0000 29.0000 22.8977
50.0000 2.5000 0.0000 56.0000 -27.0000 -3.0000 31.9030
50.0000 2.5000 0.0000 58.0000 24.0000 15.0000 19.4535
50.0000 2.5000 0.0000 50.0000 3.1736 0.5854 1.0000
50.0000 2.5000 0.0000 50.0000 3.2972 0.0000 1.0000
50.0000 2.5000 0.0000 50.0000 1.8634 0.5757 1.0000
50.0000 2.5000 0.0000 50.0000 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""


def test_the_difference_of_colors_is_the_published_one():
    rows = np.array([line.split() for line in PUBLISHED.split("\n") if line], float)
    assert np.abs(ciede2000(rows[:, :3], rows[:, 3:6]) - rows[:, 6]).max() < 1e-4
    assert lab(np.array([255, 255, 255])) == pytest.approx([100, 0, 0], abs=0.02)


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    path = make_store(tmp_path_factory.mktemp("odd") / "odd.h5", 9, probe=OddProbe())
    with running(create_app(Source(path))) as url:
        yield url


def palette(page) -> dict:
    return page.evaluate(
        """async () => {
          const { MARKS, colorAt } = await import("/assets/feature_maps/wall/palette.js");
          await import("/assets/feature_maps/wall/scales.js");
          const scales = Object.fromEntries(Object.keys(MARKS).map((scale) => [scale,
            Array.from({ length: 256 }, (_, at) => colorAt(scale, at / 255)
              .match(/\\d+/g).map(Number))]));
          return { MARKS, scales };
        }"""
    )


def test_no_mark_can_be_read_as_a_value_nor_as_another_mark_in_any_theme_by_anybody(page, url):
    page.goto(f"{url}maps")
    drawn(page, f"{FIRST} 0 0")
    settled(page)
    for scheme, ground in GROUNDS.items():
        page.emulate_media(color_scheme=scheme)
        seen = lambda: page.evaluate("() => getComputedStyle(document.body).backgroundColor")  # noqa: E731
        expected = f"rgb({', '.join(map(str, rgb(ground)))})"
        until(page, lambda seen=seen, expected=expected: seen() == expected)
    colors = palette(page)
    assert {scale.removesuffix("_r") for scale in colors["MARKS"]} == {
        "sequential", "diverging", *(set(COLORS) - {"usual", "viridis", "red_blue"}),
    }  # fmt: skip
    for scale, marks in colors["MARKS"].items():
        name = scale.removesuffix("_r")
        own_color = {"zero", "nonpositive"} if name in ABOUT_ZERO else {"nonpositive"}
        assert {kind for kind, color in marks.items() if color is None} == own_color
        by_form = ALL_OUTSIDE if name == "diverging" else BY_WAY
        fills = {kind: rgb(color) for kind, color in marks.items() if color}
        others = np.array([*colors["scales"][scale], *map(rgb, GROUNDS.values())])
        gray = WITHIN_CHANCE.get(scale)
        fills_of_tables = {"within chance": rgb(gray)} if gray else {}
        for vision in VISIONS:
            for kind, fill in {**fills, **fills_of_tables}.items():
                assert nearest(fill[None], others, vision) >= APART, (scale, kind, vision)
            for first, second in combinations(fills, 2):
                apart = nearest(fills[first][None], fills[second][None], vision)
                is_by_form = {first, second} in map(set, by_form)
                assert (apart == 0) if is_by_form else (apart >= APART), (scale, first, second)


def wall_picture(page) -> tuple[np.ndarray, float]:
    canvas = page.locator("#maps-wall canvas").first
    box = canvas.bounding_box()
    data = canvas.evaluate("(node) => node.toDataURL()").partition(",")[2]
    picture = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
    return np.asarray(picture).astype(int), picture.width / box["width"]


def cell_pixels(page, filter_index: int, y: int, x: int) -> np.ndarray:
    """The pixels of a cell of the wall but for its border, <int>[y, x, 3]."""
    picture, density = wall_picture(page)
    box = page.locator("#maps-wall canvas").first.bounding_box()
    left, top = wall_cell(page, filter_index, y, x)
    size = page.evaluate(
        """async ([filter, y, x]) => {
          const { wall } = (await import("/assets/feature_maps/session.js")).session();
          return wall.cellBox(wall.order.indexOf(filter), { y, x }).width;
        }""",
        [filter_index, y, x],
    )
    half = size / 2 - 1
    rows, columns = (
        slice(round((at - half) * density), round((at + half) * density))
        for at in (top - box["y"], left - box["x"])
    )
    return picture[rows, columns]


KINDS = {
    FIRST: ("sequential", {0: "missing", 1: "highest", 2: "zero"}),
    SECOND: ("diverging", {0: "missing", 1: "highest", 2: "lowest", 3: "zero"}),
}


@pytest.mark.parametrize("layer", sampled(1, KINDS))
def test_each_kind_of_cell_has_its_own_form_on_the_wall(kept_page_of, odd, layer):
    page = kept_page_of(odd)
    visit(page, f"{odd}maps?layer={layer}&sample=2&zeros=mark&filter=0")
    drawn(page, f"{layer} 2 0")
    settled(page)
    scale, kinds = KINDS[layer]
    marks = palette(page)["MARKS"][scale]
    forms = {}
    for x, kind in kinds.items():
        cell = cell_pixels(page, 1, 0, x)
        fill = rgb(marks[kind]) if marks[kind] else np.array(palette(page)["scales"][scale][128])
        is_fill = np.abs(cell - fill).max(axis=-1) <= 1
        assert 0.3 < is_fill.mean() < 0.99, (kind, "most of the cell has its color")
        forms[kind] = ~is_fill
        ink = cell[~is_fill].reshape(-1, 3)
        best = ink[np.abs(ink - fill).sum(axis=1).argmax()]
        assert contrast(best, fill) >= 3, (kind, "the form is seen on the color")
    for first, second in combinations(forms, 2):
        size = min(forms[first].shape, forms[second].shape)
        shorter, longer = (forms[kind][: size[0], : size[1]] for kind in (first, second))
        assert (shorter != longer).mean() > 0.04, (first, second)


def test_over_and_under_the_range_are_hatched_each_its_own_way(kept_page_of, odd):
    page = kept_page_of(odd)
    visit(page, f"{odd}maps?layer={SECOND}&sample=2&range=percentile")
    drawn(page, f"{SECOND} 2 0")
    settled(page)
    # A span that leaves most of filter 1 outside.
    legend = page.locator("#maps-legend")
    words = legend.inner_text()
    assert "3 cells +∞" in words
    assert "3 cells −∞" in words
    assert "3 cells not a number" in words
    assert "exactly zero" not in words, "not asked for"
    swatches = legend.locator("i").evaluate_all("(all) => all.map((i) => i.style.backgroundImage)")
    assert len(set(swatches)) == 3
    visit(page, f"{odd}maps?layer={FIRST}&sample=2&range=percentile")
    drawn(page, f"{FIRST} 2 0")
    settled(page)
    assert "above the range" in legend.inner_text()


def test_where_nothing_is_outside_nothing_is_drawn_twice(kept_page, url):
    page = kept_page
    visit(page, f"{url}maps?layer={FIRST}&sample=2")
    drawn(page, f"{FIRST} 2 0")
    settled(page)
    kinds = """async () => (await import("/assets/feature_maps/session.js"))
      .session().wall.overview.kinds"""
    assert page.evaluate(kinds) is None
    assert page.inner_text("#maps-legend") == "20 of 20 filters"


def test_the_enlarged_map_marks_as_the_wall_does(kept_page_of, odd):
    page = kept_page_of(odd)
    visit(page, f"{odd}maps?layer={SECOND}&sample=2&filter=1")
    drawn(page, f"{SECOND} 2 1")
    ready(page, "maps-enlarged")
    source = lambda: page.evaluate(  # noqa: E731
        """() => {
          const image = document.querySelector("#maps-enlarged .imagelayer image, "
            + "#maps-enlarged .layer-above image");
          return decodeURIComponent(image?.getAttribute("href") ?? "");
        }"""
    )
    until(page, lambda: "url(#missing)" in source())
    assert 'fill="url(#highest)" d="M1 0h1v1h-1z"' in source()
    assert 'fill="url(#lowest)" d="M2 0h1v1h-1z"' in source()
    assert "url(#zero)" not in source()
    open_colors(page)
    page.get_by_role("switch", name="Mark exact zeros").click(force=True)
    until(page, lambda: 'fill="url(#zero)" d="M3 0h1v1h-1z"' in source())


# Of a store in which everything is wrong, so that all its words are there.
PAGES = (
    "odd/overview",
    f"odd/maps?layer={FIRST}&sample=1&range=percentile&zeros=mark",
    f"odd/classes?layer={FIRST}&filter=2&class=1&against=2",
    f"odd/filter?layer={SECOND}&filter=1&class=1",
    "odd/compare",
    "first/filter?layer=conv2&sample=99",
)
CONTRAST = (Path(__file__).parents[1] / "helpers/contrast.js").read_text("utf-8")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shelf")
    make_store(folder / "first.h5", 12)
    make_store(folder / "odd.h5", 12, probe=OddProbe())
    (folder / "broken.h5").write_bytes((folder / "first.h5").read_bytes()[:3000])
    people = People(folder / "people", create=True)
    people.add("vera", "view", "correct horse battery")
    login = Login(people, Journal(folder / "log"), secure=False)
    with (
        running(create_app(Source(folder))) as url,
        running(create_app(Source(folder), login=login)) as behind,
    ):
        yield url, behind


def faint(page) -> list[str]:
    words = page.evaluate(CONTRAST)
    assert words
    return [
        f"{contrast(color, ground):.2f} {color} on {ground}: {text[:40]}"
        for text, color, ground in words
        if contrast(color, ground) < 4.5
    ]


@pytest.mark.parametrize("scheme", sampled(1, GROUNDS))
def test_every_word_has_a_contrast_of_four_and_a_half(page_of, shelf, scheme):
    url, behind = shelf
    page = page_of(url, color_scheme=scheme)
    page.goto(url)
    page.wait_for_selector(".ag-row")
    settled(page)
    assert faint(page) == [], "catalogue"
    for address in PAGES:
        visit(page, f"{url}stores/{address}")
        page.wait_for_selector(".card-title")
        settled(page)
        assert faint(page) == [], address
    page = page_of(behind, color_scheme=scheme)
    page.goto(behind)
    page.wait_for_selector("#password")
    assert faint(page) == [], "login"
