"""How the activations of a filter are spread: one class beside another, and beside all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.figures import box
from dashboard.figures.histogram import shares
from dashboard.figures.theme import Figure, Theme, Trace, base_figure, plain


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
        theme: the colours.
    """
    found = shares(np.stack([one.counts for one in spreads]), bounds, span=span)
    middles, half = (found.edges[1:] + found.edges[:-1]) / 2, np.diff(found.edges)[0] / 2

    def line(one: Spread, bins: NDArray[np.float64]) -> Trace:
        name = plain(one.name)
        return {
            "type": "scatter",
            "x": middles,
            "y": np.where(bins > 0, bins, np.nan),
            "name": name,
            "mode": "lines",
            "line": {"shape": "hvh", **_line(one.role, theme)},
            "hovertemplate": f"{name}: %{{y:.3~%}} within ±{half:.3g} of %{{x:.4~g}}"
            "<extra></extra>",
        }

    return base_figure(
        theme,
        [line(one, bins) for one, bins in zip(spreads, found.bins, strict=True)],
        margin={"l": 58, "r": 12, "t": box.TOOL_BAR, "b": 44},
        hovermode="x",
        showlegend=False,
        xaxis={
            "title": {"text": "activation"},
            "range": found.edges[[0, -1]].tolist(),
            "gridcolor": theme.faint,
        },
        yaxis={
            # Logarithmic: behind a ReLU one value, that of the background, is most of all.
            "title": {"text": "share of all values"},
            "type": "log",
            "dtick": 1,
            "tickformat": "~%",
            "exponentformat": "none",
            "gridcolor": theme.faint,
            "zeroline": False,
            "automargin": True,
        },
    )


def key(spreads: list[Spread], bounds: NDArray[np.float32], theme: Theme) -> list[tuple[str, str]]:
    """What each line is, with its share of exact zeros, and how it looks, as a CSS border."""
    is_zero = (bounds[0] == 0) & (bounds[1] == 0)
    found = []
    for one in spreads:
        line = _line(one.role, theme)
        look = {"dash": "dashed", "dot": "dotted"}.get(str(line.get("dash")), "solid")
        zeros = one.counts[is_zero].sum() / one.counts.sum()
        border = f"{line['width']}px {look} {line['color']}"
        found.append((f"{one.name}: {zeros:.1%} exactly zero", border))
    return found


def _line(role: str, theme: Theme) -> dict[str, object]:
    """Told apart by colour, dash and width."""
    return {
        "selected": {"color": theme.accent, "width": 3},
        "against": {"color": theme.other, "width": 2, "dash": "dash"},
        "others": {"color": theme.text, "width": 1, "dash": "dot"},
    }[role]
