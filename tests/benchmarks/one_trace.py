"""All maps of a sample as one Plotly heatmap trace: what the wall is measured beside."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.api.windows import shrink
from dashboard.figures import box
from dashboard.figures.theme import LIGHT, Figure, Trace, base_figure, color_bar, color_scale

# Plotly redraws every cell at each zoom, about 0.25 µs a cell: past this it feels slow.
CELL_LIMIT = 250_000
FEW_TILES = 32
MARGIN = {"l": 4, "r": 88, "t": 28, "b": 4, "autoexpand": False}


@dataclass(frozen=True, slots=True)
class Tiling:
    """Where the tiles of a montage lie; one cell is one value.

    Attributes:
        height: cells of a tile from top to bottom.
        width: cells of a tile from left to right.
        n_tiles: how many tiles.
        columns: tiles in a row.
        gap_y: cells above each tile, room for its name.
        gap_x: cells to the right of each tile.
    """

    height: int
    width: int
    n_tiles: int
    columns: int
    gap_y: int
    gap_x: int

    @classmethod
    def of(cls, shape: tuple[int, int, int]) -> Tiling:
        """The tiling of maps of a shape (y, x, filter).

        8 columns, as the tutorial draws them; of many tiles, about three times as many columns as
        rows, so that they fit a screen.
        """
        height, width, n_tiles = shape
        few = n_tiles <= FEW_TILES
        columns = min(8, n_tiles) if few else math.ceil(math.sqrt(3 * n_tiles))
        room = 0.16 if few else 0.4  # a name keeps its size in pixels while tiles shrink
        return cls(
            height,
            width,
            n_tiles,
            columns,
            gap_y=math.ceil(room * height),
            gap_x=math.ceil(0.04 * width),
        )

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-self.n_tiles // self.columns)

    @property
    def shape(self) -> tuple[int, int]:
        """Cells of the whole picture, (y, x)."""
        return (
            self.rows * (self.height + self.gap_y),
            self.columns * (self.width + self.gap_x) - self.gap_x,
        )

    def origin(self, tile: int) -> tuple[int, int]:
        """The first cell (y, x) of a tile."""
        row, column = divmod(tile, self.columns)
        return (
            row * (self.height + self.gap_y) + self.gap_y,
            column * (self.width + self.gap_x),
        )


def shrink_step(shape: tuple[int, int, int]) -> int:
    """How many pixels each way one cell stands for, so that a montage stays under the limit."""
    return max(1, math.ceil(math.sqrt(math.prod(shape) / CELL_LIMIT)))


def montage_tiling(shape: tuple[int, int, int]) -> Tiling:
    """The tiling of the montage of maps of a shape (y, x, filter), shrunk where it must be."""
    height, width, filters = shape
    step = shrink_step(shape)
    return Tiling.of((-(-height // step), -(-width // step), filters))


def montage(maps: NDArray[np.floating], tiling: Tiling) -> NDArray[np.float32]:
    """Lays maps out as tiles of one picture.

    Args:
        maps: <float>[y, x, filter].
        tiling: where they go.

    Returns:
        <float32>[cell_y, cell_x]; gaps are NaN.
    """
    picture = np.full(tiling.shape, np.nan, dtype=np.float32)
    for tile in range(tiling.n_tiles):
        y, x = tiling.origin(tile)
        picture[y : y + tiling.height, x : x + tiling.width] = maps[:, :, tile]
    return picture


def montage_figure(maps: NDArray[np.float32], span: tuple[float, float]) -> Figure:
    """The montage as one heatmap trace; its customdata is (filter, y, x, stored value).

    Args:
        maps: <float32>[y, x, filter], as stored.
        span: what the colours span.
    """
    step = shrink_step(maps.shape)
    shrunk, tiling = shrink(maps, step), montage_tiling(maps.shape)
    heatmap = {
        "type": "heatmap",
        "z": montage(shrunk, tiling),
        "customdata": _customdata(shrunk, tiling, step),
        "hovertemplate": (
            "filter %{customdata[0]}<br>y %{customdata[1]}, x %{customdata[2]}<br>"
            "<b>%{customdata[3]:.9~g}</b><extra></extra>"
        ),
        "hoverongaps": False,
        "colorbar": color_bar("activation"),
        **color_scale(*span),
    }
    return base_figure(
        LIGHT,
        [heatmap, _names(maps, tiling)],
        margin=MARGIN,
        showlegend=False,
        **box.axes(tiling.shape, visible=False),
    )


def _customdata(values: NDArray[np.float32], tiling: Tiling, step: int) -> NDArray[np.float32]:
    """(filter, y, x, value) of each cell, <float32>[cell_y, cell_x, 4]."""
    indices: NDArray[np.float32] = np.indices(values.shape, dtype=np.float32)
    y, x, tile = indices
    parts = (tile, y * step, x * step, values)
    return np.stack([montage(part, tiling) for part in parts], axis=2)


def _names(maps: NDArray[np.float32], tiling: Tiling) -> Trace:
    """The name of each tile above it; a map that is all zero says so."""
    zero = np.logical_not(np.any(maps, axis=(0, 1)))
    origins = np.array([tiling.origin(tile) for tile in range(tiling.n_tiles)])
    return {
        "type": "scatter",
        "x": origins[:, 1] - 0.5,
        "y": origins[:, 0] - 0.5,
        "mode": "text",
        "text": [f"{tile} all 0" if zero[tile] else str(tile) for tile in range(tiling.n_tiles)],
        "textposition": "top right",
        "textfont": {"size": 11 if tiling.n_tiles <= FEW_TILES else 8, "color": LIGHT.text},
        "hoverinfo": "skip",
        "cliponaxis": False,
    }
