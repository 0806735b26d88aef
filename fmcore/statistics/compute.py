"""All scores of a layer's filters from its pooled tables, in blocks of filters.

A score is computed on the pooled mean and on the pooled max, and named after each: `auc_mean`,
`auc_max`. Its chance level lies beside it: `auc_mean_chance`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from enum import IntEnum
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fmcore.records import Target
from fmcore.statistics.registry import POOLINGS, STATISTICS, Statistic
from fmcore.statistics.scores import chance, top
from fmcore.statistics.scores.block import BASES, Block, Filters, Ranks
from fmcore.statistics.scores.chance import Permutations
from fmcore.statistics.scores.labels import LabelGroups
from fmcore.statistics.scores.numbers import NumberBlock, Numbers
from fmcore.statistics.similarity import MATRIX_FILTERS, RowTable, similar_arrays

# Bytes of one block of a float64 table, of which each thread holds about ten, and of the scores of
# permuted labels that are kept for its bands.
BLOCK_BYTES = 1 << 20
ENDS_BYTES = 4 << 20
# Blocks of filters, or similarities, that wait for a thread or are being computed.
MOST_IN_FLIGHT = 4
# Pooled means and maxima of all layers up to this size are read once, and then threads compare
# them. Larger ones are read several times, which only the calling thread can do.
KEPT_BYTES = 32 << 20

Arrays = dict[str, NDArray[Any]]
T = TypeVar("T")


def _by_pooling(basis: type[Any], target: Target) -> dict[str, list[Statistic]]:
    """The statistics that are computed from a basis for a kind of labels, by pooled table."""
    return {
        pooling: [
            statistic
            for statistic in STATISTICS.values()
            if statistic.basis is basis
            and statistic.target == target
            and statistic.pooling == pooling
        ]
        for pooling in POOLINGS
    }


CLASS_SCORES = {basis: _by_pooling(basis, Target.CLASS) for basis in BASES}
LABEL_SCORES = {basis: _by_pooling(basis, Target.LABELS) for basis in BASES}
NUMBER_SCORES = _by_pooling(NumberBlock, Target.NUMBER)
SIMILARITIES = _by_pooling(RowTable, Target.CLASS)
# The axes of all arrays of one layer that follow from pooled tables and classes, by name.
AXES: dict[str, tuple[str, ...]] = {
    **{
        name: axes
        for by_pooling in CLASS_SCORES.values()
        for statistics in by_pooling.values()
        for statistic in statistics
        for name, axes in (
            (statistic.name, statistic.axes),
            (statistic.chance_name, ("bound", *statistic.axes)),
        )
    },
    **{f"undefined_{pooling}": ("filter",) for pooling in POOLINGS},
    **{
        f"top_{prefix}{column}": axes for prefix, axes in top.AXES.items() for column in top.COLUMNS
    },
}


class PooledTables(Protocol):
    """The pooled tables of a layer, read in blocks by one thread."""

    def columns(self, name: str, filters: slice) -> NDArray[Any]:
        """All samples of some filters of the table `name`, [sample, filter]."""

    def rows(self, name: str, samples: slice) -> NDArray[Any]:
        """All filters of some samples of the table `name`, [sample, filter]."""


class Defined(IntEnum):
    """Whether the scores of a filter are defined on a pooled table, and if not, why."""

    YES = 0
    DEAD = 1
    CONSTANT = 2
    NONFINITE = 3


WHY_UNDEFINED = {
    Defined.DEAD: "dead: the same activation in the whole test set",
    Defined.CONSTANT: "constant: the same pooled value for every sample",
    Defined.NONFINITE: "non-finite: a map without a single finite value, so no pooled value",
}


def score_layers(
    layers: Sequence[tuple[Filters, PooledTables]],
    permutations: Permutations,
    threads: Executor,
) -> Iterator[Arrays]:
    """Scores with their chance levels, and top samples, one layer after the other.

    Args:
        layers: for each layer, what is known about its filters, and its pooled tables.
        permutations: permutations of the samples' labels.
        threads: the threads that compute.

    Yields:
        For each layer, arrays of the classes that have samples, by the names in `AXES`: scores,
        chance levels, reasons and top samples.
    """
    in_flight: deque[tuple[int, Future[Arrays]]] = deque()
    blocks: list[dict[str, list[NDArray[Any]]]] = [{} for _ in layers]

    def collect_oldest() -> None:
        index, task = in_flight.popleft()
        for name, array in task.result().items():
            blocks[index].setdefault(name, []).append(array)

    def join_blocks(index: int) -> Arrays:
        while in_flight and in_flight[0][0] <= index:
            collect_oldest()
        layer_blocks, blocks[index] = blocks[index], {}
        return {
            name: np.concatenate(arrays, axis=AXES[name].index("filter"))
            for name, arrays in layer_blocks.items()
        }

    for index, (filters, tables) in enumerate(layers):
        for task in _tasks(filters, tables, permutations):
            in_flight.append((index, threads.submit(*task)))
            while len(in_flight) > MOST_IN_FLIGHT:
                collect_oldest()
        if index:
            yield join_blocks(index - 1)  # while the threads compute this layer
    yield join_blocks(len(layers) - 1)


def _expand_classes(name: str, array: NDArray[Any], classes: LabelGroups) -> NDArray[Any]:
    """Expands an array of the classes that have samples to all classes of the model."""
    if "class" not in AXES[name] or len(classes.present) == classes.n_classes:
        return array
    fill = np.nan if array.dtype.kind == "f" else top.NO_SAMPLE
    return classes.scatter(array, axis=AXES[name].index("class"), fill=fill)


def _tasks(
    filters: Filters, tables: PooledTables, permutations: chance.Permutations
) -> Iterator[tuple[Any, ...]]:
    """Calls of `_score_block`, a block of filters and a pooled table each."""
    n_filters = len(filters.dead)
    k = top.class_top(permutations.classes.n_classes, n_filters)
    for columns in _column_blocks(n_filters, permutations.classes):
        block = filters.part(columns)
        for pooling in POOLINGS:
            table = np.ascontiguousarray(tables.columns(pooling, columns).T)
            # The positions of the largest values, for the top samples.
            axes = "yx" if pooling == "max" else ""
            positions = {axis: tables.columns(f"max_{axis}", columns).T for axis in axes}
            yield _score_block, pooling, table, block, permutations, positions, k


def _column_blocks(n_filters: int, classes: LabelGroups) -> Iterator[slice]:
    """The filters of a layer in blocks whose bands fit in memory."""
    fitting_ends = ENDS_BYTES // (48 * chance.BOUND_RANK * len(classes.present))
    step = max(1, min(BLOCK_BYTES // (8 * classes.n_samples), fitting_ends))
    for start in range(0, n_filters, step):
        yield slice(start, start + step)


def _pooled_blocks(
    filters: Filters, tables: PooledTables, permutations: Permutations
) -> Iterator[tuple[str, NDArray[np.float32], Filters]]:
    """Blocks of each pooled table, <float32>[filter, sample], and what is known of the filters."""
    for columns in _column_blocks(len(filters.dead), permutations.classes):
        for pooling in POOLINGS:
            table = np.ascontiguousarray(tables.columns(pooling, columns).T)
            yield pooling, table, filters.part(columns)


def _score_block(
    pooling: str,
    table: NDArray[np.float32],
    filters: Filters,
    permutations: Permutations,
    positions: dict[str, NDArray[np.int32]],
    k: int,
) -> Arrays:
    """The scores of a block of filters by name, for the classes that have samples.

    Args:
        pooling: which pooled table.
        table: <float32>[filter, sample], the values of the table.
        filters: what is known about these filters.
        permutations: permutations of the samples' labels.
        positions: the row `y` and the column `x` of the largest value, <int32>[filter, sample], for
            the top samples; empty for no top samples.
        k: the number of top samples kept for each class.
    """
    values, undefined = _finite_values(table, filters)
    arrays: Arrays = {f"undefined_{pooling}": undefined}
    block = Block.of(values, filters, permutations)
    for basis in BASES:  # one after the other: each takes much memory
        shared = basis.of(block)
        for statistic in CLASS_SCORES[basis][pooling]:
            score, band = statistic.compute(shared)
            if "class" in statistic.axes:
                score, band = score.swapaxes(-1, -2), band.swapaxes(-1, -2)
            arrays |= _with_band(statistic, score, band, undefined)
        if isinstance(shared, Ranks) and positions:
            arrays |= top.top_arrays(shared.ranking, block.classes, table, positions, k)
    return arrays


def _finite_values(
    table: NDArray[np.float32], filters: Filters
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Pooled values in which those that are not finite sort last, and whether scores are defined.

    Args:
        table: <float32>[filter, sample].
        filters: what is known about these filters.

    Returns:
        <float32>[filter, sample], and codes of `Defined`, <uint8>[filter].
    """
    finite = np.isfinite(table)
    values = np.where(finite, table, np.finfo(np.float32).min)
    undefined = np.select(
        [~finite.all(axis=1), filters.dead, values.max(axis=1) == values.min(axis=1)],
        [np.uint8(Defined.NONFINITE), np.uint8(Defined.DEAD), np.uint8(Defined.CONSTANT)],
        np.uint8(Defined.YES),
    )
    return values, undefined


