"""The dashboard as a person meets it, in Chromium and over HTTP, beside what was wanted of it.

python tests/benchmarks/viewer.py [--store STORE] [--large STORE] [--rounds N] [--only PART …]

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
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

import viewer_beside
import viewer_server
import viewer_wall
from arrays_out import captured
from helpers.factories import tool
from viewer_tools import middle, p95, serving

from fmcore import open_store

PARTS = ("steps", "beside", "cold", "server")
CHROMIUM = ["--no-sandbox", "--disable-gpu"]
FRAME = 33.0
MB = 250.0


class Table:
    """What was measured, each with what was wanted beside it."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str, str, str]] = []
        self._load = os.getloadavg()[0]  # on a machine that does other things, ratios only count

    def row(self, what: str, value: float, unit: str, wanted: str = "", note: str = "") -> None:
        """Adds a line, and says it now; `wanted` is such as "<= 50" in the same unit."""
        kept = ""
        if wanted:
            sign, limit = wanted.split()
            kept = (
                "yes"
                if (value <= float(limit) if sign == "<=" else value >= float(limit))
                else "NO"
            )
        number = f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
        self._rows.append((what, f"{number} {unit}", wanted, f"{kept:4}{note}"))
        print(*self._rows[-1], sep="  ", file=sys.stderr, flush=True)

    def show(self) -> None:
        print(f"{'viewer':52}{'measured':>12}{'wanted':>10}  kept")
        for what, value, wanted, rest in self._rows:
            print(f"{what:52}{value:>12}{wanted:>10}  {rest}".rstrip())
        print(f"load average: {self._load:.1f} before, {os.getloadavg()[0]:.1f} after")


def size_of(store: Path, layer: str) -> str:
    with open_store(store) as opened:
        height, width, n = opened.layers[layer].shape
    return f"{height}×{width}×{n}"


def step_rows(table: Table, browser, stores: list[tuple[Path, str, int]], rounds: int) -> None:
    for store, layer, wanted in stores:
        size = size_of(store, layer)
        with serving(store) as (url, _):
            for what, measure in (("→", viewer_wall.key_steps), ("jump", viewer_wall.jumps)):
                taken = measure(browser, url, layer)
                note = f"p95 {p95(taken):.0f} ms of {len(taken)}"
                table.row(f"{size} {what}, to painted", middle(taken), "ms", f"<= {wanted}", note)
            for zoom in ("linked", "free"):
                gaps, after = viewer_wall.frames(browser, url, layer, zoom)
                note = (
                    f"p50 {middle(gaps):.0f}, max {max(gaps):.0f} of {len(gaps)}; "
                    f"at rest max {after:.0f}"
                )
                table.row(f"{size} {zoom} frames, p95", p95(gaps), "ms", f"<= {FRAME:.0f}", note)
            drawn, quiet = zip(*viewer_wall.fast_drags(browser, url, layer, rounds), strict=True)
            note = f"max {max(drawn):.0f}; page and server quiet {middle(quiet):.0f} ms"
            table.row(
                f"{size} 20 samples in 0.32 s, then painted", middle(drawn), "ms", "<= 200", note
            )


def beside_rows(table: Table, browser, stores: list[tuple[Path, str, int]], rounds: int) -> None:
    for store, layer, _ in stores:
        size = size_of(store, layer)
        many = size.endswith("×512")
        found = viewer_beside.ratios(browser, store, layer, rounds)
        for what, times in found.items():
            for kind in viewer_beside.FIGURES:
                wanted = {"first": ">= 3", "zoom": ">= 8"}[what] if many else ""
                table.row(
                    f"{size} {what}, {kind} : wall",
                    times[kind] / times["wall"],
                    "×",
                    wanted if kind == "one trace" else "",
                    f"{times[kind]:.0f} : {times['wall']:.0f} ms",
                )


def cold_rows(table: Table, browser, store: Path, rounds: int) -> None:
    taken = viewer_server.cold_starts(browser, store, rounds)
    plain, heavy = middle(taken["plain"]), middle(taken["TensorFlow"])
    note = (
        f"max {max(taken['plain']):.2f}; the server's address after {middle(taken['address']):.2f}"
    )
    table.row("cold start to the complete page", plain, "s", "<= 3", note)
    table.row("of that with TensorFlow", plain / heavy, "", "<= 0.333", f"{heavy:.2f} s")


def server_rows(table: Table, browser, store: Path) -> None:
    with open_store(store) as opened:
        layers, n_samples = list(opened.layers), len(opened.labels)
    with serving(store) as (url, _):
        bodies = viewer_server.recorded(browser, url, layers)
        times = viewer_server.callback_times(url, bodies)
    for view, callbacks in times.items():
        worst = max(callbacks, key=lambda output: p95(callbacks[output]))
        for output, taken in callbacks.items():
            mark = " (worst)" if output == worst else ""
            note = f"p50 {middle(taken):.1f}{mark}"
            name = f"{view}: {viewer_server.short(output)}, p95"
            table.row(name, p95(taken), "ms", "<= 20", note)
    before, after = viewer_server.memory(store, layers, n_samples, bodies)
    what = f"memory after {viewer_server.MIXED_REQUESTS} requests"
    table.row(what, after, "MB", f"<= {MB:.0f}", f"{before:.0f} MB before")


def main(options: argparse.Namespace, folder: Path) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    store, large = options.store or captured(folder), options.large
    if large is None and {"steps", "beside"} & set(options.only):
        script = Path(__file__).parent / "viewer_large.py"
        subprocess.run([sys.executable, str(script), str(folder)], check=True)
        large = folder / "large.h5"
    with open_store(store) as opened:
        first = next(iter(opened.layers))
    # The wanted ms of a step.
    stores = [(store, first, 50), (large, "conv512", 80), (large, "conv64", 300)]
    table = Table()
    with sync_playwright() as playwright:
        path = tool("chromium", debian="chromium")
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM)
        if "steps" in options.only:
            step_rows(table, browser, stores, options.rounds)
        if "beside" in options.only:
            beside_rows(table, browser, stores, options.rounds)
        if "cold" in options.only:
            cold_rows(table, browser, store, options.rounds)
        if "server" in options.only:
            server_rows(table, browser, store)
        browser.close()
    table.show()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, help="of the full MNIST test set (made)")
    parser.add_argument("--large", type=Path, help="of viewer_large.py (made)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    with tempfile.TemporaryDirectory() as name:
        main(parser.parse_args(), Path(name))
