"""A statistic for each class and filter, as a heatmap in any order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.figures import box
from dashboard.figures.theme import Figure, Theme, Trace, base_figure, color_bar, color_scale, plain

# Up to so many rows or columns each has its name beside it; of more Plotly shows what fits.
ALL_NAMED = 40
MARGIN = {"l": 48, "r": 96, "t": box.TOOL_BAR, "b": 44}


def class_statistic_figure(
    values: NDArray[np.generic],
    *,
    classes: NDArray[np.intp],
    filters: NDArray[np.intp],
    within: NDArray[np.bool_],
    chance: NDArray[np.float64] | None = None,
    title: str,
    neutral: float | None = None,
    class_names: Sequence[str],
    of_classes: bool = True,
    selected: tuple[int | None, int],
    against: int | None = None,
    theme: Theme,
) -> Figure:
    """Class by filter; what is within chance is gray, what is selected is framed.

    Args:
        values: [class, filter]; NaN, where a class has no samples, stays empty.
        classes: <int>[row], the class that each row shows.
        filters: <int>[column], the filter that each column shows.
        within: <bool>[class, filter], the values that are within chance.
        chance: <float64>[bound, class, filter], the chance level, or None where it has none.
        title: what the statistic is called.
        neutral: the value that means nothing, or None where there is none.
        class_names: the name of each row.
        of_classes: whether a row is a class; else the only one stands for all samples.
        selected: (class index or None for all, filter index).
        against: the class that the selected one is compared with, or None.
        theme: the colours.
    """
    cells = np.ix_(classes, filters)
    shown = values.astype(np.float64)[cells]
    known = shown[np.isfinite(shown)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    names = [plain(class_names[index]) for index in classes]
    told = {} if chance is None else {"customdata": _by_chance(chance, classes, filters)}
    trace = {
        "type": "heatmap",
        "z": shown,
        "hovertemplate": f"{'class ' if of_classes else ''}"
        "%{y}, filter %{x}<br><b>%{z:.9~g}</b>"
        f"{_BY_CHANCE if told else ''}<extra></extra>",
        "hoverongaps": False,
        "colorbar": color_bar(title),
        **color_scale(low, high, neutral=neutral),
        **told,
    }
    return base_figure(
        theme,
        [trace, *([_gray(within[cells], theme)] if within.any() else [])],
        margin=MARGIN,
        shapes=_frames(classes, filters, selected=selected, against=against, theme=theme),
        **_axes(names, filters, "class" if of_classes else ""),
    )


_BY_CHANCE = "<br>by chance %{customdata[0]:.4~g} to %{customdata[1]:.4~g}"


def heatmap_height(n_classes: int) -> str:
    """How tall the box of so many classes is, in CSS."""
    return f"{min(max(26 * n_classes + 72, 250), 620)}px"


def _by_chance(
    chance: NDArray[np.float64], classes: NDArray[np.intp], filters: NDArray[np.intp]
) -> NDArray[np.float32]:
    """What a hover says beside the value, <float32>[row, column, bound]."""
    return np.moveaxis(chance[:, classes][:, :, filters], 0, -1).astype(np.float32)


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
    names: Sequence[str], filters: NDArray[np.intp], of_rows: str
) -> dict[str, dict[str, object]]:
    """Named by what each row and column shows.

    By aliases, not by tick texts: Plotly then shows as many as fit, also after a zoom.
    """
    found = box.axes((len(names), len(filters)), showgrid=False, zeroline=False)
    shown = {"xaxis": [str(index) for index in filters.tolist()], "yaxis": names}
    for axis, title in (("xaxis", "filter"), ("yaxis", of_rows)):
        aliases = {str(place): name for place, name in enumerate(shown[axis])}
        found[axis] |= {"title": {"text": title}, "labelalias": aliases, "automargin": True}
        if len(aliases) <= ALL_NAMED:
            found[axis]["dtick"] = 1
    return found


def _frames(
    classes: NDArray[np.intp],
    filters: NDArray[np.intp],
    *,
    selected: tuple[int | None, int],
    against: int | None,
    theme: Theme,
) -> list[dict[str, Any]]:
    """What is framed: the selected cell, or its column, and the cell of the other class.

    Where cells are narrow the frame is fine, and marks at the edges lead to it.
    """
    n_rows, n_columns = len(classes), len(filters)
    line = {"color": theme.accent, "width": 3}
    frame: dict[str, Any] = {"type": "rect", "line": line | {"width": _width(n_rows, n_columns)}}
    column = int(np.flatnonzero(filters == selected[1])[0])
    across = {"x0": column - 0.5, "x1": column + 0.5}
    found: list[dict[str, Any]] = []
    rows = [
        int(np.flatnonzero(classes == index)[0])
        for index in (selected[0], against)
        if index is not None
    ]
    if selected[0] is None:
        found.append({**frame, **across, "y0": -0.5, "y1": n_rows - 0.5})
    found += [{**frame, **across, "y0": row - 0.5, "y1": row + 0.5} for row in rows]
    mark: dict[str, Any] = {"type": "line", "line": line}
    if n_columns > ALL_NAMED:
        found.append({**mark, "x0": column, "x1": column, "yref": "paper", "y0": 1, "y1": 1.06})
    if n_rows > ALL_NAMED:
        found += [
            {**mark, "y0": row, "y1": row, "xref": "paper", "x0": 1, "x1": 1.015} for row in rows
        ]
    return found


def _width(n_rows: int, n_columns: int) -> int:
    """Of a frame, in pixels."""
    return 1 if max(n_rows, n_columns) > ALL_NAMED else 3
