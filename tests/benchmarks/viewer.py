"""The dashboard as a person meets it, in Chromium and over HTTP, beside what was wanted of it.

python tests/benchmarks/viewer.py [--quick] [--store STORE] [--large STORE] [--rounds N]
    [--only PART …]

Painted: the end of the first frame that has the picture. Steps: from the input event to the new
sample painted. Frames: gaps between animation frames while wheel and pointer are used. First
paint: on a page with nothing else, its scripts loaded, from the request for one sample's data to
painted, the server's work included; zoom: from asking for the middle half, or for all, to painted.
Cold start: from the start of the server's process to the complete page, its graphs and thumbnails
too; store and programs are in the page cache, the browser has seen none of it. Callbacks: as a
browser sent them, again, one after the other on one connection.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import viewer_beside, viewer_server, viewer_wall
from benchmarks.harness import Options, Table
from benchmarks.serving import middle, p95, serving
from benchmarks.stores import made_stores
from benchmarks.viewer_wall import FULL, QUICK, Pace
from playwright.sync_api import sync_playwright

from fmcore import open_store

PARTS = ("steps", "beside", "cold", "server")
CHROMIUM = ["--no-sandbox", "--disable-gpu"]
QUICK_BROWSERS = 4  # at the same time; a full run measures one thing after the other
FRAME = 33.0
ZOOMS = ("linked", "free")
MB = 250.0


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer whose wall is measured.

    Attributes:
        store: where it lies.
        name: its path.
        wanted: ms that a step may take.
        ratios: how many times as quick as one trace of Plotly the first picture and a zoom are to
            be; None where nothing is wanted.
    """

    store: Path
    name: str
    wanted: int
    ratios: tuple[int, int] | None = None


def step_rows(name: str) -> Iterator[str]:
    """The rows of steps, frames and fast drags of a layer."""
    yield from (f"{name} {what}, to painted" for what in ("→", "jump"))
    yield from (f"{name} {zoom} frames, p95" for zoom in ZOOMS)
    yield f"{name} 20 samples in 0.32 s, then painted"


def beside_rows(name: str) -> Iterator[str]:
    """The rows of a layer beside Plotly."""
    for what in ("first", "zoom"):
        yield from (f"{name} {what}, {kind} : wall" for kind in viewer_beside.FIGURES)


COLD, COLD_RATIO, MEMORY = (
    "cold start to the complete page",
    "of that with TensorFlow",
    "memory of the server after mixed requests",
)


def add(table: Table, row: str, value: float, unit: str, wanted: str = "", note: str = "") -> None:
    """Adds a row; `wanted` is such as "<= 50", in the unit of the value."""
    kept = ""
    if wanted:
        sign, limit = wanted.split()
        kept = "yes" if (value <= float(limit) if sign == "<=" else value >= float(limit)) else "NO"
    table.add(row, (value, unit), wanted, kept, note=note)


def measure_steps(table: Table, browser, layer: Layer, rounds: int, pace: Pace) -> None:
    drag, *_ = reversed(rows := list(step_rows(layer.name)))
    with serving(layer.store) as (url, _):
        for row, measure in zip(rows, (viewer_wall.key_steps, viewer_wall.jumps), strict=False):
            taken = measure(browser, url, layer.name, pace)
            note = f"p95 {p95(taken):.0f} ms of {len(taken)}"
            add(table, row, middle(taken), "ms", f"<= {layer.wanted}", note)
        for row, zoom in zip(rows[2:], ZOOMS, strict=False):
            gaps, after = viewer_wall.frames(browser, url, layer.name, zoom, pace)
            note = (
                f"p50 {middle(gaps):.0f}, max {max(gaps):.0f} of {len(gaps)}; "
                f"at rest max {after:.0f}"
            )
            add(table, row, p95(gaps), "ms", f"<= {FRAME:.0f}", note)
        drags = viewer_wall.fast_drags(browser, url, layer.name, rounds, pace)
    painted, quiet = zip(*drags, strict=True)
    note = f"max {max(painted):.0f}; page and server quiet {middle(quiet):.0f} ms"
    add(table, drag, middle(painted), "ms", "<= 200", note)


def measure_beside(table: Table, browser, layer: Layer, rounds: int, pace: Pace) -> None:
    measured = viewer_beside.ratios(browser, layer.store, layer.name, rounds, pace)
    for place, (what, times) in enumerate(measured.items()):
        for kind in viewer_beside.FIGURES:
            wanted = layer.ratios and kind == "one trace"
            add(
                table,
                f"{layer.name} {what}, {kind} : wall",
                times[kind] / times["wall"],
                "×",
                f">= {layer.ratios[place]}" if wanted else "",
                f"{times[kind]:.0f} : {times['wall']:.0f} ms",
            )


