"""Chance levels: the 95% band of a score under permuted labels.

The score of a worthless filter lies outside its band in 5% of cases, or fewer where it can take few
values. That follows from the permutations alone, so it holds whatever the distribution of a filter
and whatever the sizes of the classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.scores.kernels import permuted_scores, shuffle
from fmcore.statistics.scores.labels import LabelGroups
from fmcore.statistics.scores.ranking import Ranking
from fmcore.statistics.streaming.kernels import compiled

LEVEL = 0.95
# 119 permutations and the score itself are 120 exchangeable values. The band ends at the third from
# each end, or at the sixth from above, so it holds exactly 95%, not about. 199 with the fifth would
# be as exact and steadier (a tail of 2.5% +- 1.1% instead of 1.4%), for 1.7 times the work.
PERMUTATIONS = 119
BOUND_RANK = 3
SEED = 0
# Scores that are equal may differ by so much, and by this share of them, because their sums are
# taken in another order. Where a class hardly varies, its variance has few digits.
ROUNDING = 1e-12
D_PRIME_ROUNDING = 1e-7
# Binary digits of an end, rounded outward: the tables of bands then deflate to a third. It widens a
# band by less than a hundredth up to a million samples.
DIGITS = 16


@dataclass(frozen=True, eq=False)
class Permutations:
    """Random permutations of the labels; classes keep their sizes.

    All filters share them, and each begins from an order of the samples of its own, see `shuffles`.

    Attributes:
        classes: the samples grouped by their true labels.
    """

    classes: LabelGroups

    def prepare(self) -> None:
        """Computes what all filters share, before several threads use it.

        Raises:
            MissingLibraryError: if numba is not installed.
        """
        _ = self.labels, compiled(shuffle), compiled(permuted_scores)

    @cached_property
    def labels(self) -> NDArray[np.unsignedinteger]:
        """The class of each permuted sample, an index into `present`, <uint>[permutation, sample].

        1.2 MB for 10,000 samples and up to 255 classes.
        """
        random = np.random.default_rng(SEED)
        class_index = self.classes.class_index.astype(np.min_scalar_type(len(self.classes.present)))
        permuted = np.empty((PERMUTATIONS, len(class_index)), dtype=class_index.dtype)
        for row in permuted:
            row[...] = class_index[random.permutation(len(class_index))]
        return permuted


def shuffles(first: int, n_filters: int, n_samples: int) -> NDArray[np.uint32]:
    """A random order of the samples for each filter, <uint32>[filter, sample].

    Filters that began from one order would share the errors of the permutations: for given labels,
    0 to 7% of noise then lay outside the band of a class, not 5%.

    Args:
        first: the index of the first filter in its layer; a filter has the same order in any block.
        n_filters: the number of filters.
        n_samples: the number of samples.
    """
    numbers = np.random.PCG64([SEED, 1]).advance(first * n_samples)
    orders = np.empty((n_filters, n_samples), np.uint32)
    compiled(shuffle)(np.random.Generator(numbers).random(orders.shape), orders)
    return orders


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """The ends of the bands of the scores of a block of filters.

    Attributes:
        auc: of ROC-AUC, <float64>[bound, filter, present].
        precision: of average precision, <float64>[bound, filter, present].
        d_prime: of d′, <float64>[bound, filter, present].
        eta_squared: the high end of η², <float64>[filter].
        selectivity: the high end of the class selectivity index, <float64>[filter].
        cells: the high end of the sum over cells of which mutual information is made, see
            `cell_terms`, <float64>[filter].
    """

    auc: NDArray[np.float64]
    precision: NDArray[np.float64]
    d_prime: NDArray[np.float64]
    eta_squared: NDArray[np.float64]
    selectivity: NDArray[np.float64]
    cells: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        permutations: Permutations,
        ranking: Ranking,
        values: NDArray[np.float64],
        mean: NDArray[np.float64],
        *,
        first: int,
        n_bins: int,
        rounding: float,
    ) -> Self:
        """Computes the scores of all permutations.

        Args:
            permutations: permutations of the samples' labels.
            ranking: the ranking of the samples for each filter.
            values: <float64>[filter, sample], differences from the mean.
            mean: <float64>[filter], the mean.
            first: the index of the first filter in its layer.
            n_bins: the number of bins for mutual information.
            rounding: a difference of squares below this share of them counts as zero.
        """
        classes = permutations.classes
        n_filters, n_samples = values.shape
        kept = (BOUND_RANK, n_filters, 3, len(classes.sizes))
        smallest, largest = np.full(kept, np.inf), np.full(kept, -np.inf)
        eta_squared, selectivity, cells = (np.empty((PERMUTATIONS, n_filters)) for _ in range(3))
        with np.errstate(all="ignore"):
            shares = 1 / np.stack([classes.sizes, n_samples - classes.sizes]).astype(np.float64)
            compiled(permuted_scores)(
                permutations.labels,
                classes.sizes.astype(np.uint32),
                shares,
                shuffles(first, n_filters, n_samples),
                np.take_along_axis(values, ranking.order, axis=1),
                mean,
                ranking.end,
                n_bins,
                cell_terms(np.arange(classes.sizes.max() + 1)),
                rounding,
                smallest,
                largest,
                eta_squared,
                selectivity,
                cells,
            )
        both = (
            two_sided(smallest[0, :, score], largest[0, :, score], rounding=share)
            for score, share in enumerate((ROUNDING, ROUNDING, D_PRIME_ROUNDING))
        )
        highs = (high_end(permuted) for permuted in (eta_squared, selectivity, cells))
        return cls(*both, *highs)


def cell_terms(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """What a pair of bin and class adds to mutual information and its bias, <float64>[...].

    That is c log c for the information, and -1/2 for the correction of Miller and Madow, which
    counts the pairs that have samples.

    Args:
        counts: <int>[...], the samples of a pair.
    """
    return counts * np.log(np.maximum(counts, 1)) - (counts > 0) / 2


def two_sided(
    low: NDArray[np.float64], high: NDArray[np.float64], *, rounding: float = ROUNDING
) -> NDArray[np.float64]:
    """A band, <float64>[bound, …], wide enough that a score that equals an end lies inside.

    Args:
        low: <float64>[…], the low end.
        high: <float64>[…], the high end.
        rounding: the share of it by which a score may differ from an equal one.
    """
    return np.stack([-_outward(-low, rounding), _outward(high, rounding)])


def one_sided(least: float | NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """The band of a score of which only a large one says anything, <float64>[bound, …].

    Args:
        least: the smallest value that the score can have, which no score is below.
        high: <float64>[…], the high end.
    """
    return np.stack([np.broadcast_to(least, high.shape), _outward(high, ROUNDING)])


def _outward(high: NDArray[np.float64], rounding: float) -> NDArray[np.float64]:
    """The next larger number of few digits, <float64>[…]; an infinite one stays as it is.

    Near 1 or -1, the largest value of many scores, the digits are those of the distance from it.
    """
    is_finite = np.isfinite(high)
    wide = np.where(is_finite, high, 0)
    wide = wide + rounding * np.abs(wide) + ROUNDING
    _, exponent = np.frexp(np.minimum(np.abs(wide), np.abs(1 - np.abs(wide))))
    return np.where(
        is_finite, np.ldexp(np.ceil(np.ldexp(wide, DIGITS - exponent)), exponent - DIGITS), high
    )


def high_end(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The high end of the band of a score of which only a large one says anything, <float64>[…].

    Args:
        scores: <float64>[permutation, …], those of permuted labels.
    """
    place = len(scores) - 2 * BOUND_RANK
    return np.asarray(np.partition(scores, place, axis=0)[place])


def permutation_band(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The band of the scores of permuted samples, <float64>[bound, …].

    Args:
        scores: <float64>[permutation, …].
    """
    places = BOUND_RANK - 1, len(scores) - BOUND_RANK
    ordered = np.partition(scores, places, axis=0)
    return two_sided(ordered[places[0]], ordered[places[1]])
