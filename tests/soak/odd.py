"""Requests that nobody means well with, at a team's server: it answers, lives, and keeps its size.

Callback bodies with values of another kind, queries that mean nothing, and requests with odd first
lines, headers, cookies, bodies and ends; each is made from the seed and its number, which are
printed where an answer is wrong.

    python tests/soak/odd.py                              # 10,000 + 10,000 + 2,000
    python tests/soak/odd.py --quick                      # a twentieth
    python tests/soak/odd.py --seed 7 --kind headers --at 812    # one of them again
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.harness import Options, Table, tiny_store
from soak.oddities import (
    UPDATE,
    Request,
    callback_body,
    components_in,
    head,
    odd_request,
    page_bodies,
    query,
)
from soak.people import team_server, workers_of

KINDS = ("callbacks", "queries", "headers")
PAGES = ("overview", "maps", "layers", "kernels", "classes", "filter", "compare")
# Longer than any answer takes; a request without an end is given up after the second.
PATIENCE, LEFT_AFTER = 30.0, 0.3
# What a health check allows.
HEALTHZ_P99 = 0.1
# A worker's caches take up meanwhile what a small store leaves in `dashboard/stores/cache.py`, and
# the files that are kept compressed; a leak of 10 kB a request would come to 80 MB.
MOST_GROWTH = 64 << 20
# Of all requests, before memory is looked at first: what is kept once is there by then.
WARM = 0.4
# An answer that is none.
NOTHING, LATE = "closed without an answer", "no answer in time"


@dataclass(slots=True)
class Answers:
    """What came back.

    Attributes:
        statuses: how often each came, by kind of request.
        wrong: a line for each answer that is wrong.
    """

    statuses: dict[str, Counter] = field(
        default_factory=lambda: {kind: Counter() for kind in KINDS}
    )
    wrong: list[str] = field(default_factory=list)


async def answer(host: str, port: int, request: Request) -> int | str:
    """The status of what a server answers on a connection of its own."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        with suppress(ConnectionError):  # the server may have had enough before all was sent
            writer.write(request.data)
            if request.ends:
                await asyncio.sleep(0)
            else:
                await writer.drain()
        async with asyncio.timeout(LEFT_AFTER if request.ends else PATIENCE):
            while line := await reader.readline():
                # After `100 Continue` comes an answer.
                if (status := re.match(rb"HTTP/1\.[01] (\d{3}) ", line)) and status[1] != b"100":
                    return int(status[1])
            return NOTHING
    except TimeoutError:
        return NOTHING if request.ends else LATE
    except ConnectionError:
        return NOTHING
    finally:
        writer.close()


async def send_all(
    address: tuple[str, int],
    kind: str,
    numbers: Iterable[int],
    make: Callable[[random.Random], Request],
    seed: int,
    answers: Answers,
) -> None:
    """Sends requests of a kind, a few at the same time."""
    waiting = iter(numbers)

    async def client() -> None:
        for n in waiting:
            request = make(random.Random(f"{kind} {seed} {n}"))
            status = await answer(*address, request)
            answers.statuses[kind][status] += 1
            if status == LATE or (isinstance(status, int) and status >= 500):
                again = f"--seed {seed} --kind {kind} --at {n}"
                answers.wrong.append(f"{status}: {again}: {request.words}")

    await asyncio.gather(*(client() for _ in range(4)))


