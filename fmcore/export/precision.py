"""What another precision costs the values that go out: it is counted, never silent."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics import Rounding


class Precision:
    """Gives float32 in another dtype, and keeps account of the errors.

    Attributes:
        dtype: the other one.
    """

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self._seen = Rounding.empty()

    def begin(self) -> None:
        """Forgets what it saw: the values are read again."""
        self._seen = Rounding.empty()

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """The values in the dtype, if they are of a float type; what is beyond it is infinite."""
        if values.dtype.kind != "f" or values.dtype == self.dtype:
            return values
        with np.errstate(over="ignore"):
            rounded = values.astype(self.dtype)
        self._seen = self._seen.merge(Rounding.of(values, rounded))
        return rounded

    def notes(self) -> dict[str, float]:
        """`largest_error` and `n_overflow` of float16; nothing of float32, which is exact."""
        if self.dtype == np.float32:
            return {}
        return {
            "largest_error": float(self._seen.largest_error),
            "n_overflow": int(self._seen.n_overflow),
        }
