"""Functions of assets/feature_maps/ that the page only does, and that give nothing back."""

from __future__ import annotations

from dash import ClientsideFunction, Dash, Input, Output

from dashboard.pages import ids


def have_done(app: Dash, name: str, *inputs: Input, at_start: bool = True) -> None:
    """Has the browser call a function with the values of components.

    Without an output, Dash would want the components on every page, so that all of these have one
    that nobody reads.

    Args:
        app: where to.
        name: of the function.
        inputs: where the values are, and what it is called after.
        at_start: whether it is called when the page opens.
    """
    app.clientside_callback(
        ClientsideFunction("feature_maps", name),
        Output(ids.MAPS_DONE, "data", allow_duplicate=True),
        *inputs,
        prevent_initial_call="initial_duplicate" if at_start else True,
    )
