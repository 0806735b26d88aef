"""How much one number of a feature map depends on the class: η², F, class selectivity, MI.

All take some filters at a time and give [filter].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.classes import Classes
from fmcore.statistics.ranking import Ranking

MOST_BINS = 32
# Cells of bin and class hold so many samples on average, so that chi-squared fits their chance.
SAMPLES_OF_A_CELL = 5


def variance_ratio(
    classes: Classes, sums: NDArray[np.float64], total: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """η² = SSB / SST, and F = (SSB / (K - 1)) / (SSW / (N - K)) (Fisher 1925).

    Args:
        classes: of the samples.
        sums: <float64>[filter, present], sums over each class of values less their overall mean.
        total: <float64>[filter], SST: squares of those values over all samples.
    """
    n, k = classes.n_samples, len(classes.present)
    between = (sums**2 / classes.sizes).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        eta2 = between / total
        ratio = (between / (k - 1)) / ((total - between) / (n - k))
    return eta2, ratio


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
    classes: Classes, ranking: Ranking
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Mutual information of value and class in bits, with values in bins of equal counts.

    Bin j begins at the value of ascending rank floor(j N / B); equal values share a bin. The
    plug-in value is corrected after Miller 1955 and Madow by (J - B' - K + 1) / 2N nats, where J,
    B' and K count the cells, bins and classes that hold samples.

    Returns:
        The corrected value and its correction, both <float64>[filter], and <int64>[filter] B'.
    """
    n, k = classes.n_samples, len(classes.present)
    n_bins = n_quantile_bins(n, k)
    n_filters = len(ranking.order)
    edges = np.arange(1, n_bins) * n // n_bins
    not_larger = n - np.arange(n)  # by the first rank of a value: samples that have it, or less
    bins = np.searchsorted(edges, not_larger, side="left")[ranking.taken(ranking.first)]
    cells = (np.arange(n_filters)[:, np.newaxis] * k + classes.place) * n_bins + bins
    counts = np.bincount(cells.reshape(-1), minlength=n_filters * k * n_bins)
    counts = counts.reshape(n_filters, k, n_bins)
    of_bins = counts.sum(axis=1)
    expected = classes.sizes[:, np.newaxis] * of_bins[:, np.newaxis] / n
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = counts * np.log(counts / expected)
    plug_in = np.where(counts > 0, parts, 0).sum(axis=(1, 2)) / n
    used = (of_bins > 0).sum(axis=1)
    excess = ((counts > 0).sum(axis=(1, 2)) - used - k + 1) / (2 * n)
    return (plug_in - excess) / np.log(2), excess / np.log(2), used
