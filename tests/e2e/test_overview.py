"""Overview in Chromium: what a person finds of the whole model, and where it leads."""

from __future__ import annotations

import csv
import io
import re
import shutil

import numpy as np
import pytest
from helpers.browsing import asked, drawn, settled, until, visit
from helpers.factories import DEAD_FILTER, make_store
from helpers.servers import running
from playwright.sync_api import expect

from dashboard.app import create_app
from dashboard.stores.source import Source
from fmcore import open_store

pytestmark = pytest.mark.browser
TABLE = "#overview-filters"


@pytest.fixture(scope="module")
def digits(digits_store):
    with running(create_app(Source(digits_store))) as url, open_store(digits_store) as store:
        yield url, store


def opened(page, url: str, query: str = ""):
    visit(page, f"{url}overview{query}")
    page.wait_for_selector(f"{TABLE}[data-rows]")
    page.wait_for_selector("#overview-health p")
    settled(page)
    return page


def cells(page, column: int) -> list[str]:
    """What stands in a column of the rows that are there, from top to bottom."""
    return page.locator(f"{TABLE} .rows .row > :nth-child({column + 1})").all_inner_texts()


def scores(store, name: str) -> np.ndarray:
    return np.concatenate([layer.statistic(name) for layer in store.layers.values()], axis=-1)


def test_the_dead_filters_of_the_model_are_said_on_the_first_page_and_lead_to_their_maps(
    kept_page_of, digits
):
    url, _ = digits
    page = kept_page_of(url)
    visit(page, url)
    sentence = page.get_by_text(re.compile(r"\d+ of 48 filters dead"))
    sentence.wait_for()
    page.get_by_title(f"Filter {DEAD_FILTER} of conv2").first.click()
    drawn(page, f"conv2 0 {DEAD_FILTER}")


def test_a_heading_sorts_all_filters_and_the_link_says_so(kept_page_of, digits):
    url, store = digits
    page = opened(kept_page_of(url), url)
    values = np.nan_to_num(scores(store, "eta2_mean"), nan=-1)
    order = (-values).argsort(kind="stable")
    places = [(path, at) for path, layer in store.layers.items() for at in range(layer.n_filters)]
    head = page.locator(TABLE).get_by_role("columnheader", name="η²", exact=True)
    head.click()
    assert head.get_attribute("aria-sort") == "descending"
    layers, filters = cells(page, 0), cells(page, 1)
    expected = [places[at] for at in order[: len(layers)]]
    assert list(zip(layers, map(int, filters), strict=True)) == expected
    until(page, lambda: asked(page).get("sortall") == "eta2_mean.desc")
    page.reload()
    page.wait_for_selector(f"{TABLE}[data-rows]")
    assert cells(page, 1) == filters
    head.click()
    head.click()
    until(page, lambda: "sortall" not in asked(page))
    assert cells(page, 1)[:3] == ["0", "1", "2"]


def test_a_text_finds_filters_as_one_types_and_a_csv_has_them_with_all_digits(kept_page_of, digits):
    url, store = digits
    page = opened(kept_page_of(url), url, "?sortall=best_auc.desc")
    page.get_by_role("textbox", name="Find filters").fill("conv2")
    count = page.locator("#overview-count")
    expect(count).to_have_text("32 of 48 filters")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert download.value.suggested_filename.endswith("-all-filters.csv")
    text = download.value.path().read_text("utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 32
    auc = np.fmax.reduce(store.layers["conv2"].statistic("auc_mean"))
    eta = store.layers["conv2"].statistic("eta2_mean")
    stored = [float(row["Its AUC"]) for row in rows if row["Its AUC"]]
    assert stored == sorted(stored, reverse=True)
    for row in rows:
        at = int(row["Filter"])
        assert row["Layer"] == "conv2"
        for name, values in (("Its AUC", auc), ("η²", eta)):
            assert row[name] == "" if np.isnan(values[at]) else float(row[name]) == values[at]
    page.get_by_role("textbox", name="Find filters").fill("nothing like it")
    expect(page.locator(TABLE)).to_contain_text("No filter matches")
    until(page, lambda: asked(page).get("findall") == "nothing like it")


def test_the_keyboard_goes_from_row_to_row_and_enter_opens_the_filter(kept_page_of, digits):
    url, _ = digits
    page = opened(kept_page_of(url), url)
    page.keyboard.press("Tab")
    page.locator(f"{TABLE} [role=grid]").focus()
    page.keyboard.press("End")
    current = page.locator(f"{TABLE} .current-row")
    expect(current).to_contain_text("31")
    assert page.locator(f"{TABLE} [role=grid]").get_attribute(
        "aria-activedescendant"
    ) == current.get_attribute("id")
    assert current.get_attribute("aria-rowindex") == "49"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    drawn(page, "conv2 0 30")
    page.go_back()
    page.wait_for_selector(f"{TABLE}[data-rows]")


def test_a_row_is_a_link_and_a_class_leads_to_its_wrong_samples(kept_page_of, digits):
    url, store = digits
    page = opened(kept_page_of(url), url)
    link = page.locator(f"{TABLE} .rows a").nth(2)
    assert link.get_attribute("href").startswith("maps?layer=conv1")
    page.locator(f"{TABLE} .rows .row").nth(2).click()
    drawn(page, "conv1 0 2")
    page = opened(kept_page_of(url), url)
    labels, predictions = store.labels, store.predictions
    share = [(predictions[labels == at] == at).mean() for at in range(10)]
    worst = int(np.argmin(share))
    first = page.locator("#overview-classes .rows a").first
    assert first.inner_text() == str(worst)
    first.click()
    page.wait_for_selector("#maps-wall[data-drawn]")
    assert asked(page)["class"] == str(worst)
    assert asked(page)["outcome"] == "wrong"


def test_what_is_typed_under_go_to_opens_where_it_is_seen(kept_page_of, digits):
    url, _ = digits
    page = opened(kept_page_of(url), url)
    page.keyboard.press("/")
    page.keyboard.type("conv2 filter 7")
    page.keyboard.press("Enter")
    drawn(page, "conv2 0 7")
    assert "/maps?" in page.url


def test_a_cell_of_the_heatmap_opens_the_maps_of_its_row(kept_page_of, digits):
    url, _ = digits
    page = opened(kept_page_of(url), url)
    plot = page.locator("#overview-cka .nsewdrag")
    plot.wait_for(state="attached")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] * 3 / 4)
    drawn(page, "conv2 0 0")


def test_a_store_that_is_replaced_is_never_shown_under_the_old_name(page_of, tmp_path):
    path = make_store(tmp_path / "a.h5", 12)
    with running(create_app(Source(path))) as url:
        page = page_of(url)
        held = []
        page.route(re.compile("/filters$"), lambda route: held.append(route))
        page.goto(f"{url}overview")
        until(page, lambda: held)
        expect(page.locator("[data-fills~='overview-filters']")).to_have_attribute(
            "data-current", "busy"
        )
        make_store(tmp_path / "b.h5", 36)
        shutil.move(tmp_path / "b.h5", path)
        held[0].continue_()
        expect(page.locator("#current")).to_contain_text("The store was replaced")
