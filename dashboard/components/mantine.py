"""Mantine's components that pages use, imported without all others.

The package imports all of its 200 modules with itself, half a second of each start. Here its list
of them is left empty while it is imported, and its `__getattr__` imports a component by its name;
so it also serves those who import it elsewhere in the process.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

NAME = "dash_mantine_components"
_LIST = f"{NAME}._imports_"
# All that pages use: Dash's index names the properties of what was imported before it is written,
# and must be the same from each process at any time.
USED = (
    "Accordion",
    "AccordionControl",
    "AccordionItem",
    "AccordionPanel",
    "ActionIcon",
    "Alert",
    "Badge",
    "Button",
    "ColorSchemeToggle",
    "Group",
    "MantineProvider",
    "Modal",
    "NumberInput",
    "Pagination",
    "Paper",
    "SegmentedControl",
    "Select",
    "Slider",
    "Stack",
    "Switch",
    "Table",
    "TableTbody",
    "TableTd",
    "TableTh",
    "TableThead",
    "TableTr",
    "Text",
    "TextInput",
    "Title",
    "Tooltip",
)


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
    for name in USED:
        _component(name)
    return sys.modules[NAME]
