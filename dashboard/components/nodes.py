"""Components as a browser is told of them: dictionaries, made in half a microsecond.

Dash's own classes look at each property of each component when it is made, and again when it is
written as JSON: 80 microseconds for each, which was most of what a page of a few hundred cost. The
names here are Dash's, and so are the arguments; tests hold that each node is what its class makes
of the same. What only Dash's classes do, such as to be looked through for ids, nodes do not.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import dash
import dash_ag_grid

from dashboard.components import mantine

# `type`, the component's name, its `namespace`, and `props`, in which may be more of them.
Node = dict[str, Any]


class Library:
    """The components of a library by name, such as `html.Div`; each gives a node."""

    def __init__(self, library: ModuleType) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Callable[..., Node]:
        """Makes nodes of a component; looked up once, then found without this."""
        component = getattr(self._library, name)
        if isinstance(component, ModuleType):
            # Another thread imports it, and has set only the module of that name so far.
            component = getattr(importlib.import_module(component.__name__), name)
        make = _maker(component)
        setattr(self, name, make)
        return make


def _maker(kind: Any) -> Callable[..., Node]:
    component, namespace = kind._type, kind._namespace
    names = frozenset(inspect.signature(kind.__init__).parameters)

    def make(**properties: Any) -> Node:
        unknown = properties.keys() - names
        if unknown and not all(name.startswith(("aria-", "data-")) for name in unknown):
            raise TypeError(f"{component} has no property {', '.join(sorted(unknown))}")
        return {"props": properties, "type": component, "namespace": namespace}

    def around(children: Any = None, **properties: Any) -> Node:
        return make(children=children, **properties)

    return around if "children" in names else make


html, dcc = Library(dash.html), Library(dash.dcc)
dmc, dag = Library(mantine.library()), Library(dash_ag_grid)
