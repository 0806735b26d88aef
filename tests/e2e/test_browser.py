"""A person at the dashboard: links, keys, themes, and what a newcomer finds without help."""

from __future__ import annotations

import io
import random
import re
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import numpy as np
import pytest
from helpers.browsing import asked, drawn, ready, settled, until, visit
from helpers.factories import DEAD_FILTER, count, sampled
from helpers.servers import running

from dashboard import create_app
from dashboard.pages.state import (
    FIELDS,
    parse,
)
from dashboard.stores.source import Source
from fmcore import open_store

pytestmark = pytest.mark.browser

# Of each page in both themes, for people to look at.
PICTURES = Path(__file__).parents[2] / "build" / "pictures"
# The first graph of each page is there when the page is; the wall says itself what it has drawn.
READY = {"maps": "maps-enlarged", "classes": "classes-heatmap", "filter": "filter-histogram"}


@pytest.fixture(scope="module")
def digits(digits_store):
    with running(create_app(Source(digits_store))) as url, open_store(digits_store) as store:
        yield url, store


def random_state(catalog, rng: random.Random):
    values = {}
    for name, link in FIELDS.items():
        if link.values is not None:
            existing = list(link.values(catalog, values))
            usual = link.default(catalog)
            values[name] = rng.choice(existing if usual is not None else [None, *existing])
    largest = 11 if values["zoom"] == "linked" else 1000
    top, left = (rng.uniform(0, largest / 3) for _ in "yx")
    window = ",".join(f"{one:.2f}" for one in (top, left, top + largest / 2, left + largest / 2))
    return parse(values | {"window": rng.choice(["", window])}, catalog)[0]


@pytest.mark.slow
def test_random_links_open_to_the_same_in_another_browser_and_another_worker(
    page_of, digits, digits_store
):
    _, store = digits
    catalog = Source(digits_store).snapshot().catalog
    rng = random.Random(0)
    with running(create_app(Source(digits_store))) as url:  # a worker that knows nothing yet
        for number in range(count(3, 30)):
            view = ("maps", "classes", "filter")[number % 3]
            state = random_state(catalog, rng)
            page = page_of(url)
            page.goto(f"{url}{view}{state.query(catalog)}")
            if view == "maps":
                drawn(page, f"{state.layer} {state.sample} {state.filter_index}")
            ready(page, READY[view])
            assert page.input_value(f"#{view}-layer").startswith(state.layer)
            assert page.input_value(f"#{view}-filter") == str(state.filter_index)
            expected = "" if state.class_index is None else store.class_names[state.class_index]
            assert page.input_value(f"#{view}-class") == expected
            values = {name: asked(page).get(link.key) for name, link in FIELDS.items()}
            assert parse(values, catalog)[0] == state
            page.context.close()


def test_views_keep_the_selection_and_back_and_forward_work(page, url):
    page.goto(f"{url}maps?layer=conv2&sample=7&filter=2&class=1")
    drawn(page, "conv2 7 2")
    settled(page)
    page.get_by_role("banner").get_by_role("link", name="Classes", exact=True).click()
    page.wait_for_url("**/classes?**")
    ready(page, "classes-heatmap")
    assert page.input_value("#classes-class") == "one"
    page.get_by_role("banner").get_by_role("link", name="Filter", exact=True).click()
    page.wait_for_url("**/filter?**")
    page.get_by_role("heading", name="conv2 · filter 2").wait_for()
    page.go_back()
    ready(page, "classes-heatmap")
    assert asked(page)["sample"] == "7"
    page.go_back()
    drawn(page, "conv2 7 2")
    page.go_forward()
    ready(page, "classes-heatmap")
    assert page.input_value("#classes-filter") == "2"


def test_a_typed_word_goes_there_and_a_wrong_one_says_so(page, url):
    page.goto(f"{url}maps")
    drawn(page, "block/conv 1 0 0")
    settled(page)
    page.keyboard.press("/")
    page.keyboard.type("conv2 filter 1 sample 8")
    page.keyboard.press("Enter")
    drawn(page, "conv2 8 1")
    page.keyboard.press("/")
    page.keyboard.type("conv7")
    page.keyboard.press("Enter")
    page.get_by_text("Nothing is called 'conv7'").wait_for()
    settled(page)
    page.reload()
    drawn(page, "conv2 8 1")
    page.keyboard.press("?")
    page.get_by_role("dialog").get_by_text("the sample before, the one after").wait_for()


