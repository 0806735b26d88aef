"""Every colour of every figure, for the light and the dark scheme."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from plotly.colors import get_colorscale

from dashboard.figures.typed import typed

# What plotly.js draws: `data`, a dictionary for each trace, and `layout`.
Figure = dict[str, Any]
Trace = dict[str, Any]

# In full: plotly.js has others of the same names.
SEQUENTIAL = get_colorscale("Viridis")
DIVERGING = get_colorscale("RdBu_r")


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of one scheme.

    Attributes:
        text: for titles, ticks and names.
        faint: for grid lines, and bars that are not meant.
        accent: for what is selected.
        other: for what the selected is compared with.
        good: for what is right.
        bad: for what is wrong.
    """

    text: str
    faint: str
    accent: str
    other: str
    good: str
    bad: str


LIGHT = Theme(
    text="#212529",
    faint="#ced4da",
    accent="#e8590c",
    other="#1971c2",
    good="#2b8a3e",
    bad="#c92a2a",
)
DARK = Theme(
    text="#dee2e6",
    faint="#495057",
    accent="#ff922b",
    other="#74c0fc",
    good="#51cf66",
    bad="#ff8787",
)


def theme_for(scheme: str | None) -> Theme:
    """The colours of a scheme, `light` or `dark`."""
    return DARK if scheme == "dark" else LIGHT


def base_figure(
    theme: Theme, traces: Sequence[Trace], *, margin: Mapping[str, int | bool], **layout: Any
) -> Figure:
    """A figure on a transparent ground, in the page's font.

    Args:
        theme: the colours.
        traces: what is drawn; arrays in them may be NumPy's.
        margin: in CSS pixels.
        layout: its further properties.
    """
    return {
        "data": [
            {
                name: typed(value) if isinstance(value, np.ndarray) else value
                for name, value in trace.items()
            }
            for trace in traces
        ],
        "layout": {
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"color": theme.text, "size": 12, "family": "system-ui, sans-serif"},
            "margin": margin,
            "modebar": {
                "bgcolor": "rgba(0,0,0,0)",
                "color": theme.faint,
                "activecolor": theme.text,
            },
            "hoverlabel": {"font": {"family": "ui-monospace, monospace", "size": 12}},
            **layout,
        },
    }


def plain(name: str) -> str:
    """A name out of a store, so that Plotly shows it as it is and reads no markup in it."""
    return html.escape(name, quote=False)


def color_scale(low: float, high: float, *, neutral: float | None = None) -> dict[str, Any]:
    """Colour scale and limits of values.

    Diverging about the value that means nothing, where there is one; else about zero where some are
    negative.
    """
    if neutral is not None or low < 0:
        middle = neutral or 0.0
        reach = max(middle - low, high - middle) or 1.0
        return {"colorscale": DIVERGING, "zmin": middle - reach, "zmax": middle + reach}
    # A constant picture still needs a span, or Plotly chooses one about it.
    return {"colorscale": SEQUENTIAL, "zmin": low, "zmax": high if high > low else low + 1.0}


def color_bar(title: str) -> dict[str, Any]:
    """A slim colour bar with a title."""
    return {"title": {"text": title, "side": "right"}, "thickness": 12, "outlinewidth": 0}
