"""Writes what follows from the pooled tables of a store: scores, top samples, similarities."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics import POOLINGS, Filters, LayerSums, Permutations, score_layers, similarity
from fmcore.storage.writer import StoreWriter

# Bytes of a table that are read at once, and how many such pieces are kept: those of one layer.
SLAB_BYTES = 64 << 20
SLABS = 4


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
    permutations.prepare()  # not by several threads at once
    tables = _Tables(writer, permutations.classes.n_samples)
    scored = score_layers(
        [
            (Filters.of_moments(layer.moments), partial(tables.columns, index))
            for index, layer in enumerate(sums)
        ],
        permutations,
        threads,
    )
    for index, arrays in enumerate(scored):
        writer.put(index, arrays)
    for pooling in POOLINGS:
        found = similarity(
            [
                (layer.moments.mean.shape[1], partial(tables.columns, index, pooling))
                for index, layer in enumerate(sums)
            ],
            permutations.classes.n_samples,
        )
        for index, correlation in enumerate(found.correlation):
            writer.put(index, {f"filters/correlation_{pooling}": correlation})
        between = {f"similarity/cka_{pooling}": found.cka}
        between[f"similarity/effective_rank_{pooling}"] = found.effective_rank
        writer.put(0, between)


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
            while len(self._slabs) >= SLABS:
                self._slabs.popitem(last=False)
            few = slice(place * self._width, (place + 1) * self._width)
            self._slabs[key] = self._writer.pooled(index, name, few)
        return self._slabs[key]
