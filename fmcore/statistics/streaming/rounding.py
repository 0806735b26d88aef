"""What activations lose when they are stored as float16."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.streaming.batch import Batch, Extent


@dataclass(frozen=True, slots=True, eq=False)
class Rounding:
    """Rounding errors of float16 values against the float32 values they were made from.

    Attributes:
        largest_error: <float64>[], the largest |float16 - float32| of values that stayed finite.
        n_overflow: <int64>[], the number of finite values beyond 65,504, which became infinite.
    """

    largest_error: NDArray[np.float64]
    n_overflow: NDArray[np.int64]

    @classmethod
    def zero(cls) -> Self:
        """An accumulator that has seen nothing: `r.merge(zero)` equals `r`."""
        return cls(np.zeros(()), np.zeros((), dtype=np.int64))

    @classmethod
    def empty(cls, extent: Extent) -> Self | None:
        """An accumulator that has seen nothing; None where float16 is not stored."""
        return cls.zero() if extent.float16 else None

    @classmethod
    def of(cls, values: NDArray[np.float32], rounded: NDArray[np.floating]) -> Self:
        """The errors of one batch, given as float32 and as float16, both [sample, y, x, filter]."""
        with np.errstate(invalid="ignore"):
            error = np.abs(rounded.astype(np.float32) - values)
        overflow = np.count_nonzero(np.isinf(error) & np.isfinite(values))
        finite = error[np.isfinite(error)]
        largest = finite.max() if finite.size else 0.0
        return cls(np.asarray(largest, dtype=np.float64), np.asarray(overflow, dtype=np.int64))

    def add(self, batch: Batch) -> Self:
        """The errors with those of a batch."""
        return self.merge(type(self).of(batch.values, batch.stored))

    def merge(self, other: Self) -> Self:
        """The errors of both sets of values together; associative."""
        return type(self)(
            np.maximum(self.largest_error, other.largest_error),
            np.asarray(self.n_overflow + other.n_overflow),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Nothing: a store keeps rounding errors as attributes of the layer."""
        return {}
