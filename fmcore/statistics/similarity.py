"""How similar filters and layers are, within one capture or between two of the same samples.

Everything is computed from pooled tables, one for each layer, whose rows are the same samples in
the same order. Filters whose pooled values are not finite, or do not vary, are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

# Bytes of a block of rows of a table, in float64.
ROWS_BYTES = 4 << 20

# Reads rows of one layer's table, <float32>[sample, filter].
ReadRows = Callable[[slice], NDArray[np.float32]]

# CKA is computed from Gram matrices if these have at most so many times the values of the tables.
GRAM_FACTOR = 2
NO_FILTER = -1  # stands for the match of a filter that has none
Table = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Covariances:
    """How the filters of each layer vary together, and how much layers overlap.

    Attributes:
        of_layers: for each layer, <float64>[filter, other_filter], sums of products of centered
            columns.
        overlaps: <float64>[layer, other_layer], |Yᵀ X|² of each pair of layers.
    """

    of_layers: list[NDArray[np.float64]]
    overlaps: NDArray[np.float64]

    @classmethod
    def of(cls, tables: Sequence[tuple[int, ReadRows]], n_samples: int) -> Self:
        """Compares the filters of each layer, and the layers; each pair of layers is read once.

        Args:
            tables: for each layer, its number of filters, and a function that reads rows of its
                table.
            n_samples: the number of rows of each table.
        """
        means = [column_means(n_filters, read, n_samples) for n_filters, read in tables]
        covariances: list[NDArray[np.float64]] = []
        overlaps = np.zeros((len(tables), len(tables)))
        for first in range(len(tables)):
            for second in range(first, len(tables)):
                product = cross_product(tables, means, first, second, n_samples)
                overlaps[first, second] = overlaps[second, first] = (product**2).sum()
                if first == second:
                    covariances.append(product)
        return cls(covariances, overlaps)


def correlations(covariances: Covariances) -> list[NDArray[np.float32]]:
    """For each layer, the Pearson correlation of its filters, <float32>[filter, other_filter]."""
    return [correlation(covariance) for covariance in covariances.of_layers]


def effective_ranks(covariances: Covariances) -> NDArray[np.float64]:
    """The effective rank of each layer's table, <float64>[layer]."""
    return np.array([effective_rank(covariance) for covariance in covariances.of_layers])


def cka(covariances: Covariances) -> NDArray[np.float64]:
    """Linear CKA of layers, <float64>[layer, other_layer]; NaN where no filter of one varies.

    Kornblith et al. 2019, "Similarity of neural network representations revisited".
    """
    norms = np.sqrt(np.diag(covariances.overlaps))
    with np.errstate(invalid="ignore", divide="ignore"):
        return covariances.overlaps / np.outer(norms, norms)


