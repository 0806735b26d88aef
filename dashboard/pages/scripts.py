"""What pages have the browser do by itself, without the server."""

from __future__ import annotations

from dash import ClientsideFunction, Dash, Input, Output
from dash import State as DashState


def have_called(
    app: Dash,
    door: str,
    name: str,
    *inputs: Input | DashState,
    done: str,
    at_start: bool = True,
) -> None:
    """Has the browser call a function of a module with the values of components.

    Without an output, Dash would want the components on every page, so that all of these have one
    that nobody reads.

    Args:
        app: where to.
        door: the module, by its name in assets/doors.js.
        name: of the function.
        inputs: where the values are, and what it is called after.
        done: the store on the page that nobody reads.
        at_start: whether it is called when the page opens.
    """
    app.clientside_callback(
        ClientsideFunction(door, name),
        Output(done, "data", allow_duplicate=True),
        *inputs,
        prevent_initial_call="initial_duplicate" if at_start else True,
    )


def fit_filter(app: Dash, layer: str, filter_id: str, sizes: str) -> None:
    """Keeps the number of the filter within the filters of the layer.

    Args:
        app: where to.
        layer: the id of the choice of a layer.
        filter_id: that of the number.
        sizes: that of the store with the number of filters of each layer.
    """
    app.clientside_callback(
        ClientsideFunction("panels", "filterOf"),
        [Output(filter_id, "value"), Output(filter_id, "max")],
        Input(layer, "value"),
        DashState(filter_id, "value"),
        DashState(sizes, "data"),
        prevent_initial_call=True,
    )
