"""What people come for, by keyboard alone: no pointer, nothing but keys, and what the page says."""

from __future__ import annotations

import io
import re
import shutil

import numpy as np
import pytest
from helpers.browsing import asked, drawn, ready, settled, until, visit
from helpers.factories import DEAD_FILTER
from helpers.servers import running

from dashboard import create_app
from dashboard.stores.source import Source
from fmcore import open_store

pytestmark = pytest.mark.browser

MOST_TABS = 150
# What has the focus: its accessible name, near enough, and whether one sees that it has it.
FOCUSED = """() => {
  const node = document.activeElement;
  const labels = [node.getAttribute("aria-label"), ...[...(node.labels ?? [])].map(
    (label) => label.textContent), node.placeholder, node.textContent, node.title];
  const style = getComputedStyle(node);
  const around = node.closest("label, .mantine-Input-wrapper, .mantine-SegmentedControl-root, "
    + ".ag-root") ?? node;
  const isRinged = (element) => {
    const { outlineStyle, outlineWidth, boxShadow, borderColor } = getComputedStyle(element);
    return (outlineStyle !== "none" && parseFloat(outlineWidth) > 0) || boxShadow !== "none"
      || node.matches("input") && borderColor !== "";
  };
  return { tag: node.tagName, name: (labels.find((text) => text && text.trim()) ?? "").trim(),
    isVisible: style.visibility !== "hidden", isRinged: isRinged(node) || isRinged(around) };
}"""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, digits_store):
    folder = tmp_path_factory.mktemp("shelf")
    for name in ("early", "late"):
        shutil.copyfile(digits_store, folder / f"{name}.h5")
    with running(create_app(Source(folder))) as url, open_store(digits_store) as store:
        yield url, store


def tab_to(page, name: str, tag: str = "") -> None:
    """Presses Tab until what is called so has the focus, which one must see wherever it is."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUSED)
        if re.match(name, focus["name"]) and tag in ("", focus["tag"]):
            assert focus["isRinged"], f"{focus['name']} does not show that it has the focus"
            return
    pytest.fail(f"{MOST_TABS} times Tab and nothing called {name!r}")


def pick(page, control: str, text: str) -> None:
    """Chooses from a list by typing a part of what is wanted."""
    settled(page)
    tab_to(page, control)
    page.keyboard.press("ArrowDown")  # opens it
    page.get_by_role("listbox").wait_for()
    page.keyboard.type(text)
    page.keyboard.press("Enter")
    page.get_by_role("listbox").wait_for(state="detached")


def open_maps(kept_page_of, url: str):
    """A page at the maps of the first store."""
    page = kept_page_of(url)
    visit(page, f"{url}stores/early/maps")
    drawn(page, "conv1 0 0")
    settled(page)
    return page


def open_filter_7(kept_page_of, url: str):
    """The page of a filter, by its name under "Go to"."""
    page = open_maps(kept_page_of, url)
    page.keyboard.press("/")
    page.keyboard.type("conv2 filter 7")
    page.keyboard.press("Enter")
    drawn(page, "conv2 0 7")
    go(page, "Filter")
    page.get_by_role("heading", name="conv2 · filter 7").wait_for()
    settled(page)
    return page


def go(page, name: str) -> None:
    """To another page of the store, by its link in the navigation."""
    page.keyboard.press("Escape")
    tab_to(page, f"{name}$", "A")
    page.keyboard.press("Enter")


def test_from_the_list_of_stores_over_the_first_page_of_a_store_to_its_maps(page_of, shelf):
    url, _ = shelf
    page = page_of(url)
    page.goto(url)
    page.wait_for_selector(".ag-row")
    tab_to(page, "Store$")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("#overview-filters[data-rows]")
    tab_to(page, "Feature maps$")
    page.keyboard.press("Enter")
    drawn(page, "conv1 0 0")


def test_the_dead_filters_of_conv2(kept_page_of, shelf):
    url, _ = shelf
    page = open_maps(kept_page_of, url)
    go(page, "Classes")
    ready(page, "classes-heatmap")
    pick(page, "Layer", "conv2")
    sentence = page.get_by_text(re.compile(r"Of 32 filters: \d+ dead"))
    sentence.wait_for()
    dead = re.search(r"dead \(filters? ([\d, ]+)\)", sentence.inner_text())[1]
    assert str(DEAD_FILTER) in dead.split(", ")


def test_what_filter_7_sees(kept_page_of, shelf):
    url, store = shelf
    page = open_filter_7(kept_page_of, url)
    largest = int(store.layers["conv2"].pooled("max")[:, 7].argmax())
    page.get_by_role("img", name=re.compile(rf"Sample {largest}\b")).first.wait_for()
    tab_to(page, "Feature maps of its strongest sample")
    page.keyboard.press("Enter")
    drawn(page, f"conv2 {largest} 7")


def test_two_classes_beside_each_other(kept_page_of, shelf):
    url, _ = shelf
    page = open_maps(kept_page_of, url)
    go(page, "Classes")
    ready(page, "classes-heatmap")
    pick(page, "Class$", "3")
    pick(page, "Compare with", "8")
    page.get_by_text(re.compile(r"class 3 \(.*\) against class 8")).wait_for()
    assert (asked(page)["class"], asked(page)["against"]) == ("3", "8")


def test_two_stores_beside_each_other(kept_page_of, shelf):
    url, _ = shelf
    page = open_maps(kept_page_of, url)
    go(page, "Compare")
    ready(page, "compare-cka")
    pick(page, "Layer of A", "conv2")
    until(page, lambda: asked(page)["layer"] == "conv2")
    page.get_by_text(re.compile("Both are of one model")).wait_for()


def test_the_array_of_one_filter(kept_page_of, shelf):
    url, store = shelf
    page = open_filter_7(kept_page_of, url)
    tab_to(page, "Download its feature map")
    with page.expect_download() as caught:
        page.keyboard.press("Enter")
    values = np.load(io.BytesIO(caught.value.path().read_bytes()))
    layer = store.layers["conv2"]
    largest = int(layer.pooled("max")[:, 7].argmax())
    assert np.array_equal(values.squeeze(), layer.feature_maps(largest)[..., 7])
