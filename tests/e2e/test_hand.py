"""Pages under a person's hand: keys, wheel, pointer and fingers do what the help list says."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.browsing import (
    asked,
    at_rest,
    cell_position,
    drawn,
    open_colors,
    ready,
    settled,
    until,
    visit,
    wall_cell,
    wheel_zoom,
)
from helpers.factories import sampled

from dashboard.pages import PAGES
from dashboard.pages.shell import HELP

pytestmark = pytest.mark.browser

LAYER = "block/conv 1"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
# How far the page is scrolled.
SCROLLED = "document.scrollingElement.scrollTop"


def opened(page, url, sample=3, more="", layer=LAYER):
    visit(page, f"{url}maps?layer={layer}&sample={sample}{more}")
    drawn(page, f"{layer} {sample} 0")
    settled(page)
    page.locator("#maps-thumbnails [data-sample]").first.wait_for()
    settled(page)
    return page


def window_of(page) -> list[float]:
    """The window that the link says: top, left, bottom, right."""
    until(page, lambda: "window" in asked(page))
    settled(page)  # it is told of where a gesture rests
    return [float(side) for side in asked(page)["window"].split(",")]


def focus(page) -> str:
    """The role, or the name, of what has the focus."""
    return page.evaluate(
        "() => { const { activeElement: at } = document;"
        " return at.getAttribute('role') ?? at.textContent; }"
    )


def to_wall(page) -> None:
    """By keyboard alone: the first stop of the page leads there."""
    page.keyboard.press("Tab")
    assert page.locator(".skip").inner_text() == "Skip to the wall"
    page.keyboard.press("Enter")
    assert focus(page) == "application"


class Fingers:
    """Fingers on a page, as the browser's input hears them."""

    def __init__(self, page):
        self._send = page.context.new_cdp_session(page).send
        self._page = page

    def _dispatch(self, kind, points):
        touches = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(points)]
        self._send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    def move(self, *ways, steps=10):
        """Puts a finger at the start of each way, moves all to its end, and lifts them."""
        for count in range(1, len(ways) + 1):
            self._dispatch("touchStart", [start for start, _ in ways[:count]])
        for at in np.linspace(0, 1, steps + 1)[1:]:
            points = [tuple(np.array(start) * (1 - at) + np.array(end) * at) for start, end in ways]
            self._dispatch("touchMove", points)
            self._page.wait_for_timeout(16)
        self._dispatch("touchEnd", [])

    def tap(self, x, y):
        self._dispatch("touchStart", [(x, y)])
        self._dispatch("touchEnd", [])


def try_samples(page, url):
    opened(page, url)
    page.keyboard.press("ArrowRight")
    drawn(page, f"{LAYER} 4 0")
    page.keyboard.press("ArrowLeft")
    drawn(page, f"{LAYER} 3 0")


def try_filters(page, url):
    opened(page, url)
    page.keyboard.press("ArrowDown")
    drawn(page, f"{LAYER} 3 1")
    page.get_by_role("banner").get_by_role("link", name="Filter", exact=True).click()
    page.get_by_role("heading", name=f"{LAYER} · filter 1").wait_for()
    page.keyboard.press("ArrowUp")
    page.get_by_role("heading", name=f"{LAYER} · filter 0").wait_for()


def try_goto(page, url):
    opened(page, url)
    page.keyboard.press("/")
    page.keyboard.type("conv2 filter 1")
    page.keyboard.press("Enter")
    drawn(page, "conv2 3 1")


def try_zoom_keys(page, url):
    opened(page, url, more="&zoom=free")
    page.keyboard.press("+")
    top, left, bottom, right = window_of(page)
    assert (top + bottom) / 2 == pytest.approx((left + right) / 2) == pytest.approx(500)
    page.keyboard.press("-")
    until(page, lambda: "window" not in asked(page))
    # In the first tile, which is near the corner: what is there stays there.
    page.mouse.move(*wall_cell(page, 0, 4, 4))
    page.keyboard.press("+")
    top, left, *_ = window_of(page)
    assert top < 60
    assert left < 60
    assert page.locator(".wall-tip").inner_text().startswith("filter 0\ny 4, x 4\n")


