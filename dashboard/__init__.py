"""The browser side: pages over a store, and the server they run on. Never imports TensorFlow."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dashboard.app import create_app
    from dashboard.notebook import show

__all__ = ["create_app", "show"]
_HOMES = {"create_app": "dashboard.app", "show": "dashboard.notebook"}


def __getattr__(name: str) -> Any:
    """Imports what is asked for, and Dash, which takes a second, no earlier than it is needed."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
