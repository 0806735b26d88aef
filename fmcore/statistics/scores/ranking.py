"""The order of samples by their pooled value, for many filters at once; ties stay ties.

One sort serves ROC-AUC, average precision, mutual information and the top samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.scores.labels import LabelGroups


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Samples from the largest value to the smallest; rank 0 is the largest.

    Attributes:
        order: <int32>[filter, rank], the sample of each rank; samples of equal value by index.
        first: <int32>[filter, rank], the first rank with the same value.
        end: <int32>[filter, rank], one after the last rank with the same value.
        by_class: <int32>[filter, sample], the ranks of the samples class after class, ascending in
            each class, which begins at `LabelGroups.starts`.
    """

    order: NDArray[np.int32]
    first: NDArray[np.int32]
    end: NDArray[np.int32]
    by_class: NDArray[np.int32]

    @classmethod
    def of(cls, values: NDArray[np.float32], classes: LabelGroups) -> Self:
        """Ranks the samples for each filter.

        Args:
            values: <float32>[filter, sample], all finite.
            classes: the samples grouped by label.
        """
        n_samples = values.shape[1]
        index = np.arange(n_samples, dtype=np.int32)
        # Value and index go into one integer: sorting those is several times as fast as a stable
        # sort of floats. Float bits sort as the floats do, once those of negative ones are flipped.
        bits = (values + np.float32(0)).view(np.int32)  # + 0: -0.0 equals 0.0
        keys = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)
        np.negative(keys, out=keys)
        keys <<= 32
        keys |= index
        keys.sort(axis=1)
        order = keys.astype(np.int32)  # the lower half
        keys >>= 32
        is_first = np.ones(values.shape, dtype=np.bool_)
        np.not_equal(keys[:, 1:], keys[:, :-1], out=is_first[:, 1:])
        first = np.maximum.accumulate(np.where(is_first, index, 0), axis=1)
        is_last = np.ones(values.shape, dtype=np.bool_)
        is_last[:, :-1] = is_first[:, 1:]
        reversed_ends = np.where(is_last, index + 1, n_samples)[:, ::-1]
        end = np.minimum.accumulate(reversed_ends, axis=1)[:, ::-1]
        class_offset = np.zeros(n_samples, dtype=np.int64)
        class_offset[classes.order] = classes.class_index * n_samples
        np.take(class_offset, order, out=keys, mode="clip")  # "clip" avoids a buffered copy
        keys += index
        keys.sort(axis=1)
        keys -= classes.class_index * n_samples
        return cls(order, first, end, keys.astype(np.int32))

    def in_class_order(self, by_rank: NDArray[np.int32]) -> NDArray[np.int32]:
        """Reorders values <int32>[filter, rank] to [filter, sample], samples class after class."""
        return np.take_along_axis(by_rank, self.by_class, axis=1)


def untied_precision(classes: LabelGroups, ranks: NDArray[np.int32]) -> NDArray[np.float64]:
    """Average precision as scikit-learn defines it, if no two values are equal.

    Args:
        classes: the samples grouped by label.
        ranks: <int32>[..., sample], the ranks of the samples class after class, ascending in each.

    Returns:
        <float64>[..., present].
    """
    return classes.sums(classes.running_count / (ranks + 1)) / classes.sizes


def tie_correction(
    classes: LabelGroups,
    ranks: NDArray[np.int32],
    tied: NDArray[np.bool_],
    end: NDArray[np.int32],
) -> NDArray[np.float64]:
    """The change that equal values make to `untied_precision`; only tied samples are visited.

    Each run of equal values is one threshold: its samples all count with the precision at its end.

    Args:
        classes: the samples grouped by label.
        ranks: <int32>[order, sample], the ranks of the samples class after class, for each order.
        tied: <bool>[rank] or [order, rank], whether other ranks have the same value; equal for all
            ranks of a value.
        end: <int32>[rank] or [order, rank], one after the last rank with the same value.

    Returns:
        <float64>[order, present].
    """
    rows = np.arange(len(ranks))[:, np.newaxis]
    flat = np.flatnonzero(tied[ranks] if tied.ndim == 1 else tied[rows, ranks])
    starts = rows * classes.n_samples + classes.starts
    bounds = np.searchsorted(flat, np.append(starts.reshape(-1), ranks.size))
    rank = ranks.reshape(-1)[flat]
    run_end = end[rank] if end.ndim == 1 else end[flat // classes.n_samples, rank]
    running_count = np.tile(classes.running_count, len(ranks))[flat]
    is_last = np.append(run_end[1:] != run_end[:-1], True)[: len(flat)]
    is_last[bounds[1:][np.diff(bounds) > 0] - 1] = True
    runs = np.flatnonzero(is_last)
    changes = -running_count / (rank + 1)
    changes[runs] += np.diff(runs, prepend=-1) * running_count[runs] / run_end[runs]
    total, is_filled = np.zeros(len(bounds) - 1), bounds[1:] > bounds[:-1]
    if len(flat):
        total[is_filled] = np.add.reduceat(changes, bounds[:-1][is_filled])
    return total.reshape(len(ranks), -1) / classes.sizes
