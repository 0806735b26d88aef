"""Compare in Chromium: from the catalogue to two stores beside each other, and back by a link."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.browsing import asked, cell_position, hover, ready, settled, until, visit
from helpers.factories import NumpyProbe, make_plan, make_samples, make_store, sampled
from helpers.servers import running

from dashboard import create_app
from dashboard.stores.source import Source
from fmcore import open_store
from fmcore.capture import capture
from fmcore.records import Captured

pytestmark = pytest.mark.browser
LAYER = "block/conv 1"


class Early(NumpyProbe):
    """Its second layer is alive."""

    def __call__(self, images, others=None) -> Captured:
        found = super().__call__(images, others)
        half = images[:, : images.shape[1] // 2 * 2 : 2, ::2]
        second = np.abs(np.sin(7 * half * np.arange(1, 4, dtype=np.float32)))
        return Captured((found.activations[0], second), found.probability)


class Later(Early):
    """The same filters in another order, twice as strong."""

    order = np.random.default_rng(5).permutation(20)

    def __call__(self, images, others=None) -> Captured:
        found = super().__call__(images, others)
        first = found.activations[0][..., self.order] * np.float32(2)
        return Captured((first, found.activations[1]), found.probability)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shelf")
    capture(Early(), make_samples(37), folder / "early.h5", make_plan(37))
    plan = make_plan(37)
    later = replace(plan.store, model=replace(plan.store.model, digest="1" * 64))
    capture(Later(), make_samples(37), folder / "late.h5", replace(plan, store=later))
    make_store(folder / "few.h5", 12)
    return folder


@pytest.fixture(scope="module")
def served(shelf):
    with running(create_app(Source(shelf))) as url:
        yield url


def arrived(page) -> None:
    ready(page, "compare-cka")
    page.locator("#compare-filters .ag-row").first.wait_for()


def test_from_the_catalogue_to_two_stores_and_the_link_restores_it(page_of, served, shelf):
    page = page_of(served)
    page.goto(served)
    page.get_by_role("link", name="early").click()
    page.get_by_role("banner").get_by_role("link", name="Compare").click()
    page.wait_for_url("**/stores/early/compare?**with=late**")  # as many samples
    arrived(page)

    page.click("#compare-with")
    page.get_by_role("option", name="few").click()
    page.locator("#compare-about").get_by_text("A has 37, B 12").wait_for()
    page.locator("#compare-cka-note").get_by_text("so there is none here").wait_for()
    page.click("#compare-with")
    page.get_by_role("option", name="late").click()
    page.locator("#compare-about").get_by_text("Both are of the same 37 images").wait_for()
    arrived(page)

    page.locator("#compare-filters .ag-row[row-id='2'] .ag-cell[col-id='mean_a']").click()
    page.wait_for_url("**filter=2&**with=late**")
    match = int(np.flatnonzero(Later.order == 2)[0])
    page.get_by_role("heading", name=f"B: filter {match} of {LAYER}").wait_for()
    page.fill("#compare-sample", "5")
    page.wait_for_url("**sample=5&**")
    with open_store(shelf / "early.h5") as early, open_store(shelf / "late.h5") as late:
        a = early.layers[LAYER].feature_maps(5)[..., 2]
        b = late.layers[LAYER].feature_maps(5)[..., match]
    for graph, values in (("a", a), ("b", b), ("difference", b - a)):
        y, x = np.unravel_index(abs(values).argmax(), values.shape)

        def shown(graph=graph, values=values, y=y, x=x) -> bool:
            words = hover(page, f"compare-maps-{graph}", y, x).split(" | ")
            found = float(words[1].replace("−", "-"))
            return words[0] == f"y {y}, x {x}" and found == pytest.approx(values[y, x], rel=1e-6)

        until(page, shown)

    settled(page)
    before = asked(page)
    assert before == {"layer": LAYER, "sample": "5", "filter": "2", "with": "late"}
    page.reload()
    arrived(page)
    page.get_by_role("heading", name=f"B: filter {match} of {LAYER}").wait_for()
    page.locator("#compare-filters .ag-row-selected[row-id='2']").first.wait_for()
    assert page.input_value("#compare-with") == "late"
    assert page.input_value("#compare-other").startswith(LAYER)
    settled(page)
    assert asked(page) == before


def test_a_click_chooses_layers_and_filters_and_all_of_it_is_in_the_link(page_of, served):
    page = page_of(served)
    page.goto(f"{served}stores/early/compare?layer=block%2Fconv+1&filter=7&with=late&beside=3")
    arrived(page)
    assert page.input_value("#compare-other-filter") == "3"
    assert asked(page)["beside"] == "3"

    page.locator("#compare-cka").scroll_into_view_if_needed()
    page.mouse.click(*cell_position(page, "compare-cka", 0, 1))  # conv2 of B beside A's first
    page.wait_for_url("**other=conv2**")
    until(page, lambda: page.input_value("#compare-other").startswith("conv2"))
    until(page, lambda: page.input_value("#compare-other-filter") == "")
    page.locator("#compare-maps-note").get_by_text("Nothing matches").or_(
        page.locator("#compare-maps-note").get_by_text("The match of filter 7")
    ).first.wait_for()
    page.locator("label", has_text="Number").click()
    page.wait_for_url("**pair=number**")
    page.locator("#compare-maps-note").get_by_text("none has the number 7").wait_for()

    arrived(page)
    page.locator("#compare-classes-a").scroll_into_view_if_needed()
    page.mouse.click(*cell_position(page, "compare-classes-a", 1, 2))
    page.wait_for_url("**filter=2&**")
    settled(page)
    link = asked(page)
    page.reload()
    arrived(page)
    settled(page)
    assert asked(page) == link
    assert page.input_value("#compare-other").startswith("conv2")

    page.click("#compare-layer")
    page.get_by_role("option", name="conv2").first.click()
    page.wait_for_url("**layer=conv2&**")
    until(page, lambda: "other" not in asked(page))  # the same path again


def test_what_a_link_names_and_there_is_not_is_said(page_of, served, page, url):
    there = page_of(served)
    there.goto(f"{served}stores/early/compare?with=gone&other=conv9")
    there.get_by_text("There is no other store 'gone' here; showing 'late'.").wait_for()
    there.get_by_text("There is no layer 'conv9' in late").wait_for()
    arrived(there)
    page.goto(f"{url}compare")
    page.locator("#compare-notes").get_by_text("fmdash serve FOLDER").wait_for()
    assert not page.locator("#compare-with").is_visible()


@pytest.mark.parametrize("scheme", sampled(1, ["light", "dark"], seed=0))
def test_it_fits_a_window_and_a_phone(page_of, served, scheme):
    page = page_of(served, color_scheme=scheme)
    for width, height in ((1280, 900), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        visit(page, f"{served}stores/early/compare?layer=block%2Fconv+1&filter=2&with=late")
        arrived(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
