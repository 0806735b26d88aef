"""All filters of a layer for one sample: the wall's controls, and what its tiles are ordered by."""

from __future__ import annotations

from typing import Any

import numpy as np
from dash import Dash, Input, Output
from dash import State as DashState

from dashboard.components.controls import card, segments, select, switch
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.pages import ids
from dashboard.pages.feature_maps.facts import is_large, wall_facts
from dashboard.pages.feature_maps.scripts import have_done, question_state
from dashboard.pages.state import RANGES, ZOOMS, State, filter_orders_of, state_for
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source
from fmcore.errors import StatisticNotFoundError

HINT = "Drag or wheel to zoom, shift-drag to move, double-click for all, click to select."
# What the order of the filters may depend on.
ORDER_FIELDS = ("filter_order", "layer", "filter_index", "class_index", "sample")
SAVED = (
    ("Picture (.png)", ids.MAPS_SAVE_PNG),
    ("Values (.npy)", ids.MAPS_SAVE_NPY),
    ("Values (.csv)", ids.MAPS_SAVE_CSV),
)


def wall_card(snapshot: Snapshot, state: State) -> Node:
    """The wall under its controls; it comes with all that its first picture needs but the maps."""
    scores, words = order_filters(snapshot, state)
    return card(
        [
            dcc.Store(id=ids.MAPS_FACTS, data=wall_facts(snapshot, state.layer).as_json()),
            dcc.Store(id=ids.MAPS_SCORES, data=scores),
            dcc.Store(id=ids.MAPS_ORDER_QUESTION),
            dcc.Store(id=ids.MAPS_WINDOW, data=state.window),
            html.Div(_controls(snapshot, state), className="controls wall-controls"),
            html.Div(id=ids.MAPS_MESSAGE, className="message", role="status"),
            html.Div(id=ids.MAPS_WALL, className="wall"),
            html.Div(id=ids.MAPS_LEGEND, className="legend"),
            dmc.Text(
                [
                    html.Span(id=ids.MAPS_RANGE_NOTE),
                    " ",
                    html.Span(words, id=ids.MAPS_ORDER_NOTE),
                    f" {HINT}",
                ],
                size="sm",
                c="dimmed",
            ),
        ],
        title="All filters",
    )


def _controls(snapshot: Snapshot, state: State) -> list[Node]:
    orders = filter_orders_of(snapshot.catalog)
    saved = [dmc.MenuItem(caption, id=button) for caption, button in SAVED]
    return [
        segments(ids.MAPS_RANGE, caption="Colors span", options=RANGES, value=state.color_range),
        segments(ids.MAPS_ZOOM, caption="Zoom", options=ZOOMS, value=state.zoom),
        select(
            ids.MAPS_ORDER, caption="Order of filters", options=orders, value=state.filter_order
        ),
        html.Div(
            [
                switch(ids.MAPS_DEAD, caption="Hide dead filters", on=state.dead == "hide"),
                switch(ids.MAPS_ZEROS, caption="Mark exact zeros", on=state.zeros == "mark"),
            ],
            className="switches",
        ),
        dmc.Menu(
            [
                dmc.MenuTarget(dmc.Button("Save", variant="default", size="sm")),
                dmc.MenuDropdown(saved),
            ],
        ),
    ]


def order_filters(snapshot: Snapshot, state: State) -> tuple[list[float | None] | None, str]:
    """The scores that the wall is ordered by, as `order_scores`; by index where there are none."""
    try:
        return order_scores(snapshot, state)
    except StatisticNotFoundError as error:
        return None, f"In order of index: {error}."


def order_scores(snapshot: Snapshot, state: State) -> tuple[list[float | None] | None, str]:
    """What the wall is ordered by, a number for each filter, and what that is in words.

    None where the script knows it itself: filters by index, or by their mean in a sample whose
    maps it has whole.

    Raises:
        StatisticNotFoundError: if the store was captured without scores.
    """
    layer = snapshot.layer(state.layer)
    if state.filter_order == "class":
        label = state.class_index
        if label is None:
            label = int(snapshot.labels[state.sample])
        scores = snapshot.statistic(state.layer, "auc_mean")[label]
        name = snapshot.catalog.class_names[label]
        words = f"By ROC-AUC of the pooled mean for class {name}, largest first."
    elif state.filter_order == "similar":
        scores = snapshot.correlations(state.layer, state.filter_index)
        words = f"By correlation of the pooled mean with filter {state.filter_index}."
    elif state.filter_order == "mean":
        words = "By mean activation in this sample, largest first."
        if not is_large(layer):
            return None, words
        scores = layer.pooled("mean")[state.sample]
    else:
        return None, ""
    return [float(score) if np.isfinite(score) else None for score in scores], words


def register(app: Dash, source: Source) -> None:
    """Adds the callbacks of the wall; what a step of the sample needs is in assets/feature_maps."""

    @app.callback(
        Output(ids.MAPS_FACTS, "data"),
        Output(ids.MAPS_FILTER, "value"),
        Output(ids.MAPS_FILTER, "max"),
        Input(ids.MAPS_LAYER, "value"),
        DashState(ids.MAPS_FILTER, "value"),
        prevent_initial_call=True,
    )
    def describe_layer(layer: str, filter_index: object) -> tuple[dict[str, Any], int, int]:
        snapshot = source.snapshot()
        state = state_for(snapshot.catalog, layer=layer, filter_index=filter_index)
        largest = snapshot.catalog.n_filters[state.layer] - 1
        return wall_facts(snapshot, state.layer).as_json(), state.filter_index, largest

    @app.callback(
        Output(ids.MAPS_SCORES, "data"),
        Output(ids.MAPS_ORDER_NOTE, "children"),
        Input(ids.MAPS_ORDER_QUESTION, "data"),
        prevent_initial_call=True,
    )
    def answer_order(question: object) -> tuple[Any, str]:
        snapshot = source.snapshot()
        return order_filters(snapshot, question_state(snapshot, question, ORDER_FIELDS))

    have_done(
        app,
        "show",
        Input(ids.MAPS_FACTS, "data"),
        Input(ids.MAPS_SAMPLE, "value"),
        Input(ids.MAPS_FILTER, "value"),
        Input(ids.MAPS_CLASS, "value"),
        Input(ids.MAPS_OUTCOME, "value"),
        Input(ids.MAPS_PICKED, "value"),
        Input(ids.MAPS_RANGE, "value"),
        Input(ids.MAPS_ORDER, "value"),
        Input(ids.MAPS_SCORES, "data"),
        Input(ids.MAPS_DEAD, "checked"),
        Input(ids.MAPS_ZEROS, "checked"),
        Input(ids.MAPS_ZOOM, "value"),
        Input(ids.MAPS_WINDOW, "data"),
        Input(ids.SCHEME, "data"),
    )
    clicks = (Input(button, "n_clicks") for _, button in SAVED)
    have_done(app, "save", *clicks, at_start=False)
