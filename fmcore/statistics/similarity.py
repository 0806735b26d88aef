"""How alike filters are, how many of them count, and how alike layers are: from pooled tables.

Filters whose pooled values are not finite, or do not vary, take no part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Bytes of rows of a table in float64 that are held at a time.
ROWS_BYTES = 4 << 20

# Gives rows of one layer's table, <float32>[sample, filter].
ReadRows = Callable[[slice], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """What pooled tables of several layers have in common.

    Attributes:
        correlation: for each layer, <float32>[filter, other_filter], Pearson's over samples.
        effective_rank: <float64>[layer].
        cka: <float64>[layer, other_layer].
    """

    correlation: list[NDArray[np.float32]]
    effective_rank: NDArray[np.float64]
    cka: NDArray[np.float64]


def similarity(tables: Sequence[tuple[int, ReadRows]], n_samples: int) -> Similarity:
    """Compares the filters of layers, and the layers; rows are read once for each pair of layers.

    Args:
        tables: of each layer, how many filters it has, and how rows of its table are read.
        n_samples: rows of each table.
    """
    centres = [centre(n_filters, read, n_samples) for n_filters, read in tables]
    covariance: list[NDArray[np.float64]] = []
    shared = np.zeros((len(tables), len(tables)))
    for one in range(len(tables)):
        for other in range(one, len(tables)):
            product = cross_product(tables, centres, one, other, n_samples)
            shared[one, other] = shared[other, one] = (product**2).sum()
            if one == other:
                covariance.append(product)
    norms = np.sqrt(np.diag(shared))
    with np.errstate(invalid="ignore", divide="ignore"):
        cka = shared / np.outer(norms, norms)
    return Similarity(
        [correlation(each) for each in covariance],
        np.array([effective_rank(each) for each in covariance]),
        cka,
    )


def blocks(n_filters: int, n_samples: int) -> Iterator[slice]:
    """Rows of a table that are held at a time."""
    rows = max(1, ROWS_BYTES // (8 * n_filters))
    for start in range(0, n_samples, rows):
        yield slice(start, start + rows)


def centre(n_filters: int, read: ReadRows, n_samples: int) -> NDArray[np.float64]:
    """The mean of each column, <float64>[filter]; NaN for one that is constant or not finite."""
    total = np.zeros(n_filters)
    low, high = np.full(n_filters, np.inf), np.full(n_filters, -np.inf)
    for few in blocks(n_filters, n_samples):
        values = read(few).astype(np.float64)
        total += values.sum(axis=0)
        low, high = np.minimum(low, values.min(axis=0)), np.maximum(high, values.max(axis=0))
    return np.where(np.isfinite(low + high) & (low < high), total / n_samples, np.nan)


def cross_product(
    tables: Sequence[tuple[int, ReadRows]],
    centres: Sequence[NDArray[np.float64]],
    one: int,
    other: int,
    n_samples: int,
) -> NDArray[np.float64]:
    """Sums of products of the centred columns of two layers, <float64>[filter, other_filter]."""
    found = np.zeros((tables[one][0], tables[other][0]))
    for few in blocks(max(found.shape), n_samples):
        left = centred(tables[one][1](few), centres[one])
        right = left if one == other else centred(tables[other][1](few), centres[other])
        found += left.T @ right
    return found


def correlation(covariance: NDArray[np.float64]) -> NDArray[np.float32]:
    """Pearson's correlation of filters; NaN for one that does not vary."""
    spread = np.sqrt(np.diag(covariance))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = covariance / np.outer(spread, spread)
    np.fill_diagonal(found, np.where(spread > 0, 1, np.nan))
    return np.clip(found, -1, 1).astype(np.float32)


def effective_rank(covariance: NDArray[np.float64]) -> float:
    """Exp of the entropy of the singular values' shares of their sum, from 1 to the filters.

    Roy and Vetterli 2007, "The effective rank: a measure of effective dimensionality". NaN where
    nothing varies. Singular values are roots of eigenvalues: right to about 1e-8 of the largest.
    """
    moving = np.diag(covariance) > 0
    if not moving.any():
        return float("nan")
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(covariance[np.ix_(moving, moving)]), 0))
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def centred_covariance(table: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sums of products of a table's columns less their means, <float64>[filter, filter]."""
    n_samples, n_filters = table.shape
    tables = [(n_filters, lambda few: table[few])]
    return cross_product(tables, [centre(*tables[0], n_samples)], 0, 0, n_samples)


def centred(table: NDArray[np.float32], means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns less their mean; zeros for one that has none."""
    values = table.astype(np.float64)
    values[:, np.isnan(means)] = 0
    values -= np.nan_to_num(means)
    return values
