"""One filter: its map enlarged, the input with the map over it, and its kernel."""

from __future__ import annotations

from dash import Dash, Input

from dashboard.components.controls import facts
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
# What the script of the page says of the enlarged map; a row that it leaves empty is hidden.
MAP_FACTS = {
    "largest": "Largest here",
    "mean": "Mean here",
    "zero": "Exactly zero here",
    "missing": "Not finite here",
    "whole": "Whole test set",
}


def draw(snapshot: Snapshot, state: State, theme: Theme) -> tuple[*Drawn, str]:
    """The kernel of the filter; what else is seen of the filter, the browser draws."""
    return *kernel_drawing(snapshot, state, theme, longest=LONGEST), ""


def _body(snapshot: Snapshot, _: State) -> list[Node]:
    link = ["Filter ", html.Span(id=ids.MAPS_FILTER_NAME)]
    words = ": what excites it most, its scores, its arrays →"
    return [
        html.Div(dcc.Link([*link, words], id=ids.MAPS_FILTER_LINK, href="filter")),
        html.Div([_map(), _input(snapshot), _kernel()], className="one-filter"),
    ]


def _map() -> Node:
    return html.Div([dmc.Text("Feature map", size="sm", fw=500), graph(ids.MAPS_ENLARGED)])


def _input(snapshot: Snapshot) -> Node:
    height, width = snapshot.image_shape
    return html.Div(
        [
            dmc.Text("Input, with the map over it", size="sm", fw=500),
            html.Div(
                id=ids.MAPS_INPUT,
                className="picture input-picture",
                style={"aspectRatio": f"{width} / {height}"},
            ),
            dmc.Slider(
                id=ids.MAPS_OPACITY,
                value=45,
                min=0,
                max=100,
                size="sm",
                label=None,
                persistence=True,
                persistence_type="local",
                thumbLabel="Opacity of the map",
            ),
            dmc.Text(id=ids.MAPS_FIELD_NOTE, size="xs", c="dimmed"),
        ],
        className="input-panel",
    )


def _kernel() -> Node:
    rows = {noun: html.Span(**{"data-fact": name}) for name, noun in MAP_FACTS.items()}
    return html.Div(
        [
            dmc.Text("Kernel", size="sm", fw=500),
            graph("maps-kernel", bare=True),
            dmc.Text(id="maps-kernel-note", size="sm", c="dimmed"),
            html.Div(facts(rows), id=ids.MAPS_FILTER_NOTE),
        ]
    )


def register(app: Dash, _: Source) -> None:
    """Adds what the browser does by itself: the box in the input, and how the map lies over it."""
    have_done(app, "outline", Input(ids.MAPS_ENLARGED, "hoverData"))
    have_done(app, "fade", Input(ids.MAPS_OPACITY, "value"))


PANEL = Panel(
    "kernel",
    draw,
    needs=("layer", "filter_index"),
    title="One filter",
    fills=GRAPH,
    body=_body,
    themed=True,
)
