"""A row of a table of filters and the number of the filter: what is selected in one is in both."""

from __future__ import annotations

from dash import ClientsideFunction, Dash, Input, Output, State


def select_rows(app: Dash, table_id: str, filter_id: str) -> None:
    """Ties them in the browser, so that a row and the number never overtake each other."""
    app.clientside_callback(
        ClientsideFunction("table", "chosen"),
        Output(filter_id, "value", allow_duplicate=True),
        Input(table_id, "selectedRows"),
        State(filter_id, "value"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("table", "marked"),
        [Output(table_id, "selectedRows"), Output(table_id, "scrollTo")],
        Input(filter_id, "value"),
        Input(table_id, "rowData"),
        State(table_id, "selectedRows"),
        prevent_initial_call=True,
    )
