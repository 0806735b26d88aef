"""How large a score is when labels mean nothing: 95% bands, analytic or by permuted labels.

A score of no worth lies outside its band in 5% of cases, so of 1,000 cells about 50 do by chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.scores.labels import LabelGroups
from fmcore.statistics.scores.ranking import Ranking, change_by_ties, untied_precision

LEVEL = 0.95
# scipy is imported where it is used: it takes 0.2 s, and most commands need no chance.

# 119 permutations and the score itself are 120 values of the same kind, and 3 of them lie beyond
# the third from each end: the band holds 95% exactly, not about. 199 with the fifth would be as
# exact, and steadier (a tail of 2.5% +- 1.1% in place of 1.4%), for 1.7 times the work.
PERMUTATIONS = 119
BEYOND = 3
SEED = 0
# Ties matter to average precision where they are many and far up. The band leaves out those that
# move it by less than this on average, all together.
TIES_THAT_MATTER = 1e-3
# How far permuted scores may be off, as a share of them: their sums are taken in float32.
PERMUTED_ROUNDING = 1e-5
# Samples of permutations that are looked at together: what stays in the cache.
CACHED = 1 << 17
# Permutations up to so many bytes are kept sorted; of more samples they are sorted when needed.
KEPT_BYTES = 12 << 20


@dataclass(frozen=True, eq=False)
class Permutations:
    """Labels that are dealt out anew, the same for all filters; classes keep their sizes.

    Attributes:
        classes: the samples and their true labels.
    """

    classes: LabelGroups

    def prepare(self) -> None:
        """Deals now what all filters share, so that threads find it done."""
        _ = self.untied_precision

    @cached_property
    def _dealt(self) -> NDArray[np.unsignedinteger]:
        """The class of each sample, by its place in `present`, <uint>[permutation, sample].

        2 MB for 10,000 samples; their order class after class would be four times as large.
        """
        random = np.random.default_rng(SEED)
        place = self.classes.place.astype(np.min_scalar_type(len(self.classes.present)))
        dealt = np.empty((PERMUTATIONS, len(place)), dtype=place.dtype)
        for row in dealt:
            row[...] = place[random.permutation(len(place))]
        return dealt

    @cached_property
    def _sorted(self) -> NDArray[np.int32]:
        return self._samples(0, PERMUTATIONS)

    def _samples(self, start: int, stop: int) -> NDArray[np.int32]:
        # Numbers of up to 16 bits are sorted by counting, several times as fast as any others.
        ordered = [np.argsort(row, kind="stable") for row in self._dealt[start:stop]]
        return np.stack(ordered).astype(np.int32)

    def few(self) -> Iterator[NDArray[np.int32]]:
        """Some permutations at a time: <int32>[permutation, sample], samples class after class.

        Within a class they ascend, so that they also stand for the ranks of a random order.
        """
        rows = max(1, CACHED // self.classes.n_samples)
        small = 4 * self._dealt.size <= KEPT_BYTES
        for start in range(0, PERMUTATIONS, rows):
            stop = min(start + rows, PERMUTATIONS)
            yield self._sorted[start:stop] if small else self._samples(start, stop)

    @cached_property
    def untied_precision(self) -> NDArray[np.float64]:
        """Average precision of a random order without ties, <float64>[permutation, present]."""
        return np.concatenate([untied_precision(self.classes, ranks) for ranks in self.few()])

    def precision(self, first: NDArray[np.int32], end: NDArray[np.int32]) -> NDArray[np.float64]:
        """Average precision of random labels under the ties of one filter, both <int32>[rank].

        Returns:
            <float64>[permutation, present].
        """
        matters = _ties_that_matter(first, end)
        if not matters.any():
            return self.untied_precision
        changes = [change_by_ties(self.classes, ranks, matters, end) for ranks in self.few()]
        return self.untied_precision + np.concatenate(changes)

    def sums(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Sums over each permuted class, of [sample, column]: [permutation, present, column].

        Taken in float32, which is twice as fast, and a millionth of a band's width.
        """
        from scipy import sparse

        found = []
        for dealt in self.few():
            rows, n_samples = dealt.shape
            starts = np.arange(rows)[:, np.newaxis] * n_samples + self.classes.starts
            bounds = np.append(starts.reshape(-1), dealt.size)
            shape = (starts.size, n_samples)
            chosen = sparse.csr_array(
                (np.ones(dealt.size, np.float32), dealt.reshape(-1), bounds), shape=shape
            )
            sums = (chosen @ values).astype(np.float64)
            found.append(sums.reshape(rows, -1, values.shape[1]))
        return np.concatenate(found)


