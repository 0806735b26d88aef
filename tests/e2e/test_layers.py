"""Layers: one sample in every layer, its summary beside its filters, all rows zoomed together."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.browsing import asked, drawn, settled, until, visit, wheel_zoom
from helpers.factories import DEAD_FILTER, OddProbe, make_encoded_store, make_store, sampled
from helpers.servers import running

from dashboard import create_app
from dashboard.stores.source import Source
from fmcore import open_store

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def digits(digits_store):
    with running(create_app(Source(digits_store))) as url:
        yield url


def rows_drawn(page, sample: int, by: str = "mean") -> None:
    page.wait_for_selector(f'#layers-rows[data-drawn="{sample} {by}"]')


def opened(page, url: str, sample: int, by: str = "mean", more: str = "") -> None:
    visit(page, f"{url}layers?sample={sample}&summary={by}{more}")
    rows_drawn(page, sample, by)
    settled(page)


def tip(page, tile, down: float, across: float) -> list[str]:
    """The lines that are said of a place in a tile, in shares of it."""
    box = tile.bounding_box()
    page.mouse.move(box["x"] + across * box["width"] - 1, box["y"] + down * box["height"])
    page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
    return page.locator("#layers-rows .wall-tip").inner_text().split("\n")


def test_both_layers_of_the_tutorial_are_whole_below_the_sample(kept_page_of, digits):
    page = kept_page_of(digits)
    opened(page, digits, 3)
    sections = page.locator("#layers-rows > section")
    assert sections.locator("h3").all_text_contents() == ["conv1", "conv2"]
    for at, n in enumerate((16, 32)):
        names = sections.nth(at).locator("li:visible .filter-name").all_text_contents()
        assert names == list(map(str, range(n)))
    assert page.locator("#layers-input img").get_attribute("alt") == "Input image of sample 3"
    page.get_by_text("each layer shows the maps of all of them").wait_for()
    page.mouse.wheel(0, 3000)
    settled(page)
    assert page.locator("#layers-input").bounding_box()["y"] > 0  # still in sight


def test_what_is_hovered_is_the_stored_value_and_the_summary_of_all(
    kept_page_of, digits, digits_store
):
    page = kept_page_of(digits)
    with open_store(digits_store) as store:
        layer = store.layers["conv1"]
        maps = layer.feature_maps(3)
        field = layer.receptive_fields()
    row = page.locator("#layers-rows > section").first
    for by, reference in (("mean", maps.mean(axis=2)), ("max", maps.max(axis=2))):
        opened(page, digits, 3, by)
        y, x = 12, 9
        # The middle of a cell is the middle of what it sees.
        down, across = (field[y, x, [0, 1]] + field[y, x, [2, 3]] + 1) / 2 / 28
        place, value = tip(page, row.locator(".tile.alone"), down, across)
        assert place == f"conv1, y {y}, x {x}"
        assert float(value.split(": ")[1]) == pytest.approx(float(reference[y, x]), rel=1e-6)
        _, value = tip(page, row.locator("li .tile").nth(7), down, across)
        assert value.startswith("filter 7: ")
        assert np.float32(value.split(": ")[1]) == maps[y, x, 7]


def test_steps_at_any_pace_are_all_taken(kept_page_of, digits):
    page = kept_page_of(digits)
    opened(page, digits, 0)
    for pause in np.random.default_rng(0).uniform(0, 200, 20):  # ms
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(pause)
    rows_drawn(page, 20)
    until(page, lambda: asked(page)["sample"] == "20")
    assert page.input_value("#layers-sample") == "20"


def test_steps_keys_and_choices_lead_on_and_the_link_comes_back_to_it(kept_page_of, digits):
    page = kept_page_of(digits)
    opened(page, digits, 3)
    page.keyboard.press("ArrowRight")
    rows_drawn(page, 4)
    until(page, lambda: asked(page)["sample"] == "4")
    assert page.input_value("#layers-sample") == "4"
    page.get_by_role("button", name="Previous sample (←)").click()
    rows_drawn(page, 3)
    page.get_by_text("PCA colors", exact=True).click()
    rows_drawn(page, 3, "pca")
    page.keyboard.press("ArrowRight")  # what was clicked leaves the keys to the page
    rows_drawn(page, 4, "pca")
    page.get_by_role("radiogroup", name="Prediction").get_by_text("Wrong", exact=True).click()
    page.get_by_text("that match, of").wait_for()
    page.keyboard.press("ArrowRight")
    until(page, lambda: asked(page).get("outcome") == "wrong" and asked(page)["sample"] != "4")
    page.get_by_text("(wrong)").wait_for()
    link = page.url
    assert asked(page)["summary"] == "pca"
    page.goto("about:blank")
    page.goto(link)
    rows_drawn(page, int(asked(page)["sample"]), "pca")
    settled(page)
    assert page.url == link


def seen(page) -> list[list[float]]:
    """How large the scene of each tile is beside the tile, and where it begins, in per cent."""
    return page.evaluate(
        """() => [...document.querySelectorAll("#layers-rows .tile")]
          .filter((tile) => tile.checkVisibility()).map((tile) => {
            const [box, scene] = [tile, tile.firstChild]
              .map((part) => part.getBoundingClientRect());
            return [scene.width / box.width, (box.left - scene.left) / box.width,
              scene.height / box.height, (box.top - scene.top) / box.height]
              .map((share) => Math.round(100 * share));
          })"""
    )


def test_all_rows_zoom_together_by_box_wheel_keys_and_link(kept_page_of, digits):
    page = kept_page_of(digits)
    opened(page, digits, 3)
    tile = page.locator("#layers-rows .tile.alone").first
    box = tile.bounding_box()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.25 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.75 * box["height"], steps=4)
    page.mouse.up()
    tiles = seen(page)
    assert len(tiles) == 2 * 2 + 16 + 32
    assert np.allclose(tiles, [200, 50, 200, 50], atol=3)
    until(page, lambda: "region" in asked(page))
    link, before = page.url, seen(page)
    page.goto("about:blank")
    page.goto(link)
    rows_drawn(page, 3)
    assert seen(page) == before
    page.keyboard.press("ArrowRight")
    rows_drawn(page, 4)
    assert seen(page) == before  # the same place in another sample
    page.keyboard.press("0")
    assert seen(page)[0] == [100, 0, 100, 0]
    until(page, lambda: "region" not in asked(page))
    page.keyboard.press("+")
    assert seen(page)[0][0] == 140
    page.get_by_role("button", name="All of all rows").click()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    wheel_zoom(page, -200)
    assert seen(page)[-1][0] > 120


def test_a_filter_and_a_layer_lead_to_their_maps_and_back(kept_page_of, digits):
    page = kept_page_of(digits)
    opened(page, digits, 3)
    page.get_by_role("link", name="Filter 21 of conv2").click()
    drawn(page, "conv2 3 21")
    page.go_back()
    rows_drawn(page, 3)
    page.get_by_role("link", name="conv1", exact=True).click()
    drawn(page, "conv1 3 0")


def test_the_keyboard_goes_from_cell_to_cell_and_hears_the_values(page_of, digits, digits_store):
    page = page_of(digits)
    opened(page, digits, 3)
    page.get_by_role("application", name="Summary: mean of the filters of conv1").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    with open_store(digits_store) as store:
        mean = store.layers["conv1"].feature_maps(3).mean(axis=2)
    spoken = page.locator("#layers-announcement")
    until(page, lambda: spoken.inner_text().startswith("conv1, y 13, x 14, mean of the filters: "))
    value = float(spoken.inner_text().rpartition(": ")[2])
    assert value == pytest.approx(float(mean[13, 14]), rel=1e-6)
    page.keyboard.press("PageDown")
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert "of conv2, sample 3" in focused


def test_a_dead_filter_is_among_all_of_a_small_model(kept_page_of, digits):
    page = kept_page_of(digits)
    opened(page, digits, 3)
    words = page.get_by_role("link", name=f"Filter {DEAD_FILTER} of conv2").get_attribute("title")
    assert "0 at most here, 0 to 0 over the test set" in words


KINDS = {
    "odd": lambda path: make_store(path, 9, probe=OddProbe()),
    "pooled": lambda path: make_store(path, 9, policy="*=pooled"),
    "half": lambda path: make_store(path, 9, policy="*=float16"),
    "encoder": lambda path: make_encoded_store(path, 9),
}


@pytest.mark.parametrize("kind", sampled(2, KINDS))
def test_every_kind_of_layer_says_something_true(page_of, tmp_path, kind):
    path = KINDS[kind](tmp_path / "s.h5")
    with running(create_app(Source(path))) as url:
        page = page_of(url)
        for by in ("mean", "pca"):
            opened(page, url, 2, by)
            notes = " ".join(page.locator(".layer-note").all_text_contents())
            assert ("left out" in notes) == (kind == "odd")
            assert ("keeps no maps" in notes) == (kind == "pooled")
            n_summaries = 0 if kind == "pooled" else 2
            assert page.locator(".layer-summary:visible").count() == n_summaries
            assert page.locator(".layer-filter:visible").count() == 23


def test_a_row_that_is_late_says_so_and_comes(page_of, digits):
    page = page_of(digits)
    opened(page, digits, 3)
    settled(page)

    held = []
    page.route("**/summaries?*layer=conv2*", lambda route: held.append(route))
    page.locator("#layers-sample").fill("200")
    late = page.locator("#layers-row-1")
    page.wait_for_selector("#layers-row-1[data-current=busy]")
    assert page.locator("#layers-row-0").get_attribute("data-current") is None
    assert late.locator(".panel-state").inner_text() in ("", "Loading…")
    for route in held:
        route.continue_()
    rows_drawn(page, 200)
    assert late.get_attribute("data-current") is None
