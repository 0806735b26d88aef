"""A team at one server: people who open pages, step, switch, compare and take arrays home.

What each act asks of the server is recorded once from the real pages in Chromium; then many people
do such acts, with about two seconds of thought between them, each with a session of their own.

    python tests/soak/people.py data/mnist.h5 --people 50 --seconds 300
    python tests/soak/people.py data/mnist.h5 --people 300 --seconds 60    # more than it can do
    python tests/soak/people.py data/mnist.h5 --beside exports    # and callbacks that take 2 s
    python tests/soak/people.py data/mnist.h5 --beside kills
    python tests/soak/people.py data/mnist.h5 --beside replacing --other data/other.h5 --seconds 150
    python tests/soak/people.py --quick    # a tiny store, all that may go on beside
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

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.harness import VIEWER, Options, Table, tiny_store
from playwright.sync_api import sync_playwright
from soak.asking import Browser, LostError

from fmcore import open_store

PASSWORD = "only for this run"
SAME = {"sec-fetch-site": "same-origin"}
# How often each act is done, of all acts.
ACTS = {"step": 50, "layer": 12, "open": 10, "classes": 12, "filter": 12, "export": 4}
BESIDE = ("nothing", "exports", "kills", "replacing")
NAN = float("nan")
FOR_GOOD = "for good"
PLACE = re.compile(r"(sample=|images/)(\d+)(?=[&.]|$)")
# A store of this name answers every callback 2 s late.
SLOW = "slow"
# Seconds beyond its time in which a person does what it has not done once: a busy machine is slow.
GRACE = 60.0
# Of all looks at the workers, the second and the last of so many parts are compared.
PARTS = 5


@dataclass(frozen=True, slots=True)
class Request:
    """What a page asks: method, path with query, body."""

    method: str
    path: str
    body: str | None = None


@dataclass(frozen=True, slots=True)
class Habits:
    """What all people do.

    Attributes:
        acts: the requests of each act, several of each.
        thought: mean seconds between two acts.
        places: of the test set; each act is done at one, and a browser holds what it saw there.
        samples: of the test set.
    """

    acts: dict[str, list[list[Request]]]
    thought: float
    places: int
    samples: int


@dataclass(slots=True)
class Answers:
    """What came back, of all people.

    Attributes:
        seconds: of every answer, by act.
        wrong: what was no answer, and how often.
        busy: answers 429 and 503.
        bodies: a hash of each answer about the store, by its digest and what was asked: the same
            must come back, or it was mixed of two stores.
        compared: answers that were held against an earlier one.
        logins: people who are in.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: Counter[str] = field(default_factory=Counter)
    busy: int = 0
    bodies: dict[tuple[str, Request], int] = field(default_factory=dict)
    compared: int = 0
    logins: int = 0

    def hold(self, digest: str | None, request: Request, body: bytes) -> None:
        """Counts an answer without a digest, or other than an earlier one of the same store."""
        if digest is None:
            if "/api/" in request.path:  # callbacks that ask no store have none
                self.wrong[f"no digest: {request.path[:60]}"] += 1
            return
        key, checksum = (digest, request), zlib.crc32(body)
        self.compared += key in self.bodies
        if self.bodies.setdefault(key, checksum) != checksum:
            self.wrong[f"mixed: {request.path[:60]}"] += 1


def recorded(url: str, store: str, rounds: int, pause: float) -> dict[str, list[list[Request]]]:
    """The requests of each act, several of each, as Chromium makes them.

    An act is over when no request came for the seconds of a pause.
    """
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

        def rest() -> None:
            n = -1
            while n < len(seen):
                n = len(seen)
                page.wait_for_timeout(1000 * pause)

        def act(name: str, do) -> None:
            rest()
            seen.clear()
            do()
            deadline = time.time() + 20
            while not seen and time.time() < deadline:
                page.wait_for_timeout(50)
            rest()
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
    counts = {name: [len(requests) for requests in each] for name, each in acts.items()}
    print(f"requests of each act: {counts}")
    if not all(map(all, counts.values())):
        raise RuntimeError("an act led to no request")
    return acts


def go(page, where: str) -> None:
    page.keyboard.press("/")
    page.keyboard.type(where)
    page.keyboard.press("Enter")


