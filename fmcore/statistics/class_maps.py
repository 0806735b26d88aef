"""Mean and spread of the feature maps of each class, pixel by pixel, mergeable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def class_maps_bytes(n_classes: int, shape: tuple[int, int, int]) -> int:
    """Memory that the class maps of one layer take at most.

    A mean and an m2 in float64, of all samples so far, of a batch, and of their merge.
    """
    return 3 * 16 * n_classes * int(np.prod(shape))


@dataclass(frozen=True, slots=True, eq=False)
class ClassMaps:
    """The mean map of each class and filter. A value that is not finite stays so in its pixel.

    Attributes:
        n_samples: <int64>[class].
        mean: <float64>[class, y, x, filter], 0 where nothing was seen.
        m2: <float64>[class, y, x, filter], sum of squared deviations from the mean.
    """

    n_samples: NDArray[np.int64]
    mean: NDArray[np.float64]
    m2: NDArray[np.float64]

    @classmethod
    def empty(cls, n_classes: int, shape: tuple[int, int, int]) -> ClassMaps:
        """Nothing seen yet: `m.merge(empty)` equals `m`."""
        zero = np.zeros((n_classes, *shape))
        return cls(np.zeros(n_classes, dtype=np.int64), zero, zero)

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
        n_samples = np.bincount(labels, minlength=n_classes)
        mean, m2 = (np.zeros((n_classes, *values.shape[1:])) for _ in range(2))
        for index in np.flatnonzero(n_samples):
            members = values[labels == index]
            mean[index] = members.mean(axis=0, dtype=np.float64)
            m2[index] = np.square(members - mean[index]).sum(axis=0)
        return cls(n_samples, mean, m2)

    def merge(self, other: ClassMaps) -> ClassMaps:
        """The class maps of both sets of samples together; associative (Chan et al. 1983)."""
        n_samples = self.n_samples + other.n_samples
        share = _per_pixel(other.n_samples / np.maximum(n_samples, 1))
        delta = other.mean - self.mean
        between = delta**2 * _per_pixel(self.n_samples) * share
        return ClassMaps(n_samples, self.mean + delta * share, self.m2 + other.m2 + between)

    def read_out(self) -> dict[str, NDArray[np.float32]]:
        """`mean_map` and `std_map`, <float32>[class, y, x, filter]; NaN for a class not seen."""
        seen = _per_pixel(np.where(self.n_samples > 0, self.n_samples, np.nan))
        return {
            "mean_map": (self.mean * (seen / seen)).astype(np.float32),
            "std_map": np.sqrt(self.m2 / seen).astype(np.float32),
        }


def _per_pixel(per_class: NDArray[np.generic]) -> NDArray[np.float64]:
    return np.asarray(per_class, dtype=np.float64)[:, np.newaxis, np.newaxis, np.newaxis]
