"""Costs of filters in Chromium: found in a table, as a heatmap, as samples, and as a curve."""

from __future__ import annotations

import re
import shutil

import pytest
from helpers.ablations import USELESS, make_ablation
from helpers.browsing import asked, ready, settled, visit
from helpers.servers import running
from playwright.sync_api import expect

from dashboard.app import create_app
from dashboard.stores.source import Source

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def ablated(store_path, tmp_path_factory):
    own = shutil.copy(store_path, tmp_path_factory.mktemp("costs") / "own.h5")
    make_ablation(own)
    with running(create_app(Source(own))) as url:
        yield url, own


def test_costs_are_found_sorted_and_seen_and_the_link_has_it_all(kept_page_of, ablated):
    url, _ = ablated
    page = kept_page_of(url)
    visit(page, f"{url}overview?layer=conv2")
    page.wait_for_selector("#overview-filters[data-rows]")
    page.get_by_role("button", name="Cost", exact=True).click()
    page.get_by_label("Find filters").fill("no effect")
    expect(page.locator("#overview-count")).to_contain_text("2 of 23")
    cell = page.locator("#overview-filters .row [title*='95% interval']").first
    expect(cell).to_have_class(re.compile("gray"))
    assert asked(page)["sortall"] == "cost.desc"
    page.locator("#overview-removal").scroll_into_view_if_needed()
    ready(page, "overview-removal")
    expect(page.locator("#overview-removal-note")).to_contain_text("n = 37 samples")
    ready(page, "overview-model-removal")
    expect(page.locator("#overview-model-removal-note")).to_contain_text("n = 36 samples")

    visit(page, f"{url}classes?layer=conv2&statistic=cost&filter=0")
    ready(page, "classes-heatmap")
    expect(page.locator("#classes-heatmap-legend")).to_contain_text("not apart from zero")

    visit(page, f"{url}filter?layer=conv2&filter=0")
    panel = page.locator("#filter-without")
    expect(panel).to_contain_text("change their answer without it")
    panel.locator("a.thumbnail").first.click()
    page.wait_for_url(re.compile(r"/maps\?layer=conv2&sample=\d+&filter=0"))
    visit(page, f"{url}filter?layer=conv2&filter={USELESS}")
    expect(page.locator("#filter-without")).to_contain_text("no effect")


def test_an_ablation_that_comes_while_a_page_is_open_is_noticed(page_of, store_path, tmp_path):
    own = shutil.copy(store_path, tmp_path / "own.h5")
    with running(create_app(Source(own))) as url:
        page = page_of(url)
        page.goto(f"{url}filter?layer=conv2&filter=0")
        expect(page.locator("#filter-without")).to_contain_text("fmcore ablate own.h5 --model")
        settled(page)
        make_ablation(own)
        page.get_by_label("Filter", exact=True).fill("2")
        page.get_by_label("Filter", exact=True).press("Enter")
        expect(page.locator("#current")).to_contain_text("replaced")
        page.get_by_role("button", name="Show the new one").click()
        expect(page.locator("#filter-without")).to_contain_text("change their answer without it")