def browser_of(url: str, **headers: str) -> Browser:
    """A browser of one more person."""
    where = urlsplit(url)
    every = {"accept-encoding": "deflate, gzip", **SAME, **headers}
    return Browser(where.hostname, where.port, every)


async def person(
    url: str, n: int, habits: Habits, answers: Answers, until: float, wait: float, n_again: int
) -> None:
    """Logs in, does each act once, in `GRACE` at the latest, and acts on until the time is over."""
    await asyncio.sleep(wait)
    rng, browser = random.Random(n), browser_of(url)
    browser.n_again = n_again
    form = urlencode({"name": f"p{n}", "password": PASSWORD}).encode()
    while time.time() < until + GRACE:
        try:
            answer = await browser.ask("POST", "/login", form)
        except LostError as error:
            answers.wrong[f"lost in login: {error}"] += 1
            continue
        if answer.status not in (429, 503):
            browser.headers["cookie"] = answer.headers["set-cookie"].partition(";")[0]
            answers.logins += 1
            break
        answers.busy += 1
        await asyncio.sleep(float(answer.headers["retry-after"]))
    names, weights = list(ACTS), list(ACTS.values())
    due = rng.sample(names, len(names))
    held: dict[str, str] = {}
    while time.time() < until + (GRACE if due else 0.0):
        act = due.pop() if due else rng.choices(names, weights)[0]
        shift, requests = rng.randrange(habits.places) * 211, rng.choice(habits.acts[act])
        await asyncio.gather(
            *(
                ask(browser, act, moved(request, shift, habits.samples), answers, held)
                for request in requests
            )
        )
        await asyncio.sleep(rng.expovariate(1 / habits.thought))
    browser.close()


def moved(request: Request, shift: int, n_samples: int) -> Request:
    """A request at another place of the test set."""
    path = PLACE.sub(lambda at: f"{at[1]}{(int(at[2]) + shift) % n_samples}", request.path)
    return Request(request.method, path, request.body)


async def ask(
    browser: Browser, act: str, request: Request, answers: Answers, held: dict[str, str]
) -> None:
    """Asks as a browser does that holds what it was given: by its tag, or for good."""
    path = request.path
    headers = {"content-type": "application/json"} if request.body else {}
    if held.get(path) == FOR_GOOD:
        return
    if path in held:
        headers["if-none-match"] = held[path]
    try:
        body = (request.body or "").encode()
        answer = await browser.ask(request.method, path, body, headers)
    except LostError as error:
        answers.wrong[f"lost in {act}: {error}"] += 1
        return
    if answer.status in (429, 503):
        answers.busy += 1
    elif answer.status == 404 and "/images/" in path and "v=" in path:
        pass  # of a store that was replaced since the page was opened, as its link says
    elif answer.status >= 400:
        answers.wrong[f"{answer.status} in {act}: {path[:60]}"] += 1
    else:
        if request.method == "GET" and "etag" in answer.headers:
            for_good = "immutable" in answer.headers.get("cache-control", "")
            held[path] = FOR_GOOD if for_good else answer.headers["etag"]
        answers.seconds[act].append(answer.seconds)
        if answer.status == 200:
            digest = answer.headers.get("x-store-digest")
            # Each index bears an id of its own, and the name of who asked.
            if not answer.headers.get("content-type", "").startswith("text/html"):
                answers.hold(digest, request, answer.body)


@dataclass(frozen=True, slots=True)
class Team:
    """A server: its address, a token for it, its process, and the store that people look at."""

    url: str
    token: str
    process: subprocess.Popen
    path: Path


@contextlib.contextmanager
def team_server(folder: Path, people: int, workers: int):
    """The address of a server of a folder for so many people, a token for it, its process."""
    users = folder.parent / "people"
    script = Path(__file__).with_name("team_server.py")
    command = [VIEWER, script, folder, users, people, PASSWORD, SLOW, workers]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    try:
        token = process.stdout.readline().strip()
        address = re.search(r" at (\S+) ", process.stdout.readline())
        yield address[1], token, process
    finally:
        process.terminate()
        process.wait(60)


