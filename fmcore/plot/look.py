"""How a picture of tiles looks: what a person can choose about it, checked before anything is read.

Imports no matplotlib, which takes half a second: `fmcore.plot` is there when `fmcore` is imported.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import SelectionError
from fmcore.optional import import_optional
from fmcore.selection import near_matches

BACKEND = "MPLBACKEND"
# matplotlib draws fewer pixels than these each way.
MOST_PIXELS = 2**16
# The tutorial's.
COLUMNS, COLORS, INCHES_PER_TILE = 8, "viridis", 1.5


class ColorRange(StrEnum):
    """What the colors of a map span: its own values, or those of all maps of its layer here."""

    MAP = "map"
    LAYER = "layer"


Span = tuple[float, float]


def import_matplotlib() -> Any:
    """Imports matplotlib, also where the environment names a backend that is not installed.

    A notebook's kernel names its own, and hands the name on to `!fmcore figure`, which may run in
    another environment. No window is opened here, so any backend does.

    Raises:
        MissingLibraryError: if matplotlib is not installed, saying how to install it.
    """
    backend = os.environ.pop(BACKEND, None) if "matplotlib" not in sys.modules else None
    try:
        matplotlib = import_optional("matplotlib", extra="figures", purpose="drawing figures")
    finally:
        if backend is not None:
            os.environ[BACKEND] = backend
    if backend:
        with contextlib.suppress(ValueError):  # it knows no such backend
            matplotlib.rcParams["backend"] = backend
    return matplotlib


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a picture of tiles looks.

    Attributes:
        columns: the number of tiles in a line.
        cmap: the name of matplotlib's colors.
        size: inches of a tile each way; or (width, height) of the whole picture.
        dpi: pixels an inch; None for what matplotlib is set to.
        color_range: what colors span: `map` for each map's own values, `layer` for those of all
            maps in the picture, or (low, high).
        color_bar: whether there is a bar of the colors, which all maps must share.
        labels: whether each tile has its words above it, such as the filter's index.
        title: above all; None for the picture's own, empty for none.

    Raises:
        SelectionError: if a value is none that it can have; `field` names it.
        MissingLibraryError: if matplotlib is not installed, saying how to install it.
    """

    columns: int = COLUMNS
    cmap: str = COLORS
    size: float | tuple[float, float] = INCHES_PER_TILE
    dpi: float | None = None
    color_range: str | Span = ColorRange.MAP
    color_bar: bool = False
    labels: bool = False
    title: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.columns, bool) or not isinstance(self.columns, int | np.integer):
            raise _wrong("columns", self.columns, "a whole number from 1")
        if self.columns < 1:
            raise _wrong("columns", self.columns, "a whole number from 1")
        sizes = self.size if isinstance(self.size, tuple | list) else (self.size,)
        if len(sizes) > 2 or not all(map(_is_length, sizes)) or not sizes:
            raise _wrong("size", self.size, "inches above 0, or (width, height) of the picture")
        if self.dpi is not None and not _is_length(self.dpi):
            raise _wrong("dpi", self.dpi, "pixels an inch, above 0")
        if not isinstance(self.color_range, str):
            _ = parse_span(self.color_range)
        elif self.color_range not in list(ColorRange):
            raise _wrong("color_range", self.color_range, "map, layer, or (low, high)")
        if self.color_bar and self.color_range == ColorRange.MAP:
            raise SelectionError(
                "a color bar needs colors that all maps share, found color_range 'map', in which "
                "each map has its own; expected 'layer' or (low, high)",
                field="color_bar",
            )
        check_colors(self.cmap)

    def figure_size(self, rows: int, title: float) -> tuple[float, float]:
        """(width, height) in inches of the picture.

        Args:
            rows: lines of tiles.
            title: inches of the title, which do not shrink with few rows.

        Raises:
            SelectionError: if it has more pixels than matplotlib draws.
        """
        if isinstance(self.size, tuple | list):
            width, height = map(float, self.size)
        else:
            width, height = self.columns * self.size, rows * self.size + title
        check_pixels(width, height, self.dpi)
        return width, height

    def span_of(self, values: NDArray[Any]) -> Span | None:
        """What the colors of all maps span; None where each has its own span, or none is finite."""
        if not isinstance(self.color_range, str):
            return parse_span(self.color_range)
        finite = values[np.isfinite(values)]
        if self.color_range == ColorRange.MAP or not finite.size:
            return None
        return float(finite.min()), float(finite.max())


def check_pixels(width: float, height: float, dpi: float | None) -> None:
    """Refuses a picture that matplotlib cannot draw.

    Args:
        width: in inches.
        height: in inches.
        dpi: pixels an inch; None for what matplotlib is set to.

    Raises:
        SelectionError: if it is too large.
    """
    density = float(import_matplotlib().rcParams["figure.dpi"] if dpi is None else dpi)
    pixels = [math.ceil(width * density), math.ceil(height * density)]
    if max(pixels) >= MOST_PIXELS:
        raise SelectionError(
            f"the picture would be {pixels[0]:,} × {pixels[1]:,} pixels, expected fewer than "
            f"{MOST_PIXELS:,} each way; choose more columns, a smaller size or a smaller dpi",
            field="size",
        )


def check_colors(name: str) -> None:
    """Refuses the name of colors that matplotlib does not have.

    Raises:
        SelectionError: if there are none of that name.
        MissingLibraryError: if matplotlib is not installed, saying how to install it.
    """
    names = list(import_matplotlib().colormaps)
    if not isinstance(name, str) or name not in names:
        raise SelectionError(
            f"cmap {name!r}; expected the name of colors of matplotlib, such as viridis, magma or "
            f"RdBu_r{near_matches(name, names)}",
            field="cmap",
        )


def parse_span(span: object) -> Span:
    """The smallest and the largest value of colors.

    Raises:
        SelectionError: if it is no such pair.
    """
    expected = "map, layer, or (low, high) with low below high"
    if not isinstance(span, tuple | list) or len(span) != 2:
        raise _wrong("color_range", span, expected)
    if not all(isinstance(bound, int | float | np.number) for bound in span):
        raise _wrong("color_range", span, expected)
    low, high = map(float, span)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise _wrong("color_range", span, expected)
    return low, high


def _is_length(value: object) -> bool:
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return is_number and math.isfinite(float(value)) and float(value) > 0  # type: ignore[arg-type]


def _wrong(field: str, value: object, expected: str) -> SelectionError:
    return SelectionError(f"{field} {value!r}; expected {expected}", field=field)
