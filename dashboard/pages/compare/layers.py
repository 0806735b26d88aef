"""How alike each layer of A is to each layer of B: linear CKA."""

from __future__ import annotations

import numpy as np

from dashboard.components.controls import status_note
from dashboard.components.graph import NONE, Drawn, graph
from dashboard.components.nodes import Node, html
from dashboard.figures.heatmap import cka_heatmap
from dashboard.figures.theme import Theme
from dashboard.pages.compare.pair import Pair, cka_of_layers
from dashboard.pages.page import GRAPH as FIGURE
from dashboard.pages.page import Panel
from dashboard.pages.state import State
from dashboard.stores.snapshot import Snapshot
from fmcore.numbers import fraction_text

GRAPH = "compare-cka"


def cka_figure(pair: Pair, *, theme: Theme) -> tuple[Drawn, str]:
    """The heatmap with the style of its graph, and what it is; without the same samples only why.

    Rows are the layers of A, columns those of B, in the order of each model.
    """
    if not pair.alike.same:
        return NONE, (
            "CKA asks how alike two layers arrange the same samples, so there is none here."
        )
    values, n_used = cka_of_layers(pair)
    rows, columns = (list(store.catalog.n_filters) for store in (pair.first, pair.second))
    at = rows.index(pair.state.layer), columns.index(pair.state.other)
    figure, height = cka_heatmap(
        values,
        rows=rows,
        columns=columns,
        axes=("layer of A", "layer of B"),
        hover="A: %{y}<br>B: %{x}",
        framed=at,
        largest=620,
        theme=theme,
    )
    of = pair.first.catalog.n_samples
    part = "all" if n_used == of else f"{n_used:,}, evenly spaced, of"
    value = (
        fraction_text(values[at], decimals=3)
        if np.isfinite(values[at])
        else "none, since one does not vary, or is not finite"
    )
    words = (
        "Linear CKA of pooled means (Kornblith et al. 2019): 1 where two layers arrange the "
        "samples alike up to rotation and scale, 0 where not at all; over "
        f"{part} {of:,} samples; few of them, or some extreme ones, make it large. A click chooses "
        f"the two layers. {pair.state.layer} of A and {pair.state.other} of B: {value}."
    )
    return (figure, {"height": height}), words


def clicked_layers(pair: Pair, cell: tuple[int, int] | None) -> tuple[str, str] | None:
    """The layers of A and B that a cell of the heatmap is of; None for none, or outside."""
    if cell is None:
        return None
    rows, columns = (list(store.catalog.n_filters) for store in (pair.first, pair.second))
    if not (0 <= cell[0] < len(rows) and 0 <= cell[1] < len(columns)):
        return None
    return rows[cell[0]], columns[cell[1]]


def draw(pair: Pair, _: State, theme: Theme) -> tuple[object, object, str]:
    """The heatmap, its style, and what it is."""
    (figure, style), words = cka_figure(pair, theme=theme)
    return figure, style, words


def _body(_: Snapshot, __: State) -> list[Node]:
    return [
        status_note(f"{GRAPH}-note"),
        html.Div(graph(GRAPH, "CKA of each layer of A with each of B"), className="compare-wide"),
    ]


PANEL = Panel("cka", draw, needs=(), title="Layers", fills=FIGURE, body=_body, themed=True)
