"""Cold starts with parallel first requests, and `/healthz` while a callback takes two seconds.

python tests/benchmarks/server.py [--quick] [--starts N] [--callback SECONDS]
"""

from __future__ import annotations

import concurrent.futures
import json
import re
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.harness import Options, Table
from benchmarks.serving import command_for, ended, p95, started
from helpers.factories import make_store
from helpers.servers import SHOW_PAGE

from dashboard import create_app
from dashboard.app import _create_dash
from dashboard.server import listen as server
from dashboard.stores.source import Source

FIRST_REQUESTS = 12
ROWS = STARTS, HEALTH, LONGEST = (
    "first requests of cold starts not answered 200",
    "/healthz during a slow callback, p95",
    "/healthz during a slow callback, longest",
)


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def cold_start(store: Path, suites: list[str]) -> list[int]:
    """The status of each of the first requests, which come at once."""
    process, url = started(command_for(store))
    paths = ["", "_dash-layout", "_dash-dependencies", *suites]
    with concurrent.futures.ThreadPoolExecutor(FIRST_REQUESTS) as pool:
        urls = [url + paths[i % len(paths)] for i in range(FIRST_REQUESTS)]
        statuses = list(pool.map(status, urls))
    ended(process)
    return statuses


def health_during_a_slow_callback(store: Path, callback_seconds: float) -> list[float]:
    """Seconds of each request for `/healthz` until a callback has been answered."""
    source = Source(store)
    app, opened = create_app(source), source.snapshot

    def slow():
        time.sleep(callback_seconds)
        return opened()

    with server.bind(("127.0.0.1", 0)) as listening:
        runner, url = server.configured(app), server.address(listening)
        thread = threading.Thread(target=runner.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not runner.started:
            time.sleep(0.01)
        status(url + "healthz")
        source.snapshot = slow
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(
            f"{url}_dash-update-component", json.dumps(SHOW_PAGE).encode(), headers
        )
        latencies = []
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            callback = pool.submit(lambda: urllib.request.urlopen(request).status)
            while not callback.done() or not latencies:
                started = time.perf_counter()
                assert status(url + "healthz") == 200
                latencies.append(time.perf_counter() - started)
                time.sleep(0.02)
            assert callback.result() == 200
        runner.should_exit = True
        thread.join()
    return latencies


if __name__ == "__main__":
    parser = Options(__doc__)
    parser.add_number("--starts", 20, 1)
    parser.add_number("--callback", 2.0, 0.5, help="seconds of the slow callback")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Table("server", ("measured", "of"), ROWS) as table,
    ):
        store = make_store(Path(folder) / "store.h5")
        page = _create_dash(Source(store)).index()
        suites = re.findall(r"_dash-component-suites/[^\"]*", page)[:3]
        answers = [one for _ in range(options.starts) for one in cold_start(store, suites)]
        table.add(STARTS, sum(one != 200 for one in answers), len(answers))
        latencies = health_during_a_slow_callback(store, options.callback)
        table.add(HEALTH, (p95(latencies) * 1e3, "ms"), len(latencies))
        table.add(LONGEST, (max(latencies) * 1e3, "ms"), len(latencies))
