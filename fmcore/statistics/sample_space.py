"""Samples as points of a space: a number of each column is a coordinate.

What a map of samples, their neighbors and their outliers are computed from. A column of a pooled
table is a filter; one of the model's output is a class, a label or a number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.components import ROUNDING
from fmcore.statistics.similarity import ROWS_BYTES, RowTable


class Scale(StrEnum):
    """What a column is divided by: nothing, or its standard deviation."""

    NONE = "none"
    STD = "std"


@dataclass(frozen=True, slots=True, eq=False)
class Center:
    """The middle of a space, and which columns and samples it has.

    A column is left out if fewer than half of its values are finite, or, where columns are divided
    by their standard deviation, if it does not vary. A sample has no place if one of its values in
    the other columns is not finite.

    Attributes:
        mean: of each column over the samples that have a place, <float64>[column].
        factor: what the difference to the mean is multiplied by, <float64>[column]; 0 for a column
            that is left out.
        is_placed: whether a sample has a place, <bool>[sample].
        largest: the largest difference to a mean, multiplied, without its sign.
    """

    mean: NDArray[np.float64]
    factor: NDArray[np.float64]
    is_placed: NDArray[np.bool_]
    largest: float

    @property
    def n_columns(self) -> int:
        """How many columns are not left out."""
        return int(np.count_nonzero(self.factor))

    @property
    def n_placed(self) -> int:
        """How many samples have a place."""
        return int(np.count_nonzero(self.is_placed))


@dataclass(frozen=True, slots=True, eq=False)
class SampleSpace:
    """The samples of a table as points, of which some at a time are in memory.

    Attributes:
        table: a number for each sample and column.
        center: what is subtracted, and what is left out.
    """

    table: RowTable
    center: Center

    def points(self, *, n_rows: int = 0) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Which samples, and their coordinates about the mean, <float64>[sample, column].

        Columns that are left out are not among them. A sample without a place lies at the mean.

        Args:
            n_rows: how many samples at a time; 0 for as many as take 4 MiB.
        """
        n, n_columns = self.table.n_samples, self.table.n_filters
        n_rows = n_rows or max(1, ROWS_BYTES // (8 * n_columns))
        for start in range(0, n, n_rows):
            rows = slice(start, min(start + n_rows, n))
            yield rows, self._coordinates(rows)

    def point(self, sample: int) -> NDArray[np.float64]:
        """The coordinates of one sample, <float64>[column]."""
        return self._coordinates(slice(sample, sample + 1))[0]

    def subset(self, samples: NDArray[np.integer]) -> NDArray[np.float64]:
        """The coordinates of some samples, ascending, <float64>[sample, column]."""
        values = np.empty((len(samples), self.center.n_columns))
        for rows, points in self.points():
            first, last = np.searchsorted(samples, (rows.start, rows.stop))
            values[first:last] = points[samples[first:last] - rows.start]
        return values

    def _coordinates(self, rows: slice) -> NDArray[np.float64]:
        center = self.center
        return _coordinates(
            self.table.read(rows), center.mean, center.factor, center.is_placed[rows]
        )


def space_of(table: RowTable, scale: Scale = Scale.NONE) -> SampleSpace:
    """The samples of a table as points; the table is read once, or up to four times.

    Args:
        table: a number for each sample and column, float32.
        scale: what columns are divided by.
    """
    return SampleSpace(table, center_of(table, scale))


def center_of(table: RowTable, scale: Scale = Scale.NONE) -> Center:
    """The middle of a table, and which of its columns and samples count; see `Center`."""
    n, n_columns = table.n_samples, table.n_filters
    n_finite, total = np.zeros(n_columns, np.int64), np.zeros(n_columns)
    low, high = np.full(n_columns, np.inf), np.full(n_columns, -np.inf)
    is_placed = np.ones(n, np.bool_)
    for rows, values in _read(table):
        is_finite = np.isfinite(values)
        n_finite += np.count_nonzero(is_finite, axis=0)
        is_placed[rows] = is_finite.all(axis=1)
        total += values.sum(axis=0, dtype=np.float64)
        low, high = np.minimum(low, values.min(axis=0)), np.maximum(high, values.max(axis=0))
    is_kept = 2 * n_finite >= n
    if not (n_finite == n).all():
        total, low, high = _placed(table, is_kept, is_placed)
    n_placed = int(np.count_nonzero(is_placed))
    is_kept &= n_placed > 0
    mean = np.where(is_kept, total / max(1, n_placed), 0)
    with np.errstate(invalid="ignore"):
        reach = np.where(is_kept, np.maximum(high - mean, mean - low), 0)
    factor = is_kept.astype(np.float64)
    if scale == Scale.STD:
        squares = np.zeros(n_columns)
        for rows, values in _read(table):
            differences = _coordinates(values, mean, is_kept, is_placed[rows])
            squares[is_kept] += np.einsum("ij,ij->j", differences, differences)
        std = np.sqrt(squares / max(1, n_placed))
        varies = std > ROUNDING * np.where(is_kept, np.maximum(np.abs(low), np.abs(high)), 0)
        factor = np.divide(1, std, out=np.zeros(n_columns), where=varies)
    return Center(mean, factor, is_placed, float((reach * factor).max(initial=0)))


def _placed(
    table: RowTable, is_kept: NDArray[np.bool_], is_placed: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Sum, smallest and largest value of each kept column over the samples that have a place.

    Args:
        table: some of whose values are not finite.
        is_kept: whether a column counts, <bool>[column].
        is_placed: takes whether a sample has a place, <bool>[sample].
    """
    total = np.zeros(table.n_filters)
    low, high = np.full(table.n_filters, np.inf), np.full(table.n_filters, -np.inf)
    for rows, values in _read(table):
        is_placed[rows] = np.isfinite(values[:, is_kept]).all(axis=1)
        placed = values[is_placed[rows]]
        total += np.where(is_kept, placed, 0).sum(axis=0, dtype=np.float64)
        low = np.minimum(low, placed.min(axis=0, initial=np.inf))
        high = np.maximum(high, placed.max(axis=0, initial=-np.inf))
    return total, low, high


def _read(table: RowTable) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    n_rows = max(1, ROWS_BYTES // (8 * table.n_filters))
    for start in range(0, table.n_samples, n_rows):
        rows = slice(start, min(start + n_rows, table.n_samples))
        yield rows, table.read(rows)


def _coordinates(
    values: NDArray[np.float32],
    mean: NDArray[np.float64],
    factor: NDArray[np.float64] | NDArray[np.bool_],
    is_placed: NDArray[np.bool_],
) -> NDArray[np.float64]:
    is_kept = factor != 0
    if is_kept.all():
        points = values - mean
        points *= factor
    else:
        points = (values[:, is_kept] - mean[is_kept]) * factor[is_kept]
    if not is_placed.all():
        points[~is_placed] = 0
    return points
