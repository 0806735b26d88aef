"""Numbers in colored cells: what is in a table as a picture, on the scale of all figures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from plotly.colors import unlabel_rgb

from dashboard.figures.theme import DIVERGING

_ANCHORS = np.array([unlabel_rgb(color) for _, color in DIVERGING])
# Shares of red, green and blue in how light a color is (Rec. 709), and where black is read better.
_LIGHT, _MIDDLE = np.array([0.2126, 0.7152, 0.0722]), 0.179


def cell_styles(values: NDArray[np.floating], reach: float) -> list[dict[str, str]]:
    """The style of a cell for each value: its color about zero, and ink that is read on it.

    Args:
        values: of any shape; not finite ones have no color.
        reach: the size of a value that has the last color of the scale.
    """
    shares = np.clip(np.nan_to_num(values.reshape(-1)) / (reach or 1.0), -1, 1) / 2 + 0.5
    places = np.linspace(0, 1, len(_ANCHORS))
    colors = np.stack([np.interp(shares, places, part) for part in _ANCHORS.T], axis=1).round()
    linear = ((colors / 255 + 0.055) / 1.055) ** 2.4  # of sRGB, but for the darkest
    inks = np.where(linear @ _LIGHT > _MIDDLE, "#000", "#fff")
    is_finite = np.isfinite(values.reshape(-1))
    return [
        {"background": "rgb({} {} {})".format(*map(round, color)), "color": str(ink)}
        if fits
        else {}
        for color, ink, fits in zip(colors, inks, is_finite, strict=True)
    ]


def largest_size(values: NDArray[np.floating]) -> float:
    """The largest size of a finite value, which colors reach; 0 where there is none."""
    sizes = np.abs(values[np.isfinite(values)])
    return float(sizes.max()) if sizes.size else 0.0
