"""All feature maps of a sample in one picture: where each tile lies, and the figure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboard.figures import box
from dashboard.figures.theme import Theme, base_figure, color_bar, color_scale

# Plotly redraws every cell at each zoom, about 0.25 µs a cell: past this it feels slow.
CELL_LIMIT = 250_000
FEW_TILES = 32


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

    def locate(self, y: int, x: int) -> tuple[int, int, int] | None:
        """The (tile, y, x) that a cell shows, or None in a gap: the inverse of `origin`."""
        row, inner_y = divmod(y, self.height + self.gap_y)
        column, inner_x = divmod(x, self.width + self.gap_x)
        tile = row * self.columns + column
        if inner_y < self.gap_y or inner_x >= self.width or tile >= self.n_tiles:
            return None
        return tile, inner_y - self.gap_y, inner_x


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


def shrink_step(shape: tuple[int, int, int], limit: int = CELL_LIMIT) -> int:
    """How many pixels each way one cell stands for, so that a montage stays under a limit."""
    return max(1, math.ceil(math.sqrt(math.prod(shape) / limit)))


def montage_tiling(shape: tuple[int, int, int]) -> Tiling:
    """The tiling of the montage of maps of a shape (y, x, filter), shrunk where it must be."""
    height, width, filters = shape
    step = shrink_step(shape)
    return Tiling.of((-(-height // step), -(-width // step), filters))


def shrink(maps: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Of each block of step x step values the one farthest from zero: sparse activity stays seen.

    NaN only where a block has nothing else.

    Args:
        maps: <float32>[y, x, filter].
        step: values each way; 1 gives the maps back.

    Returns:
        <float32>[cell_y, cell_x, filter]; blocks at the lower and right edge may be cut.
    """
    if step == 1:
        return maps
    high = _of_blocks(np.fmax, maps, step)
    if not maps.size or not np.fmin.reduce(maps, axis=None) < 0:
        return high
    low = _of_blocks(np.fmin, maps, step)
    return np.where(-low > high, low, high)


def _of_blocks(function: np.ufunc, maps: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    for axis in (0, 1):
        cuts = range(min(step, maps.shape[axis]))
        parts = [maps[(slice(None),) * axis + (slice(at, None, step),)] for at in cuts]
        found = parts[0].copy()
        for part in parts[1:]:
            inner = found[(slice(None),) * axis + (slice(part.shape[axis]),)]
            function(inner, part, out=inner)
        maps = found
    return maps


def montage_figure(
    maps: NDArray[np.float32],
    *,
    ranges: NDArray[np.float64],
    selected: int,
    theme: Theme,
) -> go.Figure:
    """The montage as one heatmap trace; its customdata is (filter, y, x, stored value).

    Args:
        maps: <float32>[y, x, filter], as stored.
        ranges: <float64>[2, filter], what the colours of each tile span; where they differ, tiles
            are coloured by their share of it and the colour bar says so.
        selected: the filter to frame.
        theme: the colours.
    """
    step = shrink_step(maps.shape)
    shown = shrink(maps, step)
    tiling = montage_tiling(maps.shape)
    low, high = ranges
    shared = bool((low == low[0]).all() and (high == high[0]).all())
    if shared:
        colored, scale = shown, color_scale(float(low[0]), float(high[0]))
    else:
        span = np.where(high > low, high - low, 1.0)
        colored, scale = (shown - low) / span, color_scale(0.0, 1.0)
    figure = base_figure(theme, margin=box.MONTAGE.margin, showlegend=False)
    about = "farthest from zero of the block " if step > 1 else ""
    figure.add_trace(
        go.Heatmap(
            z=montage(colored, tiling),
            customdata=_customdata(shown, tiling, step),
            hovertemplate=(
                "filter %{customdata[0]}<br>y %{customdata[1]}, x %{customdata[2]}<br>"
                f"<b>{about}%{{customdata[3]:.9~g}}</b><extra></extra>"
            ),
            hoverongaps=False,
            colorbar=color_bar("activation" if shared else "share of the filter's range"),
            **scale,
        )
    )
    figure.add_trace(_names(maps, tiling, theme))
    y, x = tiling.origin(selected)
    figure.add_shape(
        type="rect",
        x0=x - 0.5,
        x1=x + tiling.width - 0.5,
        y0=y - 0.5,
        y1=y + tiling.height - 0.5,
        line={"color": theme.accent, "width": 3},
    )
    rows, columns = tiling.shape
    box.fit(figure, (rows, columns))
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


def _customdata(shown: NDArray[np.float32], tiling: Tiling, step: int) -> NDArray[np.float32]:
    """(filter, y, x, value) of each cell, <float32>[cell_y, cell_x, 4]."""
    indices: NDArray[np.float32] = np.indices(shown.shape, dtype=np.float32)
    y, x, tile = indices
    parts = (tile, y * step, x * step, shown)
    return np.stack([montage(each, tiling) for each in parts], axis=2)


def _names(maps: NDArray[np.float32], tiling: Tiling, theme: Theme) -> go.Scatter:
    """The name of each tile above it; a map that is all zero says so."""
    zero = np.logical_not(np.any(maps, axis=(0, 1)))
    origins = np.array([tiling.origin(tile) for tile in range(tiling.n_tiles)])
    return go.Scatter(
        x=origins[:, 1] - 0.5,
        y=origins[:, 0] - 0.5,
        mode="text",
        text=[f"{tile} all 0" if zero[tile] else str(tile) for tile in range(tiling.n_tiles)],
        textposition="top right",
        textfont={"size": 11 if tiling.n_tiles <= FEW_TILES else 8, "color": theme.text},
        hoverinfo="skip",
        cliponaxis=False,
    )
