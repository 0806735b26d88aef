"""A team at a folder of stores: login, the page that lists them, a store, and out again."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from helpers.browsing import PATIENCE, drawn, ready, until
from helpers.factories import make_store, sampled
from helpers.nginx import behind_nginx
from helpers.servers import running, served

from dashboard import create_app
from dashboard.auth.guard import Login
from dashboard.auth.journal import Journal
from dashboard.auth.people import People
from dashboard.stores.source import Source

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("shelf")
    (found / "team").mkdir()
    make_store(found / "first.h5", 12)
    make_store(found / "team" / "second one.h5", 9)
    (found / "broken.h5").write_bytes((found / "first.h5").read_bytes()[:3000])
    return found


PLACES = {
    "": ("", False),
    "behind a prefix": ("/team/maps", False),
    "behind nginx": ("", True),
    "behind nginx and a prefix": ("/team/maps", True),
}


@pytest.fixture(scope="module")
def where(request, folder, tmp_path_factory):
    path, (prefix, has_proxy) = tmp_path_factory.mktemp("people"), PLACES[request.param]
    people = People(path / "people", create=True)
    people.add("vera", "view", PASSWORD)
    if has_proxy:
        # As deploy/README.md has it: through a socket, with deploy/nginx.conf before it.
        command = [folder, "--users", people.path, "--socket", path / "socket"]
        command += ["--allow-host", "localhost", "--workers", 2]
        with (
            served(*command, *(("--prefix", prefix) if prefix else ())),
            behind_nginx(path, path / "socket", prefix=prefix) as url,
        ):
            yield url
        return
    login = Login(people, Journal(path / "log"), secure=False)
    app = create_app(Source(folder), login=login, prefix=prefix)
    with running(app) as url:
        yield url + prefix.lstrip("/") + ("/" if prefix else "")


def log_in(page):
    page.fill("#name", "vera")
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")


# By these seeds, either test has a prefix and none, nginx and none, and both have all places.
@pytest.mark.parametrize("where", sampled(2, PLACES, seed=2), indirect=True)
def test_from_the_login_to_a_store_and_out_again(page_of, where):
    page = page_of(where)
    page.goto(where)
    assert "/login" in page.url
    log_in(page)
    page.wait_for_selector(".ag-row")
    assert page.url == where
    words = "3 stores, 1 of which cannot be opened"
    until(page, lambda: words in page.inner_text("#stores-count"))
    assert page.locator(".ag-row:has-text('broken') a").count() == 0
    page.fill("#stores-search", "second")
    until(page, lambda: page.locator(".ag-center-cols-container .ag-row").count() == 1)
    page.click("text=team:second one")
    page.wait_for_selector("#overview-filters[data-rows]")
    until(page, lambda: page.url.startswith(f"{where}stores/team%3Asecond%20one/overview?layer="))
    page.click("nav >> text=Feature maps")
    drawn(page, "block/conv 1 0 0")
    page.click("nav >> text=Filter")
    ready(page, "filter-histogram")
    page.click("nav >> text=Classes")
    ready(page, "classes-heatmap")
    shown = page.url
    assert "/classes?" in shown
    page.reload()
    ready(page, "classes-heatmap")
    assert page.url == shown
    page.click("header .account")
    page.click("text=Log out")
    page.wait_for_selector("#password")
    page.goto(shown)  # a link in a mail, before and after the login
    assert "/login" in page.url
    log_in(page)
    ready(page, "classes-heatmap")
    assert page.url == shown


@pytest.mark.parametrize("where", sampled(2, PLACES, seed=1), indirect=True)
def test_a_session_that_ends_leads_to_the_login_and_back(browser, where):
    context = browser.new_context(
        ignore_https_errors=True
    )  # the 401 it meets is a word on the console
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    page.goto(f"{where}stores/first/maps")
    log_in(page)
    drawn(page, "block/conv 1 0 0")
    context.clear_cookies()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#password")
    # What the link said last: where the machine is slow, it was written anew before the 401 came.
    sample = re.search(r"sample=(\d+)", unquote(unquote(page.url)))
    log_in(page)
    drawn(page, f"block/conv 1 {sample[1] if sample else 0} 0")
    context.close()


def test_a_store_that_comes_is_listed_without_a_reload(page_of, folder):
    with running(create_app(Source(folder))) as url:
        page = page_of(url)
        page.goto(url)
        page.wait_for_selector(".ag-row")
        path = make_store(folder / "third.h5", 6)
        page.wait_for_selector(".ag-row:has-text('third')")
        path.unlink()
        page.wait_for_selector(".ag-row:has-text('third')", state="detached")
