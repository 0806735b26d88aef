"""All filters of a layer for one sample: the wall's controls, and what its tiles are ordered by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from dash import Dash, Input, Output
from dash import State as DashState
from numpy.typing import NDArray

from dashboard.components.controls import card, menu, popover, segments, select, switch
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.pages import ids
from dashboard.pages.feature_maps.facts import is_large, wall_facts
from dashboard.pages.feature_maps.scripts import have_done, question_state
from dashboard.pages.person import why_no_files
from dashboard.pages.state import (
    COLORS,
    NORMS,
    RANGES,
    ZOOMS,
    State,
    filter_orders_of,
    state_for,
)
from dashboard.pages.two_groups.parts import group_title
from dashboard.stores.groups import apart_in, groups_of
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source
from fmcore.errors import SelectionError, StatisticNotFoundError

HINT = "Drag, pinch or Ctrl + wheel zooms, shift-drag moves, double-click shows all, click selects."
# What the order of the filters may depend on.
ORDER_FIELDS = ("filter_order", "layer", "filter_index", "class_index", "sample")
VALUES = {ids.MAPS_SAVE_NPY: "Values (.npy)", ids.MAPS_SAVE_CSV: "Values (.csv)"}
PICTURE_FORMS = {"png": "PNG", "svg": "SVG"}
PICTURE_SCALES = {str(scale): f"{scale}×" for scale in range(1, 5)}


def wall_card(snapshot: Snapshot, state: State) -> Node:
    """The wall under its controls; it comes with all that its first picture needs but the maps."""
    scores, words = order_filters(snapshot, state)
    return card(
        [
            dcc.Store(id=ids.MAPS_FACTS, data=wall_facts(snapshot, state.layer).as_json()),
            dcc.Store(id=ids.MAPS_SCORES, data=scores),
            # As the link has them: no control of this page sets them.
            dcc.Store(id=ids.MAPS_GROUP_A, data=state.group_a),
            dcc.Store(id=ids.MAPS_GROUP_B, data=state.group_b),
            dcc.Store(id=ids.MAPS_ORDER_QUESTION),
            dcc.Store(id=ids.MAPS_WINDOW, data=state.window),
            dcc.Store(id=ids.MAPS_UNIT, data=state.unit),
            dcc.Store(id=ids.MAPS_ENDS, data=state.color_ends),
            html.Div(_controls(snapshot, state), className="controls wall-controls"),
            html.Div(id=ids.MAPS_MESSAGE, className="message", role="status"),
            html.Div(id=ids.MAPS_WALL, className="wall"),
            # The wall in words, for people who do not see it.
            html.Div(id=ids.MAPS_DESCRIPTION, className="unseen"),
            html.Div(id=ids.MAPS_ANNOUNCEMENT, className="unseen", role="status"),
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
        fills=(ids.MAPS_FACTS, ids.MAPS_SCORES, ids.MAPS_WALL),
    )


def _controls(snapshot: Snapshot, state: State) -> list[Node]:
    orders = dict(filter_orders_of(snapshot.catalog))
    if not state.group_a and state.filter_order != "groups":
        del orders["groups"]
    return [
        _colors(state),
        segments(ids.MAPS_ZOOM, caption="Zoom", options=ZOOMS, value=state.zoom),
        select(
            ids.MAPS_ORDER, caption="Order of filters", options=orders, value=state.filter_order
        ),
        switch(ids.MAPS_DEAD, caption="Hide dead filters", on=state.dead == "hide"),
        _save_menu(),
        _picture_dialog(),
    ]


def _colors(state: State) -> Node:
    """What colors mean, folded into one button; what is set by hand, feature_maps/hand.js makes."""
    return popover(
        "Colors",
        [
            segments(
                ids.MAPS_RANGE, caption="Colors span", options=RANGES, value=state.color_range
            ),
            html.Div(id=ids.MAPS_HAND, className="by-hand"),
            select(
                ids.MAPS_COLORS,
                caption="Scale",
                options=COLORS,
                value=state.colors,
                is_in_place=True,
            ),
            segments(
                ids.MAPS_NORM, caption="Values along it", options=NORMS, value=state.color_norm
            ),
            switch(ids.MAPS_INVERTED, caption="Inverted scale", on=state.inversion == "inverted"),
            switch(ids.MAPS_ZEROS, caption="Mark exact zeros", on=state.zeros == "mark"),
        ],
    )


def _save_menu() -> Node:
    """What can be saved; what this person may not take home is there with the reason."""
    reason = why_no_files()
    return menu(
        "Save",
        {ids.MAPS_SAVE_PICTURE: "Picture …"} | VALUES,
        disabled=dict.fromkeys(VALUES, reason) if reason else {},
    )


def _picture_dialog() -> Node:
    """How a picture of the wall shall be."""
    return dmc.Modal(
        dmc.Stack(
            [
                segments(
                    ids.MAPS_PICTURE_FORM, caption="Format", options=PICTURE_FORMS, value="png"
                ),
                segments(
                    ids.MAPS_PICTURE_SCALE,
                    caption="Pixels of a PNG, to one on the screen",
                    options=PICTURE_SCALES,
                    value="2",
                ),
                switch(ids.MAPS_PICTURE_LABELS, caption="Title, names and color bar", on=True),
                switch(ids.MAPS_PICTURE_PAPER, caption="On white, for paper", on=False),
                dmc.Text(
                    "What is seen of the wall, without what is selected.", size="sm", c="dimmed"
                ),
                html.Div(id=ids.MAPS_PICTURE_MESSAGE, className="message", role="status"),
                dmc.Button("Save picture", id=ids.MAPS_PICTURE_SAVE),
            ]
        ),
        id=ids.MAPS_PICTURE,
        title="Picture of the wall",
    )


def order_filters(snapshot: Snapshot, state: State) -> tuple[list[float | None] | None, str]:
    """The scores that the wall is ordered by, as `order_scores`; by index where there are none."""
    try:
        return order_scores(snapshot, state)
    except (StatisticNotFoundError, SelectionError) as error:
        return None, f"In order of index: {error}."


def order_scores(snapshot: Snapshot, state: State) -> tuple[list[float | None] | None, str]:
    """What the wall is ordered by, a number for each filter, and what that is in words.

    None where the script knows it itself: filters by index, or by their mean in a sample whose
    maps it has whole.

    Raises:
        SelectionError: if it shall be ordered by groups that are not set, or not of this store.
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
    elif state.filter_order == "groups":
        scores, words = _by_groups(snapshot, state)
    elif state.filter_order == "mean":
        words = "By mean activation in this sample, largest first."
        if not is_large(layer):
            return None, words
        scores = layer.pooled("mean")[state.sample]
    else:
        return None, ""
    return [float(score) if np.isfinite(score) else None for score in scores], words


