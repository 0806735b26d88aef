"""How much one number of a feature map depends on the class: η², F, class selectivity, MI.

All take some filters at a time and give [filter].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.scores.chance import Permutations, band_of, information_band
from fmcore.statistics.scores.labels import LabelGroups
from fmcore.statistics.scores.per_class import ROUNDING
from fmcore.statistics.scores.ranking import Ranking

MOST_BINS = 32
# There are fewer bins where cells of bin and class would hold fewer samples than this on average.
# Where one of them expects fewer, chance is found by permutations (Cochran's rule).
SAMPLES_OF_A_CELL = 5


def variance_ratio(
    classes: LabelGroups, sums: NDArray[np.float64], total: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """η² = SSB / SST, and F = (SSB / (K - 1)) / (SSW / (N - K)) (Fisher 1925).

    Args:
        classes: of the samples.
        sums: <float64>[filter, present], sums over each class of values less their overall mean.
        total: <float64>[filter], SST: squares of those values over all samples.

    Returns:
        Both <float64>[filter]: NaN of one class; F also where no class has two samples, and
        infinite where none varies.
    """
    n, k = classes.n_samples, len(classes.present)
    between = np.minimum((sums**2 / classes.sizes).sum(axis=-1), total)
    within = np.where(total - between > ROUNDING * total, total - between, 0)
    if k < 2 or n <= k:
        nothing = np.full(len(total), np.nan)
        return (nothing if k < 2 else between / np.where(total > 0, total, np.nan)), nothing
    with np.errstate(divide="ignore", invalid="ignore"):
        return between / total, (between / (k - 1)) / (within / (n - k))


def class_selectivity(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """(largest - mean of the others) / (largest + mean of the others), of class means.

    Morcos et al. 2018, "On the importance of single directions for generalization".

    Args:
        means: <float64>[..., present], means of each class, none negative.
    """
    n_classes = means.shape[-1]
    largest = means.max(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        others = (means.sum(axis=-1) - largest) / (n_classes - 1)
        return (largest - others) / (largest + others)


def n_quantile_bins(n_samples: int, n_classes: int) -> int:
    """Bins that values are sorted into for mutual information: at most 32, at least 2."""
    return min(MOST_BINS, max(2, n_samples // (SAMPLES_OF_A_CELL * max(1, n_classes))))


def mutual_information(
    permutations: Permutations, ranking: Ranking
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mutual information of value and class in bits, with values in bins of equal counts.

    The bin of a value is floor(B r / N), where r is the middle of its ascending ranks from 0 to N,
    so that equal values share a bin and many zeros do not swallow the few values above them. See
    `information` for the formula.

    Returns:
        <float64>[filter]; and its band, <float64>[bound, filter].
    """
    classes = permutations.classes
    n, k = classes.n_samples, len(classes.present)
    n_bins = n_quantile_bins(n, k)
    if k < 2:
        return np.full(len(ranking.order), np.nan), np.full((2, len(ranking.order)), np.nan)
    bins = (2 * n - ranking.first.astype(np.int64) - ranking.end) * n_bins // (2 * n)
    found, bands = [], []
    columns = zip(bins, ranking.by_class, ranking.order[:, 0], strict=True)
    for of_ranks, by_class, first_sample in columns:
        value, excess = information(classes, of_ranks[by_class], n_bins)
        sizes = np.bincount(of_ranks, minlength=n_bins)
        sizes = sizes[sizes > 0]
        if sizes.min() * classes.sizes.min() >= SAMPLES_OF_A_CELL * n:
            bands.append(information_band(sizes, classes.sizes) - excess)
        else:
            # From another rank on for each filter: the same permutations would err for all alike.
            rolled = np.roll(of_ranks, first_sample)
            dealt = [information(classes, rolled[ranks], n_bins)[0] for ranks in permutations.few()]
            bands.append(band_of(np.concatenate(dealt)))
        found.append(value)
    return np.array(found), np.stack(bands, axis=1)


def information(
    classes: LabelGroups, bins: NDArray[np.integer], n_bins: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mutual information in bits, corrected for its bias, and the correction: <float64>[...].

    After Miller 1955 and Madow, (J - B - K + 1) / 2N nats are taken off the plug-in value, where J,
    B and K count the cells, bins and classes that hold samples.

    Args:
        classes: of the samples.
        bins: <int>[..., sample], of samples class after class.
        n_bins: numbers of bins are below it.
    """
    n, k = classes.n_samples, len(classes.present)
    rows = bins.reshape(-1, n)
    cells = (np.arange(len(rows))[:, np.newaxis] * k + classes.place) * n_bins
    cells += rows
    counts = np.bincount(cells.reshape(-1), minlength=len(rows) * k * n_bins)
    counts = counts.reshape(len(rows), k, n_bins)
    of_bins = counts.sum(axis=1)
    # With the margins, sum of c log(c n / (row column)) / n.
    parts = _x_log_x(counts).sum(axis=(1, 2)) - _x_log_x(of_bins).sum(axis=1)
    plug_in = (parts - _x_log_x(classes.sizes).sum()) / n + np.log(n)
    used = (of_bins > 0).sum(axis=1)
    excess = ((counts > 0).sum(axis=(1, 2)) - used - k + 1) / (2 * n * np.log(2))
    shape = bins.shape[:-1]
    return (plug_in / np.log(2) - excess).reshape(shape), excess.reshape(shape)


def _x_log_x(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    logarithms: NDArray[np.float64] = np.log(np.maximum(counts, 1))
    return counts * logarithms
