"""How similar filters and layers are, within one capture or between two of the same samples.

Everything is computed from pooled tables, one for each layer, whose rows are the same samples in
the same order. Filters whose pooled values are not finite, or do not vary, are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

# Bytes of a block of rows of a table, in float64.
ROWS_BYTES = 4 << 20
# Bytes of the Gram matrices of all layers, or of a product of filters, that are in memory at once.
PRODUCT_BYTES = 64 << 20
# Bytes of a part of the correlations of a layer in float64; sorting them takes five times as much,
# and each thread does.
CORRELATION_BYTES = 4 << 20
# Reading and centering a value takes as long as so many multiplications of a matrix product.
READ_COST = 100
# The correlations of all pairs of filters are stored up to so many filters: 16 KiB for a table.
# Of more filters each has a list of the others that it correlates most with.
MATRIX_FILTERS = 64
SIMILAR = 25
# The arrays of these lists, and their axes.
SIMILAR_ARRAYS = {
    "similar_filter": ("filter", "similar"),
    "similar_r": ("filter", "similar"),
}

# Reads rows of one layer's table, <float32>[sample, filter].
ReadRows = Callable[[slice], NDArray[np.float32]]

TWO_BITS = 1 << 30  # the bits of the float32 2.0: those of any smaller size are smaller integers
NO_FILTER = -1  # stands for the match of a filter that has none
Table = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class RowTable:
    """A pooled table of one layer, of which some rows at a time are in memory.

    Attributes:
        n_samples: the number of its rows.
        n_filters: the number of its columns.
        read: reads some of its rows.
    """

    n_samples: int
    n_filters: int
    read: ReadRows

    @classmethod
    def of(cls, table: Table) -> RowTable:
        """A table that is in memory, <float32>[sample, filter]."""
        n_samples, n_filters = table.shape
        return cls(n_samples, n_filters, table.__getitem__)

    @cached_property
    def means(self) -> NDArray[np.float64]:
        """The mean of each column, <float64>[filter]; NaN if it is constant or not finite."""
        return column_means(self.n_filters, self.read, self.n_samples)

    @cached_property
    def norms(self) -> NDArray[np.float64]:
        """The Euclidean norm of each centered column, <float64>[filter]; 0 if its mean is NaN."""
        total = np.zeros(self.n_filters)
        for _, values in self.centered():
            total += np.einsum("ij,ij->j", values, values)
        return np.sqrt(total)

    def centered(self, start: int = 0) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Rows from `start` on, some at a time, as `centered` makes them: where, and values."""
        for rows in blocks(self.n_filters, self.n_samples, start):
            yield rows, centered(self.read(rows), self.means)

    def product(
        self, other: RowTable, filters: NDArray[np.integer] | slice = slice(None)
    ) -> NDArray[np.float64]:
        """Sums of products of centered columns, <float64>[filter, other_filter].

        Args:
            other: another table of the same samples, or this one.
            filters: which filters of this table.
        """
        n_filters = len(np.arange(self.n_filters)[filters])
        product = np.zeros((n_filters, other.n_filters))
        for rows in blocks(max(self.n_filters, other.n_filters), self.n_samples):
            left = centered(self.read(rows), self.means)
            right = left if other is self else centered(other.read(rows), other.means)
            product += left[:, filters].T @ right
        return product

    def gram(self, rows: slice) -> NDArray[np.float64]:
        """Sums of products of some centered rows with all from the first of them on.

        Returns:
            <float64>[row, sample], for the samples from `rows.start` on.
        """
        start, stop, _ = rows.indices(self.n_samples)
        left = centered(self.read(rows), self.means)
        gram = np.empty((stop - start, self.n_samples - start))
        for others, right in self.centered(start):
            gram[:, others.start - start : others.stop - start] = left @ right.T
        return gram


def correlations(tables: Sequence[RowTable]) -> Iterator[NDArray[np.float32] | None]:
    """For each layer, `correlation_matrix`; None for one of more than `MATRIX_FILTERS` filters."""
    for table in tables:
        yield correlation_matrix(table) if table.n_filters <= MATRIX_FILTERS else None


def effective_ranks(tables: Sequence[RowTable]) -> NDArray[np.float64]:
    """The effective rank of each layer's table, <float64>[layer]."""
    return np.array([effective_rank(_smaller_product(table)) for table in tables])


def cka(tables: Sequence[RowTable]) -> NDArray[np.float64]:
    """Linear CKA of layers, <float64>[layer, other_layer]; NaN where no filter of one varies.

    Kornblith et al. 2019, "Similarity of neural network representations revisited".
    """
    return _cka_of(overlaps(tables))


