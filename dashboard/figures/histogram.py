"""How the activations of a filter are spread, as stepped lines: of each class, or of a few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.figures import box
from dashboard.figures.theme import Figure, Theme, Trace, base_figure, plain
from fmcore.numbers import number_text, share_text

N_BINS = 60
# How a share is written, with all of its digits.
SHARE = ".6~p"
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

    @property
    def middles(self) -> NDArray[np.float64]:
        """The middle of each bin, <float64>[bin]."""
        return (self.edges[1:] + self.edges[:-1]) / 2


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
    edges = np.linspace(span[0], span[1] if span[1] > span[0] else _beyond(span[0]), N_BINS + 1)
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


def _beyond(value: float) -> float:
    """A value so far above that there is something between, as there is not from 1e20 to 1e20+1."""
    return value + max(1.0, abs(value))


def histogram_figure(
    parts: Shares, *, names: Sequence[str], front: int, is_log: bool, theme: Theme
) -> Figure:
    """A line for each class, one of them in front; the last line is that of all classes.

    Args:
        parts: the shares; of the last line, those of all classes.
        names: of the lines.
        front: the line in front.
        is_log: whether shares have a logarithmic axis.
        theme: the colors.
    """
    lined = {"gridcolor": theme.faint, "griddash": "dot", "zeroline": False, "fixedrange": True}
    last = len(names) - 1
    behind = [index for index in range(last) if index != front]
    traces = [_lines(parts, behind, names, theme.faint, 1.3, is_log=is_log)]
    if front != last:
        traces.append(_lines(parts, [last], names, theme.text, 2, is_log=is_log, dash="dot"))
    traces.append(_lines(parts, [front], names, theme.accent, 3, is_log=is_log))
    colors = dict.fromkeys(behind, theme.faint) | {last: theme.text} | {front: theme.accent}
    return base_figure(
        theme,
        [*traces, _zeros(parts, colors, names, n_behind=len(behind))],
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
            "range": parts.edges[[0, -1]].tolist(),
            "anchor": "y2",
        },
        yaxis2={
            **lined,
            "anchor": "x2",
            "side": "right",
            "title": {"text": "share of activations", "standoff": 6},
            "type": "log" if is_log else "linear",
            "tickformat": SHARE,
            **({"dtick": 1} if is_log else {"rangemode": "tozero"}),
        },
    )


def _zeros(
    parts: Shares, colors: Mapping[int, str], names: Sequence[str], *, n_behind: int
) -> Trace:
    """The share of exact zeros as a mark for each line, by its index; the last ones are larger."""
    return {
        "type": "scatter",
        "x": [0] * len(colors),
        "y": parts.zeros[list(colors)],
        "customdata": [[plain(names[index]), share_text(parts.zeros[index])] for index in colors],
        "mode": "markers",
        "marker": {
            "size": [7] * n_behind + [11] * (len(colors) - n_behind),
            "symbol": "line-ew",
            "line": {"color": list(colors.values()), "width": 2.5},
        },
        "showlegend": False,
        "hovertemplate": "%{customdata[0]}<br><b>%{customdata[1]}</b> are exactly zero"
        "<extra></extra>",
    }


def _lines(
    parts: Shares,
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
    values = parts.bins[list(which)]
    values = np.where(values > 0, values, np.nan) if is_log else values
    labels = [plain(names[index]) for index in which]
    trace = _steps(parts.middles, values, {"color": color, "width": width, "dash": dash})
    return trace | {
        "customdata": [name for name in labels for _ in range(len(parts.middles) + 1)],
        "name": labels[0] if len(labels) == 1 else "single classes",
        "connectgaps": False,
        "showlegend": bool(labels),
        "xaxis": "x2",
        "yaxis": "y2",
        "hovertemplate": "%{customdata}<br>activation about %{x:.4~g}<br><b>%{y:.6~p}</b> of its "
        "activations<extra></extra>",
    }


def _steps(
    middles: NDArray[np.float64], values: NDArray[np.float64], line: Mapping[str, object]
) -> Trace:
    """Stepped lines of values <float64>[line, bin] in bins of equal width, a gap after each."""
    gap = np.full((len(values), 1), np.nan)
    return {
        "type": "scatter",
        "x": np.tile(np.append(middles, np.nan), len(values)),
        "y": np.hstack([values, gap]).ravel(),
        "mode": "lines",
        "line": {"shape": "hvh", **line},
    }


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """The activations of a filter over some samples.

    Attributes:
        name: whose they are.
        counts: <int64>[bin], how many fall in each stored bin.
        role: `selected`, `against`, or `others`.
    """

    name: str
    counts: NDArray[np.int64]
    role: str


def distribution_figure(
    spreads: list[Spread], bounds: NDArray[np.float32], *, span: tuple[float, float], theme: Theme
) -> Figure:
    """A stepped line for each, without exact zeros, often most of all; see `key`.

    Args:
        spreads: whose activations; all of one filter, each with some.
        bounds: <float32>[bound, bin], the smallest and the largest value of each stored bin.
        span: the smallest and the largest activation.
        theme: the colors.
    """
    parts = shares(np.stack([spread.counts for spread in spreads]), bounds, span=span)
    half = np.diff(parts.edges)[0] / 2
    traces = []
    for spread, values in zip(spreads, parts.bins, strict=True):
        name, line = plain(spread.name), _look(spread.role, theme)
        around = f"±{number_text(half, digits=3)} of %{{x:.4~g}}"
        words = f"{name}: %{{y:.6~p}} within {around}<extra></extra>"
        trace = _steps(parts.middles, np.where(values > 0, values, np.nan)[np.newaxis], line)
        traces.append(trace | {"name": name, "hovertemplate": words})
    return base_figure(
        theme,
        traces,
        margin={"l": 58, "r": 12, "t": box.TOOL_BAR, "b": 44},
        hovermode="x",
        showlegend=False,
        xaxis={
            "title": {"text": "activation"},
            "range": parts.edges[[0, -1]].tolist(),
            "gridcolor": theme.faint,
        },
        yaxis={
            # Logarithmic: behind a ReLU one value, that of the background, is most of all.
            "title": {"text": "share of all values"},
            "type": "log",
            "dtick": 1,
            "tickformat": SHARE,
            "gridcolor": theme.faint,
            "zeroline": False,
            "automargin": True,
        },
    )


def key(spreads: list[Spread], bounds: NDArray[np.float32], theme: Theme) -> list[tuple[str, str]]:
    """What each line is, with its share of exact zeros, and how it looks, as a CSS border."""
    is_zero = (bounds[0] == 0) & (bounds[1] == 0)
    entries = []
    for spread in spreads:
        line = _look(spread.role, theme)
        look = {"dash": "dashed", "dot": "dotted"}.get(str(line.get("dash")), "solid")
        zeros = spread.counts[is_zero].sum() / spread.counts.sum()
        border = f"{line['width']}px {look} {line['color']}"
        entries.append((f"{spread.name}: {share_text(zeros)} exactly zero", border))
    return entries


def _look(role: str, theme: Theme) -> dict[str, object]:
    """Lines are told apart by color, dash and width."""
    return {
        "selected": {"color": theme.accent, "width": 3},
        "against": {"color": theme.other, "width": 2, "dash": "dash"},
        "others": {"color": theme.text, "width": 1, "dash": "dot"},
    }[role]