def _by_groups(snapshot: Snapshot, state: State) -> tuple[NDArray[np.float64], str]:
    """How far the AUC of each filter between two groups is from 0.5, and that in words."""
    two = groups_of(snapshot, state.group_a, state.group_b)
    if two is None or two.empty:
        why = two.empty if two else "group A is not set; Classes, Filter and Contrast set it"
        raise SelectionError(why.rstrip("."), field="group")
    apart = apart_in(snapshot, state.layer, two)
    low, high = apart.chance
    n_apart = int(((apart.auc < low) | (apart.auc > high)).sum())
    words = (
        f"By how well the pooled mean tells {group_title(two.a)} from {group_title(two.b)}: the "
        f"distance of ROC-AUC from 0.5, farthest first; {n_apart:,} of {len(apart.auc):,} filters "
        "are beyond chance."
    )
    return np.abs(apart.auc - 0.5), " ".join((words, *apart.notes))


def register(app: Dash, source: Source) -> None:
    """Adds the callbacks of the wall; what a step of the sample needs is in assets/feature_maps."""

    @app.callback(
        Output(ids.MAPS_FACTS, "data"),
        Input(ids.MAPS_LAYER, "value"),
        prevent_initial_call=True,
    )
    def describe_layer(layer: str) -> dict[str, Any]:
        snapshot = source.snapshot()
        return wall_facts(snapshot, state_for(snapshot.catalog, layer=layer).layer).as_json()

    @app.callback(
        Output(ids.MAPS_SCORES, "data"),
        Output(ids.MAPS_ORDER_NOTE, "children"),
        Input(ids.MAPS_ORDER_QUESTION, "data"),
        DashState(ids.MAPS_GROUP_A, "data"),
        DashState(ids.MAPS_GROUP_B, "data"),
        prevent_initial_call=True,
    )
    def answer_order(question: object, group_a: object, group_b: object) -> tuple[Any, str]:
        snapshot = source.snapshot()
        state = question_state(snapshot, question, ORDER_FIELDS)
        groups = state_for(snapshot.catalog, group_a=group_a, group_b=group_b)
        state = replace(state, group_a=groups.group_a, group_b=groups.group_b)
        return order_filters(snapshot, state)

    have_done(
        app,
        "show",
        Input(ids.MAPS_FACTS, "data"),
        Input(ids.MAPS_SAMPLE, "value"),
        Input(ids.MAPS_FILTER, "value"),
        Input(ids.MAPS_CLASS, "value"),
        Input(ids.MAPS_PREDICTED, "value"),
        Input(ids.MAPS_OUTCOME, "value"),
        Input(ids.MAPS_GROUP, "value"),
        Input(ids.MAPS_PICKED, "value"),
        Input(ids.MAPS_RANGE, "value"),
        Input(ids.MAPS_ENDS, "data"),
        Input(ids.MAPS_COLORS, "value"),
        Input(ids.MAPS_NORM, "value"),
        Input(ids.MAPS_INVERTED, "checked"),
        Input(ids.MAPS_ORDER, "value"),
        Input(ids.MAPS_SCORES, "data"),
        Input(ids.MAPS_DEAD, "checked"),
        Input(ids.MAPS_ZEROS, "checked"),
        Input(ids.MAPS_ZOOM, "value"),
        Input(ids.MAPS_WINDOW, "data"),
        Input(ids.SCHEME, "data"),
        Input(ids.MAPS_FROM, "data"),
        Input(ids.MAPS_UNIT, "data"),
    )
    buttons = (ids.MAPS_SAVE_PICTURE, *VALUES)
    have_done(app, "save", *(Input(button, "n_clicks") for button in buttons), at_start=False)
    have_done(
        app,
        "savePicture",
        Input(ids.MAPS_PICTURE_SAVE, "n_clicks"),
        DashState(ids.MAPS_PICTURE_FORM, "value"),
        DashState(ids.MAPS_PICTURE_SCALE, "value"),
        DashState(ids.MAPS_PICTURE_LABELS, "checked"),
        DashState(ids.MAPS_PICTURE_PAPER, "checked"),
        at_start=False,
    )
