"""The wall and what is around it, as a person uses them; every value is held against the file."""

from __future__ import annotations

import io

import numpy as np
import plotly.colors
import pytest
from helpers.browsing import (
    asked,
    drawn,
    hover,
    ready,
    settled,
    until,
    visit,
    wall_cell,
    wall_pixel,
    wall_tip,
    wheel_zoom,
)
from helpers.factories import CLASS_NAMES, make_large_store, sampled
from helpers.servers import running
from PIL import Image

from dashboard import create_app
from dashboard.stores.source import Source
from fmcore import open_store

pytestmark = pytest.mark.browser

FIRST, SECOND = "block/conv 1", "conv2"


@pytest.fixture
def page(kept_page):
    return kept_page


def test_from_a_tile_to_its_stored_value_and_the_enlarged_map(page, url, store):
    visit(page, f"{url}maps")
    drawn(page, f"{FIRST} 0 0")
    settled(page)
    maps = store.layers[FIRST].feature_maps(0)
    y, x, tile = np.unravel_index(maps.argmax(), maps.shape)
    lines = wall_tip(page, tile, y, x)
    assert lines[:2] == [f"filter {tile}", f"y {y}, x {x}"]
    assert np.float32(lines[2]) == maps[y, x, tile], "hover gives the stored float32"

    page.mouse.click(*wall_cell(page, tile, y, x))
    page.wait_for_url(f"**filter={tile}*")
    assert page.input_value("#maps-filter") == str(tile)
    ready(page, "maps-enlarged")
    until(page, lambda: hover(page, "maps-enlarged", y, x).startswith(f"y {y}, x {x}"))
    lines = hover(page, "maps-enlarged", y, x).split(" | ")
    assert np.float32(lines[1]) == maps[y, x, tile]


def test_what_is_said_under_a_resting_pointer_is_of_the_sample_that_is_shown(page, url, store):
    visit(page, f"{url}maps?layer={FIRST}&sample=3")
    drawn(page, f"{FIRST} 3 0")
    settled(page)
    f = int(store.layers[FIRST].activation[:].max(axis=(0, 1, 2)).argmax())
    wall_tip(page, f, 4, 3)
    for sample in (4, 5):
        page.keyboard.press("ArrowRight")
        drawn(page, f"{FIRST} {sample} 0")
        lines = page.locator(".wall-tip").inner_text().split("\n")
        assert np.float32(lines[2]) == store.layers[FIRST].feature_maps(sample)[4, 3, f]


def viridis(share: np.ndarray) -> np.ndarray:
    """Plotly's colours of shares, <float>[..., 3]."""
    anchors = [plotly.colors.hex_to_rgb(one) for one in plotly.colors.sequential.Viridis]
    places = np.linspace(0, 1, len(anchors))
    return np.stack([np.interp(share, places, part) for part in np.transpose(anchors)], axis=-1)


@pytest.mark.parametrize("kind", sampled(1, ["layer", "filter", "map"]))
def test_each_cell_has_the_colour_of_its_value(page, url, store, kind):
    visit(page, f"{url}maps?layer={FIRST}&sample=4&filter=2&range={kind}")
    drawn(page, f"{FIRST} 4 2")
    settled(page)
    everything = store.layers[FIRST].activation[:]
    maps = everything[4]
    low, high = {
        "layer": (everything.min(), everything.max()),
        "filter": (everything.min(axis=(0, 1, 2)), everything.max(axis=(0, 1, 2))),
        "map": (maps.min(axis=(0, 1)), maps.max(axis=(0, 1))),
    }[kind]
    expected = viridis((maps - low) / np.where(high > low, high - low, 1))
    for y, x in ((0, 0), (1, 2), (8, 7), (5, 3)):
        for f in np.argsort(-maps.max(axis=(0, 1)))[:3]:
            # 256 steps of colour, of which the steepest is 4 of 255.
            assert np.abs(wall_pixel(page, f, y, x) - expected[y, x, f]).max() <= 4


