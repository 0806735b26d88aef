"""Nothing old under a new label: a server that stops, stores that go or change, and slow lines."""

from __future__ import annotations

import contextlib
import re
import shutil
import threading

import pytest
from helpers.browsing import PATIENCE, drawn, settled, until
from helpers.factories import make_store, sampled
from helpers.servers import running
from playwright.sync_api import expect

from dashboard import create_app
from dashboard.server import listen
from dashboard.server.bounds import BOUNDS
from dashboard.stores.source import Source

pytestmark = pytest.mark.browser
FIRST, SECOND = "block/conv 1", "conv2"
PAGES = ("maps", "kernels", "classes", "filter", "compare")
STOPPED = "The server does not answer."
GONE = "This store cannot be read any more."
REPLACED = "The store was replaced since this page was opened."
LATER = "This is not what you selected yet"


class Stopping:
    """A server that can stop, and start again at its address."""

    def __init__(self, path):
        self.source, self.at = Source(path), ("127.0.0.1", 0)
        self.start()

    def start(self):
        self.socket = listen.bind(self.at)
        self.at, self.url = self.socket.getsockname(), listen.address(self.socket, tls=False)
        self.runner = listen.configured(create_app(self.source), BOUNDS, None)
        sockets = {"sockets": [self.socket]}
        self.thread = threading.Thread(target=self.runner.run, kwargs=sockets, daemon=True)
        self.thread.start()
        while not self.runner.started:
            self.thread.join(0.01)

    def stop(self):
        self.runner.should_exit = True
        self.thread.join()
        self.socket.close()


@pytest.fixture
def shelf(tmp_path, store_path):
    shutil.copy(store_path, tmp_path / "one.h5")
    make_store(tmp_path / "two.h5", 36)
    return tmp_path


@pytest.fixture
def server(shelf):
    server = Stopping(shelf)
    yield server
    server.stop()