def measure_cold(table: Table, browser, store: Path, rounds: int) -> None:
    taken = viewer_server.cold_starts(browser, store, rounds)
    plain, heavy = middle(taken["plain"]), middle(taken["TensorFlow"])
    address = middle(taken["address"])
    note = f"max {max(taken['plain']):.2f}; the server's address after {address:.2f}"
    add(table, COLD, plain, "s", "<= 3", note)
    add(table, COLD_RATIO, plain / heavy, "", "<= 0.333", f"{heavy:.2f} s")


def measure_server(table: Table, browser, store: Path, pace: Pace) -> None:
    with open_store(store) as opened:
        layers, n_samples = list(opened.layers), len(opened.labels)
    with serving(store) as (url, _):
        outputs = {view: viewer_server.callbacks_of(url, view) for view in viewer_server.LINKS}
        bodies = viewer_server.recorded(browser, url, layers, outputs, pace.links)
        for view, callbacks in bodies.items():
            every = {*outputs[view], *callbacks}
            table.expect(sorted(callback_row(view, output) for output in every))
        times = viewer_server.callback_times(url, bodies, pace.replays)
    for view, callbacks in times.items():
        worst = max(callbacks, key=lambda output: p95(callbacks[output]))
        for output, taken in callbacks.items():
            mark = " (worst)" if output == worst else ""
            row, note = callback_row(view, output), f"p50 {middle(taken):.1f}{mark}"
            add(table, row, p95(taken), "ms", "<= 20", note)
    before, after = viewer_server.memory(store, layers, n_samples, bodies, pace.requests)
    note = f"{before:.0f} MB before, {pace.requests} requests"
    add(table, MEMORY, after, "MB", f"<= {MB:.0f}", note)


def callback_row(view: str, output: str) -> str:
    """The row of a callback of a page."""
    return f"{view}: {viewer_server.short(output)}, p95"


def with_browser(table: Table, measure: Callable) -> None:
    """Measures with a browser of its own."""
    with sync_playwright() as playwright:
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM)
        measure(table, browser)
        browser.close()


def main(options: argparse.Namespace, folder: Path) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    paths = {"mnist": options.store, "large": options.large}
    lacking = [name for name, path in paths.items() if path is None]
    if lacking:
        paths |= zip(lacking, made_stores(folder, *lacking, quick=options.quick), strict=True)
    store, large = paths["mnist"], paths["large"]
    with open_store(store) as opened:
        first = next(iter(opened.layers))
    layers = [Layer(store, first, 50), Layer(large, "conv512", 80, (3, 8))]
    layers.append(Layer(large, "conv64", 300))
    rounds, pace = options.rounds, QUICK if options.quick else FULL
    rows = {
        "steps": [row for layer in layers for row in step_rows(layer.name)],
        "beside": [row for layer in layers for row in beside_rows(layer.name)],
        "cold": [COLD, COLD_RATIO],
        "server": [MEMORY],
    }
    measures = {
        "steps": [partial(measure_steps, layer=one, rounds=rounds, pace=pace) for one in layers],
        "beside": [partial(measure_beside, layer=one, rounds=rounds, pace=pace) for one in layers],
        "cold": [partial(measure_cold, store=store, rounds=rounds)],
        "server": [partial(measure_server, store=store, pace=pace)],
    }
    due = [row for part in options.only for row in rows[part]]
    load = os.getloadavg()[0]  # on a machine that does other things, ratios only count
    with (
        Table("viewer", ("measured", "wanted", "kept"), due) as table,
        ThreadPoolExecutor(QUICK_BROWSERS if options.quick else 1) as threads,
    ):
        wanted = [measure for part in options.only for measure in measures[part]]
        list(threads.map(lambda measure: with_browser(table, measure), wanted))
    print(f"load average: {load:.1f} before, {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    parser = Options(__doc__)
    parser.add_argument("--store", type=Path, help="of the full MNIST test set (made)")
    parser.add_argument("--large", type=Path, help="`large.h5` of stores.py (made)")
    parser.add_number("--rounds", 5, 1)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    with tempfile.TemporaryDirectory() as name:
        main(parser.parse_args(), Path(name))
