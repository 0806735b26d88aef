"""The law of the rank sum of a group if samples of two groups are exchanged.

The null hypothesis is that any assignment of the samples to groups of these sizes is as probable
as the one at hand. Given the values, with all their ties, the law of the rank sum then follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Skewness below which the gamma law cannot be told from the normal one: its shape is 4 over the
# square of it, and scipy's incomplete gamma function has few digits far beyond.
SYMMETRIC = 1e-4
TAIL = 0.025
# Within these the gamma law is near enough, see docs/decisions/contrast.md: the excess kurtosis of
# the gamma law is 1.5 times the squared skewness; with shorter tails than that, p is too large.
MOST_SKEWNESS, MOST_REST = 0.25, 0.1
# Samples of the smaller group that are expected to have another value than the most frequent one
# where no steps are felt; and another than the two most frequent ones, if these are fewer.
MANY_EXPECTED, LEAST_EXPECTED = 50, 10


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Rank sums of some filters, and the moments of their law.

    Attributes:
        doubled: <int64>[filter], twice the sum of the ranks of A, ties by their mean rank.
        mean: <float64>[filter], of the law of `doubled`.
        std: <float64>[filter], likewise; 0 where all values are equal.
        skewness: <float64>[filter], likewise.
        kurtosis: <float64>[filter], likewise, in excess of the normal law.
        has_steps: <bool>[filter], whether few values make most of the law, so that it has steps.
    """

    doubled: NDArray[np.int64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    skewness: NDArray[np.float64]
    kurtosis: NDArray[np.float64]
    has_steps: NDArray[np.bool_]

    def part(self, filters: NDArray[np.intp]) -> Sums:
        """The sums of some filters."""
        return Sums(*(getattr(self, name)[filters] for name in self.__slots__))

    @classmethod
    def join(cls, parts: Sequence[Sums]) -> Sums:
        """The sums of the filters of some parts, one after the other."""
        return cls(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__)
        )

    @property
    def has_gamma_tails(self) -> NDArray[np.bool_]:
        """Whether the gamma law is near enough, <bool>[filter]."""
        rest = self.kurtosis - 1.5 * self.skewness**2
        return (
            (np.abs(self.skewness) <= MOST_SKEWNESS) & (np.abs(rest) <= MOST_REST) & ~self.has_steps
        )


