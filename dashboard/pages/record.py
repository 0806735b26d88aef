"""A page that makes its own layout and callbacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dash import Dash

from dashboard.components.nodes import Node
from dashboard.pages.state import State
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source


@dataclass(frozen=True, slots=True)
class View:
    """A page that makes its own layout and callbacks."""

    name: str
    title: str
    description: str
    query_id: str
    layout: Callable[[Snapshot, State], Node]
    register: Callable[[Dash, Source], None]