def overlaps(tables: Sequence[RowTable], n_first: int | None = None) -> NDArray[np.float64]:
    """|Yᵀ X|² in Frobenius norms for pairs of centered tables, <float64>[layer, other_layer].

    It is also the sum of the products of the Gram matrices X Xᵀ and Y Yᵀ, which is less work where
    there are fewer samples than filters, and layers share it.

    Args:
        tables: tables of the same samples.
        n_first: the number of tables that are only compared with those after them and with
            themselves, and those only with them; None to compare all with all.
    """
    n_tables = len(tables)
    pairs = [
        (first, second)
        for first in range(n_tables)
        for second in range(first, n_tables)
        if first == second or n_first is None or first < n_first <= second
    ]
    if _is_gram_cheaper(tables, pairs):
        return _gram_overlaps(tables)
    result = np.full((n_tables, n_tables), np.nan)
    for first, second in pairs:
        left, right = tables[first], tables[second]
        step = max(1, PRODUCT_BYTES // (8 * right.n_filters))
        parts = (slice(start, start + step) for start in range(0, left.n_filters, step))
        overlap = sum(float((left.product(right, part) ** 2).sum()) for part in parts)
        result[first, second] = result[second, first] = overlap
    return result


def _is_gram_cheaper(tables: Sequence[RowTable], pairs: Sequence[tuple[int, int]]) -> bool:
    """Whether Gram matrices take less work than products of filters, in multiplications."""
    widths = [table.n_filters for table in tables]
    n, total = (tables[0].n_samples if tables else 0), sum(widths)
    passes = -(-8 * len(tables) * n**2 // PRODUCT_BYTES)
    gram = n**2 * (total + len(tables) ** 2) // 2 + passes * n * total * READ_COST
    of_filters = sum(
        n * (widths[first] * widths[second] + READ_COST * (widths[first] + widths[second]))
        for first, second in pairs
    )
    return gram < of_filters


def _gram_overlaps(tables: Sequence[RowTable]) -> NDArray[np.float64]:
    """`overlaps` of all pairs from Gram matrices, some rows of all of them at a time."""
    n = tables[0].n_samples
    total = np.zeros((len(tables), len(tables)))
    step = max(1, PRODUCT_BYTES // (8 * len(tables) * n))
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        grams = np.empty((len(tables), rows.stop - start, n - start))
        for gram, table in zip(grams, tables, strict=True):
            gram[...] = table.gram(rows)
        # What lies left of these rows was counted above them: the matrices are symmetric.
        grams[:, :, step:] *= np.sqrt(2)
        flat = grams.reshape(len(tables), -1)
        total += flat @ flat.T
    return total


def _cka_of(
    overlap: NDArray[np.float64], first: slice = slice(None), second: slice = slice(None)
) -> NDArray[np.float64]:
    """Linear CKA of some layers with others, from `overlaps` of all of them."""
    norms = np.sqrt(np.diag(overlap))
    with np.errstate(invalid="ignore", divide="ignore"):
        return overlap[first, second] / np.outer(norms[first], norms[second])


def _smaller_product(table: RowTable) -> NDArray[np.float64]:
    """The Gram matrix of centered rows, or of centered columns: both have the same eigenvalues."""
    if table.n_samples < table.n_filters:
        return table.gram(slice(0, table.n_samples))
    return table.product(table)


def correlation_matrix(table: RowTable) -> NDArray[np.float32]:
    """Pearson correlation of filters, <float32>[filter, other_filter]; NaN for constant filters."""
    matrix = np.empty((table.n_filters, table.n_filters), np.float32)
    for filters, rows in correlation_rows(table, np.arange(table.n_filters)):
        matrix[filters] = rows
    return matrix


def correlation_rows(
    table: RowTable, filters: NDArray[np.integer]
) -> Iterator[tuple[NDArray[np.integer], NDArray[np.float32]]]:
    """Pearson correlation of some filters with all of the layer, some filters at a time.

    Args:
        table: the pooled table.
        filters: <int>[filter], which filters.

    Yields:
        Some of these filters, and their correlations, <float32>[filter, other_filter]; NaN where
        one of the two is constant.
    """
    step = max(1, CORRELATION_BYTES // (8 * table.n_filters))
    for start in range(0, len(filters), step):
        part = filters[start : start + step]
        product = table.product(table, part)
        norms = table.norms
        with np.errstate(invalid="ignore", divide="ignore"):
            r = product / np.outer(norms[part], norms)
        r[np.arange(len(part)), part] = np.where(norms[part] > 0, 1, np.nan)
        yield part, np.clip(r, -1, 1).astype(np.float32)


def similar_arrays(table: RowTable) -> dict[str, NDArray[np.generic]]:
    """For each filter the others that it correlates most with, together or opposite.

    Args:
        table: the pooled table.

    Returns:
        `similar_filter`, their indices, <int32>[filter, similar], by the size of the correlation,
        equal ones by index; and `similar_r`, their correlations, <float32>[filter, similar]. Where
        fewer vary: filter -1, correlation NaN.
    """
    shape = table.n_filters, SIMILAR
    indices, values = np.full(shape, NO_FILTER, np.int32), np.full(shape, np.nan, np.float32)
    for filters, r in correlation_rows(table, np.arange(table.n_filters)):
        nearest = most_similar(r, filters)
        indices[filters, : nearest.shape[1]] = nearest
        of_nearest = np.take_along_axis(r, np.maximum(nearest, 0), axis=1)
        values[filters, : nearest.shape[1]] = np.where(nearest >= 0, of_nearest, np.nan)
    return {"similar_filter": indices, "similar_r": values}


def most_similar(r: NDArray[np.float32], filters: NDArray[np.integer]) -> NDArray[np.int32]:
    """The other filters with the largest |r|, equal ones by index, <int32>[filter, similar].

    Args:
        r: <float32>[filter, other_filter], the correlations of some filters with all.
        filters: <int>[filter], which filters these are.

    Returns:
        At most `SIMILAR` for each filter; -1 where fewer have a correlation.
    """
    # Size and index go into one integer: sorting those is quicker than a stable sort of floats.
    keys = np.abs(r).view(np.int32).astype(np.int64)
    np.subtract(TWO_BITS, keys, out=keys)
    keys[np.isnan(r)] = TWO_BITS + 1
    keys[np.arange(len(filters)), filters] = TWO_BITS + 1
    keys <<= 32
    keys |= np.arange(r.shape[1])
    if r.shape[1] > SIMILAR:
        keys = np.partition(keys, SIMILAR - 1, axis=1)[:, :SIMILAR]
    keys.sort(axis=1)
    return np.where(keys >> 32 > TWO_BITS, NO_FILTER, keys & 0xFFFFFFFF).astype(np.int32)


def blocks(n_filters: int, n_samples: int, first: int = 0) -> Iterator[slice]:
    """Slices of the rows of a table from `first` on, which are processed one after the other."""
    rows = max(1, ROWS_BYTES // (8 * n_filters))
    for start in range(first, n_samples, rows):
        yield slice(start, min(start + rows, n_samples))


def column_means(n_filters: int, read: ReadRows, n_samples: int) -> NDArray[np.float64]:
    """The mean of each column, <float64>[filter]; NaN if the column is constant or not finite."""
    total = np.zeros(n_filters)
    low, high = np.full(n_filters, np.inf), np.full(n_filters, -np.inf)
    for rows in blocks(n_filters, n_samples):
        values = read(rows).astype(np.float64)
        total += values.sum(axis=0)
        low, high = np.minimum(low, values.min(axis=0)), np.maximum(high, values.max(axis=0))
    return np.where(np.isfinite(low + high) & (low < high), total / n_samples, np.nan)


def effective_rank(product: NDArray[np.float64]) -> float:
    """Exp of the entropy of the normalized singular values, from 1 to the number of filters.

    Columns are centered, so it counts directions in which samples differ, and their mean is none.
    Roy and Vetterli 2007, "The effective rank: a measure of effective dimensionality". NaN if no
    filter varies. Singular values are square roots of eigenvalues, accurate to about 1e-8 of the
    largest.

    Args:
        product: <float64>[filter, other_filter] or [sample, other_sample], sums of products of the
            columns or of the rows of a table with centered columns.
    """
    varying = np.diag(product) > 0
    if not varying.any():
        return float("nan")
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(product[np.ix_(varying, varying)]), 0))
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


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
    tables = [RowTable.of(table) for table in (*first, *second)]
    n_first = len(first)
    return _cka_of(overlaps(tables, n_first), slice(n_first), slice(n_first, None))


def _correlation(first: Table, second: Table) -> NDArray[np.float32]:
    """Pearson correlation of the columns of two tables, <float32>[filter, other_filter]."""
    left, right = RowTable.of(first), RowTable.of(second)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = left.product(right) / np.outer(left.norms, right.norms)
    return np.clip(r, -1, 1).astype(np.float32)


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


def _require_same_rows(tables: Sequence[Table]) -> None:
    rows = [len(table) for table in tables]
    if len(set(rows)) > 1:
        raise ValueError(
            f"the tables hold different samples: expected the same number of rows in each, found "
            f"{rows}; compare captures of the same samples"
        )
