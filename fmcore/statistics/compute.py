"""All scores of a layer's filters from its pooled tables, in blocks of filters.

A score is computed on the pooled mean and on the pooled max, and named after each: `auc_mean`,
`auc_max`. Its chance level lies beside it: `auc_mean_chance`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from enum import IntEnum
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.registry import POOLINGS, STATISTICS
from fmcore.statistics.scores import chance, top
from fmcore.statistics.scores.block import BASES, Block, Filters, Ranks
from fmcore.statistics.scores.chance import Permutations
from fmcore.statistics.scores.labels import LabelGroups
from fmcore.statistics.similarity import Covariances

# Bytes of one block of a float64 table, and of the sums over permuted classes: each thread holds
# about ten of them.
BLOCK_BYTES = 1 << 20
SUMS_BYTES = 32 << 20
# Blocks of filters that wait for a thread or are being computed.
MOST_IN_FLIGHT = 4

Arrays = dict[str, NDArray[Any]]

# Those that are computed from each basis and pooled table.
SCORES = {
    (basis, pooling): [
        statistic
        for statistic in STATISTICS.values()
        if statistic.basis is basis and statistic.pooling == pooling
    ]
    for basis in BASES
    for pooling in POOLINGS
}
SIMILARITIES = {
    pooling: [
        statistic
        for statistic in STATISTICS.values()
        if statistic.basis is Covariances and statistic.pooling == pooling
    ]
    for pooling in POOLINGS
}
# The axes of all arrays of one layer that are computed here, by name.
AXES: dict[str, tuple[str, ...]] = {
    **{
        name: axes
        for statistics in SCORES.values()
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
    Defined.DEAD: "dead: no activation above zero in the whole test set",
    Defined.CONSTANT: "constant: the same pooled value for every sample",
    Defined.NONFINITE: "non-finite: a pooled value that is NaN or infinite",
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
        For each layer, arrays by the names in `AXES`: scores, chance levels, reasons and top
        samples.
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
            name: _expand_classes(
                name, np.concatenate(arrays, axis=AXES[name].index("filter")), permutations.classes
            )
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
    classes, n_filters = permutations.classes, len(filters.dead)
    fitting_sums = SUMS_BYTES // (16 * chance.PERMUTATIONS * len(classes.present))
    step = max(1, min(BLOCK_BYTES // (8 * classes.n_samples), fitting_sums))
    k = top.class_top(classes.n_classes, n_filters)
    for start in range(0, n_filters, step):
        columns = slice(start, start + step)
        block = Filters(filters.dead[columns], filters.non_negative[columns])
        for pooling in POOLINGS:
            table = np.ascontiguousarray(tables.columns(pooling, columns).T)
            # The positions of the largest values, for the top samples.
            axes = "yx" if pooling == "max" else ""
            positions = {axis: tables.columns(f"max_{axis}", columns).T for axis in axes}
            yield _score_block, pooling, table, block, permutations, positions, k


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
    finite = np.isfinite(table)
    values = np.where(finite, table, np.finfo(np.float32).min)  # non-finite ones sort last
    undefined = np.select(
        [~finite.all(axis=1), filters.dead, values.max(axis=1) == values.min(axis=1)],
        [np.uint8(Defined.NONFINITE), np.uint8(Defined.DEAD), np.uint8(Defined.CONSTANT)],
        np.uint8(Defined.YES),
    )
    arrays: Arrays = {f"undefined_{pooling}": undefined}
    block = Block(values, filters, permutations)
    for basis in BASES:  # one after the other: each takes much memory
        shared = basis.of(block)
        for statistic in SCORES[basis, pooling]:
            score, band = statistic.compute(shared)
            if "class" in statistic.axes:
                score, band = score.swapaxes(-1, -2), band.swapaxes(-1, -2)
            score[..., undefined > 0] = np.nan
            band[:, np.isnan(score)] = np.nan
            arrays[statistic.name], arrays[statistic.chance_name] = score, band
        if isinstance(shared, Ranks) and positions:
            arrays |= top.top_arrays(shared.ranking, block.classes, table, positions, k)
    return arrays


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
    yield from enumerate(score_layers(layers, permutations, threads))
    for pooling in POOLINGS:
        readers = [(len(filters.dead), partial(tables.rows, pooling)) for filters, tables in layers]
        covariances = Covariances.of(readers, permutations.classes.n_samples)
        for statistic in SIMILARITIES[pooling]:
            if "layer" in statistic.axes:
                yield 0, {statistic.name: statistic.compute(covariances)}
                continue
            for index, array in enumerate(statistic.compute(covariances)):
                yield index, {statistic.name: array}
