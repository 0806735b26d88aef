"""Principal components: the directions in which rows of a table differ most, and their signs.

Colors of feature maps (`summary`) and the map of samples (`projection`) are made of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# What a float32 is off by, relative to itself: a component that varies no more is rounding.
ROUNDING = float(np.finfo(np.float32).eps)
# Of larger matrices a few eigenvectors are found sooner than all are.
MOST_DENSE = 256


def leading(
    matrix: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The largest eigenvalues of a symmetric matrix, and their vectors; the same each time.

    Args:
        matrix: <float64>[row, row]; its lower triangle is read.
        count: how many, fewer where the matrix has fewer rows.

    Returns:
        The eigenvalues, descending, <float64>[component]; and the vectors,
        <float64>[row, component].
    """
    # Imported here because they take 0.5 s of CPU, which would delay every start.
    from scipy.linalg import eigh
    from scipy.sparse.linalg import eigsh

    size = len(matrix)
    if size > MOST_DENSE and matrix.any():
        start = np.random.default_rng(0).normal(size=size)  # the same each time
        values, vectors = eigsh(matrix, count, v0=start)
        order = values.argsort()[::-1]
    else:
        values, vectors = eigh(matrix, subset_by_index=[max(0, size - count), size - 1])
        order = np.arange(len(values))[::-1]
    return values[order], vectors[:, order]


def signed(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Components whose largest weight is positive, so that their sign is no chance.

    Args:
        weights: <float64>[column, component].
    """
    largest = np.abs(weights).argmax(axis=0)
    return weights * np.sign(weights[largest, np.arange(weights.shape[1])])


def rounding_noise(n_values: int, largest: float) -> float:
    """The sum of squares that rounding to float32 alone may make.

    Args:
        n_values: how many values are summed.
        largest: the largest of them, without its sign.
    """
    return n_values * (ROUNDING * largest) ** 2
