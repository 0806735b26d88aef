"""All kernels of a layer on one wall, and the controls of it."""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output

from dashboard.components.controls import card, save_picture, segments, select
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.pages import ids
from dashboard.pages.kernels.facts import kernel_facts
from dashboard.pages.state import (
    KERNEL_ORDERS,
    KERNEL_PARTS,
    KERNEL_RANGES,
    KERNEL_TILES,
    KERNEL_VIEWS,
    State,
    state_for,
)
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source

HINT = "Drag, pinch or Ctrl + wheel zooms, shift-drag moves, double-click shows all, click selects."


def wall_card(snapshot: Snapshot, state: State) -> Node:
    """The wall under its controls; it comes with all that its picture needs but the weights."""
    facts = kernel_facts(snapshot, state.layer, state.kernel_part)
    return card(
        [
            dcc.Store(id=ids.KERNELS_FACTS, data=facts.as_json()),
            dcc.Store(id=ids.KERNELS_WINDOW, data=state.kernel_window),
            dcc.Store(id=ids.KERNELS_DONE),
            dcc.Store(id=ids.KERNELS_READ),
            html.Div(
                [
                    *_controls(state, has_parts=facts.has_parts),
                    save_picture(snapshot.name, by="kernels"),
                ],
                className="controls wall-controls",
            ),
            html.Div(facts.message, id=ids.KERNELS_MESSAGE, className="message", role="status"),
            html.Div(id=ids.KERNELS_WALL, className="wall", hidden=bool(facts.message)),
            # The wall in words, for people who do not see it.
            html.Div(id=ids.KERNELS_DESCRIPTION, className="unseen"),
            html.Div(id=ids.KERNELS_ANNOUNCEMENT, className="unseen", role="status"),
            html.Div(id=ids.KERNELS_LEGEND, className="legend"),
            dmc.Text(
                [html.Span(id=ids.KERNELS_NOTE), f" {HINT}"],
                size="sm",
                c="dimmed",
            ),
        ],
        title="All kernels",
        fills=(ids.KERNELS_FACTS, ids.KERNELS_WALL),
    )


def _controls(state: State, *, has_parts: bool) -> list[Node]:
    return [
        segments(ids.KERNELS_VIEW, caption="Show", options=KERNEL_VIEWS, value=state.kernel_view),
        html.Div(
            segments(
                ids.KERNELS_PART, caption="Part", options=KERNEL_PARTS, value=state.kernel_part
            ),
            id=ids.KERNELS_PARTS,
            hidden=not has_parts,
        ),
        segments(
            ids.KERNELS_RANGE,
            caption="Colors span",
            options=KERNEL_RANGES,
            value=state.kernel_range,
        ),
        segments(
            ids.KERNELS_TILE, caption="Size of tiles", options=KERNEL_TILES, value=state.kernel_tile
        ),
        select(
            ids.KERNELS_ORDER,
            caption="Order",
            options=KERNEL_ORDERS,
            value=state.kernel_order,
        ),
    ]


def register(app: Dash, source: Source) -> None:
    """Adds the callbacks of the wall."""

    @app.callback(
        Output(ids.KERNELS_FACTS, "data"),
        Output(ids.KERNELS_READ, "data"),
        Input(ids.KERNELS_LAYER, "value"),
        Input(ids.KERNELS_PART, "value"),
        prevent_initial_call=True,
    )
    def describe_layer(layer: str, part: str) -> tuple[dict[str, Any], str]:
        snapshot = source.snapshot()
        state = state_for(snapshot.catalog, layer=layer, kernel_part=part)
        facts = kernel_facts(snapshot, state.layer, state.kernel_part)
        return facts.as_json(), f"{state.layer} {state.kernel_part}"

    app.clientside_callback(
        ClientsideFunction("kernels", "show"),
        Output(ids.KERNELS_DONE, "data"),
        Input(ids.KERNELS_FACTS, "data"),
        Input(ids.KERNELS_FILTER, "value"),
        Input(ids.KERNELS_PLANE, "value"),
        Input(ids.KERNELS_VIEW, "value"),
        Input(ids.KERNELS_ORDER, "value"),
        Input(ids.KERNELS_RANGE, "value"),
        Input(ids.KERNELS_TILE, "value"),
        Input(ids.KERNELS_WINDOW, "data"),
        Input(ids.SCHEME, "data"),
    )
