"""A person at the Filter page: what it shows is what numpy finds in the stored arrays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from helpers.browsing import asked, settled, until, visit
from helpers.factories import CLASS_NAMES, NumpyProbe, make_samples
from helpers.servers import running

from dashboard import create_app
from dashboard.stores.source import Source
from fmcore import open_store
from fmcore.capture import CaptureOptions, capture, plan_capture
from fmcore.dataset import Preprocessing
from fmcore.records import ModelInfo

pytestmark = pytest.mark.browser
LAYER, FILTER = "block/conv 1", 7


class SeeingProbe(NumpyProbe):
    """Its first layer's units see 3x3 pixels."""

    def __init__(self) -> None:
        super().__init__()
        first, second = self.layers
        y, x = np.mgrid[: first.shape[0], : first.shape[1]]
        low = np.maximum(np.stack([y, x], -1) - 1, 0)
        high = np.minimum(np.stack([y, x], -1) + 1, np.array(first.shape[:2]) - 1)
        fields = np.concatenate([low, high], -1).astype(np.int32)
        self.layers = (replace(first, receptive_field=fields, field_words="exact"), second)


@pytest.fixture(scope="module")
def store_path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("filter") / "seen.h5"
    probe = SeeingProbe()
    plan = plan_capture(
        probe,
        make_samples(37),
        CaptureOptions(batch_size=10),
        class_names=CLASS_NAMES,
        model=ModelInfo("tiny", digest="0" * 64, architecture='{"layers": []}'),
        dataset_name="random",
        dataset_source="random images",
        preprocessing=Preprocessing(scale=255.0),
    )
    return capture(probe, make_samples(37), path, plan)


@pytest.fixture(scope="module")
def url(store_path):
    with running(create_app(Source(store_path))) as where:
        yield where


@pytest.fixture
def store(store_path):
    with open_store(store_path) as opened:
        yield opened


def opened(page, url: str, query: str) -> None:
    visit(page, url + "filter?" + query)
    page.locator("#filter-raw table").wait_for()
    settled(page)


def link(**values: object) -> str:
    return "&".join(f"{name}={value}" for name, value in values.items()).replace(" ", "%20")


THIS = link(layer=LAYER, filter=FILTER)


@pytest.fixture
def page(kept_page):
    return kept_page


def test_the_strongest_sample_is_numpys_and_its_box_is_what_the_unit_sees(page, url, store):
    opened(page, url, THIS)
    layer = store.layers[LAYER]
    maps = layer.activation[..., FILTER]
    best, y, x = np.unravel_index(maps.argmax(), maps.shape)
    strongest = page.locator(".filter-best")
    assert f"Sample {best}," in strongest.inner_text()
    assert f"at y {y}, x {x}" in strongest.inner_text()
    picture = strongest.locator(".picture")
    image, box = picture.bounding_box(), picture.locator(".field-box").bounding_box()
    height, width = store.images.shape[1:3]
    top, left, bottom, right = layer.receptive_field(y, x)
    scale = image["width"] / width
    assert scale == pytest.approx(image["height"] / height, rel=0.01)
    assert box["y"] - image["y"] == pytest.approx(top * scale, abs=1)
    assert box["x"] - image["x"] == pytest.approx(left * scale, abs=1)
    assert box["height"] == pytest.approx((bottom + 1 - top) * scale, abs=1)
    assert box["width"] == pytest.approx((right + 1 - left) * scale, abs=1)
    shown = page.locator("#filter-strongest .thumbnail").first
    shown.click()
    page.wait_for_url(f"**/maps?**sample={best}&filter={FILTER}*")
    page.go_back()
    page.locator("#filter-raw table").wait_for()
    settled(page)
    assert asked(page) == {"layer": LAYER, "sample": "0", "filter": str(FILTER)}


def test_the_downloads_are_the_stored_values(page, url, store, tmp_path):
    opened(page, url, THIS)
    maps = store.layers[LAYER].activation[..., FILTER : FILTER + 1]
    order = np.argsort(-maps.max(axis=(1, 2, 3)), kind="stable")

    def saved(of) -> np.ndarray:
        with page.expect_download() as download:
            of.click()
        download.value.save_as(tmp_path / "a.npy")
        return np.load(tmp_path / "a.npy")

    one = saved(page.get_by_text("Download its feature map (.npy)"))
    np.testing.assert_array_equal(one, maps[order[:1]])
    row = page.locator("#filter-raw tr").filter(has_text="The 25 strongest samples")
    many = saved(row.get_by_role("link").filter(has_text=".npy").first)
    np.testing.assert_array_equal(many, maps[np.sort(order[:25])])
    page.get_by_text("The 25 strongest samples, by command line, curl or Python").click()
    code = page.locator("#filter-raw details[open] pre").nth(2).inner_text()
    found: dict[str, np.ndarray] = {}
    exec(code, found)  # what a person would copy
    np.testing.assert_array_equal(found["array"], many)


