"""A person at the dashboard: a real server, real Chromium, and not one word on the console."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from browsing import asked, cell_position, hover, ready, until

from dashboard.figures.montage import montage_tiling

pytestmark = pytest.mark.browser


def test_feature_maps_from_a_tile_to_its_stored_value(page, url, store):
    page.goto(url)
    ready(page, "maps-montage")
    layer = store.layers["block/conv 1"]
    maps = layer.feature_maps(0)
    tiling = montage_tiling(layer.shape)
    y, x, tile = np.unravel_index(maps.argmax(), maps.shape)
    top, left = tiling.origin(tile)

    said = hover(page, "maps-montage", top + y, left + x).split(" | ")
    assert said[:2] == [f"filter {tile}", f"y {y}, x {x}"]
    assert np.float32(said[2]) == maps[y, x, tile], "hover gives the stored float32"

    page.mouse.click(*cell_position(page, "maps-montage", top + y, left + x))
    page.wait_for_url(f"**filter={tile}*")
    assert page.input_value("#maps-filter") == str(tile)
    ready(page, "maps-enlarged")
    said = hover(page, "maps-enlarged", y, x).split(" | ")
    assert said[0] == f"y {y}, x {x}"
    assert np.float32(said[1]) == maps[y, x, tile]


def ranges(page) -> list[list[float]]:
    return page.evaluate(
        """() => {
          const { xaxis, yaxis } = document.querySelector(
            "#maps-montage .js-plotly-plot")._fullLayout;
          return [xaxis.range, yaxis.range];
        }"""
    )


def test_a_drag_zooms_and_the_zoom_stays_from_sample_to_sample(page, url, store):
    rows, columns = montage_tiling(store.layers["block/conv 1"].shape).shape
    page.goto(url)
    ready(page, "maps-montage")
    whole = ranges(page)
    page.mouse.move(*cell_position(page, "maps-montage", 3, 2))
    page.mouse.down()
    page.mouse.move(*cell_position(page, "maps-montage", 8, 7), steps=5)
    page.mouse.up()
    until(page, lambda: ranges(page) != whole)
    near = ranges(page)
    assert near[0] == pytest.approx([2, 7], abs=0.5)
    assert near[1] == pytest.approx([8, 3], abs=0.5)
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**sample=1&**")
    ready(page, "maps-montage")
    assert ranges(page) == near
    page.mouse.dblclick(*cell_position(page, "maps-montage", 5, 5))
    until(page, lambda: ranges(page) == whole)
    assert whole == [[-0.5, columns - 0.5], [rows - 0.5, -0.5]]
    # Another layer has other axes: it is shown whole, and so after a double click.
    page.goto(url + "maps?layer=conv2")
    ready(page, "maps-montage")
    page.click("#maps-layer")
    page.get_by_role("option", name="block").click()
    until(page, lambda: ranges(page) == whole)
    page.mouse.dblclick(*cell_position(page, "maps-montage", 5, 5))
    page.wait_for_timeout(700)
    assert ranges(page) == whole


def test_keys_and_choices_step_through_samples_and_the_link_follows(page, url, store):
    page.goto(url + "maps?layer=conv2&sample=4")
    ready(page, "maps-montage")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**sample=5&**")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**sample=4&**")
    for step in range(10):  # there and back at once: no step is undone by one before it
        key, sample = ("ArrowRight", 5) if step % 2 == 0 else ("ArrowLeft", 4)
        page.keyboard.press(key)
        page.wait_for_url(f"**sample={sample}&**")
    page.get_by_text("Wrong", exact=True).click()
    wrong = np.flatnonzero(store.labels != store.predictions)
    first = int(wrong[wrong >= 4][0])
    page.wait_for_url(f"**sample={first}&**outcome=wrong**")
    page.click("#maps-next")
    second = int(wrong[wrong > first][0])
    page.wait_for_url(f"**sample={second}&**")
    position = page.locator("#maps-position")
    place = int(np.searchsorted(wrong, second)) + 1
    position.filter(has_text=f"{place} of {len(wrong)} that match").wait_for()
    # In a text field the arrow keys belong to the field.
    page.click("#maps-sample")
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(300)
    assert asked(page)["sample"] == str(second)


def test_no_step_is_lost_however_quick_the_keys(page, url):
    page.goto(url + "maps?layer=conv2&sample=3")
    ready(page, "maps-montage")
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    page.wait_for_url("**sample=15&**")
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(40)
    page.wait_for_url("**sample=10&**")


def test_a_layer_and_a_sample_chosen_at_once_are_both_drawn_whole(page, url, store):
    rows, columns = montage_tiling(store.layers["block/conv 1"].shape).shape
    page.goto(url + "maps?layer=conv2")
    ready(page, "maps-montage")
    page.click("#maps-layer")
    page.get_by_role("option", name="block").click()
    page.evaluate("document.activeElement.blur()")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.wait_for_url("**layer=block**sample=4&**")
    until(page, lambda: ranges(page) == [[-0.5, columns - 0.5], [rows - 0.5, -0.5]])


def test_a_link_opens_to_the_same_picture_in_another_browser(page, url, browser):
    link = "maps?layer=conv2&sample=7&filter=2&class=1&outcome=correct&range=filter&statistic=std"
    page.goto(url + link)
    ready(page, "maps-montage")
    assert page.input_value("#maps-sample") == "7"
    assert page.input_value("#maps-filter") == "2"
    assert page.input_value("#maps-class") == "one"
    assert page.input_value("#maps-layer").startswith("conv2")
    page.wait_for_timeout(500)
    assert asked(page) == {
        key: values[0] for key, values in parse_qs(urlsplit(url + link).query).items()
    }


def test_names_from_a_store_are_shown_and_never_run(page, url):
    page.goto(url + "maps?class=3")
    ready(page, "maps-montage")
    assert page.input_value("#maps-class") == "<b>three</b>"
    page.goto(url + "maps?layer=%3Cimg%20src=x%20onerror=alert(1)%3E&sample=99")
    page.get_by_role("alert").first.wait_for()
    alerts = page.get_by_role("alert").all_text_contents()
    assert (
        alerts[0]
        == "There is no layer '<img src=x onerror=alert(1)>' here; showing 'block/conv 1'."
    )
    assert alerts[1].startswith("There is no sample 99 here (0 to 36)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_follow_the_colour_scheme(browser, url, scheme):
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(url)
    ready(page, "maps-montage")
    colour = "document.querySelector('#maps-montage .js-plotly-plot')._fullLayout.font.color"
    expected = {"light": "#212529", "dark": "#dee2e6"}
    assert page.evaluate(colour) == expected[scheme]
    page.get_by_label("Light or dark").click()
    other = {"light": "dark", "dark": "light"}[scheme]
    until(page, lambda: page.evaluate(colour) == expected[other])
    context.close()
