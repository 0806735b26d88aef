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
from fmcore.statistics.streaming.kernels import by_class, compiled, count_bins
from fmcore.statistics.streaming.reduction import Pooled

# Magnitudes from 6e-8 to 1.7e7 have bins; below and above them, there is one bin for each sign.
LOWEST_EXPONENT, HIGHEST_EXPONENT = -24, 24
OCTAVES = HIGHEST_EXPONENT - LOWEST_EXPONENT
# Bits of the mantissa that select a bin: 16 bins per octave, or fewer if memory is short.
FINEST, COARSEST = 4, 2
_BIAS, _MANTISSA = 127, 23


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
    def shift(self) -> int:
        """The number of bits of the mantissa that select no bin."""
        return _MANTISSA - self.bits

    @property
    def lowest(self) -> int:
        """The leading bits of the smallest values that are not tiny."""
        return (LOWEST_EXPONENT + _BIAS) << self.bits

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
        keys = np.arange(self.lowest, self.lowest + self.per_sign + 1, dtype=np.int32)
        starts = (keys << self.shift).view("f4")
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
        n_filters, bins = batch.values.shape[3], Bins.numbering(self.counts.shape[2])
        rows = np.ascontiguousarray(batch.values, np.float32).reshape(len(batch.labels), -1)
        compiled(count_bins)(
            rows.view(np.int32),
            *by_class(batch.labels),
            n_filters,
            bins.shift,
            bins.lowest,
            bins.per_sign,
            bins.zero,
            self.counts,
        )
        return self

    def merge(self, other: Histogram) -> Histogram:
        """The histograms of both sets of samples together; associative."""
        return Histogram(self.counts + other.counts)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """`histogram`, the counts, and `bin_bounds`, <float32>[bound, bin]."""
        bounds = Bins.numbering(self.counts.shape[2]).bounds
        return {"histogram": self.counts, "bin_bounds": bounds}


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
