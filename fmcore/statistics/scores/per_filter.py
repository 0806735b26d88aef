"""How much a pooled value depends on the class: η², F, class selectivity index, MI.

`eta_squared_score` and its like give a block's score, [filter], and its chance band.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.scores.block import ROUNDING, ClassSums, Ranks, Score
from fmcore.statistics.scores.chance import cell_terms, one_sided
from fmcore.statistics.scores.labels import LabelGroups


def eta_squared_score(sums: ClassSums) -> Score:
    """η², with its band under permuted labels."""
    eta2, _ = variance_ratio(sums.classes, _between(sums), sums.total)
    return eta2, _eta_squared_band(sums)


def f_score(sums: ClassSums) -> Score:
    """F, with its band under permuted labels, which is that of η²."""
    _, ratio = variance_ratio(sums.classes, _between(sums), sums.total)
    high = _eta_squared_band(sums)[1]
    _, high = variance_ratio(sums.classes, high, np.ones_like(high))
    return ratio, one_sided(0, high)


def _eta_squared_band(sums: ClassSums) -> NDArray[np.float64]:
    return np.minimum(one_sided(0, sums.bands.eta_squared), 1)


def _between(sums: ClassSums) -> NDArray[np.float64]:
    """The sum of squares between classes, <float64>[filter]."""
    between = (sums.sums**2 / sums.classes.sizes).sum(axis=-1)
    return np.asarray(np.minimum(between, sums.total))


def class_selectivity_score(sums: ClassSums) -> Score:
    """The class selectivity index, with its band; NaN for filters with negative activations."""
    score = class_selectivity(sums.mean[:, np.newaxis] + sums.sums / sums.classes.sizes)
    score[~sums.filters.non_negative] = np.nan
    return score, np.minimum(one_sided(0, sums.bands.selectivity), 1)


def variance_ratio(
    classes: LabelGroups, between: NDArray[np.float64], total: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """η² = SSB / SST, and F = (SSB / (K - 1)) / (SSW / (N - K)) (Fisher 1925).

    Args:
        classes: the samples grouped by label.
        between: <float64>[filter], SSB: the sum of the squared differences of the mean of each
            sample's class from the overall mean.
        total: <float64>[filter], SST: the sum of the squared differences of the samples from it.

    Returns:
        η² and F, <float64>[filter]. Both are NaN if only one class has samples. F is NaN if no
        class has two samples, and infinite if there is no variance within classes.
    """
    n, k = classes.n_samples, len(classes.present)
    within = np.where(total - between > ROUNDING * total, total - between, 0)
    if k < 2 or n <= k:
        undefined = np.full(len(total), np.nan)
        return (undefined if k < 2 else between / np.where(total > 0, total, np.nan)), undefined
    with np.errstate(divide="ignore", invalid="ignore"):
        return between / total, (between / (k - 1)) / (within / (n - k))


def class_selectivity(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """(µmax - µother) / (µmax + µother): the largest class mean, and the mean of the other means.

    Morcos et al. 2018, "On the importance of single directions for generalization".

    Args:
        means: <float64>[..., present], the mean of each class, none negative.
    """
    n_classes = means.shape[-1]
    largest = means.max(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        others = (means.sum(axis=-1) - largest) / (n_classes - 1)
        # Rounding may leave a mean of 0, or a difference of equal means, just below 0.
        return np.clip((largest - others) / (largest + others), 0, 1)


def mutual_information_score(ranks: Ranks) -> Score:
    """Mutual information of value and class in bits, with values in bins of equal counts.

    The bin of a value is floor(B r / N), where r is the middle of its ascending ranks from 0 to N.
    So equal values share a bin, and many zeros do not absorb the few values above them. See
    `information` for the formula.

    Returns:
        The mutual information, <float64>[filter], and its band, <float64>[bound, filter]. As the
        correction for bias may exceed the information, the band begins below 0: at the value for no
        information if each class has samples in each bin.
    """
    classes, ranking, n_bins = ranks.classes, ranks.ranking, ranks.n_bins
    n, k = classes.n_samples, len(classes.present)
    if k < 2:
        return np.full(len(ranking.order), np.nan), np.full((2, len(ranking.order)), np.nan)
    bins = (2 * n - ranking.first.astype(np.int64) - ranking.end) * n_bins // (2 * n)
    score = information(classes, np.take_along_axis(bins, ranking.by_class, 1), n_bins)
    rows = np.arange(len(bins))[:, np.newaxis] * n_bins + bins
    bin_sizes = np.bincount(rows.reshape(-1), minlength=len(bins) * n_bins)
    bin_sizes = bin_sizes.reshape(len(bins), n_bins)
    least = -((bin_sizes > 0).sum(axis=1) - 1) * (k - 1) / (2 * n * np.log(2))
    band = one_sided(least, _of_cells(classes, bin_sizes, ranks.bands.cells))
    return np.maximum(score, least), band  # rounding may leave it just below


def information(
    classes: LabelGroups, bins: NDArray[np.integer], n_bins: int
) -> NDArray[np.float64]:
    """Mutual information in bits, corrected for bias, <float64>[filter].

    The Miller-Madow correction (Miller 1955) subtracts (J - B - K + 1) / 2N nats from the plug-in
    value, where J, B and K are the numbers of cells, bins and classes that have samples.

    Args:
        classes: the samples grouped by label.
        bins: <int>[filter, sample], the bin of each sample, in `range(n_bins)`, class after class.
        n_bins: the number of bins.
    """
    k = len(classes.present)
    cells = (np.arange(len(bins))[:, np.newaxis] * k + classes.class_index) * n_bins + bins
    counts = np.bincount(cells.reshape(-1), minlength=len(bins) * k * n_bins)
    counts = counts.reshape(len(bins), k, n_bins)
    return _of_cells(classes, counts.sum(axis=1), cell_terms(counts).sum(axis=(1, 2)))


def _of_cells(
    classes: LabelGroups, bin_sizes: NDArray[np.int64], terms: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mutual information in bits of the sum of `cell_terms` over its cells, <float64>[filter].

    It is the sum of c log(c n / (bin total * class total)) / n over all cells, less the bias.

    Args:
        classes: the samples grouped by label.
        bin_sizes: <int64>[filter, bin], samples of each bin.
        terms: <float64>[filter], the sum.
    """
    n, sizes = classes.n_samples, classes.sizes
    margins = _x_log_x(bin_sizes).sum(axis=1) + _x_log_x(sizes).sum()
    used = (bin_sizes > 0).sum(axis=1) + len(sizes) - 1
    nats: NDArray[np.float64] = (terms - margins + used / 2) / n + np.log(n)
    return nats / np.log(2)


def _x_log_x(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    logarithms: NDArray[np.float64] = np.log(np.maximum(counts, 1))
    return counts * logarithms
