"""How well one number of a feature map tells a class from all others: ROC-AUC, AP, d′.

All take some filters at a time and give [filter, present]: the classes that have samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.scores.chance import Permutations
from fmcore.statistics.scores.labels import LabelGroups
from fmcore.statistics.scores.ranking import Ranking, change_by_ties, untied_precision

# Differences of squares below this share of them are rounding: 16 digits less what sums lose.
ROUNDING = 1e-13


def roc_auc(classes: LabelGroups, ranking: Ranking) -> NDArray[np.float64]:
    """P(a sample of the class is larger than another) + 0.5 P(they are equal)."""
    # Of ranks from 1, for filters with 2**30 samples at most.
    doubled = classes.sums(ranking.taken(ranking.first + ranking.end + np.int32(1)))
    sizes, n = classes.sizes, classes.n_samples
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 - (doubled - sizes * (sizes + 1)) / (2 * sizes * (n - sizes))


def average_precision(classes: LabelGroups, ranking: Ranking) -> NDArray[np.float64]:
    """Sum of the precision at each threshold times the recall it gains, as scikit-learn has it."""
    tied = ranking.end - ranking.first > 1
    rows = zip(ranking.by_class[:, np.newaxis], tied, ranking.end, strict=True)
    changes = [change_by_ties(classes, *row) for row in rows]
    return untied_precision(classes, ranking.by_class) + np.concatenate(changes)


def average_precision_of_permuted(
    permutations: Permutations, ranking: Ranking
) -> NDArray[np.float64]:
    """The same of permuted labels, <float64>[permutation, filter, present]."""
    rows = zip(ranking.first, ranking.end, strict=True)
    return np.stack([permutations.precision(first, end) for first, end in rows], axis=1)


def d_prime(
    classes: LabelGroups,
    sums: NDArray[np.float64],
    squares: NDArray[np.float64],
    total: NDArray[np.float64],
    *,
    rounding: float = ROUNDING,
) -> NDArray[np.float64]:
    """(mean of the class - mean of the others) / sqrt(mean of their two population variances).

    Args:
        classes: of the samples.
        sums: <float64>[..., present], sums over each class of values less their overall mean.
        squares: <float64>[..., present], sums of their squares.
        total: <float64>[...], squares over all samples.
        rounding: differences of squares below this share of them are none.

    Returns:
        <float64>[..., present]; infinite where neither varies and their means differ, NaN where
        these are equal, and for a class that has all samples.
    """
    n, sizes = classes.n_samples, classes.sizes
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, others = sums / sizes, -sums / (n - sizes)  # values sum up to 0
        both = _variance(squares / sizes, mean, rounding)
        both += _variance((total[..., np.newaxis] - squares) / (n - sizes), others, rounding)
        found = (mean - others) / np.sqrt(both / 2)
    return np.where(sizes < n, found, np.nan)


def _variance(
    square: NDArray[np.float64], mean: NDArray[np.float64], rounding: float
) -> NDArray[np.float64]:
    """Mean square less the squared mean; zero where nothing but rounding is left."""
    found = square - mean**2
    return np.where(found > rounding * square, found, 0)