def test_names_from_a_store_are_shown_and_never_run(page, url):
    page.goto(url + "maps?class=3")
    ready(page, "maps-enlarged")
    assert page.input_value("#maps-class") == "<b>three</b>"
    page.goto(url + "maps?range=%3Cimg%20src=x%20onerror=alert(1)%3E&sample=99")
    page.get_by_role("alert").first.wait_for()
    settled(page)
    alerts = page.get_by_role("alert").all_text_contents()
    assert alerts[0].startswith("There is no sample 99 here (0 to 36)")
    assert "'<img src=x onerror=alert(1)>' here; showing" in alerts[1]


@pytest.mark.parametrize("scheme", sampled(1, ["light", "dark"], seed=1))
def test_figures_follow_the_colour_scheme_and_leave_their_picture(page_of, digits, scheme):
    url, _ = digits
    page = page_of(url, color_scheme=scheme)
    inks = {"light": "#212529", "dark": "#dee2e6"}
    other = {"light": "dark", "dark": "light"}[scheme]
    PICTURES.mkdir(parents=True, exist_ok=True)
    for view, graph in READY.items():
        visit(page, f"{url}{view}?layer=conv2&filter=6&class=7&sample=3")
        ready(page, graph)
        color = f"document.querySelector('#{graph} .js-plotly-plot')._fullLayout.font.color"
        until(page, lambda color=color: page.evaluate(color) == inks[scheme])
        page.screenshot(path=PICTURES / f"{view}-{scheme}.png", full_page=True)
        for expected in (other, scheme):
            page.get_by_label("Light or dark").click()
            until(page, lambda color=color, ink=inks[expected]: page.evaluate(color) == ink)


def test_a_newcomer_finds_a_dead_filter_the_strongest_for_7_its_image_and_its_array(
    page_of, digits
):
    """By visible words and labels alone, from the first page."""
    url, store = digits
    page = page_of(url)
    page.goto(url)
    page.get_by_role("banner").get_by_role("link", name="Classes", exact=True).click()
    ready(page, "classes-heatmap")
    page.get_by_role("textbox", name="Layer", exact=True).click()
    page.get_by_role("option", name="conv2").click()
    page.get_by_role("textbox", name="Class", exact=True).click()
    page.get_by_role("option", name="7", exact=True).click()
    said = page.get_by_text(re.compile(r"Of 32 filters: \d+ dead"))
    said.wait_for()
    dead = re.search(r"dead \(filters? ([\d, ]+)\)", said.inner_text())[1]
    assert str(DEAD_FILTER) in dead.split(", ")

    page.get_by_role("button", name=re.compile("Strongest for class 7")).click()
    scores = store.layers["conv2"].statistic("auc_mean")[7]
    strongest = int(np.nanargmax(scores))
    until(page, lambda: asked(page)["filter"] == str(strongest))

    page.get_by_role("banner").get_by_role("link", name="Filter", exact=True).click()
    page.get_by_role("heading", name=f"conv2 · filter {strongest}").wait_for()
    page.get_by_text("The image that excites it most").wait_for()
    responses = store.layers["conv2"].pooled("max")[:, strongest]
    page.get_by_text(re.compile(rf"Sample {int(responses.argmax())}\b")).first.wait_for()

    with page.expect_download() as caught:
        page.get_by_text("Download its feature map (.npy)").click()
    values = np.load(io.BytesIO(caught.value.path().read_bytes()))
    expected = store.layers["conv2"].feature_maps(int(responses.argmax()))[..., strongest]
    assert np.array_equal(values.squeeze(), expected)


def test_a_link_says_no_more_than_was_chosen(page, url):
    page.goto(f"{url}maps")
    drawn(page, "block/conv 1 0 0")
    settled(page)
    until(page, lambda: "layer" in asked(page))
    assert urlsplit(page.url).query == urlencode(
        {"layer": "block/conv 1", "sample": 0, "filter": 0}
    )
    assert parse_qs(urlsplit(page.url).query)["layer"] == ["block/conv 1"]
