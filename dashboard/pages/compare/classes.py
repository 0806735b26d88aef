"""A statistic of class and filter in A, in B in the order of the partners, and the difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output
from numpy.typing import NDArray

from dashboard.components.controls import status_note
from dashboard.components.graph import NO_GRAPH, NONE, Drawn, graph
from dashboard.components.nodes import Node, html
from dashboard.figures.heatmap import heatmap_figure, heatmap_height, margin_of
from dashboard.figures.theme import Theme, about_zero, span_of
from dashboard.pages import ids
from dashboard.pages.classes.heatmap import finite
from dashboard.pages.compare.pair import SIDES, Pair
from dashboard.pages.compare.partners import of_partners, partners
from dashboard.pages.page import Panel
from dashboard.pages.state import State
from dashboard.stores.catalog import Catalog
from dashboard.stores.measures import MEASURES
from dashboard.stores.snapshot import Snapshot

HOVER = "%{y}, filter %{x}<br><b>%{z:.6~g}</b>"


def statistic_of(snapshot: Snapshot, layer: str, name: str) -> NDArray[np.float64] | None:
    """A statistic, <float64>[class, filter]; None where the store has it not."""
    if name not in snapshot.catalog.measures:
        return None
    return finite(snapshot.statistic(layer, name))


def why_no_difference(pair: Pair) -> str:
    """Why there is no difference of classes; empty where there is one."""
    if not pair.alike.same:
        return "No difference: the samples are not the same."
    if pair.first.catalog.has_classes != pair.second.catalog.has_classes:
        return "No difference: the samples of only one of both have classes."
    if pair.first.catalog.class_names != pair.second.catalog.class_names:
        return "No difference: the classes have other names in B."
    if pair.state.statistic not in pair.second.catalog.measures:
        return f"{pair.second.name} does not hold this statistic, so only A has it."
    return ""


def class_figures(pair: Pair, *, theme: Theme) -> tuple[tuple[Drawn, Drawn, Drawn], str]:
    """A, B and B minus A, and a sentence."""
    name, goes_with = pair.state.statistic, partners(pair)
    first = statistic_of(pair.first, pair.state.layer, name)
    unordered = statistic_of(pair.second, pair.state.other, name)
    if first is None:
        return (NONE, NONE, NONE), "This store does not hold the statistic."
    second = None if unordered is None else of_partners(unordered, goes_with)
    span = span_of((first, second))
    own = [str(index) for index in range(len(goes_with))]
    others = ["–" if index < 0 else str(index) for index in goes_with.tolist()]
    neutral, title = MEASURES[name].neutral, MEASURES[name].title
    catalogs = [store.catalog for store in (pair.first, pair.second)]
    margin = margin_of(*(catalog.row_names for catalog in catalogs), below=others)
    of: dict[str, Any] = {"span": span, "neutral": neutral, "title": title, "margin": margin}
    column = pair.state.filter_index
    figures = [_drawing(first, catalogs[0], own, "filter of A", of, column, theme)]
    why = why_no_difference(pair)
    if second is None:
        return (figures[0], NONE, NONE), why
    figures.append(_drawing(second, catalogs[1], others, "filter of B", of, column, theme))
    if why:
        return (figures[0], figures[1], NONE), why
    minus = second - first
    of |= {"span": about_zero(minus), "neutral": 0.0, "title": "B − A"}
    figures.append(_drawing(minus, catalogs[1], own, "filter of A", of, column, theme))
    return (figures[0], figures[1], figures[2]), ""


def _drawing(
    values: NDArray[np.float64],
    catalog: Catalog,
    columns: Sequence[str],
    title: str,
    scale: dict[str, Any],
    column: int,
    theme: Theme,
) -> Drawn:
    rows = catalog.row_names
    figure = heatmap_figure(
        values,
        rows=rows,
        columns=columns,
        axes=("class" if catalog.has_classes else "", title),
        hover=f"class {HOVER}" if catalog.has_classes else HOVER,
        framed=(None, column),
        theme=theme,
        **scale,
    )
    return figure, {"height": heatmap_height(len(rows), scale["margin"])}


def titles(pair: Pair, figures: Sequence[Drawn]) -> tuple[str, ...]:
    """What stands above each heatmap; nothing above one that is not there."""
    name = MEASURES[pair.state.statistic].title
    words = (
        f"A: {name}, {pair.state.layer}",
        f"B: {name}, {pair.state.other}; each column the filter that goes with the one above",
        "B − A: red is more in B, blue more in A",
    )
    styles = [style for _, style in figures]
    return tuple(
        "" if style == NO_GRAPH else text for text, style in zip(words, styles, strict=True)
    )


def draw(pair: Pair, _: State, theme: Theme) -> list[object]:
    """The note, and title, figure and style of each heatmap."""
    figures, note = class_figures(pair, theme=theme)
    heads = titles(pair, figures)
    parts = [(title, *figure) for title, figure in zip(heads, figures, strict=True)]
    return [note, *(part for triple in parts for part in triple)]


def _body(_: Snapshot, __: State) -> list[Node]:
    parts: list[Node] = [status_note("compare-classes-note")]
    for side in SIDES:
        parts += [
            html.H3(id=f"compare-classes-{side}-title"),
            html.Div(
                graph(f"compare-classes-{side}", f"Statistic of classes: {side.capitalize()}"),
                className="compare-wide",
            ),
        ]
    return parts


def register(app: Dash) -> None:
    """Has a click on a column select its filter."""
    for side in SIDES:
        app.clientside_callback(
            ClientsideFunction("panels", "column"),
            Output(ids.COMPARE_FILTER, "value", allow_duplicate=True),
            Input(f"compare-classes-{side}", "clickData"),
            prevent_initial_call=True,
        )


PANEL = Panel(
    "classes",
    draw,
    needs=("filter_index", "pairing", "statistic"),
    title=lambda catalog: "Classes" if catalog.has_classes else "All samples",
    fills=(
        ("-note", "children"),
        *(
            (f"-{side}{end}", prop)
            for side in SIDES
            for end, prop in (("-title", "children"), ("", "figure"), ("", "style"))
        ),
    ),
    body=_body,
    themed=True,
)
