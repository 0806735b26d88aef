"""Computes what follows from the pooled tables of a store: scores, top samples, similarities.

They are computed and written at the end of a capture, or computed again from an existing store.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fmcore.records import Target
from fmcore.statistics import (
    Filters,
    LabelGroups,
    LayerAccumulators,
    Permutations,
    compute_label_scores,
    compute_number_scores,
    compute_scores,
)
from fmcore.storage.layer import Layer
from fmcore.storage.store import Store
from fmcore.storage.writer import StoreWriter

# Bytes of a table that are in memory at once, and how often a table is read at most.
SLAB_BYTES = 2 << 20
MOST_READS = 8
# Bytes of written scores after which freed memory is given back to the system.
FREED_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, eq=False)
class ScoredTruth:
    """What scores are computed against.

    Attributes:
        permutations: permutations of the labels of the samples.
        target: the kind of the labels that are known beside the class of each sample.
        values: <bool or float32>[sample, target], labels or numbers; None for neither.
    """

    permutations: Permutations
    target: Target = Target.CLASS
    values: NDArray[Any] | None = None


def write_scores(
    writer: StoreWriter,
    accumulators: Sequence[LayerAccumulators],
    truth: ScoredTruth,
    threads: Executor,
    *,
    give_back: Callable[[], object] = lambda: None,
) -> None:
    """Computes and writes scores, top samples and similarities, once all samples are written.

    Args:
        writer: the writer of the store.
        accumulators: the accumulators of each layer.
        truth: what scores are computed against.
        threads: the threads that compute scores.
        give_back: gives freed memory back to the system; called whenever there is much of it.

    Raises:
        OSError: if the disk refuses.
    """
    layers = []
    for index, layer in enumerate(accumulators):
        filters = Filters.of_moments(layer.moments)
        shape = truth.permutations.classes.n_samples, len(filters.dead)
        layers.append((filters, _Tables(writer.layers[index].pooled_part, *shape)))
    n_freed = 0
    for index, arrays in _scores(layers, truth, threads):
        writer.layers[index].put(arrays)
        n_freed += sum(array.nbytes for array in arrays.values())
        if n_freed > FREED_BYTES:
            give_back()
            n_freed = 0


def _scores(
    layers: Sequence[tuple[Filters, _Tables]], truth: ScoredTruth, threads: Executor
) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
    """The index of a layer, and arrays by their names in the schema, until all are computed."""
    yield from compute_scores(layers, truth.permutations, threads)
    if truth.values is None:
        return
    if truth.target == Target.LABELS:
        yield from enumerate(compute_label_scores(layers, truth.values, threads))
    elif truth.target == Target.NUMBER:
        yield from enumerate(compute_number_scores(layers, truth.values, threads))


def recompute(store: Store) -> list[dict[str, NDArray[Any]]]:
    """Computes scores, top samples and similarities from a store's pooled tables and labels.

    Returns:
        For each layer the arrays, by their names in the schema; those about all layers come with
        the first.

    Raises:
        StoreError: if the store is damaged.
    """
    permutations = Permutations(LabelGroups(store.labels, len(store.class_names)))
    truth = ScoredTruth(permutations, store.target, store.truth)
    layers = [
        (
            Filters.of(*(layer.statistic(name) for name in ("min", "max", "n_nonfinite"))),
            _Tables(partial(_pooled_part, layer), store.n_samples, layer.n_filters),
        )
        for layer in store.layers.values()
    ]
    results: list[dict[str, NDArray[Any]]] = [{} for _ in layers]
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads, threadpool_limits(1, "blas"):
        for index, arrays in _scores(layers, truth, threads):
            results[index] |= arrays
    return results


def _pooled_part(layer: Layer, name: str, rows: slice, columns: slice) -> NDArray[Any]:
    return layer.pooled(name)[rows, columns]


class _Tables:
    """The pooled tables of one layer, whose chunks hold whole rows."""

    def __init__(
        self, read: Callable[[str, slice, slice], NDArray[Any]], n_rows: int, n_columns: int
    ) -> None:
        self._read, self._n_columns = read, n_columns
        # Many columns at once, so that a table is read few times: at least a slab of it.
        self._width = max(1, SLAB_BYTES // (4 * n_rows), -(-n_columns // MOST_READS))
        self._slabs: dict[str, tuple[int, NDArray[Any]]] = {}

    def rows(self, name: str, selection: slice) -> NDArray[Any]:
        """The selected rows of a table, [sample, filter]."""
        return self._read(name, selection, slice(None))

    def columns(self, name: str, selection: slice) -> NDArray[Any]:
        """The selected columns of a table, [sample, filter]; callers take them in order."""
        parts = []
        first, stop = selection.start // self._width, -(-selection.stop // self._width)
        for slab_index in range(first, stop):
            start = slab_index * self._width
            if self._slabs.get(name, (-1,))[0] != slab_index:
                slab = self._read(name, slice(None), slice(start, start + self._width))
                self._slabs[name] = slab_index, slab
            slab = self._slabs[name][1]
            parts.append(slab[:, max(0, selection.start - start) : selection.stop - start])
        if selection.stop >= self._n_columns:  # the last columns: the slab is no longer needed
            del self._slabs[name]
        return np.concatenate(parts, axis=1)
