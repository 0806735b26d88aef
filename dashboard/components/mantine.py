"""Mantine's components, each imported when it is first used.

The package imports all of its 200 modules with itself, half a second of each start, of which pages
use thirty. Here its list of them is left empty while it is imported, and its `__getattr__` imports
a component by its name; so it also serves those who import it elsewhere in the process.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

NAME = "dash_mantine_components"
_LIST = f"{NAME}._imports_"


def _component(name: str) -> Any:
    """A component's class; raises `AttributeError` if there is none of that name."""
    try:
        module = importlib.import_module(f"{NAME}.{name}")
    except ModuleNotFoundError as error:
        raise AttributeError(f"module {NAME!r} has no component {name!r}") from error
    component = getattr(module, name)
    # Python has just set the module of that name there.
    setattr(sys.modules[NAME], name, component)
    return component


def library() -> ModuleType:
    """The package, as it is if it was imported before."""
    if NAME in sys.modules:
        return sys.modules[NAME]
    empty: Any = ModuleType(_LIST)
    empty.__all__ = []
    sys.modules[_LIST] = empty
    package: Any = importlib.import_module(NAME)
    package.__getattr__ = _component
    return sys.modules[NAME]
