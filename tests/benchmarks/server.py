"""Cold starts with parallel first requests, and `/healthz` while a callback takes two seconds."""

from __future__ import annotations

import concurrent.futures
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.factories import make_store
from helpers.servers import SHOW_PAGE

from dashboard import create_app, server
from dashboard.source import Source

STARTS, FIRST_REQUESTS, CALLBACK_SECONDS = 20, 12, 2.0


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def cold_start(store: Path, suites: list[str]) -> list[int]:
    command = [sys.executable, "-m", "dashboard.cli", "serve", str(store), "--port", "0"]
    process = subprocess.Popen([*command, "--no-open"], stdout=subprocess.PIPE, text=True)
    url = re.search(r"http://\S+", process.stdout.readline()).group()
    paths = ["", "_dash-layout", "_dash-dependencies", *suites]
    with concurrent.futures.ThreadPoolExecutor(FIRST_REQUESTS) as pool:
        found = list(pool.map(status, [url + paths[i % len(paths)] for i in range(FIRST_REQUESTS)]))
    process.terminate()
    process.wait()
    return found


def health_during_a_slow_callback(store: Path) -> list[float]:
    source = Source(store)
    app, opened = create_app(source), source.snapshot

    def slow():
        time.sleep(CALLBACK_SECONDS)
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
        asked = urllib.request.Request(
            f"{url}_dash-update-component", json.dumps(SHOW_PAGE).encode(), headers
        )
        latencies = []
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            callback = pool.submit(lambda: urllib.request.urlopen(asked).status)
            while not callback.done():
                started = time.perf_counter()
                assert status(url + "healthz") == 200
                latencies.append(time.perf_counter() - started)
                time.sleep(0.02)
            assert callback.result() == 200
        runner.should_exit = True
        thread.join()
    return latencies


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder) / "store.h5")
        app_page = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from pathlib import Path; from dashboard.app import _create_dash;"
                "from dashboard.source import Source;"
                "print(_create_dash(Source(Path(sys.argv[1]))).index())",
                str(store),
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        suites = re.findall(r"_dash-component-suites/[^\"]*", app_page)[:3]
        answers = [cold_start(store, suites) for _ in range(STARTS)]
        failed = sum(one != 200 for each in answers for one in each)
        print(f"{STARTS} cold starts, {FIRST_REQUESTS} first requests at once: {failed} not 200")
        latencies = sorted(health_during_a_slow_callback(store))
        p95 = latencies[int(0.95 * len(latencies))]
        print(
            f"/healthz during a {CALLBACK_SECONDS:.0f} s callback, {len(latencies)} requests: "
            f"p95 {p95 * 1e3:.1f} ms, max {latencies[-1] * 1e3:.1f} ms"
        )
