"""Shares of counts, with the interval in which the share of all such samples may lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The quantile of the normal distribution for 95 %.
Z = 1.959963984540054
WILSON = (
    "95% interval (Wilson 1927): where the share may lie among all such samples, of which these "
    "are a few"
)


@dataclass(frozen=True, slots=True, eq=False)
class Proportion:
    """Shares, each from 0 to 1, with both ends of a 95 % interval; NaN where there is nothing.

    Attributes:
        value: <float64>[...].
        low: <float64>[...].
        high: <float64>[...].
    """

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def proportion(n_part: NDArray[np.int64], n_all: NDArray[np.int64]) -> Proportion:
    """Shares with 95 % intervals by Wilson's score method.

    Args:
        n_part: <int64>[...], how many have a property.
        n_all: <int64>[...], of how many; the share of none is NaN.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22 (1927), 209-212.
    """
    n = np.where(n_all > 0, n_all, np.nan).astype(np.float64)
    share, z2 = n_part / n, Z * Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # Rounding alone would move the ends of none and of all.
    low = np.where(n_part == 0, 0.0, middle - half)
    high = np.where(n_part == n_all, 1.0, middle + half)
    is_empty = np.isnan(n)
    return Proportion(share, np.where(is_empty, np.nan, low), np.where(is_empty, np.nan, high))


def f1_proportion(
    n_right: NDArray[np.int64], n_label: NDArray[np.int64], n_prediction: NDArray[np.int64]
) -> Proportion:
    """F1 scores with 95 % intervals.

    F1 = 2 J / (1 + J), where J is the share that is right of the samples that have the class as
    label or prediction or both (Jaccard's index). Of so many samples J is a plain share, so its
    interval is Wilson's, and that of F1 is what its ends become: F1 grows with J.

    Args:
        n_right: <int64>[class], samples whose label and prediction are the class.
        n_label: <int64>[class], samples whose label is the class.
        n_prediction: <int64>[class], samples whose prediction is the class.
    """
    jaccard = proportion(n_right, n_label + n_prediction - n_right)
    value, low, high = (
        2 * part / (1 + part) for part in (jaccard.value, jaccard.low, jaccard.high)
    )
    return Proportion(value, low, high)
