"""What tests ask of figures and nodes: whether Plotly's and Dash's own classes take them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import plotly.graph_objects as go
from dash.development.base_component import Component

from dashboard.components.nodes import Node
from dashboard.figures.theme import Figure


def checked(figure: Figure) -> go.Figure:
    """The figure, if Plotly's own classes find nothing wrong in it and have nothing to change.

    A wrong property or value raises ValueError; what they would add or write another way fails.
    """
    json.dumps(figure, allow_nan=False)  # nothing of NumPy is left
    plotly = go.Figure(figure | {"layout": {"template": "none"} | figure["layout"]})
    whole = plotly.to_dict()
    del whole["layout"]["template"]
    assert whole == json.loads(json.dumps(figure))
    return plotly


def values_of(found: dict[str, str]) -> np.ndarray:
    """The array that a browser reads."""
    flat = np.frombuffer(base64.b64decode(found["bdata"]), found["dtype"])
    return flat.reshape([int(size) for size in found.get("shape", str(flat.size)).split(",")])


def nodes_in(found: Any) -> Iterator[Node]:
    """Every component of a page, that of the page too, as a browser is told of it."""
    if isinstance(found, Component):
        found = found.to_plotly_json()
    if isinstance(found, dict):
        if found.keys() == {"props", "type", "namespace"}:
            yield found
        for one in found.values():
            yield from nodes_in(one)
    elif isinstance(found, list | tuple):
        for one in found:
            yield from nodes_in(one)


def words_of(nodes: Any) -> str:
    """All text of components."""

    def texts(node):
        if isinstance(node, str):
            yield node
        elif isinstance(node, list | tuple):
            for part in node:
                yield from texts(part)
        elif isinstance(node, dict):
            yield from texts(node["props"].get("children"))

    return "".join(texts(nodes))
