"""Arrays that a query chooses, in blocks; a few blocks are read ahead of the writer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore import files
from fmcore.errors import MapsNotStoredError
from fmcore.export.contents import ArraySource, Group, Precision
from fmcore.export.costs import ChosenCosts
from fmcore.export.resolve import ResolvedQuery
from fmcore.export.statistics_table import chosen_statistics, statistics_table
from fmcore.export.tables import maps_table, pooled_names, pooled_table, samples_table
from fmcore.selection import Picks
from fmcore.statistics import Statistic
from fmcore.storage import (
    ARRAYS,
    SAMPLES,
    Layer,
    Store,
    StoredArray,
    array_path,
    layer_path,
    statistic_path,
)

AHEAD = 3  # blocks that are read while one is written


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast an array is read.

    Attributes:
        readers: threads that read ahead; 0 where many arrays are read at the same time.
        block_bytes: bytes of a block, about.
    """

    readers: int = 2
    block_bytes: int = 8 << 20


DEFAULT_PACE = Pace()


def export_groups(
    store: Store, resolved: ResolvedQuery, costs: ChosenCosts, *, safe_names: Mapping[str, str]
) -> Iterator[Group]:
    """The groups of an export: one for each layer, and at the end the samples.

    Args:
        store: the store to export.
        resolved: layers, filters, samples and classes to export.
        costs: what `chosen_costs` gives, beside statistics.
        safe_names: the name of each layer in files, by its path.
    """
    samples = list(sample_arrays(store, resolved.samples))
    if resolved.query.what == "statistics":
        statistics = chosen_statistics(store, resolved.query.statistic, costs)
        for name in resolved.layers:
            layer, safe = store.layers[name], safe_names[name]
            arrays = list(_statistic_arrays(store, resolved, layer, safe, statistics, costs))
            yield Group(layer_path(safe), arrays, [], {})
        similarities = list(_similarity_arrays(store, resolved, statistics))
        tables = {"statistics": statistics_table(store, resolved, costs=costs)}
        yield Group("similarity", similarities, [], tables)
        return
    for name in resolved.layers:
        layer, path = store.layers[name], layer_path(safe_names[name])
        if resolved.query.what == "pooled":
            pooled = list(pooled_arrays(layer, resolved, path))
            tables = {f"{path}.pooled": pooled_table(store, layer, resolved)}
            yield Group(path, pooled, samples, tables)
        elif layer.has_maps:
            maps = maps_array(layer, resolved, path)
            yield Group(path, [maps], samples, {f"{path}.maps": maps_table(layer, resolved)})
    yield Group(SAMPLES, [], samples, {SAMPLES: samples_table(samples)})


def skipped(store: Store, resolved: ResolvedQuery) -> dict[str, str]:
    """Layers whose maps are chosen but not stored, each with the reason.

    Raises:
        MapsNotStoredError: if none of the chosen layers has maps.
    """
    if resolved.query.what != "maps":
        return {}
    mapless = {
        name: f"captured with policy {store.layers[name].policy}: no maps"
        for name in resolved.layers
        if not store.layers[name].has_maps
    }
    if len(mapless) == len(resolved.layers):
        raise MapsNotStoredError(
            f"{store.path.name} keeps no maps of {', '.join(mapless)}: captured with the policy "
            "pooled, tables and statistics only; choose what=pooled or what=statistics"
        )
    return mapless


def maps_array(
    layer: Layer, resolved: ResolvedQuery, path: str, *, pace: Pace = DEFAULT_PACE
) -> ArraySource:
    """The maps of a layer, [sample, y, x, filter].

    Args:
        layer: the layer to read.
        resolved: samples and filters to read, and the dtype.
        path: the layer's path in the export.
        pace: how fast the array is read.
    """
    array = layer.activation
    picks = (resolved.samples, *map(range, array.shape[1:3]), resolved.filters[layer.path])
    return _array_source(f"{path}/activation", array, picks, resolved.query.dtype, pace)


