"""Contrast in Chromium: from two groups to the filters that tell them apart, and back by a link."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.browsing import asked, drawn, settled, until
from helpers.factories import make_store
from helpers.servers import running
from playwright.sync_api import expect

from dashboard.app import create_app
from dashboard.stores.source import Source

pytestmark = pytest.mark.browser
TABLE = "#contrast-filters"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    source = Source(make_store(tmp_path_factory.mktemp("contrast") / "s.h5", 120))
    with running(create_app(source)) as url:
        yield url, source.snapshot()


def arrived(page) -> None:
    page.wait_for_selector(f"{TABLE}[data-rows]")
    page.locator("#contrast-first .contrast-card").first.wait_for()
    settled(page)


def title(page) -> str:
    return page.locator(".contrast-title").inner_text()


def test_from_a_ready_made_pair_to_a_filter_and_its_samples(page_of, labelled):
    url, snapshot = labelled
    page = page_of(url)
    page.goto(f"{url}contrast")
    page.locator(".contrast-start a").first.click()
    arrived(page)
    contrast = snapshot.contrast(asked(page)["a"], asked(page).get("b", ""))
    first, third = (
        (contrast.layers[contrast.layer[row]], int(contrast.filter[row]))
        for row in contrast.order()[[0, 2]]
    )
    assert title(page) == f"Filter {first[1]} of {first[0]}"
    until(page, lambda: (asked(page)["layer"], asked(page)["filter"]) == (first[0], str(first[1])))
    assert "focus" not in asked(page)
    rows = page.locator(f"{TABLE} .rows .row")
    expect(rows.nth(0)).to_have_attribute("aria-selected", "true")
    rows.nth(2).click()
    expect(page.locator(".contrast-title")).to_have_text(f"Filter {third[1]} of {third[0]}")
    expect(rows.nth(2)).to_have_attribute("aria-selected", "true")
    until(page, lambda: asked(page).get("focus") == "selected")
    page.reload()
    arrived(page)
    assert title(page) == f"Filter {third[1]} of {third[0]}"
    page.locator(".contrast-samples a.thumbnail").first.click()
    page.wait_for_selector("#maps-wall[data-drawn]")
    link = asked(page)
    assert {"a", "group"} <= link.keys()
    drawn(page, f"{third[0]} {link['sample']} {third[1]}")
    assert snapshot.group(link["group"])[int(link["sample"])]


def test_groups_are_typed_swapped_and_refused_with_the_place(page_of, labelled):
    url, snapshot = labelled
    page = page_of(url)
    page.goto(f"{url}contrast?a=label%3Done&pooled=max")
    arrived(page)
    a, b = page.locator("#contrast-groups-a"), page.locator("#contrast-groups-b")
    n = int(np.count_nonzero(snapshot.labels == 1))
    expect(page.locator("#contrast-groups-a-words")).to_contain_text(f"{n} of 120")
    expect(page.locator("#contrast-groups")).to_contain_text(f"the {120 - n} samples")
    b.fill("labl=two")
    expect(page.locator("#contrast-groups-b-words")).to_contain_text("at character 1 expected")
    expect(page.locator(TABLE)).to_be_hidden()
    b.fill("label=zero")
    expect(page.locator(TABLE)).to_be_visible()
    settled(page)
    page.get_by_role("button", name="Swap").click()
    expect(a).to_have_value("label=zero")
    expect(b).to_have_value("label=one")
    until(page, lambda: (asked(page)["a"], asked(page)["b"]) == ("label=zero", "label=one"))
    settled(page)  # until then the table has the order of before
    best = snapshot.contrast("label=zero", "label=one", "max")
    index, layer = (values[best.order()[1]] for values in (best.filter, best.layer))
    page.locator(f"{TABLE} [role=grid]").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".contrast-title")).to_have_text(f"Filter {index} of {best.layers[layer]}")
    page.get_by_role("textbox", name="Find filters").fill("conv2")
    expect(page.locator("#contrast-count")).to_have_text("3 of 23 filters")
