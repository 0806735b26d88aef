"""How alike the filters, and the layers, of two captures of the same samples are.

From pooled tables, one of each layer, whose rows are the same samples in the same order. Filters
whose pooled values are not finite, or do not vary, take no part: they match nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.similarity import blocks, centre, centred, cross_product

# Products of samples may take so many times the values of the tables.
FEW = 2
NONE = -1  # stands for a filter that nothing is matched with
Table = NDArray[np.float32]


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


def matched(first: Table, second: Table) -> Matches:
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
    spreads = [_spread(table, each) for table, each in zip((first, second), means, strict=True)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(covariance / np.outer(*spreads), -1, 1).astype(np.float32)


def _spread(table: Table, means: NDArray[np.float64]) -> NDArray[np.float64]:
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
