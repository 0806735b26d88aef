"""The page Layers in Chromium: steps from sample to sample, of the tutorial and of ResNet50.

python tests/benchmarks/layers.py [--quick] [--store STORE] [--deep STORE] [--steps N]

A step: ms from the key to the end of the frame that has the next sample, which was fetched ahead.
A jump: to the first row, and to all rows, of a sample that neither browser nor server have seen.
ResNet50 has random weights. Colors: seconds from the first link with principal components to all
rows, the basis of each layer computed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.harness import Options, Table
from benchmarks.networks import WAYS, Network
from benchmarks.serving import middle, serving
from benchmarks.stores import made_stores
from playwright.sync_api import sync_playwright

PROBE = Path(__file__).parent / "layers_probe.js"
CHROMIUM = ["--no-sandbox", "--disable-gpu"]
STEP, FIRST, ALL, COLORS = (
    "tutorial →, fetched ahead, to painted",
    "ResNet50 jump, first row painted",
    "ResNet50 jump, all rows painted",
    "ResNet50 with colors, the first time",
)
WANTED = {STEP: 60, FIRST: 200, ALL: 1500}


@contextlib.contextmanager
def opened(browser, url: str, **state: object) -> Iterator:
    """The page of a browser that has fetched nothing yet, drawn and quiet."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script(path=PROBE)
    page = context.new_page()
    page.set_default_timeout(300_000)
    page.goto(f"{url}layers?{urlencode(state)}")
    page.wait_for_selector("#layers-rows[data-drawn]")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    yield page
    context.close()


def step(page, sample: int, act) -> tuple[float, float]:
    """Ms from the input of an act to the first row of a sample, and to all of them."""
    page.evaluate("(sample) => window.bench.expect(sample)", sample)
    act()
    first, whole = page.evaluate("() => window.bench.step()")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(300)
    return first, whole


def key_steps(browser, url: str, n: int) -> list[float]:
    """→ from sample to sample, each fetched ahead."""
    with opened(browser, url, sample=0) as page:
        return [
            step(page, sample, lambda: page.keyboard.press("ArrowRight"))[1]
            for sample in range(1, n + 1)
        ]


def jumps(browser, url: str, n: int) -> list[tuple[float, float]]:
    """To and fro over samples of which none was fetched ahead, and the server has kept none."""
    with opened(browser, url, sample=0) as page:

        def go(sample: int) -> None:
            page.evaluate(
                """async (sample) => {
                  const { session } = await import("/assets/layers/layer_rows.js");
                  window.bench.begin();
                  session().change({ sample });
                }""",
                sample,
            )

        samples = range(2, 2 * n + 1, 2)
        return [step(page, sample, lambda sample=sample: go(sample)) for sample in samples]


def main(options: argparse.Namespace, folder: Path) -> None:
    store, deep = options.store, options.deep
    if store is None:
        (store,) = made_stores(folder, "mnist", quick=options.quick)
    if deep is None:
        deep = folder / "deep.h5"
        name, size, n = ("MobileNet", 32, 12) if options.quick else ("ResNet50", 224, 40)
        Network(name, n, size).capture(deep, WAYS["auto"])
    with Table("layers", ("measured", "wanted", "kept"), [*WANTED, COLORS]) as table:

        def add(row: str, values: list[float]) -> None:
            value, note = middle(values), f"{min(values):.0f} to {max(values):.0f}"
            kept = "yes" if value <= WANTED[row] else "NO"
            table.add(row, (value, "ms"), f"<= {WANTED[row]}", kept, note=note)

        with sync_playwright() as playwright:
            path = shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM)
            with serving(store) as (url, _):
                add(STEP, key_steps(browser, url, options.steps))
            with serving(deep) as (url, _):
                for row, values in zip(
                    (FIRST, ALL),
                    zip(*jumps(browser, url, options.steps), strict=True),
                    strict=True,
                ):
                    add(row, list(values))
                began = time.perf_counter()
                with opened(browser, url, sample=1, summary="pca"):
                    table.add(COLORS, (time.perf_counter() - began, "s"), "", "")
            browser.close()


if __name__ == "__main__":
    parser = Options(__doc__)
    parser.add_argument("--store", type=Path, help="of the tutorial's model (made)")
    parser.add_argument("--deep", type=Path, help="of ResNet50 with random weights (made)")
    parser.add_number("--steps", 12, 2)
    with tempfile.TemporaryDirectory() as name:
        main(parser.parse_args(), Path(name))
