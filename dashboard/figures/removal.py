"""How right a model is while filters of a layer go, one after the other, in several orders."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dashboard.figures.theme import Figure, Theme, Trace, base_figure, plain
from fmcore.statistics import Curve

# How lines of orders that are not by cost are told apart, beside their names.
_DASHES = ("dash", "dot", "dashdot", "longdash", "longdashdot")


def removal_figure(
    curve: Curve, names: Mapping[str, str], *, title: str, is_share: bool, theme: Theme
) -> Figure:
    """A line for each order in which filters go, and a band for random ones.

    Args:
        curve: what was measured.
        names: of orders for people, by their names in the curve.
        title: of the vertical axis.
        is_share: whether values are shares.
        theme: the colors.
    """
    lined = {"gridcolor": theme.faint, "griddash": "dot", "zeroline": False, "fixedrange": True}
    value = "%{y:.4~p}" if is_share else "%{y:.4~g}"
    hover = f"%{{x}} gone: <b>{value}</b><extra>%{{fullData.name}}</extra>"
    least, mean, most = curve.random_band()
    edge: Trace = {
        "type": "scatter",
        "mode": "lines",
        "x": curve.steps,
        "line": {"width": 0},
        "hoverinfo": "skip",
        "legendgroup": "random",
        "showlegend": False,
    }
    traces: list[Trace] = [
        {**edge, "y": most},
        {**edge, "y": least, "fill": "tonexty", "fillcolor": _see_through(theme.text)},
        _line(
            curve.steps,
            mean,
            f"at random: mean, and band of {curve.n_random}",
            theme.text,
            hover,
            width=1.5,
            dash="dot",
        ),
    ]
    signs = [order for order in curve.named_orders if order != "cost"]
    for at, order in enumerate(signs):
        quality = curve.order_quality(order)
        name, dash = plain(names.get(order, order)), _DASHES[at % len(_DASHES)]
        traces.append(_line(curve.steps, quality, name, theme.other, hover, width=1.5, dash=dash))
    if "cost" in curve.orders:
        quality, name = curve.order_quality("cost"), names["cost"]
        traces.append(_line(curve.steps, quality, name, theme.accent, hover, width=3))
    span = {"range": [-0.02, 1.02], "tickformat": ".0%"} if is_share else {"rangemode": "tozero"}
    return base_figure(
        theme,
        traces,
        margin={"l": 56, "r": 16, "t": 28, "b": 110},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": -0.22, "yanchor": "top"},
        hovermode="closest",
        xaxis={**lined, "title": {"text": "filters gone", "standoff": 8}},
        yaxis={**lined, **span, "title": {"text": title, "standoff": 8}},
    )


def _line(
    steps: np.ndarray, values: np.ndarray, name: str, color: str, hover: str, **line: object
) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": steps,
        "y": values,
        "name": name,
        "line": {"color": color, **line},
        "hovertemplate": hover,
    }


def _see_through(color: str) -> str:
    """A color `#rrggbb` through which lines are seen."""
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"