def test_linked_zoom_shows_the_same_window_in_all_tiles_and_a_link_keeps_it(page, url, store):
    visit(page, f"{url}maps?layer={FIRST}&sample=3")
    drawn(page, f"{FIRST} 3 0")
    settled(page)
    page.mouse.move(*wall_cell(page, 2, 2, 1))
    page.mouse.down()
    page.mouse.move(*wall_cell(page, 2, 5, 4), steps=5)
    page.mouse.up()
    page.wait_for_url("**window=*")
    window = asked(page)["window"]
    top, left, bottom, right = map(float, window.split(","))
    assert (top, left) == pytest.approx((2.5, 1.5), abs=0.6)
    assert (bottom, right) == pytest.approx((5.5, 4.5), abs=0.6)
    maps = store.layers[FIRST].feature_maps(3)
    for tile in (0, 5, 19):
        assert np.float32(wall_tip(page, tile, 4, 3)[2]) == maps[4, 3, tile]
    page.reload()
    drawn(page, f"{FIRST} 3 0")
    assert asked(page)["window"] == window
    assert np.float32(wall_tip(page, 5, 4, 3)[2]) == maps[4, 3, 5]
    page.keyboard.press("ArrowRight")
    drawn(page, f"{FIRST} 4 0")
    other = store.layers[FIRST].feature_maps(4)
    assert np.float32(wall_tip(page, 5, 4, 3)[2]) == other[4, 3, 5], "zoom stays"
    page.mouse.dblclick(*wall_cell(page, 5, 4, 3))
    until(page, lambda: "window" not in asked(page))


def test_free_zoom_enlarges_the_wall_where_the_pointer_is(page, url, store):
    visit(page, f"{url}maps?layer={FIRST}&sample=3&zoom=free")
    drawn(page, f"{FIRST} 3 0")
    settled(page)
    page.mouse.move(*wall_cell(page, 7, 4, 4))
    for _ in range(6):
        wheel_zoom(page, -200)
    page.wait_for_url("**window=*")
    lines = page.locator(".wall-tip").inner_text().split("\n")
    assert lines[:2] == ["filter 7", "y 4, x 4"], "the pointer is where it was"
    assert np.float32(lines[2]) == store.layers[FIRST].feature_maps(3)[4, 4, 7]
    page.keyboard.press("0")
    until(page, lambda: "window" not in asked(page))


def test_keys_step_through_samples_and_filters_and_no_step_is_lost(page, url):
    visit(page, f"{url}maps?layer={SECOND}&sample=35")
    drawn(page, f"{SECOND} 35 0")
    settled(page)
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    drawn(page, f"{SECOND} 10 0")
    until(page, lambda: page.input_value("#maps-sample") == "10")
    until(page, lambda: asked(page)["sample"] == "10")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    drawn(page, f"{SECOND} 9 1")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    drawn(page, f"{SECOND} 9 2")
    until(page, lambda: asked(page)["filter"] == "2")
    assert asked(page) == {"layer": SECOND, "sample": "9", "filter": "2"}


def test_samples_are_picked_from_thumbnails_in_the_order_asked_for(page, url, store):
    visit(page, f"{url}maps?layer={SECOND}&filter=2&class=1")
    thumbnails = page.locator("#maps-thumbnails [data-sample]")
    thumbnails.first.wait_for()
    of_class = np.flatnonzero(store.labels == 1)
    drawn(page, f"{SECOND} {of_class[0]} 2")
    page.get_by_role("textbox", name="Order of samples").click()
    page.get_by_role("option", name="Response of the filter").click()
    largest = store.layers[SECOND].activation[:][..., 2].max(axis=(1, 2))
    expected = of_class[np.argsort(-largest[of_class], kind="stable")].tolist()
    listed = lambda: [int(one.get_attribute("data-sample")) for one in thumbnails.all()]  # noqa: E731
    until(page, lambda: listed() == expected[:20])
    drawn(page, f"{SECOND} {expected[0]} 2")
    thumbnails.nth(3).click()
    drawn(page, f"{SECOND} {expected[3]} 2")
    until(page, lambda: thumbnails.nth(3).get_attribute("aria-current") == "true")
    page.keyboard.press("ArrowRight")
    page.mouse.click(5, 5)
    page.keyboard.press("ArrowRight")
    drawn(page, f"{SECOND} {expected[5]} 2")


def test_filters_are_ordered_and_dead_ones_hidden(page, url, store):
    visit(page, f"{url}maps?layer={FIRST}&sample=6&order=mean&dead=hide")
    drawn(page, f"{FIRST} 6 0")
    settled(page)
    everything = store.layers[FIRST].activation[:]
    alive = np.flatnonzero((everything > 0).any(axis=(0, 1, 2)))
    means = everything[6].mean(axis=(0, 1), dtype=np.float64)
    expected = alive[np.argsort(-means[alive], kind="stable")].tolist()
    order = """async () => (await import("/assets/feature_maps/session.js")).session().wall.order"""
    assert page.evaluate(order) == expected
    dead = 20 - len(alive)
    assert page.inner_text("#maps-legend") == f"{len(alive)} of 20 filters, {dead} dead hidden"
    page.get_by_role("textbox", name="Order of filters").click()
    page.get_by_role("option", name="Score for this class").click()
    label = store.labels[6]
    page.get_by_text(f"for class {CLASS_NAMES[label]}").wait_for()
    auc = store.layers[FIRST].statistic("auc_mean")[label]
    by_score = alive[np.argsort(-np.nan_to_num(auc[alive], nan=-1), kind="stable")].tolist()
    until(page, lambda: page.evaluate(order) == by_score)


