"""What lies over the cells of a map that have no color of its scale: NaN, ±∞, out of range.

A color alone would be read as a value, by some people at least, so each kind has a form too. They
are those of the wall (assets/feature_maps/wall/palette.js and forms.js); a test holds that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

# By scale: the color of each kind.
FILLS: Mapping[str, Mapping[str, str]] = {
    "sequential": {
        "above": "#b93b17",
        "below": "#b75dff",
        "highest": "#b93b17",
        "lowest": "#b75dff",
        "missing": "#775555",
    },
    "diverging": {
        "above": "#7c515e",
        "below": "#7c515e",
        "highest": "#7c515e",
        "lowest": "#7c515e",
        "missing": "#8d898b",
    },
}
# By scale: the gray of what is within chance, in tables of statistics. About a neutral value there
# is no other that is far enough from all of the scale.
WITHIN_CHANCE: Mapping[str, str] = {"sequential": "#b0a8d0", "diverging": "#8d898b"}
# Strokes in a square of 1 by 1 that is repeated, and how wide they are.
FORMS: Mapping[str, tuple[str, float]] = {
    "above": ("M-.25.25L.25-.25M0 1L1 0M.75 1.25L1.25.75", 0.16),
    "below": ("M-.25.75L.25 1.25M0 0L1 1M.75-.25L1.25.25", 0.16),
    "highest": ("M.5.1V.9M.1.5H.9", 0.2),
    "lowest": ("M.1.5H.9", 0.2),
    "missing": ("M.2.2L.8.8M.2.8L.8.2", 0.16),
}
# Colors on which black is seen better than white.
_BRIGHT = ("#b75dff", "#8d898b")
# CSS pixels of a cell in which a form is seen; smaller cells share a form of six.
_SMALLEST, _SHARED = 4, 6
# Pixels of a cell in the picture, whatever size it is shown at.
_PIXELS = 8


def kinds_of(
    values: NDArray[np.float32], span: tuple[float, float]
) -> dict[str, NDArray[np.bool_]]:
    """The cells of each kind of which there are some.

    Args:
        values: <float32>[y, x].
        span: what the colors span, (low, high).
    """
    low, high = span
    kinds = {
        "above": (values > high) & (values < np.inf),
        "below": (values < low) & (values > -np.inf),
        "highest": values == np.inf,
        "lowest": values == -np.inf,
        "missing": np.isnan(values),
    }
    return {kind: cells for kind, cells in kinds.items() if cells.any()}


def marks_over(
    values: NDArray[np.float32], span: tuple[float, float], *, is_signed: bool, cell: float
) -> dict[str, Any] | None:
    """An image for Plotly's layout that marks the cells without a color; None where all have one.

    Args:
        values: <float32>[y, x].
        span: what the colors span, (low, high).
        is_signed: whether the colors diverge.
        cell: CSS pixels of a cell, about.
    """
    if np.isfinite(values).all() and (values >= span[0]).all() and (values <= span[1]).all():
        return None
    fills = FILLS["diverging" if is_signed else "sequential"]
    unit = 1 if cell >= _SMALLEST else math.ceil(_SHARED / cell)
    kinds = kinds_of(values, span)
    patterns = "".join(_pattern(kind, fills[kind], unit) for kind in kinds)
    paths = "".join(
        f'<path fill="url(#{kind})" d="{cells_path(cells)}"/>' for kind, cells in kinds.items()
    )
    height, width = values.shape
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_PIXELS * width}" '
        f'height="{_PIXELS * height}" viewBox="0 0 {width} {height}" preserveAspectRatio="none" '
        f'shape-rendering="crispEdges"><defs>{patterns}</defs>{paths}</svg>'
    )
    return {
        "source": f"data:image/svg+xml,{quote(svg)}",
        "xref": "x",
        "yref": "y",
        "x": -0.5,
        "y": -0.5,
        "sizex": width,
        "sizey": height,
        "sizing": "stretch",
        "layer": "above",
    }


def _pattern(kind: str, fill: str, unit: int) -> str:
    path, width = FORMS[kind]
    ink = "#000" if fill in _BRIGHT else "#fff"
    return (
        f'<pattern id="{kind}" width="1" height="1" patternUnits="userSpaceOnUse" '
        f'patternTransform="scale({unit})"><path fill="{fill}" d="M0 0h1v1h-1z"/>'
        f'<path shape-rendering="auto" fill="none" stroke="{ink}" stroke-width="{width}" '
        f'd="{path}"/></pattern>'
    )


def cells_path(cells: NDArray[np.bool_]) -> str:
    """Cells as a path of SVG: a rectangle for each run of a row.

    Args:
        cells: <bool>[y, x].
    """
    runs = []
    for y, row in enumerate(cells):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(np.int8)))
        runs += [f"M{x} {y}h{end - x}v1h{x - end}z" for x, end in list(pairwise(edges))[::2]]
    return "".join(runs)
