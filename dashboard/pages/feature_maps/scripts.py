"""What assets/feature_maps/ is called for, and what it asks."""

from __future__ import annotations

from dash import ClientsideFunction, Dash, Input, Output

from dashboard.pages import ids
from dashboard.pages.state import State, state_for
from dashboard.stores.snapshot import Snapshot


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


def question_state(snapshot: Snapshot, question: object, names: tuple[str, ...]) -> State:
    """The state of a question that a script asks by the names of a state's attributes."""
    values = question if isinstance(question, dict) else {}
    return state_for(snapshot.catalog, **{name: values.get(name) for name in names})
