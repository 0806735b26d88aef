"""The network drawn: every layer, what it reads, and one number of each captured layer as a color.

The drawing is in assets/overview/network; see docs/decisions/network.md.
"""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output

from dashboard import urls
from dashboard.components.controls import save_picture, select
from dashboard.components.nodes import Node, dcc, html
from dashboard.figures.theme import Theme
from dashboard.file_names import file_name
from dashboard.pages import ids
from dashboard.pages.overview.layer_values import MEASURES, span_of, values_of
from dashboard.pages.page import Control, Panel
from dashboard.pages.state import State, network_colors_of, query_for
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source

CONTROLS = {
    "network_color": Control(ids.OVERVIEW_NETWORK_COLOR),
    "network_open": Control(ids.OVERVIEW_NETWORK_OPEN, "data"),
}


def draw(snapshot: Snapshot, state: State, _: Theme) -> tuple[dict[str, Any], str]:
    """What the script has to know beside the graph, and what the colors mean.

    Raises:
        GraphNotStoredError: if nothing is known of the model's graph.
    """
    graph = snapshot.graph()
    measure, values = MEASURES[state.network_color], values_of(snapshot, state.network_color)
    span = span_of(measure, values)
    low, high = span or (0.0, 1.0)
    facts = {
        "store": snapshot.name,
        "digest": snapshot.digest,
        "url": urls.graph(snapshot),
        "title": measure.title,
        "ends": [measure.text(end) for end in span or ()],
        "layers": {
            path: {
                "share": None if number.value is None else (number.value - low) / (high - low),
                "text": number.text,
                "short": "not known" if number.value is None else measure.text(number.value),
                "href": f"maps{query_for(snapshot.catalog, layer=path)}",
            }
            for path, number in values.items()
        },
    }
    n_known = sum(number.value is not None for number in values.values())
    words = f"{len(graph.nodes):,} layers and inputs, {len(values):,} of them captured"
    if graph.parameters is not None:
        words += f"; {graph.parameters:,} parameters"
    unknown = "" if n_known == len(values) else " Hatched: not known."
    return facts, f"{words}. Colors: {measure.definition}{unknown}"


def body(snapshot: Snapshot, state: State) -> list[Node]:
    """The choice of the colors above the drawing, and the layers as a table below it."""
    return [
        dcc.Store(id=ids.OVERVIEW_NETWORK_FACTS),
        dcc.Store(id=ids.OVERVIEW_NETWORK_OPEN, data=state.network_open),
        dcc.Store(id=ids.OVERVIEW_NETWORK_DONE),
        select(
            ids.OVERVIEW_NETWORK_COLOR,
            caption="Colors",
            options={name: MEASURES[name].title for name in network_colors_of(snapshot.catalog)},
            value=state.network_color,
        ),
        # Filled by the script.
        html.Div(id=ids.OVERVIEW_NETWORK, className="network"),
        html.Div(id=ids.OVERVIEW_NETWORK_NOTE, className="network-note"),
        save_picture(file_name(snapshot.name, "network"), scene=ids.OVERVIEW_NETWORK),
    ]


def register(app: Dash, _: Source) -> None:
    """Adds the callback that has the browser draw."""
    app.clientside_callback(
        ClientsideFunction("network", "show"),
        Output(ids.OVERVIEW_NETWORK_DONE, "data"),
        Input(ids.OVERVIEW_NETWORK_FACTS, "data"),
        Input(ids.OVERVIEW_NETWORK_OPEN, "data"),
        Input(ids.SCHEME, "data"),
    )


PANEL = Panel(
    name="network",
    title="The network",
    draw=draw,
    needs=("network_color",),
    fills=(("-facts", "data"), ("-note", "children")),
    body=body,
)
