"""Every filter of every layer by how well it tells the groups apart: a sentence, and the table."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from dash import ClientsideFunction, Dash, Input, Output
from dash import State as DashState

from dashboard.components.controls import status_note
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.table import find_tools
from dashboard.figures.theme import Theme
from dashboard.file_names import file_name
from dashboard.pages import ids
from dashboard.pages.contrast.subject import Groups
from dashboard.pages.page import Panel
from dashboard.pages.person import why_no_files
from dashboard.pages.scripts import have_called
from dashboard.pages.state import State
from dashboard.stores.snapshot import Snapshot
from fmcore.statistics import Q_LEVEL

HINT = (
    "A row selects its filter; on the keyboard: arrows and Enter. Gray and slanted: within chance. "
    "Sorted by the distance of AUC from 0.5 unless a heading is pressed."
)


def draw(groups: Groups, state: State, _: Theme) -> tuple[str, dict[str, Any] | None]:
    """The sentence, and where the browser has the table from, with the best filter."""
    if groups.contrast is None:
        return "", None
    first, second = groups.sides
    query = {"a": first.text, "b": second.text, "by": state.pooled}
    about: dict[str, Any] = {
        "url": f"{groups.snapshot.api}/contrast?{urlencode(query)}",
        "digest": groups.snapshot.digest,
        "file": file_name(groups.snapshot.name, "contrast", state.pooled, ending=".csv"),
    }
    if best := groups.best(1):
        layer, filter_index = best[0]
        about["best"] = {"layer": layer, "filter": filter_index}
    return words(groups), about


def words(groups: Groups) -> str:
    """How many filters tell the groups apart, and what that means."""
    contrast = groups.contrast
    assert contrast is not None  # noqa: S101 (the caller asked)
    n_tests, n_apart = contrast.n_tests, contrast.n_apart
    if not n_tests:
        return " ".join(("No filter can be tested over these samples.", *contrast.notes))
    verb = "tells" if n_apart == 1 else "tell"
    meaning = (
        "about one in twenty of these is expected to be there by chance"
        if n_apart
        else "what differs is no more than chance gives among so many filters"
    )
    return " ".join(
        (
            f"{n_apart:,} of {n_tests:,} filters {verb} A from B (q < {Q_LEVEL}): {meaning}.",
            *contrast.notes,
        )
    )


def _body(_: Snapshot, state: State) -> list[Node]:
    return [
        dcc.Store(id=ids.CONTRAST_TABLE),
        dcc.Store(id=ids.CONTRAST_SORT, data=state.sort_contrast),
        dcc.Store(id=ids.CONTRAST_DONE),
        status_note("contrast-ranking"),
        *find_tools(
            search=ids.CONTRAST_SEARCH,
            text=state.find_contrast,
            placeholder="a layer, dead, duplicate …",
            count=html.Div(id=ids.CONTRAST_COUNT, className="status-note grow", role="status"),
            download=ids.CONTRAST_DOWNLOAD,
            reason=why_no_files(),
        ),
        html.Div(id=ids.CONTRAST_FILTERS, className="row-table contrast-table"),
        dmc.Text(HINT, size="sm", c="dimmed"),
    ]


def register(app: Dash) -> None:
    """Has the browser fill, sort, search and save the table, and select what a row stands for."""
    have_called(
        app,
        "contrast",
        "ranking",
        Input(ids.CONTRAST_TABLE, "data"),
        Input(ids.CONTRAST_SEARCH, "value"),
        Input(ids.CONTRAST_SORT, "data"),
        done=ids.CONTRAST_DONE,
    )
    have_called(
        app,
        "contrast",
        "mark",
        Input(ids.CONTRAST_LAYER, "data"),
        Input(ids.CONTRAST_FILTER, "data"),
        done=ids.CONTRAST_DONE,
    )
    download = Input(ids.CONTRAST_DOWNLOAD, "n_clicks")
    have_called(app, "contrast", "save", download, done=ids.CONTRAST_DONE, at_start=False)
    app.clientside_callback(
        ClientsideFunction("panels", "focused"),
        Output(ids.CONTRAST_LAYER, "data"),
        Output(ids.CONTRAST_FILTER, "data"),
        Output(ids.CONTRAST_FOCUS, "data"),
        Input(ids.CONTRAST_TABLE, "data"),
        Input(ids.CONTRAST_PICK, "data"),
        DashState(ids.CONTRAST_LAYER, "data"),
        DashState(ids.CONTRAST_FILTER, "data"),
        DashState(ids.CONTRAST_FOCUS, "data"),
        prevent_initial_call=True,
    )


PANEL = Panel(
    "ranking",
    draw,
    needs=(),
    title="All filters of all layers",
    fills=(("", "children"), ("-table", "data")),
    body=_body,
)
