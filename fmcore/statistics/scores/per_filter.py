"""How much a pooled value depends on the class: η², F, class selectivity index, MI.

`eta_squared_score` and its like give a block's score, [filter], and its chance band.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.scores.block import ClassSums, Ranks, Score
from fmcore.statistics.scores.chance import (
    PERMUTATIONS,
    Permutations,
    f_band,
    information_band,
    permutation_band,
)
from fmcore.statistics.scores.labels import LabelGroups
from fmcore.statistics.scores.per_class import ROUNDING

MOST_BINS = 32
# A cell is a pair of bin and class. There are fewer bins if cells would have fewer samples than
# this on average. If a cell expects fewer, chance comes from permutations (Cochran's rule).
CELL_SAMPLES = 5
# Bytes of the counts of cells that are in memory at once, so that they stay in the cache.
BLOCK_BYTES = 1 << 20


def eta_squared_score(sums: ClassSums) -> Score:
    """η², with the band of F converted to it."""
    eta2, _ = variance_ratio(sums.classes, sums.sums, sums.total)
    n_samples, n_classes = sums.classes.n_samples, len(sums.classes.present)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = f_band(n_classes, n_samples) * (n_classes - 1)
        band = share / (share + n_samples - n_classes)
    return eta2, _for_all_filters(band, eta2)


def f_score(sums: ClassSums) -> Score:
    """F, with the band of its distribution."""
    _, ratio = variance_ratio(sums.classes, sums.sums, sums.total)
    band = f_band(len(sums.classes.present), sums.classes.n_samples)
    return ratio, _for_all_filters(band, ratio)


def _for_all_filters(band: NDArray[np.float64], score: NDArray[np.float64]) -> NDArray[np.float64]:
    """A band that all filters share, <float64>[bound, filter]."""
    return np.repeat(band[:, np.newaxis], len(score), axis=1)


def class_selectivity_score(sums: ClassSums) -> Score:
    """The class selectivity index, with its band; NaN for filters with negative activations."""
    score, permuted = (
        class_selectivity((sums.mean / unit)[:, np.newaxis] + totals / sums.classes.sizes)
        for totals, unit in ((sums.sums, 1.0), (sums.permuted_sums, sums.scale))
    )
    score[~sums.filters.non_negative] = np.nan
    return score, permutation_band(permuted)


def variance_ratio(
    classes: LabelGroups, sums: NDArray[np.float64], total: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """η² = SSB / SST, and F = (SSB / (K - 1)) / (SSW / (N - K)) (Fisher 1925).

    Args:
        classes: the samples grouped by label.
        sums: <float64>[filter, present], sums over each class of values minus their overall mean.
        total: <float64>[filter], SST: the sum of the squares of these differences.

    Returns:
        η² and F, <float64>[filter]. Both are NaN if only one class has samples. F is NaN if no
        class has two samples, and infinite if there is no variance within classes.
    """
    n, k = classes.n_samples, len(classes.present)
    between = np.minimum((sums**2 / classes.sizes).sum(axis=-1), total)
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
        return (largest - others) / (largest + others)


def n_quantile_bins(n_samples: int, n_classes: int) -> int:
    """The number of bins for mutual information: at most 32, at least 2."""
    return min(MOST_BINS, max(2, n_samples // (CELL_SAMPLES * max(1, n_classes))))


def mutual_information_score(ranks: Ranks) -> Score:
    """Mutual information of value and class in bits, with values in bins of equal counts.

    The bin of a value is floor(B r / N), where r is the middle of its ascending ranks from 0 to N.
    So equal values share a bin, and many zeros do not absorb the few values above them. See
    `information` for the formula.

    Returns:
        The mutual information, <float64>[filter], and its band, <float64>[bound, filter].
    """
    classes, ranking, permutations = ranks.classes, ranks.ranking, ranks.permutations
    n, k = classes.n_samples, len(classes.present)
    n_bins = n_quantile_bins(n, k)
    if k < 2:
        return np.full(len(ranking.order), np.nan), np.full((2, len(ranking.order)), np.nan)
    bins = (2 * n - ranking.first.astype(np.int64) - ranking.end) * n_bins // (2 * n)
    score, bias = information(classes, np.take_along_axis(bins, ranking.by_class, 1), n_bins)
    cells = np.arange(len(bins))[:, np.newaxis] * n_bins + bins
    bin_sizes = np.bincount(cells.reshape(-1), minlength=len(bins) * n_bins)
    bin_sizes = bin_sizes.reshape(len(bins), n_bins)
    smallest = np.where(bin_sizes > 0, bin_sizes, n).min(axis=1)
    analytic = smallest * classes.sizes.min() >= CELL_SAMPLES * n
    band = np.empty((2, len(bins)))
    for index in np.flatnonzero(analytic):
        sizes = bin_sizes[index]
        band[:, index] = information_band(sizes[sizes > 0], classes.sizes) - bias[index]
    rest = np.flatnonzero(~analytic)
    if len(rest):
        permuted = permuted_information(permutations, bin_sizes[rest], ranking.order[rest, 0])
        band[:, rest] = permutation_band(permuted)
    return score, band


def permuted_information(
    permutations: Permutations, bin_sizes: NDArray[np.int64], turns: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Mutual information under permuted labels, <float64>[permutation, filter]; see `information`.

    Bins are ranges of ranks, so a bin has what lies before its end and not before its start.

    Args:
        permutations: permutations of the samples' labels.
        bin_sizes: <int64>[filter, bin], samples of each bin, of the smallest values first.
        turns: <int32>[filter], by how many ranks the bins are turned. It is another number for each
            filter, so that the errors of the shared permutations differ between filters.
    """
    classes = permutations.classes
    n, sizes, n_present = classes.n_samples, classes.sizes, len(classes.present)
    edges = np.zeros((len(bin_sizes), bin_sizes.shape[1] + 1), dtype=np.int64)
    np.cumsum(bin_sizes[:, ::-1], axis=1, out=edges[:, 1:])
    edges += turns[:, np.newaxis]
    # Turned past the last rank, a bin has what follows its start and what lies before its end.
    wrapping = ((edges[:, :-1] < n) & (edges[:, 1:] >= n)).argmax(axis=1)
    indices, tables = permutations.count_tables(edges % n)
    possible = np.arange(sizes.max() + 1)
    terms = _x_log_x(possible) - (possible > 0) / 2  # Miller-Madow counts the cells with samples
    sums, row = np.empty((PERMUTATIONS, len(bin_sizes))), 0
    for table in tables:
        n_rows = table.shape[1]
        step = max(1, BLOCK_BYTES // (8 * n_rows * n_present * bin_sizes.shape[1]))
        for start in range(0, len(bin_sizes), step):
            part = slice(start, start + step)
            before = table[indices[part]]
            counts = np.subtract(before[:, 1:], before[:, :-1], dtype=np.intp)
            counts[np.arange(len(counts)), wrapping[part]] += sizes
            of_cells = terms.take(counts, mode="clip")  # "clip" avoids a buffered copy
            of_cells = of_cells.sum(axis=1).reshape(-1, n_rows, n_present)
            sums[row : row + n_rows, part] = of_cells.sum(axis=2).T
        row += n_rows
    margins = _x_log_x(bin_sizes).sum(axis=1) + _x_log_x(sizes).sum()
    used = (bin_sizes > 0).sum(axis=1) + n_present - 1
    return ((sums - margins + used / 2) / n + np.log(n)) / np.log(2)


def information(
    classes: LabelGroups, bins: NDArray[np.integer], n_bins: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mutual information in bits, corrected for bias, and the bias: both <float64>[...].

    The Miller-Madow correction (Miller 1955) subtracts (J - B - K + 1) / 2N nats from the plug-in
    value, where J, B and K are the numbers of cells, bins and classes that have samples.

    Args:
        classes: the samples grouped by label.
        bins: <int>[..., sample], the bin of each sample, in `range(n_bins)`, class after class.
        n_bins: the number of bins.
    """
    n, k = classes.n_samples, len(classes.present)
    rows = bins.reshape(-1, n)
    cells = (np.arange(len(rows))[:, np.newaxis] * k + classes.class_index) * n_bins
    cells += rows
    counts = np.bincount(cells.reshape(-1), minlength=len(rows) * k * n_bins)
    counts = counts.reshape(len(rows), k, n_bins)
    bin_sizes = counts.sum(axis=1)
    # The sum of c log(c n / (row total * column total)) / n over all cells.
    terms = _x_log_x(counts).sum(axis=(1, 2)) - _x_log_x(bin_sizes).sum(axis=1)
    plug_in = (terms - _x_log_x(classes.sizes).sum()) / n + np.log(n)
    used = (bin_sizes > 0).sum(axis=1)
    bias = ((counts > 0).sum(axis=(1, 2)) - used - k + 1) / (2 * n * np.log(2))
    shape = bins.shape[:-1]
    return (plug_in / np.log(2) - bias).reshape(shape), bias.reshape(shape)


def _x_log_x(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    logarithms: NDArray[np.float64] = np.log(np.maximum(counts, 1))
    return counts * logarithms
