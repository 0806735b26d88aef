"""A team at one server: people who open pages, step, switch, compare and take arrays home.

What each act asks of the server is recorded once from the real pages in Chromium; then many people
do such acts, with about two seconds of thought between them, each with a session of their own.

    python tests/soak/people.py data/mnist.h5 --people 50 --seconds 300
    python tests/soak/people.py data/mnist.h5 --people 300 --seconds 60    # more than it can do
    python tests/soak/people.py data/mnist.h5 --beside exports    # and callbacks that take 2 s
    python tests/soak/people.py data/mnist.h5 --beside kills
    python tests/soak/people.py data/mnist.h5 --beside replacing --other data/other.h5 --seconds 150
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median, quantiles
from urllib.parse import urlencode, urlsplit

from asking import Browser, LostError
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
PASSWORD = "only for this run"
SAME = {"sec-fetch-site": "same-origin"}
THOUGHT_SECONDS = 2.0
RAMP_SECONDS = 20.0
# How often each act is done, of all acts.
ACTS = {"step": 50, "layer": 12, "open": 10, "classes": 12, "filter": 12, "export": 4}
# Each act is done at one of so many places of the test set; a browser holds what it saw there.
PLACES, N_SAMPLES = 40, 10_000
FOR_GOOD = "for good"
PLACE = re.compile(r"(sample=|images/)(\d+)(?=[&.]|$)")
# A store of this name answers every callback 2 s late.
SLOW = "slow"


@dataclass(frozen=True, slots=True)
class Request:
    """What a page asks: method, path with query, body."""

    method: str
    path: str
    body: str | None = None


@dataclass(slots=True)
class Told:
    """What came back, of all people.

    Attributes:
        seconds: of every answer, by act.
        wrong: what was no answer, and how often.
        busy: answers 429 and 503.
        bodies: a hash of each answer about the store, by its digest and what was asked: the same
            must come back, or it was mixed of two stores.
        compared: answers that were held against an earlier one.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: Counter[str] = field(default_factory=Counter)
    busy: int = 0
    bodies: dict[tuple[str, Request], int] = field(default_factory=dict)
    compared: int = 0

    def hold(self, digest: str | None, request: Request, body: bytes) -> None:
        """Counts an answer without a digest, or other than an earlier one of the same store."""
        if digest is None:
            if "/api/" in request.path:  # callbacks that ask no store have none
                self.wrong[f"no digest: {request.path[:60]}"] += 1
            return
        key, found = (digest, request), zlib.crc32(body)
        self.compared += key in self.bodies
        if self.bodies.setdefault(key, found) != found:
            self.wrong[f"mixed: {request.path[:60]}"] += 1


def recorded(url: str, store: str, rounds: int) -> dict[str, list[list[Request]]]:
    """The requests of each act, several of each, as Chromium makes them."""
    seen: list[Request] = []

    def note(request) -> None:
        path = request.url.removeprefix(url)
        if request.url.startswith(url) and not re.search(r"assets/|component-suites", path):
            seen.append(Request(request.method, "/" + path, request.post_data))

    acts: dict[str, list[list[Request]]] = defaultdict(list)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.goto(f"{url}login")
        page.fill("#name", "p0")
        page.fill("#password", PASSWORD)
        page.click("button")
        page.wait_for_selector(".ag-row")
        page.on("request", note)

        def act(name: str, do) -> None:
            page.wait_for_timeout(1500)
            seen.clear()
            do()
            page.wait_for_timeout(2500)
            acts[name].append(list(seen))

        base = f"{url}stores/{store}"
        for _ in range(rounds):
            act("open", lambda: page.goto(f"{base}/maps"))
            page.wait_for_selector("#maps-wall[data-drawn]")
            for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"):
                act("step", lambda key=key: page.keyboard.press(key))
            for layer in ("conv2", "conv1"):
                act("layer", lambda layer=layer: go(page, layer))
            act("classes", lambda: page.click("nav >> text=Classes"))
            act("filter", lambda: page.click("nav >> text=Filter"))
        browser.close()
    acts["export"] = [
        [Request("GET", f"/api/v1/stores/{store}/maps?layer={layer}&sample=0:100&format=npy")]
        for layer in ("conv1", "conv2")
    ]
    for name, found in acts.items():
        kept = [one for one in found if one]
        print(f"{name}: {', '.join(str(len(one)) for one in kept)} requests")
        acts[name] = kept
    return acts


def go(page, where: str) -> None:
    page.keyboard.press("/")
    page.keyboard.type(where)
    page.keyboard.press("Enter")


def browser_of(url: str, **headers: str) -> Browser:
    """A browser of one more person."""
    where = urlsplit(url)
    said = {"accept-encoding": "deflate, gzip", **SAME, **headers}
    return Browser(where.hostname, where.port, said)


