"""In which order the heatmap shows classes and filters, and what of it is within chance; pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The best order of leaves takes 0.4 s for 1,000 rows, and grows with their square.
MOST_ORDERED = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Arrangement:
    """An order of a heatmap.

    Attributes:
        classes: <int>[row], the class that each row shows.
        filters: <int>[column], the filter that each column shows.
        words: how they are ordered, a sentence.
    """

    classes: NDArray[np.intp]
    filters: NDArray[np.intp]
    words: str

    def cell(self, place: tuple[int, int] | None) -> tuple[int, int] | None:
        """The (class, filter) at a (row, column); None for none, or outside."""
        if place is None:
            return None
        row, column = place
        if not (0 <= row < len(self.classes) and 0 <= column < len(self.filters)):
            return None
        return int(self.classes[row]), int(self.filters[column])


def arranged(
    values: NDArray[np.generic], how: str, *, class_index: int | None, class_name: str = ""
) -> Arrangement:
    """The order of a statistic's heatmap.

    Args:
        values: [class, filter].
        how: one of `ARRANGEMENTS`.
        class_index: the selected class, or None.
        class_name: its name.
    """
    known = finite(values)
    classes, filters = (np.arange(size) for size in known.shape)
    alone = len(classes) == 1  # one row has no order
    what = "Filters" if alone else "Classes and filters"
    if how == "value":
        if class_index is None:
            over = "their value" if alone else "their largest value over classes"
            by, words = np.fmax.reduce(known), over
        else:
            by, words = known[class_index], f"their value for class {class_name}"
        order = by_value(by)
        rest = "" if alone else "; classes by index"
        return Arrangement(classes, order, f"Filters by {words}, largest first{rest}.")
    if how == "cluster":
        return Arrangement(
            by_similarity(known),
            by_similarity(known.T),
            f"{what} with similar values side by side (average linkage of Euclidean distances, "
            "optimal leaf order).",
        )
    return Arrangement(classes, filters, f"{what} by index.")


def by_value(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices of <float64>[n] from the largest value to the smallest; ties by index, NaN last."""
    return np.argsort(-values, kind="stable")  # numpy sorts NaN last


def by_similarity(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """The order of the rows of a table in which neighbours are alike, <int>[row].

    A missing value counts as the mean of its column; rows without any value come last, by index.

    Args:
        values: <float64>[row, column], NaN where there is none.
    """
    there = np.isfinite(values)
    some = np.flatnonzero(there.any(axis=1))
    if len(some) < 3:  # whatever the order, neighbours are the same
        return np.concatenate([some, np.setdiff1d(np.arange(len(values)), some)])
    # Only here, because it takes 0.2 s and would make every start of the server wait.
    from scipy.cluster.hierarchy import leaves_list, linkage

    columns = there.any(axis=0)
    table, known = values[np.ix_(some, columns)], there[np.ix_(some, columns)]
    means = np.where(known, table, 0).sum(axis=0) / known.sum(axis=0)
    filled = np.where(known, table, means)
    tree = linkage(filled, method="average", optimal_ordering=len(some) <= MOST_ORDERED)
    rest = np.setdiff1d(np.arange(len(values)), some)
    return np.concatenate([some[leaves_list(tree)], rest])


def finite(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Values as <float64>, NaN where they are not finite."""
    wide = values.astype(np.float64)
    return np.where(np.isfinite(wide), wide, np.nan)


def chance_words(values: NDArray[np.generic], within: NDArray[np.bool_], level: str) -> str:
    """How many cells of a heatmap are gray, and how many have no value.

    Args:
        values: [class, filter].
        within: <bool>[class, filter].
        level: how the chance level is found; empty where there is none.
    """
    n_known = int(np.isfinite(values.astype(np.float64)).sum())
    if not n_known:
        return f"None of {values.size:,} cells has a value."
    empty = values.size - n_known
    missing = f"{empty:,} of {values.size:,} cells have no value and stay empty." if empty else ""
    if not level:
        return missing or f"All {n_known:,} cells have a value; this statistic has no chance level."
    inside = f"{int(within.sum()):,} of {n_known:,} cells are within chance (95%)."
    return f"{inside} {missing}".strip()
