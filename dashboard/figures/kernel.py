"""The weights that make one filter, a tile for each input plane."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dashboard.figures import box
from dashboard.figures.theme import COLOR_BAR, DIVERGING, Figure, Theme, base_figure, color_bar

GAP = 1  # cells between tiles
ROOM = box.Box(left=4, right=COLOR_BAR, top=4, bottom=4)
# With the names of planes beside the tiles.
NAMED_ROOM = box.Box(left=20, right=COLOR_BAR, top=4, bottom=4)


def kernel_cells(shape: tuple[int, int, int], planes: Sequence[str] = ()) -> tuple[int, int, int]:
    """Cells of the picture, (y, x), and tiles in a row, of weights [kernel_y, kernel_x, input].

    Args:
        shape: of the weights.
        planes: the names of the input planes, whose tiles are one column; empty for none.
    """
    height, width, n_inputs = shape
    columns = min(n_inputs, max(1, round(math.sqrt(1.6 * n_inputs * height / width))))
    columns = 1 if planes else columns
    rows = -(-n_inputs // columns)
    return rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, columns


def kernel_tiles(
    weights: NDArray[np.float32], planes: Sequence[str] = ()
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Weights side by side, with gaps of NaN; and of each cell its input plane, row and column.

    Args:
        weights: <float32>[kernel_y, kernel_x, input].
        planes: the names of the input planes, whose tiles are one column; empty for none.

    Returns:
        <float32>[cell_y, cell_x] and <int64>[cell_y, cell_x, (input, y, x)].
    """
    height, width, n_inputs = weights.shape
    columns = kernel_cells((height, width, n_inputs), planes)[2]
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


def kernel_figure(
    weights: NDArray[np.float32], *, theme: Theme, planes: Sequence[str] = ()
) -> Figure:
    """All weights in one symmetric range: blue below zero, red above, on the page's ground.

    Args:
        weights: <float32>[kernel_y, kernel_x, input].
        theme: the colors.
        planes: the names of the input planes, such as R, G and B; empty for numbers.
    """
    values, places = kernel_tiles(weights, planes)
    finite = np.abs(weights[np.isfinite(weights)])
    reach = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    is_low = 2 * values.shape[0] < values.shape[1]  # few numbers fit beside it
    still = {"visible": False, "fixedrange": True, "autorange": True}
    trace = {
        "type": "heatmap",
        "z": values,
        "customdata": places,
        "hovertemplate": "input %{text}, y %{customdata[1]}, x %{customdata[2]}<br>"
        "<b>%{z:.9~g}</b><extra></extra>"
        if planes
        else "input plane %{customdata[0]}, y %{customdata[1]}, x %{customdata[2]}<br>"
        "<b>%{z:.9~g}</b><extra></extra>",
        "hoverongaps": False,
        "colorscale": DIVERGING,
        "zmin": -reach,
        "zmax": reach,
        "colorbar": color_bar("weight") | ({"nticks": 5} if is_low else {}),
    }
    upright = still | {"autorange": "reversed"}
    if not planes:
        return base_figure(theme, [trace], margin=ROOM.margin, xaxis=still, yaxis=upright)
    trace["text"] = np.array(planes)[places[..., 0]]
    step = weights.shape[0] + GAP
    names = {
        "visible": True,
        "tickvals": [step * place + (weights.shape[0] - 1) / 2 for place in range(len(planes))],
        "ticktext": list(planes),
        "showgrid": False,
        "zeroline": False,
    }
    return base_figure(theme, [trace], margin=NAMED_ROOM.margin, xaxis=still, yaxis=upright | names)