async def person(
    url: str, name: str, acts: dict, told: Told, until: float, wait: float, rng: random.Random
) -> None:
    """Logs in, and acts until the time is over."""
    await asyncio.sleep(wait)
    browser = browser_of(url)
    form = urlencode({"name": name, "password": PASSWORD}).encode()
    while time.time() < until:
        try:
            answer = await browser.ask("POST", "/login", form)
        except LostError as error:
            told.wrong[f"lost in login: {error}"] += 1
            continue
        if answer.status not in (429, 503):
            browser.headers["cookie"] = answer.headers["set-cookie"].partition(";")[0]
            break
        told.busy += 1
        await asyncio.sleep(float(answer.headers["retry-after"]))
    names, weights = list(ACTS), list(ACTS.values())
    held: dict[str, str] = {}
    while time.time() < until:
        act = rng.choices(names, weights)[0]
        shift, wanted = rng.randrange(PLACES) * 211, rng.choice(acts[act])
        await asyncio.gather(*(asked(browser, act, one, shift, told, held) for one in wanted))
        await asyncio.sleep(rng.expovariate(1 / THOUGHT_SECONDS))
    browser.close()


async def asked(
    browser: Browser, act: str, one: Request, shift: int, told: Told, held: dict[str, str]
) -> None:
    """Asks as a browser does that holds what it was given: by its tag, or for good."""
    path = PLACE.sub(lambda at: f"{at[1]}{(int(at[2]) + shift) % N_SAMPLES}", one.path)
    headers = {"content-type": "application/json"} if one.body else {}
    if held.get(path) == FOR_GOOD:
        return
    if path in held:
        headers["if-none-match"] = held[path]
    try:
        answer = await browser.ask(one.method, path, (one.body or "").encode(), headers)
    except LostError as error:
        told.wrong[f"lost in {act}: {error}"] += 1
        return
    if answer.status in (429, 503):
        told.busy += 1
    elif answer.status >= 400:
        told.wrong[f"{answer.status} in {act}: {path[:60]}"] += 1
    else:
        if one.method == "GET" and "etag" in answer.headers:
            for_good = "immutable" in answer.headers.get("cache-control", "")
            held[path] = FOR_GOOD if for_good else answer.headers["etag"]
        told.seconds[act].append(answer.seconds)
        if answer.status == 200:
            digest = answer.headers.get("x-store-digest")
            # A layout bears the name of who asked.
            whose = browser.headers.get("cookie", "") if "_dash-layout" in path else ""
            told.hold(digest, Request(one.method, path + whose, one.body), answer.body)


@contextlib.contextmanager
def team_server(folder: Path, people: int, workers: int):
    """The address of a server of a folder for so many people, a token for it, its process."""
    users = folder.parent / "people"
    python = ROOT / ".venv-viewer" / "bin" / "python"
    script = Path(__file__).with_name("team_server.py")
    command = [python, script, folder, users, people, PASSWORD, SLOW, workers]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    try:
        token = process.stdout.readline().strip()
        found = re.search(r" at (\S+) ", process.stdout.readline())
        yield found[1], token, process
    finally:
        process.terminate()
        process.wait(60)


def workers_of(process) -> dict[int, int]:
    """The resident bytes of each worker."""
    found = {}
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in map(int, listed):
        with contextlib.suppress(OSError, TypeError):
            status = Path(f"/proc/{pid}/status").read_text()
            found[pid] = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024
    return found


async def watched(process, seen: list[tuple[float, dict[int, int]]], until: float) -> None:
    while time.time() < until:
        seen.append((time.time(), workers_of(process)))
        await asyncio.sleep(1)


async def healthz(url: str, seconds: list[float], until: float) -> None:
    browser = browser_of(url)
    while time.time() < until:
        seconds.append((await browser.ask("GET", "/healthz")).seconds)
        await asyncio.sleep(0.1)


async def recovered(url: str, token: str, acts: dict) -> float:
    """Seconds, after a crowd has gone, until a view is answered within 150 ms from then on."""
    began, last = time.time(), 0.0
    browser = browser_of(url, authorization=f"Bearer {token}")
    while time.time() < began + 30:
        for one in (one for act in ("open", "step") for one in acts[act][0]):
            told = Told()
            await asked(browser, "view", one, 0, told, {})
            if told.busy or told.wrong or max(told.seconds["view"], default=0.0) > 0.15:
                last = time.time() - began
        await asyncio.sleep(0.2)
    return last


async def exports_and_slow(url: str, token: str, store: str, until: float) -> Counter:
    """Four whole layers taken home at once, again and again, and callbacks that take 2 s."""
    done: Counter = Counter()
    bearer = {"authorization": f"Bearer {token}"}

    async def again(path: str, name: str) -> None:
        browser = browser_of(url, **bearer)
        while time.time() < until:
            status, n_bytes = await browser.download(path)
            done[f"{name} {status}"] += 1
            done["bytes"] += n_bytes

    whole = f"/api/v1/stores/{store}/maps?layer=conv1&format=npy"
    asked_for = [(f"/stores/{SLOW}/_dash-layout", "slow"), *[(whole, "export")] * 4]
    tasks = [asyncio.create_task(again(*one)) for one in asked_for]
    await asyncio.wait(tasks, timeout=max(0.0, until - time.time()))
    for task in tasks:
        task.cancel()
    return done