@pytest.fixture
def page(browser):
    """A page whose console may have words: a browser writes there of each request that fails."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    yield page
    context.close()


def panels(page):
    return page.locator("[data-fills]:visible")


def words(page):
    return page.locator(".panel-state")


def opened(page, url, name, *, store="stores/one/"):
    page.goto(f"{url}{store}{name}?layer={SECOND}&sample=3")
    panels(page).first.wait_for()
    settled(page)


def choose_layer(page, name, path=FIRST):
    page.click(f"#{name}-layer")
    page.get_by_role("option", name=path).locator("visible=true").first.click()


def strip(page):
    return page.locator("#current")


def all_are_marked(page, sentence):
    expect(strip(page)).to_contain_text(sentence)
    opacity = "() => getComputedStyle(document.querySelector('.about')).opacity"
    until(page, lambda: page.evaluate(opacity) < "1")
    count = panels(page).count()
    assert count
    for at in range(count):
        expect(panels(page).nth(at)).to_contain_text("Not current")
        expect(panels(page).nth(at)).to_have_attribute("data-current", "stale")


def nothing_is_marked(page):
    expect(strip(page)).to_be_empty()
    settled(page)
    expect(page.locator("[data-current]")).to_have_count(0)
    assert page.get_attribute("html", "data-condition") is None


@pytest.mark.parametrize("name", sampled(1, PAGES, seed=0))
def test_a_server_that_stops_is_said_on_every_panel_and_what_was_selected_follows(
    name, page, server
):
    opened(page, server.url, name)
    page.mouse.wheel(0, 150)
    server.stop()
    choose_layer(page, name)
    all_are_marked(page, STOPPED)
    expect(panels(page).filter(has_text=LATER).first).to_be_visible()
    place = page.evaluate("() => window.scrollY")
    server.start()
    nothing_is_marked(page)
    assert page.evaluate("() => window.scrollY") == pytest.approx(place, abs=120)
    if name == "maps":
        drawn(page, f"{FIRST} 3 0")
    else:
        expect(page.locator(".page").get_by_text(FIRST).first).to_be_attached()
    expect(page).to_have_url(re.compile("layer=block"))


def test_a_link_that_was_clicked_is_followed_when_the_server_is_back(page, server):
    opened(page, server.url, "maps")
    server.stop()
    page.click("#nav-classes")
    expect(strip(page)).to_contain_text("The page that you chose opens as soon as")
    all_are_marked(page, STOPPED)
    server.start()
    page.locator(".classes-page").wait_for()
    nothing_is_marked(page)
    expect(page.locator("#nav-classes")).to_have_class("active")
    # One that leaves the page, too.
    server.stop()
    choose_layer(page, "classes")
    expect(strip(page)).to_contain_text(STOPPED)
    page.get_by_role("link", name="Feature Map Dashboard").click()
    expect(strip(page)).to_contain_text("The page that you chose opens as soon as")
    server.start()
    page.locator("#stores-table").wait_for()


@pytest.mark.parametrize("name", sampled(1, PAGES, seed=1))
def test_a_store_that_is_removed_is_said_on_every_panel_with_the_way_to_the_others(
    name, page, server, shelf
):
    opened(page, server.url, name)
    (shelf / "one.h5").rename(shelf / "away")
    page.wait_for_timeout(2100)  # the folder is looked through that often
    choose_layer(page, name)
    all_are_marked(page, GONE)
    link = strip(page).get_by_role("link", name="All stores")
    assert link.evaluate("(link) => link.href") == server.url
    (shelf / "away").rename(shelf / "one.h5")
    nothing_is_marked(page)


def test_the_only_store_removed_is_said_with_the_reason(page, tmp_path, store_path):
    path = tmp_path / "only.h5"
    shutil.copy(store_path, path)
    with running(create_app(Source(path))) as url:
        opened(page, url, "classes", store="")
        path.rename(tmp_path / "away")
        choose_layer(page, "classes")
        all_are_marked(page, GONE)
        expect(strip(page)).to_contain_text("only.h5")
        (tmp_path / "away").rename(path)
        nothing_is_marked(page)


@pytest.mark.parametrize("name", sampled(1, PAGES, seed=2))
def test_a_store_that_is_replaced_is_said_at_once_and_the_new_one_is_a_click_away(
    name, page, server, shelf
):
    opened(page, server.url, name)
    make_store(shelf / "new", 25)
    (shelf / "new").rename(shelf / "one.h5")
    choose_layer(page, name)
    all_are_marked(page, REPLACED)
    expect(page.locator(".about")).to_contain_text("37 samples")
    page.click("#nav-filter" if name != "filter" else "#nav-classes")
    expect(strip(page)).to_contain_text(REPLACED)
    strip(page).get_by_role("button", name="Show the new one").click()
    expect(page.locator(".about")).to_contain_text("25 samples")
    nothing_is_marked(page)


def test_the_other_store_replaced_is_said_too(page, server, shelf):
    opened(page, server.url, "compare")
    make_store(shelf / "new", 25)
    (shelf / "new").rename(shelf / "two.h5")
    choose_layer(page, "compare")
    all_are_marked(page, REPLACED)


def test_pictures_of_a_store_that_was_replaced_are_not_taken_for_those_of_before(
    page, server, shelf
):
    opened(page, server.url, "maps")
    make_store(shelf / "new", 36)
    (shelf / "new").rename(shelf / "one.h5")
    page.evaluate(
        """() => { const image = document.querySelector("#maps-thumbnails img");
        image.src = image.src.replace(/size=[0-9]+/, "size=77"); }"""
    )
    all_are_marked(page, REPLACED)


@contextlib.contextmanager
def slow_line(page):
    """No answer of a callback, and no array, comes meanwhile."""
    held = []
    page.route(re.compile("_dash-update-component|/maps[?]"), lambda route: held.append(route))
    yield
    page.unroute_all()
    for route in held:
        with contextlib.suppress(Exception):  # the browser may have given it up
            route.continue_()


@pytest.mark.parametrize("name", sampled(1, PAGES, seed=3))
def test_on_a_slow_line_a_panel_on_its_way_says_so_until_it_is_there(name, page, server):
    opened(page, server.url, name)
    with slow_line(page):
        choose_layer(page, name)
        busy = page.locator('[data-fills][aria-busy="true"]:visible')
        expect(busy.first).to_be_visible()
        expect(busy.first.locator(".panel-state")).to_have_text("Loading…")
        faded = busy.first.locator("> * > :not(.card-title, .controls, .panel-state)").first
        until(page, lambda: faded.evaluate("(part) => getComputedStyle(part).opacity") == "0.45")
        expect(strip(page)).to_be_empty()
    nothing_is_marked(page)


def test_a_panel_whose_answer_fails_says_why_and_asks_again_on_demand(page, server):
    opened(page, server.url, "classes")
    refuses = threading.Event()
    refuses.set()

    def refuse(route):
        if refuses.is_set() and "classes-heatmap-drawing" in route.request.post_data:
            route.fulfill(status=500, json={"error": "internal error"})
        else:
            route.continue_()

    page.route("**/_dash-update-component*", refuse)
    choose_layer(page, "classes")
    heatmap = panels(page).filter(has_text="Every class and filter")
    expect(heatmap).to_contain_text("Not current: the server could not answer: internal error.")
    expect(page.locator('[data-current="stale"]')).to_have_count(1)
    expect(strip(page)).to_be_empty()
    refuses.clear()
    heatmap.get_by_role("button", name="Ask again").click()
    nothing_is_marked(page)


def test_the_catalogue_says_that_the_server_stopped_and_heals(page, server):
    page.goto(server.url)
    page.get_by_role("link", name="one").wait_for()
    server.stop()
    expect(strip(page)).to_contain_text(STOPPED)
    server.start()
    expect(strip(page)).to_be_empty()
    page.get_by_role("link", name="one").click()
    page.wait_for_selector("#overview-filters[data-rows]")
