"""What a click on a cell of Classes costs: how many requests, in how many rounds, of what size.

On a store of 1,000 classes and 512 filters, small otherwise.
"""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import numpy as np
import pytest
from helpers.browsing import asked, cell_position, pause, ready, settled, until
from helpers.factories import CLASS_NAMES, NumpyProbe, make_samples, sampled
from helpers.servers import running

from dashboard import create_app
from dashboard.stores.source import Source
from fmcore.capture import CaptureOptions, capture, plan_capture
from fmcore.dataset import Preprocessing
from fmcore.records import Captured, LayerSpec, ModelInfo

pytestmark = pytest.mark.browser
CLASSES, FILTERS = 1000, 512
MOST_TRIPS, MOST_BYTES = 5, 5000
# What has its figure counted as a picture.
PICTURES = ("classes-distribution", "classes-mean-maps")


class Wide(NumpyProbe):
    """A layer of many filters, with maps of a single value."""

    layers = (LayerSpec("wide", (1, 1, FILTERS), kind="Conv2D", activation="relu"),)

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._weights = rng.normal(size=(1, FILTERS)).astype(np.float32)

    def __call__(self, images, others=None) -> Captured:
        maps = np.maximum(images[:, :1, :1] @ self._weights - 0.2, 0)
        probability = np.full((len(images), CLASSES), 1 / CLASSES, np.float32)
        return Captured((maps,), probability)


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """The address of a server of the store; without scores, which would take a minute."""
    samples = make_samples(CLASSES, labels=np.arange(CLASSES))
    plan = plan_capture(
        Wide(),
        samples,
        CaptureOptions(batch_size=256, statistics="basic"),
        class_names=tuple(f"class {index}" for index in range(CLASSES)),
        model=ModelInfo("wide", digest="0" * 64, architecture='{"layers": []}'),
        dataset_name="random",
        dataset_source="random images",
        preprocessing=Preprocessing(scale=255.0),
    )
    path = capture(Wide(), samples, tmp_path_factory.mktemp("wide") / "wide.h5", plan)
    with running(create_app(Source(path))) as url:
        yield url


class Trips:
    """Callbacks that a page asks its server for, answered when nothing more is asked."""

    def __init__(self, page) -> None:
        self._page, self._waiting, self.bytes = page, [], 0
        page.route(re.compile("_dash-update-component"), lambda route: self._waiting.append(route))

    def settled(self) -> list[str]:
        """Waits until nothing more is asked, answers it, and tells which components it is of."""
        n, routes = -1, self._waiting
        if self.bytes == 0:
            until(
                self._page,
                lambda: any("classes-cell" in route.request.post_data for route in routes),
            )
        while len(routes) != n:
            n = len(routes)
            pause(self._page)
        for route in routes:
            answer = route.fetch()
            self.bytes += len(route.request.post_data) + len(without_pictures(answer.text()))
            route.fulfill(response=answer)
        asked_for = [json.loads(route.request.post_data)["output"] for route in routes]
        routes.clear()
        return asked_for


def without_pictures(text: str) -> str:
    """An answer without figures of the distribution and of mean maps."""
    body = json.loads(text)
    for name, props in body["response"].items():
        if name.startswith(PICTURES):
            props.pop("figure", None)
            if name.endswith("-drawings"):
                props["data"] = [style for _, style in props["data"]]
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def click_cell(page, row: int, column: int) -> str:
    """Clicks about a cell, which may be half a pixel high, and tells what it says that it is."""
    label = page.locator("#classes-heatmap .hoverlayer .hovertext text").first
    left, top = map(round, cell_position(page, "classes-heatmap", row, column))
    page.mouse.move(left - 3, top - 3)
    page.mouse.move(left, top)
    until(page, lambda: label.count() and f", filter {column}" in label.text_content())
    pause(page)  # what a hover says follows the pointer with a delay
    words = label.locator("tspan.line").first.text_content()
    page.mouse.down()
    page.mouse.up()
    return words.split(", ")[0].removeprefix("class ")


@pytest.mark.parametrize(
    ("store", "link"),
    sampled(2, [("wide", ""), ("wide", "&class=1"), ("tiny", "&class=1&against=0")]),
)
def test_a_click_on_a_cell_asks_for_the_cell_alone(page_of, request, store, link):
    """Of 1,000 classes and 512 filters; and of a store with all statistics, which says most."""
    where = request.getfixturevalue("wide" if store == "wide" else "url")
    layer, row, column = "wide", 700, 77
    if store == "tiny":
        layer, row, column = "block/conv 1", 2, 5
    page = page_of(where, viewport={"width": 1280, "height": 900})
    page.goto(f"{where}classes?layer={quote(layer)}{link}")
    ready(page, "classes-heatmap")
    drawn_cells = page.locator("#classes-heatmap .heatmaplayer image")
    until(page, lambda: drawn_cells.count() > 0)
    page.locator("#classes-filters .ag-row").first.wait_for(state="attached")
    settled(page)
    trips = Trips(page)
    name = click_cell(page, row, column)
    first = trips.settled()
    assert 0 < len(first) <= MOST_TRIPS
    assert trips.settled() == [], "nothing waits for an answer to ask more"
    assert trips.bytes <= MOST_BYTES, first
    page.get_by_text(re.compile(f"Filter {column} of {layer}, class ")).wait_for()
    assert asked(page)["filter"] == str(column)
    row = int(asked(page)["class"])
    assert name == (CLASS_NAMES[row] if store == "tiny" else f"class {row}")
    frame = page.evaluate(
        "document.querySelector('#classes-heatmap .js-plotly-plot').layout.shapes[0]"
    )
    assert (frame["x0"], frame["y0"]) == (column - 0.5, row - 0.5)


def test_zoom_stays_when_a_cell_is_clicked_or_the_statistic_changes(page_of, wide):
    page = page_of(wide, viewport={"width": 1280, "height": 900})
    page.goto(f"{wide}classes?layer=wide")
    ready(page, "classes-heatmap")
    until(page, lambda: page.locator("#classes-heatmap .heatmaplayer image").count() > 0)

    def span() -> list[float]:
        return page.evaluate(
            "document.querySelector('#classes-heatmap .js-plotly-plot')._fullLayout.xaxis.range"
        )

    whole = span()
    page.mouse.move(*cell_position(page, "classes-heatmap", 300, 50))
    page.mouse.down()
    page.mouse.move(*cell_position(page, "classes-heatmap", 500, 150), steps=5)
    page.mouse.up()
    until(page, lambda: span() != whole)
    settled(page)
    zoomed = span()
    name = click_cell(page, 400, 100)
    page.get_by_text(re.compile(f"Filter 100 of wide, class {name} ")).wait_for()
    assert span() == zoomed
    page.click("#classes-statistic")
    page.get_by_role("option", name="Maximum").click()
    page.wait_for_url("**statistic=max**")
    page.get_by_text(re.compile("Maximum: ")).wait_for()
    settled(page)
    assert span() == zoomed
