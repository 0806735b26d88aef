"""A person at the Samples page: what a pointer is over, what is selected, what is drawn around."""

from __future__ import annotations

import json
import struct

import httpx
import numpy as np
import pytest
from helpers.browsing import PATIENCE, asked, settled, until, visit
from helpers.factories import make_store
from helpers.servers import running

from dashboard import create_app
from dashboard.stores.source import Source
from fmcore import open_store

pytestmark = pytest.mark.browser
N = 120
# Its samples lie in many places: those of the layer after it in one.
LAYER = "block/conv 1"
MAP = "map=block%2Fconv+1"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("samples") / "s.h5"
    make_store(path, N)
    return path


@pytest.fixture(scope="module")
def url(path):
    with running(create_app(Source(path))) as where:
        yield where


def columns(url: str, query: str) -> dict[str, np.ndarray]:
    """The columns of an answer of the API by name, as its description says that they lie in it."""
    store = httpx.get(f"{url}api/v1/stores").json()[0]["name"]
    content = httpx.get(f"{url}api/v1/stores/{store}/{query}").raise_for_status().content
    (length,) = struct.unpack_from("<I", content)
    head, at, arrays = json.loads(content[4 : 4 + length]), 4 + length, {}
    for column in head["columns"]:
        at = -(-at // 8) * 8
        arrays[column["name"]] = np.frombuffer(content, column["dtype"], head["n"], at)
        at += arrays[column["name"]].nbytes
    return arrays


def opened(page, url: str, query: str = "") -> None:
    visit(page, f"{url}samples?{query}")
    painted(page)
    settled(page)


def painted(page, end: str = "") -> None:
    page.wait_for_selector(
        f'#samples-map[data-drawn$="{end}"]' if end else "#samples-map[data-drawn]"
    )


def place(page, sample: int) -> tuple[float, float]:
    """Where on the page a sample is drawn; NaN for one without a place."""
    return page.evaluate(
        """async (sample) => {
          const { session } = await import("/assets/samples/samples_page.js");
          const { map } = session();
          const { x, y } = map.placeOf(sample);
          const box = map.canvas.getBoundingClientRect();
          return [box.left + x, box.top + y];
        }""",
        sample,
    )


def apart_most(x: np.ndarray, y: np.ndarray) -> int:
    """The sample whose nearest is farthest away, which a pointer cannot miss."""
    distances = np.hypot(x[:, None] - x, y[:, None] - y)
    np.fill_diagonal(distances, np.inf)
    return int(np.nanmin(distances, axis=1).argmax())


def test_a_sample_is_what_the_api_says_and_a_click_selects_it(kept_page_of, url, path):
    page = kept_page_of(url)
    opened(page, url, f"{MAP}&color=filter&layer=conv2&filter=2")
    at = columns(url, f"points?of=layer&layer={LAYER}&by=mean&method=pca")
    value = columns(url, "samplecolumns?layer=conv2&filter=2&by=mean")["filter"]
    sample = apart_most(at["x"], at["y"])
    left, top = place(page, sample)
    page.mouse.move(left - 2, top)
    page.mouse.move(left, top)
    lines = page.locator(".samples-tip span").inner_text().split("\n")
    with open_store(path) as store:
        label, prediction = store.labels[sample], store.predictions[sample]
        names = store.class_names
    assert lines[0] == f"sample {sample}"
    assert lines[1].removesuffix(" ✗") == f"{names[label]} → {names[prediction]}"
    assert float(lines[-1].split(": ")[1]) == pytest.approx(value[sample], rel=1e-3)
    page.mouse.click(left, top)
    until(page, lambda: asked(page)["sample"] == str(sample))
    page.locator("#samples-selected").get_by_text(f"Sample {sample}").wait_for()
    settled(page)
    assert page.locator("#samples-selected .thumbnail").count() == 12


def test_what_a_box_is_drawn_over_is_the_group_of_the_link(kept_page_of, url, path):
    page = kept_page_of(url)
    opened(page, url, MAP)
    places = np.array([place(page, sample) for sample in range(N)])
    left, top = np.nanmin(places, axis=0) - 5
    right, bottom = np.nanmedian(places, axis=0) + 0.37
    expected = np.flatnonzero((places <= (right, bottom)).all(axis=1))
    page.get_by_role("button", name="Box").click()
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move((left + right) / 2, bottom)
    page.mouse.move(right, bottom)
    page.mouse.up()
    painted(page, f" {len(expected)}")
    until(page, lambda: "group" in asked(page))
    with open_store(path) as store:
        assert np.flatnonzero(store.group(asked(page)["group"])).tolist() == expected.tolist()
    page.get_by_text(f"{len(expected)} of {N} samples").wait_for()
    page.reload()
    painted(page, f" {len(expected)}")
    page.get_by_role("link", name="Feature maps of these").click()
    page.wait_for_selector(".maps-page")
    assert "group" in asked(page)


def test_a_lasso_takes_what_lies_within_and_the_link_of_all_is_empty_again(kept_page_of, url):
    page = kept_page_of(url)
    opened(page, url, f"{MAP}&group=wrong")
    until(
        page, lambda: not page.locator("#samples-map").get_attribute("data-drawn").endswith("all")
    )
    places = np.array([place(page, sample) for sample in range(N)])
    (left, top), (right, bottom) = np.nanmin(places, axis=0) - 6, np.nanmax(places, axis=0) + 6
    page.get_by_role("button", name="Lasso").click()
    page.mouse.move(left, top)
    page.mouse.down()
    for corner in ((right, top), (right, bottom)):
        page.mouse.move(*corner, steps=4)
    page.mouse.up()
    across = (places[:, 0] - left) / (right - left) > (places[:, 1] - top) / (bottom - top)
    painted(page, f" {across.sum()}")
    page.get_by_role("button", name="All samples").click()
    painted(page, " all")
    until(page, lambda: "group" not in asked(page))


def test_keys_walk_from_sample_to_sample_and_zoom_is_in_the_link(kept_page_of, url):
    page = kept_page_of(url)
    opened(page, url, f"{MAP}&sample=5")
    page.keyboard.press("Tab")
    page.get_by_role("application", name="Map of 120 samples").focus()
    page.keyboard.press("PageDown")
    tip = page.locator(".samples-tip span")
    until(page, lambda: tip.inner_text().startswith("sample 5"))
    page.keyboard.press("PageDown")
    until(page, lambda: tip.inner_text().startswith("sample 6"))
    page.keyboard.press("Enter")
    until(page, lambda: asked(page)["sample"] == "6")
    page.keyboard.press("+")
    until(page, lambda: "map_window" in asked(page))


def test_a_map_that_there_is_not_says_why(browser, url):
    page = browser.new_page()  # the refusal is a word on the console
    page.set_default_timeout(1000 * PATIENCE)
    page.goto(f"{url}samples?method=umap")
    message = page.locator("#samples-message")
    until(page, lambda: "UMAP" in message.inner_text())
    assert not page.locator("#samples-map").is_visible()
    page.get_by_text("PCA", exact=True).click()
    painted(page)
    assert message.inner_text() == ""
    page.close()
