"""Chance levels: the 95% band of a score under random labels, analytic or by permutations.

The score of a worthless filter lies outside its band in 5% of cases: about 50 of 1,000 cells.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

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
# Counts of what permutations have before each rank are kept up to this size; a thread sums larger
# ones again, so many permutations at a time.
COUNTS_BYTES = 16 << 20
SUMS_BYTES = 4 << 20
# From so many samples a class on, a run of equal values is quicker to sum up from what lies before
# its ends than sample by sample.
SUMMED_RUN = 0.5


@dataclass(frozen=True, eq=False)
class Permutations:
    """Random permutations of the labels, shared by all filters; classes keep their sizes.

    Attributes:
        classes: the samples grouped by their true labels.
    """

    classes: LabelGroups

    def prepare(self) -> None:
        """Computes what all filters share, before several threads use it."""
        _ = self.untied_precision, self._counts

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

    def blocks(self, most: int = PERMUTATIONS) -> Iterator[NDArray[np.int32]]:
        """All permutations, in blocks: <int32>[permutation, sample], samples class after class.

        Within a class they ascend, so that they also serve as the ranks of a random order.

        Args:
            most: the largest number of permutations in a block.
        """
        rows = max(1, min(most, BLOCK_SAMPLES // self.classes.n_samples))
        small = 4 * self._permuted.size <= SORTED_BYTES
        for start in range(0, PERMUTATIONS, rows):
            stop = min(start + rows, PERMUTATIONS)
            yield self._sorted[start:stop] if small else self._sort(start, stop)

    @cached_property
    def _counts(self) -> NDArray[np.unsignedinteger] | None:
        """The counts before all ranks, <uint>[rank, permutation, present]; None if too large."""
        n_samples, sizes = self.classes.n_samples, self.classes.sizes
        dtype = np.min_scalar_type(sizes.max())
        shape = n_samples, PERMUTATIONS, len(sizes)
        if math.prod(shape) * dtype.itemsize > COUNTS_BYTES:
            return None
        counts, row = np.empty(shape, dtype), 0
        for block, _ in self.sums_before(np.arange(n_samples), precision=False):
            counts[:, row : row + block.shape[1]] = block
            row += block.shape[1]
        return counts

    def count_tables(
        self, ranks: NDArray[np.integer]
    ) -> tuple[NDArray[np.integer], Iterator[NDArray[np.integer]]]:
        """Tables of how many samples of each permuted class come before some ranks.

        Args:
            ranks: <int>[...], each in `range(n_samples)`.

        Returns:
            Where each of the ranks lies in a table, <int>[...]; and a table for some permutations
            after the other, <int>[place, permutation, present].
        """
        if self._counts is not None:
            return ranks, iter([self._counts])
        places, indices = np.unique(ranks, return_inverse=True)
        return indices, (counts for counts, _ in self.sums_before(places, precision=False))

    def sums_before(
        self, places: NDArray[np.integer], *, precision: bool
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """What permuted orders without ties have before some ranks, in blocks.

        Args:
            places: <int>[place], ranks, ascending.
            precision: whether to sum precision, else only samples are counted.

        Yields:
            For some permutations after the other, the number of samples of each class, <int64>, and
            the sum of the precision at each of them, <float64>[place, permutation, present].
        """
        classes, n_present = self.classes, len(self.classes.present)
        # The first place that comes after each rank.
        after = np.searchsorted(places, np.arange(classes.n_samples), side="right")
        most = SUMS_BYTES // (8 * n_present * (len(places) + 1))
        for ranks in self.blocks(most):
            rows = len(ranks)
            cells = after[ranks] * rows + np.arange(rows)[:, np.newaxis]
            cells *= n_present
            cells += classes.class_index
            size = (len(places) + 1) * rows * n_present

            def sums(weights: Any, cells: Any = cells, size: int = size, rows: int = rows) -> Any:
                parts = np.bincount(cells.reshape(-1), weights, minlength=size)
                parts = parts.reshape(-1, rows, n_present)[: len(places)]
                return np.cumsum(parts, axis=0, out=parts)

            weights = (classes.running_count / (ranks + 1)).reshape(-1) if precision else None
            counts = sums(None)
            yield counts, sums(weights) if precision else counts

    @cached_property
    def untied_precision(self) -> NDArray[np.float64]:
        """Average precision of random orders without ties, <float64>[permutation, present]."""
        return np.concatenate([untied_precision(self.classes, ranks) for ranks in self.blocks()])

    def precision(self, first: NDArray[np.int32], end: NDArray[np.int32]) -> NDArray[np.float64]:
        """Average precision of permuted labels, with the ties of each filter.

        Args:
            first: <int32>[filter, rank], the first rank with the same value.
            end: <int32>[filter, rank], one after the last rank with the same value.

        Returns:
            <float64>[permutation, filter, present].
        """
        result = np.repeat(self.untied_precision[:, np.newaxis], len(first), axis=1)
        tied = significant_ties(first, end)
        summed = tied & (end - first > SUMMED_RUN * len(self.classes.present))
        filters, ranks = np.nonzero(summed & (first == np.arange(first.shape[1])))
        if len(filters):
            self._add_runs(result, filters, ranks, end[filters, ranks])
        visited = tied & ~summed
        for index in np.flatnonzero(visited.any(axis=1)):
            corrections = [
                tie_correction(self.classes, orders, visited[index], end[index])
                for orders in self.blocks()
            ]
            result[:, index] += np.concatenate(corrections)
        return result

    def _add_runs(
        self,
        precision: NDArray[np.float64],
        filters: NDArray[np.intp],
        first: NDArray[np.intp],
        end: NDArray[np.int32],
    ) -> None:
        """Adds the change that runs of equal values make to average precision without ties.

        All samples of a run count with the precision at its end, instead of each with its own.

        Args:
            precision: <float64>[permutation, filter, present], to which it is added.
            filters: <intp>[run], the filter of each run, ascending.
            first: <intp>[run], the first rank of each run.
            end: <int32>[run], one after its last rank.
        """
        places, indices = np.unique(np.concatenate([first, end]), return_inverse=True)
        starts, ends = np.split(indices, 2)
        row = 0
        for counts, sums in self.sums_before(places, precision=True):
            of_filters = precision[row : row + counts.shape[1]].swapaxes(0, 1)
            row += counts.shape[1]
            step = max(1, SUMS_BYTES // (8 * counts[0].size))
            for start in range(0, len(filters), step):
                runs = slice(start, start + step)
                before, after = starts[runs], ends[runs]
                inside = counts[after]
                changes = inside / end[runs, np.newaxis, np.newaxis]
                changes *= np.subtract(inside, counts[before], out=inside)
                changes -= sums[after]
                changes += sums[before]
                changed, at = np.unique(filters[runs], return_index=True)
                of_filters[changed] += np.add.reduceat(changes, at) / self.classes.sizes

    def sums(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sums over each permuted class.

        They are taken in float32, which is twice as fast; the error is a millionth of a band's
        width.

        Args:
            values: <float32>[sample, column].

        Returns:
            <float32>[permutation, present, column].
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
            sums = membership @ values
            blocks.append(sums.reshape(rows, -1, values.shape[1]))
        return np.concatenate(blocks)


def significant_ties(first: NDArray[np.int32], end: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether the ties of a rank matter to average precision, <bool>[filter, rank].

    Breaking the ties of a value changes average precision on average by at most
    (its samples - 1) / end for each of its samples. Values are ignored in ascending order of this
    effect, up to `TIE_TOLERANCE` in total.

    Args:
        first: <int32>[filter, rank], the first rank with the same value.
        end: <int32>[filter, rank], one after the last rank with the same value.
    """
    n_samples = end.shape[1]
    effect = (end - first - 1) / end / n_samples
    value_effect = effect * (end - first)
    order = np.argsort(value_effect, axis=1)
    totals = np.cumsum(np.take_along_axis(effect, order, axis=1), axis=1)
    n_ignored = (totals <= TIE_TOLERANCE).sum(axis=1)
    smallest = np.take_along_axis(order, np.minimum(n_ignored, n_samples - 1)[:, np.newaxis], 1)
    smallest = np.take_along_axis(value_effect, smallest, axis=1)
    matters = effect.sum(axis=1, keepdims=True) > TIE_TOLERANCE
    return (value_effect >= smallest) & (value_effect > 0) & matters


def permutation_band(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """The band of the scores of permuted labels, <float64>[bound, …].

    It is widened by the rounding of permuted sums: a sparse filter has few possible scores, and a
    score that equals a bound lies inside.

    Args:
        scores: <float>[permutation, …].
    """
    ordered = np.sort(scores, axis=0)
    low, high = ordered[[BOUND_RANK - 1, -BOUND_RANK]].astype(np.float64)
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
