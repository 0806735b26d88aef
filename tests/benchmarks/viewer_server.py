"""The dashboard's server: how soon the first page is there, its memory, each callback's time."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import random
import re
import sys
import time
import urllib.request
from collections import defaultdict
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from benchmarks.serving import SERVE, command_for, ended, serving, started
from benchmarks.viewer_wall import opened

WITH_TENSORFLOW = "import sys, tensorflow; from dashboard.cli import main; sys.exit(main())"
# Of each page what its controls can ask for; {0} and {1} are the store's layers.
LINKS = {
    "Feature maps": [
        "maps?layer={0}&sample=0",
        "maps?layer={1}&sample=77&filter=3&order=mean&range=filter",
        "maps?layer={0}&sample=400&class=7&outcome=wrong&order=class",
        "maps?layer={1}&sample=9&filter=1&by=response&order=similar&range=map",
        "maps?layer={0}&sample=5&class=2&by=sure&range=percentile&dead=hide&zeros=mark",
        "maps?layer={1}&sample=5000&by=unsure&zoom=free",
    ],
    "Classes": [
        "classes?layer={0}",
        "classes?layer={1}&class=7&filter=2&arrange=value",
        "classes?layer={1}&class=3&filter=0&against=8&arrange=cluster&statistic=auc_mean",
        "classes?layer={0}&class=1&filter=5&statistic=mean",
        "classes?layer={1}&class=4&filter=1&against=9&statistic=max&arrange=value",
    ],
}
# What the names of a page's components begin with.
PREFIXES = {"Feature maps": "maps-", "Classes": "classes-"}
# What is folded up until a person opens it, which nobody does here.
FOLDED = "maps-arithmetic."
JSON, CALLBACK = "application/json", "/_dash-update-component"
# Of the Feature maps page: the wall, a screen of thumbnails, the bars, the map and the kernel.
COMPLETE = """() => {
  const images = [...document.querySelectorAll("#maps-thumbnails img")];
  return document.querySelector("#maps-wall[data-drawn]")
    && images.length && images.every((image) => image.complete)
    && document.querySelector("#maps-probability .bars path")
    && document.querySelector("#maps-enlarged .heatmaplayer image")
    && document.querySelector("#maps-kernel .heatmaplayer image");
}"""
Bodies = dict[str, dict[str, list[str]]]


def cold_starts(browser, store: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds from the start of the process to the complete first page: maps, thumbnails, graphs.

    Returns:
        Of `plain` and of `TensorFlow`, which was imported first; and `address`, seconds until the
        plain server said its address.
    """
    plain = command_for(store)
    arguments = plain[len(SERVE) - 1 :]
    commands = {
        "plain": plain,
        "TensorFlow": [sys.executable, "-c", WITH_TENSORFLOW, *arguments],
    }
    taken = defaultdict(list)
    with serving(store) as (url, _), opened(browser, url):  # the browser, and the files, are warm
        for _, (name, command) in itertools.product(range(rounds), commands.items()):
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            page = context.new_page()
            began = time.perf_counter()
            process, url = started(command)
            if name == "plain":
                taken["address"].append(time.perf_counter() - began)
            try:
                page.goto(f"{url}maps")
                page.wait_for_function(COMPLETE, timeout=60_000)
                taken[name].append(time.perf_counter() - began)
            finally:
                ended(process)
                context.close()
    return dict(taken)


def callbacks_of(url: str, page: str) -> list[str]:
    """The outputs of each callback of a page that the server answers, not the browser."""
    with urllib.request.urlopen(f"{url}_dash-dependencies") as answer:
        callbacks = json.load(answer)
    return [
        callback["output"]
        for callback in callbacks
        if callback["output"].lstrip(".").startswith(PREFIXES[page])
        and not callback["output"].lstrip(".").startswith(FOLDED)
        and not callback["clientside_function"]
    ]


