"""Classes in Chromium: what is shown equals the file, and a person finds what they came for."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest
from helpers.browsing import asked, cell_position, hover, ready, settled, until, visit
from helpers.factories import sampled

from fmcore.numbers import share_text

pytestmark = pytest.mark.browser
LAYER = "block/conv 1"
LINK = "classes?layer=block%2Fconv+1&statistic=auc_mean"


def opened(page, url, link=LINK):
    visit(page, url + link)
    ready(page, "classes-heatmap")
    page.locator(".ag-row").first.wait_for()
    settled(page)


def column(page, field: str) -> list[str]:
    """What the table shows in a column, from the first row on."""
    cells = page.locator(f"#classes-filters .ag-row .ag-cell[col-id='{field}']")
    found = {
        int(one.locator("xpath=..").get_attribute("row-index")): one.inner_text()
        for one in cells.all()
    }
    return [text for _, text in sorted(found.items())]


def hover_map(page, graph: str, y: int, x: int) -> float:
    """What the hover says of a cell of a map, once what is above has its height."""
    said: list[str] = []

    def there() -> bool:
        said[:] = hover(page, graph, y, x).split(" | ")
        return said[0] == f"y {y}, x {x}"

    until(page, there)
    return number(said[1])


def number(text: str) -> float:
    return float(text.replace("−", "-"))


@pytest.fixture
def page(kept_page):
    return kept_page


def test_from_a_cell_to_its_mean_map_the_other_class_and_the_difference(page, url, store):
    layer = store.layers[LAYER]
    opened(page, url, "classes?layer=block%2Fconv+1&statistic=max&arrange=value")
    values = layer.statistic("max")
    order = np.argsort(-np.fmax.reduce(values), kind="stable")
    said = hover(page, "classes-heatmap", 1, 0).split(" | ")
    assert said[0] == f"class one, filter {order[0]}"
    assert float(said[1]) == pytest.approx(values[1, order[0]], rel=1e-8)

    page.mouse.click(*cell_position(page, "classes-heatmap", 1, 0))
    page.wait_for_url(f"**filter={order[0]}&class=1**")
    page.get_by_text(f"Filter {order[0]} of {LAYER}, class one").wait_for()
    page.get_by_role("button", name="All numbers of this class and filter").click()
    row = page.locator("#classes-numbers tr", has_text="Maximum")
    row.get_by_text(f"{values[1, order[0]]:.6g}", exact=True).first.wait_for()
    ready(page, "classes-mean-maps-selected")
    mean = layer.mean_map(1, order[0])
    until(
        page, lambda: np.float32(hover_map(page, "classes-mean-maps-selected", 3, 1)) == mean[3, 1]
    )

    page.click("#classes-against")
    page.get_by_role("option", name="zero").click()
    page.wait_for_url("**against=0**")
    ready(page, "classes-mean-maps-difference")
    difference = pytest.approx(float(mean[3, 1] - layer.mean_map(0, order[0])[3, 1]), rel=1e-6)
    until(page, lambda: hover_map(page, "classes-mean-maps-difference", 3, 1) == difference)
    stored, bounds = layer.histogram()
    counts = stored[...]
    share = counts[1, order[0], bounds[1] == 0][0] / counts[1, order[0]].sum()
    legend = page.locator("#classes-distribution-note")
    legend.get_by_text(f"class one: {share_text(share)} exactly zero").wait_for()


def test_a_class_without_samples_says_so(page, url):
    opened(page, url, LINK + "&class=1&filter=2")
    page.click("#classes-class")
    page.get_by_role("option", name="<b>three</b>").click()
    page.locator("#classes-mean-maps-selected").get_by_text("No mean map: no samples").wait_for()
    page.locator("#classes-distribution").get_by_text("No distribution: no samples").wait_for()
    page.click("#classes-class")
    page.get_by_role("option", name="one").click()
    page.get_by_text("No distribution: no samples").first.wait_for(state="detached")


def test_the_chance_of_a_cell_and_how_many_are_gray(page, url, store):
    layer = store.layers[LAYER]
    values, (low, high) = layer.statistic("auc_mean"), layer.chance("auc_mean")
    opened(page, url)
    said = hover(page, "classes-heatmap", 1, 2).split(" | ")
    assert float(said[1]) == pytest.approx(values[1, 2], rel=1e-8)
    assert said[2] == f"by chance {low[1, 2]:.4g} to {high[1, 2]:.4g}"
    within = (values >= low) & (values <= high)
    legend = page.locator("#classes-heatmap-legend").inner_text()
    assert f"{within.sum()} of {np.isfinite(values).sum()} cells are within chance" in legend


def test_the_table_sorts_by_number_finds_and_selects(page, url, store):
    layer = store.layers[LAYER]
    opened(page, url, LINK + "&class=1")
    auc = layer.statistic("auc_mean")[1]
    page.locator(".ag-header-cell[col-id='auc_mean']").click()
    known = sorted(auc[np.isfinite(auc)], reverse=True)
    until(page, lambda: column(page, "auc_mean")[0] == f"{known[0]:.4g}")
    shown = [number(text) for text in column(page, "auc_mean")[: len(known)]]
    assert shown == pytest.approx(known, rel=1e-3)

    page.get_by_label("Find filters").fill("dead")
    dead = np.flatnonzero(layer.health().findings["dead"])
    page.get_by_text(f"{len(dead)} of 20 filters", exact=True).wait_for()
    assert set(column(page, "health")) == {"dead"}
    page.get_by_label("Find filters").fill("")
    page.get_by_text("20 of 20 filters", exact=True).wait_for()

    page.locator(".ag-row[row-id='7'] .ag-cell[col-id='health']").click()
    page.wait_for_url("**filter=7&**")
    assert page.input_value("#classes-filter") == "7"
    page.fill("#classes-filter", "2")
    page.wait_for_url("**filter=2&**")
    page.locator(".ag-row-selected[row-id='2']").first.wait_for()
    page.locator(".ag-row[row-id='5'] .ag-cell[col-id='health']").click()
    page.wait_for_url("**filter=5&**")
    page.locator(".ag-row-selected[row-id='5']").first.wait_for()


def test_the_keyboard_alone_selects_a_row(page, url):
    opened(page, url)
    page.locator(".ag-row[row-id='0'] .ag-cell[col-id='health']").click()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.wait_for_url("**filter=3&**")


def test_the_csv_holds_the_numbers_of_the_file(page, url, store):
    layer = store.layers[LAYER]
    opened(page, url, LINK + "&class=1")
    with page.expect_download() as saving:
        page.get_by_role("button", name="Download CSV").click()
    assert saving.value.suggested_filename == "tiny-block_conv_1-filters-class1.csv"
    with saving.value.path().open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["Filter"]) for row in rows] == list(range(20))
    for header, expected in (
        ("AUC for one", layer.statistic("auc_mean")[1]),
        ("AP for one", layer.statistic("ap_mean")[1]),
        ("d′ for one", layer.statistic("dprime_mean")[1]),
        ("η²", layer.statistic("eta2_mean")),
        ("APoZ", layer.statistic("apoz")),
    ):
        found = np.array([float(row[header] or "nan") for row in rows])
        np.testing.assert_array_equal(found, expected)
    assert {row["AP's verdict"] for row in rows} <= {
        "", "below chance", "within chance", "above chance",
    }  # fmt: skip
    assert [row["Health"] for row in rows][:2] == ["dead", "dead"]


def test_a_new_user_finds_a_dead_filter_and_the_strongest_of_a_class(page, url, store):
    layer = store.layers[LAYER]
    visit(page, url)
    page.get_by_role("banner").get_by_role("link", name="Classes").click()
    ready(page, "classes-heatmap")
    page.get_by_text(re.compile(r"14 dead \(filters 0, 1, 3")).wait_for()
    page.get_by_role("textbox", name="Class", exact=True).click()
    page.get_by_role("option", name="one", exact=True).click()
    best = int(np.nanargmax(layer.statistic("auc_mean")[1]))
    page.get_by_role("button", name=re.compile("Strongest for class one")).click()
    page.wait_for_url(f"**filter={best}&class=1**")
    page.get_by_text(f"Filter {best} of {LAYER}, class one").wait_for()


def test_a_link_restores_everything_and_leads_on(page, url, store):
    link = f"{LINK}&sample=3&filter=2&class=1&against=0&arrange=cluster"
    opened(page, url, link)
    for control, expected in (
        ("layer", "block/conv 1 · 20 filters"),
        ("filter", "2"),
        ("class", "one"),
        ("against", "zero"),
        ("statistic", "ROC-AUC of pooled mean"),
    ):
        assert page.input_value(f"#classes-{control}") == expected
    page.get_by_text("Classes and filters with similar values side by side").wait_for()
    settled(page)
    before = asked(page)
    assert before == {
        "layer": LAYER, "statistic": "auc_mean", "sample": "3", "filter": "2", "class": "1",
        "against": "0", "arrange": "cluster",
    }  # fmt: skip
    of_class = np.flatnonzero(store.labels == 1)
    best = of_class[store.layers[LAYER].pooled("max")[of_class, 2].argmax()]
    page.get_by_text("Feature maps of its strongest sample").click()
    page.wait_for_url(f"**/maps?**sample={best}&**class=1**")
    page.go_back()
    page.wait_for_url("**/classes?**")
    ready(page, "classes-heatmap")
    settled(page)
    assert asked(page) == before
    page.get_by_text("Everything about filter 2").click()
    page.wait_for_url("**/filter?**filter=2&**class=1**")


@pytest.mark.parametrize("scheme", sampled(1, ["light", "dark"], seed=2))
def test_it_fits_a_window_and_a_phone(page_of, url, scheme):
    page = page_of(url, color_scheme=scheme)
    for width, height in ((1280, 900), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        opened(page, url, LINK + "&class=1&against=0&filter=2")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        ground = page.evaluate(
            "getComputedStyle(document.querySelector('.ag-root-wrapper')).backgroundColor"
        )
        body = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == body, "the table follows the page's colours"
