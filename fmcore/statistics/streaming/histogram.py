"""How often a filter's activations have which size, for each class; the bins are fixed beforehand.

A bin is a range of float32 with the same sign, exponent and leading bits, so that it is as narrow
for small values as for large ones, and histograms of any samples can be added.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.streaming.reduction import Pooled

# Magnitudes from 6e-8 to 1.7e7 have bins of their own; below and above there is one for each sign.
LOWEST_EXPONENT, HIGHEST_EXPONENT = -24, 24
OCTAVES = HIGHEST_EXPONENT - LOWEST_EXPONENT
# Bits of the mantissa that a bin's number has: 16 bins an octave, or fewer where memory is short.
FINEST, COARSEST = 4, 2
_BIAS, _MANTISSA = 127, 23
# Values whose bins are counted at a time. Alone 65,536 are as fast, which stay in the cache; beside
# threads that compress, fewer calls count for more.
COUNTED_AT_ONCE = 1 << 18


def histogram_bytes(n_classes: int, n_filters: int, bits: int) -> int:
    """Memory that the histograms of a layer hold."""
    return 8 * n_classes * n_filters * Bins(bits).count


@dataclass(frozen=True)
class Bins:
    """Bins of activations: too large, n negative, tiny, zero, tiny, n positive, too large.

    Attributes:
        bits: leading bits of the mantissa; `2**bits` bins an octave.
    """

    bits: int

    @classmethod
    def numbering(cls, n_bins: int) -> Bins:
        """Those of which there are so many."""
        return cls(((n_bins - 5) // (2 * OCTAVES)).bit_length() - 1)

    @property
    def each_sign(self) -> int:
        """Bins of one sign, without that of tiny and of too large values."""
        return OCTAVES << self.bits

    @property
    def count(self) -> int:
        """All bins."""
        return 2 * self.each_sign + 5

    @property
    def zero(self) -> int:
        """The bin of exact zeros."""
        return self.each_sign + 2

    @property
    def relative_error(self) -> float:
        """How far the middle of a bin may be from a value in it, as a share of the value."""
        return float(2.0 ** -(self.bits + 1))

    @property
    def words(self) -> str:
        """What a store records."""
        return (
            f"{1 << self.bits} bins an octave from 2**{LOWEST_EXPONENT} to 2**{HIGHEST_EXPONENT}; "
            f"quantiles within {self.relative_error:.3%} of their value"
        )

    @cached_property
    def bounds(self) -> NDArray[np.float32]:
        """The smallest and the largest value of each bin, <float32>[bound, bin]."""
        shift = _MANTISSA - self.bits
        first = (LOWEST_EXPONENT + _BIAS) << self.bits
        starts = (np.arange(first, first + self.each_sign + 1, dtype=np.int32) << shift).view("f4")
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
    """Counts of finite activations; a value of float64 counts as the nearest float32.

    Attributes:
        counts: <int64>[class, filter, bin], see `Bins`.
    """

    counts: NDArray[np.int64]

    @classmethod
    def empty(cls, n_classes: int, n_filters: int, *, bits: int = FINEST) -> Histogram:
        """Nothing seen yet: `h.merge(empty)` equals `h`."""
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
            n_classes: rows of the result, also for classes the batch lacks.
            bits: see `Bins`.
        """
        with np.errstate(over="ignore"):
            single = np.asarray(values, dtype=np.float32)
        found = cls.empty(n_classes, values.shape[3], bits=bits)
        found.add(single, labels, Pooled.from_batch(single))
        return found

    def add(self, values: NDArray[np.float32], labels: NDArray[np.integer], pooled: Pooled) -> None:
        """Takes in a batch, <float32>[sample, y, x, filter], and its own reduction, in place."""
        n_filters, bins = values.shape[3], Bins.numbering(self.counts.shape[2])
        flat = np.ascontiguousarray(values).reshape(len(labels), -1)
        finite = bool((pooled.n_values == pooled.n_pixels).all())
        signed = not finite or bool((pooled.min < 0).any())
        # Where no value is negative, half of the bins are enough: that of tiny ones and above.
        first, width = (0, bins.count) if signed else (bins.zero + 1, bins.each_sign + 2)
        numbering = _Numbering(flat.shape[1], n_filters, bins, width)
        for index in np.unique(labels):
            members = np.flatnonzero(labels == index)
            counts = self.counts[index, :, first : first + width]
            for start in range(0, len(members), numbering.rows):
                few = members[start : start + numbering.rows]
                numbers = numbering.any(flat[few]) if signed else numbering.positive(flat, few)
                if not finite:
                    numbers = numbers[np.isfinite(flat[few])]
                found = np.bincount(numbers.reshape(-1), minlength=n_filters * width)
                counts += found.reshape(counts.shape)
            # Exact zeros were counted as tiny positive values.
            n_zero = pooled.n_zero[members].sum(axis=0)
            self.counts[index, :, bins.zero + 1] -= n_zero
            self.counts[index, :, bins.zero] += n_zero

    def merge(self, other: Histogram) -> Histogram:
        """The histograms of both sets of samples together; associative."""
        return Histogram(self.counts + other.counts)


