"""Values of the filters of a layer over a group of samples.

Exactly, from what is kept of its classes, where it is a union of them; else from maps that are
read, a part of them after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.streaming.histogram import FINEST, Bins

# Octaves below the largest value that bins are made for where a store has none: beyond them values
# are less than a millionth of a millionth of it, and count in the last bin.
OCTAVES_BELOW = 40
# Values that are counted at a time: few calls, and little memory beyond the maps.
WORK_VALUES = 1 << 19
LARGEST = float(np.finfo(np.float32).max)


def classes_of(
    mask: NDArray[np.bool_], labels: NDArray[np.integer], n_classes: int
) -> NDArray[np.intp] | None:
    """The classes that a group is the union of, <int>[class]; None if it is none.

    Whatever its expression says: `label=3|5` is one, and so are all samples.

    Args:
        mask: <bool>[sample], which samples belong to the group.
        labels: <int>[sample], each in `range(n_classes)`.
        n_classes: the number of classes, also of those without samples, which are in no union.
    """
    sizes = np.bincount(labels, minlength=n_classes)
    inside = np.bincount(labels[mask], minlength=n_classes)
    if ((inside > 0) & (inside < sizes)).any():
        return None
    return np.flatnonzero(inside)


def union_map(
    mean_maps: NDArray[np.floating], sizes: NDArray[np.integer]
) -> NDArray[np.float64] | None:
    """The mean map of classes together, <float64>[y, x]; None if they have no samples.

    Args:
        mean_maps: <float>[class, y, x], the mean map of each.
        sizes: <int>[class], how many samples each has; one without any has no share.
    """
    present = sizes > 0
    if not present.any():
        return None
    total = np.tensordot(
        sizes[present].astype(np.float64), mean_maps[present].astype(np.float64), 1
    )
    mean: NDArray[np.float64] = total / sizes.sum()
    return mean


def bins_between(low: float, high: float) -> NDArray[np.float32]:
    """Bins for values from `low` to `high`, <float32>[bound, bin], as those of a store.

    Args:
        low: the smallest value; of one that is not finite, there are no bins below zero.
        high: the largest value; as for `low`.
    """

    def octaves(largest: float) -> tuple[int, int]:
        if not (np.isfinite(largest) and largest > 0):
            return (0, 0)
        last = int(np.float32(min(largest, LARGEST)).view(np.int32)) >> 23
        return (max(0, last - OCTAVES_BELOW), last + 1)

    return Bins(FINEST, octaves(-low), octaves(high)).bounds


@dataclass(frozen=True, slots=True, eq=False)
class MapValues:
    """The values of some filters in maps that were read.

    Attributes:
        n_maps: of how many samples.
        counts: <int64>[filter, bin], how many finite values fall in each bin.
        total: <float64>[y, x, filter], the sum of the maps; a value that is not finite stays in its
            pixel.
    """

    n_maps: int
    counts: NDArray[np.int64]
    total: NDArray[np.float64]

    @classmethod
    def empty(cls, shape: tuple[int, int, int], n_bins: int) -> Self:
        """No maps; adding some to it gives the values of these.

        Args:
            shape: (y, x, filter) of the maps.
            n_bins: how many bins there are.
        """
        return cls(0, np.zeros((shape[2], n_bins), np.int64), np.zeros(shape))

    def plus(self, maps: NDArray[np.floating], bounds: NDArray[np.float32]) -> MapValues:
        """The values of these maps and of more.

        Args:
            maps: <float>[sample, y, x, filter].
            bounds: <float32>[bound, bin], the smallest and the largest value of each bin, in
                ascending order.
        """
        counts, n_filters = self.counts.copy(), maps.shape[3]
        rows = maps.reshape(-1, n_filters)
        for start in range(0, len(rows), step := max(1, WORK_VALUES // n_filters)):
            counts += bin_counts(rows[start : start + step], bounds)
        with np.errstate(invalid="ignore"):  # of infinities of both signs
            total = self.total + maps.sum(axis=0, dtype=np.float64)
        return MapValues(self.n_maps + len(maps), counts, total)

    def mean_map(self, place: int) -> NDArray[np.float64] | None:
        """The mean map of one of the filters, <float64>[y, x]; None before any map."""
        return self.total[..., place] / self.n_maps if self.n_maps else None


def bin_counts(values: NDArray[np.floating], bounds: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many finite values fall in each bin, <int64>[filter, bin].

    What lies beyond all bins of its sign counts in the nearest of them; only zeros count as zeros.

    Args:
        values: <float>[row, filter].
        bounds: <float32>[bound, bin], the smallest and the largest value of each bin, in ascending
            order; both are 0 for that of exact zeros.
    """
    n_filters, n_bins = values.shape[1], bounds.shape[1]
    zero = int(np.flatnonzero((bounds[0] == 0) & (bounds[1] == 0))[0])
    places = np.searchsorted(bounds[0], values, side="right") - 1
    places[(values > 0) & (places <= zero)] = min(zero + 1, n_bins - 1)
    places[(values < 0) & (places < 0)] = 0
    places += np.arange(n_filters) * n_bins
    counts = np.bincount(places[np.isfinite(values)], minlength=n_filters * n_bins)
    return counts.reshape(n_filters, n_bins)
