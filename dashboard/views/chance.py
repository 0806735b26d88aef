"""Values beside the band in which chance would put them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def within_chance(
    values: NDArray[np.generic], chance: NDArray[np.float64] | None
) -> NDArray[np.bool_]:
    """Which values their chance level spans, both ends included; none where there is no level.

    Args:
        values: [...].
        chance: <float64>[bound, ...], or None.
    """
    if chance is None:
        return np.zeros(values.shape, dtype=np.bool_)
    return (values >= chance[0]) & (values <= chance[1])  # false where one of them is NaN


def verdict(value: float, low: float, high: float) -> str:
    """The same of one value in words; empty where it, or its chance level, is NaN."""
    if value < low:
        return "below chance"
    if value > high:
        return "above chance"
    return "within chance" if low <= value <= high else ""


def verdicts(
    values: NDArray[np.generic], chance: NDArray[np.float64] | None
) -> NDArray[np.object_]:
    """The same of many, <str>[...]; empty where there is no value or no level."""
    if chance is None:
        return np.full(values.shape, "", dtype=object)
    low, high = chance
    return np.select(
        [values < low, values > high, within_chance(values, chance)],
        ["below chance", "above chance", "within chance"],
        "",
    ).astype(object)
