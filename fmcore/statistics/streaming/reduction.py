"""The reduction of each feature map to a few numbers, which pooled tables and moments share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.streaming.kernels import compiled, reduce_maps


@dataclass(frozen=True, slots=True)
class PooledTable:
    """A table with a number for each sample and filter.

    Attributes:
        meaning: one sentence.
        dtype: the type of its values.
    """

    meaning: str
    dtype: str = "float32"


# The pooled tables that a store keeps.
POOLED = {
    "mean": PooledTable("mean over the finite pixels of the map; NaN where there are none"),
    "max": PooledTable("largest finite value of the map; NaN where there is none"),
    "max_y": PooledTable(
        "row of the largest finite value (the first, where there are several); 0 where there is "
        "none",
        "int32",
    ),
    "max_x": PooledTable(
        "column of the largest finite value (the first, where there are several); 0 where there is "
        "none",
        "int32",
    ),
    "zero_fraction": PooledTable("share of all pixels, finite or not, that are exactly zero"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """Each feature map of a batch, reduced over its finite pixels.

    Attributes:
        n_pixels: the number of pixels of one map.
        n_values: <int64>[sample, filter], the number of finite pixels.
        n_zero: <int64>[sample, filter], the number of pixels that are exactly zero.
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
            values: <float32 or float64>[sample, y, x, filter].
        """
        n_samples, height, width, n_filters = values.shape
        size = (n_samples, n_filters)
        n_values, n_zero, position = (np.empty(size, np.int64) for _ in range(3))
        mean, m2 = np.empty(size), np.empty(size)
        low, high = np.empty(size, values.dtype), np.empty(size, values.dtype)
        rows = np.ascontiguousarray(values).reshape(n_samples, -1)
        compiled(reduce_maps)(rows, n_filters, n_values, n_zero, mean, m2, low, high, position)
        return cls(
            n_pixels=height * width,
            n_values=n_values,
            n_zero=n_zero,
            mean=mean,
            m2=m2,
            min=low,
            max=high,
            max_y=(position // width).astype(np.int32),
            max_x=(position % width).astype(np.int32),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Pooled]) -> Pooled:
        """Joins the rows of several batches of one layer.

        Args:
            parts: the reductions of one batch or more, whose maps have the same size.

        Raises:
            ValueError: if there is no part, or the sizes of the maps differ.
        """
        if len({part.n_pixels for part in parts}) != 1:
            raise ValueError(
                "Pooled.concatenate: expected at least one part, and maps of the same size, found "
                f"parts with maps of {[part.n_pixels for part in parts]} pixels"
            )
        names = [field.name for field in fields(cls) if field.name != "n_pixels"]
        joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return cls(n_pixels=parts[0].n_pixels, **joined)

    @property
    def zero_fraction(self) -> NDArray[np.float64]:
        """The share of pixels that are exactly zero, <float64>[sample, filter]."""
        return self.n_zero / self.n_pixels

    def tables(self) -> dict[str, NDArray[np.generic]]:
        """The tables a store keeps, by their names in `POOLED`; NaN where no pixel is finite."""
        defined = self.n_values > 0
        return {
            "mean": np.where(defined, self.mean, np.nan).astype(np.float32),
            "max": np.where(defined, self.max, np.nan).astype(np.float32),
            "max_y": self.max_y,
            "max_x": self.max_x,
            "zero_fraction": self.zero_fraction.astype(np.float32),
        }
