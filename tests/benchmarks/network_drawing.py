"""How quickly the network of Overview is laid out, and how smoothly it is moved and zoomed.

python tests/benchmarks/network_drawing.py [--quick]

Graphs of models of keras.applications, without a capture: what is measured is the browser. Each is
drawn folded, as it opens, and whole. Layout: folding and laying out, the least of some times.
Frames: times between animation frames while the drawing is moved and zoomed, median and 95 %.
"""

from __future__ import annotations

import functools
import http.server
import shutil
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.harness import Options, Table
from playwright.sync_api import sync_playwright

import dashboard

NAMES = ("ResNet50", "DenseNet121", "EfficientNetV2S")
QUICK = ("MobileNetV2",)
FRAMES, QUICK_FRAMES = 120, 12
REPEATS = 3
CHROMIUM = ["--no-sandbox", "--disable-gpu"]
PAGE = """<!doctype html>
<div id="host" style="position: relative; width: 900px; height: 480px">
<canvas style="width: 900px; height: 480px"></canvas></div>
<script type="module" src="network_drawing.js"></script>"""


def graph_of(name: str) -> dict[str, Any]:
    """The layers and edges of a model of keras.applications, as the API sends them."""
    import keras

    model = getattr(keras.applications, name)(weights=None)
    index = {layer.name: at for at, layer in enumerate(model.layers)}
    nodes = [
        {
            "path": layer.name,
            "kind": type(layer).__name__,
            "shape": list(layer.output.shape[1:]),
            "parameters": layer.count_params(),
            "layer": layer.name if "Conv" in type(layer).__name__ else "",
        }
        for layer in model.layers
    ]
    edges = {
        (index[tensor._keras_history.operation.name], index[layer.name])
        for layer in model.layers
        for node in layer._inbound_nodes
        for tensor in node.input_tensors
    }
    return {"nodes": nodes, "edges": sorted(edges)}


@contextmanager
def scripts() -> Iterator[str]:
    """Serves the dashboard's scripts with a page that measures them."""
    package = Path(dashboard.__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        assets = Path(folder, "assets")
        assets.mkdir()
        for name in ("overview", "feature_maps"):
            (assets / name).symlink_to(package / "assets" / name)
        (assets / "vendor").mkdir()
        (assets / "vendor" / "dagre.js").symlink_to(package / "vendor" / "dagre.esm.js")
        Path(folder, "index.html").write_text(PAGE)
        script = Path(__file__).with_suffix(".js")
        Path(folder, script.name).symlink_to(script)
        handler = functools.partial(_Quiet, directory=folder)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}/"
            server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


def late(gaps: Sequence[float]) -> float:
    """The 95th of a hundred times between frames, in ms."""
    return sorted(gaps)[int(0.95 * (len(gaps) - 1))]


def main() -> None:
    """Prints a row for each graph and form."""
    options = Options(__doc__).parse_args()
    names = QUICK if options.quick else NAMES
    frames = QUICK_FRAMES if options.quick else FRAMES
    forms = {"folded": False, "whole": True}
    rows = [f"{name}, {form}" for name in names for form in forms]
    columns = ("boxes", "layout", "pan", "pan 95 %", "zoom", "zoom 95 %")
    graphs = {name: graph_of(name) for name in names}
    with (
        Table("the network drawn", columns, rows, width=28) as table,
        scripts() as url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM
        )
        for name, graph in graphs.items():
            for form, is_whole in forms.items():
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                page.goto(url)
                page.wait_for_function("() => Boolean(window.measure)")
                measured = page.evaluate(
                    "(values) => window.measure(...values)", [graph, is_whole, frames, REPEATS]
                )
                page.close()
                times = [
                    (time(measured[kind]), "ms")
                    for kind in ("pan", "zoom")
                    for time in (statistics.median, late)
                ]
                table.add(f"{name}, {form}", measured["boxes"], (measured["ms"], "ms"), *times)
        browser.close()


if __name__ == "__main__":
    main()