def try_all(page, url):
    opened(page, url)
    page.keyboard.press("+")
    window_of(page)
    page.keyboard.press("0")
    until(page, lambda: "window" not in asked(page))
    page.keyboard.press("+")
    window_of(page)
    page.mouse.dblclick(*wall_cell(page, 2, 4, 4))
    until(page, lambda: "window" not in asked(page))


def try_wheel_zoom(page, url):
    opened(page, url, more="&zoom=free")
    for held, sample in (("Control", 3), ("Meta", 4)):
        drawn(page, f"{LAYER} {sample} 0")
        page.mouse.move(*wall_cell(page, 7, 4, 4))
        wheel_zoom(page, -300, held)
        window_of(page)
        assert page.locator(".wall-tip").inner_text().startswith("filter 7\ny 4, x 4\n")
        page.keyboard.press("0")
        until(page, lambda: "window" not in asked(page))
        page.keyboard.press("ArrowRight")
    assert page.evaluate(SCROLLED) == 0


def try_scroll(page, url):
    opened(page, url)
    page.set_viewport_size({"width": 1400, "height": 700})
    page.mouse.move(*wall_cell(page, 2, 4, 4))
    page.mouse.wheel(0, 120)
    page.get_by_text("Ctrl + wheel zooms", exact=True).wait_for()
    until(page, lambda: page.evaluate(SCROLLED) == 120)
    page.get_by_text("Ctrl + wheel zooms", exact=True).wait_for(state="detached")
    page.mouse.wheel(0, -60)
    until(page, lambda: page.evaluate(SCROLLED) == 60)
    assert page.get_by_text("Ctrl + wheel zooms", exact=True).count() == 0, "once"
    assert "window" not in asked(page)


def try_finger_scroll(page, url):
    opened(page, url)
    x, y = wall_cell(page, 5, 4, 4)
    Fingers(page).move([(x, y), (x, y - 200)])
    until(page, lambda: page.evaluate(SCROLLED) > 100)
    assert "window" not in asked(page)


def try_fingers(page, url):
    """From different tiles, and from beside them."""
    opened(page, url)
    box = page.locator("#maps-wall canvas").first.bounding_box()
    middle = box["y"] + box["height"] / 2
    left, right = box["x"] + 4, box["x"] + box["width"] - 4  # a tile, and the color bar
    apart = [(left + 60, middle), (left, middle)], [(right - 90, middle), (right, middle)]
    Fingers(page).move(*apart)
    first = window_of(page)
    assert first[2] - first[0] < 7
    way = 40 if first[1] > 1 else -40  # to where there is room
    Fingers(page).move(*([(x, middle), (x + way, middle)] for x in (left + 60, left + 140)))
    until(page, lambda: window_of(page)[1] != first[1])
    second = window_of(page)
    assert (second[1] < first[1]) == (way > 0)
    assert second[3] - second[1] == pytest.approx(first[3] - first[1], abs=0.3)
    assert page.evaluate("visualViewport.scale") == 1
    Fingers(page).move(*([end, start] for start, end in apart))
    until(page, lambda: "window" not in asked(page))


def try_box(page, url):
    opened(page, url)
    page.mouse.move(*wall_cell(page, 2, 2, 1))
    page.mouse.down()
    page.mouse.move(*wall_cell(page, 2, 5, 4), steps=5)
    page.mouse.up()
    assert window_of(page) == pytest.approx([2.5, 1.5, 5.5, 4.5], abs=0.6)
    ready(page, "maps-enlarged")
    ranges = "document.querySelector('#maps-enlarged .js-plotly-plot')._fullLayout.xaxis.range"
    before = page.evaluate(ranges)
    page.mouse.move(*cell_position(page, "maps-enlarged", 1, 1))
    page.mouse.down()
    page.mouse.move(*cell_position(page, "maps-enlarged", 5, 5), steps=5)
    page.mouse.up()
    until(page, lambda: abs(np.ptp(page.evaluate(ranges))) < abs(np.ptp(before)))


