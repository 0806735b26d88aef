"""What scores are held against: other libraries, and definitions in plain numpy."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, mutual_info_score, roc_auc_score
from sklearn.metrics.cluster import contingency_matrix
from statsmodels.stats.proportion import proportion_confint


def roc_auc(values, members) -> float:
    return roc_auc_score(members, values)


def average_precision(values, members) -> float:
    return average_precision_score(members, values)


def d_prime(values, members) -> float:
    inside, outside = values[members], values[~members]
    variance, difference = (inside.var() + outside.var()) / 2, inside.mean() - outside.mean()
    return difference / np.sqrt(variance) if variance else np.copysign(np.inf, difference)


def class_selectivity(values, labels) -> float:
    means = np.array([values[labels == label].mean() for label in np.unique(labels)])
    largest = means.max()
    others = np.delete(means, means.argmax()).mean()
    return (largest - others) / (largest + others)


def quantile_bins(values, n_classes: int) -> np.ndarray:
    """floor(B r / N), r the middle of a value's ranks."""
    n = len(values)
    n_bins = min(32, max(2, n // (5 * n_classes)))
    return np.floor((rankdata(values) - 0.5) * n_bins / n + 1e-9).astype(int)


def corrected_information(values, labels, bins=None) -> tuple[float, float]:
    """Mutual information in bits after Miller and Madow, and without their correction."""
    if bins is None:
        bins = quantile_bins(values, len(np.unique(labels)))
    table = contingency_matrix(labels, bins)
    plug_in = mutual_info_score(None, None, contingency=table)
    cells, (k, b) = (table > 0).sum(), table.shape
    correction = (cells - b - k + 1) / (2 * len(labels))
    return (plug_in - correction) / np.log(2), plug_in / np.log(2)


def centred(values) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    return values - values.mean(axis=0)


def cka_of_grams(first, second) -> float:
    """Kornblith et al. 2019, equation 4, with n x n matrices."""
    one, other = (each @ each.T for each in (centred(first), centred(second)))
    return (one * other).sum() / np.sqrt((one * one).sum() * (other * other).sum())


def effective_rank(values) -> float:
    sizes = np.linalg.svd(centred(values), compute_uv=False)
    shares = sizes[sizes > 0] / sizes.sum()
    return np.exp(-(shares * np.log(shares)).sum())


def newcombe_limits(n: int, n_right: int, n_lost: int, n_gained: int) -> tuple[float, float]:
    """Newcombe 1998, method 10, written out, with the limits of Wilson by statsmodels."""
    a, b, c = n_right - n_lost, n_lost, n_gained
    d = n - a - b - c
    shares, limits = [], []
    for k in (a + b, a + c):
        shares.append(k / n)
        limits.append(proportion_confint(k, n, method="wilson"))
    bottom = (a + b) * (c + d) * (a + c) * (b + d)
    top = a * d - b * c
    top = top - n / 2 if top > n / 2 else 0 if top >= 0 else top
    phi = top / bottom**0.5 if bottom else 0
    dl1, du1 = shares[0] - limits[0][0], limits[0][1] - shares[0]
    dl2, du2 = shares[1] - limits[1][0], limits[1][1] - shares[1]
    low = (b - c) / n - max(0, dl1**2 - 2 * phi * dl1 * du2 + du2**2) ** 0.5
    high = (b - c) / n + max(0, du1**2 - 2 * phi * du1 * dl2 + dl2**2) ** 0.5
    return low, high
