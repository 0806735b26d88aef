"""How alike filters are, how many of them count, and how alike layers are: from pooled tables.

Filters whose pooled values are not finite, or do not vary, take no part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Bytes of centred columns that are held at a time, twice.
TILE_BYTES = 6 << 20

# Gives columns of one layer's table, <float32>[sample, filter].
ReadTable = Callable[[slice], NDArray[np.float32]]


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


def similarity(tables: Sequence[tuple[int, ReadTable]], n_samples: int) -> Similarity:
    """Compares the filters of layers, and the layers.

    Args:
        tables: of each layer, how many filters it has, and how columns of its table are read.
        n_samples: rows of each table.
    """
    width = max(1, TILE_BYTES // (8 * max(1, n_samples)))
    tiles = [
        (layer, slice(start, min(start + width, n_filters)))
        for layer, (n_filters, _) in enumerate(tables)
        for start in range(0, n_filters, width)
    ]
    covariance = [np.zeros((n_filters, n_filters)) for n_filters, _ in tables]
    shared = np.zeros((len(tables), len(tables)))
    for place, (layer, few) in enumerate(tiles):
        one = _centred(tables[layer][1](few))
        for other_layer, others in tiles[place:]:
            same = (layer, few) == (other_layer, others)
            product = one.T @ (one if same else _centred(tables[other_layer][1](others)))
            if layer == other_layer:
                covariance[layer][few, others] = product
                covariance[layer][others, few] = product.T
            else:
                shared[layer, other_layer] += (product**2).sum()
    shared += shared.T
    shared[np.diag_indices(len(tables))] = [(each**2).sum() for each in covariance]
    norms = np.sqrt(np.diag(shared))
    with np.errstate(invalid="ignore", divide="ignore"):
        cka = shared / np.outer(norms, norms)
    return Similarity(
        [correlation(each) for each in covariance],
        np.array([effective_rank(each) for each in covariance]),
        cka,
    )


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
    values = _centred(table)
    return values.T @ values


def _centred(table: NDArray[np.float32]) -> NDArray[np.float64]:
    """Columns less their mean; zeros for one that is constant or not finite."""
    values = table.astype(np.float64)
    low, high = values.min(axis=0), values.max(axis=0)
    values[:, ~np.isfinite(low + high) | (low == high)] = 0
    values -= values.mean(axis=0)
    return values
