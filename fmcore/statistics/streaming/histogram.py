"""Histograms of activations for each class and filter; the bins are fixed before the data.

A bin is a range of float32 with the same sign, exponent and leading bits of the mantissa. So its
relative width is the same for small and large values, and histograms of any samples can be added.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.streaming.batch import Batch, Extent
from fmcore.statistics.streaming.kernels import (
    by_class,
    compiled,
    count_bins,
    count_new_bins,
    extreme_magnitudes,
)
from fmcore.statistics.streaming.reduction import Pooled

# Bits of the mantissa that select a bin: 16 bins per octave, or fewer if memory is short.
FINEST, COARSEST = 4, 2
# Octaves of both signs that a histogram is planned for: a ReLU layer's values lie in about 30.
# Where they lie in more, and the table is not small, its bins become wider.
PLANNED_OCTAVES = 96
SMALL_BYTES = 32 << 20
# The part of the first batch that tells in which octaves values lie; and how many more there are
# bins for, below and above: the smallest of a hundred samples is seven octaves below that of one.
FIRST_SHARE = 16
MORE_OCTAVES = np.array([-8, 1])
N_OCTAVES = 255
_MANTISSA = 23
# A range of magnitudes, by the bits of a float32, before any is seen.
NO_MAGNITUDES = (0x7F800000, 0)


def histogram_bytes(n_classes: int, n_filters: int, bits: int) -> int:
    """Bytes that the histograms of a layer are planned to take in memory at most."""
    return 8 * n_classes * n_filters * planned_bins(bits)


def planned_bins(bits: int) -> int:
    """The number of bins that a histogram is planned for, see `Bins`."""
    return (PLANNED_OCTAVES << bits) + 1


@dataclass(frozen=True)
class Bins:
    """The bins of a histogram, in ascending order of value.

    Bins of negative values, one for exact zeros, and bins of positive values. Octaves are counted
    as a float32 does: octave 127 begins at 1, and 0 has all that is smaller than 2**-126, in bins
    of equal width.

    Attributes:
        bits: the number of leading bits of the mantissa; there are `2**bits` bins per octave.
        negative: the first octave of the negative values, and that after the last.
        positive: the same of the positive values.
    """

    bits: int
    negative: tuple[int, int] = (0, 0)
    positive: tuple[int, int] = (0, 0)

    @property
    def count(self) -> int:
        """The number of all bins."""
        return self.zero + 1 + ((self.positive[1] - self.positive[0]) << self.bits)

    @property
    def zero(self) -> int:
        """The index of the bin of exact zeros."""
        return (self.negative[1] - self.negative[0]) << self.bits

    @property
    def shift(self) -> int:
        """The number of bits of the mantissa that select no bin."""
        return _MANTISSA - self.bits

    @property
    def relative_error(self) -> float:
        """The largest distance of a value from the middle of its bin, relative to the value.

        Of a value below 2**-126, relative to 2**-126.
        """
        return float(2.0 ** -(self.bits + 1))

    @property
    def words(self) -> str:
        """A description, which a store records."""
        per_octave = "1 bin" if self.bits == 0 else f"{1 << self.bits} bins"
        return (
            f"{per_octave} an octave; quantiles within {self.relative_error:.3%} of their value, "
            "or of 1.2e-38 where that is smaller"
        )

    def of_octaves(self, octaves: NDArray[np.int64]) -> Bins:
        """Bins as fine as these of other octaves, <int64>[sign, (first, after the last)]."""
        negative, positive = octaves.tolist()
        return Bins(self.bits, tuple(negative), tuple(positive))

    def places(self, sign: int, first: int, last: int) -> slice:
        """Where the bins lie of some octaves, which there must be.

        Args:
            sign: 0 of negative values, 1 of positive ones.
            first: the first octave.
            last: the octave after the last.
        """
        own_first = (self.negative, self.positive)[sign][0]
        near, far = (first - own_first) << self.bits, (last - own_first) << self.bits
        if sign == 0:
            return slice(self.zero - far, self.zero - near)
        return slice(self.zero + 1 + near, self.zero + 1 + far)

    @cached_property
    def bounds(self) -> NDArray[np.float32]:
        """The smallest and the largest value of each bin, <float32>[bound, bin]."""
        sides = []
        for first, after in (self.negative, self.positive):
            keys = np.arange(first << self.bits, (after << self.bits) + 1, dtype=np.int32)
            starts = keys << self.shift
            smallest = np.maximum(starts[:-1], 1)  # 0 is in no bin but its own
            sides.append(np.stack([smallest, starts[1:] - 1]).view(np.float32))
        (low, high), positive = sides
        negative = -np.stack([high[::-1], low[::-1]])
        zero = np.zeros((2, 1), dtype=np.float32)
        return np.concatenate([negative, zero, positive], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counts of finite activations; a float64 value counts as the nearest float32.

    It has bins for the octaves in which values lie and some beside them, and gets more as needed.

    Attributes:
        counts: <int64>[class, filter, bin], see `Bins`.
        octaves: <int64>[sign, bound], the first octave that has bins, and that after the last, of
            negative and of positive values; equal where there are none.
        bits: <int64>[], the resolution.
        planned_bits: <int64>[], the resolution without regard to the values; finer than `bits`
            where these lie in so many octaves that the table would be too large.
    """

    counts: NDArray[np.int64]
    octaves: NDArray[np.int64]
    bits: NDArray[np.int64]
    planned_bits: NDArray[np.int64]

    @classmethod
    def empty(cls, extent: Extent) -> Self | None:
        """A histogram that has seen nothing, see `of_size`; None if histograms are left out."""
        if extent.bin_bits is None:
            return None
        return cls.of_size(extent.n_classes, extent.shape[2], bits=extent.bin_bits)

    @classmethod
    def of_size(cls, n_classes: int, n_filters: int, *, bits: int = FINEST) -> Self:
        """A histogram that has seen nothing: `h.merge(empty)` equals `h`."""
        counts = np.zeros((n_classes, n_filters, 1), dtype=np.int64)
        return cls(counts, np.zeros((2, 2), np.int64), np.array(bits), np.array(bits))

    @classmethod
    def from_batch(
        cls,
        values: NDArray[np.floating],
        labels: NDArray[np.integer],
        *,
        n_classes: int,
        bits: int = FINEST,
    ) -> Histogram:
        """The histograms of one batch.

        Args:
            values: <float>[sample, y, x, filter].
            labels: <int>[sample], each in `range(n_classes)`.
            n_classes: the number of classes, including those that the batch lacks.
            bits: the resolution, see `Bins`.
        """
        with np.errstate(over="ignore"):
            single = np.asarray(values, dtype=np.float32)
        histogram = cls.of_size(n_classes, values.shape[3], bits=bits)
        return histogram.add(Batch(single, labels, Pooled.from_batch(single), single))

    @property
    def bins(self) -> Bins:
        """The bins of the counts."""
        return Bins(int(self.bits)).of_octaves(self.octaves)

    def add(self, batch: Batch) -> Self:
        """Counts a batch, in place unless it has values outside of all bins."""
        n_samples = len(batch.labels)
        rows = np.ascontiguousarray(batch.values, np.float32).reshape(n_samples, -1)
        # Few samples have most of the octaves, and the others have bins then.
        n_first = 0 if self.octaves.any() else -(-n_samples // FIRST_SHARE)
        histogram = self
        for part in (slice(n_first), slice(n_first, None)):
            histogram = histogram._add(rows[part].view(np.int32), batch.labels[part])
        return histogram

    def _add(self, bits: NDArray[np.int32], labels: NDArray[np.integer]) -> Self:
        """Counts values by their bits, <int32>[sample, pixel * filter]; see `add`."""
        n_filters, layout = self.counts.shape[1], self._layout()
        is_incomplete = np.zeros(len(labels), dtype=np.bool_)
        compiled(count_bins)(
            bits, *by_class(labels), n_filters, *layout, self.counts, is_incomplete
        )
        if not is_incomplete.any():
            return self
        left = bits[is_incomplete]
        extremes = np.array([NO_MAGNITUDES, NO_MAGNITUDES], dtype=np.int32)
        compiled(extreme_magnitudes)(left, extremes)
        octaves = _octaves(extremes)
        if np.array_equal(_union(self.octaves, octaves), self.octaves):
            return self  # what has no bin is not finite
        histogram = self._with_bins(self._bins_for(_union(self.occupied(), octaves)))
        counted = (self.octaves << _MANTISSA).astype(np.int32)
        of_left = labels[is_incomplete].astype(np.int64)
        compiled(count_new_bins)(
            left, of_left, n_filters, *histogram._layout(), counted, histogram.counts
        )
        return histogram

    def _layout(self) -> tuple[int, NDArray[np.int32], NDArray[np.int32]]:
        """The `shift`, `firsts` and `sizes` of the bins, as kernels take them."""
        keys = (self.octaves << int(self.bits)).astype(np.int32)
        return self.bins.shift, keys[:, 0], keys[:, 1] - keys[:, 0]

    def merge(self, other: Self) -> Self:
        """The histograms of both sets of samples together; associative."""
        bins = self._bins_for(_union(self.occupied(), other.occupied()))
        mine, theirs = self._with_bins(bins), other._with_bins(bins)
        return dataclasses.replace(mine, counts=mine.counts + theirs.counts)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """`histogram`, the counts, and `bin_bounds`, <float32>[bound, bin]; no octave is empty."""
        exact = self._with_bins(self.bins.of_octaves(self.occupied()))
        return {"histogram": exact.counts, "bin_bounds": exact.bins.bounds}

    def occupied(self) -> NDArray[np.int64]:
        """The octaves from the first to the last that has values, as `octaves`."""
        bins, used = self.bins, np.asarray(self.counts.any(axis=(0, 1)))
        octaves = np.zeros((2, 2), dtype=np.int64)
        for sign, side in enumerate((used[: bins.zero][::-1], used[bins.zero + 1 :])):
            places = np.flatnonzero(side) >> bins.bits
            if len(places):
                octaves[sign] = self.octaves[sign, 0] + [places[0], places[-1] + 1]
        return octaves

    def _bins_for(self, octaves: NDArray[np.int64]) -> Bins:
        """The bins for values in some octaves.

        How fine they are follows from the octaves alone, so that any order of batches makes the
        same histogram. There are some for more octaves, if they fit: among more values there are
        smaller ones.
        """
        n_classes, n_filters, _ = self.counts.shape
        bits = int(self.planned_bits)
        most = max(planned_bins(bits), SMALL_BYTES // (8 * n_classes * n_filters))
        while bits > 0 and Bins(bits).of_octaves(octaves).count > most:
            bits -= 1
        is_used = octaves[:, :1] < octaves[:, 1:]
        more = np.where(is_used, np.clip(octaves + MORE_OCTAVES, 0, N_OCTAVES), octaves)
        roomy = Bins(bits).of_octaves(more)
        return roomy if roomy.count <= most else Bins(bits).of_octaves(octaves)

    def _with_bins(self, after: Bins) -> Self:
        """The histogram with other bins, as fine or wider, for all octaves that have values."""
        before, octaves = self.bins, np.array([after.negative, after.positive])
        if before == after:
            return self
        shape = self.counts.shape[:2]
        counts = np.zeros((*shape, after.count), dtype=np.int64)
        counts[..., after.zero] = self.counts[..., before.zero]
        group = 1 << (before.bits - after.bits)
        for sign in (0, 1):
            first = max(int(self.octaves[sign, 0]), int(octaves[sign, 0]))
            last = min(int(self.octaves[sign, 1]), int(octaves[sign, 1]))
            if first < last:
                source = self.counts[..., before.places(sign, first, last)]
                target = counts[..., after.places(sign, first, last)]
                if group == 1:
                    target[:] = source
                else:
                    np.sum(source.reshape(*target.shape, group), axis=3, out=target)
        return dataclasses.replace(self, counts=counts, octaves=octaves, bits=np.array(after.bits))


def _octaves(magnitudes: NDArray[np.int32]) -> NDArray[np.int64]:
    """The octaves of a range of magnitudes, <int64>[sign, (first, after the last)].

    Args:
        magnitudes: <int32>[sign, (smallest, largest)], as the bits of a float32; the smallest is
            larger than the largest where there are none.
    """
    octaves = np.add(magnitudes >> _MANTISSA, np.array([0, 1], dtype=np.int64))
    octaves[magnitudes[:, 0] > magnitudes[:, 1]] = 0
    return octaves


def _union(octaves: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """The octaves from the first to the last of both, sign by sign; equal bounds are none."""
    low = np.minimum(octaves[:, 0], others[:, 0])
    high = np.maximum(octaves[:, 1], others[:, 1])
    union = np.stack([low, high], axis=1)
    for without, with_values in ((octaves, others), (others, octaves)):
        is_empty = without[:, 0] == without[:, 1]
        union[is_empty] = with_values[is_empty]
    return union


def quantiles(
    counts: NDArray[np.int64],
    bounds: NDArray[np.float32],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    *,
    level: float,
) -> NDArray[np.float64]:
    """Quantiles from histograms.

    A quantile is the middle of the bin of numpy's `quantile(…, method="inverted_cdf")`, clipped to
    the range of the values. So it is within `Bins.relative_error` of that.

    Args:
        counts: <int64>[..., bin], see `Histogram`.
        bounds: <float32>[bound, bin], the smallest and the largest value of each bin.
        low: <float64>[...], the smallest value.
        high: <float64>[...], the largest value.
        level: the share of values at or below the quantile, from 0 to 1.

    Returns:
        <float64>[...]; NaN where nothing was counted.
    """
    cumulative = np.cumsum(counts, axis=-1)
    rank = np.maximum(np.ceil(level * cumulative[..., -1:]), 1)
    indices = (cumulative < rank).sum(axis=-1)
    middles = bounds.mean(axis=0, dtype=np.float64)[np.minimum(indices, counts.shape[-1] - 1)]
    return np.where(cumulative[..., -1] > 0, np.clip(middles, low, high), np.nan)
