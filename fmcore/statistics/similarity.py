"""How alike filters and layers are, of one capture or of two of the same samples.

From pooled tables, one of each layer, whose rows are the same samples in the same order.

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

# Products of samples may take so many times the values of the tables.
FEW = 2
NONE = -1  # stands for a filter that nothing is matched with
Table = NDArray[np.float32]


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


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Filters of one layer, each beside a filter of another.

    Attributes:
        correlation: <float32>[filter, other_filter], Pearson's over samples; NaN where one of both
            does not vary.
        best: <int64>[filter], the other filter with the largest correlation; -1 for none.
        one_to_one: <int64>[filter], the other filter in the assignment of at most one to each whose
            correlations have the largest sum; -1 for none.
    """

    correlation: NDArray[np.float32]
    best: NDArray[np.int64]
    one_to_one: NDArray[np.int64]

    def r(self, partner: NDArray[np.int64]) -> NDArray[np.float32]:
        """The correlation with a partner of each filter, <float32>[filter]; NaN for none.

        Args:
            partner: <int64>[filter], another filter, or -1.
        """
        found = self.correlation[np.arange(len(partner)), np.maximum(partner, 0)]
        return np.where(partner >= 0, found, np.float32(np.nan))


def match_filters(first: Table, second: Table) -> Matches:
    """For each filter of the first the filter of the second that answers most alike.

    The largest correlation counts, not the largest amount: a filter that is quiet where another one
    is active does not find the same. Both matchings are those of Li et al. 2015, "Convergent
    learning: do different neural networks learn the same representations?", which calls them
    semi-matching and bipartite matching; here over samples, of pooled values.

    Args:
        first: <float32>[sample, filter].
        second: <float32>[sample, other_filter]; the same samples.

    Raises:
        ValueError: if the tables have not as many rows.
    """
    _require_same_rows([first, second])
    correlation = _correlation(first, second)
    known = np.isfinite(correlation)
    largest = np.where(known, correlation, -np.inf).argmax(axis=1)
    best = np.where(known.any(axis=1), largest, NONE)
    return Matches(correlation, best, _one_to_one(correlation))


def cka_between(first: Sequence[Table], second: Sequence[Table]) -> NDArray[np.float64]:
    """Linear CKA of the layers of two captures, <float64>[layer, other_layer].

    Kornblith et al. 2019, "Similarity of neural network representations revisited": with centred
    columns, |Yᵀ X|² / (|Xᵀ X| |Yᵀ Y|) in Frobenius norms. 1 up to rotation and scale. NaN for a
    layer in which nothing varies.

    Args:
        first: <float32>[sample, filter] of each layer.
        second: the same of the other capture; the same samples.

    Raises:
        ValueError: if the tables have not as many rows.
    """
    _require_same_rows([*first, *second])
    tables = [_centred_whole(one) for one in (*first, *second)]
    n_first, n_samples = len(first), len(tables[0]) if tables else 0
    # With few samples their products are smaller than the filters', and made once for each layer.
    few = n_samples * len(tables) <= FEW * sum(one.shape[1] for one in tables)
    own, shared = _by_samples(tables, n_first) if few else _by_filters(tables, n_first)
    norms = np.sqrt(own)
    with np.errstate(invalid="ignore", divide="ignore"):
        return shared / np.outer(norms[:n_first], norms[n_first:])


def _by_samples(
    tables: Sequence[Table], n_first: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """|Xᵀ X|² of each layer and |Yᵀ X|² of each pair, as sums of products of X Xᵀ and Y Yᵀ."""
    n_samples = len(tables[0]) if tables else 0
    grams = np.empty((len(tables), n_samples**2))
    for index, one in enumerate(tables):
        wide = one.astype(np.float64)
        np.matmul(wide, wide.T, out=grams[index].reshape(n_samples, n_samples))
    return np.einsum("ij,ij->i", grams, grams), grams[:n_first] @ grams[n_first:].T


def _by_filters(
    tables: Sequence[Table], n_first: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same from products of filters."""
    own = np.array([_overlap(one, one) for one in tables])
    pairs = [[_overlap(one, other) for other in tables[n_first:]] for one in tables[:n_first]]
    return own, np.array(pairs).reshape(n_first, len(tables) - n_first)


def _correlation(first: Table, second: Table) -> NDArray[np.float32]:
    """Pearson's correlation of the columns of two tables, <float32>[filter, other_filter]."""
    n_samples = len(first)
    tables = [(one.shape[1], one.__getitem__) for one in (first, second)]
    means = [centre(n_filters, read, n_samples) for n_filters, read in tables]
    covariance = cross_product(tables, means, 0, 1, n_samples)
    spreads = [_deviation(table, each) for table, each in zip((first, second), means, strict=True)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(covariance / np.outer(*spreads), -1, 1).astype(np.float32)


def _deviation(table: Table, means: NDArray[np.float64]) -> NDArray[np.float64]:
    """The root of the sum of squares of each centred column, <float64>[filter]; 0 for none."""
    n_samples, n_filters = table.shape
    total = np.zeros(n_filters)
    for few in blocks(n_filters, n_samples):
        total += (centred(table[few], means) ** 2).sum(axis=0)
    return np.sqrt(total)


def _one_to_one(correlation: NDArray[np.float32]) -> NDArray[np.int64]:
    """The assignment with the largest sum, among the filters that vary, <int64>[filter]."""
    # Only here, because it takes 0.2 s and would make every start wait.
    from scipy.optimize import linear_sum_assignment

    known = np.isfinite(correlation)
    rows, columns = (np.flatnonzero(known.any(axis=axis)) for axis in (1, 0))
    found = np.full(len(correlation), NONE, dtype=np.int64)
    if len(rows):
        taken, given = linear_sum_assignment(correlation[np.ix_(rows, columns)], maximize=True)
        found[rows[taken]] = columns[given]
    return found


def _centred_whole(table: Table) -> NDArray[np.float32]:
    """The columns that vary less their means, <float32>[sample, filter that varies]."""
    n_samples, n_filters = table.shape
    means = centre(n_filters, table.__getitem__, n_samples)
    moving = np.isfinite(means)
    return (table[:, moving] - means[moving]).astype(np.float32)


def _overlap(one: Table, other: Table) -> float:
    """|Yᵀ X|² in Frobenius norms, of centred tables."""
    return float(((one.astype(np.float64).T @ other.astype(np.float64)) ** 2).sum())


def _require_same_rows(tables: Sequence[Table]) -> None:
    rows = [len(one) for one in tables]
    if len(set(rows)) > 1:
        raise ValueError(
            f"tables of other samples: expected as many rows in each, found {rows}; compare "
            "captures of the same samples"
        )
