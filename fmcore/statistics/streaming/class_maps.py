"""Mean and standard deviation of the feature maps of each class, pixel by pixel, mergeable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.streaming.batch import Batch, Extent
from fmcore.statistics.streaming.kernels import (
    add_to_maps,
    average_blocks,
    by_class,
    compiled,
)

# Maps that do not fit in memory are averaged to at most this height and width.
REDUCED_SIZE = 32
# Bytes of averaged maps at a time: few calls, and little memory beyond the cache.
WORK_BYTES = 2 << 20


def class_maps_bytes(n_classes: int, shape: tuple[int, int, int]) -> int:
    """Bytes that class maps take in memory: a mean and an m2 in float64.

    While `add_values` averages, it takes up to `WORK_BYTES` more, or one map.

    Args:
        n_classes: the number of classes.
        shape: (y, x, filter) of the maps.
    """
    return 16 * n_classes * int(np.prod(shape))


def map_size(
    shape: tuple[int, int, int], n_classes: int, budget_bytes: int
) -> tuple[int, int] | None:
    """The size (y, x) of class maps that fit in a memory budget.

    The full size if it fits, else the size averaged over blocks of whole pixels to at most 32x32,
    else None.

    Args:
        shape: (y, x, filter) of the layer.
        n_classes: the number of classes.
        budget_bytes: the memory budget.
    """
    height, width, filters = shape
    reduced = [-(-size // -(-size // REDUCED_SIZE)) for size in (height, width)]
    for size in ((height, width), (reduced[0], reduced[1])):
        if class_maps_bytes(n_classes, (*size, filters)) <= budget_bytes:
            return size
    return None


@dataclass(frozen=True, slots=True, eq=False)
class ClassMaps:
    """Mean maps and variances of each class and filter; a non-finite value stays in its pixel.

    Attributes:
        n_samples: <int64>[class], the number of samples seen.
        mean: <float64>[class, y, x, filter], 0 where nothing was seen.
        m2: <float64>[class, y, x, filter], sum of squared deviations from the mean.
        factors: <int64>[2], pixels (y, x) of the layer that are averaged into one.
    """

    n_samples: NDArray[np.int64]
    mean: NDArray[np.float64]
    m2: NDArray[np.float64]
    factors: NDArray[np.int64]

    @classmethod
    def empty(cls, extent: Extent) -> Self | None:
        """Class maps that have seen nothing, see `of_size`; None if they are left out."""
        factors = extent.map_factors
        if factors is None:
            return None
        return cls.of_size(extent.n_classes, extent.shape, factors=factors)

    @classmethod
    def of_size(
        cls, n_classes: int, shape: tuple[int, int, int], *, factors: tuple[int, int] = (1, 1)
    ) -> Self:
        """Class maps that have seen nothing: `m.merge(empty)` equals `m`.

        Args:
            n_classes: the number of classes.
            shape: (y, x, filter) of the layer.
            factors: pixels (y, x) that are averaged into one; the last block may be smaller.
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
            n_classes: the number of classes, including those that the batch lacks.
        """
        _, height, width, filters = values.shape
        maps = cls.of_size(n_classes, (height, width, filters))
        maps.add_values(values, labels)
        return maps

    def add(self, batch: Batch) -> Self:
        """Adds a batch in place, and returns these class maps."""
        self.add_values(batch.values, batch.labels)
        return self

    def add_values(self, values: NDArray[np.floating], labels: NDArray[np.integer]) -> None:
        """Adds samples in place; equals merging the class maps of these samples.

        Args:
            values: <float>[sample, y, x, filter].
            labels: <int>[sample], each a class of these maps.
        """
        if (self.factors == 1).all():
            self._add(values, labels)
            return
        step = max(1, WORK_BYTES // (8 * self.mean[0].size))
        by_y, by_x = (int(factor) for factor in self.factors)
        averages = np.empty((min(step, len(labels)), *self.mean.shape[1:]))
        for start in range(0, len(labels), step):
            part = values[start : start + step]
            compiled(average_blocks)(part, by_y, by_x, averages[: len(part)])
            self._add(averages[: len(part)], labels[start : start + step])

    def _add(self, values: NDArray[np.floating], labels: NDArray[np.integer]) -> None:
        """Adds samples of the size of the maps."""
        dtype = np.result_type(values, np.float32)
        pixels = np.ascontiguousarray(values, dtype).reshape(len(labels), -1)
        n_classes = len(self.n_samples)
        mean, m2 = (sums.reshape(n_classes, -1, copy=False) for sums in (self.mean, self.m2))
        compiled(add_to_maps)(pixels, *by_class(labels), self.n_samples, mean, m2)
        self.n_samples[:] += np.bincount(labels, minlength=n_classes)

    def merge(self, other: ClassMaps) -> ClassMaps:
        """The class maps of both sets of samples together; associative (Chan et al. 1983)."""
        n_samples = self.n_samples + other.n_samples
        share = _per_pixel(other.n_samples / np.maximum(n_samples, 1))
        delta = other.mean - self.mean
        between = delta**2 * _per_pixel(self.n_samples) * share
        return ClassMaps(
            n_samples, self.mean + delta * share, self.m2 + other.m2 + between, self.factors
        )

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """`mean_map` and `std_map`, <float32>[class, y, x, filter]; NaN for an unseen class."""
        counts = _per_pixel(np.where(self.n_samples > 0, self.n_samples, np.nan))
        return {
            "mean_map": (self.mean * (counts / counts)).astype(np.float32),
            "std_map": np.sqrt(self.m2 / counts).astype(np.float32),
        }


def _per_pixel(per_class: NDArray[np.generic]) -> NDArray[np.float64]:
    return np.asarray(per_class, dtype=np.float64)[:, np.newaxis, np.newaxis, np.newaxis]
