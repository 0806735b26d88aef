"""What follows from the pooled tables of a store: scores, top samples, similarities.

Computed and written at the end of a capture, or computed again from a store that is there.
"""

from __future__ import annotations

import os
from collections import OrderedDict
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

# Bytes of a table that are read at once, and of all pieces that are kept.
SLAB_BYTES = 2 << 20
KEPT_BYTES = 6 << 20


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
    tables = _Tables(writer, permutations.classes.n_samples)
    layers = [
        (Filters.of_moments(layer.moments), partial(tables.columns, index))
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
        (Filters.of(layer.statistic("min"), layer.statistic("max")), _reader(layer))
        for layer in store.layers.values()
    ]
    found: list[dict[str, NDArray[Any]]] = [{} for _ in layers]
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads, threadpool_limits(1, "blas"):
        for index, arrays in from_pooled(layers, permutations, threads):
            found[index] |= arrays
    return found


def _reader(layer: Layer) -> Callable[[str, slice], NDArray[Any]]:
    tables = {name: layer.pooled(name) for name in ("mean", "max", "max_y", "max_x")}
    return lambda name, few: tables[name][:, few]


class _Tables:
    """Pooled tables of a store that is being written, read many columns at a time."""

    def __init__(self, writer: StoreWriter, n_samples: int) -> None:
        self._writer = writer
        self._width = max(1, SLAB_BYTES // (4 * n_samples))
        self._slabs: OrderedDict[tuple[int, str, int], NDArray[Any]] = OrderedDict()

    def columns(self, index: int, name: str, few: slice) -> NDArray[Any]:
        """Some columns of a table of a layer, [sample, filter]."""
        places = range(few.start // self._width, -(-few.stop // self._width))
        whole = np.concatenate([self._slab(index, name, place) for place in places], axis=1)
        first = places.start * self._width
        return whole[:, few.start - first : few.stop - first]

    def _slab(self, index: int, name: str, place: int) -> NDArray[Any]:
        key = (index, name, place)
        if key not in self._slabs:
            while sum(slab.nbytes for slab in self._slabs.values()) > KEPT_BYTES:
                self._slabs.popitem(last=False)
            few = slice(place * self._width, (place + 1) * self._width)
            self._slabs[key] = self._writer.pooled(index, name, few)
        return self._slabs[key]
