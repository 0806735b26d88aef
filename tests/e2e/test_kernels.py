"""A person at the Kernels page: weights under the pointer, colors, links, keys, zoom."""

from __future__ import annotations

import re

import numpy as np
import pytest
from helpers.browsing import (
    asked,
    settled,
    until,
    visit,
    wall_cell,
    wall_pixel,
    wall_tip,
    wheel_zoom,
)
from helpers.factories import sampled
from helpers.kernels import make_kernel_store
from helpers.servers import running

from dashboard import create_app
from dashboard.stores.source import Source
from fmcore import open_store

pytestmark = pytest.mark.browser
SCRIPT = "kernels/kernel_wall.js"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return make_kernel_store(tmp_path_factory.mktemp("kernels") / "k.h5")


@pytest.fixture(scope="module")
def url(path):
    with running(create_app(Source(path))) as where:
        yield where


@pytest.fixture
def layers(path):
    with open_store(path) as store:
        yield store.layers


def painted(page, words: str) -> None:
    """Waits until the wall has drawn "layer kind tile"."""
    page.wait_for_selector(f'#kernels-wall[data-drawn="{words}"]')


def opened(page, url: str, query: str, words: str) -> None:
    visit(page, f"{url}kernels?{query}")
    painted(page, words)
    settled(page)


def tip(page, tile: int, y: int, x: int) -> list[str]:
    return wall_tip(page, tile, y, x, SCRIPT)


def test_the_first_layer_is_in_its_colors_and_says_each_weight(kept_page_of, url, layers):
    page, kernel = kept_page_of(url), layers["color"].kernel
    opened(page, url, "layer=color", "color colors 0")
    reach = np.abs(kernel).max()
    for y, x, tile in ((0, 0, 0), (2, 1, 3), (1, 2, 4)):
        weights = kernel[y, x, :, tile]
        expected = np.round(255 * (weights + reach) / (2 * reach))
        assert np.abs(wall_pixel(page, tile, y, x, SCRIPT) - expected).max() <= 1
        head, place, *colors = tip(page, tile, y, x)
        assert (head, place) == (f"filter {tile}", f"y {y}, x {x}")
        assert [line.split()[0] for line in colors] == ["R", "G", "B"]
        assert [np.float32(line.split()[1]) for line in colors] == list(weights)


def test_norms_planes_and_one_filter_show_what_is_stored(kept_page_of, url, layers):
    page, kernel = kept_page_of(url), layers["deep"].kernel
    opened(page, url, "layer=deep", "deep norm 0")
    norm = np.linalg.norm(kernel[1, 2, :, 3].astype(np.float64))
    *_, words = tip(page, 3, 1, 2)
    assert float(words.removeprefix("L2 over 5 planes ")) == pytest.approx(norm, rel=1e-6)
    page.get_by_text("One plane", exact=True).click()
    painted(page, "deep weights 0")
    page.get_by_role("textbox", name="Input plane", exact=True).fill("4")
    until(page, lambda: "plane 4" in tip(page, 3, 1, 2)[1])
    assert tip(page, 3, 1, 2)[:3] == [
        "filter 3",
        "input plane 4, filter 4 of color",
        "y 1, x 2",
    ]
    assert np.float32(tip(page, 3, 1, 2)[3]) == kernel[1, 2, 4, 3]
    page.get_by_text("One filter", exact=True).click()
    painted(page, "deep planes 4")
    assert np.float32(tip(page, 2, 0, 1)[3]) == kernel[0, 1, 2, 0]
    assert asked(page) == {
        **{"layer": "deep", "sample": "0", "filter": "0"},
        **{"kernels": "filter", "plane": "4"},
    }


def test_a_click_selects_and_links_lead_to_the_filter_and_to_what_a_plane_is(kept_page_of, url):
    page = kept_page_of(url)
    opened(page, url, "layer=deep", "deep norm 0")
    page.mouse.click(*wall_cell(page, 2, 0, 0, SCRIPT))
    painted(page, "deep norm 2")
    until(page, lambda: asked(page)["filter"] == "2")
    page.get_by_text("Filter 2: 2×3 over 5 input planes").wait_for()
    link = page.get_by_role("link", name="Its feature maps →")
    until(page, lambda: "filter=2" in link.get_attribute("href"))
    page.get_by_text("One filter", exact=True).click()
    painted(page, "deep planes 0")
    page.mouse.click(*wall_cell(page, 3, 0, 0, SCRIPT))
    page.get_by_role("link", name="filter 3 of color →").click()
    page.wait_for_selector(".filter-page")
    assert (asked(page)["layer"], asked(page)["filter"]) == ("color", "3")
    page.go_back()
    painted(page, "deep planes 3")


