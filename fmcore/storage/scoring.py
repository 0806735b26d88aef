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

from fmcore.statistics import Classes, Filters, LayerSums, Permutations, from_pooled
from fmcore.storage.layer import Layer
from fmcore.storage.reader import Store
from fmcore.storage.writer import StoreWriter

# Bytes of a table that are kept at once, and how often a table is read at most.
SLAB_BYTES = 2 << 20
MOST_READS = 8


def write_scores(
    writer: StoreWriter,
    sums: Sequence[LayerSums],
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
    layers = [
        (Filters.of_moments(layer.moments), _BeingWritten(writer, index))
        for index, layer in enumerate(sums)
    ]
    for index, arrays in from_pooled(layers, permutations, threads):
        writer.put(index, arrays)


def recompute(store: Store) -> list[dict[str, NDArray[Any]]]:
    """The same of a store, from its pooled tables and labels, by path in each layer's group.

    Raises:
        StoreError: if it is damaged.
    """
    permutations = Permutations(Classes(store.labels, len(store.class_names)))
    layers = [
        (
            Filters.of(*(layer.statistic(name) for name in ("min", "max", "n_nonfinite"))),
            _Stored(layer),
        )
        for layer in store.layers.values()
    ]
    found: list[dict[str, NDArray[Any]]] = [{} for _ in layers]
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads, threadpool_limits(1, "blas"):
        for index, arrays in from_pooled(layers, permutations, threads):
            found[index] |= arrays
    return found


class _Slabs:
    """Columns of a table, many of them read at once: its chunks hold whole rows."""

    def __init__(self, read: Callable[[str, slice], NDArray[Any]], n_rows: int, n: int) -> None:
        self._read, self._n_columns = read, n
        # So many that the table is read a few times only, and at least a slab.
        self._width = max(1, SLAB_BYTES // (4 * n_rows), -(-n // MOST_READS))
        self._slabs: dict[str, tuple[int, NDArray[Any]]] = {}

    def columns(self, name: str, few: slice) -> NDArray[Any]:
        """Some columns of a table, [sample, filter]."""
        parts = []
        for place in range(few.start // self._width, -(-few.stop // self._width)):
            start = place * self._width
            if self._slabs.get(name, (-1,))[0] != place:
                self._slabs[name] = place, self._read(name, slice(start, start + self._width))
            slab = self._slabs[name][1]
            parts.append(slab[:, max(0, few.start - start) : few.stop - start])
        if few.stop >= self._n_columns:  # the last ones, of columns that are read in order
            del self._slabs[name]
        return np.concatenate(parts, axis=1)


class _BeingWritten(_Slabs):
    """The pooled tables of one layer of a store that is being written."""

    def __init__(self, writer: StoreWriter, index: int) -> None:
        self.rows = partial(writer.pooled_rows, index)
        super().__init__(partial(writer.pooled_columns, index), *writer.pooled_shape(index))


class _Stored(_Slabs):
    """Those of one layer of a store."""

    def __init__(self, layer: Layer) -> None:
        self.rows = layer.pooled_rows
        table = layer.pooled
        super().__init__(lambda name, few: table(name)[:, few], *layer.pooled_shape)
