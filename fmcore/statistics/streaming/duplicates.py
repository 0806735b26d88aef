"""Which filters repeat an earlier one pixel by pixel, over all samples, in one pass.

The correlations of all pairs of filters would cost more than the model itself: of ResNet50, 28
million products for each pixel of a map of its size. So a sketch of a batch says which pairs are
alike there, and only these are followed, exactly. A sketch adds up rows with random signs (the
count sketch of Charikar et al. 2002): it takes one pass, and no activation, however rare, is left
out of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.streaming.batch import Batch, Extent
from fmcore.statistics.streaming.kernels import add_products, add_to_sketch, compiled
from fmcore.statistics.streaming.moments import Moments

# A filter is a duplicate if its correlation with an earlier one is above this.
DUPLICATE = 0.99
# A pair is followed while its correlation so far is above this: the share of it that the other does
# not explain, 1 - r², is then less than ten times that of a duplicate. After so many samples it is
# followed above another, where that is less than two and a half times as much.
FOLLOWED, SURE, SURE_SAMPLES = 0.9, 0.975, 1_000
# With fewer values, unrelated filters correlate as strongly as duplicates.
DUPLICATE_VALUES = 10
# Earlier filters that are followed for each filter.
PARTNERS = 4
# The rows of a sketch. The squared distance of two filters, 2 (1 - r), is then known to 13%
# (standard deviation, sqrt(2 / 128)), and a duplicate is missed if it is wrong by a factor of 10.
SKETCH_ROWS = 128
# Partners of a filter are looked for where it varies first, and again where a batch has so many
# times the squared deviations of all batches before.
GROWTH = 4
# Bytes of the correlations of a sketch that are in memory at once.
GRAM_BYTES = 4 << 20
NO_PARTNER = -1
# The arrays that a store keeps, and their axes.
DUPLICATE_ARRAYS = {"duplicate_of": ("filter",), "duplicate_r": ("filter",)}


# Pairs, `later * n_filters + earlier`, in order; their comoments; what is unknown of these.
Pairs = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]


class _Part(NamedTuple):
    """What is added to `Duplicates`, by the names of its fields."""

    n_samples: int
    n_values: int
    mean: NDArray[np.float64]
    m2: NDArray[np.float64]
    pairs: Pairs


@dataclass(frozen=True, slots=True, eq=False)
class Duplicates:
    """The pairs of filters that are alike so far, each of a filter and an earlier one.

    Attributes:
        n_samples: <int64>[], the number of samples.
        n_values: <int64>[], the number of values of each filter: samples times pixels.
        mean: <float64>[filter].
        m2: <float64>[filter], sum of squared deviations from the mean; NaN where a value is not
            finite.
        partner: <int32>[place, filter], the earlier filter of each pair; -1 for no pair.
        comoment: <float64>[place, filter], sum of products of the deviations of both.
        unknown: <float64>[place, filter], by how much the comoment may be larger or smaller,
            because of values before the pair was followed; 0 if one of the two was constant there.
    """

    n_samples: NDArray[np.int64]
    n_values: NDArray[np.int64]
    mean: NDArray[np.float64]
    m2: NDArray[np.float64]
    partner: NDArray[np.int32]
    comoment: NDArray[np.float64]
    unknown: NDArray[np.float64]

    @classmethod
    def empty(cls, extent: Extent) -> Self | None:
        """Pairs that have seen nothing; None for maps of one pixel, which pooled tables hold."""
        height, width, n_filters = extent.shape
        if height * width == 1:
            return None
        size = (PARTNERS, n_filters)
        return cls(
            n_samples=np.zeros((), np.int64),
            n_values=np.zeros((), np.int64),
            mean=np.zeros(n_filters),
            m2=np.zeros(n_filters),
            partner=np.full(size, NO_PARTNER, np.int32),
            comoment=np.zeros(size),
            unknown=np.zeros(size),
        )

    def add(self, batch: Batch) -> Self:
        """The pairs with the values of a batch, and with those that are first alike in it."""
        values = np.ascontiguousarray(batch.values).reshape(-1, batch.values.shape[-1])
        mean, m2 = _moments(batch)
        followed = self._pairs()
        pairs = np.union1d(followed[0], _alike_pairs(values, mean, m2, before=self.m2))
        comoment = np.zeros(len(pairs))
        if len(pairs):
            columns, places = np.unique(divmod(pairs, len(mean)), return_inverse=True)
            later, earlier = places.reshape(2, -1)
            compiled(add_products)(values, mean, columns, earlier, later, comoment)
        part = _Part(len(batch.labels), len(values), mean, m2, (pairs, comoment, 0 * comoment))
        return self._joined(followed, part)

    def merge(self, other: Self) -> Self:
        """The pairs of both sets of samples together, also those that one of them does not follow.

        Comoments as in Chan et al. 1983. What a part leaves unknown stays unknown: all that the
        parts prove together is true of the whole, but the whole may prove more.
        """
        part = _Part(
            int(other.n_samples), int(other.n_values), other.mean, other.m2, other._pairs()
        )
        return self._joined(self._pairs(), part)

    def _joined(self, followed: Pairs, part: _Part) -> Self:
        """The pairs with those of other samples, see `merge`."""
        n_samples = int(self.n_samples) + part.n_samples
        n_values = int(self.n_values) + part.n_values
        share = part.n_values / max(n_values, 1)
        delta = part.mean - self.mean
        m2 = self.m2 + part.m2 + delta**2 * (int(self.n_values) * share)
        pairs = np.union1d(followed[0], part.pairs[0])
        later, earlier = divmod(pairs, len(delta))
        comoment = delta[earlier] * delta[later] * (int(self.n_values) * share)
        unknown = np.zeros(len(pairs))
        for of_part, (indices, products, doubt) in ((self.m2, followed), (part.m2, part.pairs)):
            at = np.searchsorted(pairs, indices)
            bound = np.sqrt(of_part[earlier] * of_part[later])  # by Cauchy and Schwarz
            bound[at] = doubt
            comoment[at] += products
            unknown += bound
        least = FOLLOWED if n_samples < SURE_SAMPLES else SURE
        partner, *sums = _kept_pairs(least, m2, pairs, comoment, unknown)
        counts = np.asarray(n_samples, np.int64), np.asarray(n_values, np.int64)
        return type(self)(*counts, self.mean + delta * share, m2, partner, *sums)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a store keeps, by the names in `DUPLICATE_ARRAYS`.

        Returns:
            `duplicate_of`, <int32>[filter], of the earlier filters with a correlation above
            `DUPLICATE` that with the largest, the first of equal ones, -1 for none; and
            `duplicate_r`, <float32>[filter], that correlation, NaN for none.
        """
        pairs, comoment, unknown = self._pairs()
        later, earlier = divmod(pairs, len(self.mean))
        scale = np.sqrt(self.m2[earlier] * self.m2[later])
        is_proven = (comoment - unknown) / scale > DUPLICATE
        is_proven &= self.n_values >= DUPLICATE_VALUES
        r = np.minimum(comoment / scale, 1).astype(np.float32)
        later, earlier, r = later[is_proven], earlier[is_proven], r[is_proven]
        return duplicate_arrays(len(self.mean), later, earlier, r)

    def _pairs(self) -> Pairs:
        """All pairs."""
        if self.partner.max(initial=NO_PARTNER) == NO_PARTNER:
            return np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
        place, later = np.nonzero(self.partner >= 0)
        pairs = later * len(self.mean) + self.partner[place, later]
        order = np.argsort(pairs)
        place, later = place[order], later[order]
        return pairs[order], self.comoment[place, later], self.unknown[place, later]


