"""Tables of numbers with a name for each row and column, as heatmaps: of Compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.figures import box
from dashboard.figures.theme import Figure, Theme, Trace, base_figure, color_bar, color_scale, plain

# Up to so many rows or columns each has its name beside it; of more Plotly shows what fits.
ALL_NAMED = 40
# Up to so many rows and columns each cell has its number in it.
ALL_NUMBERED = 12
# Letters of names that fit side by side below a picture in a window of 1280 pixels.
FIT = 110
# Longer names are cut.
LONGEST_NAME = 22


def heatmap_figure(
    values: NDArray[np.float64],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    axes: tuple[str, str],
    span: tuple[float, float],
    neutral: float | None = None,
    title: str,
    hover: str,
    framed: tuple[int | None, int | None],
    numbered: bool = False,
    margin: Mapping[str, int | bool],
    theme: Theme,
) -> Figure:
    """Numbers as colours, each row and column with its name; NaN stays empty.

    Args:
        values: <float64>[row, column].
        rows: the name of each row.
        columns: the name of each column; an empty one for a column that stands for nothing.
        axes: what rows and columns are, (y, x).
        span: what the colours span, (low, high).
        neutral: the value that the colours diverge about, or None.
        title: of the colour bar.
        hover: Plotly's template for a cell; `%{y}` and `%{x}` are the names.
        framed: (row, column); None for a whole column, or row, or nothing.
        numbered: whether each cell has its number in it, where they are few.
        margin: around the picture, in CSS pixels; see `margin_of`.
        theme: the colours.
    """
    trace: Trace = {
        "type": "heatmap",
        "z": values,
        "hovertemplate": f"{hover}<extra></extra>",
        "hoverongaps": False,
        "colorbar": color_bar(title),
        **color_scale(*span, neutral=neutral),
    }
    if numbered and max(values.shape, default=0) <= ALL_NUMBERED:
        trace |= {"texttemplate": "%{z:.2f}", "textfont": {"size": 12}}
    layout = {"shapes": _frame(values.shape, framed, theme), **_axes(rows, columns, axes)}
    return base_figure(theme, [trace], margin=margin, **layout)


def margin_of(*rows: Sequence[str], below: Sequence[str] = ()) -> dict[str, int | bool]:
    """Room for the names of rows, and of columns that are not just numbers.

    Fixed, so that heatmaps of one margin have their columns above each other.

    Args:
        rows: the names of the rows of each heatmap.
        below: the names of columns; they stand upright where they do not fit side by side.
    """
    left = max((len(_short(one)) for names in rows for one in names), default=0)
    longest = max((len(_short(one)) for one in below), default=0)
    upright = len(below) * (longest + 1) > FIT
    return {
        "l": 44 + 7 * left,
        "r": 96,
        "t": box.TOOL_BAR,
        "b": 44 + (7 * longest if upright else 0),
        "autoexpand": False,
    }


def heatmap_height(
    n_rows: int, margin: Mapping[str, int], *, smallest: int = 190, largest: int = 420
) -> str:
    """How tall the box of so many rows is, in CSS."""
    around = margin["t"] + margin["b"]
    return f"{min(max(20 * n_rows + around, smallest), largest + around)}px"


def _short(name: str) -> str:
    """A name without its middle, where it is long."""
    half = LONGEST_NAME // 2
    return name if len(name) <= LONGEST_NAME else f"{name[:half]}…{name[-half:]}"


def _axes(
    rows: Sequence[str], columns: Sequence[str], titles: tuple[str, str]
) -> dict[str, dict[str, object]]:
    """Named by aliases, not by tick texts: Plotly then shows as many as fit, also after a zoom."""
    found = box.axes((len(rows), len(columns)), showgrid=False, zeroline=False)
    for axis, names, title in (("yaxis", rows, titles[0]), ("xaxis", columns, titles[1])):
        # An alias that is empty counts as none.
        aliases = {str(place): plain(_short(name)) or " " for place, name in enumerate(names)}
        found[axis] |= {"title": {"text": plain(title), "standoff": 6}, "labelalias": aliases}
        if len(aliases) <= ALL_NAMED:
            found[axis]["dtick"] = 1
    return found


def _frame(
    shape: tuple[int, ...], framed: tuple[int | None, int | None], theme: Theme
) -> list[dict[str, Any]]:
    """A rectangle around a cell, a row or a column; fine where cells are narrow."""
    if framed == (None, None):
        return []
    (top, bottom), (left, right) = (
        (-0.5, size - 0.5) if at is None else (at - 0.5, at + 0.5)
        for size, at in zip(shape, framed, strict=True)
    )
    line = {"color": theme.accent, "width": 1.5 if max(shape) > ALL_NAMED else 3}
    return [{"type": "rect", "line": line, "x0": left, "x1": right, "y0": top, "y1": bottom}]