class _Numbering:
    """The number of each value's bin, plus an offset for its filter, in memory used again."""

    def __init__(self, n_values: int, n_filters: int, bins: Bins, width: int) -> None:
        self._bins = bins
        self._shift = _MANTISSA - bins.bits
        # The leading bits of the values just below the first bin of all, and just above the last.
        self._below = ((LOWEST_EXPONENT + _BIAS) << bins.bits) - 1
        self._above = self._below + bins.each_sign + 1
        self.rows = max(1, COUNTED_AT_ONCE // n_values)
        offsets = np.arange(0, n_filters * width, width, dtype=np.int32)
        self._offsets = np.tile(offsets, n_values // n_filters)
        self._positive_offsets = self._offsets - np.int32(self._below)
        self._narrow = np.empty((self.rows, n_values), dtype=np.int32)
        self._wide = np.empty((self.rows, n_values), dtype=np.int64)

    def positive(self, values: NDArray[np.float32], rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """Of rows of values that are zero or above, from the bin of tiny ones on."""
        bits = self._narrow[: len(rows)]
        np.take(
            values.view(np.int32), rows, axis=0, out=bits, mode="clip"
        )  # the mode costs nothing
        self._leading(bits)
        return np.add(bits, self._positive_offsets, out=self._wide[: len(rows)])

    def any(self, values: NDArray[np.float32]) -> NDArray[np.int64]:
        """Of any values, from the first bin on."""
        bits = (values + np.float32(0)).view(np.int32)  # + 0: -0.0 is a zero as 0.0 is
        negative = bits < 0
        bits &= 0x7FFFFFFF
        self._leading(bits)
        bits -= self._below - 1
        np.negative(bits, out=bits, where=negative)
        bits += self._bins.zero
        return np.add(bits, self._offsets, out=self._wide[: len(values)])

    def _leading(self, bits: NDArray[np.int32]) -> None:
        """Leaves the bits that number a bin; those of tiny and too large values become one each."""
        np.right_shift(bits, self._shift, out=bits)
        np.clip(bits, self._below, self._above, out=bits)


def quantiles(
    counts: NDArray[np.int64], level: float, low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The value that a share `level` of all is not above, from histograms: <float64>[...].

    It is the middle of the bin in which numpy's `quantile(…, method="inverted_cdf")` lies, kept
    within the range; so within `Bins.relative_error` of it for magnitudes that have bins.

    Args:
        counts: <int64>[..., bin].
        level: from 0 to 1.
        low: <float64>[...], the smallest value of all.
        high: <float64>[...], the largest.

    Returns:
        <float64>[...]; NaN where nothing was counted.
    """
    bounds = Bins.numbering(counts.shape[-1]).bounds.astype(np.float64)
    reached = np.cumsum(counts, axis=-1)
    wanted = np.maximum(np.ceil(level * reached[..., -1:]), 1)
    places = (reached < wanted).sum(axis=-1)
    found = bounds.mean(axis=0)[np.minimum(places, counts.shape[-1] - 1)]
    return np.where(reached[..., -1] > 0, np.clip(found, low, high), np.nan)
