"""Tables of numbers with a name for each row and column, as heatmaps."""

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
# Longer names are cut where the margin is fixed.
LONGEST_NAME = 22
# Where it is not, Plotly makes room for names beside it.
MARGIN: Mapping[str, int | bool] = {"l": 48, "r": 96, "t": box.TOOL_BAR, "b": 44}


def heatmap_figure(
    values: NDArray[np.generic],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    axes: tuple[str, str],
    span: tuple[float, float],
    neutral: float | None = None,
    title: str,
    hover: str,
    chance: NDArray[np.float64] | None = None,
    within: NDArray[np.bool_] | None = None,
    framed: tuple[int | None, int | None] = (None, None),
    numbered: bool = False,
    margin: Mapping[str, int | bool] = MARGIN,
    theme: Theme,
) -> Figure:
    """Numbers as colors, each row and column with its name; NaN stays empty.

    Args:
        values: [row, column].
        rows: the name of each row.
        columns: the name of each column; an empty one for a column that stands for nothing.
        axes: what rows and columns are, (y, x).
        span: what the colors span, (low, high).
        neutral: the value that the colors diverge about, or None.
        title: of the color bar.
        hover: Plotly's template for a cell; `%{y}` and `%{x}` are the names.
        chance: <float64>[bound, row, column], for the hover, or None.
        within: <bool>[row, column], what is gray because it is within chance, or None.
        framed: (row, column); None for a whole column, or row, or nothing.
        numbered: whether each cell has its number in it, where they are few.
        margin: around the picture, in CSS pixels; see `margin_of`.
        theme: the colors.
    """
    trace: Trace = {
        "type": "heatmap",
        "z": values,
        "hovertemplate": f"{hover}{'' if chance is None else _BY_CHANCE}<extra></extra>",
        "hoverongaps": False,
        "colorbar": color_bar(title),
        **color_scale(*span, neutral=neutral),
    }
    if chance is not None:
        trace["customdata"] = np.moveaxis(chance, 0, -1).astype(np.float32)
    if numbered and max(values.shape, default=0) <= ALL_NUMBERED:
        trace |= {"texttemplate": "%{z:.2f}", "textfont": {"size": 12}}
    gray = [] if within is None or not within.any() else [_gray(within, theme)]
    return base_figure(
        theme,
        [trace, *gray],
        margin=margin,
        **_frame(values.shape, framed, theme),
        **_axes(rows, columns, axes, is_fixed="autoexpand" in margin),
    )


_BY_CHANCE = "<br>by chance %{customdata[0]:.4~g} to %{customdata[1]:.4~g}"


def margin_of(*rows: Sequence[str], below: Sequence[str] = ()) -> dict[str, int | bool]:
    """Room for the names of rows, and of columns that are not just numbers.

    Fixed, so that heatmaps of one margin have their columns above each other.

    Args:
        rows: the names of the rows of each heatmap.
        below: the names of columns; they stand upright where they do not fit side by side.
    """
    left = max((len(_short(name)) for names in rows for name in names), default=0)
    longest = max((len(_short(name)) for name in below), default=0)
    upright = len(below) * (longest + 1) > FIT
    return {
        "l": 44 + 7 * left,
        "r": 96,
        "t": box.TOOL_BAR,
        "b": 44 + (7 * longest if upright else 0),
        "autoexpand": False,
    }


def heatmap_height(
    n_rows: int,
    margin: Mapping[str, int | bool] = MARGIN,
    *,
    row: int = 20,
    smallest: int = 190,
    largest: int = 420,
) -> str:
    """How tall the box of a heatmap is, in CSS.

    Args:
        n_rows: its rows.
        margin: around the picture.
        row: pixels of a row, where there is room.
        smallest: pixels of the box at least.
        largest: pixels of the picture at most.
    """
    around = margin["t"] + margin["b"]
    return f"{min(max(row * n_rows + around, smallest), largest + around)}px"


def _short(name: str) -> str:
    """A name without its middle, where it is long."""
    half = LONGEST_NAME // 2
    return name if len(name) <= LONGEST_NAME else f"{name[:half]}…{name[-half:]}"


def _gray(within: NDArray[np.bool_], theme: Theme) -> Trace:
    """A trace above the values that lets all but those within chance through."""
    return {
        "type": "heatmap",
        "z": np.where(within, np.float32(0), np.float32(np.nan)),
        "colorscale": [[0, theme.faint], [1, theme.faint]],
        "zmin": 0,
        "zmax": 1,
        "showscale": False,
        "hoverinfo": "skip",
    }


def _axes(
    rows: Sequence[str], columns: Sequence[str], titles: tuple[str, str], *, is_fixed: bool
) -> dict[str, dict[str, object]]:
    """Named by aliases, not by tick texts: Plotly then shows as many as fit, also after a zoom."""
    layout = box.axes((len(rows), len(columns)), showgrid=False, zeroline=False)
    for axis, names, title in (("yaxis", rows, titles[0]), ("xaxis", columns, titles[1])):
        texts = map(_short, names) if is_fixed else names
        # An alias that is empty counts as none.
        aliases = {str(place): plain(text) or " " for place, text in enumerate(texts)}
        room: dict[str, object] = {"automargin": True, "title": {"text": plain(title)}}
        if is_fixed:
            room = {"title": {"text": plain(title), "standoff": 6}}
        layout[axis] |= {"labelalias": aliases, **room}
        if len(aliases) <= ALL_NAMED:
            layout[axis]["dtick"] = 1
    return layout


def _frame(
    shape: tuple[int, ...], framed: tuple[int | None, int | None], theme: Theme
) -> dict[str, list[dict[str, Any]]]:
    """A rectangle around a cell, a row or a column; fine where cells are narrow."""
    if framed == (None, None):
        return {}
    (top, bottom), (left, right) = (
        (-0.5, size - 0.5) if at is None else (at - 0.5, at + 0.5)
        for size, at in zip(shape, framed, strict=True)
    )
    line = {"color": theme.accent, "width": 1.5 if max(shape) > ALL_NAMED else 3}
    frame = {"type": "rect", "line": line, "x0": left, "x1": right, "y0": top, "y1": bottom}
    return {"shapes": [frame]}