def _with_band(
    statistic: Statistic,
    score: NDArray[np.float64],
    band: NDArray[np.float64],
    undefined: NDArray[np.uint8],
) -> Arrays:
    """A score and its band by their names, both NaN where the score is undefined."""
    score[..., undefined > 0] = np.nan
    band[:, np.isnan(score)] = np.nan
    return {statistic.name: score, statistic.chance_name: band}


def compute_label_scores(
    layers: Sequence[tuple[Filters, PooledTables]],
    labels: NDArray[np.bool_],
    threads: Executor,
) -> list[Arrays]:
    """The scores of each of several labels: the samples that have it against all others.

    Args:
        layers: for each layer, what is known about its filters, and its pooled tables.
        labels: <bool>[sample, label], whether the sample has the label.
        threads: the threads that compute.

    Returns:
        For each layer, scores as <float64>[target, filter], and their bands as
        <float64>[bound, target, filter], by name.
    """
    by_label: list[list[Arrays]] = [[] for _ in layers]
    for column in labels.T:  # permutations of one label at a time are in memory
        permutations = Permutations(LabelGroups(column.astype(np.int64), 2))
        if len(permutations.classes.present) == 2:
            permutations.prepare()
        for index, (filters, tables) in enumerate(layers):
            tasks = [
                threads.submit(_score_label, pooling, table, block, permutations)
                for pooling, table, block in _pooled_blocks(filters, tables, permutations)
            ]
            by_label[index].append(_join([task.result() for task in tasks]))
    return [_stack(arrays) for arrays in by_label]


