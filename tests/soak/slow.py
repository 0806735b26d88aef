"""Slow clients at a server with few open files, and what people who are in feel of them.

    python tests/soak/slow.py
    python tests/soak/slow.py --quick

People ask for pages and maps, one after the other, alone and beside each kind of slow client:
logins that never end, headers of which a byte comes each second, connections that ask for nothing.
Slow clients come again a second after the server ended their connection. A wrong answer ends the
script with exit code 1, and in a full run also a 95th percentile of more than twice the one alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlencode, urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.harness import VIEWER, Options, Table, tiny_store
from soak.asking import Browser, LostError

from dashboard.server.process import raise_open_files

PASSWORD = "only for this run"
ALL = "all of them"
SAME = {"sec-fetch-site": "same-origin"}
BODY = (
    b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nSec-Fetch-Site: same-origin\r\n"
    b"Content-Length: 100\r\n\r\nx"
)


@contextlib.contextmanager
def served(folder: Path, workers: int, open_files: int) -> Iterator[tuple[str, str]]:
    """The address of a team's server that may have so many files open, and a token for it."""
    script, users = Path(__file__).with_name("team_server.py"), folder.parent / "people"
    command = [VIEWER, script, folder, users, 1, PASSWORD, "none", workers]
    process = subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files)),
    )
    try:
        token = process.stdout.readline().strip()
        yield re.search(r" at (\S+) ", process.stdout.readline())[1], token
    finally:
        process.terminate()
        process.wait(60)


async def sent(writer: asyncio.StreamWriter) -> None:
    """A login of which one byte comes."""
    writer.write(BODY)


async def dripping(writer: asyncio.StreamWriter) -> None:
    """Headers without end, a byte a second."""
    writer.write(b"GET / HTTP/1.1\r\nHost: ")
    while not writer.is_closing():
        await asyncio.sleep(1)
        writer.write(b"x")


async def nothing(_: asyncio.StreamWriter) -> None:
    """No request."""


async def slow(where: tuple[str, int], act: Callable[..., Coroutine], ended: Counter) -> None:
    """One client that does so again and again; counts how often the server ended it."""
    while True:
        try:
            reader, writer = await asyncio.open_connection(*where)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        doing = asyncio.ensure_future(act(writer))
        try:
            with contextlib.suppress(OSError):
                while await reader.read(1 << 12):
                    pass
            ended["connections"] += 1
        finally:
            doing.cancel()
            writer.close()
        await asyncio.sleep(1)


@contextlib.asynccontextmanager
async def beside(
    where: tuple[str, int], kinds: list[tuple[Callable, int]], ended: Counter
) -> AsyncIterator[None]:
    """So many slow clients of each kind, all of which are there."""
    tasks = [
        asyncio.create_task(slow(where, act, ended)) for act, count in kinds for _ in range(count)
    ]
    await asyncio.sleep(1 if tasks else 0)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def person(
    url: str, token: str, n: int, until: float, seconds: list[float], wrong: Counter
) -> None:
    """Looks at pages and maps, with a short thought between two of them."""
    where = urlsplit(url)
    browser = Browser(where.hostname, where.port, {**SAME, "authorization": f"Bearer {token}"})
    paths = (
        "/stores/tiny/_dash-layout",
        "/api/v1/stores/tiny/maps?layer=conv2&sample={}",
        "/api/v1/stores/tiny/images/{}.png",
        "/api/v1/stores",
        "/stores/tiny/classes",
    )
    await asyncio.sleep(0.01 * n)
    k = n
    # Each path once, also where a busy machine takes longer than the time for it.
    while time.time() < until or k < n + len(paths):
        k += 1
        path = paths[k % len(paths)].format(k % 30)
        try:
            answer = await browser.ask("GET", path)
        except LostError as error:
            wrong[f"lost: {error}"] += 1
            continue
        seconds.append(answer.seconds)
        if answer.status != 200:
            wrong[f"{answer.status} {path[:40]}"] += 1
        await asyncio.sleep(0.05)
    browser.close()


