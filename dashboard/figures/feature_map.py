"""One feature map or mean map, enlarged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dashboard.figures import box
from dashboard.figures.marks import marks_over
from dashboard.figures.theme import DIVERGING, Figure, Theme, base_figure, color_bar, color_scale

# Pixels of a small map: three fit beside each other in a window of 1280.
LONGEST = 160
# Proportions of the picture of a small map of one row, (y, x).
CURVE = (3, 5)
# Pixels between the maps of a row, all together.
ROW_GAPS = 16
# Share of what values span that is left free above and below them.
MARGIN = 0.04


def feature_map_figure(
    values: NDArray[np.float32],
    *,
    span: tuple[float, float],
    theme: Theme,
    title: str = "activation",
    signed: bool = False,
) -> Figure:
    """One map with its axes and a color bar in the units of the activation.

    A map of one row, as of a signal, is a line; one of a single value, as of a dense layer, a bar.

    Args:
        values: <float32>[y, x].
        span: what the colors span, (low, high).
        theme: the colors.
        title: of the color bar.
        signed: colors about zero, though the span may lie on one side of it.
    """
    if values.shape[0] == 1:
        return _of_row(values[0], span=span, theme=theme, title=title)
    trace = {
        "type": "heatmap",
        "z": values,
        "hovertemplate": "y %{y}, x %{x}<br><b>%{z:.9~g}</b><extra></extra>",
        "colorbar": color_bar(title),
        **color_scale(*span, neutral=0.0 if signed else None),
    }
    over = marks_over(
        values,
        (trace["zmin"], trace["zmax"]),
        is_signed=trace["colorscale"] is DIVERGING,
        cell=LONGEST / max(values.shape),
    )
    layout = _pixels(values.shape) | ({"images": [over]} if over else {})
    return base_figure(theme, [trace], margin=box.MAP.margin, **layout)


def small_map(
    values: NDArray[np.float32],
    *,
    span: tuple[float, float],
    theme: Theme,
    title: str = "activation",
    signed: bool = False,
) -> tuple[Figure, dict[str, str]]:
    """A figure as `feature_map_figure`, and the style of a graph of which three fit in a row."""
    figure = feature_map_figure(values, span=span, theme=theme, title=title, signed=signed)
    if values.shape[0] == 1:
        return figure, box.CURVE.fixed(CURVE, longest=LONGEST)
    return figure, box.MAP.fixed((values.shape[0], values.shape[1]), longest=LONGEST)


def map_in_row(
    values: NDArray[np.float32],
    *,
    span: tuple[float, float],
    theme: Theme,
    n: int,
    signed: bool = False,
    has_bar: bool = True,
) -> tuple[Figure, dict[str, str]]:
    """A map that shares the width of its place with others, and the style of its graph.

    Args:
        values: <float32>[y, x].
        span: what the colors span, (low, high).
        theme: the colors.
        n: how many maps are in the row; the picture of each is as wide.
        signed: colors about zero, though the span may lie on one side of it.
        has_bar: whether it has a color bar; beside one with the same colors it needs none.
    """
    figure = feature_map_figure(values, span=span, theme=theme, title="", signed=signed)
    if values.shape[0] == 1:
        return figure, box.CURVE.fixed(CURVE, longest=LONGEST)
    around = box.NARROW if has_bar else box.BARE
    layout = figure["layout"] | {"margin": around.margin}
    if not has_bar:
        figure["data"][0] = figure["data"][0] | {"showscale": False}
    # What ticks and color bars take of the row, where all maps but the first have a bar.
    free = (n - 1) * (box.NARROW.left + box.NARROW.right) + box.BARE.left + box.BARE.right
    style = around.shared((values.shape[0], values.shape[1]), n=n, free=free + ROW_GAPS)
    return figure | {"layout": layout}, style


def enlarged_style(shape: tuple[int, int], *, longest: int) -> dict[str, str]:
    """The style of the graph of an enlarged map (y, x)."""
    if shape[0] == 1:
        return box.CURVE.shrinking((1, 3), longest=longest)
    return box.MAP.shrinking(shape, longest=longest)


def figure_template(shape: tuple[int, ...], *, theme: Theme, signed: bool) -> Figure:
    """The figure of a map but for its values and their span, which the browser fills in.

    Args:
        shape: of the map, (y, x).
        theme: the colors.
        signed: colors about zero.
    """
    values = np.zeros(shape, np.float32)
    figure = feature_map_figure(values, span=(0.0, 1.0), theme=theme, signed=signed)
    for name in ("z", "zmin", "zmax") if shape[0] > 1 else ("x",) if shape[1] == 1 else ("y",):
        del figure["data"][0][name]
    return figure


def _of_row(
    values: NDArray[np.float32], *, span: tuple[float, float], theme: Theme, title: str
) -> Figure:
    """A line through the values of one row, or the bar of a single value."""
    finite = values[np.isfinite(values)].tolist()
    low, high = min([0.0, *finite, *span]), max([0.0, *finite, *span])
    free = MARGIN * ((high - low) or 1.0)
    plain = {"showgrid": False, "ticks": "outside", "ticklen": 3, "zerolinecolor": theme.faint}
    heights = plain | {
        "title": {"text": title, "standoff": 6},
        "range": [low - free, high + free],
        "fixedrange": True,
    }
    if len(values) == 1:
        trace = {
            "type": "bar",
            "orientation": "h",
            "x": values,
            "marker": {"color": theme.accent},
            "width": 0.4,
            "hovertemplate": "<b>%{x:.9~g}</b><extra></extra>",
        }
        # Few and level: turned, numbers would reach down into the title.
        heights |= {"nticks": 4, "tickangle": 0}
        axes = {"xaxis": heights, "yaxis": {"visible": False, "fixedrange": True}}
        return base_figure(theme, [trace], margin=box.CURVE.margin, **axes)
    trace = {
        "type": "scatter",
        "mode": "lines",
        "y": values,
        "line": {"color": theme.accent, "width": 1.5, "shape": "hvh"},
        "hovertemplate": "x %{x}<br><b>%{y:.9~g}</b><extra></extra>",
    }
    places = plain | {
        "title": {"text": "x", "standoff": 4},
        "autorange": True,
        "minallowed": -0.5,
        "maxallowed": len(values) - 0.5,
        "zeroline": False,
    }
    return base_figure(
        theme, [trace], margin=box.CURVE.margin, xaxis=places, yaxis=heights, hovermode="x"
    )


def empty_figure(message: str, *, theme: Theme) -> Figure:
    """A figure that says why there is none."""
    hidden = {"visible": False}
    words = {"text": message, "showarrow": False, "font": {"size": 14}}
    return base_figure(
        theme, [], margin=box.MAP.margin, xaxis=hidden, yaxis=hidden, annotations=[words]
    )


def _pixels(shape: tuple[int, ...]) -> dict[str, dict[str, object]]:
    """Axes with rows downwards and indices as ticks."""
    plain = {"showgrid": False, "zeroline": False, "ticks": "outside", "ticklen": 3}
    return box.axes((shape[0], shape[1]), **plain)