def _score_label(
    pooling: str, table: NDArray[np.float32], filters: Filters, permutations: Permutations
) -> Arrays:
    """The scores of one label for a block of filters, <float64>[filter], and their bands."""
    values, undefined = _finite_values(table, filters)
    several = len(permutations.classes.present) > 1
    block = Block.of(values, filters, permutations) if several else None
    arrays: Arrays = {}
    for basis in BASES:
        shared = None if block is None else basis.of(block)
        for statistic in LABEL_SCORES[basis][pooling]:
            if shared is None:
                score = np.full(len(values), np.nan)
                band = np.full((2, len(values)), np.nan)
            else:
                both, bands = statistic.compute(shared)
                score, band = both[:, 1].copy(), bands[..., 1].copy()
            arrays |= _with_band(statistic, score, band, undefined)
    return arrays


def compute_number_scores(
    layers: Sequence[tuple[Filters, PooledTables]],
    numbers: NDArray[np.floating],
    threads: Executor,
) -> list[Arrays]:
    """How pooled values go with numbers of the samples.

    Args:
        layers: for each layer, what is known about its filters, and its pooled tables.
        numbers: <float>[sample, number], all finite.
        threads: the threads that compute.

    Returns:
        For each layer, scores as <float64>[target, filter], and their bands as
        <float64>[bound, target, filter], by name.
    """
    shared = Numbers(numbers.astype(np.float64))
    shared.prepare()
    classes = Permutations(LabelGroups(np.zeros(len(numbers), np.int64), 1))

    def score(pooling: str, table: NDArray[np.float32], filters: Filters) -> Arrays:
        values, undefined = _finite_values(table, filters)
        block = NumberBlock(values, shared, filters.first)
        arrays: Arrays = {}
        for statistic in NUMBER_SCORES[pooling]:
            value, band = statistic.compute(block)
            arrays |= _with_band(statistic, value, band, undefined)
        return arrays

    results = []
    for filters, tables in layers:
        tasks = [
            threads.submit(score, *block) for block in _pooled_blocks(filters, tables, classes)
        ]
        results.append(_join([task.result() for task in tasks]))
    return results


