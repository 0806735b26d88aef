"""Contrasts two groups of samples, filter by filter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import comb

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import SelectionError
from fmcore.numbers import number_text
from fmcore.statistics.contrast.exchange import (
    Sums,
    Ties,
    approximate_band,
    approximate_p,
    rank_sums,
)
from fmcore.statistics.contrast.permutations import Permuted
from fmcore.statistics.contrast.ranks import Ranks
from fmcore.statistics.contrast.record import Q_LEVEL, Contrast, PSource, Uncontrasted

# Samples of filters that are counted at once, which takes about 8 MB.
COUNTED = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two groups of samples that share none.

    Attributes:
        a: <int64>[sample of A], indices.
        b: <int64>[sample of B], indices.
        notes: what was left out, a sentence each.
    """

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, a: NDArray[np.bool_], b: NDArray[np.bool_] | None = None) -> Pair:
        """Two groups; samples of both are left out of both, which a note says.

        Args:
            a: <bool>[sample], group A.
            b: <bool>[sample], group B; None for all samples that are not of A.

        Raises:
            SelectionError: if a group has no samples, or none that the other has not.
        """
        b = ~a if b is None else b
        for name, mask in (("A", a), ("B", b)):
            if not mask.any():
                raise SelectionError(
                    f"group {name} has no samples; expected at least one in each group",
                    field=name.lower(),
                )
        both = a & b
        n_both = int(both.sum())
        for name, mask, other in (("A", a, "B"), ("B", b, "A")):
            if n_both == int(mask.sum()):
                raise SelectionError(
                    f"every sample of group {name} is in group {other} too, so none is left to "
                    "compare; leave B out to compare A with the rest",
                    field=name.lower(),
                )
        notes: tuple[str, ...] = ()
        if n_both:
            words = "1 sample is" if n_both == 1 else f"{n_both:,} samples are"
            notes = (f"{words} in both groups, and left out of both.",)
        return cls(np.flatnonzero(a & ~both), np.flatnonzero(b & ~both), notes)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What is counted of some filters.

    Attributes:
        sums: the rank sums of A.
        undefined: <uint8>[filter], codes of `Uncontrasted`.
    """

    sums: Sums
    undefined: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class _Counter:
    """Counts two groups in the order of the values of a filter.

    Attributes:
        pair: the groups.
        marks: <uint32 or uint64>[sample], 1 for a sample of the larger group; for one of the
            smaller group 1 in the upper half of the bits too. So one sum counts both.
        bits: of each half.
    """

    pair: Pair
    marks: NDArray[np.unsignedinteger]
    bits: int

    @classmethod
    def of(cls, pair: Pair, n_samples: int) -> _Counter:
        """For groups of so many samples."""
        bits = 16 if len(pair.a) + len(pair.b) < 1 << 16 else 32
        marks: NDArray[np.unsignedinteger] = np.zeros(n_samples, f"u{bits // 4}")
        smaller, larger = sorted((pair.a, pair.b), key=len)
        marks[larger] = 1
        marks[smaller] = 1 + (1 << bits)
        return cls(pair, marks, bits)

    def count(self, ranks: Ranks) -> tuple[_Part, Ties]:
        """Counts some filters; with the ties among the samples of both groups."""
        a, b = self.pair.a, self.pair.b
        n, size = len(a) + len(b), min(len(a), len(b))
        n_filters, n_samples = ranks.order.shape
        marks = self.marks.take(ranks.order)
        places = np.flatnonzero(marks > 1).reshape(n_filters, size)
        # How many of both groups, and of the smaller one, lie before each rank and the end.
        counts = np.zeros((n_filters, n_samples + 1), self.marks.dtype)
        np.cumsum(marks, axis=1, dtype=counts.dtype, out=counts[:, 1:])
        places += np.arange(1, n_filters + 1)[:, np.newaxis]
        places = self._of_both(counts.ravel()[places])
        ties, corrected = self._ties(ranks, counts, places)
        doubled = 2 * places.sum(axis=1) + corrected
        if len(a) != size:
            doubled = n * (n + 1) - doubled
        n_nonfinite = counts[:, -1] - counts[np.arange(n_filters), ranks.n_finite]
        undefined = np.select(
            [n_nonfinite > 0, ties.most == n],
            [np.uint8(Uncontrasted.NONFINITE), np.uint8(Uncontrasted.CONSTANT)],
            np.uint8(Uncontrasted.NO),
        )
        return _Part(rank_sums(doubled, ties, len(a)), undefined), ties

    def _of_both(self, counts: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
        return (counts & ((1 << self.bits) - 1)).astype(np.int64)

    def _ties(
        self, ranks: Ranks, counts: NDArray[np.unsignedinteger], places: NDArray[np.int64]
    ) -> tuple[Ties, NDArray[np.int64]]:
        """Ties, and what they add to twice the sum of the places of the smaller group.

        Args:
            ranks: of some filters.
            counts: <uint>[filter, rank], as `count` makes them.
            places: <int64>[filter, sample of the smaller group], its places among both groups,
                from 1, equal values in any order.
        """
        n_filters, width = counts.shape
        tied = np.zeros((n_filters, width), np.uint8)
        tied[:, :-1] = np.unpackbits(ranks.tied, axis=1, count=width - 1)
        edges = np.flatnonzero(tied.ravel()[1:] != tied.ravel()[:-1])
        begin, end = counts.ravel()[edges[::2]], counts.ravel()[edges[1::2] + 1]
        row, count = edges[::2] // width, self._of_both(end - begin)
        is_tie = count > 1
        row, count, begin, end = row[is_tie], count[is_tie], begin[is_tie], end[is_tie]
        ties = Ties(
            row, self._of_both(begin), count, len(self.pair.a) + len(self.pair.b), n_filters
        )
        # Of equal values each has the mean of their places.
        sums = np.concatenate([[0], np.cumsum(places)])
        first, last = (
            (counted >> self.bits).astype(np.int64) + row * places.shape[1]
            for counted in (begin, end)
        )
        added = (last - first) * (ties.middle + ties.n + 1) - 2 * (sums[last] - sums[first])
        corrections = np.bincount(row, weights=added, minlength=n_filters)
        return ties, np.rint(corrections).astype(np.int64)


def contrast_groups(layers: Iterable[tuple[str, Ranks]], pair: Pair, *, by: str) -> Contrast:
    """How each filter of some layers tells two groups apart.

    Args:
        layers: the path of each layer, at least one, and the ranks of all samples for each of its
            filters; ranks of one layer at a time are in memory if it is an iterator.
        pair: the groups.
        by: what the ranks are of, for the record.
    """
    n_a, n_b = len(pair.a), len(pair.b)
    permuted, sizes, parts = Permuted(n_a, n_b), dict[str, int](), list[_Part]()
    means: tuple[list[NDArray[np.float64]], ...] = ([], [])
    counter: _Counter | None = None
    for path, ranks in layers:
        first, (sizes[path], n_samples) = sum(sizes.values()), ranks.order.shape
        counter = counter or _Counter.of(pair, n_samples)
        for of_layers, samples in zip(means, (pair.a, pair.b), strict=True):
            of_layers.append(_mean(ranks.values, samples))
        step = max(1, COUNTED // max(1, n_samples))
        for start in range(0, sizes[path], step):
            part, ties = counter.count(ranks.part(slice(start, start + step)))
            parts.append(part)
            odd = np.flatnonzero((part.undefined == 0) & ~part.sums.has_gamma_tails)
            if len(odd):
                permuted.add(first + start + odd, ties.part(odd), part.sums.part(odd))
    sums = Sums.join([part.sums for part in parts])
    mean_a, mean_b = (np.concatenate(of_layers) for of_layers in means)
    undefined = np.concatenate([part.undefined for part in parts])
    is_none = undefined > 0
    p, band = approximate_p(sums), approximate_band(sums)
    source = np.full(len(p), PSource.GAMMA, np.uint8)
    for counted in permuted.results():
        rows = counted.rows
        p[rows], band[:, rows], source[rows] = counted.p, counted.band, counted.source
    auc, chance = (
        (doubled - n_a * (n_a + 1)) / (2 * n_a * n_b) for doubled in (sums.doubled, band)
    )
    for values in (auc, p, chance):
        values[..., is_none] = np.nan
    for mean in (mean_a, mean_b):
        mean[undefined == Uncontrasted.NONFINITE] = np.nan
    source[is_none] = PSource.NONE
    n_filters = list(sizes.values())
    contrast = Contrast(
        by=by,
        layers=tuple(sizes),
        layer=np.repeat(np.arange(len(sizes), dtype=np.int32), n_filters),
        filter=np.concatenate([np.arange(size, dtype=np.int32) for size in n_filters]),
        auc=auc,
        chance=np.clip(chance, 0, 1),
        p=p,
        q=false_discovery_rates(p),
        effect=2 * auc - 1,
        mean_a=mean_a,
        mean_b=mean_b,
        undefined=undefined,
        p_source=source,
        n_a=n_a,
        n_b=n_b,
    )
    return replace(contrast, notes=(*pair.notes, *notes_of(contrast)))


def false_discovery_rates(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Benjamini and Hochberg's (1995) adjusted p over those that are not NaN, <float64>[row]."""
    q = np.full(len(p), np.nan)
    tests = np.flatnonzero(np.isfinite(p))
    falling = tests[np.argsort(-p[tests], kind="stable")]
    places = np.arange(len(tests), 0, -1)
    q[falling] = np.minimum(np.minimum.accumulate(p[falling] * len(tests) / places), 1)
    return q


