"""Optional libraries, imported where they are used; one message says how to install them."""

from __future__ import annotations

import importlib
from typing import Any

from fmcore.errors import MissingLibraryError


def import_optional(name: str, *, extra: str, purpose: str) -> Any:
    """A library that few need.

    Raises:
        MissingLibraryError: if it is not installed, with the remedy.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.split(".")[0]
        raise MissingLibraryError(
            f"{purpose} needs {package} ({error}); pip install 'feature-map-dashboard[{extra}]'"
        ) from error