async def logins(url: str, until: float, seconds: list[float], wrong: Counter) -> None:
    """Somebody who logs in, again and again."""
    where = urlsplit(url)
    form = urlencode({"name": "p0", "password": PASSWORD}).encode()
    while time.time() < until or not (seconds or wrong):
        browser = Browser(where.hostname, where.port, dict(SAME))
        try:
            answer = await browser.ask("POST", "/login", form)
            seconds.append(answer.seconds)
            if answer.status != 303:
                wrong[f"{answer.status} login"] += 1
        except LostError as error:
            wrong[f"lost in login: {error}"] += 1
        browser.close()
        await asyncio.sleep(1)


@dataclass(slots=True)
class Round:
    """What people felt for a while: seconds of views and of logins, wrong answers, ended lines."""

    seconds: list[float] = field(default_factory=list)
    in_login: list[float] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)


async def felt(
    url: str, token: str, people: int, seconds: float, clients: list[tuple[Callable, int]]
) -> Round:
    """What people feel beside slow clients."""
    of = Round()
    async with beside((urlsplit(url).hostname, urlsplit(url).port), clients, of.ended):
        until = time.time() + seconds
        tasks = [person(url, token, n, until, of.seconds, of.wrong) for n in range(people)]
        await asyncio.gather(logins(url, until, of.in_login, of.wrong), *tasks)
    return of


async def run(options, url: str, token: str) -> int:
    """All kinds, each between two rounds alone, as machines are not always as quick; the code."""
    kinds = {
        "logins that stay open": [(sent, options.bodies)],
        "headers, a byte a second": [(dripping, options.headers)],
        "connections at rest": [(nothing, options.idle)],
        ALL: [*((sent, options.bodies), (dripping, options.headers), (nothing, options.idle))],
    }
    await felt(url, token, 1, 2, [])  # each worker opens the store, and hashes a password, once
    code, before = 0, await felt(url, token, options.people, options.seconds / 2, [])
    head = f"{options.people} people beside slow clients, {options.open_files} open files"
    columns = ("answers", "p50", "p95", "p95 alone", "ratio", "login p50")
    with Table(head, columns, kinds, width=48) as table:
        for kind, clients in kinds.items():
            during = await felt(url, token, options.people, options.seconds, clients)
            after = await felt(url, token, options.people, options.seconds / 2, [])
            p95, alone = p95_of(during.seconds), p95_of(before.seconds + after.seconds)
            wrong = before.wrong + during.wrong + after.wrong
            table.add(
                kind,
                len(during.seconds),
                (1e3 * median(during.seconds), "ms"),
                (1e3 * p95, "ms"),
                (1e3 * alone, "ms"),
                p95 / alone,
                (1e3 * median(during.in_login), "ms"),
                note=f"ended: {during.ended.total()}"
                + (f", wrong: {dict(wrong)}" if wrong else ""),
            )
            is_slower = not options.quick and p95 > 2 * alone
            code |= bool(wrong) or is_slower
            before = after
    return int(code)


def p95_of(seconds: list[float]) -> float:
    return quantiles(seconds, n=20)[-1]


def main() -> int:
    parser = Options(__doc__)
    parser.add_number("--seconds", 40.0, 1.0, help="beside each kind; more than a head may take")
    parser.add_number("--people", 10, 3)
    parser.add_number("--bodies", 300, 80)
    parser.add_number("--headers", 300, 40)
    parser.add_number("--idle", 1000, 300)
    parser.add_number("--open-files", 1024, 256)
    parser.add_number("--workers", 2, 1)
    options = parser.parse_args()
    raise_open_files()  # of this process, which holds the other ends
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "stores"
        folder.mkdir()
        tiny_store(folder / "tiny.h5")
        with served(folder, options.workers, options.open_files) as (url, token):
            return asyncio.run(run(options, url, token))


if __name__ == "__main__":
    sys.exit(main())
