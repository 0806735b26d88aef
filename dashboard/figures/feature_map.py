"""One feature map or mean map, enlarged; and the input image beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.figures import box
from dashboard.figures.picture import as_pixels
from dashboard.figures.theme import GRAY, Theme, base_figure, color_bar, color_scale


def feature_map_figure(
    values: NDArray[np.float32],
    *,
    span: tuple[float, float],
    theme: Theme,
    title: str = "activation",
) -> go.Figure:
    """One map with its axes and a colour bar in the units of the activation.

    Args:
        values: <float32>[y, x].
        span: what the colours span, (low, high).
        theme: the colours.
        title: of the colour bar.
    """
    figure = base_figure(theme, margin=box.MAP.margin, **_pixels(values.shape))
    figure.add_trace(
        go.Heatmap(
            z=values,
            hovertemplate="y %{y}, x %{x}<br><b>%{z:.9~g}</b><extra></extra>",
            colorbar=color_bar(title),
            **color_scale(*span),
        )
    )
    return figure


def image_figure(image: NDArray[Any], *, theme: Theme) -> go.Figure:
    """The input image: colours for three channels, else the first in gray.

    Args:
        image: <uint8 or float32>[image_y, image_x, image_channel].
        theme: the colours.
    """
    figure = base_figure(theme, margin=box.IMAGE.margin, **_pixels(image.shape))
    if image.shape[2] == 3:
        figure.add_trace(
            go.Image(z=as_pixels(image), hovertemplate="y %{y}, x %{x}<br>%{z}<extra></extra>")
        )
    else:
        limits = {"zmin": 0, "zmax": 255} if image.dtype == np.uint8 else {}
        figure.add_trace(
            go.Heatmap(
                z=image[:, :, 0],
                colorscale=GRAY,
                showscale=False,
                hovertemplate="y %{y}, x %{x}<br><b>%{z}</b><extra></extra>",
                **limits,
            )
        )
    return figure


def empty_figure(message: str, *, theme: Theme) -> go.Figure:
    """A figure that says why there is none."""
    hidden = {"visible": False}
    figure = base_figure(theme, margin=box.MAP.margin, xaxis=hidden, yaxis=hidden)
    figure.add_annotation(text=message, showarrow=False, font={"size": 14})
    return figure


def _pixels(shape: tuple[int, ...]) -> dict[str, dict[str, object]]:
    """Axes with rows downwards and indices as ticks."""
    plain = {"showgrid": False, "zeroline": False, "ticks": "outside", "ticklen": 3}
    return box.axes((shape[0], shape[1]), **plain)
