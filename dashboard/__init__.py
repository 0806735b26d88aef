"""The browser side: pages over a store, and the server they run on. Never imports TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dashboard.app import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    """Imports the application, and Dash, which takes a second, where it is first asked for."""
    if name != "create_app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dashboard.app import create_app

    return create_app