def try_move(page, url):
    opened(page, url, more="&window=2,2,6,6")
    page.mouse.move(*wall_cell(page, 2, 4, 4))
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.move(*wall_cell(page, 2, 3, 3), steps=5)
    page.mouse.up()
    page.keyboard.up("Shift")
    until(page, lambda: window_of(page) == pytest.approx([3, 3, 7, 7], abs=0.3))


def try_click(page, url):
    opened(page, url)
    page.mouse.click(*wall_cell(page, 2, 4, 4))
    drawn(page, f"{LAYER} 3 2")
    page.locator("#maps-thumbnails [data-sample='5']").click()
    drawn(page, f"{LAYER} 5 2")
    page.keyboard.press("ArrowRight")
    drawn(page, f"{LAYER} 6 2")


def try_tap(page, url, store):
    opened(page, url)
    x, y = wall_cell(page, 6, 4, 3)
    fingers = Fingers(page)
    fingers.tap(x, y)
    drawn(page, f"{LAYER} 3 6")
    lines = page.locator(".wall-tip").inner_text().split("\n")
    assert lines[:2] == ["filter 6", "y 4, x 3"]
    assert np.float32(lines[2]) == store.layers[LAYER].feature_maps(3)[4, 3, 6]
    settled(page)
    assert page.locator(".wall-tip").is_visible(), "it stays when the finger is lifted"
    page.get_by_role("button", name="Zoom into the wall").tap()
    window_of(page)
    x, y = wall_cell(page, 6, 4, 3)  # about which it zoomed; the page may have moved
    fingers.tap(x, y)
    fingers.tap(x + 4, y)
    until(page, lambda: "window" not in asked(page))


def try_tab(page, url):
    opened(page, url)
    page.locator("#maps-predicted").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "radio"
    page.keyboard.press("ArrowRight")
    until(page, lambda: asked(page).get("outcome") == "correct")


def try_wall_keys(page, url, store):
    opened(page, url, more="&filter=0")
    maps = store.layers[LAYER].feature_maps(3)
    height, width, _ = maps.shape
    to_wall(page)
    tip = page.locator(".wall-tip")

    def holds(filter_index, y, x):
        expected = f"filter {filter_index}\ny {y}, x {x}\n"
        until(page, lambda: tip.count() and tip.inner_text().startswith(expected))
        value = np.float32(tip.inner_text().split("\n")[2])
        assert value == maps[y, x, filter_index]
        words = f"filter {filter_index}, y {y}, x {x}, "
        until(page, lambda: page.inner_text("#maps-announcement").startswith(words))

    page.keyboard.press("ArrowDown")
    y, x = (int(place) for place in np.unravel_index(maps[..., 0].argmax(), (height, width)))
    holds(0, y, x)
    for _ in range(width - x):
        page.keyboard.press("ArrowRight")
    holds(1, y, 0)
    page.keyboard.press("PageDown")
    holds(2, y, 0)
    page.keyboard.press("PageUp")
    page.keyboard.press("ArrowLeft")
    holds(0, y, width - 1)
    page.keyboard.press("PageDown")
    page.keyboard.press("Enter")
    drawn(page, f"{LAYER} 3 1")
    largest = f"Filter 1 of {LAYER}, sample 3: largest"
    until(page, lambda: page.inner_text("#maps-announcement").startswith(largest))
    page.keyboard.press("+")
    before = window_of(page)
    assert before[3] == width, "about the cell"
    holds(1, y, width - 1)
    page.keyboard.press("Shift+ArrowLeft")
    until(page, lambda: window_of(page)[1] < before[1])


def try_help(page, url):
    opened(page, url)
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog")
    for meaning in HELP.values():
        dialog.get_by_text(meaning, exact=True).wait_for()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    page.keyboard.press("ArrowRight")
    drawn(page, f"{LAYER} 4 0")


