"""What it costs to store activations as float16: the largest error, and values out of its range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Rounding:
    """Errors of float16 against the float32 it was made from.

    Attributes:
        largest_error: <float64>[], largest |float16 - float32| of finite values within range.
        n_overflow: <int64>[], finite values beyond 65,504 that became infinite.
    """

    largest_error: NDArray[np.float64]
    n_overflow: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Self:
        """Nothing seen yet."""
        return cls(np.zeros(()), np.zeros((), dtype=np.int64))

    @classmethod
    def of(cls, values: NDArray[np.float32], rounded: NDArray[np.float16]) -> Self:
        """The errors of one batch, both [sample, y, x, filter]."""
        with np.errstate(invalid="ignore"):
            error = np.abs(rounded.astype(np.float32) - values)
        overflow = np.count_nonzero(np.isinf(error) & np.isfinite(values))
        known = error[np.isfinite(error)]
        largest = known.max() if known.size else 0.0
        return cls(np.asarray(largest, dtype=np.float64), np.asarray(overflow, dtype=np.int64))

    def merge(self, other: Self) -> Self:
        """Both sets of values together; associative."""
        return type(self)(
            np.maximum(self.largest_error, other.largest_error),
            np.asarray(self.n_overflow + other.n_overflow),
        )
