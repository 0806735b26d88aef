"""Many small pictures in one, as matplotlib's subplots and `tight_layout` place them.

One Axes holds all tiles: hundreds of Axes take matplotlib half a minute. Where each tile lies is
computed with the numbers of `tight_layout` in its own order, so that no pixel differs.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.gridspec import GridSpec
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.transforms import (
    Bbox,
    BboxTransformFrom,
    BboxTransformTo,
    Transform,
    TransformedBbox,
)
from numpy.typing import NDArray

from fmcore.plot.look import Look, Span

# Of cells without a color; it is far from all of viridis for everybody.
GROUND = "#775555"
TITLE = 0.6  # inches
_PAD = 1.08  # of the font's size, as `tight_layout` has it
_LABEL_POINTS = 7.0
_LINE = 1.3 * _LABEL_POINTS / 72  # inches of a line of words above a tile
_BAR = 0.9  # inches of the color bar and its numbers
_BAR_WIDTH = 0.18
BOX_COLOR = "#ff2d55"


class Picture(Figure):
    """A figure that a notebook shows as it is, also where nobody has imported pyplot."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One of the small pictures.

    Attributes:
        pixels: <float32>[y, x] for colors of a range, or <uint8>[y, x, 3].
        label: words above it, where labels are wanted.
        box: (first y, first x, last y, last x) of the pixels to frame; None for none.
    """

    pixels: NDArray[Any]
    label: str = ""
    box: tuple[int, int, int, int] | None = None


def tiles_figure(
    tiles: Sequence[Tile], look: Look, *, title: str, span: Span | None, bar_label: str = ""
) -> Figure:
    """Draws tiles of one shape, line by line.

    What is NaN or infinite has no color: it is crossed, and the picture's own title says so.

    Args:
        tiles: the tiles, all as high and as wide as the first.
        look: how the picture looks.
        title: the picture's own, where `look` has none.
        span: what the colors of all tiles span; None where each spans its own values.
        bar_label: words at the color bar.

    Raises:
        SelectionError: if the picture has more pixels than matplotlib draws.
    """
    rows = -(-len(tiles) // look.columns)
    figure = Picture(figsize=look.figure_size(rows, TITLE), dpi=look.dpi)
    is_finite = [bool(np.isfinite(tile.pixels).all()) for tile in tiles]
    crossed = "" if all(is_finite) else " (crossed: NaN or infinite)"
    words = f"{title}{crossed}" if look.title is None else look.title
    # A name is not a formula.
    heading = figure.suptitle(words, parse_math=False) if words else None
    height, width = tiles[0].pixels.shape[:2]
    n_lines = max(tile.label.count("\n") + 1 for tile in tiles) if look.labels else 0
    boxes = _arranged(figure, heading, len(tiles), look, height / width, n_lines * _LINE)
    axes = figure.add_axes(_bounds(boxes))
    axes.axis("off")
    limits = BboxTransformFrom(Bbox([[-0.5, height - 0.5], [width - 0.5, -0.5]]))
    is_resampled = bool(mpl.rcParams["image.resample"])
    colors, shared = mpl.colormaps[look.cmap], None if span is None else Normalize(*span)
    for tile, box, is_whole in zip(tiles, boxes, is_finite, strict=True):
        place = BboxTransformTo(TransformedBbox(box, figure.transSubfigure))
        pixels_to_screen = limits + place
        image = AxesImage(
            axes,
            cmap=colors,
            norm=shared or Normalize(),
            resample=is_resampled,
            # A notebook asks for it, which shows figures as `bbox_inches="tight"` saves them.
            extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        )
        image.set_data(tile.pixels)
        image.autoscale_None()
        image.set_transform(pixels_to_screen)
        image.set_clip_box(TransformedBbox(Bbox.unit(), place))
        axes.add_image(image)
        if not is_whole:
            _cross(axes, pixels_to_screen, height, width)
        if tile.box is not None:
            _frame(axes, pixels_to_screen, tile.box)
        if look.labels:
            axes.text(
                box.x0,
                box.y1,
                tile.label,
                transform=figure.transSubfigure,
                fontsize=_LABEL_POINTS,
                va="bottom",
                parse_math=False,
            )
    if look.color_bar:
        _add_bar(figure, axes, ScalarMappable(shared, colors), bar_label)
    return figure


def _arranged(
    figure: Figure, heading: Text | None, n_tiles: int, look: Look, aspect: float, label: float
) -> list[Bbox]:
    """Where each tile lies, in shares of the figure, as `Figure.tight_layout` would have it.

    Args:
        figure: the figure.
        heading: its title; None for none.
        n_tiles: the number of tiles.
        look: how the picture looks.
        aspect: the height of a tile, of its width.
        label: inches of the words above a tile.
    """
    rows, columns = -(-n_tiles // look.columns), look.columns
    grid = GridSpec(rows, columns, figure=figure)
    row, column = np.divmod(np.arange(n_tiles), columns)
    width, height = figure.get_size_inches()
    cells, tiles = _cells(figure, grid, row, column, aspect)
    corners = np.array([tile.get_points() for tile in tiles]).reshape(-1, 2)
    shares = figure.transFigure.inverted()
    inside = shares.transform(figure.transSubfigure.transform(corners)).reshape(-1, 2, 2)
    outside = np.array([cell.get_points() for cell in cells])
    low, high = outside[:, 0] - inside[:, 0], inside[:, 1] - outside[:, 1]
    high[:, 1] += label / height
    across, down = np.zeros((rows, columns + 1)), np.zeros((rows + 1, columns))
    np.add.at(across, (row, column + 1), high[:, 0])
    np.add.at(across, (row, column), low[:, 0])
    np.add.at(down, (row + 1, column), low[:, 1])
    np.add.at(down, (row, column), high[:, 1])
    font = FontProperties(size=mpl.rcParams["font.size"])
    pad = _PAD * (font.get_size_in_points() / 72)
    left = max(across[:, 0].max(), 0) + pad / width
    right = max(across[:, -1].max(), 0) + pad / width + (_BAR / width if look.color_bar else 0)
    top = max(down[0].max(), 0) + pad / height
    if heading is not None:
        top += shares.transform_bbox(heading.get_window_extent()).height + pad / height
    bottom = max(down[-1].max(), 0) + pad / height
    spaces = {"left": left, "right": 1 - right, "bottom": bottom, "top": 1 - top}
    if columns > 1:
        space = across[:, 1:-1].max() + pad / width
        spaces["wspace"] = space / ((1 - right - left - space * (columns - 1)) / columns)
    if rows > 1:
        space = down[1:-1].max() + pad / height
        spaces["hspace"] = space / ((1 - top - bottom - space * (rows - 1)) / rows)
    figure.subplots_adjust(**spaces)
    return _cells(figure, grid, row, column, aspect)[1]


def _cells(
    figure: Figure,
    grid: GridSpec,
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    aspect: float,
) -> tuple[list[Bbox], list[Bbox]]:
    """The cells of a grid, and the largest boxes of an aspect in their middle."""
    bottoms, tops, lefts, rights = map(np.asarray, grid.get_grid_positions(figure))
    whole = Bbox.unit().transformed(figure.transSubfigure)
    figure_aspect = whole.height / whole.width
    cells = [
        Bbox.from_extents(lefts[x], bottoms[y], rights[x], tops[y])
        for y, x in zip(row, column, strict=True)
    ]
    return cells, [
        cell.shrunk_to_aspect(aspect, cell, figure_aspect).anchored("C", cell) for cell in cells
    ]


def _bounds(boxes: Sequence[Bbox]) -> tuple[float, float, float, float]:
    bounds: tuple[float, float, float, float] = Bbox.union(boxes).bounds
    return bounds


def _cross(axes: Axes, pixels_to_screen: Transform, height: int, width: int) -> None:
    """Crosses a tile, below its pixels, which are clear where they have no color."""
    axes.add_patch(
        Rectangle(
            (-0.5, -0.5),
            width,
            height,
            transform=pixels_to_screen,
            zorder=-1,
            facecolor=GROUND,
            edgecolor="white",
            linewidth=0,
            hatch="xxxx",
        )
    )


def _frame(axes: Axes, pixels_to_screen: Transform, box: tuple[int, int, int, int]) -> None:
    first_y, first_x, last_y, last_x = box
    axes.add_patch(
        Rectangle(
            (first_x - 0.5, first_y - 0.5),
            last_x - first_x + 1,
            last_y - first_y + 1,
            transform=pixels_to_screen,
            fill=False,
            edgecolor=BOX_COLOR,
            linewidth=1.2,
            clip_on=False,
        )
    )


def _add_bar(figure: Figure, axes: Axes, colors: ScalarMappable, label: str) -> None:
    """Adds a color bar right of all tiles."""
    width, height = figure.get_size_inches()
    box = axes.get_position()
    high = min(box.height, 6 / height)  # a bar of many lines of tiles would be read from afar
    bar = figure.add_axes((box.x1 + 0.15 / width, box.y1 - high, _BAR_WIDTH / width, high))
    figure.colorbar(colors, cax=bar, label=label)
