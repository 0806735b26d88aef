"""Mean and standard deviation of the feature maps of each class, pixel by pixel, mergeable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.streaming.batch import Batch, Extent

# Maps that do not fit in memory are averaged to at most this height and width.
REDUCED_SIZE = 32
# Bytes of float64 deviations at a time: few NumPy calls, and little memory beyond the cache.
WORK_BYTES = 2 << 20
# Samples of a class that are added together; more would make the blocks of columns too narrow.
MOST_ROWS = 256


def class_maps_bytes(n_classes: int, shape: tuple[int, int, int]) -> int:
    """Bytes that class maps take in memory: a mean and an m2 in float64.

    While `add_values` runs, it takes up to twice `WORK_BYTES` more.

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
        # Bytes of one sample whose rows are averaged and whose columns are not yet.
        sample_bytes = 8 * self.mean[0].size * int(self.factors[1])
        step = max(1, WORK_BYTES // sample_bytes)
        for start in range(0, len(labels), step):
            rows = slice(start, start + step)
            self._add(_block_means(values[rows], self.factors), labels[rows])

    def _add(self, values: NDArray[np.floating], labels: NDArray[np.integer]) -> None:
        """Adds samples of the size of the maps, class by class."""
        pixels = values.reshape(len(labels), -1)
        work = np.empty(max(MOST_ROWS, min(WORK_BYTES // 8, MOST_ROWS * pixels.shape[1])))
        for index in np.unique(labels):
            members = np.flatnonzero(labels == index)
            for start in range(0, len(members), MOST_ROWS):
                self._add_class(index, pixels, members[start : start + MOST_ROWS], work)

    def _add_class(
        self,
        index: int,
        pixels: NDArray[np.floating],
        members: NDArray[np.intp],
        work: NDArray[np.float64],
    ) -> None:
        """Adds samples of one class, as many columns at a time as `work` holds.

        Sums are taken of deviations from the mean so far (from the first sample if there is none),
        so that no digits cancel. Then m2 grows by the sum of their squares minus the square of
        their sum over the number of all samples (Chan et al. 1983, in one step).

        Args:
            index: the class.
            pixels: <float>[sample, pixel], the whole batch.
            members: <intp>[sample], the rows of `pixels` that belong to the class.
            work: <float64>[value], scratch memory.
        """
        n_new, n_old = len(members), int(self.n_samples[index])
        mean, m2 = self.mean[index].reshape(-1), self.m2[index].reshape(-1)
        ones, width = np.ones(n_new), max(1, len(work) // n_new)
        with np.errstate(invalid="ignore", over="ignore"):
            for start in range(0, len(mean), width):
                columns = slice(start, start + width)
                center = mean[columns]
                deviation = work[: n_new * len(center)].reshape(n_new, -1)
                np.copyto(deviation, pixels[members, columns])
                if not n_old:
                    center[...] = deviation[0]
                deviation -= center
                total = ones @ deviation
                m2[columns] += np.einsum("sp,sp->p", deviation, deviation)
                step = total / (n_old + n_new)
                center += step
                total *= step
                m2[columns] -= total
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

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """`mean_map` and `std_map`, <float32>[class, y, x, filter]; NaN for an unseen class."""
        counts = _per_pixel(np.where(self.n_samples > 0, self.n_samples, np.nan))
        return {
            "mean_map": (self.mean * (counts / counts)).astype(np.float32),
            "std_map": np.sqrt(self.m2 / counts).astype(np.float32),
        }


def _block_means(values: NDArray[np.floating], factors: NDArray[np.int64]) -> NDArray[np.float64]:
    """Means over blocks of pixels, <float64>[sample, y, x, filter].

    In float32, rounding made the standard deviation of averages of 1e3 ± 1 wrong by 3e-5.
    """
    n, height, width, filters = values.shape
    rows, columns = np.arange(0, height, factors[0]), np.arange(0, width, factors[1])
    areas = np.outer(np.diff(rows, append=height), np.diff(columns, append=width))
    with np.errstate(invalid="ignore", over="ignore"):
        row_sums = np.add.reduceat(
            values.reshape(n, height, width * filters), rows, axis=1, dtype=np.float64
        )
        sums = np.add.reduceat(row_sums.reshape(n, len(rows), width, filters), columns, axis=2)
        return sums / areas[:, :, np.newaxis]


def _per_pixel(per_class: NDArray[np.generic]) -> NDArray[np.float64]:
    return np.asarray(per_class, dtype=np.float64)[:, np.newaxis, np.newaxis, np.newaxis]
