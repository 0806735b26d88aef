"""What a server says of itself: ids and lines of requests, numbers, and whether it is ready."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
import threading

import httpx
import pytest
from helpers.factories import make_store
from helpers.servers import served
from starlette.testclient import TestClient

from dashboard import create_app
from dashboard.auth.guard import Login
from dashboard.auth.journal import Journal
from dashboard.auth.people import People
from dashboard.server import ledger, readiness
from dashboard.server.access_log import AccessLog
from dashboard.server.metrics import Metrics
from dashboard.stores.source import Source

PASSWORD = "correct horse battery"
HOST = "http://127.0.0.1"


@pytest.fixture
def people(tmp_path):
    people = People(tmp_path / "people", create=True)
    for name, role in (("vera", "view"), ("ada", "admin")):
        people.add(name, role, PASSWORD)
    return people


@pytest.fixture
def lines(tmp_path):
    """Reads the access log after all is written."""
    log = AccessLog(tmp_path / "access.jsonl")

    def read(app):
        app.ledger.close()
        return [json.loads(line) for line in (tmp_path / "access.jsonl").read_text().splitlines()]

    read.log = log
    return read


def numbers(text: str) -> dict[str, float]:
    """The samples of Prometheus' text format, by name and labels."""
    rows = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in rows}


@pytest.mark.parametrize(
    "own", ["", "short", "x" * 65, "a b c d e f", "<script>alert</script>", "é" * 9]
)
def test_every_answer_bears_an_id_of_the_servers_unless_the_clients_is_plain(store_path, own):
    client = TestClient(create_app(Source(store_path)), base_url=HOST)
    for path in ("/healthz", "/", "/nosuch/", "/api/v1/stores", "/assets/style.css"):
        headers = {"x-request-id": own.encode()} if own else {}
        answer = client.get(path, headers=headers)
        assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"]), path
        plain = client.get(path, headers={"x-request-id": "0af7651916cd43dd-8448_eb211c80319c"})
        assert plain.headers["x-request-id"] == "0af7651916cd43dd-8448_eb211c80319c"


def test_a_line_of_the_log_says_who_asked_for_what_and_what_came(store_path, people, lines):
    login = Login(people, Journal(people.path.with_suffix(".log")), secure=False)
    app = create_app(Source(store_path), login=login, access_log=lines.log)
    client = TestClient(app, base_url=HOST)
    bearer = {"authorization": f"Bearer {people.make_token('vera', 'test')}"}
    answer = client.get("/api/v1/stores?x=1", headers=bearer)
    client.get("/a%0a%22b%1b[2J", headers=bearer)
    client.get("/maps")
    stores, odd, stranger = lines(app)
    assert stores == {
        "time": stores["time"],
        "id": answer.headers["x-request-id"],
        "person": "vera",
        "method": "GET",
        "path": "/api/v1/stores",
        "status": answer.status_code,
        "bytes": len(answer.content),
        "ms": stores["ms"],
    }
    assert odd["path"] == '/a\n"b\x1b[2J'
    assert (stranger["person"], stranger["status"]) == ("", 401)


def test_an_internal_error_bears_the_id_in_answer_and_log(store_path, lines, monkeypatch, caplog):
    source = Source(store_path)
    app = create_app(source, access_log=lines.log)
    monkeypatch.setattr(source, "snapshot", lambda name=None: 1 / 0)
    client = TestClient(app, base_url=HOST, raise_server_exceptions=False)
    with caplog.at_level(logging.ERROR):
        answers = [client.get(path) for path in ("/_dash-layout", "/api/v1/stores/tiny")]
    for answer, line in zip(answers, lines(app), strict=True):
        name = answer.headers["x-request-id"]
        assert answer.status_code == line["status"] == 500
        assert name == line["id"]
        assert name in answer.text
        assert f"request {name} to " in caplog.text


def test_a_log_that_cannot_be_written_costs_lines_and_no_request(tmp_path, store_path, caplog):
    app = create_app(Source(store_path), access_log=AccessLog(tmp_path))  # a folder
    client = TestClient(app, base_url=HOST)
    for _ in range(2):
        assert client.get("/healthz").status_code == 200
        app.ledger.settle()
    assert caplog.text.count("the access log cannot be written") == 1
    assert numbers(client.get("/metrics").text)["fmdash_log_lines_lost_total"] == 2


