"""The confusion matrix: all classes, or of many those that are part of the most errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output
from dash import State as DashState
from numpy.typing import NDArray

from dashboard.components.controls import segments
from dashboard.components.graph import graph
from dashboard.components.nodes import Node, dcc, html
from dashboard.figures.confusion import Cells, confusion_figure, margin
from dashboard.figures.heatmap import ALL_NAMED, heatmap_height
from dashboard.figures.theme import Theme
from dashboard.pages import ids
from dashboard.pages.page import Panel
from dashboard.pages.state import CONFUSION_ORDERS, CONFUSION_SHARES, State
from dashboard.stores.snapshot import Snapshot
from fmcore.statistics import confused_order

GRAPH, DRAWING = "errors-matrix", "errors-matrix-drawing"
# Of more classes, those with the most errors are shown: cells of 1,000 would be smaller than a
# pixel, and a figure of all of them has 21 MB where one of these has a quarter of one.
MOST_CLASSES = 100


def classes_of(snapshot: Snapshot, order: str) -> NDArray[np.int64]:
    """The classes of the matrix in an order, one of `CONFUSION_ORDERS`, <int64>[place]."""
    confusion = snapshot.confusion()
    classes = np.sort(confusion.worst(MOST_CLASSES))
    if order != "confused":
        return classes
    return classes[confused_order(confusion.matrix(classes))]


def cells_of(snapshot: Snapshot, classes: NDArray[np.int64]) -> Cells:
    """Counts and shares of some classes; shares are of all samples with a label or prediction."""
    confusion = snapshot.confusion()
    counts = confusion.matrix(classes)
    n_label, n_prediction = (
        np.where(n > 0, n, np.nan)
        for n in (confusion.classes.n_label[classes], confusion.classes.n_prediction[classes])
    )
    return Cells(counts, counts / n_label[:, np.newaxis], counts / n_prediction)


def order_words(snapshot: Snapshot, order: str) -> str:
    """In which order the classes are, and which of them are not here."""
    confusion = snapshot.confusion()
    words = (
        "Classes that are confused stand side by side, from the most confused pair on."
        if order == "confused"
        else "Classes by index."
    )
    if confusion.n_classes <= MOST_CLASSES:
        return words
    classes = confusion.worst(MOST_CLASSES)
    n_inside = int(confusion.matrix(classes).sum() - confusion.classes.n_right[classes].sum())
    return (
        f"{words} {MOST_CLASSES} of {confusion.n_classes:,} classes, those that are part of the "
        f"most errors: {n_inside:,} of {confusion.n_wrong:,} errors are between them. The list of "
        "pairs and the table have all."
    )


def draw(
    snapshot: Snapshot, state: State, theme: Theme
) -> tuple[dict[str, Any], dict[str, str], str, str]:
    """The matrix, its height, a sentence on its classes, and what it shows in words.

    Raises:
        StatisticNotFoundError: if labels or predictions are not known.
    """
    classes = classes_of(snapshot, state.confusion_order)
    names = [snapshot.catalog.class_names[index] for index in classes.tolist()]
    figure = confusion_figure(
        cells_of(snapshot, classes), share=state.confusion_share, names=names, theme=theme
    )
    drawing = {
        "figure": figure,
        "axes": f"{state.confusion_order} {theme.accent}",
        "classes": classes.tolist(),
        "color": theme.accent,
        "wide": ALL_NAMED,
    }
    style = {"height": height_of(names)}
    return drawing, style, order_words(snapshot, state.confusion_order), _words(snapshot)


def height_of(names: list[str]) -> str:
    """How tall the matrix of some classes is, in CSS."""
    return heatmap_height(len(names), margin(names), row=38, smallest=260, largest=620)


def _words(snapshot: Snapshot) -> str:
    """What the matrix shows, for people who do not see it."""
    confusion, names = snapshot.confusion(), snapshot.catalog.class_names
    pairs = confusion.pairs()[:3].tolist()
    listed = "; ".join(f"{names[label]} as {names[other]} {n:,} times" for label, other, n in pairs)
    what = f"Confusion matrix of {confusion.n_classes:,} classes: {confusion.n_wrong:,} errors"
    return f"{what}, most often {listed}" if pairs else what


def _body(_: Snapshot, state: State) -> list[Node]:
    return [
        dcc.Store(id=DRAWING),
        html.Div(
            [
                segments(
                    ids.ERRORS_SHARE,
                    caption="Cells are",
                    options=CONFUSION_SHARES,
                    value=state.confusion_share,
                ),
                segments(
                    ids.ERRORS_ORDER,
                    caption="Order by",
                    options=CONFUSION_ORDERS,
                    value=state.confusion_order,
                ),
            ],
            className="controls errors-controls",
        ),
        html.Div(graph(GRAPH, "", height="auto"), className="errors-matrix"),
        html.Div(
            [
                html.Span(id=f"{GRAPH}-order"),
                " Gray: right. Click a cell to see its samples; drag to zoom, double-click for "
                "all.",
            ],
            className="errors-note",
            role="status",
        ),
    ]


def register(app: Dash) -> None:
    """Adds what selects and frames cells in the browser; see assets/panels.js."""
    app.clientside_callback(
        ClientsideFunction("panels", "confused"),
        Output(GRAPH, "figure"),
        Input(DRAWING, "data"),
        Input(ids.ERRORS_LABEL, "value"),
        Input(ids.ERRORS_PREDICTED, "value"),
        DashState(GRAPH, "figure"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("panels", "confusedCell"),
        [
            Output(ids.ERRORS_LABEL, "value", allow_duplicate=True),
            Output(ids.ERRORS_PREDICTED, "value"),
        ],
        Input(GRAPH, "clickData"),
        DashState(DRAWING, "data"),
        prevent_initial_call=True,
    )


PANEL = Panel(
    "matrix",
    draw,
    needs=("confusion_share", "confusion_order"),
    title="Labels and predictions",
    fills=(
        ("-drawing", "data"),
        ("", "style"),
        ("-order", "children"),
        ("-words", "children"),
    ),
    body=_body,
    themed=True,
    is_there=lambda catalog: catalog.has_outcomes,
)
