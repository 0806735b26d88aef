"""What reacts at a place in the image, and how a value comes about, as a person finds them."""

from __future__ import annotations

import httpx
import numpy as np
import pytest
from helpers.browsing import (
    asked,
    cell_position,
    drawn,
    hover,
    ready,
    settled,
    until,
    visit,
    wall_cell,
)
from helpers.factories import sampled
from helpers.servers import running

from dashboard import create_app
from dashboard.stores.source import Source
from fmcore import open_store

pytestmark = pytest.mark.browser
LIST = "#maps-reactions-list"


@pytest.fixture(scope="module")
def digits(digits_store):
    with open_store(digits_store) as store:
        yield store


@pytest.fixture(scope="module")
def digits_url(digits_store):
    with running(create_app(Source(digits_store))) as url:
        yield url


@pytest.fixture
def page(kept_page_of, digits_url):
    return kept_page_of(digits_url)


def bar_of_a_seven(store) -> tuple[int, int, int]:
    """A 7, and the row and column of the brightest pixel of its upper half, its bar."""
    seven = int(np.flatnonzero(store.labels == 7)[0])
    image = store.image(seven)[:14, :, 0]
    y, x = np.unravel_index(image.argmax(), image.shape)
    return seven, int(y), int(x)


def click_image(page, y: int, x: int) -> None:
    box = page.locator("#maps-input").bounding_box()
    page.mouse.click(
        box["x"] + (x + 0.5) * box["width"] / 28, box["y"] + (y + 0.5) * box["height"] / 28
    )


def expected(store, sample: int, y: int, x: int) -> tuple[str, int]:
    """The filter whose strongest value at a pixel is above most of its values, by its bins."""
    best = []
    for path, layer in store.layers.items():
        fields, maps = layer.receptive_fields(), layer.feature_maps(sample)
        sees = (fields[..., 0] <= y) & (fields[..., 2] >= y)
        sees &= (fields[..., 1] <= x) & (fields[..., 3] >= x)
        values = np.where(sees[..., None], maps, -np.inf).max(axis=(0, 1))
        counts, bounds = layer.histogram()
        counts = counts[...].sum(axis=0)
        below = (bounds[...][1] < values[:, None]) * counts
        share = below.sum(axis=1) / counts.sum(axis=1)
        varies = (counts > 0).sum(axis=1) > 1
        best += [(share[f], values[f], path, f) for f in np.flatnonzero(varies)]
    _, _, path, f = max(best)
    return path, int(f)


def test_who_clicks_in_the_bar_of_a_seven_gets_to_the_filter_that_reacts(page, digits_url, digits):
    sample, y, x = bar_of_a_seven(digits)
    visit(page, f"{digits_url}maps?layer=conv1&sample={sample}&filter=0")
    drawn(page, f"conv1 {sample} 0")
    settled(page)
    assert page.get_by_text("Click in the image: what reacts here?").is_visible()
    click_image(page, y, x)
    first = page.locator(".reaction").first
    first.wait_for()
    path, index = expected(digits, sample, y, x)
    until(page, lambda: first.locator("b").inner_text() == f"{path} · filter {index}")
    assert f"What reacts at y {y}, x {x}" in page.inner_text(LIST)
    first.click()
    drawn(page, f"{path} {sample} {index}")
    until(page, lambda: asked(page).get("unit"))
    link = asked(page)
    assert (link["layer"], link["filter"], link["at"]) == (path, str(index), f"{y},{x}")
    unit_y, unit_x = map(int, link["unit"].split(","))
    top, left, bottom, right = map(float, link["window"].split(","))
    assert top <= unit_y < bottom
    assert left <= unit_x < right
    fields = digits.layers[path].receptive_fields()[unit_y, unit_x]
    assert fields[0] <= y <= fields[2]
    assert fields[1] <= x <= fields[3]

    page.reload()
    drawn(page, f"{path} {sample} {index}")
    page.locator(".reaction").first.wait_for()
    assert asked(page) == link
    page.mouse.click(5, 5)
    page.keyboard.press("ArrowRight")
    drawn(page, f"{path} {sample + 1} {index}")
    other = "{} · filter {}".format(*expected(digits, sample + 1, y, x))
    until(page, lambda: page.locator(".reaction b").first.inner_text() == other)
    page.get_by_text("This layer", exact=True).click()
    until(page, lambda: asked(page).get("among") == "one")
    listed = lambda: page.locator(".reaction b").all_inner_texts()  # noqa: E731
    until(page, lambda: {text.split(" ")[0] for text in listed()} == {path})
    page.get_by_role("button", name="Close").click()
    until(page, lambda: "at" not in asked(page))
    assert page.locator("#maps-reactions").is_hidden()


