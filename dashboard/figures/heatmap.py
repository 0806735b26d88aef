"""Tables of numbers with a name for each row and column, as heatmaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.figures import box
from dashboard.figures.marks import WITHIN_CHANCE
from dashboard.figures.theme import (
    COLOR_BAR,
    DIVERGING,
    Figure,
    Theme,
    Trace,
    base_figure,
    color_bar,
    color_scale,
    plain,
)
from dashboard.names import shortened

# Up to so many rows or columns each has its name beside it; of more Plotly shows what fits.
ALL_NAMED = 40
# Up to so many rows and columns each cell has its number in it.
ALL_NUMBERED = 12
# Letters of names that fit side by side below a picture in a window of 1280 pixels.
FIT = 110
# Longer names are cut beside the picture; the hover has them whole.
LONGEST_NAME = 22
# Where it is not, Plotly makes room for names beside it.
MARGIN: Mapping[str, int | bool] = {"l": 48, "r": COLOR_BAR, "t": box.TOOL_BAR, "b": 44}


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
    facts: NDArray[np.float64] | None = None,
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
        facts: <float64>[fact, row, column], what the hover has as `%{customdata[0]}` and so on;
            only without a chance level.
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
    if (further := facts if chance is None else chance) is not None:
        trace["customdata"] = np.moveaxis(further, 0, -1).astype(np.float32)
    if numbered and max(values.shape, default=0) <= ALL_NUMBERED:
        trace |= {"texttemplate": "%{z:.3~g}", "textfont": {"size": 12}}
    # A place is said otherwise than at the axis, so that there its name may be another one.
    trace |= {
        f"{axis}hoverformat": _WHOLE
        for axis, names in (("y", rows), ("x", columns))
        if _is_cut(names)
    }
    color = chance_color(span, neutral=neutral)
    gray = [] if within is None or not within.any() else [_gray(within, color)]
    return base_figure(
        theme,
        [trace, *gray],
        margin=margin,
        **_frame(values.shape, framed, theme),
        **named_axes(rows, columns, axes, is_fixed="autoexpand" in margin),
    )


_BY_CHANCE = "<br>by chance %{customdata[0]:.4~g} to %{customdata[1]:.4~g}"


def margin_of(*rows: Sequence[str], below: Sequence[str] = ()) -> dict[str, int | bool]:
    """Room for the names of rows, and of columns that are not just numbers.

    Fixed, so that heatmaps of one margin have their columns above each other.

    Args:
        rows: the names of the rows of each heatmap.
        below: the names of columns; they stand upright where they do not fit side by side.
    """
    left = max((_width(name) for names in rows for name in names), default=0)
    longest = max(map(_width, below), default=0)
    upright = len(below) * (longest + 1) > FIT
    return {
        "l": 44 + 7 * left,
        "r": COLOR_BAR,
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


def cka_heatmap(
    values: NDArray[np.floating],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    axes: tuple[str, str],
    hover: str,
    framed: tuple[int | None, int | None] = (None, None),
    row: int = 20,
    largest: int,
    theme: Theme,
) -> tuple[Figure, str]:
    """How alike layers are, from 0 to 1, each cell with its number; and the height of its box.

    Args:
        values: [row, column], linear CKA.
        rows: the layers of the rows.
        columns: those of the columns.
        axes: what rows and columns are, (y, x).
        hover: what stands before the number of a cell, as in `heatmap_figure`.
        framed: (row, column); None for nothing.
        row: pixels of a row, where there is room.
        largest: pixels of the picture at most.
        theme: the colors.
    """
    margin = margin_of(rows, below=columns)
    figure = heatmap_figure(
        values,
        rows=rows,
        columns=columns,
        axes=axes,
        span=(0.0, 1.0),
        title="linear CKA",
        hover=f"{hover}<br><b>%{{z:.6~g}}</b>",
        framed=framed,
        numbered=True,
        margin=margin,
        theme=theme,
    )
    return figure, heatmap_height(len(rows), margin, row=row, smallest=260, largest=largest)


# As d3 writes a place in a hover where a name is cut: `3.0`, and `3` at the axis.
_WHOLE = ".1f"


def _width(name: str) -> int:
    return min(len(name), LONGEST_NAME)


def _is_cut(names: Sequence[str]) -> bool:
    return any(len(name) > LONGEST_NAME for name in names)


def chance_color(span: tuple[float, float], *, neutral: float | None) -> str:
    """The color of what is within chance, which no value has; arguments as of `heatmap_figure`."""
    is_diverging = color_scale(*span, neutral=neutral)["colorscale"] is DIVERGING
    return WITHIN_CHANCE["diverging" if is_diverging else "sequential"]


def _gray(within: NDArray[np.bool_], color: str) -> Trace:
    """A trace above the values that lets all but those within chance through."""
    return {
        "type": "heatmap",
        "z": np.where(within, np.float32(0), np.float32(np.nan)),
        "colorscale": [[0, color], [1, color]],
        "zmin": 0,
        "zmax": 1,
        "showscale": False,
        "hoverinfo": "skip",
    }


def named_axes(
    rows: Sequence[str], columns: Sequence[str], titles: tuple[str, str], *, is_fixed: bool
) -> dict[str, dict[str, object]]:
    """Axes with a name for each row and column, as parts of a layout.

    Named by aliases, not by tick texts: Plotly then shows as many as fit, also after a zoom.

    Args:
        rows: the name of each row.
        columns: the name of each column.
        titles: what rows and columns are, (y, x).
        is_fixed: whether the margin is, so that Plotly makes no room for names.
    """
    layout = box.axes((len(rows), len(columns)), showgrid=False, zeroline=False)
    for axis, names, title in (("yaxis", rows, titles[0]), ("xaxis", columns, titles[1])):
        # An alias that is empty counts as none.
        aliases = {
            str(place): plain(shortened(name, LONGEST_NAME)) or " "
            for place, name in enumerate(names)
        }
        if _is_cut(names):
            aliases |= {
                format(place, _WHOLE): plain(name) or " " for place, name in enumerate(names)
            }
        # The distance keeps the title clear of the longest name.
        room = {"automargin": not is_fixed, "title": {"text": plain(title), "standoff": 6}}
        layout[axis] |= {"labelalias": aliases, **room}
        if len(names) <= ALL_NAMED:
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