def duplicate_arrays(
    n_filters: int,
    later: NDArray[np.integer],
    earlier: NDArray[np.integer],
    r: NDArray[np.float32],
) -> dict[str, NDArray[Any]]:
    """The arrays of `DUPLICATE_ARRAYS` from all pairs of duplicates.

    Args:
        n_filters: the number of filters of the layer.
        later: <int>[pair], the filter that repeats another.
        earlier: <int>[pair], the other filter.
        r: <float32>[pair], their correlation.
    """
    order = np.lexsort((earlier, -r, later))
    which, first = np.unique(later[order], return_index=True)
    duplicate_of = np.full(n_filters, NO_PARTNER, np.int32)
    duplicate_r = np.full(n_filters, np.nan, np.float32)
    duplicate_of[which], duplicate_r[which] = earlier[order][first], r[order][first]
    return {"duplicate_of": duplicate_of, "duplicate_r": duplicate_r}


def _kept_pairs(
    least: float,
    m2: NDArray[np.float64],
    pairs: NDArray[np.int64],
    comoment: NDArray[np.float64],
    unknown: NDArray[np.float64],
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
    """The pairs whose correlation may be above `least`, at most `PARTNERS` a filter, as fields."""
    n_filters, size = len(m2), (PARTNERS, len(m2))
    partner, sums = np.full(size, NO_PARTNER, np.int32), (np.zeros(size), np.zeros(size))
    if not len(pairs):
        return partner, *sums
    later, earlier = divmod(pairs, n_filters)
    with np.errstate(invalid="ignore", divide="ignore"):
        largest = (comoment + unknown) / np.sqrt(m2[earlier] * m2[later])
    kept = np.flatnonzero(largest > least)
    # The most alike first, and the first of those that are equally alike.
    order = kept[np.lexsort((earlier[kept], -np.round(largest[kept], 3), later[kept]))]
    _, first, counts = np.unique(later[order], return_index=True, return_counts=True)
    place = np.arange(len(order)) - np.repeat(first, counts)
    order, place = order[place < PARTNERS], place[place < PARTNERS]
    partner[place, later[order]] = earlier[order]
    for array, of_pairs in zip(sums, (comoment, unknown), strict=True):
        array[place, later[order]] = of_pairs[order]
    return partner, *sums


def _moments(batch: Batch) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean and m2 of each filter over a batch, as `Duplicates` holds them."""
    sums = Moments.empty(Extent(1, (1, 1, batch.values.shape[-1])))
    sums.add(replace(batch, labels=np.zeros(len(batch.labels), np.int64)))
    return sums.mean[0], np.where(sums.n_nonfinite[0] == 0, sums.m2[0], np.nan)


def _alike_pairs(
    values: NDArray[np.floating],
    mean: NDArray[np.float64],
    m2: NDArray[np.float64],
    *,
    before: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Pairs of filters that are alike in a batch, of which one varies more than ever before.

    Args:
        values: <float>[row, filter], the values of the batch.
        mean: <float64>[filter].
        m2: <float64>[filter], sum of squared deviations; NaN where a value is not finite.
        before: <float64>[filter], m2 of all batches before.

    Returns:
        `later * n_filters + earlier`, <int64>[pair], not in order.
    """
    n_filters = len(mean)
    searched = np.flatnonzero(m2 > GROWTH * before)
    if not len(searched):
        return np.zeros(0, np.int64)
    codes = np.random.default_rng(0).integers(0, 2 * SKETCH_ROWS, len(values), np.uint8)
    sketch = np.zeros((SKETCH_ROWS, n_filters))
    compiled(add_to_sketch)(values, codes, mean, sketch)
    norms = np.sqrt(np.einsum("ij,ij->j", sketch, sketch))
    varies = (m2 > 0) & (norms > 0)
    units = np.where(varies, sketch / np.where(varies, norms, 1), 0).astype(np.float32)
    step = max(1, GRAM_BYTES // (4 * n_filters))
    parts = []
    for start in range(0, len(searched), step):
        filters = searched[start : start + step]
        # Of all filters, each is compared with those before it only.
        stop = n_filters if len(searched) < n_filters else filters[-1] + 1
        parts.append(_most_alike(units[:, :stop], filters))
    rows, others = np.concatenate(parts, axis=1)
    return np.maximum(rows, others) * n_filters + np.minimum(rows, others)


def _most_alike(units: NDArray[np.float32], filters: NDArray[np.int64]) -> NDArray[np.int64]:
    """The others that some filters are most alike, and those filters, <int64>[2, pair].

    Args:
        units: <float32>[sketch_row, filter], of length one; zeros for a filter that is left out.
        filters: <int64>[filter], which filters.
    """
    r = units[:, filters].T @ units
    is_alike = r > FOLLOWED
    is_alike[np.arange(len(filters)), filters] = False
    rows, others = np.nonzero(is_alike)
    full = np.flatnonzero(np.bincount(rows, minlength=len(filters)) > PARTNERS)
    if len(full):
        # Thousandths and the index in one integer: of equally alike ones the first are kept.
        n_filters = units.shape[1]
        keys = np.round(1000 * r[full]).astype(np.int64) * n_filters
        keys += n_filters - 1 - np.arange(n_filters)
        keys[~is_alike[full]] = -1
        rest = np.argpartition(keys, -PARTNERS, axis=1)[:, :-PARTNERS]
        is_alike[full[:, np.newaxis], rest] = False
        rows, others = np.nonzero(is_alike)
    return np.stack([filters[rows], others])
