"""What of the page runs in the browser; assets/wall/page.js says what each does."""

from __future__ import annotations

from dash import ClientsideFunction, Dash, Input, Output, State

from dashboard.pages import ids


def register_scripts(app: Dash) -> None:
    """Adds the callbacks that need no server."""
    app.clientside_callback(
        *_doing("show"),
        Input(ids.MAPS_FACTS, "data"),
        Input(ids.MAPS_SAMPLE, "value"),
        Input(ids.MAPS_FILTER, "value"),
        Input(ids.MAPS_RANGE, "value"),
        Input(ids.MAPS_ORDER, "value"),
        Input(ids.MAPS_SCORES, "data"),
        Input(ids.MAPS_DEAD, "checked"),
        Input(ids.MAPS_ZEROS, "checked"),
        Input(ids.MAPS_ZOOM, "value"),
        Input(ids.MAPS_WINDOW, "data"),
        Input(ids.SCHEME, "data"),
    )
    app.clientside_callback(
        ClientsideFunction("wall", "arrive"),
        Output(ids.MAPS_SAMPLE, "value"),
        Input(ids.MAPS_PICKS, "data"),
        State(ids.MAPS_SAMPLE, "value"),
    )
    app.clientside_callback(
        ClientsideFunction("wall", "turn"),
        Output(ids.MAPS_PAGE, "data"),
        Input(ids.MAPS_PICKS, "data"),
        Input(ids.MAPS_SAMPLE, "value"),
        State(ids.MAPS_PAGE, "data"),
    )
    app.clientside_callback(
        *_doing("mark"),
        Input(ids.MAPS_THUMBNAILS, "children"),
        Input(ids.MAPS_SAMPLE, "value"),
    )
    app.clientside_callback(*_doing("outline"), Input(ids.MAPS_ENLARGED, "hoverData"))
    app.clientside_callback(*_doing("fade"), Input(ids.MAPS_OPACITY, "value"))
    app.clientside_callback(
        *_doing("save"),
        *(
            Input(one, "n_clicks")
            for one in (ids.MAPS_SAVE_PNG, ids.MAPS_SAVE_NPY, ids.MAPS_SAVE_CSV)
        ),
        prevent_initial_call=True,
    )


def _doing(what: str) -> tuple[ClientsideFunction, Output]:
    return ClientsideFunction("wall", what), Output(ids.MAPS_DONE.format(what=what), "data")
