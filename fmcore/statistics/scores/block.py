"""A block of filters of one pooled table, and the sums and ranks that its scores share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.health import dead_filters
from fmcore.statistics.scores.chance import Permutations
from fmcore.statistics.scores.labels import LabelGroups
from fmcore.statistics.scores.ranking import Ranking
from fmcore.statistics.streaming.moments import Moments

# A score, <float64>[filter] or [filter, present], and its chance band, <float64>[bound, …].
Score = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class Filters:
    """What scores need to know about the filters of a layer beyond the pooled tables.

    Attributes:
        dead: <bool>[filter], whether all activations are the same.
        non_negative: <bool>[filter], whether no activation is below zero.
    """

    dead: NDArray[np.bool_]
    non_negative: NDArray[np.bool_]

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
        return Filters(self.dead[columns], self.non_negative[columns])

    @classmethod
    def of_moments(cls, moments: Moments) -> Filters:
        """From the moments of a capture."""
        return cls.of(moments.min, moments.max, moments.n_nonfinite)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The pooled values of some filters, from which their scores are computed.

    Attributes:
        values: <float32>[filter, sample], all finite.
        filters: what is known about these filters.
        permutations: permutations of the samples' labels.
    """

    values: NDArray[np.float32]
    filters: Filters
    permutations: Permutations

    @property
    def classes(self) -> LabelGroups:
        """The samples grouped by label."""
        return self.permutations.classes


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """The order of the samples of a block.

    Attributes:
        ranking: the ranking of the samples for each filter.
        permutations: permutations of the samples' labels.
    """

    ranking: Ranking
    permutations: Permutations

    @classmethod
    def of(cls, block: Block) -> Self:
        """Ranks the samples of a block."""
        return cls(Ranking.of(block.values, block.classes), block.permutations)

    @property
    def classes(self) -> LabelGroups:
        """The samples grouped by label."""
        return self.permutations.classes


@dataclass(frozen=True, slots=True, eq=False)
class ClassSums:
    """Sums over each class of centered values and of their squares, true and permuted.

    Permuted sums are in units of the standard deviation: d′ and the class selectivity index do not
    depend on scale.

    Attributes:
        classes: the samples grouped by label.
        filters: what is known about these filters.
        mean: <float64>[filter], the mean over all samples.
        total: <float64>[filter], the sum of squared deviations from it.
        sums: <float64>[filter, present], sums of deviations from it.
        squares: <float64>[filter, present], sums of their squares.
        scale: <float64>[filter], the standard deviation; 1 where it is 0.
        permuted_sums: <float32>[permutation, filter, present], as `sums`, in units of `scale`.
        permuted_squares: <float32>[permutation, filter, present], as `squares`, in these units.
    """

    classes: LabelGroups
    filters: Filters
    mean: NDArray[np.float64]
    total: NDArray[np.float64]
    sums: NDArray[np.float64]
    squares: NDArray[np.float64]
    scale: NDArray[np.float64]
    permuted_sums: NDArray[np.float32]
    permuted_squares: NDArray[np.float32]

    @classmethod
    def of(cls, block: Block) -> Self:
        """The sums of a block."""
        classes, n_samples = block.classes, block.classes.n_samples
        values = block.values.astype(np.float64)
        mean = values.mean(axis=1)
        values -= mean[:, np.newaxis]
        values -= values.mean(axis=1, keepdims=True)  # removes what rounding left
        squares = values**2
        total = squares.sum(axis=1)
        sums, square_sums = (classes.sums(array[:, classes.order]) for array in (values, squares))
        scale = np.where(total > 0, np.sqrt(total / n_samples), 1)
        column = scale[:, np.newaxis]
        scaled = np.concatenate([values / column, squares / column**2])
        permuted = block.permutations.sums(np.ascontiguousarray(scaled.T, dtype=np.float32))
        permuted_sums, permuted_squares = np.split(permuted.swapaxes(1, 2), 2, axis=1)
        return cls(
            classes,
            block.filters,
            mean,
            total,
            sums,
            square_sums,
            scale,
            permuted_sums,
            permuted_squares,
        )


# What scores are computed from, in the order in which a block makes them.
BASES: tuple[type[Ranks | ClassSums], ...] = (ClassSums, Ranks)
