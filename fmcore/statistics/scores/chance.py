"""Chance levels: the 95% band of a score under random labels, analytic or by permutations.

The score of a worthless filter lies outside its band in 5% of cases: about 50 of 1,000 cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.scores.labels import LabelGroups
from fmcore.statistics.scores.ranking import Ranking, tie_correction, untied_precision

LEVEL = 0.95
# scipy is imported where it is used: that takes 0.2 s, and most commands need no chance levels.

# 119 permutations and the score itself are 120 exchangeable values. The band ends at the third from
# each end, so it holds exactly 95%, not about. 199 with the fifth would be as exact and steadier
# (a tail of 2.5% +- 1.1% instead of 1.4%), for 1.7 times the work.
PERMUTATIONS = 119
BOUND_RANK = 3
SEED = 0
# Ties matter to average precision where they are many and at high values. The band ignores ties
# that together change it by less than this on average.
TIE_TOLERANCE = 1e-3
# Relative error of permuted scores, because their sums are taken in float32.
PERMUTED_ROUNDING = 1e-5
# Permuted samples that are processed together, so that they stay in the cache.
BLOCK_SAMPLES = 1 << 17
# Sorted permutations up to this size are kept; larger ones are sorted again at each use.
SORTED_BYTES = 12 << 20


@dataclass(frozen=True, eq=False)
class Permutations:
    """Random permutations of the labels, shared by all filters; classes keep their sizes.

    Attributes:
        classes: the samples grouped by their true labels.
    """

    classes: LabelGroups

    def prepare(self) -> None:
        """Computes what all filters share, before several threads use it."""
        _ = self.untied_precision

    @cached_property
    def _permuted(self) -> NDArray[np.unsignedinteger]:
        """The class of each permuted sample, an index into `present`, <uint>[permutation, sample].

        2 MB for 10,000 samples; the sorted samples would take four times as much.
        """
        random = np.random.default_rng(SEED)
        class_index = self.classes.class_index.astype(np.min_scalar_type(len(self.classes.present)))
        permuted = np.empty((PERMUTATIONS, len(class_index)), dtype=class_index.dtype)
        for row in permuted:
            row[...] = class_index[random.permutation(len(class_index))]
        return permuted

    @cached_property
    def _sorted(self) -> NDArray[np.int32]:
        return self._sort(0, PERMUTATIONS)

    def _sort(self, start: int, stop: int) -> NDArray[np.int32]:
        """The samples of some permutations, class after class, <int32>[permutation, sample]."""
        # numpy sorts integers of up to 16 bits by counting, several times as fast as wider ones.
        ordered = [np.argsort(row, kind="stable") for row in self._permuted[start:stop]]
        return np.stack(ordered).astype(np.int32)

    def blocks(self) -> Iterator[NDArray[np.int32]]:
        """All permutations, in blocks: <int32>[permutation, sample], samples class after class.

        Within a class they ascend, so that they also serve as the ranks of a random order.
        """
        rows = max(1, BLOCK_SAMPLES // self.classes.n_samples)
        small = 4 * self._permuted.size <= SORTED_BYTES
        for start in range(0, PERMUTATIONS, rows):
            stop = min(start + rows, PERMUTATIONS)
            yield self._sorted[start:stop] if small else self._sort(start, stop)

    @cached_property
    def untied_precision(self) -> NDArray[np.float64]:
        """Average precision of random orders without ties, <float64>[permutation, present]."""
        return np.concatenate([untied_precision(self.classes, ranks) for ranks in self.blocks()])

    def precision(self, first: NDArray[np.int32], end: NDArray[np.int32]) -> NDArray[np.float64]:
        """Average precision of permuted labels, with the ties of one filter.

        Args:
            first: <int32>[rank], the first rank with the same value.
            end: <int32>[rank], one after the last rank with the same value.

        Returns:
            <float64>[permutation, present].
        """
        tied = _significant_ties(first, end)
        if not tied.any():
            return self.untied_precision
        corrections = [tie_correction(self.classes, ranks, tied, end) for ranks in self.blocks()]
        return self.untied_precision + np.concatenate(corrections)

    def sums(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Sums over each permuted class.

        They are taken in float32, which is twice as fast; the error is a millionth of a band's
        width.

        Args:
            values: <float32>[sample, column].

        Returns:
            <float64>[permutation, present, column].
        """
        from scipy import sparse

        blocks = []
        for samples in self.blocks():
            rows, n_samples = samples.shape
            starts = np.arange(rows)[:, np.newaxis] * n_samples + self.classes.starts
            bounds = np.append(starts.reshape(-1), samples.size)
            shape = (starts.size, n_samples)
            membership = sparse.csr_array(
                (np.ones(samples.size, np.float32), samples.reshape(-1), bounds), shape=shape
            )
            sums = (membership @ values).astype(np.float64)
            blocks.append(sums.reshape(rows, -1, values.shape[1]))
        return np.concatenate(blocks)


