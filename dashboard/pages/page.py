"""What a page of the dashboard is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dash import Dash

from dashboard.components.nodes import Node
from dashboard.pages.state import State
from dashboard.stores.source import Snapshot, Source


@dataclass(frozen=True, slots=True)
class View:
    """One page.

    Attributes:
        name: its path in the URL.
        title: in the navigation.
        description: one sentence for people.
        query_id: the store of the page that holds the query of the link to it.
        layout: its components for a state.
        register: adds its callbacks.
    """

    name: str
    title: str
    description: str
    query_id: str
    layout: Callable[[Snapshot, State], Node]
    register: Callable[[Dash, Source], None]