def test_a_place_is_reached_by_keys_and_a_box_is_drawn(page, digits_url):
    visit(page, f"{digits_url}maps?layer=conv1&sample=0&filter=0")
    drawn(page, "conv1 0 0")
    settled(page)
    page.locator("#maps-input").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    for key in ("ArrowUp", "ArrowLeft", "Shift+ArrowDown", "Enter"):
        page.keyboard.press(key)
    until(page, lambda: asked(page).get("at") == "13,13,14,13")
    assert asked(page)["sample"] == "0", "the arrows were the image's"
    page.locator(".reaction").first.wait_for()
    page.keyboard.press("Escape")
    until(page, lambda: "at" not in asked(page))
    box = page.locator("#maps-input").bounding_box()
    cell = box["width"] / 28
    page.mouse.move(box["x"] + 5.5 * cell, box["y"] + 4.5 * cell)
    page.mouse.down()
    page.mouse.move(box["x"] + 9.5 * cell, box["y"] + 7.5 * cell, steps=4)
    page.mouse.up()
    until(page, lambda: asked(page).get("at") == "4,5,7,9")
    page.keyboard.press("ArrowRight")
    drawn(page, "conv1 1 0")


@pytest.mark.parametrize("layer", sampled(1, ["conv1", "conv2"]))
def test_the_arithmetic_of_a_value_is_what_the_file_holds(page, digits_url, digits, layer):
    maps = digits.layers[layer].feature_maps(4)
    y, x, f = (int(at) for at in np.unravel_index(maps.argmax(), maps.shape))
    visit(page, f"{digits_url}maps?layer={layer}&sample=4&filter=0")
    drawn(page, f"{layer} 4 0")
    settled(page)
    page.mouse.click(*wall_cell(page, f, y, x))
    until(page, lambda: asked(page).get("unit") == f"{y},{x}")
    page.get_by_text("Patch, kernel, bias and sum of the selected value").click()
    panel = page.locator("#maps-arithmetic")
    panel.get_by_text("agree but for rounding").wait_for()
    rows = dict(row.split("\t") for row in panel.locator(".facts").inner_text().split("\n"))
    bias = digits.layers[layer].bias[f]
    stored = float(rows["Stored value"])
    assert np.float32(stored) == pytest.approx(maps[y, x, f], rel=1e-8)
    assert float(rows["After relu"]) == pytest.approx(stored, rel=1e-5)
    assert float(rows["Bias"]) == pytest.approx(bias, rel=1e-6)
    # The first plane's numbers: its product is patch times kernel, and that is the layer's kernel.
    tables = panel.locator(".arithmetic-plane").first.locator("table")
    patch, kernel, product = (
        np.array([row.split("\t") for row in tables.nth(at).inner_text().split("\n")], float)
        for at in range(3)
    )
    weights = digits.layers[layer].kernel[..., f]
    assert (
        min(np.abs(weights[..., plane] - kernel).max() for plane in range(weights.shape[2])) < 1e-2
    )
    np.testing.assert_allclose(patch * kernel, product, rtol=0.02, atol=1e-3)
    with page.expect_download() as download:
        panel.get_by_role("link", name="All products as a table").click()
    lines = download.value.path().read_text().splitlines()
    products = [float(line.rsplit(",", 1)[1]) for line in lines[1:]]
    assert sum(products) + bias == pytest.approx(stored, rel=1e-5)
    page.reload()
    drawn(page, f"{layer} 4 {f}")
    assert asked(page)["unit"] == f"{y},{x}"
    ready(page, "maps-enlarged")
    page.locator("#maps-enlarged").scroll_into_view_if_needed()  # a reload keeps the scroll
    hover(page, "maps-enlarged", 2, 3)
    page.mouse.click(*cell_position(page, "maps-enlarged", 2, 3))
    until(page, lambda: asked(page).get("unit") == "2,3")


ODD = [
    ("places?sample=0", 422, "at"),
    ("places?at=1,1", 422, "sample"),
    ("places?sample=0&at=28,0", 422, "at"),
    ("places?sample=0&at=3,3,2,3", 422, "at"),
    ("places?sample=0&at=a", 422, "at"),
    ("places?sample=3000&at=1,1", 404, None),
    ("places?sample=0&at=1,1&layer=conv9", 404, None),
    ("places?sample=0&at=1,1&group=b", 422, "group"),
    ("terms?layer=conv1&sample=0&filter=0&y=0", 422, "x"),
    ("terms?layer=conv1&sample=0&filter=16&y=0&x=0", 422, "filter"),
    ("terms?layer=conv1&sample=0&filter=0&y=26&x=0", 422, "y"),
    ("terms?layer=conv1&sample=0&filter=0&y=-1&x=0", 422, "y"),
    ("terms?layer=conv9&sample=0&filter=0&y=0&x=0", 404, None),
]


@pytest.mark.parametrize(("query", "status", "field"), ODD)
def test_odd_questions_are_refused_with_a_sentence(digits_url, query, status, field):
    answer = httpx.get(f"{digits_url}api/v1/stores/store/{query}")
    assert answer.status_code == status
    assert answer.json().get("field") == field
    assert answer.json()["detail"]


def test_an_answer_that_a_client_holds_is_not_made_again(digits_url):
    url = f"{digits_url}api/v1/stores/store/places?sample=1&at=9,9"
    first = httpx.get(url)
    again = httpx.get(url, headers={"if-none-match": first.headers["etag"]})
    assert (first.status_code, again.status_code) == (200, 304)
