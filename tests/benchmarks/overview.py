"""The page Overview in Chromium: all of ResNet50's filters, from the click to the complete page.

python tests/benchmarks/overview.py [--quick] [--store STORE] [--rounds N]

Complete: ms from the click on "Overview", on another page of the store, to the end of the frame in
which the table has its rows, and health, classes and the heatmap are drawn; the browser has seen no
Overview before. Warm: the server has made it before; cold: it has just started. Sort: from the
press of a heading to the end of the frame with the rows in their new order. The window is as high
as the page, so that nothing waits to be scrolled to. ResNet50 has random weights.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.harness import Options, Table
from benchmarks.networks import WAYS, Network
from benchmarks.serving import middle, serving
from playwright.sync_api import sync_playwright

CHROMIUM = ["--no-sandbox", "--disable-gpu"]
WARM, COLD, SORT, ANSWER = (
    "click to complete, server warm",
    "click to complete, server cold",
    "sort of all filters, to painted",
    "find in all filters, to painted",
)
WANTED = {WARM: 2000, COLD: None, SORT: 100, ANSWER: None}
PAINTED = """const painted = (is) => new Promise((done) => {
  const look = () => (is() ? requestAnimationFrame(() => setTimeout(() => done(performance.now())))
    : requestAnimationFrame(look));
  look();
});"""
COMPLETE = f"""async () => {{
  {PAINTED}
  const parts = ["#overview-filters[data-rows]", "#overview-health p", "#overview-cka .nsewdrag",
    "#overview-classes .rows .row, #overview-classes[hidden]"];
  const begin = performance.now();
  document.querySelector("#nav-overview").click();
  return await painted(() => parts.every((part) => document.querySelector(part))
    && !document.querySelector("[aria-busy=true]")) - begin;
}}"""
# What changes is the first row's place in the table.
CHANGED = f"""async ([selector, text]) => {{
  {PAINTED}
  const rows = document.querySelector("#overview-filters .rows");
  const before = rows.firstElementChild;
  const begin = performance.now();
  const element = [...document.querySelectorAll(selector)].find((node) => (
    text === null || node.textContent === text));
  element.click();
  return await painted(() => rows.firstElementChild !== before) - begin;
}}"""
HEADINGS = ("Its AUC", "Health", "MI", "Layer", "Best class")


def opened(browser, url: str):
    """Another page of the store, quiet, in a browser that has seen nothing yet."""
    context = browser.new_context(viewport={"width": 1280, "height": 3000})
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(f"{url}filter")
    page.wait_for_selector(".filter-page")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    return page


def typed(page, text: str) -> float:
    """Ms from a text in the search to the rows that it finds."""
    page.evaluate(
        """() => {
          const rows = document.querySelector("#overview-filters .rows");
          const field = document.querySelector("#overview-search");
          field.addEventListener("input", () => { window.beganAt = performance.now(); }, true);
          window.painted = new Promise((done) => {
            new MutationObserver((_, self) => {
              self.disconnect();
              requestAnimationFrame(() => setTimeout(() => (
                done(performance.now() - window.beganAt))));
            }).observe(rows, { childList: true });
          });
        }"""
    )
    page.fill("#overview-search", text)
    return page.evaluate("() => window.painted")


def main(options: argparse.Namespace, folder: Path) -> None:
    store = options.store
    if store is None:
        store = folder / "deep.h5"
        name, size, n = ("MobileNet", 32, 12) if options.quick else ("ResNet50", 224, 40)
        Network(name, n, size).capture(store, WAYS["auto"])
    with (
        Table("overview", ("measured", "wanted", "kept"), WANTED) as table,
        sync_playwright() as playwright,
    ):
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM)

        def add(row: str, values: list[float]) -> None:
            value, wanted = middle(values), WANTED[row]
            kept = "" if wanted is None else "yes" if value <= wanted else "NO"
            note = f"{min(values):.0f} to {max(values):.0f}"
            table.add(row, (value, "ms"), f"<= {wanted}" if wanted else "", kept, note=note)

        times: dict[str, list[float]] = {row: [] for row in WANTED}
        for _ in range(options.rounds):
            with serving(store) as (url, _):
                for row in (COLD, WARM):
                    page = opened(browser, url)
                    times[row].append(page.evaluate(COMPLETE))
                    if row == WARM:
                        of_heads = "#overview-filters .heads button"
                        times[SORT] += [
                            page.evaluate(CHANGED, [of_heads, name]) for name in HEADINGS
                        ]
                        times[ANSWER] += [typed(page, text) for text in ("o", "ok", "ok 1")]
                    page.context.close()
        for row, values in times.items():
            add(row, values)
        browser.close()


if __name__ == "__main__":
    parser = Options(__doc__)
    parser.add_argument("--store", type=Path, help="of ResNet50 with random weights (made)")
    parser.add_number("--rounds", 3, 1)
    with tempfile.TemporaryDirectory() as name:
        main(parser.parse_args(), Path(name))