def workers_of(process) -> dict[int, int]:
    """The resident bytes of each worker, not of what looks through stores for the first process."""
    sizes = {}
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    for pid in map(int, listed):
        with contextlib.suppress(OSError, TypeError):
            if Path(f"/proc/{pid}/cmdline").read_bytes() != command:
                continue
            status = Path(f"/proc/{pid}/status").read_text()
            sizes[pid] = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024
    return sizes


async def watched(process, seen: list[dict[int, int]], until: float) -> None:
    while time.time() < until or len(seen) < PARTS:
        seen.append(workers_of(process))
        await asyncio.sleep(0.2)


async def healthz(url: str, seconds: list[float], until: float) -> None:
    browser = browser_of(url)
    while time.time() < until or not seconds:
        seconds.append((await browser.ask("GET", "/healthz")).seconds)
        await asyncio.sleep(0.1)


async def recovered(url: str, token: str, habits: Habits, seconds: float) -> float:
    """Seconds, after a crowd has gone, until a view is answered within 150 ms from then on."""
    began, last = time.time(), 0.0
    browser = browser_of(url, authorization=f"Bearer {token}")
    while time.time() < began + seconds:
        for request in (*habits.acts["open"][0], *habits.acts["step"][0]):
            answers = Answers()
            await ask(browser, "view", request, answers, {})
            if answers.busy or answers.wrong or max(answers.seconds["view"], default=0.0) > 0.15:
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


async def killing(
    process, answers: Answers, people: int, pause: float, until: float
) -> list[float]:
    """Kills a worker after each pause, one at least; how long until there are as many again."""
    back = []
    # A login is not tried again on a new connection.
    while answers.logins < people and time.time() < until + GRACE:
        await asyncio.sleep(0.1)
    await asyncio.sleep(pause)
    while time.time() < until - pause / 2 or not back:
        before = workers_of(process)
        victim = random.choice(list(before))
        os.kill(victim, signal.SIGKILL)
        began = time.time()
        while len(set(workers_of(process)) - {victim}) < len(before) and time.time() < began + 20:
            await asyncio.sleep(0.02)
        back.append(time.time() - began)
        await asyncio.sleep(pause)
    return back


async def replacing(stores: list[Path], path: Path, count: int, ramp: float, until: float) -> int:
    """Puts one store after the other in the same place; how often."""
    await asyncio.sleep(ramp / 2)
    began, n = time.time(), 0
    pause = (until - began) * 0.98 / count
    while n < count and time.time() < until:
        fresh = path.with_name("fresh")
        await asyncio.to_thread(shutil.copyfile, stores[n % len(stores)], fresh)
        fresh.replace(path)
        n += 1
        await asyncio.sleep(max(0.0, began + n * pause - time.time()))
    return n


RESULTS = AGAIN, WRONG, COMPARED, LARGEST, LATE, BEGUN, RECOVERED = (
    "answers 429 and 503",
    "wrong answers",
    "answers held against earlier ones of the same store",
    "largest worker",
    "largest worker late, of early",
    "workers begun",
    "seconds until as quick as ever, once all had gone",
)


def latencies(table: Table, answers: Answers, health: list[float]) -> None:
    """Adds a row for each act, for all, and for `/healthz`."""
    seconds = {act: answers.seconds[act] for act in ACTS}
    seconds["all"] = [each for taken in answers.seconds.values() for each in taken]
    seconds["views"] = [each for act in ACTS if act != "export" for each in seconds[act]]
    seconds["/healthz"] = health
    for row, taken in seconds.items():
        cuts = quantiles(taken, n=100) if len(taken) > 1 else taken * 99
        if taken:
            parts = (median(taken), cuts[94], cuts[98], max(taken))
            over = sum(each > 0.05 for each in taken)
            table.add(row, len(taken), *((1e3 * part, "ms") for part in parts), note=f"{over} > 50")


