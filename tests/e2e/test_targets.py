"""The pages on a store of several labels, as a person opens them: not one word on the console."""

from __future__ import annotations

import re

import pytest
from helpers.browsing import drawn, ready, settled, until
from helpers.factories import TARGET_NAMES, make_target_store, target_filter
from helpers.servers import running

from dashboard import create_app
from dashboard.stores.source import Source
from fmcore.records import Target

pytestmark = pytest.mark.browser
N = 120


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    for name in ("first", "second"):
        make_target_store(folder / f"{name}.h5", Target.LABELS, N)
    with running(create_app(Source(folder))) as url:
        yield url


def read(page, tmp_path, name: str) -> str:
    """What a page says when all of it is there."""
    settled(page)
    page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
    words = page.locator("main").inner_text()
    assert not re.search(r"class all|(?m:^all$)|predicted all|label all", words)
    return words


def test_every_page_opens_and_calls_no_label_a_class(page_of, labels, tmp_path):
    page = page_of(labels)
    page.goto(labels)
    page.wait_for_selector(".ag-row")
    assert page.locator(".ag-row", has_text="labels right 0.").count() == 2
    page.goto(f"{labels}stores/first/maps?layer=block%2Fconv+1&filter={target_filter(N)}&sample=3")
    drawn(page, f"block/conv 1 3 {target_filter(N)}")
    settled(page)
    page.wait_for_selector(".thumbnail")
    until(page, lambda: page.locator(".sample-targets tbody tr").count() == 3)
    words = read(page, tmp_path, "maps")
    assert all(name in words for name in TARGET_NAMES[Target.LABELS])
    for away in ("maps-class", "maps-outcome", "maps-probability"):
        assert not page.locator(f"#{away}").is_visible()
    page.keyboard.press("ArrowRight")
    drawn(page, f"block/conv 1 4 {target_filter(N)}")
    page.locator("#goto").fill("class 0")
    page.keyboard.press("Enter")
    page.get_by_text("samples have no classes").wait_for()

    page.locator("nav a", has_text="Classes").click()
    page.wait_for_selector("#classes-heatmap .nsewdrag")
    page.wait_for_selector("#classes-filters .ag-row")
    page.wait_for_selector("#classes-mean-maps-selected .nsewdrag")
    assert "--statistic label_auc` has the scores of each label" in read(page, tmp_path, "classes")
    assert not page.locator("#classes-class").is_visible()
    page.locator("#classes-heatmap .nsewdrag").click(position={"x": 5, "y": 20})
    until(page, lambda: page.locator("#classes-filter").input_value() == "0")
    assert "class=" not in page.url
    read(page, tmp_path, "clicked")

    page.locator("nav a", has_text="Filter").click()
    ready(page, "filter-histogram")  # hidden where the filter is dead
    page.wait_for_selector("#filter-scores .plain-table")
    words = read(page, tmp_path, "filter")
    assert "True labels: " in words
    assert "AUC" not in words
    assert not page.locator("#filter-class").is_visible()

    page.locator("nav a", has_text="Compare").click()
    page.wait_for_selector("#compare-classes-difference .nsewdrag")
    page.wait_for_selector("#compare-filters .ag-row")
    assert "True labels: " in read(page, tmp_path, "compare")
