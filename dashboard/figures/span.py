"""What colours span where several pictures share them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def span_of(tables: Iterable[NDArray[Any] | None]) -> tuple[float, float]:
    """The smallest and largest finite value of all, so that one colour means one value."""
    there = [one[np.isfinite(one)] for one in tables if one is not None]
    known = np.concatenate([np.zeros(0, np.float32), *there])
    return (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)


def about_zero(values: NDArray[Any]) -> tuple[float, float]:
    """As far to both sides of 0 as the finite value that lies farthest from it."""
    known = np.abs(values[np.isfinite(values)])
    reach = float(known.max()) if known.size else 0.0
    return -reach, reach
