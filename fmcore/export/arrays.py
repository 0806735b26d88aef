"""Arrays of what a query means, in blocks, a few of them read ahead of the writer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import MapsNotStoredError
from fmcore.export.contents import ArraySource, Group, Precision
from fmcore.export.resolve import ResolvedQuery
from fmcore.export.statistics_table import chosen_statistics, statistics_table
from fmcore.export.tables import maps_table, pooled_names, pooled_table, samples_table
from fmcore.selection import Picks
from fmcore.storage import Layer, Store, StoredArray

AHEAD = 3  # blocks that are read while one is written


@dataclass(frozen=True, slots=True)
class Pace:
    """How an array is read.

    Attributes:
        readers: threads that read ahead; none where many arrays are read at the same time.
        block_bytes: of the blocks, about.
    """

    readers: int = 2
    block_bytes: int = 8 << 20


QUICKLY = Pace()


def export_groups(
    store: Store, chosen: ResolvedQuery, *, safe_names: Mapping[str, str]
) -> Iterator[Group]:
    """What was chosen, by layer, and at the end the samples.

    Args:
        store: where it is.
        chosen: what it is.
        safe_names: of each chosen layer, its name in files.
    """
    beside = list(sample_arrays(store, chosen.samples))
    if chosen.query.what == "statistics":
        for name in chosen.layers:
            arrays = list(_statistics(store, chosen, store.layers[name], safe_names[name]))
            yield Group(f"layers/{safe_names[name]}", arrays, [], {})
        similar = list(_similarities(store, chosen))
        yield Group("similarity", similar, [], {"statistics": statistics_table(store, chosen)})
        return
    for name in chosen.layers:
        layer, path = store.layers[name], f"layers/{safe_names[name]}"
        if chosen.query.what == "pooled":
            pooled = list(pooled_arrays(layer, chosen, path))
            tables = {f"{path}.pooled": pooled_table(store, layer, chosen)}
            yield Group(path, pooled, beside, tables)
        elif layer.has_maps:
            maps = maps_array(layer, chosen, path)
            yield Group(path, [maps], beside, {f"{path}.maps": maps_table(layer, chosen)})
    yield Group("samples", [], beside, {"samples": samples_table(beside)})


def skipped(store: Store, chosen: ResolvedQuery) -> dict[str, str]:
    """Layers without maps that maps were asked of, each with the reason.

    Raises:
        MapsNotStoredError: if none of them has maps.
    """
    if chosen.query.what != "maps":
        return {}
    without = {
        name: f"captured with policy {store.layers[name].policy}: no maps"
        for name in chosen.layers
        if not store.layers[name].has_maps
    }
    if len(without) == len(chosen.layers):
        raise MapsNotStoredError(
            f"{store.path.name} keeps no maps of {', '.join(without)}: captured with the policy "
            "pooled, tables and statistics only; choose what=pooled or what=statistics"
        )
    return without


def maps_array(
    layer: Layer, chosen: ResolvedQuery, path: str, *, pace: Pace = QUICKLY
) -> ArraySource:
    """The maps of a layer, [sample, y, x, filter].

    Args:
        layer: of the store.
        chosen: which samples and filters of it, and the dtype.
        path: of the layer, as it will be told.
        pace: how they are read.
    """
    array = layer.activation
    picks = (chosen.samples, *map(range, array.shape[1:3]), chosen.filters[layer.path])
    return _reading(f"{path}/activation", array, picks, chosen.query.dtype, pace)


def pooled_arrays(
    layer: Layer, chosen: ResolvedQuery, path: str, *, pace: Pace = QUICKLY
) -> Iterator[ArraySource]:
    """The pooled tables of a layer that were chosen, each [sample, filter]; see `maps_array`."""
    for name in pooled_names(layer, chosen):
        array = layer.pooled_array(name)
        picks = (chosen.samples, chosen.filters[layer.path])
        yield _reading(f"{path}/pooled/{name}", array, picks, chosen.query.dtype, pace)


def sample_arrays(store: Store, samples: Picks) -> Iterator[ArraySource]:
    """Index, id, label and prediction of samples, each [sample]; without what nobody knows."""
    rows = np.asarray(samples, dtype=np.int64)
    classes = {name: one[rows] for name, one in store.classes_of_samples().items()}
    for name, array in {"index": rows, "id": np.array(store.ids)[rows], **classes}.items():
        yield whole(f"samples/{name}", ("sample",), array)


def whole(path: str, axes: tuple[str, ...], array: NDArray[Any]) -> ArraySource:
    """An array that is small enough to be held."""
    return ArraySource(path, axes, array.shape, array.dtype, lambda: iter([array]))


def _statistics(
    store: Store, chosen: ResolvedQuery, layer: Layer, safe: str
) -> Iterator[ArraySource]:
    """Read only when they are written: of a thousand classes they do not all fit in memory."""
    picks = {
        "class": range(len(store.class_names)) if chosen.classes is None else chosen.classes,
        "filter": chosen.filters[layer.path],
        "other_filter": chosen.filters[layer.path],
        "bound": range(2),
    }

    def of(path: str, axes: tuple[str, ...], dtype: str, read: Callable[[], Any]) -> ArraySource:
        places = [np.asarray(picks[axis]) for axis in axes]

        def blocks() -> Iterator[NDArray[Any]]:
            yield np.ascontiguousarray(np.asarray(read())[np.ix_(*places)])

        return ArraySource(path, axes, tuple(map(len, places)), np.dtype(dtype), blocks)

    for one in chosen_statistics(chosen.query.statistic or None):
        if "layer" in one.axes or not layer.has(one):
            continue
        path = f"layers/{safe}/{one.path}"
        yield of(path, one.axes, one.dtype, partial(layer.statistic, one.name))
        if one.chance:
            axes = ("bound", *one.axes)
            yield of(f"{path}_chance", axes, "float64", partial(layer.chance, one.name))


def _similarities(store: Store, chosen: ResolvedQuery) -> Iterator[ArraySource]:
    paths = list(store.layers)
    places = np.array([paths.index(name) for name in chosen.layers])
    for one in chosen_statistics(chosen.query.statistic or None):
        if "layer" in one.axes and one.name in store.similarities:
            array = store.similarity(one.name)
            yield whole(one.path, one.axes, array[np.ix_(*[places] * array.ndim)])


def _reading(
    path: str, array: StoredArray, picks: tuple[Picks, ...], dtype: str, pace: Pace
) -> ArraySource:
    shape = tuple(map(len, picks))
    step = max(1, pace.block_bytes // max(1, array.dtype.itemsize * int(np.prod(shape[1:]))))
    precision = Precision(dtype if array.dtype.kind == "f" else "float32")

    def read(start: int) -> NDArray[Any]:
        return array.outer((picks[0][start : start + step], *picks[1:]), threads=1)

    def blocks() -> Iterator[NDArray[Any]]:
        precision.begin()
        tasks = [partial(read, start) for start in range(0, shape[0], step)]
        return map(precision.of, _ahead(tasks, pace.readers))

    out = precision.dtype if array.dtype.kind == "f" else array.dtype
    return ArraySource(path, array.axes, shape, out, blocks, precision.notes)


def _ahead(tasks: Sequence[partial[NDArray[Any]]], readers: int) -> Iterator[NDArray[Any]]:
    """What tasks give, in their order; a few are done while what came before is used."""
    if readers < 1 or len(tasks) < 2:
        yield from (task() for task in tasks)
        return
    waiting: deque[Future[NDArray[Any]]] = deque()
    with ThreadPoolExecutor(readers, thread_name_prefix="fmcore-read") as threads:
        try:
            for task in tasks:
                waiting.append(threads.submit(task))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()
