"""Addresses that lead to nothing, the first moments of a page, and the page of the HTTP API."""

from __future__ import annotations

import io
import re
import shutil

import numpy as np
import pytest
from helpers.browsing import PATIENCE, drawn
from helpers.factories import sampled
from helpers.servers import running
from PIL import Image
from playwright.sync_api import expect

from dashboard import create_app
from dashboard.stores.source import Source

pytestmark = pytest.mark.browser
DARK_BODY, LIGHT_BODY = (36, 36, 36), (255, 255, 255)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, store_path):
    folder = tmp_path_factory.mktemp("shelf")
    for name in ("early", "late"):
        shutil.copy(store_path, folder / f"{name}.h5")
    (folder / "broken.h5").write_bytes(store_path.read_bytes()[:4000])
    return folder


@pytest.fixture(scope="module")
def served(shelf):
    with running(create_app(Source(shelf))) as url:
        yield url


@pytest.fixture
def page(browser, request):
    """A page whose console may say that an address has a status of 404."""
    options = getattr(request, "param", {})
    context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    yield page
    context.close()


def body_color(page):
    return tuple(
        int(part)
        for part in re.findall(
            r"\d+", page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        )[:3]
    )


SCHEMES = [{"color_scheme": "light"}, {"color_scheme": "dark"}]


@pytest.mark.parametrize("page", sampled(1, SCHEMES, seed=2), indirect=True)
def test_an_unknown_store_is_answered_with_404_and_the_way_to_those_that_there_are(page, served):
    answer = page.goto(f"{served}stores/earlie/maps?layer=conv2")
    assert answer.status == 404
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("There is no such store")
    expect(alert).to_contain_text("'earlie'")
    is_dark = page.evaluate("() => matchMedia('(prefers-color-scheme: dark)').matches")
    assert body_color(page) == (DARK_BODY if is_dark else LIGHT_BODY)
    page.get_by_role("main").get_by_role("link", name="early").click()
    page.wait_for_selector("#overview-filters[data-rows]")
    page.goto(f"{served}stores/nowhere-near")
    page.get_by_role("link", name="All stores").click()
    page.locator("#stores-table").wait_for()


@pytest.mark.parametrize(
    "path", sampled(1, ["nothing", "nothing/at/all", "<img src=x onerror=alert(1)>"], seed=1)
)
def test_an_unknown_page_is_answered_with_404_and_links_to_the_pages(path, page, served):
    answer = page.goto(f"{served}stores/early/{path}?layer=conv2&sample=3")
    assert answer.status == 404
    expect(page.get_by_role("alert")).to_contain_text("There is no such page")
    expect(page.get_by_role("alert")).to_contain_text(path)
    assert page.locator("img").count() == 0
    page.get_by_role("navigation").get_by_role("link", name="Classes").click()
    page.locator(".classes-page").wait_for()
    page.go_back()
    page.get_by_role("main").get_by_role("link", name="Filter").click()
    page.locator(".filter-page").wait_for()


def test_an_unknown_layer_is_answered_with_404_and_links_to_the_layers(page, served):
    answer = page.goto(f"{served}stores/early/classes?layer=conv22")
    assert answer.status == 404
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("There is no such layer")
    expect(alert).to_contain_text("'conv22'")
    expect(alert).to_contain_text("did you mean conv2?")
    page.get_by_role("main").get_by_role("link", name="conv2").click()
    page.locator(".classes-page").wait_for()
    assert page.input_value("#classes-layer").startswith("conv2")


def test_a_damaged_store_by_link_says_what_the_catalogue_says(page, served):
    page.goto(served)
    row = page.locator(".ag-center-cols-container .ag-row").filter(has_text="broken")
    words = row.locator('[col-id="health"]').inner_text()
    assert len(words) > 20
    answer = page.goto(f"{served}stores/broken/filter")
    assert answer.status == 409
    expect(page.get_by_role("alert")).to_contain_text(words)
    expect(page.get_by_role("main").get_by_role("link", name="All stores")).to_be_visible()


@pytest.mark.parametrize("page", [{"java_script_enabled": False}], indirect=True)
def test_without_scripts_a_page_says_in_a_sentence_what_it_lacks(page, served):
    text = page.goto(f"{served}stores/early/maps").text()  # Chromium's switch hides <noscript>
    (sentence,) = re.findall("<noscript><p>(.*?)</p></noscript>", text, re.DOTALL)
    assert "switch JavaScript on" in sentence
    expect(page.get_by_role("banner")).to_contain_text("early")


@pytest.mark.parametrize(
    ("choice", "page"),
    sampled(1, list(zip([None, None, "dark", "light"], SCHEMES * 2, strict=True)), seed=1),
    indirect=["page"],
)
def test_a_slow_line_sees_a_frame_at_once_in_the_colors_of_the_page(choice, page, served):
    system = page.evaluate("() => matchMedia('(prefers-color-scheme: dark)').matches")
    if choice:
        page.add_init_script(f"localStorage.setItem('mantine-color-scheme-value', '{choice}')")
    is_dark = choice == "dark" or (choice is None and system)
    pending, is_slow = [], True

    def hold(route):
        if is_slow:
            pending.append(route)
        else:
            route.continue_()

    page.route(re.compile(r"/_dash-component-suites/"), hold)
    page.goto(f"{served}stores/early/maps?layer=conv2&sample=3", wait_until="commit")
    expect(page.get_by_text("Loading…")).to_be_visible()
    banner = page.get_by_role("banner")
    expect(banner).to_contain_text("Feature Map Dashboard")
    expect(banner).to_contain_text("early")
    link = banner.get_by_role("link", name="Classes")
    assert link.get_attribute("href") == "classes?layer=conv2&sample=3"
    picture = Image.open(io.BytesIO(page.screenshot(animations="allow"))).convert("RGB")
    pixels = np.asarray(picture).reshape(-1, 3)
    expected = np.array(DARK_BODY if is_dark else LIGHT_BODY)
    assert (pixels == expected).all(axis=1).mean() > 0.9
    is_slow = False
    for route in pending:
        route.continue_()
    drawn(page, "conv2 3 0")
    assert body_color(page) == tuple(expected)


@pytest.mark.parametrize("page", sampled(1, SCHEMES, seed=3), indirect=True)
def test_the_page_of_the_api_is_linked_both_ways_and_follows_the_colors(page, served):
    page.goto(f"{served}stores/early/filter")
    page.get_by_role("banner").get_by_role("link", name="API").click()
    page.get_by_text("/api/v1/stores/{store}/maps").first.wait_for()
    is_dark = page.evaluate("() => matchMedia('(prefers-color-scheme: dark)').matches")
    background = page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")
    assert background == ("rgb(28, 32, 34)" if is_dark else "rgb(255, 255, 255)")
    page.get_by_role("link", name="Feature Map Dashboard").click()
    page.locator("#stores-table").wait_for()
