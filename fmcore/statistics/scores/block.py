"""A block of filters of one pooled table, and the sums and ranks that its scores share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.health import dead_filters
from fmcore.statistics.scores.chance import Bands, Permutations
from fmcore.statistics.scores.labels import LabelGroups
from fmcore.statistics.scores.ranking import Ranking
from fmcore.statistics.streaming.moments import Moments

MOST_BINS = 32
# A cell is a pair of bin and class. There are fewer bins if cells would have fewer samples than
# this on average.
CELL_SAMPLES = 5
# A difference of squares below this share of them is rounding: 16 digits less what sums lose.
ROUNDING = 1e-13
# A score, <float64>[filter] or [filter, present], and its chance band, <float64>[bound, …].
Score = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class Filters:
    """What scores need to know about the filters of a layer beyond the pooled tables.

    Attributes:
        dead: <bool>[filter], whether all activations are the same.
        non_negative: <bool>[filter], whether no activation is below zero.
        first: the index of the first of them in its layer.
    """

    dead: NDArray[np.bool_]
    non_negative: NDArray[np.bool_]
    first: int = 0

    @classmethod
    def of(
        cls,
        low: NDArray[np.float64],
        high: NDArray[np.float64],
        n_nonfinite: NDArray[np.int64],
    ) -> Filters:
        """From the range of the finite activations, and the number of others.

        Args:
            low: <float64>[class, filter], the smallest finite activation; NaN where there is none.
            high: <float64>[class, filter], the largest finite activation; NaN where there is none.
            n_nonfinite: <int64>[class, filter], the number of NaN and infinite activations.
        """
        with np.errstate(invalid="ignore"):
            return cls(dead_filters(low, high, n_nonfinite), ~np.any(low < 0, axis=0))

    def part(self, columns: slice) -> Filters:
        """What is known about some of the filters."""
        start = self.first + columns.start
        return Filters(self.dead[columns], self.non_negative[columns], start)

    @classmethod
    def of_moments(cls, moments: Moments) -> Filters:
        """From the moments of a capture."""
        return cls.of(moments.min, moments.max, moments.n_nonfinite)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The pooled values of some filters, and what all of their scores share.

    Attributes:
        classes: the samples grouped by label.
        filters: what is known about these filters.
        deviations: <float64>[filter, sample], differences of the pooled values from their mean.
        mean: <float64>[filter], the mean over all samples.
        ranking: the ranking of the samples for each filter.
        n_bins: the number of bins for mutual information.
        bands: the chance bands.
    """

    classes: LabelGroups
    filters: Filters
    deviations: NDArray[np.float64]
    mean: NDArray[np.float64]
    ranking: Ranking
    n_bins: int
    bands: Bands

    @classmethod
    def of(cls, values: NDArray[np.float32], filters: Filters, permutations: Permutations) -> Self:
        """What the scores of some filters share.

        Args:
            values: <float32>[filter, sample], all finite.
            filters: what is known about these filters.
            permutations: permutations of the samples' labels.
        """
        classes = permutations.classes
        deviations = values.astype(np.float64)
        mean = deviations.mean(axis=1)
        deviations -= mean[:, np.newaxis]
        deviations -= deviations.mean(axis=1, keepdims=True)  # removes what rounding left
        ranking = Ranking.of(values, classes)
        n_bins = n_quantile_bins(classes.n_samples, len(classes.present))
        bands = Bands.of(
            permutations,
            ranking,
            deviations,
            mean,
            first=filters.first,
            n_bins=n_bins,
            rounding=ROUNDING,
        )
        return cls(classes, filters, deviations, mean, ranking, n_bins, bands)


def n_quantile_bins(n_samples: int, n_classes: int) -> int:
    """The number of bins for mutual information: at most 32, at least 2."""
    return min(MOST_BINS, max(2, n_samples // (CELL_SAMPLES * max(1, n_classes))))


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """The order of the samples of a block.

    Attributes:
        classes: the samples grouped by label.
        ranking: the ranking of the samples for each filter.
        n_bins: the number of bins for mutual information.
        bands: the chance bands.
    """

    classes: LabelGroups
    ranking: Ranking
    n_bins: int
    bands: Bands

    @classmethod
    def of(cls, block: Block) -> Self:
        """The order of the samples of a block."""
        return cls(block.classes, block.ranking, block.n_bins, block.bands)


@dataclass(frozen=True, slots=True, eq=False)
class ClassSums:
    """Sums over each class of centered values and of their squares.

    Attributes:
        classes: the samples grouped by label.
        filters: what is known about these filters.
        mean: <float64>[filter], the mean over all samples.
        total: <float64>[filter], the sum of squared deviations from it.
        sums: <float64>[filter, present], sums of deviations from it.
        squares: <float64>[filter, present], sums of their squares.
        bands: the chance bands.
    """

    classes: LabelGroups
    filters: Filters
    mean: NDArray[np.float64]
    total: NDArray[np.float64]
    sums: NDArray[np.float64]
    squares: NDArray[np.float64]
    bands: Bands

    @classmethod
    def of(cls, block: Block) -> Self:
        """The sums of a block."""
        classes = block.classes
        squared = block.deviations**2
        sums, squares = (
            classes.sums(array[:, classes.order]) for array in (block.deviations, squared)
        )
        total = squared.sum(axis=1)
        return cls(classes, block.filters, block.mean, total, sums, squares, block.bands)


# What scores are computed from, in the order in which a block makes them.
BASES: tuple[type[Ranks | ClassSums], ...] = (ClassSums, Ranks)
