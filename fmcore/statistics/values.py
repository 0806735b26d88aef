"""What values filters have over the whole test set, in words: every page and command says these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmcore.numbers import number_text

# Why there is no statistic of some values.
NO_SAMPLES = "no samples"
NOT_FINITE = "no finite value"


@dataclass(frozen=True, slots=True, eq=False)
class FilterValues:
    """The range of each filter's values, and how many are not finite.

    Attributes:
        low: <float64>[filter], the smallest finite activation; NaN where there is none.
        high: <float64>[filter], the largest finite activation; NaN where there is none.
        n_finite: <int64>[class, filter], the number of finite activations.
        n_nonfinite: <int64>[class, filter], the number of NaN and infinite activations.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n_finite: NDArray[np.int64]
    n_nonfinite: NDArray[np.int64]

    def range_words(self, filter_index: int) -> str:
        """From where to where a filter's values go: `0 to 3.2`, `always 3`, `all NaN or infinite`.

        Where some are not finite, their number follows.
        """
        n_bad = int(self.n_nonfinite[:, filter_index].sum())
        n_good = int(self.n_finite[:, filter_index].sum())
        if not n_good:
            return f"all {n_bad:,} values NaN or infinite" if n_bad else NO_SAMPLES
        low, high = self.low[filter_index], self.high[filter_index]
        words = f"{number_text(low)} to {number_text(high)}"
        if low == high:
            words = f"always {number_text(low)}"
        return f"{words}, {self.nonfinite_words(filter_index)}" if n_bad else words

    def nonfinite_words(self, filter_index: int, class_names: Sequence[str] = ()) -> str:
        """How many of a filter's values are not finite, and in which class if it is in one alone.

        Args:
            filter_index: which filter.
            class_names: the name of each class; none where samples are not told apart by class.
        """
        bad, good = self.n_nonfinite[:, filter_index], self.n_finite[:, filter_index]
        n_bad, n_all = int(bad.sum()), int(bad.sum() + good.sum())
        words = f"{n_bad:,} of {n_all:,} values NaN or infinite"
        if n_bad == n_all:
            words = f"all {n_bad:,} values NaN or infinite"
        classes = np.flatnonzero(bad)
        if len(classes) == 1 and np.count_nonzero(bad + good) > 1 and len(class_names) > 1:
            words += f", only in class {class_names[classes[0]]}"
        return words

    def why_none(self, filter_index: int, class_index: int | None = None) -> str:
        """Why a class, or all samples, have no finite value of a filter; empty where they have one.

        Args:
            filter_index: which filter.
            class_index: the class; None for all samples.
        """
        rows = slice(None) if class_index is None else slice(class_index, class_index + 1)
        if self.n_finite[rows, filter_index].any():
            return ""
        return NOT_FINITE if self.n_nonfinite[rows, filter_index].any() else NO_SAMPLES