class Health(threading.Thread):
    """Asks `/healthz` ten times a second, on one connection, beside all else."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(daemon=True)
        self._where = host, port
        self.ended = threading.Event()
        self.seconds: list[float] = []

    def run(self) -> None:
        while not self.ended.wait(0.1):
            began = time.perf_counter()
            connection = http.client.HTTPConnection(*self._where, timeout=PATIENCE)
            connection.request("GET", "/healthz")
            status = connection.getresponse().status
            connection.close()
            self.seconds.append(time.perf_counter() - began if status == 200 else PATIENCE)


def fetched(address: tuple[str, int], path: str, token: str) -> str:
    """The body of an answer, as text."""
    connection = http.client.HTTPConnection(*address, timeout=PATIENCE)
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def makers(address: tuple[str, int], token: str) -> dict[str, Callable[[random.Random], Request]]:
    """What makes a request of each kind, of what the server says of itself."""
    host = f"{address[0]}:{address[1]}"
    components = {}
    for page in PAGES:
        index = fetched(address, f"/stores/a/{page}", token)
        layout = re.search(r'id="first-layout">(.*?)</script>', index, re.DOTALL)[1]
        components |= components_in(json.loads(layout))
    bodies = page_bodies(json.loads(fetched(address, "/_dash-dependencies", token)), components)
    paths = json.loads(fetched(address, "/openapi.json", token))["paths"]
    addresses = [
        (
            path.replace("{store}", "a").replace("{sample}", "3"),
            [p["name"] for p in methods["get"].get("parameters", ()) if p["in"] == "query"],
        )
        for path, methods in paths.items()
    ]
    fields = ("layer", "sample", "filter", "class", "against", "with", "window", "order", "by")
    addresses += [(f"/stores/a/{page}", fields) for page in PAGES]
    addresses += [("/login", ("next",)), ("/", ("a",)), ("/_dash-component-suites/x.js", ("m",))]

    def callback(rng: random.Random) -> Request:
        body = callback_body(rng, bodies)
        extra = rng.choice(("", "", "", "?endId=x&oldJob=1&job=2&cacheKey=3"))
        data = head("POST", f"/stores/a{UPDATE}{extra}", host, token, body)
        return Request(data, body[:600].decode("latin-1"))

    def asked(rng: random.Random) -> Request:
        path = query(rng, addresses)
        return Request(head("GET", path, host, token), path[:600])

    return {
        "callbacks": callback,
        "queries": asked,
        "headers": lambda rng: odd_request(rng, host, token),
    }


ROWS = SENT, WRONG, GROWTH, LARGEST, BEGUN = (
    "requests",
    "answers 5xx or none in time",
    "growth of the largest worker",
    "largest worker",
    "workers that died",
)


def run(options: argparse.Namespace, url: str, token: str, process) -> bool:
    """Sends all that the options say; whether anything was wrong."""
    where = urlsplit(url)
    address, answers = (where.hostname, where.port), Answers()
    counts = dict(zip(KINDS, (options.callbacks, options.queries, options.headers), strict=True))
    makes = makers(address, token)
    if options.at is not None:
        request = makes[options.kind](random.Random(f"{options.kind} {options.seed} {options.at}"))
        print(request.words, "\n", asyncio.run(answer(*address, request)))
        return False
    before_pids = set(workers_of(process))
    health = Health(*address)
    health.start()
    began, before = time.perf_counter(), {}
    for first, last in ((0.0, WARM), (WARM, 1.0)):
        for kind, count in counts.items():
            numbers = range(int(first * count), int(last * count))
            asyncio.run(send_all(address, kind, numbers, makes[kind], options.seed, answers))
        before = before or workers_of(process)
    seconds = time.perf_counter() - began
    health.ended.set()
    health.join()
    after = workers_of(process)
    growth = max((after[pid] - before[pid] for pid in after.keys() & before.keys()), default=0)
    for line in answers.wrong[:20]:
        print(line)
    for kind, statuses in answers.statuses.items():
        print(f"{kind}: {dict(statuses.most_common())}")
    cuts = quantiles(health.seconds, n=100)
    with Table("/healthz beside it", ("n", "p50", "p99", "max"), ["/healthz"]) as table:
        parts = (median(health.seconds), cuts[98], max(health.seconds))
        table.add("/healthz", len(health.seconds), *((1e3 * part, "ms") for part in parts))
    with Table("odd requests", ("",), ROWS) as table:
        table.add(SENT, sum(counts.values()), note=f"in {seconds:.0f} s, seed {options.seed}")
        table.add(WRONG, len(answers.wrong))
        table.add(GROWTH, (growth / 1e6, "MB"), note=f"{MOST_GROWTH / 1e6:.0f} MB at most")
        table.add(LARGEST, (max(after.values()) / 1e6, "MB"))
        table.add(BEGUN, len(before_pids - after.keys()))
    slow = not options.quick and cuts[98] > HEALTHZ_P99  # a quick run has others beside it
    return bool(answers.wrong) or growth > MOST_GROWTH or before_pids != after.keys() or slow


def main() -> int:
    parser = Options(__doc__)
    parser.add_number("--callbacks", 10_000, 500)
    parser.add_number("--queries", 10_000, 500)
    parser.add_number("--headers", 2_000, 100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="another one, other requests (0)")
    parser.add_argument("--kind", choices=KINDS, help="with --at: of which kind")
    parser.add_argument("--at", type=int, metavar="N", help="send this one alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "stores"
        folder.mkdir()
        tiny_store(folder / "a.h5")
        tiny_store(folder / "b.h5", seed=1)
        with team_server(folder, 1, options.workers) as (url, token, process):
            wrong = run(options, url, token, process)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
