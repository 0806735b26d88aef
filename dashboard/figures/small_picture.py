"""A map as a small picture in colors, where a figure with axes would be too much."""

from __future__ import annotations

import base64
import io
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plotly.colors import unlabel_rgb

from dashboard.figures.theme import DIVERGING, color_scale

# Cells each way of a picture, at most; a larger map shows every so many of its values.
MOST_CELLS = 64
# The last of a palette's 256 colors is for what has no value: the gray of the wall's NaN.
N_COLORS = 255
NO_VALUE = (119, 85, 85)


def picture_url(
    values: NDArray[np.float32], span: tuple[float, float], *, signed: bool = False
) -> str:
    """A `data:` address of a PNG of a map, a pixel for each value.

    Args:
        values: <float32>[y, x].
        span: what the colors span, (low, high).
        signed: colors about zero, though the span may lie on one side of it.
    """
    from PIL import Image  # at the first picture: the server answers before

    scale = color_scale(*span, neutral=0.0 if signed else None)
    low, high = scale["zmin"], scale["zmax"]
    step = -(-max(values.shape) // MOST_CELLS)
    cells = values[::step, ::step]
    with np.errstate(invalid="ignore", over="ignore"):
        places = np.round((cells.astype(np.float64) - low) / (high - low) * (N_COLORS - 1))
    places = np.where(np.isfinite(cells), np.clip(places, 0, N_COLORS - 1), N_COLORS)
    picture, file = Image.fromarray(places.astype(np.uint8), "P"), io.BytesIO()
    picture.putpalette(_palette(scale["colorscale"] is DIVERGING))
    picture.save(file, "PNG", compress_level=6)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


@cache
def _palette(is_diverging: bool) -> bytes:
    """The colors of all places of a scale, three bytes for each."""
    scale: Any = color_scale(-1.0 if is_diverging else 0.0, 1.0)["colorscale"]
    places = [place for place, _ in scale]
    colors = np.array([_rgb(color) for _, color in scale])
    at = np.linspace(0, 1, N_COLORS)
    parts = [np.interp(at, places, colors[:, part]) for part in range(3)]
    every = np.vstack([np.stack(parts, axis=1), [NO_VALUE]])
    return np.round(every).astype(np.uint8).tobytes()


def _rgb(color: str) -> tuple[float, float, float]:
    if color.startswith("#"):
        red, green, blue = (float(int(color[at : at + 2], 16)) for at in (1, 3, 5))
        return red, green, blue
    parts: tuple[float, float, float] = unlabel_rgb(color)
    return parts