def _mean(values: NDArray[np.float32], samples: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean of some samples, <float64>[filter], some of which are in memory at a time."""
    step = max(1, COUNTED // max(1, values.shape[1]))
    total = np.zeros(values.shape[1])
    for start in range(0, len(samples), step):
        total += values[samples[start : start + step]].sum(axis=0, dtype=np.float64)
    return total / len(samples)


def least_p(n_a: int, n_b: int) -> float:
    """The smallest p, two-sided, that any values can have with groups of these sizes."""
    return min(1.0, 2 / comb(n_a + n_b, min(n_a, n_b, 60)))


def notes_of(contrast: Contrast) -> list[str]:
    """What the sizes of the groups, and the values of filters, leave untold: a sentence each."""
    notes = []
    least, n_tests = least_p(contrast.n_a, contrast.n_b), contrast.n_tests
    sizes = f"{contrast.n_a:,} against {contrast.n_b:,} samples"
    if least > Q_LEVEL:
        notes.append(
            f"Nothing can be told: with {sizes} no p is below {number_text(least, digits=2)}, "
            "whatever the values."
        )
    elif n_tests and least * n_tests > Q_LEVEL:
        needed = int(np.ceil(least * n_tests / Q_LEVEL))
        notes.append(
            f"Too few samples for a filter to stand out alone: with {sizes} no p is below "
            f"{number_text(least, digits=2)}, so that of {n_tests:,} filters {needed:,} must "
            f"reach it for a q of {Q_LEVEL}."
        )
    for code, words in (
        (Uncontrasted.CONSTANT, "the same value for every sample of both groups"),
        (Uncontrasted.NONFINITE, "NaN or infinite values in the groups"),
    ):
        n = int((contrast.undefined == code).sum())
        if n:
            notes.append(
                f"{n:,} {'filters have' if n > 1 else 'filter has'} {words}, and no p; q is over "
                "the others."
            )
    return notes
