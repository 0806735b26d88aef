"""Average precision of many orders of samples at once, as scikit-learn defines it.

An order is given by the ranks of the samples of each class, class after class, ascending in each.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.classes import Classes


def untied_precision(classes: Classes, ranks: NDArray[np.int32]) -> NDArray[np.float64]:
    """Average precision where no two values are equal, <int32>[..., sample]: [..., present]."""
    return classes.sums(classes.so_far / (ranks + 1)) / classes.sizes


def change_by_ties(
    classes: Classes,
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
