"""Mean maps of the selected filter over both groups, in the same colors, and their difference."""

from __future__ import annotations

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output
from numpy.typing import NDArray

from dashboard.components.graph import NONE, Drawn, graph
from dashboard.components.nodes import Node, dcc, html
from dashboard.figures.feature_map import map_in_row
from dashboard.figures.theme import Theme, about_zero, span_of
from dashboard.pages.contrast.subject import Groups
from dashboard.pages.page import Panel
from dashboard.pages.state import State
from dashboard.stores.group_maps import GroupMap, group_map
from dashboard.stores.snapshot import Snapshot

MAPS = {"a": "Mean map of A", "b": "Mean map of B", "difference": "A minus B"}


def maps_of(groups: Groups, layer: str, filter_index: int) -> tuple[GroupMap, GroupMap]:
    """The mean maps of A and of B."""
    texts = tuple(side.text for side in groups.sides)
    first, second = (
        group_map(groups.snapshot, layer, filter_index, samples, (side.letter, *texts))
        for side, samples in zip(groups.sides, groups.samples, strict=True)
    )
    return first, second


def difference(first: GroupMap, second: GroupMap) -> NDArray[np.float32] | None:
    """A minus B, <float32>[y, x]; None where one of them is missing."""
    if first.values is None or second.values is None:
        return None
    return first.values - second.values


def draw(
    groups: Groups, state: State, theme: Theme
) -> tuple[tuple[Drawn, ...], list[Node], list[Node], list[Node], str]:
    """Figure and style of each map, what stands above each, and why there is none."""
    if groups.contrast is None:
        return (NONE, NONE, NONE), [], [], [], ""
    first, second = maps_of(groups, state.layer, state.filter_index)
    span = span_of((first.values, second.values))
    bars = (first.values is not None and second.values is None, True)  # A and B share one
    figures = [
        NONE
        if part.values is None
        else map_in_row(part.values, span=span, theme=theme, n=len(MAPS), has_bar=has_bar)
        for part, has_bar in zip((first, second), bars, strict=True)
    ]
    minus = difference(first, second)
    figures.append(
        NONE
        if minus is None
        else map_in_row(minus, span=about_zero(minus), theme=theme, n=len(MAPS), signed=True)
    )
    heads = [
        _head(side.letter, part) for side, part in zip(groups.sides, (first, second), strict=True)
    ]
    third = (
        [] if minus is None else [html.B("A − B"), html.Small("red: more in A, blue: more in B")]
    )
    reasons = dict.fromkeys(
        f"{part.why}" if first.why == second.why else f"{side.letter}: {part.why}"
        for side, part in zip(groups.sides, (first, second), strict=True)
        if part.why
    )
    return (figures[0], figures[1], figures[2]), heads[0], heads[1], third, " ".join(reasons)


def _head(letter: str, part: GroupMap) -> list[Node]:
    return [] if part.values is None else [html.B(f"Mean of {letter}"), html.Small(part.words)]


def _body(_: Snapshot, __: State) -> list[Node]:
    places = [
        html.Div(
            [
                html.Div(id=f"contrast-mean-maps-{which}-head", className="contrast-head"),
                graph(f"contrast-mean-maps-{which}", words, bare=True),
            ]
        )
        for which, words in MAPS.items()
    ]
    return [
        dcc.Store(id="contrast-mean-maps-drawings"),
        html.Div(html.Div(places, className="contrast-maps"), className="contrast-maps-place"),
        html.Div(id="contrast-mean-maps-note", className="status-note", role="status"),
    ]


def register(app: Dash) -> None:
    """Shares out the maps in the browser, as those of Classes."""
    graphs = [f"contrast-mean-maps-{which}" for which in MAPS]
    app.clientside_callback(
        ClientsideFunction("panels", "drawings"),
        [Output(graph_id, prop) for graph_id in graphs for prop in ("figure", "style")],
        Input("contrast-mean-maps-drawings", "data"),
        prevent_initial_call=True,
    )


PANEL = Panel(
    "mean-maps",
    draw,
    needs=("focus", "layer", "filter_index"),
    title="Mean maps",
    fills=(
        ("-drawings", "data"),
        *((f"-{which}-head", "children") for which in MAPS),
        ("-note", "children"),
    ),
    body=_body,
    themed=True,
)
