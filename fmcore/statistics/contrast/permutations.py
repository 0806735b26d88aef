"""p and bands of filters whose law no formula gives well enough: counted over permutations.

Few samples in a group, or few values that are not equal, leave a law with steps, a skew and short
tails. All filters share the draws, which are in the order of the values: so the law depends on
nothing of a filter but its ties.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import comb

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.contrast.draws import every_draw, random_draws
from fmcore.statistics.contrast.exchange import TAIL, Sums, Ties, approximate_p
from fmcore.statistics.contrast.record import PSource

SEED = 0
# Groups of which there are no more than these are all counted, and p is exact.
MOST_GROUPS = 20_000
# Permutations of every such filter, and of one that few of these are as extreme as. Where p is 1%
# it then has a standard error of a tenth.
FIRST, MOST = 999, 9_999
ENOUGH = 20
# Places that are drawn for the second, at most, so 16 MB; groups of more than 400 get fewer.
DRAWN = 4 << 20
# Lengths of draws are powers of two from here on, so that filters share them.
SHORTEST = 16
# Stands for the length of those of filters without ties.
UNTIED = 0
# Ties of filters that are looked at together, at most; a filter weighs as much as so many of them,
# since 1,024 filters have up to 74 MB of sums.
WAITING, OF_FILTER = 1 << 18, 1 << 8
# Ranks at places that are in memory at once, of some filters.
LOOKED_UP = 1 << 20
# Draws that are summed at once.
SUMMED = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """What permutations say of some filters.

    Attributes:
        rows: <int64>[filter], which they are.
        p: <float64>[filter], two-sided.
        band: <float64>[bound, filter], of twice the rank sum of A.
        source: <uint8>[filter], codes of `PSource`.
    """

    rows: NDArray[np.int64]
    p: NDArray[np.float64]
    band: NDArray[np.float64]
    source: NDArray[np.uint8]


@dataclass(slots=True, eq=False)
class Permuted:
    """Permutations of two groups, drawn as they are needed, and kept while filters are contrasted.

    Attributes:
        n_a: the number of samples of A.
        n_b: the number of samples of B.
    """

    n_a: int
    n_b: int
    _draws: dict[tuple[int, int], NDArray[np.int32]] = field(default_factory=dict)
    _waiting: list[tuple[NDArray[np.int64], Ties, Sums]] = field(default_factory=list)
    _n_waiting: int = 0
    _results: list[Counted] = field(default_factory=list)

    @property
    def n_smaller(self) -> int:
        """The samples of the smaller group, whose places are drawn."""
        return min(self.n_a, self.n_b)

    @property
    def is_exact(self) -> bool:
        """Whether every group there can be is counted."""
        return comb(self.n_a + self.n_b, min(self.n_smaller, 20)) <= MOST_GROUPS

    def add(self, rows: NDArray[np.int64], ties: Ties, sums: Sums) -> None:
        """Takes filters in, which are counted together with others.

        Args:
            rows: <int64>[filter], which they are.
            ties: of the samples of both groups.
            sums: their rank sums.
        """
        self._waiting.append((rows, ties, sums))
        self._n_waiting += len(ties.row) + OF_FILTER * len(rows)
        if self._n_waiting > WAITING:
            self._count_waiting()

    def results(self) -> list[Counted]:
        """What was counted of all filters."""
        if self._waiting:
            self._count_waiting()
        return self._results

    def _count_waiting(self) -> None:
        rows, ties, sums = zip(*self._waiting, strict=True)
        self._waiting, self._n_waiting = [], 0
        self._results.append(self._counted(np.concatenate(rows), Ties.join(ties), Sums.join(sums)))

    def _counted(self, rows: NDArray[np.int64], ties: Ties, sums: Sums) -> Counted:
        n, size = self.n_a + self.n_b, self.n_smaller
        sign = 1 if self.n_a <= self.n_b else -1
        observed = sign * (sums.doubled - self.n_a * (n + 1))
        rare = n - ties.most
        of_gamma = approximate_p(sums)
        p, band = np.empty(len(rows)), np.empty((2, len(rows)))
        is_beyond = np.zeros(len(rows), np.bool_)
        lengths = 2 ** np.ceil(np.log2(np.maximum(rare, SHORTEST))).astype(np.int64)
        buckets = np.where((lengths < size) & (not self.is_exact), lengths, size)
        buckets[rare == n - 1] = UNTIED
        for bucket in np.unique(buckets).tolist():
            of = np.flatnonzero(buckets == bucket)
            law: _Plain | _Sparse
            if bucket in (UNTIED, size):  # one law for all filters without ties
                law = _Plain(ties.part(of[:1] if bucket == UNTIED else of), size)
            else:
                law = _Sparse.of(ties.part(of), size)
            p[of], band[:, of], is_beyond[of] = self._count(
                law, observed[of], bucket or size, of_gamma[of]
            )
        if sign < 0:
            band = -band[::-1]
        by = PSource.EXACT if self.is_exact else PSource.PERMUTATIONS
        source = np.where(is_beyond, PSource.BOUND, by).astype(np.uint8)
        return Counted(rows, p, band + self.n_a * (n + 1), source)

    def _count(
        self,
        law: _Plain | _Sparse,
        observed: NDArray[np.int64],
        length: int,
        of_gamma: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        if self.is_exact:
            places = every_draw(self.n_a + self.n_b, self.n_smaller)
            sums = law.sums(places, np.arange(len(observed)))
            n_beyond = int(TAIL * len(places))
            p = np.minimum(2 * np.minimum(*_extreme(sums, observed)) / len(places), 1)
            return p, _ends(sums, n_beyond), np.zeros(len(observed), np.bool_)
        sums = law.sums(self._places(length, FIRST), np.arange(len(observed)))
        band = _ends(sums, int(TAIL * (FIRST + 1)) - 1)
        extreme, n_draws = _extreme(sums, observed), np.full(len(observed), FIRST)
        further = np.flatnonzero(np.minimum(*extreme) < ENOUGH)
        n_most = min(MOST, max(FIRST, DRAWN // length))
        if len(further) and n_most > FIRST:
            more = law.sums(self._places(length, n_most)[FIRST:], further)
            for ends, added in zip(extreme, _extreme(more, observed[further]), strict=True):
                ends[further] += added
            n_draws[further] = n_most
        fewest = np.minimum(*extreme)
        p = np.minimum(2 * (fewest + 1) / (n_draws + 1), 1)
        is_beyond = (fewest == 0) & (of_gamma < p)
        return np.where(is_beyond, of_gamma, p), band, is_beyond

    def _places(self, length: int, n_draws: int) -> NDArray[np.int32]:
        """The first draws of so many places, <int32>[draw, length]; more of them begin alike."""
        key = length, n_draws
        if key not in self._draws:
            n, first = self.n_a + self.n_b, self._draws.get((length, FIRST))
            n_more = n_draws - (0 if first is None else FIRST)
            numbers = np.random.default_rng([SEED, length, n_draws])
            more = random_draws(n, length, n_more, numbers)
            self._draws[key] = more if first is None else np.concatenate([first, more])
        return self._draws[key]


@dataclass(frozen=True, slots=True, eq=False)
class _Plain:
    """Filters of which the places of the smaller group are drawn.

    Attributes:
        ties: of the filters; a single one for filters that all have no ties.
        size: the samples of the smaller group.
    """

    ties: Ties
    size: int

    def sums(self, places: NDArray[np.int32], filters: NDArray[np.intp]) -> NDArray[np.int64]:
        """The rank sum of each draw, <int64>[filter, draw]."""
        of = filters if self.ties.n_filters > 1 else np.zeros(1, np.intp)
        sums = np.empty((len(of), len(places)), np.int64)
        step = max(1, LOOKED_UP // self.ties.n)
        # Those together that have about as many samples with their most frequent value.
        order = np.argsort(self.ties.most[of], kind="stable")
        for start in range(0, len(of), step):
            part = np.sort(order[start : start + step])
            apart = _Apart.of(self.ties.part(of[part]), self.size)
            sums[part] = apart.sums(places[:, : self.size])
        return np.broadcast_to(sums, (len(filters), len(places)))


@dataclass(frozen=True, slots=True, eq=False)
class _Apart:
    """Ranks of some filters, beside that of the most frequent value of each.

    Attributes:
        weights: <int>[place, filter], twice the rank less that of the most frequent value, where
            any filter has another one; the last row is 0 and stands for all other places.
        row: <int32>[place], which row of `weights`.
        base: <int64>[filter], the rank sum if all of the group have the most frequent value.
    """

    weights: NDArray[np.signedinteger]
    row: NDArray[np.int32]
    base: NDArray[np.int64]

    @classmethod
    def of(cls, ties: Ties, size: int) -> _Apart:
        """From ties, for groups of `size` samples."""
        n, n_filters = ties.n, ties.n_filters
        is_frequent = ties.is_frequent(ties.most)
        begin, end, frequent = np.zeros((3, n_filters), np.int64)
        row = ties.row[is_frequent]
        begin[row] = ties.before[is_frequent]
        end[row] = begin[row] + ties.count[is_frequent]
        frequent[row] = ties.middle[is_frequent]
        # From `low` to `high` all have their most frequent value.
        low, high = int(begin.max()), int(end.min())
        high = max(low, high)

        def folded(places: NDArray[np.int64]) -> NDArray[np.int64]:
            return np.where(places <= low, places, np.maximum(places - (high - low), low))

        n_rows = n - (high - low)
        kind = np.int32 if 2 * n * size < 1 << 31 else np.int64
        places = np.delete(np.arange(n, dtype=kind), slice(low, high))
        weights = np.zeros((n_filters, n_rows + 1), kind)
        np.subtract(2 * places + (1 - n), frequent[:, np.newaxis], out=weights[:, :-1])
        first = folded(ties.before)
        length = folded(ties.before + ties.count) - first
        start = ties.row * (n_rows + 1) + first - (np.cumsum(length) - length)
        tied = np.repeat(start, length) + np.arange(length.sum())
        weights.ravel()[tied] = np.repeat(ties.middle - frequent[ties.row], length)
        of_place = np.full(n, n_rows, np.int32)
        of_place[places] = np.arange(n_rows)
        return cls(np.ascontiguousarray(weights.T), of_place, frequent * size)

    def sums(self, places: NDArray[np.int32]) -> NDArray[np.int64]:
        """The rank sum of each draw, <int64>[filter, draw]; places are <int32>[draw, place]."""
        rows, last = self.row[places], len(self.weights) - 1
        is_apart = rows < last
        n_apart = np.count_nonzero(is_apart, axis=1)
        apart = np.full((len(places), n_apart.max(initial=0)), last, np.int32)
        apart[np.arange(apart.shape[1]) < n_apart[:, np.newaxis]] = rows[is_apart]
        sums = np.zeros((len(places), len(self.base)), self.weights.dtype)
        looked_up = np.empty((SUMMED, len(self.base)), self.weights.dtype)
        for start in range(0, len(places), SUMMED):
            part = sums[start : start + SUMMED]
            out = looked_up[: len(part)]
            for column in apart[start : start + SUMMED].T:
                part += np.take(self.weights, column, axis=0, out=out, mode="clip")
        return sums.T + self.base[:, np.newaxis]


@dataclass(frozen=True, slots=True, eq=False)
class _Sparse:
    """Filters with fewer samples beside their most frequent value than the smaller group has.

    The places of these samples are drawn: the first ones of all are those of the smaller group.

    Attributes:
        weights: <float64>[place, filter], twice the rank less that of the most frequent value.
        base: <int64>[filter], the sum of ranks if all of the group have the most frequent value.
        size: the samples of the smaller group.
    """

    weights: NDArray[np.float64]
    base: NDArray[np.int64]
    size: int

    @classmethod
    def of(cls, ties: Ties, size: int) -> _Sparse:
        """From ties, for groups of `size` samples."""
        rows, values, bases = [], [], []
        step = max(1, LOOKED_UP // ties.n)
        for start in range(0, ties.n_filters, step):
            part = np.arange(start, min(start + step, ties.n_filters))
            apart = _Apart.of(ties.part(part), size)
            by_place = apart.weights[:-1].T
            row, column = np.nonzero(by_place)
            rows.append(row + start)
            values.append(by_place[row, column])
            bases.append(apart.base)
        row = np.concatenate(rows)
        counts = np.bincount(row, minlength=ties.n_filters)
        place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        weights = np.zeros((counts.max(), ties.n_filters))
        weights[place, row] = np.concatenate(values)
        return cls(weights, np.concatenate(bases), size)

    def sums(self, places: NDArray[np.int32], filters: NDArray[np.intp]) -> NDArray[np.int64]:
        """The rank sum of each draw, <int64>[filter, draw]."""
        n_used = min(len(self.weights), places.shape[1])
        is_in = (places[:, :n_used] < self.size).astype(np.float64)
        sums = is_in @ self.weights[:n_used, filters]
        return np.rint(sums).astype(np.int64).T + self.base[filters, np.newaxis]


def _extreme(
    sums: NDArray[np.int64], observed: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many sums are at most, and at least, what was observed, each <int64>[filter]."""
    at_most = (sums <= observed[:, np.newaxis]).sum(axis=1)
    return at_most, (sums >= observed[:, np.newaxis]).sum(axis=1)


def _ends(sums: NDArray[np.int64], n_beyond: int) -> NDArray[np.float64]:
    """The ends beyond which lie at most so many sums each, <float64>[bound, filter]."""
    ordered = np.partition(sums, (n_beyond, sums.shape[1] - 1 - n_beyond), axis=1)
    return ordered[:, [n_beyond, -1 - n_beyond]].T.astype(np.float64)
