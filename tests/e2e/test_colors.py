"""What a person sets of the wall's colors: numbers, scales, spacing, the ends of the bar."""

from __future__ import annotations

from urllib.parse import urlencode

import numpy as np
import plotly
import pytest
from helpers.browsing import (
    asked,
    at_rest,
    cell_position,
    drawn,
    open_colors,
    pause,
    ready,
    settled,
    until,
    visit,
    wall_pixel,
    wall_tip,
)
from helpers.factories import OddProbe, make_store, sampled
from helpers.servers import running

from dashboard import create_app
from dashboard.stores.source import Source

pytestmark = pytest.mark.browser

FIRST, SECOND = "block/conv 1", "conv2"
CELLS = ((0, 0), (1, 2), (8, 7), (5, 3))
STEP = 4  # of 255: 256 steps of color


def opened(page, url: str, layer: str = FIRST, **state: object) -> None:
    visit(page, f"{url}maps?{urlencode({'layer': layer, 'sample': 4, 'filter': 2, **state})}")
    drawn(page, f"{layer} 4 2")
    settled(page)
    settled(page)


def plotlys(name: str, share: np.ndarray) -> np.ndarray:
    """Plotly's colors of shares, <float>[..., 3]."""
    scale = [color for _, color in plotly.colors.get_colorscale(name)]
    rgb = plotly.colors.convert_colors_to_same_type(scale, "rgb")[0]
    anchors = np.array([plotly.colors.unlabel_rgb(color) for color in rgb])
    places = np.linspace(0, 1, len(anchors))
    return np.stack([np.interp(share, places, part) for part in anchors.T], axis=-1)


def wait_for_bar(page):
    """The sliders of the color bar, which come after the first picture."""
    ends = [
        page.get_by_role("slider", name=f"{name} end of the colors") for name in ("High", "Low")
    ]
    ends[1].wait_for()
    return ends


@pytest.fixture
def page(kept_page):
    return kept_page


@pytest.mark.parametrize(
    ("choice", "scale"),
    sampled(
        2,
        [
            ({"ends": "0.05,0.4", "colors": "magma"}, "magma"),
            ({"ends": "0.05,0.4", "colors": "gray", "invert": "inverted"}, "gray"),
            ({"ends": "0.01,0.8", "norm": "log"}, "viridis"),
            ({"ends": "0,0.8", "norm": "symlog", "colors": "cividis"}, "cividis"),
        ],
    ),
)
def test_each_cell_has_the_color_of_its_value_on_any_scale(page, url, store, choice, scale):
    opened(page, url, range="hand", **choice)
    maps = store.layers[FIRST].feature_maps(4).astype(float)
    low, high = map(float, choice["ends"].split(","))

    def place(value):
        if choice.get("norm") == "log":
            return np.log(np.maximum(value, 1e-30))
        if choice.get("norm") == "symlog":
            near = high / 100
            far = 10 / 9 + np.log10(np.maximum(np.abs(value), near) / near)
            return np.where(np.abs(value) <= near, value / near * 10 / 9, np.sign(value) * far)
        return value

    share = (place(maps) - place(np.array(low))) / (place(np.array(high)) - place(np.array(low)))
    share = 1 - share if "invert" in choice else share
    tried = 0
    for y, x in CELLS:
        for f in np.argsort(-maps[y, x])[:4]:
            if low <= maps[y, x, f] <= high:
                off = np.abs(wall_pixel(page, f, y, x) - plotlys(scale, share[y, x, f])).max()
                assert off <= 2 * STEP, (y, x, f)
                tried += 1
    assert tried > 3
    assert np.float32(wall_tip(page, 2, 5, 3)[2]) == np.float32(maps[5, 3, 2]), (
        "stored, whatever scale"
    )


def test_the_bar_is_dragged_without_a_request_and_goes_back(page, url):
    opened(page, url)
    high, low = wait_for_bar(page)
    settled(page)
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    box = high.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] - 2
    first = float(high.get_attribute("aria-valuenow"))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 60, steps=4)
    at_rest(page, lambda: high.get_attribute("aria-valuenow"))
    live = float(high.get_attribute("aria-valuenow"))
    assert 0 < live < first
    assert "above the range" in page.inner_text("#maps-legend"), "recolored while it is dragged"
    page.mouse.up()
    until(page, lambda: asked(page).get("range") == "hand")
    settled(page)
    ends = asked(page)["ends"]
    assert float(ends.split(",")[1]) == pytest.approx(live, rel=1e-3)
    page.keyboard.press("ArrowRight")
    drawn(page, f"{FIRST} 5 2")
    assert asked(page)["ends"] == ends, "in another sample as it was set; keys are the page's"
    assert [address for address in requests if "maps?" in address and "sample=4" in address] == []
    page.reload()
    drawn(page, f"{FIRST} 5 2")
    high, low = wait_for_bar(page)
    assert float(high.get_attribute("aria-valuenow")) == pytest.approx(live, rel=1e-3)
    low.dblclick()
    until(page, lambda: "range" not in asked(page) and "ends" not in asked(page))