def blocks(n_filters: int, n_samples: int) -> Iterator[slice]:
    """Slices of the rows of a table that are processed one after the other."""
    rows = max(1, ROWS_BYTES // (8 * n_filters))
    for start in range(0, n_samples, rows):
        yield slice(start, start + rows)


def column_means(n_filters: int, read: ReadRows, n_samples: int) -> NDArray[np.float64]:
    """The mean of each column, <float64>[filter]; NaN if the column is constant or not finite."""
    total = np.zeros(n_filters)
    low, high = np.full(n_filters, np.inf), np.full(n_filters, -np.inf)
    for rows in blocks(n_filters, n_samples):
        values = read(rows).astype(np.float64)
        total += values.sum(axis=0)
        low, high = np.minimum(low, values.min(axis=0)), np.maximum(high, values.max(axis=0))
    return np.where(np.isfinite(low + high) & (low < high), total / n_samples, np.nan)


def cross_product(
    tables: Sequence[tuple[int, ReadRows]],
    means: Sequence[NDArray[np.float64]],
    first: int,
    second: int,
    n_samples: int,
) -> NDArray[np.float64]:
    """Sums of products of the centered columns of two tables, <float64>[filter, other_filter].

    Args:
        tables: for each layer, its number of filters, and a function that reads rows of its table.
        means: for each layer, <float64>[filter], see `column_means`.
        first: the index of the layer whose filters are the rows of the result.
        second: the index of the layer whose filters are the columns of the result.
        n_samples: the number of rows of each table.
    """
    product = np.zeros((tables[first][0], tables[second][0]))
    for rows in blocks(max(product.shape), n_samples):
        left = centered(tables[first][1](rows), means[first])
        right = left if first == second else centered(tables[second][1](rows), means[second])
        product += left.T @ right
    return product


def correlation(covariance: NDArray[np.float64]) -> NDArray[np.float32]:
    """Pearson correlation of filters, <float32>[filter, other_filter]; NaN for constant filters.

    Args:
        covariance: <float64>[filter, other_filter], sums of products of centered columns.
    """
    norms = np.sqrt(np.diag(covariance))
    with np.errstate(invalid="ignore", divide="ignore"):
        r = covariance / np.outer(norms, norms)
    np.fill_diagonal(r, np.where(norms > 0, 1, np.nan))
    return np.clip(r, -1, 1).astype(np.float32)


def effective_rank(covariance: NDArray[np.float64]) -> float:
    """Exp of the entropy of the normalized singular values, from 1 to the number of filters.

    Roy and Vetterli 2007, "The effective rank: a measure of effective dimensionality". NaN if no
    filter varies. Singular values are square roots of eigenvalues, accurate to about 1e-8 of the
    largest.

    Args:
        covariance: <float64>[filter, other_filter], sums of products of centered columns.
    """
    varying = np.diag(covariance) > 0
    if not varying.any():
        return float("nan")
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(covariance[np.ix_(varying, varying)]), 0))
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def centered_covariance(table: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sums of products of the centered columns of a table, <float64>[filter, other_filter].

    Args:
        table: <float32>[sample, filter].
    """
    n_samples, n_filters = table.shape
    tables = [(n_filters, lambda rows: table[rows])]
    return cross_product(tables, [column_means(*tables[0], n_samples)], 0, 0, n_samples)


def centered(table: NDArray[np.float32], means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns minus their mean; zeros for a column whose mean is NaN."""
    values = table.astype(np.float64)
    values[:, np.isnan(means)] = 0
    values -= np.nan_to_num(means)
    return values


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Matches of the filters of one layer with the filters of another.

    Attributes:
        correlation: <float32>[filter, other_filter], Pearson correlation over samples; NaN where
            one of the two does not vary.
        best: <int64>[filter], the other filter with the largest correlation; -1 for none.
        one_to_one: <int64>[filter], the other filter in the one-to-one assignment with the largest
            sum of correlations; -1 for none.
    """

    correlation: NDArray[np.float32]
    best: NDArray[np.int64]
    one_to_one: NDArray[np.int64]

    def r(self, partner: NDArray[np.int64]) -> NDArray[np.float32]:
        """The correlation of each filter with its partner, <float32>[filter]; NaN for none.

        Args:
            partner: <int64>[filter], the index of another filter, or -1 for none.
        """
        r = self.correlation[np.arange(len(partner)), np.maximum(partner, 0)]
        return np.where(partner >= 0, r, np.float32(np.nan))


def match_filters(first: Table, second: Table) -> Matches:
    """Matches each filter of one layer with the filter of another that responds most similarly.

    The most positive correlation counts, not the largest magnitude: a filter that is inactive where
    another one is active does not detect the same thing. Both matchings come from Li et al. 2015,
    "Convergent learning: do different neural networks learn the same representations?", which calls
    them semi-matching and bipartite matching; here over samples, of pooled values.

    Args:
        first: <float32>[sample, filter].
        second: <float32>[sample, other_filter], for the same samples.

    Raises:
        ValueError: if the tables differ in their number of rows.
    """
    _require_same_rows([first, second])
    correlation = _correlation(first, second)
    defined = np.isfinite(correlation)
    largest = np.where(defined, correlation, -np.inf).argmax(axis=1)
    best = np.where(defined.any(axis=1), largest, NO_FILTER)
    return Matches(correlation, best, _one_to_one(correlation))


def cka_between(first: Sequence[Table], second: Sequence[Table]) -> NDArray[np.float64]:
    """Linear CKA of the layers of two captures, <float64>[layer, other_layer].

    Kornblith et al. 2019, "Similarity of neural network representations revisited": with centered
    columns, |Yᵀ X|² / (|Xᵀ X| |Yᵀ Y|) in Frobenius norms. It is 1 for layers that agree up to
    rotation and scale, and NaN for a layer in which no filter varies.

    Args:
        first: for each layer of one capture, <float32>[sample, filter].
        second: for each layer of the other capture, <float32>[sample, filter]; the same samples.

    Raises:
        ValueError: if the tables differ in their number of rows.
    """
    _require_same_rows([*first, *second])
    tables = [_centered_columns(table) for table in (*first, *second)]
    n_first, n_samples = len(first), len(tables[0]) if tables else 0
    # With few samples, Gram matrices are smaller than products of filters, and one for each layer.
    use_grams = n_samples * len(tables) <= GRAM_FACTOR * sum(table.shape[1] for table in tables)
    squares, overlaps = (_gram_overlaps if use_grams else _filter_overlaps)(tables, n_first)
    norms = np.sqrt(squares)
    with np.errstate(invalid="ignore", divide="ignore"):
        return overlaps / np.outer(norms[:n_first], norms[n_first:])


def _gram_overlaps(
    tables: Sequence[Table], n_first: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """|Xᵀ X|² of each layer and |Yᵀ X|² of each pair, from the Gram matrices X Xᵀ and Y Yᵀ."""
    n_samples = len(tables[0]) if tables else 0
    grams = np.empty((len(tables), n_samples**2))
    for index, table in enumerate(tables):
        values = table.astype(np.float64)
        np.matmul(values, values.T, out=grams[index].reshape(n_samples, n_samples))
    return np.einsum("ij,ij->i", grams, grams), grams[:n_first] @ grams[n_first:].T


def _filter_overlaps(
    tables: Sequence[Table], n_first: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """|Xᵀ X|² of each layer and |Yᵀ X|² of each pair, from the products Xᵀ X and Yᵀ X."""
    squares = np.array([_overlap(table, table) for table in tables])
    pairs = [[_overlap(x, y) for y in tables[n_first:]] for x in tables[:n_first]]
    return squares, np.array(pairs).reshape(n_first, len(tables) - n_first)


def _correlation(first: Table, second: Table) -> NDArray[np.float32]:
    """Pearson correlation of the columns of two tables, <float32>[filter, other_filter]."""
    n_samples = len(first)
    tables = [(table.shape[1], table.__getitem__) for table in (first, second)]
    means = [column_means(n_filters, read, n_samples) for n_filters, read in tables]
    covariance = cross_product(tables, means, 0, 1, n_samples)
    norms = [_column_norms(*pair) for pair in zip((first, second), means, strict=True)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(covariance / np.outer(*norms), -1, 1).astype(np.float32)


def _column_norms(table: Table, means: NDArray[np.float64]) -> NDArray[np.float64]:
    """The Euclidean norm of each centered column, <float64>[filter]; 0 if the mean is NaN."""
    n_samples, n_filters = table.shape
    total = np.zeros(n_filters)
    for rows in blocks(n_filters, n_samples):
        total += (centered(table[rows], means) ** 2).sum(axis=0)
    return np.sqrt(total)


def _one_to_one(correlation: NDArray[np.float32]) -> NDArray[np.int64]:
    """The assignment with the largest sum of correlations, <int64>[filter]; -1 for none."""
    # Imported here because it takes 0.2 s, which would delay every start.
    from scipy.optimize import linear_sum_assignment

    defined = np.isfinite(correlation)
    rows, columns = (np.flatnonzero(defined.any(axis=axis)) for axis in (1, 0))
    partners = np.full(len(correlation), NO_FILTER, dtype=np.int64)
    if len(rows):
        row_indices, column_indices = linear_sum_assignment(
            correlation[np.ix_(rows, columns)], maximize=True
        )
        partners[rows[row_indices]] = columns[column_indices]
    return partners


def _centered_columns(table: Table) -> NDArray[np.float32]:
    """The columns that vary minus their means, <float32>[sample, varying filter]."""
    n_samples, n_filters = table.shape
    means = column_means(n_filters, table.__getitem__, n_samples)
    varying = np.isfinite(means)
    return (table[:, varying] - means[varying]).astype(np.float32)


def _overlap(x: Table, y: Table) -> float:
    """|Yᵀ X|² in Frobenius norms, of centered tables."""
    return float(((x.astype(np.float64).T @ y.astype(np.float64)) ** 2).sum())


def _require_same_rows(tables: Sequence[Table]) -> None:
    rows = [len(table) for table in tables]
    if len(set(rows)) > 1:
        raise ValueError(
            f"the tables hold different samples: expected the same number of rows in each, found "
            f"{rows}; compare captures of the same samples"
        )
