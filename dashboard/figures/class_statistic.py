"""A statistic for each class and filter, as a heatmap in any order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.figures import box
from dashboard.figures.theme import Theme, base_figure, color_bar, color_scale, plain

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
    selected: tuple[int | None, int],
    against: int | None = None,
    theme: Theme,
) -> go.Figure:
    """Class by filter; what is within chance is gray, what is selected is framed.

    Args:
        values: [class, filter]; NaN, where a class has no samples, stays empty.
        classes: <int>[row], the class that each row shows.
        filters: <int>[column], the filter that each column shows.
        within: <bool>[class, filter], the values that are within chance.
        chance: <float64>[bound, class, filter], the chance level, or None where it has none.
        title: what the statistic is called.
        neutral: the value that means nothing, or None where there is none.
        class_names: the name of each class.
        selected: (class index or None for all, filter index).
        against: the class that the selected one is compared with, or None.
        theme: the colours.
    """
    cells = np.ix_(classes, filters)
    shown = values.astype(np.float64)[cells]
    known = shown[np.isfinite(shown)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    names = [plain(class_names[index]) for index in classes]
    figure = base_figure(theme, margin=MARGIN)
    told = {} if chance is None else {"customdata": _by_chance(chance, classes, filters)}
    figure.add_trace(
        go.Heatmap(
            z=shown,
            hovertemplate="class %{y}, filter %{x}<br><b>%{z:.9~g}</b>"
            f"{_BY_CHANCE if told else ''}<extra></extra>",
            hoverongaps=False,
            colorbar=color_bar(title),
            **color_scale(low, high, neutral=neutral),
            **told,
        )
    )
    if within.any():
        figure.add_trace(_gray(within[cells], theme))
    for place in _frames(classes, filters, selected=selected, against=against):
        figure.add_shape(type="rect", line={"color": theme.accent, "width": 3}, **place)
    bare = {"showgrid": False, "zeroline": False}
    # Aliases, not tick texts: Plotly then shows as many as fit, also after a zoom.
    columns = {str(place): str(index) for place, index in enumerate(filters.tolist())}
    rows = {str(place): name for place, name in enumerate(names)}
    figure.update_xaxes(title="filter", labelalias=columns, **bare)
    figure.update_yaxes(title="class", labelalias=rows, automargin=True, **bare)
    for axis, size in ((figure.layout.xaxis, len(filters)), (figure.layout.yaxis, len(classes))):
        axis.dtick = 1 if size <= ALL_NAMED else None
    return box.fit(figure, (len(classes), len(filters)))


_BY_CHANCE = "<br>by chance %{customdata[0]:.4~g} to %{customdata[1]:.4~g}"


def heatmap_height(n_classes: int) -> str:
    """How tall the box of so many classes is, in CSS."""
    return f"{min(max(26 * n_classes + 72, 200), 620)}px"


def _by_chance(
    chance: NDArray[np.float64], classes: NDArray[np.intp], filters: NDArray[np.intp]
) -> NDArray[np.float32]:
    """What a hover says beside the value, <float32>[row, column, bound]."""
    return np.moveaxis(chance[:, classes][:, :, filters], 0, -1).astype(np.float32)


def _gray(within: NDArray[np.bool_], theme: Theme) -> go.Heatmap:
    """A trace above the values that lets all but those within chance through."""
    return go.Heatmap(
        z=np.where(within, np.float32(0), np.float32(np.nan)),
        colorscale=[[0, theme.faint], [1, theme.faint]],
        zmin=0,
        zmax=1,
        showscale=False,
        hoverinfo="skip",
    )


def _frames(
    classes: NDArray[np.intp],
    filters: NDArray[np.intp],
    *,
    selected: tuple[int | None, int],
    against: int | None,
) -> list[dict[str, float]]:
    """Corners of what is framed: the selected cell, or column; and that of the other class."""
    class_index, filter_index = selected
    column = int(np.flatnonzero(filters == filter_index)[0])
    across = {"x0": column - 0.5, "x1": column + 0.5}
    if class_index is None:
        return [across | {"y0": -0.5, "y1": len(classes) - 0.5}]
    chosen = [class_index] if against is None else [class_index, against]
    rows = [int(np.flatnonzero(classes == index)[0]) for index in chosen]
    return [across | {"y0": row - 0.5, "y1": row + 0.5} for row in rows]
