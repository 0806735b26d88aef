"""A statistic for each class and filter, as a heatmap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.figures import box
from dashboard.figures.theme import Theme, base_figure, color_bar, color_scale, plain


def class_statistic_figure(
    values: NDArray[np.generic],
    *,
    chance: NDArray[np.float64] | None = None,
    title: str,
    neutral: float | None = None,
    class_names: Sequence[str],
    selected: tuple[int, int],
    theme: Theme,
) -> go.Figure:
    """Class by filter; the selected cell is framed.

    Args:
        values: [class, filter]; NaN, where a class has no samples, stays empty.
        chance: <float64>[bound, class, filter], its chance level, or None where it has none.
        title: what the statistic is called.
        neutral: the value that means nothing, or None where there is none.
        class_names: the name of each class.
        selected: (class index, filter index).
        theme: the colours.
    """
    shown, names = values.astype(np.float64), [plain(name) for name in class_names]
    known = shown[np.isfinite(shown)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    figure = base_figure(theme, margin={"l": 48, "r": 96, "t": box.TOOL_BAR, "b": 44})
    figure.add_trace(
        go.Heatmap(
            z=shown,
            customdata=_said(names, chance, shown.shape),
            hovertemplate=(
                "class %{customdata[0]}, filter %{x}<br><b>%{z:.9~g}</b>%{customdata[1]}"
                "<extra></extra>"
            ),
            hoverongaps=False,
            colorbar=color_bar(title),
            **color_scale(low, high, neutral=neutral),
        )
    )
    class_index, filter_index = selected
    figure.add_shape(
        type="rect",
        x0=filter_index - 0.5,
        x1=filter_index + 0.5,
        y0=class_index - 0.5,
        y1=class_index + 0.5,
        line={"color": theme.accent, "width": 3},
    )
    n_classes, n_filters = shown.shape
    bare = {"showgrid": False, "zeroline": False}
    figure.update_xaxes(title="filter", **bare)
    figure.update_yaxes(title="class", automargin=True, **bare)
    box.fit(figure, (n_classes, n_filters))
    if n_filters <= 40:
        figure.update_xaxes(dtick=1)
    if n_classes <= 40:
        figure.update_yaxes(tickvals=list(range(n_classes)), ticktext=names)
    return figure


def _said(
    names: Sequence[str], chance: NDArray[np.float64] | None, shape: tuple[int, ...]
) -> NDArray[np.object_]:
    """What the hover says beside the value, <object>[class, filter, (name, chance level)]."""
    said = np.empty((*shape, 2), dtype=object)
    said[..., 0] = np.array(names, dtype=object)[:, np.newaxis]
    said[..., 1] = ""
    if chance is not None:
        low, high = np.char.mod("%.4g", chance)
        words = np.char.add(np.char.add("<br>by chance ", low), np.char.add(" to ", high))
        said[..., 1] = np.where(np.isfinite(chance[0]), words, "")
    return said