def _join(blocks: Sequence[Arrays]) -> Arrays:
    """Arrays […, filter] of blocks of filters, joined by name; a block has those of one pooling."""
    names = dict.fromkeys(name for block in blocks for name in block)
    return {
        name: np.concatenate([block[name] for block in blocks if name in block], axis=-1)
        for name in names
    }


def _stack(by_target: Sequence[Arrays]) -> Arrays:
    """Scores [filter] and bands [bound, filter] of each target, as [target, filter] and so on."""
    return {name: np.stack([part[name] for part in by_target], axis=-2) for name in by_target[0]}


def compute_scores(
    layers: Sequence[tuple[Filters, PooledTables]], permutations: Permutations, threads: Executor
) -> Iterator[tuple[int, Arrays]]:
    """Scores, chance levels, top samples, and the similarity of filters and of layers.

    Args:
        layers: for each layer, what is known about its filters, and its pooled tables.
        permutations: permutations of the samples' labels.
        threads: the threads that compute.

    Yields:
        The index of a layer, and arrays by the names in `AXES`. Arrays about all layers come with
        the index 0.
    """
    permutations.prepare()  # before several threads use them
    n_samples = permutations.classes.n_samples
    n_filters = sum(len(filters.dead) for filters, _ in layers)
    is_kept = len(POOLINGS) * 4 * n_samples * n_filters <= KEPT_BYTES
    if is_kept:
        layers = [(filters, _KeptTables(tables, n_samples)) for filters, tables in layers]
    for index, arrays in enumerate(score_layers(layers, permutations, threads)):
        for name in list(arrays):  # one at a time: those of all classes may take a lot of memory
            yield index, {name: _expand_classes(name, arrays.pop(name), permutations.classes)}
    calls = _similarities(layers, n_samples)
    for results in _results(calls, threads) if is_kept else (call() for call in calls):
        yield from results


class _KeptTables:
    """The pooled tables of a layer, of which means and maxima are read once."""

    def __init__(self, tables: PooledTables, n_samples: int) -> None:
        self._tables, self._samples = tables, slice(0, n_samples)
        self._kept: dict[str, NDArray[Any]] = {}

    def columns(self, name: str, filters: slice) -> NDArray[Any]:
        """All samples of some filters of the table `name`, [sample, filter]."""
        if name in POOLINGS:
            return self.rows(name, self._samples)[:, filters]
        return self._tables.columns(name, filters)

    def rows(self, name: str, samples: slice) -> NDArray[Any]:
        """All filters of some samples of the table `name`, [sample, filter]."""
        if name not in self._kept:
            self._kept[name] = self._tables.rows(name, self._samples)
        return self._kept[name][samples]


def _similarities(
    layers: Sequence[tuple[Filters, PooledTables]], n_samples: int
) -> Iterator[Callable[[], list[tuple[int, Arrays]]]]:
    """Calls that compute how similar filters and layers are, and return what `compute_scores` does.

    They may run side by side where all of the tables can be read from any thread.
    """

    def across_layers(statistic: Statistic, tables: list[RowTable]) -> list[tuple[int, Arrays]]:
        value = statistic.compute(tables)
        if "layer" in statistic.axes:
            return [(0, {statistic.name: value})]
        return [
            (index, {statistic.name: array})
            for index, array in enumerate(value)
            if array is not None
        ]

    def similar_filters(index: int, table: RowTable) -> list[tuple[int, Arrays]]:
        return [(index, similar_arrays(table))]

    for pooling in POOLINGS:
        by_layer = [
            RowTable(n_samples, len(filters.dead), partial(tables.rows, pooling))
            for filters, tables in layers
        ]
        for statistic in SIMILARITIES[pooling]:
            yield partial(across_layers, statistic, by_layer)
        if pooling == POOLINGS[0]:
            for index, table in enumerate(by_layer):
                if table.n_filters > MATRIX_FILTERS:
                    yield partial(similar_filters, index, table)


def _results(calls: Iterable[Callable[[], T]], threads: Executor) -> Iterator[T]:
    """The results of calls in their order, of which threads compute some ahead."""
    in_flight: deque[Future[T]] = deque()
    for call in calls:
        in_flight.append(threads.submit(call))
        if len(in_flight) > MOST_IN_FLIGHT:
            yield in_flight.popleft().result()
    while in_flight:
        yield in_flight.popleft().result()
