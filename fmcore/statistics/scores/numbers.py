"""How a pooled value goes with a number of each sample: Pearson's and Spearman's correlation.

Both come with their band under permuted samples, because numbers and pooled values are seldom
normal, and often zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.scores.chance import PERMUTATIONS, SEED, permutation_band, shuffles


@dataclass(frozen=True, eq=False)
class Numbers:
    """Numbers of the samples, true ones or what a model predicts, and permutations of the samples.

    Attributes:
        values: <float64>[sample, target].
    """

    values: NDArray[np.float64]

    @cached_property
    def standardized(self) -> NDArray[np.float64]:
        """The numbers in units of their standard deviation around their mean, [target, sample]."""
        return standardized(self.values.T)

    @cached_property
    def standardized_ranks(self) -> NDArray[np.float64]:
        """Average ranks of the numbers, standardized, <float64>[target, sample]."""
        return standardized(ranks(self.values.T))

    @cached_property
    def orders(self) -> NDArray[np.int32]:
        """Random orders of the samples, <int32>[permutation, sample]."""
        random, n_samples = np.random.default_rng(SEED), len(self.values)
        return np.stack([random.permutation(n_samples) for _ in range(PERMUTATIONS)]).astype("i4")

    def prepare(self) -> None:
        """Computes what all filters share, before several threads use it."""
        _ = self.orders, self.standardized, self.standardized_ranks


@dataclass(frozen=True, slots=True, eq=False)
class NumberBlock:
    """The pooled values of some filters beside numbers of the samples.

    Attributes:
        values: <float32>[filter, sample], all finite.
        numbers: the numbers.
        first: the index of the first filter in its layer.
    """

    values: NDArray[np.float32]
    numbers: Numbers
    first: int = 0


# A score, <float64>[target, filter], and its band, <float64>[bound, target, filter].
NumberScore = tuple[NDArray[np.float64], NDArray[np.float64]]


def pearson_score(block: NumberBlock) -> NumberScore:
    """Pearson's correlation; NaN where either side does not vary."""
    return _correlate(standardized(block.values), block.numbers.standardized, block)


def spearman_score(block: NumberBlock) -> NumberScore:
    """Spearman's correlation, that of ranks, where equal values share their average rank."""
    values = standardized(ranks(block.values))
    return _correlate(values, block.numbers.standardized_ranks, block)


def _correlate(
    values: NDArray[np.float64], numbers: NDArray[np.float64], block: NumberBlock
) -> NumberScore:
    """Mean products of standardized rows, true and permuted."""
    n_filters, n_samples = values.shape
    score = np.clip(numbers @ values.T / n_samples, -1, 1)
    of_own = np.take_along_axis(values, shuffles(block.first, n_filters, n_samples), axis=1)
    # One target at a time: all permuted numbers together may take more than the pooled table.
    orders = block.numbers.orders
    permuted = np.stack([row[orders] @ of_own.T / n_samples for row in numbers], axis=1)
    return score, np.clip(permutation_band(permuted), -1, 1)


def standardized(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rows minus their mean, divided by their standard deviation; NaN for a row without any.

    Args:
        rows: <float>[row, sample].
    """
    centered = rows.astype(np.float64)
    constant = centered.min(axis=1) == centered.max(axis=1)
    centered -= centered.mean(axis=1, keepdims=True)
    deviations = np.sqrt((centered**2).mean(axis=1))
    return centered / np.where(constant | (deviations == 0), np.nan, deviations)[:, np.newaxis]


def ranks(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """The ranks of each row from 1; equal values share their average rank.

    Args:
        rows: <float>[row, sample].
    """
    # Imported here because it takes 0.4 s, which would delay every start.
    from scipy.stats import rankdata

    return np.asarray(rankdata(rows, axis=1), dtype=np.float64)
