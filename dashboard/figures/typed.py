"""Arrays as figures carry them: their bytes, which a browser reads ten times quicker than numbers.

Not for what travels without a figure; that is `dashboard.api`.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
_SMALLER = (np.int8, np.int16, np.int32)


def typed(values: NDArray[Any]) -> dict[str, str] | list[Any]:
    """An array of any shape as plotly.js takes it; as a list where it has no such dtype.

    The same as `plotly.graph_objects` makes of it; a test holds that.
    """
    if values.dtype == np.int64 and values.size:
        values = _narrowed(values)
    name = _NAMES.get(values.dtype.name) if values.dtype.isnative else None
    if name is None or not values.size:
        listed: list[Any] = values.tolist()
        return listed
    found = {"dtype": name, "bdata": base64.b64encode(values.tobytes()).decode("ascii")}
    if values.ndim > 1:
        found["shape"] = ", ".join(map(str, values.shape))
    return found


def _narrowed(values: NDArray[np.int64]) -> NDArray[Any]:
    """In as few bytes as hold all of them, since plotly.js has no int64."""
    low, high = values.min(), values.max()
    for dtype in _SMALLER:
        about = np.iinfo(dtype)
        if about.min <= low and high <= about.max:
            return values.astype(dtype)
    return values
