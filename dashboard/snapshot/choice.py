"""What of a store is in a snapshot: layers, filters and samples, and how they were resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dashboard.stores.snapshot import Snapshot
from fmcore.export import resolve
from fmcore.selection import Query

# Samples that are taken where nobody says which.
USUAL_SAMPLES = 200


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What of a store is in a snapshot.

    Attributes:
        filters: the filters of each layer, by its path, <int64>[filter], ascending.
        samples: the samples whose maps are in it, <int64>[sample], in the order of a step.
        words: how many samples these are, and how they were chosen, a sentence.
    """

    filters: Mapping[str, NDArray[np.int64]]
    samples: NDArray[np.int64]
    words: str


def choose(snapshot: Snapshot, query: Query) -> Choice:
    """Looks up what a query chooses; without samples in it, some of each class.

    Args:
        snapshot: the store.
        query: layers, filters and samples; an empty text of samples takes `USUAL_SAMPLES`.

    Raises:
        SelectionError: if a part of the query matches nothing; `field` says which part.
        InputFileError: if a file that lists samples cannot be read.
    """
    # One index stands for all, which are not wanted: they may be millions.
    resolved = resolve(snapshot.store, replace(query, sample=query.sample or "0"))
    filters = {path: np.unique(np.asarray(resolved.filters[path])) for path in resolved.layers}
    if query.sample:
        # Twice in a list is once in a snapshot, at its first place.
        samples = np.array([*dict.fromkeys(map(int, resolved.samples))], np.int64)
        # Where a file lies is nobody else's business.
        how = "those that a file lists" if "@" in query.sample else f"those of “{query.sample}”"
    else:
        samples, how = _usual(snapshot)
    n, n_all = len(samples), snapshot.catalog.n_samples
    words = f"All {n_all:,} samples" if n == n_all else f"{n:,} of {n_all:,} samples: {how}"
    return Choice(filters, samples, f"{words}.")


def _usual(snapshot: Snapshot) -> tuple[NDArray[np.int64], str]:
    """Samples at even distances, of each class about as many; and that in words.

    A class that has fewer than its share gives all of its samples, and the others share the rest.
    """
    n_all = snapshot.catalog.n_samples
    rows = np.arange(n_all)
    if n_all <= USUAL_SAMPLES:
        return rows, ""
    if not snapshot.catalog.has_classes:
        return _even(rows, USUAL_SAMPLES), "one at every even distance by index"
    groups = [np.flatnonzero(snapshot.labels == index) for index in _by_size(snapshot)]
    parts, left = [], USUAL_SAMPLES
    for place, group in enumerate(groups):  # the smallest first
        share = min(len(group), -(-left // (len(groups) - place)))
        parts.append(_even(group, share))
        left -= share
    sizes = sorted({len(part) for part in parts})
    size = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    of = "each class" + " that has any" * (len(groups) < len(snapshot.catalog.classes))
    how = f"{size} of {of}, at even distances by index; none was picked for what it shows"
    return np.sort(np.concatenate(parts)), how


def _by_size(snapshot: Snapshot) -> list[int]:
    """The classes with samples, from the smallest to the largest."""
    sizes = snapshot.class_sizes
    return [index for index in np.argsort(sizes, kind="stable").tolist() if sizes[index]]


def _even(rows: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """`n` of the rows, at even distances, each the first of its stretch."""
    return rows[np.arange(n) * len(rows) // max(n, 1)]
