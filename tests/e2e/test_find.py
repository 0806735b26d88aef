"""Finding: by typing, by turning pages, by the title, by the browser's Back, and by a link."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers.browsing import asked, drawn, open_colors, ready, settled, until, visit
from helpers.factories import sampled
from helpers.kernels import make_kernel_store
from helpers.servers import running

from dashboard import create_app
from dashboard.pages import PAGES
from dashboard.pages.state import FIELDS
from dashboard.stores.source import Source
from fmcore.capture import CaptureOptions, capture, plan_capture
from fmcore.dataset import LabelledImages, Preprocessing
from fmcore.records import Captured, GraphNode, LayerSpec, ModelGraph, ModelInfo

pytestmark = pytest.mark.browser

SHELF = "stores/"
LONG_PATHS = [
    f"outer_model/inner_backbone/very_long_name_of_a_block_{at}/residual/convolution_{at}_of_many"
    for at in range(4)
]
LONG_CLASSES = [
    f"{at:02d}_the_name_of_a_class_with_as_many_as_sixty_characters_{at:02d}" for at in range(11)
]
LONG_STORE = "a_store_with_a_very_long_name_of_its_file_" * 3
N_SAMPLES = 10_000


class TinyProbe:
    """Layers that are all alike, of three filters of 4×4 units."""

    def __init__(self, paths, n_classes: int) -> None:
        rng = np.random.default_rng(0)
        self._kernel = rng.normal(size=(1, 3)).astype("f4")
        self._output = rng.normal(size=(3, n_classes)).astype("f4")
        self.layers = tuple(
            LayerSpec(path, (4, 4, 3), kind="Conv2D", activation="relu") for path in paths
        )

    def __call__(self, images, others=None) -> Captured:
        maps = np.maximum(images @ self._kernel, 0)
        scores = np.exp(maps.mean(axis=(1, 2)) @ self._output)
        return Captured((maps,) * len(self.layers), scores / scores.sum(axis=1, keepdims=True))


def make(path: Path, paths, names, *, n: int) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, size=(n, 4, 4, 1), dtype=np.uint8)
    samples = LabelledImages(images, rng.integers(0, len(names), size=n))
    probe, options = TinyProbe(paths, len(names)), CaptureOptions(batch_size=512)
    plan = plan_capture(
        probe,
        samples,
        options,
        class_names=names,
        model=ModelInfo(
            "tiny",
            digest="0" * 64,
            architecture='{"layers": []}',
            graph=ModelGraph(
                tuple(GraphNode(path, "Conv2D", (4, 4, 3), 6, path) for path in paths),
                tuple(pairwise(range(len(paths)))),
            ),
            graph_words="as the model called its layers",
        ),
        dataset_name="random",
        dataset_source="random images",
        preprocessing=Preprocessing(scale=255.0),
    )
    capture(probe, samples, path, plan, options)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("find")
    make(folder / "many.h5", ["conv1", "conv2"], ["a", "b", "c"], n=N_SAMPLES)
    make(
        folder / "wide.h5",
        [f"stage{at // 20}/block{at // 4}/conv{at}" for at in range(40)],
        [f"kind {at}" for at in range(1000)],
        n=50,
    )
    make_kernel_store(folder / "kernels.h5")
    make(folder / "twin.h5", ["conv1", "conv2"], ["a", "b", "c"], n=50)
    for at in range(2):
        make(folder / f"{LONG_STORE}{at}.h5", LONG_PATHS, LONG_CLASSES, n=60)
    with running(create_app(Source(folder))) as url:
        yield url


def options(page) -> list[str]:
    return page.get_by_role("option").all_text_contents()


def choose(page, label: str, text: str) -> None:
    """Chooses by the keyboard alone what a text finds first."""
    settled(page)
    page.get_by_role("textbox", name=label, exact=True).focus()
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def opened(page, url: str, graph: str) -> None:
    page.goto(url)
    ready(page, graph)


def test_what_one_types_replaces_what_is_there_and_enter_takes_the_first_match(page_of, shelf):
    page = page_of(shelf)
    opened(page, f"{shelf}{SHELF}wide/classes?class=7", "classes-heatmap")
    assert page.evaluate("document.querySelectorAll('[role=option]').length") == 0
    box = page.get_by_role("textbox", name="Class", exact=True)
    box.click()
    page.get_by_role("option", name="kind 7", exact=True).wait_for()
    until(page, lambda: len(options(page)) == 1000)  # all of them, about the selected one
    page.keyboard.type("kind 77")
    until(page, lambda: options(page)[:2] == ["kind 77", "kind 770"])
    page.keyboard.press("Enter")
    until(page, lambda: asked(page)["class"] == "77")
    assert box.input_value() == "kind 77"

    page.keyboard.type("no such")
    page.get_by_text("No match", exact=True).wait_for()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    until(page, lambda: box.input_value() == "kind 77")
    settled(page)
    page.keyboard.type("kind 77")  # what is there, found once more, stays
    page.keyboard.press("Enter")
    until(page, lambda: box.input_value() == "kind 77")
    settled(page)
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    until(page, lambda: "class" not in asked(page))
    assert box.input_value() == ""

    choose(page, "Layer", "block7 30")  # words in any order
    until(page, lambda: asked(page)["layer"] == "stage1/block7/conv30")


SELECTS = {
    "maps": ("Layer", "Samples of class", "Order of samples", "Order of filters"),
    "layers": ("Samples of class",),
    "classes": ("Layer", "Class", "Compare with", "Statistic"),
    "filter": ("Layer", "Class"),
    "compare": ("Compare with (B)", "Layer of A", "Layer of B", "Statistic of classes"),
}


@pytest.mark.parametrize("name", sampled(2, SELECTS))
def test_every_drop_down_says_that_nothing_matches_and_comes_back(kept_page_of, shelf, name):
    page = kept_page_of(shelf)
    visit(page, f"{shelf}{SHELF}many/{name}?class=1")
    arrived(page, name)
    settled(page)
    for label in SELECTS[name]:
        box = page.get_by_role("textbox", name=label, exact=True)
        until(page, lambda box=box: box.count() == 1 and box.is_visible())
        settled(page)
        before = box.input_value()
        box.focus()
        page.keyboard.type("no such thing")
        page.get_by_text("No match", exact=True).wait_for()
        page.keyboard.press("Escape")
        until(page, lambda box=box, before=before: box.input_value() == before)


def note(page) -> str:
    return page.locator("#maps-turn-note").inner_text()


def samples(page) -> list[int]:
    return page.evaluate(
        "[...document.querySelectorAll('#maps-thumbnails [data-sample]')]"
        ".map((node) => Number(node.dataset.sample))"
    )


def test_thumbnails_go_on_to_the_last_of_ten_thousand_by_the_keyboard_too(kept_page_of, shelf):
    page = kept_page_of(shelf)
    visit(page, f"{shelf}{SHELF}many/maps")
    drawn(page, "conv1 0 0")
    settled(page)
    until(page, lambda: note(page) == "1–20 of 10,000")
    page.get_by_role("button", name="Next page of samples").focus()
    page.keyboard.press("Enter")
    until(page, lambda: note(page) == "21–40 of 10,000" and samples(page)[0] == 20)
    until(page, lambda: asked(page)["from"] == "20")
    page.get_by_role("button", name="Last page of samples").click()
    until(page, lambda: note(page) == "9,981–10,000 of 10,000" and samples(page)[-1] == 9999)
    settled(page)
    page.reload()
    until(page, lambda: samples(page)[-1:] == [9999])
    page.locator("#maps-thumbnails [data-sample='9999']").click()
    drawn(page, "conv1 9999 0")
    until(page, lambda: asked(page)["sample"] == "9999" and "from" not in asked(page))
    page.get_by_role("button", name="First page of samples").click()
    until(page, lambda: samples(page)[0] == 0)
    page.get_by_role("button", name="Next sample (→)").click()
    drawn(page, "conv1 0 0")  # on from 9,999, round the end


def test_an_order_of_all_samples_is_stepped_through_to_its_end(kept_page_of, shelf):
    page = kept_page_of(shelf)
    visit(page, f"{shelf}{SHELF}many/maps?by=unsure")
    drawn(page, "conv1 0 0")
    settled(page)
    page.get_by_role("button", name="Last page of samples").click()
    until(page, lambda: note(page) == "9,981–10,000 of 10,000" and len(samples(page)) == 20)
    last = samples(page)[-1]
    page.locator(f"#maps-thumbnails [data-sample='{last}']").click()
    drawn(page, f"conv1 {last} 0")
    page.get_by_text("10,000 of 10,000 that match, of 10,000 samples").wait_for()


def test_back_undoes_each_choice_and_no_step(page_of, shelf):
    page = page_of(shelf)
    page.goto(f"{shelf}{SHELF}many/maps?layer=conv1&sample=0&filter=0")
    drawn(page, "conv1 0 0")
    settled(page)
    choose(page, "Layer", "conv2")
    drawn(page, "conv2 0 0")
    until(page, lambda: asked(page)["layer"] == "conv2")
    outcome = page.get_by_role("radiogroup", name="Prediction")
    outcome.get_by_text("Correct", exact=True).click()
    until(page, lambda: asked(page).get("outcome") == "correct")
    settled(page)
    outcome.get_by_text("All", exact=True).click()
    until(page, lambda: "outcome" not in asked(page))
    settled(page)
    first = int(asked(page)["sample"])
    for steps in (1, 2, 3):
        page.get_by_role("button", name="Next sample (→)").click()
        drawn(page, f"conv2 {first + steps} 0")
    until(page, lambda: asked(page)["sample"] == str(first + 3))
    picked = next(sample for sample in samples(page) if sample > first + 3)
    page.locator(f"#maps-thumbnails [data-sample='{picked}']").click()
    until(page, lambda: asked(page)["sample"] == str(picked))
    settled(page)
    page.get_by_role("banner").get_by_role("link", name="Classes", exact=True).click()
    ready(page, "classes-heatmap")
    choose(page, "Statistic", "standard")
    until(page, lambda: "statistic" in asked(page))
    settled(page)

    settled(page)
    page.go_back()
    until(page, lambda: page.input_value("#classes-statistic") == "Mean")
    page.locator("#classes-filters .ag-row").first.wait_for()
    settled(page)
    page.go_back()
    drawn(page, f"conv2 {picked} 0")
    settled(page)
    page.go_back()
    drawn(page, f"conv2 {first + 3} 0")
    settled(page)
    page.go_back()
    page.wait_for_selector("#maps-outcome input[value=correct]:checked", state="attached")
    settled(page)
    page.go_back()
    page.wait_for_selector("#maps-outcome input[value=all]:checked", state="attached")
    drawn(page, "conv2 0 0")
    settled(page)
    page.go_back()
    drawn(page, "conv1 0 0")
    assert page.input_value("#maps-layer").startswith("conv1")
    settled(page)
    page.go_forward()
    drawn(page, "conv2 0 0")
    settled(page)
    assert asked(page) == {"layer": "conv2", "sample": "0", "filter": "0"}


def test_the_title_names_layer_page_and_store_and_follows(page_of, shelf):
    page = page_of(shelf)
    page.goto(shelf)
    assert page.title() == "Stores · Feature Map Dashboard"
    page.goto(f"{shelf}{SHELF}many/maps?layer=conv2")
    assert page.title() == "conv2 · Feature maps · many"
    drawn(page, "conv2 0 0")
    choose(page, "Layer", "conv1")
    until(page, lambda: page.title() == "conv1 · Feature maps · many")
    page.get_by_role("banner").get_by_role("link", name="Filter", exact=True).click()
    until(page, lambda: page.title() == "conv1 · filter 0 · Filter · many")
    page.get_by_role("button", name="Next filter (↓)").click()
    until(page, lambda: page.title() == "conv1 · filter 1 · Filter · many")
    page.go_back()
    until(page, lambda: page.title() == "conv1 · Feature maps · many")


@pytest.mark.parametrize("width", sampled(1, [390, 1280]))
def test_long_names_leave_nothing_beside_the_page_and_are_whole_on_hover(
    kept_page_of, shelf, width
):
    page = kept_page_of(shelf, viewport={"width": width, "height": 800})
    pages = [(view.name, f"{SHELF}{LONG_STORE}0/{view.name}?class=3") for view in PAGES]
    for name, address in [("stores", ""), *pages]:
        visit(page, f"{shelf}{address}")
        page.wait_for_selector("main")
        settled(page)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{name} is {wide} px wide"
        outside = page.evaluate(OUTSIDE)
        assert outside == [], f"{name}: {outside}"
        if name in ("maps", "classes", "filter"):
            box = page.locator(f"#{name}-class")
            assert "…" in box.input_value()
            box.hover()
            assert box.get_attribute("title") == LONG_CLASSES[3]


# Words that lie beside the card that they are in, or over its edge, and do not scroll.
OUTSIDE = """
[...document.querySelectorAll("main .mantine-Paper-root")].flatMap((card) => {
  const right = card.getBoundingClientRect().right + 1;
  const walker = document.createTreeWalker(card, NodeFilter.SHOW_TEXT);
  const words = [];
  while (walker.nextNode()) {
    const { parentElement: place } = walker.currentNode;
    const cut = place.closest("[style*=overflow], .table-grid, .filter-strip, .filter-commands");
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    const box = range.getBoundingClientRect();
    const scrolls = (node) => node && node !== card
      && (getComputedStyle(node).overflowX !== "visible" || scrolls(node.parentElement));
    if (!cut && box.width && box.right > right && !scrolls(place)) {
      words.push(walker.currentNode.textContent.slice(0, 60));
    }
  }
  return words;
})
"""


# How a person changes each field on a page, and the value that the link then has: by the visible
# name of the control.
def _choose(label, text):
    return lambda page: choose(page, label, text)


def _press(words):
    return lambda page: page.get_by_text(words, exact=True).first.click()


def _number(label, value):
    return lambda page: page.get_by_role("textbox", name=label, exact=True).fill(value)


def _click(name):
    return lambda page: page.get_by_role("button", name=name).first.click()


def _switch(name):
    return lambda page: page.get_by_role("switch", name=name).click()


def _head(words):
    return lambda page: page.get_by_role("columnheader", name=words, exact=True).first.click()


def _both(*changes):
    return lambda page: [(settled(page), change(page)) for change in changes]


def _drag(page) -> None:
    box = page.locator(".wall canvas").first.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 80, steps=4)
    page.mouse.up()


def _in_colors(act):
    """What is done in the controls that the button Colors opens."""

    def do(page) -> None:
        open_colors(page)
        act(page)

    return do


def _click_image(page) -> None:
    page.locator("#maps-input").click(position={"x": 20, "y": 20})


def _compare_one_layer(page) -> None:
    _click_image(page)
    page.get_by_text("This layer", exact=True).click()


def _third_row(page) -> None:
    page.locator("#contrast-filters .rows .row").nth(2).click()


def _other_filter(page) -> None:
    """A row of a filter that has another number than the selected one, in whichever layer."""
    rows = page.locator("#contrast-filters .rows .row").all()
    numbers = [row.locator("> *").nth(1).inner_text() for row in rows]
    rows[next(at for at, n in enumerate(numbers) if n != asked(page)["filter"])].click()


def _other_layer(page) -> None:
    """A row of the layer that the selected filter is not of."""
    layer = "conv2" if asked(page)["layer"] == "conv1" else "conv1"
    page.locator("#contrast-filters .rows .row", has_text=layer).first.click()


def _click_wall(page) -> None:
    page.locator("#maps-wall canvas").first.click(position={"x": 20, "y": 40})


CHOICES = {
    "overview": {
        "layer": _choose("Layer", "conv2"),
        "find_all": _number("Find filters", "conv2"),
        "sort_all": _head("Its AUC"),
        "sort_classes": _head("Class"),
        "network_color": _choose("Colors", "exact"),
        "network_open": _click("Unfold all"),
    },
    "maps": {
        "layer": _choose("Layer", "conv2"),
        "sample": _number("Sample", "5"),
        "filter_index": _number("Filter", "2"),
        "class_index": _choose("Samples of class", "b"),
        "predicted": _choose("Predicted class", "b"),
        "outcome": _press("Wrong"),
        "group": _number("Group of samples", "0:5"),
        "picked": _choose("Order of samples", "least"),
        "first_sample": _click("Next page of samples"),
        "color_range": _in_colors(_press("Each map")),
        "color_ends": _in_colors(_number("High end", "0.5")),
        "colors": _in_colors(_choose("Scale", "magma")),
        "color_norm": _in_colors(_press("Symlog")),
        "inversion": _in_colors(_switch("Inverted scale")),
        "filter_order": _choose("Order of filters", "mean"),
        "dead": _switch("Hide dead filters"),
        "zeros": _in_colors(_switch("Mark exact zeros")),
        "zoom": _press("Free"),
        "window": _drag,
        "place": _click_image,
        "among": _compare_one_layer,
        "unit": _click_wall,
    },
    "layers": {
        "sample": _number("Sample", "5"),
        "class_index": _choose("Samples of class", "b"),
        "predicted": _choose("Predicted class", "b"),
        "outcome": _press("Wrong"),
        "group": _number("Group of samples", "0:5"),
        "summary": _press("PCA colors"),
        "region": _click("Zoom into all rows"),
    },
    "classes": {
        "layer": _choose("Layer", "conv2"),
        "filter_index": _number("Filter", "2"),
        "class_index": _choose("Class", "b"),
        "against": _choose("Compare with", "c"),
        "statistic": _choose("Statistic", "standard"),
        "arrangement": _press("Similarity"),
        "find": _number("Find filters", "dead"),
        "sort": _head("Filter"),
        "group_a": _number("Group A", "0:5"),
        "group_b": _number("Group B; empty for all others", "5:9"),
    },
    "filter": {
        "layer": _choose("Layer", "conv2"),
        "filter_index": _number("Filter", "2"),
        "class_index": _choose("Class", "b"),
        "first_class": _click("2"),
        "scale": _press("Linear"),
        "crop": _switch("Crop images to what the unit sees"),
        "group_a": _number("Group A", "0:5"),
        "group_b": _number("Group B; empty for all others", "5:9"),
    },
    "kernels": {
        "layer": _choose("Layer", "deep"),
        "filter_index": _number("Filter", "2"),
        "plane": _number("Input plane", "1"),
        "kernel_view": _press("One plane"),
        "kernel_part": _both(_choose("Layer", "separable"), _press("Depthwise")),
        "kernel_range": _press("Each kernel"),
        "kernel_tile": _press("Largest"),
        "kernel_order": _choose("Order", "l2"),
        "kernel_window": _drag,
    },
    "errors": {
        "class_index": _choose("Label", "b"),
        "predicted": _choose("Prediction", "b"),
        "confusion_share": _press("Share of label"),
        "confusion_order": _press("Confusion"),
        "find_class": _number("Find classes", "a"),
        "sort_errors": _head("F1"),
    },
    "contrast": {
        "layer": _other_layer,
        "filter_index": _other_filter,
        "group_a": _number("Group A", "0:7"),
        "group_b": _number("Group B", "7:12"),
        "pooled": _press("Largest"),
        "focus": _third_row,
        "find_contrast": _number("Find filters", "conv2"),
        "sort_contrast": _head("q"),
    },
    "samples": {
        "layer": _both(_choose("Color", "activation"), _choose("Layer of filter", "conv2")),
        "sample": _number("Sample", "5"),
        "filter_index": _both(_choose("Color", "activation"), _number("Filter", "2")),
        "group": _number("Expression", "0:5"),
        "map_table": _choose("Map of", "conv1"),
        "map_pooling": _press("Largest"),
        "map_method": _press("UMAP"),
        "map_color": _choose("Color", "prediction"),
        "map_only": lambda page: page.locator(".samples-entry").first.click(),
        "map_window": _drag,
    },
    "compare": {
        "with_store": _choose("Compare with (B)", "twin"),
        "layer": _choose("Layer of A", "conv2"),
        "other": _choose("Layer of B", "block_2"),
        "filter_index": _number("Filter of A", "2"),
        "other_filter": _number("Filter of B", "1"),
        "pairing": _press("One to one"),
        "sample": _number("Sample", "5"),
        "statistic": _choose("Statistic of classes", "standard"),
        "sort": _head("Filter of B"),
    },
}
# A graph that is there when the page is.
GRAPHS = {
    "overview": "overview-cka",
    "maps": "maps-enlarged",
    "classes": "classes-heatmap",
    "filter": "filter-histogram",
    "errors": "errors-matrix",
    "contrast": "contrast-distribution",
    "compare": "compare-maps-a",
}
# On a page that the first store has too little for.
OTHER_STORE = {("filter", "first_class"): "wide", ("overview", "network_open"): "wide"}
# What a link must say for a page to have something.
QUERIES = {"contrast": "filter=0&a=0%3A5"}
OTHER_STORE |= {("kernels", field): "kernels" for field in CHOICES["kernels"]}


def arrived(page, name: str) -> None:
    """Waits for a page with what takes longest on it."""
    if name in GRAPHS:
        ready(page, GRAPHS[name])
    elif name == "samples":  # a map, or why there is none
        page.locator("#samples-map[data-drawn], #samples-message:not(:empty)").first.wait_for()
    else:
        page.wait_for_selector(f".{name}-page [data-drawn]")


def test_every_control_of_every_page_is_tried():
    assert {page.name: set(page.controls) for page in PAGES} == {
        name: set(choices) for name, choices in CHOICES.items()
    }
    assert {name for choices in CHOICES.values() for name in choices} == set(FIELDS)


def held(page, name: str) -> list:
    """What the controls of a page hold; an empty text is none."""
    controls = next(registered.controls for registered in PAGES if registered.name == name)
    return page.evaluate(
        """(ids) => ids.map(([id, property]) =>
          window.dash_component_api.getLayout(id).props[property] ?? "")""",
        [[control.id, control.prop] for control in controls.values()],
    )


# The store has no map by UMAP, and a browser says on its console that the server refused it.
REFUSED = {("samples", "map_method")}
ALL_CHOICES = [
    (name, field)
    for name, choices in CHOICES.items()
    for field in choices
    if (name, field) not in REFUSED
]


@pytest.mark.parametrize(
    ("name", "field"),
    sampled(5, ALL_CHOICES),
)
def test_what_is_chosen_is_in_the_link_and_the_link_opens_to_it(kept_page_of, shelf, name, field):
    page = kept_page_of(shelf)
    store = OTHER_STORE.get((name, field), "many")
    visit(page, f"{shelf}{SHELF}{store}/{name}?{QUERIES.get(name, 'filter=0')}")
    arrived(page, name)
    settled(page)
    key = FIELDS[field].key
    before = asked(page).get(key)
    CHOICES[name][field](page)
    until(page, lambda: asked(page).get(key) != before)
    settled(page)
    link, values = page.url, held(page, name)
    page.goto("about:blank")
    page.goto(link)
    arrived(page, name)
    until(page, lambda: held(page, name) == values)
    settled(page)
    assert page.url == link
    assert held(page, name) == values


def test_the_search_and_the_order_of_the_stores_are_in_the_link(page_of, shelf):
    page = page_of(shelf)
    page.goto(shelf)
    page.get_by_role("row", name=re.compile("wide")).wait_for()
    page.get_by_role("textbox", name="Search the stores").fill("any")
    until(page, lambda: asked(page) == {"find": "any"})
    page.get_by_role("columnheader", name="Store").click()
    until(page, lambda: asked(page) == {"find": "any", "sort": "name.asc"})
    page.reload()
    page.get_by_role("link", name="many").wait_for()
    settled(page)
    assert page.get_by_role("link", name="wide").count() == 0
    assert page.input_value("#stores-search") == "any"
    assert page.locator(".ag-header-cell[aria-sort=ascending]").inner_text().strip() == "Store"
