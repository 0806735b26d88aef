"""What scripts say of odd values and of small numbers is what the server says, in Chromium."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.browsing import settled, visit
from helpers.odd import make_odd_store
from helpers.servers import running

from dashboard import create_app
from dashboard.stores.source import Source

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def store_path(tmp_path_factory) -> Path:
    """A folder of two captures of one model with odd values."""
    folder = tmp_path_factory.mktemp("odd")
    for name in "ab":
        make_odd_store(folder / f"{name}.h5")
    return folder


@pytest.fixture(scope="module")
def url(store_path):
    with running(create_app(Source(store_path))) as where:
        yield where


@pytest.fixture
def page(kept_page):
    return kept_page


def test_a_map_without_a_finite_value_is_not_called_zero(page, url):
    visit(page, f"{url}stores/a/maps?layer=broken&filter=1")
    note = page.locator("#maps-filter-note")
    note.get_by_text("all 800 values NaN or infinite").wait_for()
    note.get_by_text("20 of 20: 20 NaN").wait_for()
    assert "zero" not in note.inner_text().replace("Exactly zero here", "")
    page.locator("#maps-range-note").get_by_text("842 of 5,600 values").wait_for()
    visit(page, f"{url}stores/a/maps?layer=broken&filter=2")
    note.get_by_text("1 of 20: 1 ∞").wait_for()
    visit(page, f"{url}stores/a/maps?layer=broken&filter=5")
    note.get_by_text("1 of 20: 1 −∞").wait_for()
    visit(page, f"{url}stores/a/maps?layer=broken&filter=4")
    note.get_by_text("always 3").wait_for()


def test_a_wall_of_float16_is_called_that(page, url):
    visit(page, f"{url}stores/a/maps?layer=half&filter=1")
    note = page.locator("#maps-range-note")
    note.get_by_text("float16: rounded").wait_for()
    note.get_by_text("46 beyond ±65,504 became infinite").wait_for()


def test_small_numbers_are_whole_on_axes_and_in_tables(page, url):
    visit(page, f"{url}stores/a/classes?layer=tiny&filter=0&class=1")
    cell = page.locator("#classes-filters .ag-center-cols-container [row-index='0'] [col-id=mean]")
    cell.wait_for()
    assert re.fullmatch(r"\d\.\d{1,3}e-13", cell.inner_text())
    assert cell.evaluate("cell => cell.scrollWidth <= cell.clientWidth")
    ticks = page.locator("#classes-distribution .xtick text, #classes-heatmap .cbaxis text")
    ticks.first.wait_for()
    settled(page)
    texts = ticks.all_text_contents()
    assert any("e" in text for text in texts)
    assert not any(re.search(r"[a-df-zA-Zμ]", text) for text in texts)


def test_stores_of_one_model_go_together_by_number_until_a_person_asks_otherwise(page, url):
    visit(page, f"{url}stores/a/compare?with=b&layer=linear")
    about = page.locator("#compare-about")
    about.get_by_text("so filters go together by number").wait_for()
    page.locator("#compare-maps-note").get_by_text("By number, since both").wait_for()
    assert "pair=" not in page.url
    page.locator("#compare-pairing").get_by_text("Match", exact=True).click()
    about.get_by_text("choose “Number”").wait_for()
    page.wait_for_url("**pair=match**")
    page.reload()
    about.get_by_text("choose “Number”").wait_for()


def test_the_catalogue_says_all_that_is_grave(page, url):
    visit(page, url)
    words = "4 of 18 filters dead (2 may be harmless), 3 duplicate, 6 non-finite"
    page.get_by_text(f"{words}; 1 of 6 layers float16").first.wait_for()
