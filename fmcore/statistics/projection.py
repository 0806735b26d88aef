"""The map of samples by principal components: exact, and the same each time.

Jolliffe 2002, Principal Component Analysis; the signs are those of scikit-learn's `PCA` since 1.5,
whose largest weight of each component is positive.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.components import leading, rounding_noise, signed
from fmcore.statistics.sample_space import SampleSpace

N_AXES = 2
# Of more columns, components are those of so many samples: a matrix of 34 MB, and two as large for
# the rows that are added to it.
MOST_SIDE = 2048
# Multiplications for all products of columns, half of which are spared: two seconds on two cores.
# 100,000 samples of 1,000 columns are as much; of more columns, fewer samples are taken.
MOST_PRODUCTS = 100_000_000_000
# Multiplications of one product that BLAS makes in the calling thread. Several threads wait for
# each other longer than they work where columns are few, above all on a machine that is busy.
MOST_ALONE = 1 << 18
# Values of the samples that components are computed from, where these are fewer than the columns.
MOST_VALUES = 16 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Where samples lie on a map.

    Attributes:
        positions: <float32>[sample, axis]; NaN for a sample without a place.
        shares: of the variance that each axis shows, <float64>[axis]; 0 for one that is rounding.
        n_fitted: how many samples the components were computed from: all that have a place, but of
            many with many columns, evenly spaced ones.
    """

    positions: NDArray[np.float32]
    shares: NDArray[np.float64]
    n_fitted: int


def project(space: SampleSpace) -> Projection:
    """The first two principal components of samples.

    Memory is at most 150 MB beyond the positions, and as many multiplications are made as
    `MOST_PRODUCTS` says, for a table of any size.

    Args:
        space: the samples.
    """
    n, n_columns = space.table.n_samples, space.center.n_columns
    positions = np.zeros((n, N_AXES), np.float32)
    shares, n_fitted = np.zeros(N_AXES), 0
    if n_columns:
        weights, shares, n_fitted = _components(space)
        for rows, points in space.points():
            positions[rows, : weights.shape[1]] = _rows_times(points, weights)
    positions[~space.center.is_placed] = np.nan
    return Projection(positions, shares, n_fitted)


def _components(space: SampleSpace) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Weights, <float64>[column, component], shares, <float64>[axis], and of how many samples."""
    n_columns, placed = space.center.n_columns, np.flatnonzero(space.center.is_placed)
    is_wide = n_columns > MOST_SIDE
    most = min(MOST_SIDE, MOST_VALUES // n_columns) if is_wide else MOST_PRODUCTS // n_columns**2
    fitted = placed
    if len(placed) > most:
        fitted = placed[np.linspace(0, len(placed) - 1, max(1, most)).round().astype(np.int64)]
    if is_wide:
        points = space.subset(fitted)
        matrix = points @ points.T
    else:
        matrix = _products(space, fitted)
    total = float(matrix.trace())
    variances, vectors = leading(matrix, N_AXES)
    is_there = variances > rounding_noise(len(fitted) * n_columns, space.center.largest)
    variances, vectors = variances[is_there], vectors[:, is_there]
    weights = signed(points.T @ vectors / np.sqrt(variances) if is_wide else vectors)
    shares = np.zeros(N_AXES)
    shares[: len(variances)] = variances / (total or 1.0)
    return weights, shares, len(fitted)


def _products(space: SampleSpace, samples: NDArray[np.integer]) -> NDArray[np.float64]:
    """Sums of products of columns over some samples, <float64>[column, column]."""
    n_columns = space.center.n_columns
    matrix = np.zeros((n_columns, n_columns))
    is_fitted = np.zeros(space.table.n_samples, np.bool_)
    is_fitted[samples] = True
    # As many rows as columns at least: adding a product costs no more than making it.
    for rows, points in space.points(n_rows=max(n_columns, (4 << 20) // (8 * n_columns))):
        part = is_fitted[rows]
        block = points if part.all() else points[part]
        matrix += _squares(block)
    return matrix


def _squares(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """`points.T @ points`, <float64>[column, column], of few columns in small parts."""
    n_columns = points.shape[1]
    n_rows = MOST_ALONE // n_columns**2
    if n_rows < n_columns:
        return points.T @ points
    end = len(points) - len(points) % n_rows
    parts, rest = points[:end].reshape(-1, n_rows, n_columns), points[end:]
    products: NDArray[np.float64] = (parts.transpose(0, 2, 1) @ parts).sum(axis=0)
    return products + rest.T @ rest


def _rows_times(points: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """`points @ weights`, <float64>[sample, component], in small parts."""
    n_rows = max(1, MOST_ALONE // max(1, weights.size))
    starts = range(0, len(points), n_rows)
    return np.concatenate([points[start : start + n_rows] @ weights for start in starts])
