"""How well a pooled value separates a class from all other samples: ROC-AUC, AP, d′.

`roc_auc_score` and its like give a block's score, [filter, present] for the classes with
samples, and its chance band.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.scores.block import ClassSums, Ranks, Score
from fmcore.statistics.scores.chance import (
    PERMUTED_ROUNDING,
    auc_band,
    permutation_band,
)
from fmcore.statistics.scores.labels import LabelGroups
from fmcore.statistics.scores.ranking import Ranking, tie_correction, untied_precision

F = TypeVar("F", np.float32, np.float64)

# A difference of squares below this share of them is rounding: 16 digits less what sums lose.
ROUNDING = 1e-13


def roc_auc_score(ranks: Ranks) -> Score:
    """ROC-AUC, with the band of the Mann-Whitney U statistic."""
    return roc_auc(ranks.classes, ranks.ranking), auc_band(ranks.classes, ranks.ranking)


def average_precision_score(ranks: Ranks) -> Score:
    """Average precision, with its band under permuted labels."""
    permuted = ranks.permutations.precision(ranks.ranking.first, ranks.ranking.end)
    return average_precision(ranks.classes, ranks.ranking), permutation_band(permuted)


def d_prime_score(sums: ClassSums) -> Score:
    """d′, with its band under permuted labels."""
    n_samples = float(sums.classes.n_samples)
    permuted = d_prime(
        sums.classes,
        sums.permuted_sums,
        sums.permuted_squares,
        np.where(sums.total > 0, n_samples, 0).astype(np.float32),
        rounding=PERMUTED_ROUNDING,
    )
    score = d_prime(sums.classes, sums.sums, sums.squares, sums.total)
    return score, permutation_band(permuted)


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
    sums: NDArray[F],
    squares: NDArray[F],
    total: NDArray[F],
    *,
    rounding: float = ROUNDING,
) -> NDArray[F]:
    """(mean of the class - mean of the others) / sqrt(mean of their two population variances).

    Args:
        classes: the samples grouped by label.
        sums: <float>[..., present], sums over each class of values minus their overall mean.
        squares: <float>[..., present], sums over each class of the squares of these differences.
        total: <float>[...], the sum of these squares over all samples.
        rounding: a difference of squares below this share of them counts as zero.

    Returns:
        <float>[..., present]; infinite where neither side varies and the means differ, NaN where
        neither varies and the means are equal, and for a class that has all samples.
    """
    n, sizes = sums.dtype.type(classes.n_samples), classes.sizes.astype(sums.dtype)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, others = sums / sizes, sums / (sizes - n)  # all values sum to 0
        distance = mean - others
        variance = _variance(squares / sizes, mean, rounding)
        square = np.subtract(total[..., np.newaxis], squares)
        square /= n - sizes
        variance += _variance(square, others, rounding)
        variance /= 2
        distance /= np.sqrt(variance, out=variance)
    return np.where(classes.sizes < classes.n_samples, distance, np.nan)


def _variance(square: NDArray[F], mean: NDArray[F], rounding: float) -> NDArray[F]:
    """Mean square minus squared mean; zero where only rounding is left. Both are overwritten."""
    np.multiply(mean, mean, out=mean)
    variance = np.subtract(square, mean, out=mean)
    square *= rounding
    variance *= variance > square
    return variance