def test_a_drag_that_escape_ends_changes_nothing(page, url):
    opened(page, url, range="percentile")
    high, _ = wait_for_bar(page)
    before = high.get_attribute("aria-valuenow")
    box = high.bounding_box()
    page.mouse.move(box["x"] + 16, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 16, box["y"] + 90, steps=3)
    until(page, lambda: high.get_attribute("aria-valuenow") != before)
    page.keyboard.press("Escape")
    page.mouse.up()
    until(page, lambda: high.get_attribute("aria-valuenow") == before)
    until(page, lambda: asked(page).get("range") == "percentile")


def test_keys_move_the_ends(page, url, store):
    opened(page, url)
    high, _ = wait_for_bar(page)
    now = lambda: float(high.get_attribute("aria-valuenow"))  # noqa: E731
    most = now()
    high.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert high.evaluate("(node) => getComputedStyle(node).outlineStyle") == "solid", "seen"
    for key, share in (("PageDown", 0.9), ("ArrowDown", 0.9 * 0.99)):
        page.keyboard.press(key)
        until(page, lambda share=share: now() == pytest.approx(most * share, rel=2e-3))
    assert high.get_attribute("aria-valuetext") == f"{now():.6g}"
    page.keyboard.press("Home")
    until(page, lambda: now() < most / 100)
    page.keyboard.press("End")
    until(page, lambda: now() == pytest.approx(most, rel=1e-3))
    page.keyboard.press("Escape")
    until(page, lambda: "range" not in asked(page))
    assert now() == most


def test_what_is_typed_stays_and_what_is_no_number_is_said(page, url):
    opened(page, url)
    wait_for_bar(page)
    open_colors(page)
    page.get_by_role("textbox", name="High end").fill("0.5")
    until(page, lambda: asked(page).get("range") == "hand")
    page.get_by_role("textbox", name="Low end").fill("−0,25")
    until(page, lambda: asked(page)["ends"] == "-0.25,0.5")
    page.get_by_role("textbox", name="Low end").fill("much")
    message = page.locator("#maps-hand-message")
    assert message.inner_text() == "Low end: expected a number, such as 0.5 or 2e-3; found “much”."
    page.get_by_role("textbox", name="Low end").fill("7")
    assert message.inner_text() == "Expected the low end below the high end; found 7 and 0.5."
    assert asked(page)["ends"] == "-0.25,0.5", "the last that was right"
    page.keyboard.press("Escape")
    visit(page, page.url.replace("block%2Fconv+1", SECOND))
    drawn(page, f"{SECOND} 4 2")
    settled(page)
    high, low = wait_for_bar(page)
    assert [end.get_attribute("aria-valuetext") for end in (low, high)] == ["-0.25", "0.5"]
    open_colors(page)
    page.get_by_role("button", name="Back to what it was before").click()
    until(page, lambda: "range" not in asked(page))


def test_a_link_with_ends_that_are_none_says_what_is_expected(page, url):
    opened(page, url, range="hand", ends="3,1")
    page.get_by_text("expected two numbers, the smaller first, such as 0,2.5").wait_for()


def test_the_enlarged_map_follows_and_says_stored_values(page, url, store):
    opened(page, url, range="hand", ends="0.01,0.8", norm="log", colors="inferno")
    ready(page, "maps-enlarged")
    values = store.layers[FIRST].feature_maps(4)[..., 2]
    is_inside = (values > 0.01) & (values < 0.8)
    y, x = np.argwhere(is_inside)[0]
    label = page.locator("#maps-enlarged .hoverlayer")

    def hovered() -> str:
        left, top = cell_position(page, "maps-enlarged", y, x)
        page.mouse.move(left - 3, top - 3)
        page.mouse.move(left, top)
        pause(page)  # Plotly answers at its own pace, and not while it draws
        return label.text_content()

    until(page, lambda: f"{float(values[y, x]):.6g}"[:6] in hovered())
    trace = page.evaluate(
        """() => {
          const { colorscale, colorbar, zmin, zmax } =
            document.querySelector("#maps-enlarged .js-plotly-plot").data[0];
          return { last: colorscale.at(-1)[1], ticks: colorbar.ticktext, zmin, zmax };
        }"""
    )
    assert trace["last"] == "rgb(252 255 164)"
    assert [trace["zmin"], trace["zmax"]] == pytest.approx(np.log10([0.01, 0.8]), abs=1e-6)
    assert "0.1" in trace["ticks"]


def test_values_without_a_logarithm_are_told_by_form_and_counted(page_of, tmp_path):
    with running(create_app(Source(make_store(tmp_path / "odd.h5", 9, probe=OddProbe())))) as odd:
        page = page_of(odd)
        page.goto(f"{odd}maps?layer={SECOND}&sample=2&filter=1&norm=log")
        drawn(page, f"{SECOND} 2 1")
        settled(page)
        assert "without a logarithm: zero or below" in page.inner_text("#maps-legend")
        assert "a thousandth of the high one" in page.inner_text("#maps-range-note")
        page.close()  # before its server goes, which it would look for
