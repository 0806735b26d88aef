"""Values beside the band in which chance would put them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fmcore.numbers import number_text


def within_chance(
    values: NDArray[np.generic], chance: NDArray[np.float64] | None, *, two_sided: bool
) -> NDArray[np.bool_]:
    """Which values their chance level spans, both ends included; none where there is no level.

    Args:
        values: [...].
        chance: <float64>[bound, ...], or None.
        two_sided: whether a value below the level is a finding; else it counts as within.
    """
    if chance is None:
        return np.zeros(values.shape, dtype=np.bool_)
    low, high = chance
    # Each comparison is false where one of the two is NaN.
    least = low if two_sided else np.where(np.isnan(low), np.nan, -np.inf)
    return (values <= high) & (values >= least)


def verdict(value: float, low: float, high: float, *, two_sided: bool) -> str:
    """A value beside chance, in words; empty where it, or its chance level, is NaN."""
    return str(verdicts(np.asarray(value), np.array([low, high]), two_sided=two_sided))


def verdicts(
    values: NDArray[np.generic], chance: NDArray[np.float64] | None, *, two_sided: bool
) -> NDArray[np.object_]:
    """Values beside chance in words, <str>[...]; empty where there is no value or no level.

    Args:
        values: [...].
        chance: <float64>[bound, ...], or None.
        two_sided: whether a value below the level is a finding; else it counts as within.
    """
    if chance is None:
        return np.full(values.shape, "", dtype=object)
    low, high = chance
    has_level = ~(np.isnan(low) | np.isnan(high))
    within = within_chance(values, chance, two_sided=two_sided)
    return np.select(
        [within, has_level & (values > high), has_level & (values < low)],
        ["within chance", "above chance", "below chance"],
        "",
    ).astype(object)


def band_words(low: float, high: float, *, two_sided: bool, digits: int = 4) -> str:
    """A chance level in words, of which only the high end counts if one-sided; a dash for none."""
    if np.isnan(low):
        return "–"
    low_text, high_text = (number_text(end, digits=digits) for end in (low, high))
    return f"{low_text} to {high_text}" if two_sided else f"up to {high_text}"