async def run(
    options: argparse.Namespace, beside: str, team: Team, habits: Habits, stores: list[Path]
) -> Answers:
    """People for a while, with what is to happen beside them."""
    answers, began = Answers(), time.time()
    until = began + options.seconds
    memory: list[dict[int, int]] = []
    health: list[float] = []
    ramp, pause, url = options.ramp, options.kill_pause, team.url
    people = [
        # A worker that is killed takes with it what it is at; a person asks for that once more.
        person(url, n, habits, answers, until, n * ramp / options.people, int(beside == "kills"))
        for n in range(options.people)
    ]
    others = {
        "exports": lambda: exports_and_slow(url, team.token, team.path.stem, until),
        "kills": lambda: killing(team.process, answers, options.people, pause, until),
        "replacing": lambda: replacing(stores, team.path, options.replacements, ramp, until),
    }
    watching = [watched(team.process, memory, until), healthz(url, health, until)]
    other = [others[beside]()] if beside in others else []
    results = await asyncio.gather(*other, *watching, *people)
    head = f"{options.people} people, {options.seconds:.0f} s, beside: {beside}"
    print()
    with Table(head, ("answers", "p50", "p95", "p99", "max"), (*ACTS, *TOTALS)) as table:
        latencies(table, answers, health)
    with Table("the server", ("measured",), RESULTS) as table:
        table.add(AGAIN, answers.busy)
        table.add(WRONG, answers.wrong.total(), note=str(dict(answers.wrong) or ""))
        digests = len({digest for digest, _ in answers.bodies})
        table.add(COMPARED, answers.compared or NAN, note=f"{digests} stores")
        sizes = [max(workers.values(), default=0) for workers in memory]
        part = len(sizes) // PARTS
        table.add(LARGEST, (max(sizes) / 1e6, "MB"))
        table.add(LATE, mean(sizes[-part:]) / mean(sizes[part : 2 * part]))
        begun = {pid for workers in memory for pid in workers}
        table.add(BEGUN, len(begun), note=f"of {options.workers} at a time")
        seconds = await recovered(url, team.token, habits, options.settle)
        table.add(RECOVERED, (seconds, "s"))
    if other:
        print(f"{beside}: {results[0]}")
    return answers


TOTALS = ("all", "views", "/healthz")


def main() -> int:
    parser = Options(__doc__)
    parser.add_argument("store", type=Path, nargs="?", help="with --quick a tiny one is made")
    parser.add_number("--people", 50, 4)
    parser.add_number("--seconds", 300.0, 3.5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_number("--rounds", 2, 1, help="of recording each act")
    parser.add_number("--pause", 1.5, 0.5, help="seconds that end an act where nothing is asked")
    parser.add_number("--thought", 2.0, 0.1, help="mean seconds between two acts")
    parser.add_number("--places", 40, 2, help="of the test set where people look")
    parser.add_number("--ramp", 20.0, 0.5, help="seconds until all people are there")
    parser.add_argument("--other", type=Path, help="what else to put in the store's place")
    parser.add_number("--replacements", 100, 4)
    parser.add_number("--kill-pause", 10.0, 1.5, help="seconds between two kills")
    parser.add_number("--settle", 30.0, 0.5, help="seconds that the server is watched at the end")
    parser.add_argument("--beside", nargs="+", choices=BESIDE, help="one after the other")
    options = parser.parse_args()
    if options.store is None and not options.quick:
        parser.error("a store is needed, or --quick")
    near = options.store.resolve().parent if options.store else None  # for hard links
    with tempfile.TemporaryDirectory(dir=near) as name:
        folder = Path(name) / "stores"
        folder.mkdir()
        store = options.store or tiny_store(Path(name) / "tiny.h5")
        other = options.other or options.store or tiny_store(Path(name) / "other.h5", seed=1)
        path, stores = folder / store.name, [Path(name) / "one.h5", Path(name) / "two.h5"]
        for source, copy in (
            *((store, path), (store, folder / f"{SLOW}.h5")),
            *zip((store, other), stores, strict=True),
        ):
            os.link(source, copy)
        with open_store(store) as opened:
            n_samples = opened.n_samples
        wrong = False
        with team_server(folder, options.people, options.workers) as (url, token, process):
            acts = recorded(url, store.stem, options.rounds, options.pause)
            habits = Habits(acts, options.thought, options.places, n_samples)
            team = Team(url, token, process, path)
            for beside in options.beside or (BESIDE if options.quick else BESIDE[:1]):
                answers = asyncio.run(run(options, beside, team, habits, stores))
                wrong |= bool(answers.wrong)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
