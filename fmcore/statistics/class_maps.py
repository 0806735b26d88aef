"""Mean and spread of the feature maps of each class, pixel by pixel, mergeable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Where the full maps do not fit in memory, they are averaged to at most this many pixels.
REDUCED_SIZE = 32
# Deviations in float64 that are held at a time; a large layer has megabytes a sample.
MOST_BYTES = 16 << 20


def class_maps_bytes(n_classes: int, shape: tuple[int, int, int]) -> int:
    """Memory that class maps of a size take: a mean and an m2 in float64.

    Args:
        n_classes: classes of the model.
        shape: (y, x, filter) of the maps.
    """
    return 16 * n_classes * int(np.prod(shape))


def map_size(
    shape: tuple[int, int, int], n_classes: int, budget_bytes: int
) -> tuple[int, int] | None:
    """The (y, x) of the class maps of a layer that fit in a budget.

    Full size where it fits, else averaged over whole pixels to at most 32x32, else None.
    """
    height, width, filters = shape
    reduced = [-(-size // -(-size // REDUCED_SIZE)) for size in (height, width)]
    for size in ((height, width), (reduced[0], reduced[1])):
        if class_maps_bytes(n_classes, (*size, filters)) <= budget_bytes:
            return size
    return None


@dataclass(frozen=True, slots=True, eq=False)
class ClassMaps:
    """The mean map of each class and filter. A value that is not finite stays so in its pixel.

    Attributes:
        n_samples: <int64>[class].
        mean: <float64>[class, y, x, filter], 0 where nothing was seen.
        m2: <float64>[class, y, x, filter], sum of squared deviations from the mean.
        factors: <int64>[2], pixels (y, x) of the layer that are averaged into one.
    """

    n_samples: NDArray[np.int64]
    mean: NDArray[np.float64]
    m2: NDArray[np.float64]
    factors: NDArray[np.int64]

    @classmethod
    def empty(
        cls, n_classes: int, shape: tuple[int, int, int], *, factors: tuple[int, int] = (1, 1)
    ) -> ClassMaps:
        """Nothing seen yet: `m.merge(empty)` equals `m`.

        Args:
            n_classes: classes of the model.
            shape: (y, x, filter) of the layer.
            factors: pixels (y, x) that are averaged into one; the last block has what remains.
        """
        size = (n_classes, -(-shape[0] // factors[0]), -(-shape[1] // factors[1]), shape[2])
        n_samples = np.zeros(n_classes, dtype=np.int64)
        return cls(n_samples, np.zeros(size), np.zeros(size), np.array(factors))

    @classmethod
    def from_batch(
        cls, values: NDArray[np.floating], labels: NDArray[np.integer], *, n_classes: int
    ) -> ClassMaps:
        """The class maps of one batch.

        Args:
            values: <float>[sample, y, x, filter].
            labels: <int>[sample], each in `range(n_classes)`.
            n_classes: rows of the result, also for classes the batch lacks.
        """
        _, height, width, filters = values.shape
        maps = cls.empty(n_classes, (height, width, filters))
        maps.add(values, labels)
        return maps

    def add(self, values: NDArray[np.floating], labels: NDArray[np.integer]) -> None:
        """Takes in a batch, in place; equals a merge with its own maps.

        Sums are of deviations from the mean so far, so that nothing cancels (Chan et al. 1983).

        Args:
            values: <float>[sample, y, x, filter].
            labels: <int>[sample], each a class of these maps.
        """
        rows = max(1, MOST_BYTES // (8 * max(1, values[0].size)))
        for index in np.unique(labels):
            members = np.flatnonzero(labels == index)
            for start in range(0, len(members), rows):
                self._add(index, values[members[start : start + rows]])

    def _add(self, index: int, values: NDArray[np.floating]) -> None:
        """Takes in a few samples of one class."""
        averaged = _averaged(values, self.factors)
        n_new, n_old = len(averaged), int(self.n_samples[index])
        mean, m2 = self.mean[index].reshape(-1), self.m2[index].reshape(-1)
        centre = mean if n_old else averaged[0].reshape(-1)
        with np.errstate(invalid="ignore", over="ignore"):
            deviation = np.subtract(averaged.reshape(n_new, -1), centre, dtype=np.float64)
            delta = np.full(n_new, 1 / n_new) @ deviation
            within = np.einsum("sp,sp->p", deviation, deviation) - n_new * delta**2
            share = n_new / (n_old + n_new)
            m2 += np.maximum(within, 0) + delta**2 * (n_old * share)
            if n_old:
                mean += delta * share
            else:
                mean[...] = centre + delta
        self.n_samples[index] += n_new

    def merge(self, other: ClassMaps) -> ClassMaps:
        """The class maps of both sets of samples together; associative (Chan et al. 1983)."""
        n_samples = self.n_samples + other.n_samples
        share = _per_pixel(other.n_samples / np.maximum(n_samples, 1))
        delta = other.mean - self.mean
        between = delta**2 * _per_pixel(self.n_samples) * share
        return ClassMaps(
            n_samples, self.mean + delta * share, self.m2 + other.m2 + between, self.factors
        )

    def read_out(self) -> dict[str, NDArray[np.float32]]:
        """`mean_map` and `std_map`, <float32>[class, y, x, filter]; NaN for a class not seen."""
        seen = _per_pixel(np.where(self.n_samples > 0, self.n_samples, np.nan))
        return {
            "mean_map": (self.mean * (seen / seen)).astype(np.float32),
            "std_map": np.sqrt(self.m2 / seen).astype(np.float32),
        }


def _averaged(values: NDArray[np.floating], factors: NDArray[np.int64]) -> NDArray[np.floating]:
    """A copy of the values, or their means over blocks of pixels, [sample, y, x, filter]."""
    if (factors == 1).all():
        return values
    for axis, factor in ((1, int(factors[0])), (2, int(factors[1]))):
        starts = np.arange(0, values.shape[axis], factor)
        sizes = np.diff(starts, append=values.shape[axis]).astype(values.dtype)
        shape = [1, 1, 1, 1]
        shape[axis] = len(sizes)
        values = np.add.reduceat(values, starts, axis=axis) / sizes.reshape(shape)
    return values


def _per_pixel(per_class: NDArray[np.generic]) -> NDArray[np.float64]:
    return np.asarray(per_class, dtype=np.float64)[:, np.newaxis, np.newaxis, np.newaxis]