def test_what_is_seen_is_saved_as_picture_and_as_values(page, url, store):
    visit(page, f"{url}maps?layer={FIRST}&sample=2&dead=hide")
    drawn(page, f"{FIRST} 2 0")
    settled(page)
    maps = store.layers[FIRST].feature_maps(2)
    alive = np.flatnonzero((store.layers[FIRST].activation[:] > 0).any(axis=(0, 1, 2)))
    page.get_by_role("button", name="Save").click()
    with page.expect_download() as caught:
        page.get_by_text("Values (.npy)").click()
    values = np.load(io.BytesIO(caught.value.path().read_bytes()))
    assert np.array_equal(values[0], maps[..., alive]), "what is hidden is not saved"
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Picture …").click()
    with page.expect_download() as caught:
        page.get_by_role("button", name="Save picture").click()
    picture = np.asarray(Image.open(caught.value.path()))
    colours = {tuple(one) for one in picture[..., :3].reshape(-1, 3)}
    high = store.layers[FIRST].activation[:].max()
    strongest = viridis(maps.max() / high)
    assert min(np.abs(np.array(one) - strongest).max() for one in colours) <= 4


def test_a_hovered_cell_outlines_what_it_sees(kept_page_of, digits):
    url, store = digits
    page = kept_page_of(url)
    visit(page, f"{url}maps?layer=conv2&sample=7")
    drawn(page, "conv2 7 0")
    settled(page)
    wall_tip(page, 3, 4, 6)
    box = page.locator("#maps-input .field-box")
    box.wait_for()
    inner, outer = box.bounding_box(), page.locator("#maps-input").bounding_box()
    top, left, bottom, right = store.layers["conv2"].receptive_field(4, 6)
    pixel = outer["width"] / 28
    offset = [(inner[side] - outer[side]) / pixel for side in ("y", "x")]
    assert offset == pytest.approx([top, left], abs=0.1)
    assert inner["height"] / pixel == pytest.approx(bottom + 1 - top, abs=0.1)
    assert inner["width"] / pixel == pytest.approx(right + 1 - left, abs=0.1)


@pytest.fixture(scope="module")
def digits(digits_store):
    with running(create_app(Source(digits_store))) as where, open_store(digits_store) as store:
        yield where, store


def test_maps_too_large_to_travel_whole_show_the_strongest_and_hover_the_stored(page_of, tmp_path):
    path = make_large_store(tmp_path / "large.h5")
    with running(create_app(Source(path))) as url, open_store(path) as store:
        page = page_of(url)
        maps = store.layers[FIRST].feature_maps(1)
        page.goto(f"{url}maps?sample=1")
        drawn(page, f"{FIRST} 1 0")
        settled(page)
        f = int(maps.max(axis=(0, 1)).argmax())
        inner = maps[100:200, 100:200, f]
        y, x = np.add(np.unravel_index(inner.argmax(), inner.shape), 100).tolist()

        def stored():
            lines = wall_tip(page, f, y, x)
            return f"y {y}, x {x}" == lines[1] and np.float32(lines[2].strip("≈ ")) == maps[y, x, f]

        page.mouse.move(*wall_cell(page, f, y, x))
        wheel_zoom(page, -800)  # to where a cell is larger than a pixel of the screen
        page.wait_for_url("**window=*")
        until(page, stored)
        expected = viridis(maps[y, x, f] / store.layers[FIRST].filter_range()[1].max())
        until(page, lambda: np.abs(wall_pixel(page, f, y, x) - expected).max() <= 4)


def test_a_layer_without_maps_says_so_and_the_rest_works(page_of, tmp_path):
    from helpers.factories import make_store

    path = make_store(tmp_path / "s.h5", 9, policy="block*=pooled")
    with running(create_app(Source(path))) as url:
        page = page_of(url)
        page.goto(f"{url}maps")
        page.get_by_text("captured with the policy pooled").wait_for()
        page.get_by_role("textbox", name="Layer", exact=True).click()
        page.get_by_role("option", name="conv2").click()
        drawn(page, "conv2 0 0")
        assert page.inner_text("#maps-message") == ""
