"""How well a pooled value separates a class from all other samples: ROC-AUC, AP, d′.

`roc_auc_score` and its like give a block's score, [filter, present] for the classes with
samples, and its chance band.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.scores.block import ROUNDING, ClassSums, Ranks, Score
from fmcore.statistics.scores.labels import LabelGroups
from fmcore.statistics.scores.ranking import Ranking, tie_correction, untied_precision


def roc_auc_score(ranks: Ranks) -> Score:
    """ROC-AUC, with its band under permuted labels."""
    return roc_auc(ranks.classes, ranks.ranking), np.clip(ranks.bands.auc, 0, 1)


def average_precision_score(ranks: Ranks) -> Score:
    """Average precision, with its band under permuted labels."""
    precision = average_precision(ranks.classes, ranks.ranking)
    return precision, np.clip(ranks.bands.precision, 0, 1)


def d_prime_score(sums: ClassSums) -> Score:
    """d′, with its band under permuted labels."""
    return d_prime(sums.classes, sums.sums, sums.squares, sums.total), sums.bands.d_prime.copy()


def roc_auc(classes: LabelGroups, ranking: Ranking) -> NDArray[np.float64]:
    """P(a sample of the class has a larger value than another sample) + 0.5 P(equal values)."""
    # Twice the mean rank of equal values, counted from 1; int32 holds it up to 2**30 samples.
    doubled = classes.sums(ranking.in_class_order(ranking.first + ranking.end + np.int32(1)))
    sizes, n = classes.sizes, classes.n_samples
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 - (doubled - sizes * (sizes + 1)) / (2 * sizes * (n - sizes))


def average_precision(classes: LabelGroups, ranking: Ranking) -> NDArray[np.float64]:
    """Sum of the precision at each threshold times the increase in recall, as in scikit-learn."""
    tied = ranking.end - ranking.first > 1
    correction = tie_correction(classes, ranking.by_class, tied, ranking.end)
    return untied_precision(classes, ranking.by_class) + correction


def d_prime(
    classes: LabelGroups,
    sums: NDArray[np.float64],
    squares: NDArray[np.float64],
    total: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(mean of the class - mean of the others) / sqrt(mean of their two population variances).

    Args:
        classes: the samples grouped by label.
        sums: <float64>[filter, present], sums over each class of values minus their overall mean.
        squares: <float64>[filter, present], sums over each class of the squares of these.
        total: <float64>[filter], the sum of these squares over all samples.

    Returns:
        <float64>[filter, present]; infinite where neither side varies and the means differ, NaN
        where neither varies and the means are equal, and for a class that has all samples.
    """
    n, sizes = classes.n_samples, classes.sizes
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, others = sums / sizes, sums / (sizes - n)  # all values sum to 0
        variance = _variance(squares / sizes, mean)
        variance += _variance((total[:, np.newaxis] - squares) / (n - sizes), others)
        distance = (mean - others) / np.sqrt(variance / 2)
    return np.where(sizes < n, distance, np.nan)


def _variance(square: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean square minus squared mean; zero where only rounding is left."""
    variance = square - mean**2
    return np.where(variance > ROUNDING * square, variance, 0)