def test_the_order_is_that_of_the_norms(kept_page_of, url, layers):
    page = kept_page_of(url)
    opened(page, url, "layer=color&kernel_order=l1", "color colors 0")
    sums = np.abs(layers["color"].kernel).sum(axis=(0, 1, 2))
    lefts = {tile: wall_cell(page, tile, 0, 0, SCRIPT) for tile in range(5)}
    assert sorted(lefts, key=lambda tile: lefts[tile][::-1]) == np.argsort(-sums).tolist()


def test_both_parts_of_a_separable_layer_and_the_maps_before_a_dense_one(kept_page_of, url, layers):
    page = kept_page_of(url)
    opened(page, url, "layer=separable", "separable rows 0")
    kernel = layers["separable"].kernel
    assert tip(page, 1, 0, 7)[1] == "input plane 3, filter 3 of pointwise"
    assert np.float32(tip(page, 1, 0, 7)[2]) == kernel[0, 0, 7, 1]
    page.get_by_text("Depthwise", exact=True).click()
    painted(page, "separable weights 0")
    words = tip(page, 7, 1, 0)
    assert words[:2] == ["depthwise kernel 7", "input plane 3, filter 3 of pointwise"]
    assert np.float32(words[3]) == layers["separable"].depthwise_kernel[1, 0, 3, 1]
    opened(page, url, "layer=dense&kernels=plane&plane=2", "dense weights 0")
    expected = layers["dense"].kernel[0, 0, (1 * 2 + 0) * 3 + 2, 1]
    assert np.float32(tip(page, 1, 1, 0)[3]) == expected


def test_a_layer_without_a_kernel_says_why_and_the_next_is_drawn(kept_page_of, url):
    page = kept_page_of(url)
    visit(page, f"{url}kernels?layer=pool")
    page.get_by_text("a layer of the kind MaxPooling2D has no weights").first.wait_for()
    assert not page.locator("#kernels-wall").is_visible()
    page.get_by_role("textbox", name="Layer", exact=True).click()
    page.get_by_role("option", name=re.compile("deep")).click()
    painted(page, "deep norm 0")
    assert page.locator("#kernels-message").inner_text() == ""


def test_keys_walk_the_wall_and_say_where_they_are(kept_page_of, url, layers):
    page = kept_page_of(url)
    opened(page, url, "layer=deep&kernels=plane", "deep weights 0")
    page.keyboard.press("ArrowDown")
    painted(page, "deep weights 1")
    until(page, lambda: asked(page)["filter"] == "1")
    wall = page.get_by_role("application", name="4 kernels of deep")
    for place in wall.get_attribute("aria-describedby").split():
        assert page.locator(f"#{place}").count() == 1
    assert "Layer deep: 4 kernels, each 2 × 3 over 5 input planes." in page.text_content(
        "#kernels-description"
    )
    while not wall.evaluate("(one) => one === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    announcement = page.locator("#kernels-announcement")
    until(page, lambda: "filter 1, input plane 0" in announcement.text_content())
    page.keyboard.press("PageDown")
    until(page, lambda: "filter 2" in announcement.text_content())
    page.keyboard.press("Enter")
    painted(page, "deep weights 2")


def test_the_zoom_is_in_the_link_and_another_layer_shows_all(kept_page_of, url):
    page = kept_page_of(url)
    opened(page, url, "layer=deep", "deep norm 0")
    page.mouse.move(*wall_cell(page, 0, 0, 0, SCRIPT))
    wheel_zoom(page, -300)
    until(page, lambda: "kernel_window" in asked(page))
    link, window = page.url, asked(page)["kernel_window"]
    page.goto("about:blank")
    page.goto(link)
    painted(page, "deep norm 0")
    assert asked(page)["kernel_window"] == window
    page.get_by_role("textbox", name="Layer", exact=True).click()
    page.get_by_role("option", name=re.compile("color")).click()
    painted(page, "color colors 0")
    until(page, lambda: "kernel_window" not in asked(page))


@pytest.mark.parametrize("width", sampled(2, [320, 390, 1280, 1920, 3840]))
def test_nothing_lies_beside_the_page(kept_page_of, url, width):
    page = kept_page_of(url, viewport={"width": width, "height": 900})
    for query, words in {
        "layer=deep": "deep norm 0",
        "layer=separable": "separable rows 0",
        "layer=color&tiles=largest": "color colors 0",
    }.items():
        opened(page, url, query, words)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
