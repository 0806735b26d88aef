"""Mean and spread of the feature maps of each class, pixel by pixel, mergeable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Where the full maps do not fit in memory, they are averaged to at most this many pixels.
REDUCED_SIZE = 32
# Deviations in float64 that are held at a time: few numpy calls, and little beyond the cache.
WORK_BYTES = 2 << 20
# Samples of a class that are taken in at once, so that a column of blocks is not too narrow.
MOST_ROWS = 256


def class_maps_bytes(n_classes: int, shape: tuple[int, int, int]) -> int:
    """Memory that class maps of a size hold: a mean and an m2 in float64.

    While `add` runs it takes up to twice `WORK_BYTES` more, as a batch's other temporaries.

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

        Args:
            values: <float>[sample, y, x, filter].
            labels: <int>[sample], each a class of these maps.
        """
        if (self.factors == 1).all():
            self._add(values, labels)
            return
        averaged_rows = 8 * self.mean[0].size * int(self.factors[1])  # before their columns are
        rows = max(1, WORK_BYTES // max(1, averaged_rows))
        for start in range(0, len(labels), rows):
            few = slice(start, start + rows)
            self._add(_averaged(values[few], self.factors), labels[few])

    def _add(self, values: NDArray[np.floating], labels: NDArray[np.integer]) -> None:
        """Takes in samples that have the size of the maps, class by class."""
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
        """Takes in samples of one class, [sample, pixel], as many columns at a time as work holds.

        Sums are of deviations from the mean so far (before there is one, from a sample), so that
        nothing cancels; with all samples counted, m2 grows by their squares less that of their sum
        (Chan et al. 1983, in one step).
        """
        n_new, n_old = len(members), int(self.n_samples[index])
        mean, m2 = self.mean[index].reshape(-1), self.m2[index].reshape(-1)
        ones, width = np.ones(n_new), max(1, len(work) // n_new)
        with np.errstate(invalid="ignore", over="ignore"):
            for start in range(0, len(mean), width):
                few = slice(start, start + width)
                centre = mean[few]
                deviation = work[: n_new * len(centre)].reshape(n_new, -1)
                np.copyto(deviation, pixels[members, few])
                if not n_old:
                    centre[...] = deviation[0]
                deviation -= centre
                total = ones @ deviation
                m2[few] += np.einsum("sp,sp->p", deviation, deviation)
                step = total / (n_old + n_new)
                centre += step
                total *= step
                m2[few] -= total
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


def _averaged(values: NDArray[np.floating], factors: NDArray[np.int64]) -> NDArray[np.float64]:
    """Means over blocks of pixels, [sample, y, x, filter].

    In float64: rounded to float32, averages of 1e3 ± 1 had a spread wrong by 3e-5.
    """
    n, height, width, filters = values.shape
    rows, columns = np.arange(0, height, factors[0]), np.arange(0, width, factors[1])
    areas = np.outer(np.diff(rows, append=height), np.diff(columns, append=width))
    with np.errstate(invalid="ignore", over="ignore"):
        of_rows = np.add.reduceat(
            values.reshape(n, height, width * filters), rows, axis=1, dtype=np.float64
        )
        sums = np.add.reduceat(of_rows.reshape(n, len(rows), width, filters), columns, axis=2)
        return sums / areas[:, :, np.newaxis]


def _per_pixel(per_class: NDArray[np.generic]) -> NDArray[np.float64]:
    return np.asarray(per_class, dtype=np.float64)[:, np.newaxis, np.newaxis, np.newaxis]
