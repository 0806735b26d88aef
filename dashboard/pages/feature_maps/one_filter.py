"""One filter: its map enlarged, and its kernel."""

from __future__ import annotations

from dash import Dash, Input

from dashboard.components.graph import Drawn, graph
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.figures.theme import Theme
from dashboard.pages import ids
from dashboard.pages.feature_maps.scripts import have_done
from dashboard.pages.filter.kernel import kernel_drawing
from dashboard.pages.page import GRAPH, Panel
from dashboard.pages.state import State
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source

# CSS pixels of the longer side of the kernel's picture.
LONGEST = 150


def draw(snapshot: Snapshot, state: State, theme: Theme) -> tuple[*Drawn, str]:
    """The kernel of the filter; what else is seen of the filter, the browser draws."""
    return *kernel_drawing(snapshot, state, theme, longest=LONGEST), ""


def _body(_: Snapshot, __: State) -> list[Node]:
    link = ["Filter ", html.Span(id=ids.MAPS_FILTER_NAME)]
    words = ": what excites it most, its scores, its arrays →"
    return [
        html.Div(dcc.Link([*link, words], id=ids.MAPS_FILTER_LINK, href="filter")),
        html.Div([_map(), _kernel()], className="one-filter"),
    ]


def _map() -> Node:
    enlarged = graph(ids.MAPS_ENLARGED, "The feature map of the selected filter, enlarged")
    return html.Div([dmc.Text("Feature map", size="sm", fw=500), enlarged])


def _kernel() -> Node:
    return html.Div(
        [
            dmc.Text("Kernel", size="sm", fw=500),
            graph("maps-kernel", "The kernel: a weight for each cell", bare=True),
            dmc.Text(id="maps-kernel-note", size="sm", c="dimmed"),
        ]
    )


def register(app: Dash, _: Source) -> None:
    """Has the browser outline what a hovered value of the enlarged map sees, and select one."""
    have_done(app, "outline", Input(ids.MAPS_ENLARGED, "hoverData"))
    have_done(app, "choose", Input(ids.MAPS_ENLARGED, "clickData"), at_start=False)


PANEL = Panel(
    "kernel",
    draw,
    needs=("layer", "filter_index"),
    title="One filter",
    fills=GRAPH,
    body=_body,
    themed=True,
)
