"""The samples nearest to one, and the samples that lie farthest from all others; both exact.

Distances are Euclidean: those of the space that the map is drawn of, so that map and distances say
the same. The outlier measure is the distance to the k-th nearest sample (Ramaswamy, Rastogi and
Shim 2000, "Efficient algorithms for mining outliers from large data sets").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import SelectionError
from fmcore.statistics.sample_space import SampleSpace

# So many neighbors where nobody says another number, and at most.
NEIGHBORS, MOST_NEIGHBORS = 10, 100
# Pairs of samples whose distance is computed for outliers, and multiplications for these: of more
# samples, each is compared with some that a seed chooses. 10,000 samples are all compared.
MOST_PAIRS = 200_000_000
MOST_PRODUCTS = 50_000_000_000
# Values of the samples that others are compared with, in memory as float64.
MOST_VALUES = 8 << 20
SEED = 0
# Distances of a block, and coordinates of the nearest of its samples, in float64.
BLOCK_BYTES = 32 << 20
# So many more than k are looked at: sums of squares alone may take two for each other that are
# equal but for rounding.
SPARE = 8


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """The samples nearest to one.

    Attributes:
        samples: their indices, nearest first, equal ones by index, <int64>[neighbor].
        distances: Euclidean, <float64>[neighbor].
    """

    samples: NDArray[np.int64]
    distances: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Outliers:
    """How far each sample lies from others.

    Attributes:
        distances: to the k-th nearest of the samples that it was compared with, itself left out,
            <float64>[sample]; NaN for a sample without a place.
        k: which neighbor.
        n_compared: how many samples each was compared with: all that have a place, or fewer that
            `SEED` chooses.
    """

    distances: NDArray[np.float64]
    k: int
    n_compared: int

    def order(self) -> NDArray[np.int64]:
        """The samples that have a place, farthest first, equal ones by index, <int64>[place]."""
        order = np.argsort(-self.distances, kind="stable")
        return order[: np.count_nonzero(~np.isnan(self.distances))]

    def rank(self, sample: int) -> int:
        """The place of a sample among all, 1 for the farthest.

        Raises:
            SelectionError: if the sample has no place.
        """
        _require_place(not np.isnan(self.distances[sample]), sample)
        own = self.distances[sample]
        before = np.count_nonzero(self.distances > own)
        return int(before + np.count_nonzero(self.distances[:sample] == own)) + 1


def nearest(space: SampleSpace, sample: int, k: int = NEIGHBORS) -> Nearest:
    """The k samples nearest to one, itself left out; the table is read once.

    Args:
        space: the samples.
        sample: an index that there is.
        k: how many; fewer where there are fewer.

    Raises:
        SelectionError: if the sample has no place, as a value of it is not finite.
    """
    center = space.center
    _require_place(bool(center.is_placed[sample]), sample)
    own = space.point(sample)
    squares = np.empty(space.table.n_samples)
    for rows, points in space.points():
        points -= own
        np.einsum("ij,ij->i", points, points, out=squares[rows])
    squares[~center.is_placed] = np.inf
    squares[sample] = np.inf
    k = min(k, center.n_placed - 1)
    order = _smallest(squares, k)
    return Nearest(order, np.sqrt(squares[order]))


def _smallest(values: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """The places of the k smallest values, equal ones by place."""
    if k == 0:
        return np.zeros(0, np.int64)
    limit = np.partition(values, k - 1)[k - 1]
    places = np.flatnonzero(values <= limit)
    return places[np.argsort(values[places], kind="stable")][:k]


def outliers(space: SampleSpace, k: int = NEIGHBORS) -> Outliers:
    """The distance of each sample to its k-th nearest.

    Distances are computed as differences of the coordinates of those that come into question; sums
    of squares alone lose digits where samples are close.

    Args:
        space: the samples.
        k: which neighbor; the farthest where there are fewer.
    """
    center = space.center
    n, placed = space.table.n_samples, np.flatnonzero(center.is_placed)
    distances = np.full(n, np.nan)
    compared = _compared(placed, center.n_columns)
    k = min(k, len(compared) - 1)
    if k < 1:
        distances[placed] = 0.0  # there is no other
        return Outliers(distances, max(0, k), len(compared))
    others = space.subset(compared)
    squares = np.einsum("ij,ij->i", others, others)
    n_columns = max(1, center.n_columns)
    n_rows = BLOCK_BYTES // (8 * max(len(compared), (k + SPARE) * n_columns))
    for rows, points in space.points(n_rows=max(1, n_rows)):
        distances[rows] = _kth_distances(points, rows.start, others, squares, compared, k)
    distances[~center.is_placed] = np.nan
    return Outliers(distances, k, len(compared))


def _compared(placed: NDArray[np.int64], n_columns: int) -> NDArray[np.int64]:
    """The samples that each is compared with, ascending."""
    n, n_columns = len(placed), max(1, n_columns)
    most = MOST_VALUES // n_columns
    if n:
        most = min(most, MOST_PAIRS // n, MOST_PRODUCTS // (n * n_columns))
    most = max(2 * MOST_NEIGHBORS, most)
    if n <= most:
        return placed
    return np.sort(np.random.default_rng(SEED).choice(placed, most, replace=False))


def _kth_distances(
    points: NDArray[np.float64],
    first: int,
    others: NDArray[np.float64],
    squares: NDArray[np.float64],
    compared: NDArray[np.int64],
    k: int,
) -> NDArray[np.float64]:
    """The distance of each point to the k-th nearest of others, <float64>[point].

    Args:
        points: of the samples from `first` on, <float64>[point, column].
        first: the index of the first sample.
        others: <float64>[other, column].
        squares: their squared lengths, <float64>[other].
        compared: their indices, <int64>[other].
        k: which neighbor.
    """
    about = points @ others.T
    about *= -2
    about += squares
    at, stop = np.searchsorted(compared, (first, first + len(points)))
    own = compared[at:stop] - first
    about[own, np.arange(at, stop)] = np.inf
    n_near = min(k + SPARE, about.shape[1])
    near = np.argpartition(about, n_near - 1, axis=1)[:, :n_near]
    differences = others[near]
    differences -= points[:, np.newaxis]
    exact = np.einsum("ijk,ijk->ij", differences, differences)
    exact[np.isinf(np.take_along_axis(about, near, axis=1))] = np.inf
    exact.partition(k - 1, axis=1)
    return np.sqrt(exact[:, k - 1])


def _require_place(has_place: bool, sample: int) -> None:
    if not has_place:
        raise SelectionError(
            f"sample {sample} has no neighbors: some of its values are not finite; choose another",
            field="sample",
        )
