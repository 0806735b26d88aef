"""The order of samples by one number, for many filters at once; ties are kept as ties.

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
        order: <int32>[filter, rank], the sample; those of one value by their index.
        first: <int32>[filter, rank], the first rank of the same value.
        end: <int32>[filter, rank], one after the last rank of the same value.
        by_class: <int32>[filter, sample], the ranks of the samples class after class, ascending in
            each, as `Classes.starts` lays them.
    """

    order: NDArray[np.int32]
    first: NDArray[np.int32]
    end: NDArray[np.int32]
    by_class: NDArray[np.int32]

    @classmethod
    def of(cls, values: NDArray[np.float32], classes: LabelGroups) -> Self:
        """Ranks the samples of some filters.

        Args:
            values: <float32>[filter, sample], all finite.
            classes: of the samples.
        """
        n_samples = values.shape[1]
        index = np.arange(n_samples, dtype=np.int32)
        # Value and index in one number: a plain sort of those is several times as fast as a stable
        # sort of floats. The bits of a float, turned about for negative ones, sort as it does.
        bits = (values + np.float32(0)).view(np.int32)  # + 0: -0.0 equals 0.0
        keys = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)
        np.negative(keys, out=keys)
        keys <<= 32
        keys |= index
        keys.sort(axis=1)
        order = keys.astype(np.int32)  # the lower half
        keys >>= 32
        new = np.ones(values.shape, dtype=np.bool_)
        np.not_equal(keys[:, 1:], keys[:, :-1], out=new[:, 1:])
        first = np.maximum.accumulate(np.where(new, index, 0), axis=1)
        last = np.ones(values.shape, dtype=np.bool_)
        last[:, :-1] = new[:, 1:]
        backwards = np.where(last, index + 1, n_samples)[:, ::-1]
        end = np.minimum.accumulate(backwards, axis=1)[:, ::-1]
        place = np.zeros(n_samples, dtype=np.int64)
        place[classes.order] = classes.place * n_samples
        np.take(place, order, out=keys, mode="clip")  # the mode costs nothing
        keys += index
        keys.sort(axis=1)
        keys -= classes.place * n_samples
        return cls(order, first, end, keys.astype(np.int32))

    def taken(self, of_ranks: NDArray[np.int32]) -> NDArray[np.int32]:
        """What [filter, rank] holds for the samples class after class."""
        return np.take_along_axis(of_ranks, self.by_class, axis=1)


def untied_precision(classes: LabelGroups, ranks: NDArray[np.int32]) -> NDArray[np.float64]:
    """Average precision where no two values are equal, as scikit-learn defines it.

    Args:
        classes: of the samples.
        ranks: <int32>[..., sample], those of each class, class after class, ascending in each.

    Returns:
        <float64>[..., present].
    """
    return classes.sums(classes.so_far / (ranks + 1)) / classes.sizes


def change_by_ties(
    classes: LabelGroups,
    ranks: NDArray[np.int32],
    tied: NDArray[np.bool_],
    end: NDArray[np.int32],
) -> NDArray[np.float64]:
    """What equal values add to it; only the samples that have them are looked at.

    Each run of equal values counts at its end: its samples times the precision there.

    Args:
        classes: of the samples.
        ranks: <int32>[order, sample].
        tied: <bool>[rank], whether others have the value of the rank; of all who do, or of none.
        end: <int32>[rank], one after the last rank of the same value.

    Returns:
        <float64>[order, present].
    """
    flat = np.flatnonzero(tied[ranks])
    starts = np.arange(len(ranks))[:, np.newaxis] * classes.n_samples + classes.starts
    bounds = np.searchsorted(flat, np.append(starts.reshape(-1), ranks.size))
    rank = ranks.reshape(-1)[flat]
    reached = end[rank]
    so_far = np.tile(classes.so_far, len(ranks))[flat]
    last = np.append(reached[1:] != reached[:-1], True)[: len(flat)]
    last[bounds[1:][np.diff(bounds) > 0] - 1] = True
    runs = np.flatnonzero(last)
    gains = -so_far / (rank + 1)
    gains[runs] += np.diff(runs, prepend=-1) * so_far[runs] / reached[runs]
    total = np.append(0, np.cumsum(gains))
    return np.diff(total[bounds]).reshape(len(ranks), -1) / classes.sizes
