"""One feature map or mean map, enlarged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dashboard.figures import box
from dashboard.figures.theme import Figure, Theme, base_figure, color_bar, color_scale

# Pixels of a small map: three fit beside each other in a window of 1280.
LONGEST = 170


def feature_map_figure(
    values: NDArray[np.float32],
    *,
    span: tuple[float, float],
    theme: Theme,
    title: str = "activation",
    signed: bool = False,
) -> Figure:
    """One map with its axes and a color bar in the units of the activation.

    Args:
        values: <float32>[y, x].
        span: what the colors span, (low, high).
        theme: the colors.
        title: of the color bar.
        signed: colors about zero, though the span may lie on one side of it.
    """
    trace = {
        "type": "heatmap",
        "z": values,
        "hovertemplate": "y %{y}, x %{x}<br><b>%{z:.9~g}</b><extra></extra>",
        "colorbar": color_bar(title),
        **color_scale(*span, neutral=0.0 if signed else None),
    }
    return base_figure(theme, [trace], margin=box.MAP.margin, **_pixels(values.shape))


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
    return figure, box.MAP.fixed((values.shape[0], values.shape[1]), longest=LONGEST)


def figure_template(shape: tuple[int, ...], *, theme: Theme, signed: bool) -> Figure:
    """The figure of a map but for its values and their span, which the browser fills in.

    Args:
        shape: of the map, (y, x).
        theme: the colors.
        signed: colors about zero.
    """
    values = np.zeros(shape, np.float32)
    figure = feature_map_figure(values, span=(0.0, 1.0), theme=theme, signed=signed)
    for name in ("z", "zmin", "zmax"):
        del figure["data"][0][name]
    return figure


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
