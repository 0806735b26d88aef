"""Histograms of activations for each class and filter; the bins are fixed before the data.

A bin is a range of float32 with the same sign, exponent and leading bits of the mantissa. So its
relative width is the same for small and large values, and histograms of any samples can be added.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.streaming.batch import Batch, Extent
from fmcore.statistics.streaming.reduction import Pooled

# Magnitudes from 6e-8 to 1.7e7 have bins; below and above them, there is one bin for each sign.
LOWEST_EXPONENT, HIGHEST_EXPONENT = -24, 24
OCTAVES = HIGHEST_EXPONENT - LOWEST_EXPONENT
# Bits of the mantissa that select a bin: 16 bins per octave, or fewer if memory is short.
FINEST, COARSEST = 4, 2
_BIAS, _MANTISSA = 127, 23
# Values that are counted in one call. Alone, 65,536, which stay in the cache, are as fast; beside
# threads that compress, fewer calls matter more.
COUNTED_AT_ONCE = 1 << 18


def histogram_bytes(n_classes: int, n_filters: int, bits: int) -> int:
    """Bytes that the histograms of a layer take in memory."""
    return 8 * n_classes * n_filters * Bins(bits).count


@dataclass(frozen=True)
class Bins:
    """The bins of a histogram, in ascending order of value.

    One bin for large negative values, `per_sign` negative bins, one for tiny negative values, one
    for zero, one for tiny positive values, `per_sign` positive bins, one for large positive values.

    Attributes:
        bits: the number of leading bits of the mantissa; there are `2**bits` bins per octave.
    """

    bits: int

    @classmethod
    def numbering(cls, n_bins: int) -> Bins:
        """The bins of a histogram with `n_bins` bins."""
        return cls((n_bins // (2 * OCTAVES)).bit_length() - 1)

    @property
    def per_sign(self) -> int:
        """The number of bins of one sign, without the two for tiny and for large values."""
        return OCTAVES << self.bits

    @property
    def count(self) -> int:
        """The number of all bins."""
        return 2 * self.per_sign + 5

    @property
    def zero(self) -> int:
        """The index of the bin of exact zeros."""
        return self.per_sign + 2

    @property
    def relative_error(self) -> float:
        """The largest distance of a value from the middle of its bin, relative to the value."""
        return float(2.0 ** -(self.bits + 1))

    @property
    def words(self) -> str:
        """A description, which a store records."""
        return (
            f"{1 << self.bits} bins an octave from 2**{LOWEST_EXPONENT} to 2**{HIGHEST_EXPONENT}; "
            f"quantiles within {self.relative_error:.3%} of their value"
        )

    @cached_property
    def bounds(self) -> NDArray[np.float32]:
        """The smallest and the largest value of each bin, <float32>[bound, bin]."""
        shift = _MANTISSA - self.bits
        first = (LOWEST_EXPONENT + _BIAS) << self.bits
        starts = (np.arange(first, first + self.per_sign + 1, dtype=np.int32) << shift).view("f4")
        low = np.concatenate([np.nextafter(np.zeros(1, np.float32), np.float32(1)), starts])
        high = np.nextafter(np.append(starts, np.float32(np.inf)), np.float32(0))
        zero = np.zeros(1, dtype=np.float32)
        return np.stack(
            [
                np.concatenate([-high[::-1], zero, low]),
                np.concatenate([-low[::-1], zero, high]),
            ]
        )


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counts of finite activations; a float64 value counts as the nearest float32.

    Attributes:
        counts: <int64>[class, filter, bin], see `Bins`.
    """

    counts: NDArray[np.int64]

    @classmethod
    def empty(cls, extent: Extent) -> Self | None:
        """A histogram that has seen nothing, see `of_size`; None if histograms are left out."""
        if extent.bin_bits is None:
            return None
        return cls.of_size(extent.n_classes, extent.shape[2], bits=extent.bin_bits)

    @classmethod
    def of_size(cls, n_classes: int, n_filters: int, *, bits: int = FINEST) -> Self:
        """A histogram that has seen nothing: `h.merge(empty)` equals `h`."""
        return cls(np.zeros((n_classes, n_filters, Bins(bits).count), dtype=np.int64))

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

    def add(self, batch: Batch) -> Self:
        """Counts a batch in place, and returns this histogram."""
        values, labels, pooled = batch.values, batch.labels, batch.pooled
        n_filters, bins = values.shape[3], Bins.numbering(self.counts.shape[2])
        flat = np.ascontiguousarray(values).reshape(len(labels), -1)
        finite = bool((pooled.n_values == pooled.n_pixels).all())
        signed = not finite or bool((pooled.min < 0).any())
        # If no value is negative, half of the bins are enough: from the tiny positive values on.
        first, width = (0, bins.count) if signed else (bins.zero + 1, bins.per_sign + 2)
        indexer = _BinIndexer(flat.shape[1], n_filters, bins, width)
        for index in np.unique(labels):
            members = np.flatnonzero(labels == index)
            counts = self.counts[index, :, first:]
            for start in range(0, len(members), indexer.rows):
                rows = members[start : start + indexer.rows]
                indices = indexer.signed(flat[rows]) if signed else indexer.unsigned(flat, rows)
                if not finite:
                    indices = indices[np.isfinite(flat[rows])]
                batch_counts = np.bincount(indices.reshape(-1), minlength=n_filters * width)
                counts += batch_counts.reshape(counts.shape)
            # Exact zeros were counted as tiny positive values.
            n_zero = pooled.n_zero[members].sum(axis=0)
            self.counts[index, :, bins.zero + 1] -= n_zero
            self.counts[index, :, bins.zero] += n_zero
        return self

    def merge(self, other: Histogram) -> Histogram:
        """The histograms of both sets of samples together; associative."""
        return Histogram(self.counts + other.counts)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """`histogram`, the counts, and `bin_bounds`, <float32>[bound, bin]."""
        bounds = Bins.numbering(self.counts.shape[2]).bounds
        return {"histogram": self.counts, "bin_bounds": bounds}