@dataclass(frozen=True, slots=True, eq=False)
class Ties:
    """Values that at least two samples of the groups have, filter by filter.

    Attributes:
        row: <int64>[tie], the filter, ascending.
        before: <int64>[tie], how many samples of the groups have a smaller value.
        count: <int64>[tie], how many have this one.
        n: the samples of both groups.
        n_filters: of how many filters.
    """

    row: NDArray[np.int64]
    before: NDArray[np.int64]
    count: NDArray[np.int64]
    n: int
    n_filters: int

    @property
    def middle(self) -> NDArray[np.int64]:
        """Twice the mean rank of the samples with each value, less that of all, <int64>[tie]."""
        return 2 * self.before + self.count - self.n

    @property
    def most(self) -> NDArray[np.int64]:
        """How many samples have the most frequent value, <int64>[filter]; 1 without ties."""
        most = np.ones(self.n_filters, np.int64)
        np.maximum.at(most, self.row, self.count)
        return most

    def is_frequent(self, most: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether a value is the most frequent one, of equal ones the smallest, <bool>[tie]."""
        places = np.flatnonzero(self.count == most[self.row])
        is_frequent = np.zeros(len(self.row), np.bool_)
        is_frequent[places[np.diff(self.row[places], prepend=-1) > 0]] = True
        return is_frequent

    def part(self, filters: NDArray[np.intp]) -> Ties:
        """The ties of some filters, in this order, ascending."""
        place = np.full(self.n_filters, -1, np.int64)
        place[filters] = np.arange(len(filters))
        row = place[self.row]
        of = row >= 0
        return Ties(row[of], self.before[of], self.count[of], self.n, len(filters))

    @classmethod
    def join(cls, parts: Sequence[Ties]) -> Ties:
        """The ties of the filters of some parts, one after the other."""
        starts = np.cumsum([0, *(part.n_filters for part in parts)])
        row = np.concatenate([part.row + at for part, at in zip(parts, starts, strict=False)])
        before, count = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("before", "count")
        )
        return cls(row, before, count, parts[0].n, int(starts[-1]))


def rank_sums(doubled: NDArray[np.int64], ties: Ties, n_a: int) -> Sums:
    """The law of rank sums.

    The moments are those of the sum of `n_a` values that are taken without replacement (Isserlis
    1931; Cramér 1946, 27.6 has the first two).

    Args:
        doubled: <int64>[filter], twice the sum of the ranks of A, ties by their mean rank.
        ties: of the samples of A and B.
        n_a: the number of samples of A.
    """
    n = ties.n
    n_b = n - n_a
    second, third, fourth = _rank_moments(ties)
    pairs = n_a * n_b
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = pairs / max(n - 1, 1) * second
        skewness = kurtosis = np.zeros(len(doubled))
        if n > 2:
            skewness = pairs * (n_b - n_a) / ((n - 1) * (n - 2)) * third / variance**1.5
        if n > 3:
            square = (n * (n + 1) - 6 * pairs) * fourth + 3 * n * (n_a - 1) * (n_b - 1) * second**2
            kurtosis = pairs / ((n - 1) * (n - 2) * (n - 3)) * square / variance**2 - 3
    return Sums(
        doubled,
        np.full(len(doubled), float(n_a * (n + 1))),
        n * np.sqrt(variance),
        skewness,
        kurtosis,
        _has_steps(ties, min(n_a, n_b) / max(n, 1)),
    )


def _has_steps(ties: Ties, share: float) -> NDArray[np.bool_]:
    """Whether few values make most of the law, <bool>[filter].

    Args:
        ties: of the samples of A and B.
        share: the share of the smaller group.
    """
    most = ties.most
    has_steps = share * (ties.n - most) < MANY_EXPECTED
    doubtful = np.flatnonzero(has_steps & (share * (ties.n - most) >= LEAST_EXPECTED))
    if len(doubtful):
        of = ties.part(doubtful)
        others = np.where(of.is_frequent(most[doubtful]), 1, of.count)
        second = np.ones(len(doubtful), np.int64)
        np.maximum.at(second, of.row, others)
        has_steps[doubtful] = share * (ties.n - most[doubtful] - second) < LEAST_EXPECTED
    return has_steps


def _rank_moments(
    ties: Ties,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean second, third and fourth powers of twice the ranks, less their mean, over n.

    Those of different values, less what each run of equal ones takes from them.
    """
    n = ties.n
    share, center = ties.count / n, ties.middle / n
    least = 1 / n**2
    rest = share * (share**2 - least)
    lost = (
        rest / 3,
        rest * center,
        rest * (2 * center**2 + (3 * share**2 - 7 * least) / 15),
    )
    whole = ((1 - least) / 3, 0.0, (1 - least) * (3 - 7 * least) / 15)
    return tuple(  # type: ignore[return-value]
        total - np.bincount(ties.row, weights=part, minlength=ties.n_filters)
        for total, part in zip(whole, lost, strict=True)
    )


def tail(z: NDArray[np.float64], skewness: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability of at least `z` standard deviations above the mean, <float64>[filter].

    Of the gamma law with this skewness (Pearson's type III), which is the normal one where it is 0.
    """
    # Imported here because it takes 0.5 s of CPU, which would delay every start.
    from scipy import special

    size = np.abs(skewness)
    is_skew = size > SYMMETRIC
    shape = 4 / np.where(is_skew, size, 1) ** 2
    root = np.sqrt(shape)
    upward = special.gammaincc(shape, np.maximum(shape + z * root, 0))
    downward = special.gammainc(shape, np.maximum(shape - z * root, 0))
    of_skew = np.where(skewness > 0, upward, downward)
    return np.where(is_skew, of_skew, special.ndtr(-z))


def approximate_p(sums: Sums) -> NDArray[np.float64]:
    """Twice the probability of the smaller tail, <float64>[filter], with half a rank off."""
    with np.errstate(divide="ignore", invalid="ignore"):
        above = tail((sums.doubled - sums.mean - 1) / sums.std, sums.skewness)
        below = tail((sums.mean - sums.doubled - 1) / sums.std, -sums.skewness)
    return np.minimum(2 * np.minimum(above, below), 1)


def approximate_band(sums: Sums) -> NDArray[np.float64]:
    """The band of `doubled`, <float64>[bound, filter]: each tail beyond it has 2.5%."""
    high = _quantile(sums.skewness)
    low = -_quantile(-sums.skewness)
    return sums.mean + sums.std * np.stack([low, high])


def _quantile(skewness: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviations above the mean that 2.5% lie above, <float64>[filter]."""
    from scipy import special  # as above

    size = np.abs(skewness)
    is_skew = size > SYMMETRIC
    shape = 4 / np.where(is_skew, size, 1) ** 2
    upward = (special.gammainccinv(shape, TAIL) - shape) / np.sqrt(shape)
    downward = (shape - special.gammaincinv(shape, TAIL)) / np.sqrt(shape)
    of_skew = np.where(skewness > 0, upward, downward)
    return np.where(is_skew, of_skew, -special.ndtri(TAIL))