def recorded(
    browser, url: str, layers: list[str], outputs: dict[str, list[str]], n_links: int
) -> Bodies:
    """The bodies that a browser sends for each callback of each page, as it opens and is used."""
    bodies: Bodies = {}
    for view, links in LINKS.items():
        seen: dict[str, list[str]] = defaultdict(list)

        def record(request, seen=seen) -> None:
            if urlsplit(request.url).path == CALLBACK:
                seen[json.loads(request.post_data)["output"]].append(request.post_data)

        for link in links[:n_links]:
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            page = context.new_page()
            page.on("request", record)
            page.goto(url + link.format(*map(quote, layers)))
            page.wait_for_load_state("networkidle")
            use_maps(page) if view == "Feature maps" else use_classes(page)
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(300)
            if link == links[:n_links][-1]:
                wait_for(page, lambda view=view, seen=seen: set(outputs[view]) <= set(seen))
            context.close()
        bodies[view] = dict(seen)
    return bodies


def wait_for(page, holds) -> None:
    """Waits on a busy machine, 20 s at most."""
    for _ in range(100):
        if holds():
            return
        page.wait_for_timeout(200)


def use_maps(page) -> None:
    page.wait_for_selector("#maps-wall[data-drawn]")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
        page.wait_for_timeout(400)
    # What the server is asked for only when a person chooses something else.
    choose(page, "Order of filters", page.get_by_role("option", name="Similarity to the selected"))
    choose(page, "Order of samples", page.get_by_role("option", name="Response of the filter"))
    choose(page, "Layer", page.locator("[role=option][aria-selected=false]").first)
    page.locator("#maps-group").fill("label=1")
    page.wait_for_timeout(400)


def choose(page, control: str, option) -> None:
    """Takes an option of a drop-down."""
    page.get_by_role("textbox", name=control, exact=True).click()
    option.click()
    page.wait_for_timeout(400)


def use_classes(page) -> None:
    page.locator(".ag-row").first.wait_for()
    page.get_by_text("All numbers of this class and filter").click()
    page.locator("#classes-heatmap .nsewdrag").click(position={"x": 160, "y": 90})
    page.wait_for_timeout(400)
    page.locator(".ag-row").first.scroll_into_view_if_needed()  # out of sight it is not drawn anew
    page.locator("#classes-filters-strongest").click()
    page.locator(".ag-row").first.locator(".ag-cell").first.click()
    page.wait_for_timeout(400)
    for name, group in (("a", "label=1"), ("b", "label=2")):
        page.locator(f"#classes-group_{name}").fill(group)
        page.wait_for_timeout(400)


class Client:
    """One connection that is kept, and asks for one thing after the other."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        self._connection.connect()

    def timed(self, path: str, body: str | None = None) -> float:
        """Ms from the request to the last byte of a good answer."""
        method = "GET" if body is None else "POST"
        headers = {"accept-encoding": "gzip, deflate, br"} | (
            {"content-type": JSON} if body else {}
        )
        began = time.perf_counter()
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        taken = (time.perf_counter() - began) * 1e3
        if answer.status not in (200, 204):
            raise RuntimeError(f"{path} answered {answer.status}: {content[:200]!r}")
        return taken

    def close(self) -> None:
        self._connection.close()


def callback_times(url: str, bodies: Bodies, replays: int) -> dict[str, dict[str, list[float]]]:
    """Ms of each callback of each page; the callbacks, and the bodies of each, take turns."""
    taken: dict = {view: defaultdict(list) for view in bodies}
    with contextlib.closing(Client(url)) as client:
        for turn in range(replays):
            for view, callbacks in bodies.items():
                for output, sent in callbacks.items():
                    time_taken = client.timed(CALLBACK, sent[turn % len(sent)])
                    taken[view][output].append(time_taken)
    return taken


def short(output: str) -> str:
    """`..a.children...b.figure..` as `a.children +1`."""
    names = output.strip(".").split("...")
    return names[0] + (f" +{len(names) - 1}" if len(names) > 1 else "")


def memory(
    store: Path, layers: list[str], n_samples: int, bodies: Bodies, n_requests: int
) -> tuple[float, float]:
    """MB of a new server's process when it has answered nothing, and after mixed requests."""
    every = [body for callbacks in bodies.values() for sent in callbacks.values() for body in sent]
    chance = random.Random(0)
    with serving(store) as (url, pid), contextlib.closing(Client(url)) as client:
        before = resident(pid)
        for index in range(n_requests):
            if index % 2:
                client.timed(CALLBACK, chance.choice(every))
            else:
                query = {"layer": layers[index // 2 % 2], "sample": chance.randrange(n_samples)}
                client.timed(f"/api/v1/stores/{quote(store.stem)}/maps?{urlencode(query)}")
        return before, resident(pid)


def resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024
