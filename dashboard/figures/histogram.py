"""How often a filter's activations have which size: a line for each class, exact zeros apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.figures.theme import Theme, base_figure, plain

N_BINS = 60
# Where the two parts lie: the share of exact zeros, and all else.
ZEROS, REST = (0.0, 0.09), (0.17, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """What share of the activations of a class, or of all, lies where.

    Attributes:
        edges: <float64>[bin + 1], of bins of equal width.
        bins: <float64>[line, bin], not counting exact zeros; NaN for a class without any.
        zeros: <float64>[line], the share of exact zeros.
    """

    edges: NDArray[np.float64]
    bins: NDArray[np.float64]
    zeros: NDArray[np.float64]


def shares(
    counts: NDArray[np.int64], bounds: NDArray[np.float32], *, span: tuple[float, float]
) -> Shares:
    """Counts in bins that grow with the value, as shares in bins of equal width.

    The counts of a bin that lies across an edge are shared out by width.

    Args:
        counts: <int64>[line, bin].
        bounds: <float32>[bound, bin], the smallest and the largest value of each bin; both are 0
            for that of exact zeros.
        span: the smallest and the largest of all values.
    """
    edges = np.linspace(span[0], span[1] if span[1] > span[0] else span[0] + 1.0, N_BINS + 1)
    low, high = bounds.astype(np.float64)
    is_zero = (low == 0) & (high == 0)
    used = (counts.any(axis=0) & ~is_zero).nonzero()[0]
    # A bin that is a point, or is cut to one at an end of the span, still lies inside.
    least = 1e-9 * (edges[-1] - edges[0])
    low = np.clip(low[used], edges[0], edges[-1] - least)
    high = np.maximum(np.minimum(high[used], edges[-1]), low + least)
    reach = np.minimum(high[:, None], edges[1:]) - np.maximum(low[:, None], edges[:-1])
    part = np.maximum(reach, 0)
    part /= part.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        n = counts.sum(axis=1, dtype=np.float64)
        return Shares(
            edges,
            (counts[:, used] @ part) / n[:, np.newaxis],
            counts[:, is_zero].sum(axis=1) / n,
        )


def histogram_figure(
    found: Shares, *, names: Sequence[str], front: int, is_log: bool, theme: Theme
) -> go.Figure:
    """A line for each class, one of them in front; the last line is that of all classes.

    Args:
        found: the shares; of the last line, those of all classes.
        names: of the lines.
        front: the line in front.
        is_log: whether shares have a logarithmic axis.
        theme: the colours.
    """
    figure = base_figure(
        theme,
        margin={"l": 56, "r": 12, "t": 28, "b": 44},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.0, "yanchor": "bottom"},
        hovermode="closest",
    )
    last = len(names) - 1
    lines = [index for index in range(last + 1) if index not in (front, last)]
    middles = (found.edges[1:] + found.edges[:-1]) / 2
    for index in [*lines, *dict.fromkeys([last, front])]:
        name = plain(names[index])
        color, width = theme.faint, 1.3
        if index == last:
            color, width = theme.text, 2.0
        if index == front:
            color, width = theme.accent, 3.0
        values = found.bins[index]
        figure.add_trace(
            go.Scatter(
                x=middles,
                y=np.where(values > 0, values, np.nan) if is_log else values,
                name=name,
                mode="lines",
                line={
                    "color": color,
                    "width": width,
                    "shape": "hvh",
                    "dash": "dot" if index == last and index != front else "solid",
                },
                showlegend=index in (front, last),
                xaxis="x2",
                yaxis="y2",
                hovertemplate=f"{name}<br>activation about %{{x:.4~g}}<br><b>%{{y:.3~%}}</b> of "
                "its activations<extra></extra>",
            )
        )
        figure.add_trace(
            go.Scatter(
                x=[0],
                y=[found.zeros[index]],
                name=name,
                mode="markers",
                marker={
                    "color": color,
                    "size": 11 if index in (front, last) else 7,
                    "symbol": "line-ew",
                    "line": {"color": color, "width": max(width, 2)},
                },
                showlegend=False,
                hovertemplate=f"{name}<br><b>%{{y:.4~%}}</b> are exactly zero<extra></extra>",
            )
        )
    lined = {"gridcolor": theme.faint, "griddash": "dot", "zeroline": False, "fixedrange": True}
    figure.update_layout(
        xaxis={
            "domain": ZEROS, "tickvals": [0], "ticktext": ["exactly 0"], "range": [-1, 1], **lined,
            "showgrid": False,
        },
        yaxis={"range": [-0.02, 1.02], "tickformat": ".0%", **lined},
        xaxis2={"domain": REST, "title": {"text": "activation"}, **lined, "anchor": "y2"},
        yaxis2={
            "anchor": "x2",
            "type": "log" if is_log else "linear",
            "tickformat": "~%",
            "exponentformat": "none",
            **({"dtick": 1} if is_log else {"rangemode": "tozero"}),
            **lined,
        },
    )  # fmt: skip
    return figure
