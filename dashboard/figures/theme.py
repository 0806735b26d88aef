"""What all figures share: every color in both schemes, its span, and how arrays travel.

Arrays travel as their bytes, which a browser reads ten times quicker than numbers. Not so what
travels without a figure; that is `dashboard.api`.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plotly.colors import get_colorscale

# What plotly.js draws: `data`, a dictionary for each trace, and `layout`.
Figure = dict[str, Any]
Trace = dict[str, Any]

# In full: plotly.js has others of the same names.
SEQUENTIAL = get_colorscale("Viridis")
DIVERGING = get_colorscale("RdBu_r")
# What plotly.js calls the dtypes that it reads.
_NAMES = {
    "int8": "i1",
    "uint8": "u1",
    "int16": "i2",
    "uint16": "u2",
    "int32": "i4",
    "uint32": "u4",
    "float32": "f4",
    "float64": "f8",
}
# Pixels to the right of a picture for its color bar, the numbers and the title.
COLOR_BAR = 94
# Of axes and color bars: 2e-11, which Plotly would call 20p.
_NUMBERS: dict[str, Any] = {"exponentformat": "e", "separatethousands": True}
_SMALLER = (np.int8, np.int16, np.int32)


@dataclass(frozen=True, slots=True)
class Theme:
    """Colors of one scheme.

    Attributes:
        text: for titles, ticks and names.
        faint: for grid lines, and bars that are not meant.
        accent: for what is selected.
        other: for what the selected is compared with.
        good: for what is right.
        bad: for what is wrong.
        ground: of the page, behind figures.
    """

    text: str
    faint: str
    accent: str
    other: str
    good: str
    bad: str
    ground: str


LIGHT = Theme(
    text="#212529",
    faint="#ced4da",
    accent="#e8590c",
    other="#1971c2",
    good="#2b8a3e",
    bad="#c92a2a",
    ground="#ffffff",
)
DARK = Theme(
    text="#dee2e6",
    faint="#495057",
    accent="#ff922b",
    other="#74c0fc",
    good="#51cf66",
    bad="#ff8787",
    ground="#242424",
)


def theme_for(scheme: str | None) -> Theme:
    """The colors of a scheme, `light` or `dark`."""
    return DARK if scheme == "dark" else LIGHT


def base_figure(
    theme: Theme, traces: Sequence[Trace], *, margin: Mapping[str, int | bool], **layout: Any
) -> Figure:
    """A figure on a transparent ground, in the page's font.

    Args:
        theme: the colors.
        traces: what is drawn; arrays in them may be NumPy's.
        margin: in CSS pixels.
        layout: its further properties.
    """
    return {
        "data": [
            {
                name: typed(value) if isinstance(value, np.ndarray) else value
                for name, value in trace.items()
            }
            for trace in traces
        ],
        "layout": {
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"color": theme.text, "size": 12, "family": "system-ui, sans-serif"},
            "margin": margin,
            "modebar": {
                "bgcolor": "rgba(0,0,0,0)",
                "color": theme.faint,
                "activecolor": theme.text,
            },
            "hoverlabel": {"font": {"family": "ui-monospace, monospace", "size": 12}},
            **{name: _NUMBERS | axis if _is_axis(name) else axis for name, axis in layout.items()},
        },
    }


def _is_axis(name: str) -> bool:
    return name.startswith(("xaxis", "yaxis"))


def plain(name: str) -> str:
    """A name out of a store, so that Plotly shows it as it is and reads no markup in it."""
    return html.escape(name, quote=False)


def color_scale(low: float, high: float, *, neutral: float | None = None) -> dict[str, Any]:
    """Color scale and limits of values.

    Diverging about the value that means nothing, where there is one; else about zero where some are
    negative.
    """
    if neutral is not None or low < 0:
        middle = neutral or 0.0
        reach = max(middle - low, high - middle) or 1.0
        return {"colorscale": DIVERGING, "zmin": middle - reach, "zmax": middle + reach}
    # A constant picture still needs a span, or Plotly chooses one about it.
    return {"colorscale": SEQUENTIAL, "zmin": low, "zmax": high if high > low else low + 1.0}


def color_bar(title: str) -> dict[str, Any]:
    """A slim color bar with a title, at one distance from a picture of any width."""
    text = {"text": title, "side": "right"}
    return _NUMBERS | {"title": text, "thickness": 12, "outlinewidth": 0, "x": 1, "xpad": 14}


def span_of(tables: Iterable[NDArray[Any] | None]) -> tuple[float, float]:
    """The smallest and largest finite value of all, so that one color means one value."""
    finite = [table[np.isfinite(table)] for table in tables if table is not None]
    values = np.concatenate([np.zeros(0, np.float32), *finite])
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)


def about_zero(values: NDArray[Any]) -> tuple[float, float]:
    """As far to both sides of 0 as the finite value that lies farthest from it."""
    sizes = np.abs(values[np.isfinite(values)])
    reach = float(sizes.max()) if sizes.size else 0.0
    return -reach, reach


def typed(values: NDArray[Any]) -> dict[str, str] | list[Any]:
    """An array of any shape as plotly.js takes it; as a list where it has no such dtype.

    It is what `plotly.graph_objects` makes of the array; a test holds that.
    """
    if values.dtype == np.int64 and values.size:
        values = _narrowed(values)
    name = _NAMES.get(values.dtype.name) if values.dtype.isnative else None
    if name is None or not values.size:
        numbers: list[Any] = values.tolist()
        return numbers
    record = {"dtype": name, "bdata": base64.b64encode(values.tobytes()).decode("ascii")}
    if values.ndim > 1:
        record["shape"] = ", ".join(map(str, values.shape))
    return record


def _narrowed(values: NDArray[np.int64]) -> NDArray[Any]:
    """Integers in as few bytes as hold all of them, since plotly.js has no int64."""
    low, high = values.min(), values.max()
    for dtype in _SMALLER:
        limits = np.iinfo(dtype)
        if limits.min <= low and high <= limits.max:
            return values.astype(dtype)
    return values
