"""What assets/feature_maps/ is called for, and what it asks."""

from __future__ import annotations

from dash import Dash, Input
from dash import State as DashState

from dashboard.pages import ids
from dashboard.pages.scripts import have_called
from dashboard.pages.state import State, state_for
from dashboard.stores.snapshot import Snapshot


def have_done(app: Dash, name: str, *inputs: Input | DashState, at_start: bool = True) -> None:
    """As `have_called`, of a function of this page's module."""
    have_called(app, "feature_maps", name, *inputs, done=ids.MAPS_DONE, at_start=at_start)


def question_state(snapshot: Snapshot, question: object, names: tuple[str, ...]) -> State:
    """The state of a question that a script asks by the names of a state's attributes."""
    values = question if isinstance(question, dict) else {}
    return state_for(snapshot.catalog, **{name: values.get(name) for name in names})