def _ties_that_matter(first: NDArray[np.int32], end: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which ranks share their value with others in a way that matters, <bool>[rank].

    Breaking the ties of a value moves average precision by no more than (its samples - 1) / end for
    each of them on average. Values are left out from the smallest effect on.
    """
    effect = (end - first - 1) / end / len(end)
    if effect.sum() <= TIES_THAT_MATTER:
        return np.zeros(len(end), dtype=np.bool_)
    of_value = effect * (end - first)
    order = np.argsort(of_value)
    left_out = int(np.searchsorted(np.cumsum(effect[order]), TIES_THAT_MATTER, side="right"))
    smallest = of_value[order[min(left_out, len(order) - 1)]]
    return (of_value >= smallest) & (of_value > 0)


def band_of(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The band of scores of permuted labels, <float64>[permutation, …]: <float64>[bound, …].

    Wider by the rounding of permuted sums: a sparse filter has few scores it can take, and one that
    equals a bound lies within.
    """
    ordered = np.sort(scores, axis=0)
    low, high = ordered[BEYOND - 1], ordered[-BEYOND]
    with np.errstate(invalid="ignore"):
        margin = PERMUTED_ROUNDING * np.maximum(np.abs(low), np.abs(high))
        margin = np.where(np.isfinite(margin), margin, 0)
    return np.stack([low - margin, high + margin])


def auc_band(classes: LabelGroups, ranking: Ranking) -> NDArray[np.float64]:
    """The band of ROC-AUC, <float64>[bound, filter, present].

    Mann-Whitney's U is about normal; its variance with ties after Lehmann 1975, "Nonparametrics".
    """
    from scipy import special

    n, sizes = classes.n_samples, classes.sizes
    tied = (ranking.end - ranking.first).astype(np.float64)
    lost = ((tied**2 - 1).sum(axis=1) / (n * max(n - 1, 1)))[:, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(np.maximum(n + 1 - lost, 0) / (12 * sizes * (n - sizes)))
    half = special.ndtri((1 + LEVEL) / 2) * spread
    return np.clip(np.stack([0.5 - half, 0.5 + half]), 0, 1)


def f_band(n_classes: int, n_samples: int) -> NDArray[np.float64]:
    """The band of Fisher's F of that many classes and samples, <float64>[bound]."""
    from scipy import special

    tails = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return np.asarray(special.fdtri(n_classes - 1, n_samples - n_classes, tails))


def information_band(
    of_bins: NDArray[np.int64], of_classes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The band of plug-in mutual information in bits, <float64>[bound].

    2 N ln 2 times it is about chi-squared (Wilks 1938) times a little more than 1 (Williams 1976,
    "Improved likelihood ratio tests for complete contingency tables"), where cells hold enough.

    Args:
        of_bins: <int64>[bin], samples of each bin, none of them zero.
        of_classes: <int64>[class], samples of each class, none of them zero.
    """
    from scipy import special

    n = of_classes.sum()
    above = np.array([(1 + LEVEL) / 2, (1 - LEVEL) / 2])
    degrees = (len(of_bins) - 1) * (len(of_classes) - 1)
    if not degrees:
        return np.zeros(2)  # nothing can be told of anything
    more = ((n / of_bins).sum() - 1) * ((n / of_classes).sum() - 1) / (6 * n * degrees)
    return np.asarray(special.chdtri(degrees, above) * (1 + more) / (2 * n * np.log(2)))
