"""A server that has all it can do says when to come again, and loses nothing of what it took."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice

import httpx
import pytest
from helpers.servers import running

from dashboard import create_app
from dashboard.auth.guard import Login
from dashboard.auth.journal import Journal
from dashboard.auth.people import People
from dashboard.server.bounds import BOUNDS
from dashboard.stores.source import Source

MOST_AT_ONCE, MOST_OF_ONE = BOUNDS.requests, BOUNDS.requests_of_person
LAYOUT, SCRIPT = "_dash-layout", "assets/doors.js"


class Held(Source):
    """Answers, but no page before it is let go."""

    def __init__(self, *paths) -> None:
        super().__init__(*paths)
        self.ready = threading.Event()
        self.ready.set()

    def snapshot(self, name=None):
        """Waits."""
        self.ready.wait(20)
        return super().snapshot(name)


@pytest.fixture
def held(store_path) -> Held:
    return Held(store_path)


@pytest.fixture
def people(tmp_path) -> People:
    found = People(tmp_path / "people", create=True)
    for name in ("ada", "vera"):
        found.add(name, "view", "only for this test")
    return found


@contextlib.contextmanager
def asking(held, url, n, **headers):
    """So many requests under way, and the answers of those that were refused at once."""
    limits = httpx.Limits(max_connections=None)
    with (
        httpx.Client(base_url=url, headers=headers, timeout=60, limits=limits) as client,
        ThreadPoolExecutor(n) as pool,
    ):
        assert client.get(SCRIPT).status_code == 200  # kept from now on
        held.ready.clear()
        try:
            began = [pool.submit(client.get, LAYOUT) for _ in range(n)]
            yield client, began
        finally:
            held.ready.set()


def refused(began, n):
    """The first answers, of which there are so many while all others wait."""
    answers = [one.result() for one in islice(as_completed(began, timeout=60), n)]
    assert sum(one.done() for one in began) == n
    return answers


@pytest.mark.slow
def test_more_than_it_can_hold_are_told_to_come_again(held):
    with running(create_app(held)) as url:
        with asking(held, url, MOST_AT_ONCE + 8) as (client, began):
            for one in refused(began, 8):
                assert one.status_code == 503
                assert int(one.headers["retry-after"]) >= 1
                assert "try again" in one.json()["detail"]
            # Who watches the server, and a page that needs its scripts, are answered.
            assert client.get("healthz").status_code == 200
            assert client.get(SCRIPT).status_code == 200
            assert client.get("api/v1/stores").status_code == 503
        assert [one.result().status_code for one in began].count(200) == MOST_AT_ONCE
        assert httpx.get(url + LAYOUT).status_code == 200


def test_one_person_does_not_take_all_of_it(held, people, tmp_path):
    ada, vera = (f"Bearer {people.make_token(name, 'here')}" for name in ("ada", "vera"))
    login = Login(people, Journal(tmp_path / "log.jsonl"), secure=False)
    with running(create_app(held, login=login)) as url:
        with asking(held, url, MOST_OF_ONE + 3, authorization=ada) as (client, began):
            for one in refused(began, 3):
                assert one.status_code == 429
                assert int(one.headers["retry-after"]) >= 1
                assert "ada has 48 requests" in one.json()["detail"]
            assert client.get("docs", headers={"authorization": vera}).status_code == 200
        assert [one.result().status_code for one in began].count(200) == MOST_OF_ONE
        assert httpx.get(url + LAYOUT, headers={"authorization": ada}).status_code == 200
