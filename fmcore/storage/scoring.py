"""What follows from the pooled tables of a store: scores, top samples, similarities.

Computed and written at the end of a capture, or computed again from a store that is there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fmcore.statistics import Filters, LabelGroups, LayerAccumulators, Permutations, compute_scores
from fmcore.storage.store import Store
from fmcore.storage.writer import StoreWriter

# Bytes of a table that are kept at once, and how often a table is read at most.
SLAB_BYTES = 2 << 20
MOST_READS = 8


def write_scores(
    writer: StoreWriter,
    sums: Sequence[LayerAccumulators],
    permutations: Permutations,
    threads: Executor,
) -> None:
    """Computes and writes them, once all samples of a store are written.

    Args:
        writer: of the store.
        sums: the accumulators of each layer.
        permutations: of the labels of its samples.
        threads: where scores are computed.

    Raises:
        OSError: if the disk refuses.
    """
    layers = []
    for index, layer in enumerate(sums):
        filters = Filters.of_moments(layer.moments)
        shape = permutations.classes.n_samples, len(filters.dead)
        layers.append((filters, _Tables(partial(writer.pooled_part, index), *shape)))
    for index, arrays in compute_scores(layers, permutations, threads):
        writer.put(index, arrays)


def recompute(store: Store) -> list[dict[str, NDArray[Any]]]:
    """The same of a store, from its pooled tables and labels, by path in each layer's group.

    Raises:
        StoreError: if it is damaged.
    """
    permutations = Permutations(LabelGroups(store.labels, len(store.class_names)))
    layers = [
        (
            Filters.of(*(layer.statistic(name) for name in ("min", "max", "n_nonfinite"))),
            _Tables(layer.pooled_part, store.n_samples, layer.n_filters),
        )
        for layer in store.layers.values()
    ]
    found: list[dict[str, NDArray[Any]]] = [{} for _ in layers]
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads, threadpool_limits(1, "blas"):
        for index, arrays in compute_scores(layers, permutations, threads):
            found[index] |= arrays
    return found


class _Tables:
    """The pooled tables of one layer, whose chunks hold whole rows."""

    def __init__(
        self, read: Callable[[str, slice, slice], NDArray[Any]], n_rows: int, n_columns: int
    ) -> None:
        """Reads by name, rows and columns."""
        self._read, self._n_columns = read, n_columns
        # Many columns at once: a table is read a few times only, and at least a slab of it.
        self._width = max(1, SLAB_BYTES // (4 * n_rows), -(-n_columns // MOST_READS))
        self._slabs: dict[str, tuple[int, NDArray[Any]]] = {}

    def rows(self, name: str, few: slice) -> NDArray[Any]:
        """Some rows of a table, [sample, filter]."""
        return self._read(name, few, slice(None))

    def columns(self, name: str, few: slice) -> NDArray[Any]:
        """Some columns of a table, [sample, filter]."""
        parts = []
        for place in range(few.start // self._width, -(-few.stop // self._width)):
            start = place * self._width
            if self._slabs.get(name, (-1,))[0] != place:
                slab = self._read(name, slice(None), slice(start, start + self._width))
                self._slabs[name] = place, slab
            slab = self._slabs[name][1]
            parts.append(slab[:, max(0, few.start - start) : few.stop - start])
        if few.stop >= self._n_columns:  # the last ones, of columns that are read in order
            del self._slabs[name]
        return np.concatenate(parts, axis=1)