def test_a_class_is_selected_and_the_page_follows_and_comes_back(page, url, store):
    opened(page, url, THIS)
    page.locator("#filter-classes").get_by_role("link", name="one", exact=True).click()
    page.wait_for_url("**filter=7&class=1")
    page.get_by_role("heading", name="Strongest of class one").wait_for()
    settled(page)
    largest = store.layers[LAYER].pooled("max")[:, FILTER]
    members = np.flatnonzero(store.labels == 1)
    best = members[largest[members].argmax()]
    first = page.locator("#filter-strongest .thumbnail").first
    assert parse_qs(urlsplit(first.get_attribute("href")).query)["sample"] == [str(best)]
    assert page.input_value("#filter-class") == "one"
    page.go_back()
    page.wait_for_url(lambda where: "class=" not in where)
    page.get_by_role("heading", name="Strongest of class one").wait_for(state="detached")
    page.click("#filter-class")
    page.get_by_role("option", name="<b>three</b>").click()
    page.wait_for_url("**class=3")
    page.locator("#filter-strongest").get_by_text("This class has no samples").wait_for()


def test_keys_and_buttons_step_through_filters_round_the_end(page, url, store):
    opened(page, url, link(layer=LAYER, filter=19))
    page.keyboard.press("ArrowDown")
    page.wait_for_url("**filter=0*")
    page.get_by_role("heading", name=f"{LAYER} · filter 0").wait_for()
    page.get_by_text("every activation of the whole test set is the same").first.wait_for()
    for _ in range(3):
        page.keyboard.press("ArrowUp")
    page.wait_for_url("**filter=17*")
    page.get_by_label("Next filter (↓)").click()
    page.wait_for_url("**filter=18*")
    page.get_by_role("heading", name=f"{LAYER} · filter 18").wait_for()


def test_steps_at_any_pace_are_all_taken(page, url, store):
    opened(page, url, link(layer=LAYER, filter=0))
    for pause in np.random.default_rng(0).uniform(0, 200, 15):  # ms
        page.keyboard.press("ArrowDown")
        page.wait_for_timeout(pause)
    page.wait_for_url("**filter=15*")
    page.get_by_role("heading", name=f"{LAYER} · filter 15").wait_for()
    assert page.input_value("#filter-filter") == "15"


def test_a_similar_filter_is_one_click_away_and_back(page, url, store):
    opened(page, url, THIS)
    means = store.layers[LAYER].pooled("mean")[...]
    alive = [index for index in np.flatnonzero(means.std(axis=0)) if index != FILTER]
    sizes = [abs(np.corrcoef(means[:, FILTER], means[:, index])[0, 1]) for index in alive]
    first = page.locator(".filter-similar a").first
    said = first.inner_text()
    other = int(said.split()[1])
    size = dict(zip(alive, sizes, strict=True))[other]
    assert size == pytest.approx(max(sizes), abs=1e-3)
    assert abs(float(said.split("r = ")[1].split(",")[0])) == pytest.approx(size, abs=1e-3)
    first.click()
    page.get_by_role("heading", name=f"{LAYER} · filter {other}").wait_for()
    settled(page)
    page.go_back()
    page.get_by_role("heading", name=f"{LAYER} · filter {FILTER}").wait_for()


def test_a_dead_filter_says_why_it_has_no_scores(page, url):
    opened(page, url, link(layer="conv2", filter=1, **{"class": 1}))
    page.locator(".filter-findings").get_by_text("dead", exact=True).wait_for()
    scores = page.locator("#filter-scores")
    scores.get_by_text("Scores of pooled max are undefined").wait_for()
    assert "the same activation in the whole test set" in (
        scores.locator("table").first.inner_text()
    )
    page.locator("#filter-histogram-note").get_by_text("exactly zero").wait_for()
    page.locator("#filter-similar").get_by_text("None:").wait_for()


def test_images_are_cropped_to_what_the_unit_sees(page, url):
    opened(page, url, THIS)
    image = page.locator(".filter-best img")
    before = image.bounding_box()["width"]
    page.get_by_role("switch", name="Crop images to what the unit sees").click()
    until(page, lambda: image.bounding_box()["width"] > 1.5 * before)
    assert not page.locator(".filter-best .field-box").is_visible()
    page.get_by_role("switch", name="Crop images to what the unit sees").click()
    until(page, lambda: image.bounding_box()["width"] == before)


def test_a_link_opens_the_same_anew_and_nothing_is_wider_than_a_phone(page, url):
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, url, THIS + "&class=1")
    assert page.input_value("#filter-layer").startswith(LAYER)
    assert page.input_value("#filter-filter") == str(FILTER)
    assert page.input_value("#filter-class") == "one"
    assert asked(page)["class"] == "1"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