def try_click_in_the_image(page, url):
    opened(page, url)
    box = page.locator("#maps-input").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator(".reactions-place").wait_for()
    until(page, lambda: asked(page)["at"].count(",") == 1)
    page.mouse.move(box["x"] + 10, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    until(page, lambda: asked(page)["at"].count(",") == 3)


def try_image_keys(page, url):
    opened(page, url)
    page.locator("#maps-input").focus()
    for key in ("ArrowDown", "Shift+ArrowRight", "Enter"):
        page.keyboard.press(key)
    page.locator(".reactions-place").wait_for()
    until(page, lambda: asked(page)["at"].count(",") == 3)
    page.keyboard.press("Escape")
    until(page, lambda: "at" not in asked(page))


def try_table_keys(page, url):
    page.goto(f"{url}overview")
    page.wait_for_selector("#overview-filters[data-rows]")
    settled(page)
    page.locator("#overview-filters [tabindex='0']").first.focus()
    for key in ("End", "PageUp", "Home", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    until(page, lambda: "/maps" in page.url)


def try_map_keys(page, url):
    page.goto(f"{url}samples")
    page.wait_for_selector("#samples-map[data-drawn]")
    settled(page)
    page.locator("#samples-map [tabindex='0']").first.focus()
    for key in ("ArrowRight", "PageDown", "PageDown", "PageUp", "Enter"):
        page.keyboard.press(key)
    until(page, lambda: asked(page).get("sample", "0") != "0")


TRIED = {
    "← →": [try_samples],
    "↑ ↓": [try_filters],
    "/": [try_goto],
    "+ −": [try_zoom_keys],
    "0, or double click": [try_all],
    "Ctrl or ⌘ and wheel": [try_wheel_zoom],
    "wheel, or one finger": [try_scroll, try_finger_scroll],
    "two fingers": [try_fingers],
    "drag": [try_box],
    "shift and drag": [try_move],
    "click": [try_click],
    "click in the input image": [try_click_in_the_image],
    "on the input image, after Tab": [try_image_keys],
    "tap": [try_tap],
    "Tab": [try_tab],
    "on Overview's tables, after Tab": [try_table_keys],
    "on the wall, after Tab": [try_wall_keys],
    "on the map of samples, after Tab": [try_map_keys],
    "?": [try_help],
}
TOUCHED = {try_finger_scroll, try_fingers, try_tap}


def test_each_line_of_the_help_list_is_tried():
    assert list(HELP) == list(TRIED)


@pytest.mark.parametrize("act", sampled(5, [act for acts in TRIED.values() for act in acts]))
def test_what_the_help_list_says_is_so(page_of, url, store, act):
    page = page_of(url, **(PHONE if act in TOUCHED else {}))
    wants_store = "store" in act.__code__.co_varnames[: act.__code__.co_argcount]
    act(page, url, **({"store": store} if wants_store else {}))


CLICKED = {
    "a segmented control": lambda page: (open_colors(page), page.get_by_text("1–99 %").click()),
    "a drop-down": lambda page: (
        page.get_by_role("textbox", name="Order of samples").click(),
        page.get_by_role("option", name="Index").click(),
    ),
    "a drop-down that was left": lambda page: (
        page.get_by_role("textbox", name="Layer", exact=True).click(),
        page.keyboard.press("Escape"),
    ),
    "a switch": lambda page: page.get_by_role("switch", name="Hide dead").click(force=True),
    "a slider": lambda page: page.locator("#maps-opacity [role=slider]").click(force=True),
    "an end of the color bar": lambda page: page.get_by_role("slider", name="High end").click(),
    "a menu": lambda page: (
        page.get_by_role("button", name="Save").click(),
        page.keyboard.press("Escape"),
    ),
    "the wall": lambda page: page.mouse.click(*wall_cell(page, 0, 4, 4)),
    "a button on the wall": lambda page: page.get_by_role(
        "button", name="All of the wall"
    ).click(),
    "a button of a field": lambda page: page.locator(
        ".mantine-NumberInput-control[data-direction=up]"
    ).nth(1).click(),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_steps_at_any_pace_are_all_taken(kept_page, url, seed):
    page = opened(kept_page, url, 0)
    for pause in np.random.default_rng(seed).uniform(0, 200, 15):  # ms
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(pause)
    drawn(page, f"{LAYER} 15 0")
    until(page, lambda: asked(page)["sample"] == "15")
    assert page.input_value("#maps-sample") == "15"


@pytest.mark.parametrize("control", sampled(2, CLICKED))
def test_keys_are_the_pages_after_a_click(kept_page, url, control):
    page = kept_page
    opened(page, url)
    CLICKED[control](page)
    now = 4 if control == "a button of a field" else 3
    drawn(page, f"{LAYER} {now} 0")
    settled(page)
    before = {key: value for key, value in asked(page).items() if key != "sample"}
    for key, sample in (("ArrowRight", now + 1), ("ArrowLeft", now), ("ArrowLeft", now - 1)):
        page.keyboard.press(key)
        drawn(page, f"{LAYER} {sample} 0")
    page.keyboard.press("ArrowDown")
    drawn(page, f"{LAYER} {now - 1} 1")
    until(page, lambda: asked(page)["filter"] == "1")
    after = {key: value for key, value in asked(page).items() if key != "sample"}
    assert after == before | {"filter": "1"}, "no control was changed by a key"
    page.keyboard.press("+")
    window_of(page)
    page.keyboard.press("0")
    until(page, lambda: "window" not in asked(page))
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()


def test_a_key_of_the_page_is_free_after_a_click_in_a_table(kept_page, url):
    page = kept_page
    visit(page, f"{url}classes?layer=conv2")
    ready(page, "classes-heatmap")
    page.locator(".ag-row .ag-cell").first.click()
    page.keyboard.press("/")
    page.keyboard.type("filter 2")
    page.keyboard.press("Enter")
    until(page, lambda: asked(page).get("filter") == "2")


def test_what_is_typed_and_what_is_open_keep_their_keys(kept_page, url):
    page = kept_page
    opened(page, url)
    page.get_by_role("textbox", name="Sample", exact=True).click()
    page.keyboard.press("Home")
    page.keyboard.press("Delete")
    page.keyboard.type("10")
    drawn(page, f"{LAYER} 10 0")
    page.get_by_role("textbox", name="Order of samples").click()
    page.get_by_role("option", name="Index").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    until(page, lambda: page.input_value("#maps-picked") != "Index")
    assert asked(page)["filter"] == "0"


# The outline of what has the focus, or, of an input that is not seen, of what stands for it.
OUTLINED = """() => {
  const at = document.activeElement;
  const isSeen = (element) => {
    const { outlineStyle, outlineWidth, outlineColor, opacity } = getComputedStyle(element);
    const { width, height } = element.getBoundingClientRect();
    return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 && opacity !== "0"
      && width > 4 && height > 4 && !outlineColor.endsWith(", 0)");
  };
  const stands = at.parentElement ? [at, ...at.parentElement.querySelectorAll("*")] : [at];
  const box = at.getBoundingClientRect();
  return { isBody: at === document.body, isSeen: stands.some(isSeen),
    at: `${at.tagName} ${at.className} ${at.id}`, top: box.top, bottom: box.bottom };
}"""


@pytest.mark.parametrize(
    ("name", "scheme"), sampled(2, [page.name for page in PAGES], ["light", "dark"])
)
def test_what_tab_reaches_is_seen_to_be(page_of, url, name, scheme):
    page = page_of(url, color_scheme=scheme, viewport={"width": 1280, "height": 720})
    page.goto(f"{url}{name}?layer=conv2")
    page.wait_for_selector(f".{name}-page")
    settled(page)
    stops = 0
    for _ in range(150):
        page.keyboard.press("Tab")
        state = page.evaluate(OUTLINED)
        if state["isBody"]:
            break
        stops += 1
        assert state["isSeen"], state["at"]
        assert state["bottom"] > 0, state
        assert state["top"] < 720, state
    assert stops > 8


@pytest.mark.parametrize("name", sampled(1, ["classes", "filter", "compare"]))
def test_the_first_link_leads_to_the_content(page, url, name):
    page.goto(f"{url}{name}")
    page.wait_for_selector(f".{name}-page")
    settled(page)
    page.keyboard.press("Tab")
    page.get_by_role("link", name="Skip to the content").wait_for()
    before = page.url
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "MAIN"
    assert page.url == before


def test_the_wall_and_the_graphs_say_what_they_show(page, url, store):
    opened(page, url)
    wall = page.get_by_role("application", name=f"Feature maps of 20 filters of {LAYER}, sample 3")
    described = wall.get_attribute("aria-describedby").split()
    until(page, lambda: "Filter 0 is selected" in page.inner_text("#maps-description"))
    words = " ".join(page.text_content(f"#{place}") for place in described)
    maps = store.layers[LAYER].feature_maps(3)
    largest = maps.max(axis=(0, 1))
    strongest = int(largest.argmax())
    assert f"Largest values: {largest[strongest]:.6g} in filter {strongest}," in words
    zero = np.flatnonzero((maps == 0).all(axis=(0, 1)))
    assert ("Zero everywhere: " in words) == bool(len(zero))
    low, high = store.layers[LAYER].filter_range()
    assert f"Colors go from {low.min():.6g} to {high.max():.6g}." in words
    assert "20 of 20 filters" in words
    ready(page, "maps-enlarged")
    page.get_by_role("figure", name=f"Filter 0 of {LAYER}, sample 3: largest").wait_for()
    assert page.inner_text("#maps-announcement") == "", "nothing has changed"
    page.keyboard.press("ArrowDown")
    words = page.get_by_text(f"Filter 1 of {LAYER}, sample 3: largest")
    until(page, lambda: words.count() == 2)
    page.goto(f"{url}classes?layer=conv2")
    ready(page, "classes-heatmap")
    table = store.layers["conv2"].statistic("mean")
    row, column = np.unravel_index(np.nanargmax(table), table.shape)
    where = f"largest {table[row, column]:.3g} at class {store.class_names[row]}, filter {column}"
    page.get_by_role("figure", name=where).wait_for()


def test_a_finger_on_a_graph_scrolls_the_page_and_a_tap_selects(page_of, url):
    page = page_of(url, **PHONE)
    page.goto(f"{url}classes?layer=conv2")
    ready(page, "classes-heatmap")
    graph = page.locator("#classes-heatmap")
    graph.scroll_into_view_if_needed()
    before = page.evaluate(SCROLLED)
    x, y = cell_position(page, "classes-heatmap", 1, 0)
    fingers = Fingers(page)
    fingers.move([(x, y), (x, y - 150)])
    until(page, lambda: page.evaluate(SCROLLED) > before + 80)
    assert graph.locator(".zoombox").count() == 0
    at_rest(page, lambda: page.evaluate(SCROLLED))  # a tap on a page that rolls only stops it
    fingers.tap(*cell_position(page, "classes-heatmap", 1, 0))
    until(page, lambda: asked(page).get("class") == "1")


@pytest.mark.parametrize("zoom", sampled(1, ["linked", "free"]))
def test_buttons_on_the_wall_zoom_and_are_large_enough(kept_page_of, url, zoom):
    for options, least in ({}, 24), (PHONE, 44):
        page = opened(kept_page_of(url, **options), url, more=f"&zoom={zoom}")
        buttons = [
            page.get_by_role("button", name=name)
            for name in ("Zoom into the wall", "Zoom out of the wall")
        ]
        for button in (*buttons, page.get_by_role("button", name="All of the wall")):
            box = button.bounding_box()
            assert min(box["width"], box["height"]) >= least
        buttons[0].click()
        window_of(page)
        buttons[1].click()
        until(page, lambda page=page: "window" not in asked(page))
        buttons[0].click()
        buttons[0].click()
        window_of(page)
        page.get_by_role("button", name="All of the wall").click()
        until(page, lambda page=page: "window" not in asked(page))