def test_lines_that_a_slow_disk_does_not_take_are_counted_and_hold_up_nobody(
    tmp_path, store_path, monkeypatch
):
    monkeypatch.setattr(ledger, "MOST_WAITING", 3)
    written, free = [], threading.Event()

    class Slow(AccessLog):
        def append(self, lines):
            free.wait(20)
            written.extend(lines)

    app = create_app(Source(store_path), access_log=Slow(tmp_path / "log"))
    client = TestClient(app, base_url=HOST)
    for _ in range(10):
        assert client.get("/healthz").status_code == 200
    free.set()
    counted = numbers(client.get("/metrics").text)
    assert counted["fmdash_log_lines_lost_total"] + len(written) == 10
    assert counted["fmdash_log_lines_lost_total"] >= 1


def test_the_numbers_count_what_was_asked(store_path):
    client = TestClient(create_app(Source(store_path)), base_url=HOST)
    for _ in range(3):
        client.get("/api/v1/stores/tiny/layers")
    client.get("/maps")
    client.get("/assets/style.css")
    client.get("/healthz", headers={"host": "elsewhere.example"})
    counted = numbers(client.get("/metrics").text)
    layers = 'route="/api/v1/stores/{store}/layers"'
    assert counted[f'fmdash_requests_total{{{layers},status="200"}}'] == 3
    assert counted[f"fmdash_request_seconds_count{{{layers}}}"] == 3
    assert counted['fmdash_requests_total{route="pages",status="200"}'] == 1
    assert counted['fmdash_requests_total{route="files",status="200"}'] == 1
    assert counted['fmdash_requests_total{route="none",status="400"}'] == 1
    assert counted['fmdash_refused_total{reason="malformed"}'] == 1
    assert counted["fmdash_store_opens_total"] == 1
    assert counted["fmdash_cache_bytes"] > 0
    assert counted["fmdash_cache_hits_total"] + counted["fmdash_cache_misses_total"] > 0


@pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs fork")
def test_the_numbers_are_those_of_all_workers_also_of_those_that_ended(store_path):
    with served(store_path.parent, "--workers", 3) as (url, process):
        for n in range(60):
            httpx.get(f"{url}healthz")  # a connection each: any worker
            if n == 30:
                subprocess.run(["kill", "-HUP", str(process.pid)], check=True)
        for _ in range(100):
            counted = numbers(httpx.get(f"{url}metrics").text)
            n = counted['fmdash_requests_total{route="/healthz",status="200"}']
            if counted["fmdash_workers"] == 3 and n == 60:
                break
        else:
            pytest.fail(f"{counted['fmdash_workers']} workers, {n} requests")
        assert counted['fmdash_request_seconds_bucket{le="+Inf",route="/healthz"}'] == 60


def test_only_an_admin_reads_the_numbers(store_path, people):
    login = Login(people, Journal(people.path.with_suffix(".log")), secure=False)
    client = TestClient(create_app(Source(store_path), login=login), base_url=HOST)
    for name, status in (("vera", 403), ("ada", 200)):
        bearer = {"authorization": f"Bearer {people.make_token(name, 'scrape')}"}
        assert client.get("/metrics", headers=bearer).status_code == status
    assert client.get("/metrics").status_code == 401
    assert client.get("/readyz").json() == {"status": "ready"}


def test_a_server_that_cannot_reach_its_stores_or_people_is_not_ready(
    tmp_path, people, monkeypatch
):
    monkeypatch.setattr(readiness, "KEPT_SECONDS", 0.0)
    folder = tmp_path / "stores"
    folder.mkdir()
    make_store(folder / "a.h5")
    login = Login(people, Journal(people.path.with_suffix(".log")), secure=False)
    with TestClient(create_app(Source(folder), login=login), base_url=HOST) as client:
        assert client.get("/readyz").json() == {"status": "ready"}
        folder.rename(tmp_path / "away")
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["reason"] == "stores: No such file or directory"
        assert client.get("/healthz").status_code == 200
        (tmp_path / "away").rename(folder)
        assert client.get("/readyz").status_code == 200
        shutil.move(people.path, tmp_path / "gone")
        reason = client.get("/readyz").json()["reason"]
        assert reason == "file of people: No such file or directory"


def test_a_look_that_hangs_is_one_look_and_no_answer_waits_for_it_for_ever(monkeypatch):
    import asyncio

    monkeypatch.setattr(readiness, "LATEST_SECONDS", 0.05)
    begun, free = [], threading.Event()

    def hang():
        begun.append(1)
        free.wait(20)

    async def ask():
        checks = readiness.Readiness({"stores": hang})
        answers = [await checks.problem() for _ in range(3)]
        free.set()
        return answers

    assert asyncio.run(ask()) == ["no answer within 0 s"] * 3
    assert begun == [1]


def test_numbers_of_a_process_of_its_own_need_no_folder():
    metrics = Metrics()
    metrics.begin()
    assert numbers(metrics.text().decode())["fmdash_workers"] == 1
