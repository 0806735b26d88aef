"""What tests ask of a figure: whether Plotly's own classes take it, and the arrays in it."""

from __future__ import annotations

import base64
import json

import numpy as np
import plotly.graph_objects as go

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
