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
    figure = base_figure(theme, margin=box.MAP.margin)
    figure.add_trace(
        go.Heatmap(
            z=values,
            hovertemplate="y %{y}, x %{x}<br><b>%{z:.9~g}</b><extra></extra>",
            colorbar=color_bar(title),
            **color_scale(*span),
        )
    )
    return _pixels(figure, values.shape)


def image_figure(image: NDArray[Any], *, theme: Theme) -> go.Figure:
    """The input image: colours for three channels, else the first in gray.

    Args:
        image: <uint8 or float32>[image_y, image_x, image_channel].
        theme: the colours.
    """
    figure = base_figure(theme, margin=box.IMAGE.margin)
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
    return _pixels(figure, image.shape)


def empty_figure(message: str, *, theme: Theme) -> go.Figure:
    """A figure that says why there is none."""
    figure = base_figure(theme, margin=box.MAP.margin)
    figure.add_annotation(text=message, showarrow=False, font={"size": 14})
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


def _pixels(figure: go.Figure, shape: tuple[int, ...]) -> go.Figure:
    """Rows downwards, indices as ticks."""
    rows, columns = shape[:2]
    plain = {"showgrid": False, "zeroline": False, "ticks": "outside", "ticklen": 3}
    figure.update_xaxes(**plain)
    figure.update_yaxes(**plain)
    return box.fit(figure, (rows, columns))
