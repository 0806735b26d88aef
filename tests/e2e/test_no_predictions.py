"""The pages on a store without predictions, as a person opens them: not one word on the console."""

from __future__ import annotations

import pytest
from helpers.browsing import drawn, ready, settled, until
from helpers.factories import make_encoded_store, sampled
from helpers.servers import running

from dashboard import create_app
from dashboard.stores.source import Source

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", params=sampled(1, ["labels", "no labels"]))
def encoded(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("encoded") / "encoded.h5"
    labelled = request.param == "labels"
    with running(create_app(Source(make_encoded_store(path, labelled=labelled)))) as url:
        yield url, labelled


def test_every_page_opens_and_claims_nothing(page_of, encoded, tmp_path):
    url, labelled = encoded
    page = page_of(url)
    page.goto(f"{url}maps?layer=block%2Fconv+1&filter=6&sample=3")
    drawn(page, "block/conv 1 3 6")
    settled(page)
    page.wait_for_selector(".thumbnail")
    until(
        page,
        lambda: page.locator("#maps-probability-verdict .mantine-Badge-root").count() == labelled,
    )
    assert not page.locator("#maps-outcome").is_visible()
    assert not page.locator("#maps-probability").is_visible()
    assert page.locator("#maps-class").is_visible() == labelled
    assert "the model puts out (4, 4, 3)" in page.locator(".side").inner_text()
    page.screenshot(path=tmp_path / "maps.png", full_page=True)
    page.keyboard.press("ArrowRight")
    drawn(page, "block/conv 1 4 6")

    page.locator("nav a", has_text="Classes").click()
    page.wait_for_selector("#classes-heatmap .nsewdrag")
    page.wait_for_selector("#classes-filters .ag-row")
    page.wait_for_selector(".classes-top .thumbnail")
    assert ("no labels" in page.locator("main").inner_text()) != labelled
    settled(page)
    page.screenshot(path=tmp_path / "classes.png", full_page=True)

    page.locator("nav a", has_text="Filter").click()
    ready(page, "filter-histogram")  # hidden where the filter is dead
    page.wait_for_selector(".filter-best")
    page.wait_for_selector(".filter-thumbs .thumbnail")
    settled(page)
    words = page.locator("main").inner_text().lower()
    assert "predicted" not in words
    assert ("without label" in words) != labelled
    page.screenshot(path=tmp_path / "filter.png", full_page=True)
