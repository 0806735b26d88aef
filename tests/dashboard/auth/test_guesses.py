"""Guesses at passwords: counted before they are checked, over all workers, by where they are."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import multiprocessing
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from helpers.servers import running
from starlette.datastructures import Headers

from dashboard import create_app
from dashboard.auth import delays
from dashboard.auth.delays import FREE
from dashboard.auth.guard import Login, Proxy
from dashboard.auth.journal import Journal
from dashboard.auth.people import People
from dashboard.server.bounds import BOUNDS
from dashboard.stores.source import Source

PASSWORD, SECRET = "correct horse battery", "a secret of the proxy alone"
SAME = {"sec-fetch-site": "same-origin"}
SHARE = BOUNDS.stranger_requests_of_address
WORKERS, GUESSES = 4, 64


@pytest.fixture
def people(tmp_path) -> People:
    created = People(tmp_path / "people", create=True)
    created.add("ada", "admin", PASSWORD)
    return created


@contextlib.contextmanager
def workers_of(people, store_path):
    """The address of a server of several processes."""
    command = [sys.executable, "-m", "dashboard.cli", "serve", store_path.parent, "--no-open"]
    command += ["--users", people.path, "--workers", WORKERS, "--port", 0]
    process = subprocess.Popen(
        [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        address = re.search(r" at (\S+) ", process.stdout.readline())
        assert address, process.communicate(timeout=20)[1]
        listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        for _ in range(600):  # until all are there
            if len(listed.read_text().split()) == WORKERS:
                break
            time.sleep(0.05)
        yield address[1]
    finally:
        process.terminate()
        process.communicate(timeout=40)


async def posts(url: str, forms: list[dict[str, str]], **headers: str) -> list[httpx.Response]:
    """The answers to logins that all arrive at the same time, each on a connection of its own."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        sent = (client.post("/login", data=form, headers=SAME | headers) for form in forms)
        return await asyncio.gather(*sent)


@pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs fork")
def test_parallel_guesses_over_all_workers_are_counted_before_they_are_checked(people, store_path):
    with workers_of(people, store_path) as url:
        guesses = [{"name": "ada", "password": f"guess number {n}"} for n in range(GUESSES)]
        began = time.monotonic()
        answers = asyncio.run(posts(url, guesses))
        seconds = time.monotonic() - began
    statuses = collections.Counter(answer.status_code for answer in answers)
    assert sum(statuses.values()) == GUESSES
    # Four at once, and by the delays one more after 2 s, 6 s and 14 s.
    assert 1 <= statuses[401] <= 4 + sum(seconds > later for later in (2, 6, 14)), statuses
    assert set(statuses) <= {401, 429, 503}, statuses


def test_no_login_under_way_outlives_a_change_of_the_password(people, store_path, monkeypatch):
    """The password changes while it is being checked, by another process: another connection."""
    checking, changed = threading.Event(), threading.Event()
    verify = people._hasher.verify

    def slowly(hashed: str, password: str) -> bool:
        correct = verify(hashed, password)
        checking.set()
        assert changed.wait(30)
        return correct

    class Slow:
        verify = staticmethod(slowly)
        hash = people._hasher.hash

    monkeypatch.setattr(people, "_hasher", Slow())
    app = create_app(
        Source(store_path), login=Login(people, Journal(people.path.with_suffix(".j")))
    )
    others, replaced = People(people.path), "another horse battery"
    for password, change in (
        (PASSWORD, lambda: others.set_password("ada", replaced)),
        (replaced, lambda: others.remove("ada")),
    ):
        checking.clear()
        changed.clear()
        with running(app) as url:
            form = {"name": "ada", "password": password}
            with ThreadPoolExecutor(1) as asking:
                login_answer = asking.submit(httpx.post, f"{url}login", data=form, headers=SAME)
                assert checking.wait(30)
                change()
                changed.set()
            answer = login_answer.result()
        assert answer.status_code == 401, answer.text
        assert "set-cookie" not in answer.headers
        assert people._file.execute("SELECT count(*) FROM session").fetchone() == (0,)


