"""What the browser asks the server for: once, and only what it does not know already."""

from __future__ import annotations

import contextlib
import json
import re
from urllib.parse import urlsplit

import pytest
from helpers.browsing import (
    asked,
    cell_position,
    drawn,
    open_colors,
    ready,
    settled,
    until,
    visit,
    wall_cell,
    wheel_zoom,
)
from helpers.factories import sampled

pytestmark = pytest.mark.browser

FIRST, SECOND = "block/conv 1", "conv2"


@contextlib.contextmanager
def posts(page):
    """The outputs of the callbacks that the server is asked for meanwhile, and at rest after it."""
    outputs: list[str] = []

    def record(request) -> None:
        if request.method == "POST":
            outputs.append(json.loads(request.post_data)["output"])

    page.on("request", record)
    yield outputs
    settled(page)
    page.remove_listener("request", record)


def opened(page, url: str, query: str, picture: str) -> None:
    """Opens a link, and waits until its page is quiet."""
    visit(page, f"{url}maps?{query}")
    drawn(page, picture)
    ready(page, "maps-enlarged")
    page.locator("#maps-thumbnails [data-sample]").first.wait_for()
    settled(page)


def test_a_sample_step_asks_once_and_the_link_position_and_enlarged_map_follow(
    kept_page, url, store
):
    page = kept_page
    opened(page, url, f"layer={FIRST}&sample=3&filter=2&class=1", f"{FIRST} 3 2")
    before = page.inner_text("#maps-filter-note")
    with posts(page) as outputs:
        page.keyboard.press("ArrowRight")
        page.wait_for_selector(f'#maps-wall[data-drawn^="{FIRST} "]:not([data-drawn*=" 3 "])')
    assert outputs == ["..maps-probability.figure...maps-probability-verdict.children.."]
    sample = int(asked(page)["sample"])
    assert store.labels[sample] == 1
    n = (store.labels == 1).sum()
    position = (store.labels[: sample + 1] == 1).sum()
    assert page.inner_text("#maps-position") == f"{position} of {n} that match, of 37 samples"
    values = store.layers[FIRST].feature_maps(sample)[..., 2]
    z = page.evaluate(
        "() => document.querySelector('#maps-enlarged .js-plotly-plot').data[0].z.map(r => [...r])"
    )
    assert z == values.tolist()
    assert page.inner_text("#maps-filter-note") != before
    assert page.get_attribute("#maps-filter-link", "href") == f"filter?{urlsplit(page.url).query}"


@pytest.mark.parametrize(
    ("order", "more"),
    sampled(2, [("class", 1), ("class&class=2", 0), ("similar", 0), ("mean", 0)]),
)
def test_the_order_is_asked_for_again_where_it_depends_on_the_sample(kept_page, url, order, more):
    page = kept_page
    opened(page, url, f"layer={FIRST}&sample=3&order={order}", f"{FIRST} 3 0")
    with posts(page) as outputs:
        page.keyboard.press("ArrowRight")
        page.wait_for_selector('#maps-wall:not([data-drawn$=" 3 0"])')
    assert len(outputs) == 1 + more, outputs
    assert sum("maps-scores" in output for output in outputs) == more


def test_gestures_windows_and_colors_ask_for_nothing(kept_page, url):
    page = kept_page
    opened(page, url, f"layer={FIRST}&sample=3", f"{FIRST} 3 0")
    with posts(page) as outputs:
        page.mouse.move(*wall_cell(page, 2, 2, 1))
        wheel_zoom(page, -300)
        page.wait_for_url("**window=*")
        open_colors(page)
        page.get_by_text("Each map").click()
        page.wait_for_url("**range=map*")
        page.locator("#maps-zeros").click()
        page.wait_for_url("**zeros=mark*")
        page.get_by_role("textbox", name="High end").fill("0.4")
        page.wait_for_url("**range=hand*")
        page.locator("#maps-inverted").click()
        page.wait_for_url("**invert=inverted*")
    assert outputs == []


def test_the_zoom_of_the_enlarged_map_stays_through_steps(kept_page_of, url):
    page = kept_page_of(url, viewport={"width": 1400, "height": 1800})  # all of it in sight
    opened(page, url, f"layer={FIRST}&sample=3", f"{FIRST} 3 0")
    ranges = """() => { const { xaxis, yaxis } =
      document.querySelector('#maps-enlarged .js-plotly-plot')._fullLayout;
      return [...xaxis.range, ...yaxis.range]; }"""
    whole = page.evaluate(ranges)
    page.mouse.move(*cell_position(page, "maps-enlarged", 1, 1))
    page.mouse.down()
    page.mouse.move(*cell_position(page, "maps-enlarged", 5, 5), steps=5)
    page.mouse.up()
    until(page, lambda: page.evaluate(ranges) != whole)
    zoomed = page.evaluate(ranges)
    for sample in (4, 5):
        page.keyboard.press("ArrowRight")
        drawn(page, f"{FIRST} {sample} 0")
        settled(page)
        assert page.evaluate(ranges) == zoomed
    x, y = cell_position(page, "maps-enlarged", 3, 3)
    page.mouse.dblclick(x, y)
    until(page, lambda: page.evaluate(ranges) == whole)


FILE = re.compile(r"/(assets|_dash-component-suites)/|\.png\?")


def test_a_link_takes_four_trips_in_a_row_at_most_to_its_first_picture(page, url):
    requests = []
    page.on("requestfinished", lambda request: requests.append(request))
    index = page.goto(f"{url}maps?layer={SECOND}&sample=5&filter=1&order=class").text()
    drawn(page, f"{SECOND} 5 1")
    settled(page)
    settled(page)
    trips: dict[str, tuple[int, float]] = {}  # the longest chain to an answer, and when it was here
    for request in sorted(requests, key=lambda request: request.timing["startTime"]):
        path, start = request.url.removeprefix(url), request.timing["startTime"]
        if FILE.search(request.url):
            if path not in index:
                continue  # of a graph or a thumbnail, for which the wall does not wait
            before = 1  # the index names them all
        else:
            before = max((n for n, end in trips.values() if end <= start), default=0)
        trips[path] = before + 1, start + request.timing["responseEnd"]
    (maps,) = (n for path, (n, _) in trips.items() if "/maps?" in path and "sample=5" in path)
    assert maps <= 4, trips
    assert sum(request.method == "POST" for request in requests) <= 3


def test_the_script_of_tables_is_run_where_there_is_a_table(page, url):
    scripts: list[str] = []
    page.on("request", lambda request: scripts.append(urlsplit(request.url).path))
    page.goto(f"{url}maps?layer={SECOND}&sample=1")
    drawn(page, f"{SECOND} 1 0")
    settled(page)
    assert page.locator("script[src*=dash_ag_grid]").count() == 0
    page.click("#nav-classes")
    rows = page.locator("#classes-filters .ag-center-cols-container .ag-row")
    rows.first.wait_for()
    assert rows.count() == 3
    assert page.locator("script[src*=dash_ag_grid]").count() == 1
    page.click("#nav-filter")
    page.locator("#filter-raw table").wait_for()
    page.click("#nav-classes")
    rows.first.wait_for()
    loaded = [path for path in scripts if "dash_ag_grid" in path and "async" not in path]
    assert len(set(loaded)) == 1