class _BinIndexer:
    """Computes the bin of each value, plus an offset for its filter, in buffers that are reused."""

    def __init__(self, n_values: int, n_filters: int, bins: Bins, width: int) -> None:
        self._bins = bins
        self._shift = _MANTISSA - bins.bits
        # The leading bits of the values just below the first bin, and just above the last.
        self._below = ((LOWEST_EXPONENT + _BIAS) << bins.bits) - 1
        self._above = self._below + bins.per_sign + 1
        self.rows = max(1, COUNTED_AT_ONCE // n_values)
        offsets = np.arange(0, n_filters * width, width, dtype=np.int32)
        self._offsets = np.tile(offsets, n_values // n_filters)
        self._unsigned_offsets = self._offsets - np.int32(self._below)
        self._narrow = np.empty((self.rows, n_values), dtype=np.int32)
        self._wide = np.empty((self.rows, n_values), dtype=np.int64)

    def unsigned(self, values: NDArray[np.float32], rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """The bins of rows of values of 0 or above, counted from that of tiny positive values."""
        bits = self._narrow[: len(rows)]
        # "clip" avoids a buffered copy.
        np.take(values.view(np.int32), rows, axis=0, out=bits, mode="clip")
        self._keep_leading_bits(bits)
        return np.add(bits, self._unsigned_offsets, out=self._wide[: len(rows)])

    def signed(self, values: NDArray[np.float32]) -> NDArray[np.int64]:
        """The bins of values of any sign, counted from the first bin."""
        bits = (values + np.float32(0)).view(np.int32)  # + 0 turns -0.0 into 0.0
        negative = bits < 0
        bits &= 0x7FFFFFFF
        self._keep_leading_bits(bits)
        bits -= self._below - 1
        np.negative(bits, out=bits, where=negative)
        bits += self._bins.zero
        return np.add(bits, self._offsets, out=self._wide[: len(values)])

    def _keep_leading_bits(self, bits: NDArray[np.int32]) -> None:
        """Reduces float bits to those that select a bin; tiny and large values get one bin each."""
        np.right_shift(bits, self._shift, out=bits)
        np.clip(bits, self._below, self._above, out=bits)


def quantiles(
    counts: NDArray[np.int64], low: NDArray[np.float64], high: NDArray[np.float64], *, level: float
) -> NDArray[np.float64]:
    """Quantiles from histograms.

    A quantile is the middle of the bin of numpy's `quantile(…, method="inverted_cdf")`, clipped to
    the range of the values. So it is within `Bins.relative_error` of that for magnitudes that have
    bins.

    Args:
        counts: <int64>[..., bin], see `Histogram`.
        low: <float64>[...], the smallest value.
        high: <float64>[...], the largest value.
        level: the share of values at or below the quantile, from 0 to 1.

    Returns:
        <float64>[...]; NaN where nothing was counted.
    """
    bounds = Bins.numbering(counts.shape[-1]).bounds.astype(np.float64)
    cumulative = np.cumsum(counts, axis=-1)
    rank = np.maximum(np.ceil(level * cumulative[..., -1:]), 1)
    indices = (cumulative < rank).sum(axis=-1)
    middles = bounds.mean(axis=0)[np.minimum(indices, counts.shape[-1] - 1)]
    return np.where(cumulative[..., -1] > 0, np.clip(middles, low, high), np.nan)
