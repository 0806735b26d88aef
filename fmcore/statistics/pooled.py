"""One row of numbers for each feature map: the reduction that pooled tables and moments share.

Maps are laid out with their pixels last first, because numpy reduces a contiguous last axis several
times faster than the second-last one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Which of the attributes a store keeps for each sample and filter, and what they mean.
POOLED = {
    "mean": "mean over the pixels of the map",
    "max": "largest value of the map",
    "max_y": "row of the largest value (the first, where there are several)",
    "max_x": "column of the largest value (the first, where there are several)",
    "zero_fraction": "share of the pixels that are exactly zero",
}


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """What each feature map of a batch comes to, over its finite pixels.

    Attributes:
        n_pixels: pixels of one map.
        n_values: <int64>[sample, filter], pixels that are finite.
        n_zero: <int64>[sample, filter], pixels that are exactly zero.
        mean: <float64>[sample, filter]; 0 where no pixel is finite.
        m2: <float64>[sample, filter], sum of squared deviations from the mean.
        min: <float32>[sample, filter]; +inf where no pixel is finite.
        max: <float32>[sample, filter]; -inf where no pixel is finite.
        max_y: <int32>[sample, filter], row of the largest value.
        max_x: <int32>[sample, filter], column of the largest value.
    """

    n_pixels: int
    n_values: NDArray[np.int64]
    n_zero: NDArray[np.int64]
    mean: NDArray[np.float64]
    m2: NDArray[np.float64]
    min: NDArray[np.floating]
    max: NDArray[np.floating]
    max_y: NDArray[np.int32]
    max_x: NDArray[np.int32]

    @classmethod
    def from_batch(cls, values: NDArray[np.floating]) -> Pooled:
        """Reduces the maps of one batch.

        Args:
            values: <float>[sample, y, x, filter].
        """
        n, height, width, filters = values.shape
        pixels = np.ascontiguousarray(values.reshape(n, height * width, filters).swapaxes(1, 2))
        n_zero = np.count_nonzero(pixels == 0, axis=2)
        finite = np.isfinite(pixels)
        if finite.all():
            n_values = np.full((n, filters), height * width, dtype=np.int64)
            low = high = pixels
            mean = pixels.mean(axis=2, dtype=np.float64)
            deviation = pixels - mean[:, :, np.newaxis]
        else:
            n_values = np.count_nonzero(finite, axis=2)
            low, high = np.where(finite, pixels, np.inf), np.where(finite, pixels, -np.inf)
            known = np.where(finite, pixels, 0).astype(np.float64)
            mean = known.sum(axis=2) / np.maximum(n_values, 1)
            deviation = np.where(finite, known - mean[:, :, np.newaxis], 0)
        argmax = high.argmax(axis=2)
        return cls(
            n_pixels=height * width,
            n_values=n_values,
            n_zero=n_zero,
            mean=mean,
            m2=np.einsum("sfp,sfp->sf", deviation, deviation),
            min=low.min(axis=2),
            max=np.take_along_axis(high, argmax[:, :, np.newaxis], axis=2)[:, :, 0],
            max_y=(argmax // width).astype(np.int32),
            max_x=(argmax % width).astype(np.int32),
        )

    @property
    def zero_fraction(self) -> NDArray[np.float64]:
        """Share of all pixels that are exactly zero, <float64>[sample, filter]."""
        return self.n_zero / self.n_pixels

    def tables(self) -> dict[str, NDArray[np.generic]]:
        """The tables a store keeps, by their names in `POOLED`; NaN where no pixel is finite."""
        seen = self.n_values > 0
        return {
            "mean": np.where(seen, self.mean, np.nan).astype(np.float32),
            "max": np.where(seen, self.max, np.nan).astype(np.float32),
            "max_y": self.max_y,
            "max_x": self.max_x,
            "zero_fraction": self.zero_fraction.astype(np.float32),
        }