async def killing(process, until: float) -> list[float]:
    """Kills a worker every ten seconds; how long until there are as many again."""
    back = []
    await asyncio.sleep(RAMP_SECONDS)
    while time.time() < until - 5:
        before = workers_of(process)
        victim = random.choice(list(before))
        os.kill(victim, signal.SIGKILL)
        began = time.time()
        while len(set(workers_of(process)) - {victim}) < len(before) and time.time() < began + 20:
            await asyncio.sleep(0.02)
        back.append(time.time() - began)
        await asyncio.sleep(10)
    return back


async def replacing(stores: list[Path], path: Path, count: int, until: float) -> int:
    """Puts one store after the other in the same place."""
    await asyncio.sleep(RAMP_SECONDS / 2)
    began, n = time.time(), 0
    pause = (until - began - 2) / count
    while n < count and time.time() < until:
        fresh = path.with_name("fresh")
        await asyncio.to_thread(shutil.copyfile, stores[n % len(stores)], fresh)
        fresh.replace(path)
        n += 1
        await asyncio.sleep(max(0.0, began + n * pause - time.time()))
    return n


def said(name: str, seconds: list[float]) -> str:
    cuts = quantiles(seconds, n=100) if len(seconds) > 1 else seconds * 99
    parts = {"p50": median(seconds), "p95": cuts[94], "p99": cuts[98], "max": max(seconds)}
    shown = ", ".join(f"{part} {1000 * one:.0f}" for part, one in parts.items())
    return f"{name:8} {len(seconds):7,} answers, ms: {shown}"


async def run(
    options: argparse.Namespace, url: str, token: str, process, acts: dict, folder: Path
) -> Told:
    """People for a while, with what is to happen beside them."""
    told, rng = Told(), random.Random(0)
    began = time.time()
    until = began + options.seconds
    memory: list[tuple[float, dict[int, int]]] = []
    health: list[float] = []
    people = [
        person(
            url, f"p{n}", acts, told, until, n * RAMP_SECONDS / options.people,
            random.Random(rng.random()),
        )
        for n in range(options.people)
    ]  # fmt: skip
    beside = [watched(process, memory, until), healthz(url, health, until)]
    match options.beside:
        case "exports":
            beside.append(exports_and_slow(url, token, options.store.stem, until))
        case "kills":
            beside.append(killing(process, until))
        case "replacing":
            kept = folder.parent
            both = [kept / "one.h5", kept / "two.h5"]
            path = folder / f"{options.store.stem}.h5"
            beside.append(replacing(both, path, options.replacements, until))
    results = await asyncio.gather(*beside, *people)
    every = [one for seconds in told.seconds.values() for one in seconds]
    print(f"\n{options.people} people, {options.seconds:.0f} s, beside them: {options.beside}")
    for act in ACTS:
        if told.seconds[act]:
            print(said(act, told.seconds[act]))
    print(said("all", every))
    print(said("views", [one for act in ACTS if act != "export" for one in told.seconds[act]]))
    print(said("healthz", health) + f"; over 50: {sum(one > 0.05 for one in health)}")
    print(f"429 and 503: {told.busy:,}; wrong: {dict(told.wrong) or 'nothing'}")
    totals = [(at, max(one.values(), default=0)) for at, one in memory]
    first = [size for at, size in totals if began + 30 < at < began + 90]
    last = [size for at, size in totals if at > until - 60]
    if first and last:
        print(
            f"largest worker {max(size for _, size in totals) / 1e6:.0f} MB; first minute "
            f"{mean(first) / 1e6:.0f}, last {mean(last) / 1e6:.0f} MB"
        )
    if len(beside) > 2:
        print(f"{options.beside}: {results[2]}")
    begun = {pid for _, one in memory for pid in one}
    print(f"workers begun: {len(begun)} of {options.workers} asked")
    digests = len({digest for digest, _ in told.bodies})
    print(f"{told.compared:,} answers compared with earlier ones of the same of {digests} stores")
    if told.busy:
        print(f"as quick as ever {await recovered(url, token, acts):.1f} s after the last had gone")
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2, help="of recording each act")
    parser.add_argument("--other", type=Path, help="what else to put in the store's place")
    parser.add_argument("--replacements", type=int, default=100)
    parser.add_argument("--beside", choices=("exports", "kills", "replacing"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.store.resolve().parent) as name:
        folder = Path(name) / "stores"
        folder.mkdir()
        for copy in (folder / options.store.name, folder / f"{SLOW}.h5"):
            os.link(options.store, copy)
        for store, copy in ((options.store, "one.h5"), (options.other or options.store, "two.h5")):
            os.link(store, Path(name) / copy)
        with team_server(folder, options.people, options.workers) as (url, token, process):
            acts = recorded(url, options.store.stem, options.rounds)
            told = asyncio.run(run(options, url, token, process, acts, folder))
    return bool(told.wrong)


if __name__ == "__main__":
    sys.exit(main())