def _significant_ties(first: NDArray[np.int32], end: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether the ties of a rank matter to average precision, <bool>[rank].

    Breaking the ties of a value changes average precision on average by at most
    (its samples - 1) / end for each of its samples. Values are ignored in ascending order of this
    effect, up to `TIE_TOLERANCE` in total.
    """
    effect = (end - first - 1) / end / len(end)
    if effect.sum() <= TIE_TOLERANCE:
        return np.zeros(len(end), dtype=np.bool_)
    value_effect = effect * (end - first)
    order = np.argsort(value_effect)
    n_ignored = int(np.searchsorted(np.cumsum(effect[order]), TIE_TOLERANCE, side="right"))
    smallest = value_effect[order[min(n_ignored, len(order) - 1)]]
    return (value_effect >= smallest) & (value_effect > 0)


def permutation_band(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The band of the scores of permuted labels, <float64>[bound, …].

    It is widened by the rounding of permuted sums: a sparse filter has few possible scores, and a
    score that equals a bound lies inside.

    Args:
        scores: <float64>[permutation, …].
    """
    ordered = np.sort(scores, axis=0)
    low, high = ordered[BOUND_RANK - 1], ordered[-BOUND_RANK]
    with np.errstate(invalid="ignore"):
        margin = PERMUTED_ROUNDING * np.maximum(np.abs(low), np.abs(high))
        margin = np.where(np.isfinite(margin), margin, 0)
    return np.stack([low - margin, high + margin])


def auc_band(classes: LabelGroups, ranking: Ranking) -> NDArray[np.float64]:
    """The band of ROC-AUC, <float64>[bound, filter, present].

    By the normal approximation of the Mann-Whitney U statistic, whose variance with ties is from
    Lehmann 1975, "Nonparametrics".
    """
    from scipy import special

    n, sizes = classes.n_samples, classes.sizes
    tied = (ranking.end - ranking.first).astype(np.float64)
    tie_term = ((tied**2 - 1).sum(axis=1) / (n * max(n - 1, 1)))[:, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = np.sqrt(np.maximum(n + 1 - tie_term, 0) / (12 * sizes * (n - sizes)))
    half = special.ndtri((1 + LEVEL) / 2) * deviation
    return np.clip(np.stack([0.5 - half, 0.5 + half]), 0, 1)


def f_band(n_classes: int, n_samples: int) -> NDArray[np.float64]:
    """The band of Fisher's F for `n_classes` classes and `n_samples` samples, <float64>[bound]."""
    from scipy import special

    tails = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return np.asarray(special.fdtri(n_classes - 1, n_samples - n_classes, tails))


def information_band(
    bin_sizes: NDArray[np.int64], class_sizes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The band of plug-in mutual information in bits, <float64>[bound].

    2 N ln 2 times the information follows approximately a chi-squared distribution (Wilks 1938)
    times a factor slightly above 1 (Williams 1976, "Improved likelihood ratio tests for complete
    contingency tables"), provided that the cells have large enough expected counts.

    Args:
        bin_sizes: <int64>[bin], samples of each bin, none of them zero.
        class_sizes: <int64>[class], samples of each class, none of them zero.
    """
    from scipy import special

    n = class_sizes.sum()
    tails = np.array([(1 + LEVEL) / 2, (1 - LEVEL) / 2])
    degrees = (len(bin_sizes) - 1) * (len(class_sizes) - 1)
    if not degrees:
        return np.zeros(2)  # one bin or one class: no information
    excess = ((n / bin_sizes).sum() - 1) * ((n / class_sizes).sum() - 1) / (6 * n * degrees)
    return np.asarray(special.chdtri(degrees, tails) * (1 + excess) / (2 * n * np.log(2)))
