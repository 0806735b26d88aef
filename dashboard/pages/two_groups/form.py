"""What sets two groups of samples on a page: an expression of each, Swap and Clear."""

from __future__ import annotations

from dash import ClientsideFunction, Dash, Input, Output
from dash import State as DashState

from dashboard.components.controls import card
from dashboard.components.nodes import Node, dmc, html
from dashboard.pages import group_field, ids
from dashboard.pages.state import State
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source

CAPTIONS = {"group_a": "Group A", "group_b": "Group B; empty for all others"}
FIELDS = tuple(CAPTIONS)


def group_id(page: str, field: str) -> str:
    """The id of a page's control of a group."""
    return ids.GROUP.format(page=page, field=field)


def form(page: str, snapshot: Snapshot, state: State) -> Node:
    """The expressions of both groups, and how many samples each has."""
    fields = [
        group_field.group_field(
            snapshot, group_id(page, field), getattr(state, field), caption=caption
        )
        for field, caption in CAPTIONS.items()
    ]
    buttons = [
        dmc.Button(text, id=f"{page}-groups-{name}", variant="default", size="compact-sm")
        for name, text in (("swap", "Swap"), ("clear", "Clear"))
    ]
    return card(
        [*fields, html.Div(buttons, className="groups-buttons")], title="Two groups of samples"
    )


def register(app: Dash, source: Source, page: str) -> None:
    """Adds what the form does, and what says how large groups are."""
    controls = [group_id(page, field) for field in FIELDS]
    for control in controls:
        group_field.register(app, source, control)
    for name in ("swap", "clear"):
        app.clientside_callback(
            ClientsideFunction("panels", f"{name}Groups"),
            [Output(control, "value", allow_duplicate=True) for control in controls],
            Input(f"{page}-groups-{name}", "n_clicks"),
            *(DashState(control, "value") for control in controls),
            prevent_initial_call=True,
        )
