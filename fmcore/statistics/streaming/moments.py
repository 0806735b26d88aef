"""Count, mean, variance, range and zeros of activations for each class and filter, mergeable.

Results for any split of the samples merge to the result for the whole, so a capture may run in
batches, in any order, or in parallel:

>>> values, labels = np.array([1.0, 2.0, 9.0]).reshape(3, 1, 1, 1), np.array([0, 0, 1])
>>> first = Moments.from_batch(values[:1], labels[:1], n_classes=2)
>>> second = Moments.from_batch(values[1:], labels[1:], n_classes=2)
>>> first.merge(second).means().tolist()
[[1.5], [9.0]]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.streaming.batch import Batch, Extent
from fmcore.statistics.streaming.kernels import add_to_moments, compiled
from fmcore.statistics.streaming.reduction import Pooled


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Raw moments over samples and pixels; mean, m2, min and max leave out non-finite values.

    Attributes:
        n_values: <int64>[class, filter], the number of finite values.
        n_zero: <int64>[class, filter], the number of values that are exactly zero.
        n_nonfinite: <int64>[class, filter], the number of values that are NaN or infinite.
        mean: <float64>[class, filter], 0 where nothing was seen.
        m2: <float64>[class, filter], sum of squared deviations from the mean.
        min: <float64>[class, filter], +inf where nothing was seen.
        max: <float64>[class, filter], -inf where nothing was seen.
    """

    n_values: NDArray[np.int64]
    n_zero: NDArray[np.int64]
    n_nonfinite: NDArray[np.int64]
    mean: NDArray[np.float64]
    m2: NDArray[np.float64]
    min: NDArray[np.float64]
    max: NDArray[np.float64]

    @classmethod
    def empty(cls, extent: Extent) -> Moments:
        """Moments that have seen nothing: `m.merge(empty)` equals `m`."""
        size = (extent.n_classes, extent.shape[2])
        return cls(
            n_values=np.zeros(size, dtype=np.int64),
            n_zero=np.zeros(size, dtype=np.int64),
            n_nonfinite=np.zeros(size, dtype=np.int64),
            mean=np.zeros(size),
            m2=np.zeros(size),
            min=np.full(size, np.inf),
            max=np.full(size, -np.inf),
        )

    @classmethod
    def from_batch(
        cls, values: NDArray[np.floating], labels: NDArray[np.integer], *, n_classes: int
    ) -> Moments:
        """The moments of one batch.

        Args:
            values: <float>[sample, y, x, filter].
            labels: <int>[sample], each in `range(n_classes)`.
            n_classes: the number of classes, including those that the batch lacks.
        """
        pooled = Pooled.from_batch(values)
        empty = cls.empty(Extent(n_classes, values.shape[1:]))
        return empty.add(Batch(values, labels, pooled, values))

    def merge(self, other: Moments) -> Moments:
        """The moments of both sets of samples together; associative.

        Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance".
        """
        n_values = self.n_values + other.n_values
        share = other.n_values / np.maximum(n_values, 1)
        delta = other.mean - self.mean
        return Moments(
            n_values=n_values,
            n_zero=self.n_zero + other.n_zero,
            n_nonfinite=self.n_nonfinite + other.n_nonfinite,
            mean=self.mean + delta * share,
            m2=self.m2 + other.m2 + delta**2 * self.n_values * share,
            min=np.minimum(self.min, other.min),
            max=np.maximum(self.max, other.max),
        )

    def add(self, batch: Batch) -> Moments:
        """Adds a batch in place, and returns these moments."""
        maps = batch.pooled
        compiled(add_to_moments)(
            np.asarray(batch.labels, np.int64),
            maps.n_pixels,
            maps.n_values,
            maps.n_zero,
            maps.mean,
            maps.m2,
            maps.min,
            maps.max,
            self.n_values,
            self.n_zero,
            self.n_nonfinite,
            self.mean,
            self.m2,
            self.min,
            self.max,
        )
        return self

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Nothing: all that a store keeps of moments is in `STATISTICS`."""
        return {}

    def means(self) -> NDArray[np.float64]:
        """The mean, <float64>[class, filter]; NaN where a class has no finite value."""
        return np.where(self.n_values > 0, self.mean, np.nan)

    def deviations(self) -> NDArray[np.float64]:
        """The population standard deviation, <float64>[class, filter]; NaN as for `means`."""
        return np.sqrt(self.m2 / np.where(self.n_values > 0, self.n_values, np.nan))

    def minima(self) -> NDArray[np.float64]:
        """The smallest finite value, <float64>[class, filter]; NaN as for `means`."""
        return np.where(self.n_values > 0, self.min, np.nan)

    def maxima(self) -> NDArray[np.float64]:
        """The largest finite value, <float64>[class, filter]; NaN as for `means`."""
        return np.where(self.n_values > 0, self.max, np.nan)

    def zero_fractions(self) -> NDArray[np.float64]:
        """The share of values that are exactly zero, <float64>[class, filter]; NaN for no value."""
        values = self.n_values + self.n_nonfinite
        return self.n_zero / np.where(values > 0, values, np.nan)

    def zero_share(self) -> NDArray[np.float64]:
        """The share of all activations of a filter that are exactly zero, <float64>[filter].

        This is the average percentage of zeros (APoZ) of Hu et al. 2016, "Network Trimming".
        """
        values = (self.n_values + self.n_nonfinite).sum(axis=0)
        return self.n_zero.sum(axis=0) / np.where(values > 0, values, np.nan)
