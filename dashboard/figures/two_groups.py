"""How one number of each sample is spread over two groups of samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.figures import box
from dashboard.figures.theme import Figure, Theme, Trace, base_figure, plain

N_BINS = 40
# Groups of so many samples also have a mark for each: their shares alone are coarse.
MOST_MARKS = 200


@dataclass(frozen=True, slots=True, eq=False)
class GroupValues:
    """The values of one group.

    Attributes:
        name: of the group, such as `A`.
        values: <float>[sample]; those that are not finite are left out of the figure.
    """

    name: str
    values: NDArray[np.floating]

    @property
    def finite(self) -> NDArray[np.float64]:
        """The finite ones, <float64>[sample]."""
        return self.values[np.isfinite(self.values)].astype(np.float64)


def span_of_groups(groups: Sequence[GroupValues]) -> tuple[float, float] | None:
    """The smallest and the largest value of all; None where none is finite, or all are equal."""
    finite = np.concatenate([group.finite for group in groups])
    if not finite.size or finite.min() == finite.max():
        return None
    return float(finite.min()), float(finite.max())


def group_shares(
    groups: Sequence[GroupValues], span: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The edges of bins of equal width, <float64>[bin + 1], and shares, <float64>[group, bin].

    The shares of a group add up to 1; NaN of one without finite values.
    """
    edges = np.linspace(*span, N_BINS + 1)
    counts = np.stack([np.histogram(group.finite, edges)[0] for group in groups])
    with np.errstate(invalid="ignore"):
        return edges, counts / counts.sum(axis=1, keepdims=True)


def groups_figure(
    groups: Sequence[GroupValues], span: tuple[float, float], *, title: str, theme: Theme
) -> Figure:
    """A stepped line for each of two groups, and a mark for each sample of a small one.

    Args:
        groups: two of them.
        span: the smallest and the largest value.
        title: of the values.
        theme: the colors.
    """
    edges, parts = group_shares(groups, span)
    middles = (edges[1:] + edges[:-1]) / 2
    half = (edges[1] - edges[0]) / 2
    # A line begins and ends on the ground.
    x = np.concatenate([[edges[0] - half], middles, [edges[-1] + half]])
    traces: list[Trace] = []
    for at, (group, values) in enumerate(zip(groups, parts, strict=True)):
        color, name = line_of(at, theme)["color"], plain(group.name)
        hover = f"{name}: %{{y:.4~p}} about %{{x:.4~g}}<extra></extra>"
        y = np.concatenate([[0.0], values, [0.0]])
        line = {**line_of(at, theme), "shape": "hvh"}
        traces.append(
            {"type": "scatter", "mode": "lines", "x": x, "y": y, "line": line, "name": name}
            | {"hovertemplate": hover, "fill": "tozeroy", "fillcolor": _faded(color)}
        )
        if 0 < len(group.finite) <= MOST_MARKS:
            traces.append(_marks(group, at, color, name))
    lined: dict[str, Any] = {"gridcolor": theme.faint, "zeroline": False}
    return base_figure(
        theme,
        traces,
        margin={"l": 50, "r": 12, "t": box.TOOL_BAR, "b": 44},
        hovermode="closest",
        showlegend=False,
        xaxis={**lined, "title": {"text": title}, "anchor": "y2"},
        yaxis={
            **lined,
            "title": {"text": "share of the group"},
            "tickformat": ".0%",
            "rangemode": "nonnegative",
            "domain": [0.14, 1.0],
            "automargin": True,
        },
        # Below the lines, so that marks hide none of them.
        yaxis2={
            "domain": [0.0, 0.1],
            "range": [1.6, -0.6],
            "visible": False,
            "fixedrange": True,
        },
    )


def _marks(group: GroupValues, at: int, color: str, name: str) -> Trace:
    values = np.sort(group.finite)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": values,
        "y": np.full(len(values), at, np.int8),
        "yaxis": "y2",
        "marker": {"symbol": "line-ns", "size": 8, "line": {"color": color, "width": 1.5}},
        "hovertemplate": f"{name}: %{{x:.6~g}}<extra></extra>",
        "name": name,
    }


def line_of(at: int, theme: Theme) -> dict[str, Any]:
    """How the line of the first or the second group looks: told apart by color, dash and width."""
    if at == 0:
        return {"color": theme.accent, "width": 3}
    return {"color": theme.other, "width": 2, "dash": "dash"}


def border_of(at: int, theme: Theme) -> str:
    """The look of a group's line as a CSS border."""
    line = line_of(at, theme)
    return f"{line['width']}px {'dashed' if 'dash' in line else 'solid'} {line['color']}"


def _faded(color: str) -> str:
    """A color such as `#1971c2`, almost transparent."""
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.13)"
