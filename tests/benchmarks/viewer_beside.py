"""The wall beside what Plotly draws of the same maps: one heatmap of all, one heatmap a filter.

Run as a program it serves them: the dashboard of a store, and pages with one picture each, under
the dashboard's own content security policy.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import plotly
import plotly.graph_objects as go
from benchmarks.one_trace import montage_figure, montage_tiling
from benchmarks.serving import middle, serving
from benchmarks.viewer_wall import Pace
from plotly.io.json import to_json_plotly
from plotly.subplots import make_subplots
from starlette.applications import Starlette
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from dashboard import create_app
from dashboard.pages.feature_maps.facts import wall_facts
from dashboard.server import listen as server
from dashboard.server.headers import SecurityHeaders
from dashboard.stores.source import Source

HERE = Path(__file__).parent
WALLS = ("wall linked", "wall free")
FIGURES = ("one trace", "subplots")
MANY_FILTERS = 100  # so many subplots take minutes: one round
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>beside</title>
<link rel="stylesheet" href="assets/style.css"><script src="beside/plotly.js"></script>
<script type="module" src="beside/page.js"></script>
<div id="host" class="wall" style="width: 920px; min-height: 560px"></div></html>"""


def ratios(
    browser, store: Path, layer: str, rounds: int, pace: Pace
) -> dict[str, dict[str, float]]:
    """Medians in ms of `first` paint and `zoom`, by what draws; the three take turns."""
    times: dict = defaultdict(lambda: defaultdict(list))
    with serving(store, command=[sys.executable, str(Path(__file__)), str(store)]) as (url, _):
        for turn in range(rounds):
            kinds = ["wall", *FIGURES]
            for kind in kinds[turn % 3 :] + kinds[: turn % 3]:  # none always pays for the reading
                context = browser.new_context(viewport={"width": 1280, "height": 900})
                page = context.new_page()
                page.goto(f"{url}beside")
                facts = context.request.get(f"{url}beside/facts", params={"layer": layer}).json()
                many = kind == "subplots" and facts["shape"][2] > MANY_FILTERS
                if not (many and turn):
                    call = "([kind, facts, sample]) => window.beside.first(kind, facts, sample)"
                    times["first"][kind].append(page.evaluate(call, [kind, facts, 2 * turn]))
                    for picture in WALLS if kind == "wall" else (kind,):
                        for step in range(2 if many else pace.zooms):
                            page.wait_for_timeout(pace.rest)
                            call = "([kind, half]) => window.beside.zoom(kind, half)"
                            taken = page.evaluate(call, [picture, step % 2 == 0])
                            times["zoom"][picture].append(taken)
                context.close()
    medians = {
        what: {kind: middle(taken) for kind, taken in kinds.items()}
        for what, kinds in times.items()
    }
    medians["zoom"]["wall"] = max(medians["zoom"].pop(wall) for wall in WALLS)
    return medians


def subplots(maps: np.ndarray, span: tuple[float, float]):
    """What people write today: `make_subplots` with a heatmap a filter.

    Args:
        maps: <float32>[y, x, filter].
        span: what the colours span.
    """
    tiling = montage_tiling(maps.shape)
    rows, columns = tiling.rows, tiling.columns
    gaps = {"horizontal_spacing": 0.1 / columns, "vertical_spacing": 0.1 / rows}
    figure = make_subplots(rows, columns, **gaps)
    for index in range(maps.shape[2]):
        row, column = divmod(index, columns)
        trace = go.Heatmap(z=maps[:, :, index], zmin=span[0], zmax=span[1], showscale=False)
        figure.add_trace(trace, row + 1, column + 1)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, autorange="reversed")
    return figure


def app_of(store: Path):
    """The dashboard and, under `/beside`, the pages that it is compared with."""
    source = Source(store)

    def figure(request):
        query, snapshot = request.query_params, source.snapshot()
        maps = snapshot.layer(query["layer"]).feature_maps(int(query["sample"]))
        ranges = snapshot.filter_range(query["layer"])
        span = float(ranges[0].min()), float(ranges[1].max())
        draw = {"subplots": subplots}.get(query["kind"], montage_figure)
        return Response(to_json_plotly(draw(maps, span)), media_type="application/json")

    def facts(request):
        return JSONResponse(wall_facts(source.snapshot(), request.query_params["layer"]).as_json())

    def file(path: Path):
        return lambda _: FileResponse(path, media_type="text/javascript")

    pages = Starlette(
        routes=[
            Route("/beside", lambda _: HTMLResponse(PAGE)),
            Route("/beside/page.js", file(HERE / "viewer_beside.js")),
            Route(
                "/beside/plotly.js",
                file(Path(plotly.__file__).parent / "package_data/plotly.min.js"),
            ),
            Route("/beside/figure", figure),
            Route("/beside/facts", facts),
        ]
    )
    ours, theirs = create_app(source), SecurityHeaders(pages, script_hashes=())

    async def both(scope, receive, send) -> None:
        is_theirs = scope["type"] == "http" and scope["path"].startswith("/beside")
        await (theirs if is_theirs else ours)(scope, receive, send)

    return both


if __name__ == "__main__":
    with server.bind(("127.0.0.1", 0)) as listening:
        print(server.address(listening), flush=True)
        server.serve(app_of(Path(sys.argv[1])), listening, opens=False)