def guess(path: Path, number: int, ready, n_checked) -> None:
    """What one worker does with its share of the guesses, all of which come at the same time."""
    people = People(path)
    delays.time = SimpleNamespace(time=lambda: 1e9)  # no delay ends meanwhile
    hasher = people._hasher

    class Counting:
        hash = hasher.hash

        @staticmethod
        def verify(hashed: str, password: str) -> bool:
            with n_checked.get_lock():
                n_checked.value += 1
            return hasher.verify(hashed, password)

    people._hasher = Counting()
    ready.wait(60)
    with ThreadPoolExecutor(GUESSES // WORKERS) as pool:
        tries = range(GUESSES // WORKERS)
        list(pool.map(lambda n: people.log_in("ada", f"guess {number} {n}", "192.0.2.1"), tries))


def test_processes_look_at_no_more_guesses_together_than_one_does(people):
    spawning = multiprocessing.get_context("spawn")
    ready, n_checked = spawning.Barrier(WORKERS), spawning.Value("i", 0)
    processes = [
        spawning.Process(target=guess, args=(people.path, number, ready, n_checked))
        for number in range(WORKERS)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert n_checked.value == FREE + 1


def test_what_was_right_is_no_failure_and_what_was_wrong_for_others_stays_one(people):
    people.add("vera", "view", PASSWORD)
    for _ in range(FREE + 2):
        assert people.log_in("ada", PASSWORD, "192.0.2.1").session
    assert people._rows("SELECT * FROM failure") == []
    assert not people.log_in("vera", "wrong", "192.0.2.1").session
    assert people.log_in("ada", PASSWORD, "192.0.2.1").session
    assert dict(people._rows("SELECT who, n FROM failure")) == {
        "192.0.2.1 vera": 1,
        "192.0.2.1": 1,
    }


def test_a_clock_that_was_set_back_makes_nobody_wait_longer(people):
    ahead = time.time() + 86400
    with people._changing() as file:
        file.execute("INSERT INTO failure VALUES ('here ada', 5, ?)", (ahead,))
    assert 0 < people.wait("ada", "here") <= 4


@pytest.mark.parametrize("through", ["socket", "secret", "nothing"])
def test_nothing_that_a_client_says_gives_it_other_tries(people, store_path, through):
    """Its bucket is where it really is: by the proxy that proved itself, or by the connection."""
    proxy = {"socket": Proxy(""), "secret": Proxy(SECRET), "nothing": None}[through]
    login = Login(people, Journal(people.path.with_suffix(".j")), proxy, secure=False)
    real = {"x-forwarded-for": "192.0.2.7"} if through == "socket" else {}
    junk = [
        {"x-proxy-secret": "junk"},
        {"x-proxy-secret": "\u00e9"},
        {"x-proxy-secret": ""},
        {"x-proxy-secret": "another", "x-forwarded-for": "192.0.2.7"},
    ]
    if through != "socket":  # there the proxy writes the line of the address itself
        junk += [{"x-forwarded-for": "192.0.2.99"}, {"forwarded": "for=192.0.2.99"}]
    with running(create_app(Source(store_path), login=login)) as url:
        statuses = []
        for headers in junk:
            sent = {name: value.encode("latin-1") for name, value in (real | headers).items()}
            form = {"name": "ada", "password": "wrong"}
            answer = httpx.post(f"{url}login", data=form, headers=SAME | sent)
            statuses.append(answer.status_code)
        assert statuses[:4] == [401] * 4
        form = {"name": "ada", "password": PASSWORD}
        answer = httpx.post(f"{url}login", data=form, headers=SAME | real)
        assert answer.status_code == 429
    n_clients = sum(" " not in who for (who,) in people._rows("SELECT who FROM failure"))
    assert n_clients == 1


def test_a_proxy_with_a_secret_beyond_ascii_is_believed():
    proxy = Proxy("gehe\u00efmnis, das niemand kennt")
    raw = [(b"x-proxy-secret", proxy.secret.encode())]
    assert proxy.sent(Headers(raw=raw))
    assert not proxy.sent(Headers(raw=raw * 2))  # one of them is the client's
    assert not proxy.sent(Headers(raw=[(b"x-proxy-secret", b"\xff")]))
    assert not proxy.sent(Headers(raw=[]))


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        ([], "socket"),
        (["192.0.2.1"], "192.0.2.1"),
        (["junk, 192.0.2.1:4711"], "192.0.2.1"),
        (["192.0.2.9", "192.0.2.1"], "192.0.2.1"),  # a proxy that adds a line of its own
        (["[2001:DB8::1]:443"], "2001:db8::1"),
        (["::ffff:192.0.2.1"], "192.0.2.1"),
        (["fe80::1%" + "x" * 20], "fe80::1"),
        (["fe80::1%" + "x" * 50_000], "socket"),
        (["junk"], "socket"),
        (["192.0.2.1, "], "socket"),
        (["1" * 5000], "socket"),
        (["\u0661.2.3.4"], "socket"),
        (["127.0.0.1' OR 1=1"], "socket"),
    ],
)
def test_only_an_address_is_a_client(people, tmp_path, lines, client):
    login = Login(people, Journal(tmp_path / "log"), Proxy(""))
    raw = [(b"x-forwarded-for", line.encode("utf-8")) for line in lines]
    assert login.client({"type": "http", "headers": raw}) == client


def test_addresses_of_one_ipv6_network_are_one_client(people):
    for n in range(4):
        assert people.log_in("ada", "wrong", f"2001:db8:0:1::{n}").wait == 0
    assert people.log_in("ada", "wrong", "2001:db8:0:1:ffff::9").wait > 0
    assert people.log_in("ada", PASSWORD, "2001:db8:0:2::1").session


def test_a_flood_of_logins_from_one_client_keeps_nobody_else_out(people, store_path, monkeypatch):
    """The flood holds all places that one client can have; nothing is checked before she asks."""
    go, verify, hashing = threading.Event(), people._hasher.verify, people._hasher.hash
    people._nobody  # noqa: B018 (its hash is made before it counts)

    class Held:
        hash = staticmethod(hashing)

        @staticmethod
        def verify(hashed: str, password: str) -> bool:
            assert go.wait(60)
            return verify(hashed, password)

    monkeypatch.setattr(people, "_hasher", Held())
    login = Login(people, Journal(people.path.with_suffix(".j")), Proxy(SECRET), secure=False)
    from_afar = {"x-proxy-secret": SECRET, "x-forwarded-for": "192.0.2.66"}
    flood = [{"name": f"name{n}", "password": "wrong"} for n in range(3 * SHARE)]

    async def flooded(url: str) -> tuple[list[int], int]:
        async with httpx.AsyncClient(
            base_url=url, timeout=60, limits=httpx.Limits(max_connections=None)
        ) as client:
            asking = [
                asyncio.create_task(client.post("/login", data=form, headers=SAME | from_afar))
                for form in flood
            ]
            refused = 0  # at once: those beyond the share
            for answer in asyncio.as_completed(asking):
                refused += (await answer).status_code == 503
                if refused == len(flood) - SHARE:
                    break
            elsewhere = {"x-proxy-secret": SECRET, "x-forwarded-for": "192.0.2.1"}
            form = {"name": "ada", "password": PASSWORD}
            hers = asyncio.create_task(client.post("/login", data=form, headers=SAME | elsewhere))
            await client.get("/login")  # she has arrived by then, or is about to
            go.set()
            answers = [answer.status_code for answer in await asyncio.gather(*asking)]
            return answers, (await hers).status_code

    with running(create_app(Source(store_path), login=login)) as url:
        statuses, hers = asyncio.run(flooded(url))
    assert hers == 303
    assert collections.Counter(statuses) == {
        503: len(flood) - SHARE,
        401: SHARE,
    }