def pooled_arrays(
    layer: Layer, resolved: ResolvedQuery, path: str, *, pace: Pace = DEFAULT_PACE
) -> Iterator[ArraySource]:
    """The chosen pooled tables of a layer, each [sample, filter]; arguments as of `maps_array`."""
    for name in pooled_names(layer, resolved):
        array = layer.pooled(name)
        picks = (resolved.samples, resolved.filters[layer.path])
        yield _array_source(f"{path}/pooled/{name}", array, picks, resolved.query.dtype, pace)


def sample_arrays(store: Store, samples: Picks) -> Iterator[ArraySource]:
    """Index, id, label and prediction of samples, each [sample]; labels or predictions if known."""
    rows = np.asarray(samples, dtype=np.int64)
    classes = {name: column[rows] for name, column in store.classes_of_samples().items()}
    numbers = {name: column[rows] for name, column in store.numbers_of_samples().items()}
    columns = {"index": rows, "id": np.array(store.ids)[rows], **classes, **numbers}
    for kind, values in (("true", store.truth), ("predicted", store.answers)):
        if values is not None:
            names = files.safe_names(list(store.target_names))
            columns |= {f"{kind}_{name}": values[rows, at] for at, name in enumerate(names)}
    for name, array in columns.items():
        yield array_in_memory(f"{SAMPLES}/{name}", ("sample",), array)


def array_in_memory(path: str, axes: tuple[str, ...], array: NDArray[Any]) -> ArraySource:
    """An array that is small enough to be held in memory."""
    return ArraySource(path, axes, array.shape, array.dtype, lambda: iter([array]))


def _statistic_arrays(
    store: Store,
    resolved: ResolvedQuery,
    layer: Layer,
    safe: str,
    statistics: Sequence[Statistic],
    costs: ChosenCosts,
) -> Iterator[ArraySource]:
    """A layer's statistics, then its costs, read when they are written.

    With many classes they outgrow memory.
    """
    picks = {
        "class": range(len(store.class_names)) if resolved.classes is None else resolved.classes,
        "filter": resolved.filters[layer.path],
        "other_filter": resolved.filters[layer.path],
        "target": range(len(store.target_names)),
        "bound": range(2),
    }

    def source(
        path: str, axes: tuple[str, ...], dtype: str, read: Callable[[], Any]
    ) -> ArraySource:
        indices = [np.asarray(picks[axis]) for axis in axes]

        def blocks() -> Iterator[NDArray[Any]]:
            yield np.ascontiguousarray(np.asarray(read())[np.ix_(*indices)])

        return ArraySource(path, axes, tuple(map(len, indices)), np.dtype(dtype), blocks)

    for statistic in statistics:
        if "layer" in statistic.axes or not layer.has(statistic):
            continue
        yield source(
            statistic_path(statistic, safe),
            statistic.axes,
            statistic.dtype,
            partial(layer.statistic, statistic.name),
        )
        if statistic.chance:
            chance = ARRAYS[statistic.chance_name]
            yield source(
                array_path(chance.name, safe),
                chance.axes,
                chance.dtypes[0],
                partial(layer.chance, statistic.name),
            )
    for path, axes, dtype, read in costs.arrays(layer.path):
        yield source(f"{layer_path(safe)}/{path}", axes, dtype, read)


def _similarity_arrays(
    store: Store, resolved: ResolvedQuery, statistics: Sequence[Statistic]
) -> Iterator[ArraySource]:
    paths = list(store.layers)
    indices = np.array([paths.index(name) for name in resolved.layers])
    for statistic in statistics:
        if "layer" in statistic.axes and statistic.name in store.similarities:
            array = store.similarity(statistic.name)
            array = array[np.ix_(*[indices] * array.ndim)]
            yield array_in_memory(array_path(statistic.name), statistic.axes, array)


def _array_source(
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
        return map(precision.convert, _read_ahead(tasks, pace.readers))

    out_dtype = precision.dtype if array.dtype.kind == "f" else array.dtype
    return ArraySource(path, array.axes, shape, out_dtype, blocks, precision.notes)


def _read_ahead(tasks: Sequence[partial[NDArray[Any]]], readers: int) -> Iterator[NDArray[Any]]:
    """Results of tasks, in their order; a few tasks run while an earlier result is used."""
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
            for future in waiting:
                future.cancel()
