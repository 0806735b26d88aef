"""The weights that make one filter, a tile for each input plane."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dashboard.figures import box
from dashboard.figures.theme import DIVERGING, Figure, Theme, base_figure, color_bar

GAP = 1  # cells between tiles
ROOM = box.Box(left=4, right=74, top=4, bottom=4)


def kernel_cells(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Cells of the picture, (y, x), and tiles in a row, of weights [kernel_y, kernel_x, input]."""
    height, width, n_inputs = shape
    columns = min(n_inputs, max(1, round(math.sqrt(1.6 * n_inputs * height / width))))
    rows = -(-n_inputs // columns)
    return rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, columns


def kernel_tiles(weights: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Weights side by side, with gaps of NaN; and of each cell its input plane, row and column.

    Args:
        weights: <float32>[kernel_y, kernel_x, input].

    Returns:
        <float32>[cell_y, cell_x] and <int64>[cell_y, cell_x, (input, y, x)].
    """
    height, width, n_inputs = weights.shape
    columns = kernel_cells((height, width, n_inputs))[2]
    rows = -(-n_inputs // columns)
    places = np.stack(
        [
            np.broadcast_to(np.arange(rows * columns), (height, width, rows * columns)),
            *np.broadcast_arrays(
                np.arange(height)[:, None, None],
                np.arange(width)[None, :, None],
                np.zeros(rows * columns, int),
            )[:2],
        ],
        axis=-1,
    )
    filled = np.full((height, width, rows * columns), np.nan, np.float32)
    filled[:, :, :n_inputs] = weights

    def laid_out(values: NDArray[np.generic], gap: float) -> NDArray[np.generic]:
        """[y, x, tile, …] as [cell_y, cell_x, …]."""
        rest = [(0, 0)] * (values.ndim - 3)
        padded = np.pad(values, [(0, GAP), (0, GAP), (0, 0), *rest], constant_values=gap)
        split = padded.reshape(height + GAP, width + GAP, rows, columns, *values.shape[3:])
        order = (2, 0, 3, 1, *range(4, split.ndim))
        picture = split.transpose(order).reshape(
            rows * (height + GAP), columns * (width + GAP), *values.shape[3:]
        )
        return picture[:-GAP, :-GAP]

    return laid_out(filled, np.nan), laid_out(places, 0)  # type: ignore[return-value]


def kernel_figure(weights: NDArray[np.float32], *, theme: Theme) -> Figure:
    """All weights in one symmetric range: blue below zero, red above, on the page's ground.

    Args:
        weights: <float32>[kernel_y, kernel_x, input].
        theme: the colors.
    """
    values, places = kernel_tiles(weights)
    finite = np.abs(weights[np.isfinite(weights)])
    reach = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    still = {"visible": False, "fixedrange": True, "autorange": True}
    trace = {
        "type": "heatmap",
        "z": values,
        "customdata": places,
        "hovertemplate": "input %{customdata[0]}, y %{customdata[1]}, x %{customdata[2]}<br>"
        "<b>%{z:.9~g}</b><extra></extra>",
        "hoverongaps": False,
        "colorscale": DIVERGING,
        "zmin": -reach,
        "zmax": reach,
        "colorbar": color_bar("weight"),
    }
    return base_figure(
        theme, [trace], margin=ROOM.margin, xaxis=still, yaxis=still | {"autorange": "reversed"}
    )
