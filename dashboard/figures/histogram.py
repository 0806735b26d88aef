"""How often a filter's activations have which size: a line for each class, exact zeros apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.figures.theme import Figure, Theme, Trace, base_figure, plain

N_BINS = 60
# Where the two parts lie: the share of exact zeros, and all else.
ZEROS, REST = (0.0, 0.1), (0.14, 1.0)


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
) -> Figure:
    """A line for each class, one of them in front; the last line is that of all classes.

    Args:
        found: the shares; of the last line, those of all classes.
        names: of the lines.
        front: the line in front.
        is_log: whether shares have a logarithmic axis.
        theme: the colours.
    """
    lined = {"gridcolor": theme.faint, "griddash": "dot", "zeroline": False, "fixedrange": True}
    last = len(names) - 1
    behind = [index for index in range(last) if index != front]
    traces = [_lines(found, behind, names, theme.faint, 1.3, is_log=is_log)]
    if front != last:
        traces.append(_lines(found, [last], names, theme.text, 2, is_log=is_log, dash="dot"))
    traces.append(_lines(found, [front], names, theme.accent, 3, is_log=is_log))
    colors = dict.fromkeys(behind, theme.faint) | {last: theme.text} | {front: theme.accent}
    return base_figure(
        theme,
        [*traces, _zeros(found, colors, names, n_behind=len(behind))],
        margin={"l": 44, "r": 72, "t": 28, "b": 44},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.0, "yanchor": "bottom"},
        hovermode="closest",
        xaxis={
            **lined,
            "domain": ZEROS,
            "tickvals": [0],
            "ticktext": ["exactly 0"],
            "range": [-1, 1],
            "showgrid": False,
        },
        yaxis={**lined, "range": [-0.02, 1.02], "tickformat": ".0%"},
        xaxis2={
            **lined,
            "domain": REST,
            "title": {"text": "activation"},
            "range": found.edges[[0, -1]].tolist(),
            "anchor": "y2",
        },
        yaxis2={
            **lined,
            "anchor": "x2",
            "side": "right",
            "title": {"text": "share of activations", "standoff": 6},
            "type": "log" if is_log else "linear",
            "tickformat": "~%",
            "exponentformat": "none",
            **({"dtick": 1} if is_log else {"rangemode": "tozero"}),
        },
    )


def _zeros(
    found: Shares, colors: Mapping[int, str], names: Sequence[str], *, n_behind: int
) -> Trace:
    """The share of exact zeros as a mark for each line, by its index; the last ones are larger."""
    return {
        "type": "scatter",
        "x": [0] * len(colors),
        "y": found.zeros[list(colors)],
        "customdata": [plain(names[index]) for index in colors],
        "mode": "markers",
        "marker": {
            "size": [7] * n_behind + [11] * (len(colors) - n_behind),
            "symbol": "line-ew",
            "line": {"color": list(colors.values()), "width": 2.5},
        },
        "showlegend": False,
        "hovertemplate": "%{customdata}<br><b>%{y:.4~%}</b> are exactly zero<extra></extra>",
    }


def _lines(
    found: Shares,
    which: Sequence[int],
    names: Sequence[str],
    color: str,
    width: float,
    *,
    is_log: bool,
    dash: str = "solid",
) -> Trace:
    """Some lines as one trace, a gap between each two: a trace for each would take ten times long.

    A logarithm has no zero, so there a line ends where nothing is.
    """
    middles = (found.edges[1:] + found.edges[:-1]) / 2
    values = found.bins[list(which)]
    values = np.where(values > 0, values, np.nan) if is_log else values
    gap = np.full((len(which), 1), np.nan)
    named = [plain(names[index]) for index in which]
    return {
        "type": "scatter",
        "x": np.tile(np.append(middles, np.nan), len(which)),
        "y": np.hstack([values, gap]).ravel(),
        "customdata": [name for name in named for _ in range(len(middles) + 1)],
        "name": named[0] if len(named) == 1 else "single classes",
        "mode": "lines",
        "line": {"color": color, "width": width, "shape": "hvh", "dash": dash},
        "connectgaps": False,
        "showlegend": bool(named),
        "xaxis": "x2",
        "yaxis": "y2",
        "hovertemplate": "%{customdata}<br>activation about %{x:.4~g}<br><b>%{y:.3~%}</b> of its "
        "activations<extra></extra>",
    }
