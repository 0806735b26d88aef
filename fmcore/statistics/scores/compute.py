"""All scores of a layer's filters from its pooled tables, in blocks of filters.

A score is computed on the pooled mean and on the pooled max, and named after each: `auc_mean`,
`auc_max`. Its chance level lies beside it: `auc_mean_chance`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.scores import chance, per_class, per_filter, top
from fmcore.statistics.scores.chance import Permutations
from fmcore.statistics.scores.labels import LabelGroups
from fmcore.statistics.scores.ranking import Ranking
from fmcore.statistics.similarity import similarity
from fmcore.statistics.streaming.moments import Moments

# The pooled tables that scores are computed on.
POOLINGS = ("mean", "max")
# Bytes of one block of a float64 table, and of the sums over permuted classes: each thread holds
# about ten of them.
BLOCK_BYTES = 1 << 20
SUMS_BYTES = 32 << 20
# Blocks of filters that wait for a thread or are being computed.
MOST_IN_FLIGHT = 4

Arrays = dict[str, NDArray[Any]]


# By name: a score, <float64>[class, filter] or [filter], and its band, <float64>[bound, …].
Scores = dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]


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


@dataclass(frozen=True, slots=True, eq=False)
class Filters:
    """What scores need to know about the filters of a layer beyond the pooled tables.

    Attributes:
        dead: <bool>[filter], whether no activation is above zero.
        non_negative: <bool>[filter], whether no activation is below zero.
    """

    dead: NDArray[np.bool_]
    non_negative: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        low: NDArray[np.float64],
        high: NDArray[np.float64],
        n_nonfinite: NDArray[np.int64],
    ) -> Filters:
        """From the range of the finite activations, and the number of others.

        Args:
            low: <float64>[class, filter], the smallest finite activation; NaN where there is none.
            high: <float64>[class, filter], the largest finite activation; NaN where there is none.
            n_nonfinite: <int64>[class, filter], the number of NaN and infinite activations.
        """
        with np.errstate(invalid="ignore"):
            dead = ~np.any(high > 0, axis=0) & ~np.any(n_nonfinite > 0, axis=0)
            return cls(dead, ~np.any(low < 0, axis=0))

    @classmethod
    def of_moments(cls, moments: Moments) -> Filters:
        """From the moments of a capture."""
        return cls.of(moments.min, moments.max, moments.n_nonfinite)


def score_layers(
    layers: Sequence[tuple[Filters, PooledTables]],
    permutations: chance.Permutations,
    threads: Executor,
) -> Iterator[Arrays]:
    """Scores with their chance levels, and top samples, one layer after the other.

    Args:
        layers: for each layer, what is known about its filters, and its pooled tables.
        permutations: permutations of the samples' labels.
        threads: the threads that compute.

    Yields:
        For each layer, arrays by path in its group: scores under `class/`,
        <float64>[class, filter], and under `filters/`, <float64>[filter]; chance levels with a
        leading axis (low, high); `top/` as [filter, k], [class, filter, k] and [band, filter, k].
    """
    in_flight: deque[tuple[int, Future[Arrays]]] = deque()
    blocks: list[dict[str, list[NDArray[Any]]]] = [{} for _ in layers]

    def collect_oldest() -> None:
        index, task = in_flight.popleft()
        for path, array in task.result().items():
            blocks[index].setdefault(path, []).append(array)

    def join_blocks(index: int) -> Arrays:
        while in_flight and in_flight[0][0] <= index:
            collect_oldest()
        layer_blocks, blocks[index] = blocks[index], {}
        return {
            path: _expand_classes(
                path,
                np.concatenate(arrays, axis=-2 if path.startswith("top/") else -1),
                permutations.classes,
            )
            for path, arrays in layer_blocks.items()
        }

    for index, (filters, tables) in enumerate(layers):
        for task in _tasks(filters, tables, permutations):
            in_flight.append((index, threads.submit(*task)))
            while len(in_flight) > MOST_IN_FLIGHT:
                collect_oldest()
        if index:
            yield join_blocks(index - 1)  # while the threads compute this layer
    yield join_blocks(len(layers) - 1)


def _expand_classes(path: str, array: NDArray[Any], classes: LabelGroups) -> NDArray[Any]:
    """Expands an array of the classes that have samples to all classes of the model."""
    axis = -3 if path.startswith("top/class_") else -2 if path.startswith("class/") else None
    if axis is None or len(classes.present) == classes.n_classes:
        return array
    fill = np.nan if array.dtype.kind == "f" else top.NO_SAMPLE
    return classes.scatter(array, axis=axis, fill=fill)


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
    permutations: chance.Permutations,
    positions: dict[str, NDArray[np.int32]],
    k: int,
) -> Arrays:
    """The scores of a block of filters by path, for the classes that have samples.

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
    scores = _sum_scores(values, filters, permutations)
    ranking = Ranking.of(values, permutations.classes)
    scores |= _rank_scores(ranking, permutations)
    arrays: Arrays = {f"filters/undefined_{pooling}": undefined}
    for name, (score, band) in scores.items():
        score[..., undefined > 0] = np.nan
        band[:, np.isnan(score)] = np.nan
        kind = "class" if score.ndim == 2 else "filters"
        arrays[f"{kind}/{name}_{pooling}"] = score
        arrays[f"{kind}/{name}_{pooling}_chance"] = band
    if positions:
        arrays |= top.top_arrays(ranking, permutations.classes, table, positions, k)
    return arrays


def _rank_scores(ranking: Ranking, permutations: chance.Permutations) -> Scores:
    """The scores that depend on the order of the samples only."""
    classes = permutations.classes
    ap_band = chance.permutation_band(per_class.permuted_average_precision(permutations, ranking))
    return {
        "auc": _class_first(per_class.roc_auc(classes, ranking), chance.auc_band(classes, ranking)),
        "ap": _class_first(per_class.average_precision(classes, ranking), ap_band),
        "mi": per_filter.mutual_information(permutations, ranking),
    }


def _sum_scores(
    table: NDArray[np.float32], filters: Filters, permutations: chance.Permutations
) -> Scores:
    """The scores that are made of sums of values and of their squares over each class."""
    classes, n = permutations.classes, permutations.classes.n_samples
    values = table.astype(np.float64)
    mean = values.mean(axis=1)
    values -= mean[:, np.newaxis]
    values -= values.mean(axis=1, keepdims=True)  # removes what rounding left
    squares = values**2
    total = squares.sum(axis=1)
    sums, square_sums = (classes.sums(array[:, classes.order]) for array in (values, squares))
    # In units of the standard deviation: d' and the class selectivity index do not depend on scale.
    scale = np.where(total > 0, np.sqrt(total / n), 1)
    scaled = np.concatenate([values / scale[:, np.newaxis], squares / scale[:, np.newaxis] ** 2])
    permuted = permutations.sums(np.ascontiguousarray(scaled.T, dtype=np.float32))
    permuted_sums, permuted_squares = np.split(permuted.swapaxes(1, 2), 2, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        eta2, ratio = per_filter.variance_ratio(classes, sums, total)
        f_band = chance.f_band(len(classes.present), n)
        share = f_band * (len(classes.present) - 1)
        eta_band = share / (share + n - len(classes.present))
        csi, permuted_csi = (
            per_filter.class_selectivity((mean / unit)[:, np.newaxis] + totals / classes.sizes)
            for totals, unit in ((sums, 1.0), (permuted_sums, scale))
        )
    csi[~filters.non_negative] = np.nan

    def for_all_filters(band: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.repeat(band[:, np.newaxis], len(mean), axis=1)

    return {
        "dprime": _class_first(
            per_class.d_prime(classes, sums, square_sums, total),
            chance.permutation_band(
                per_class.d_prime(
                    classes,
                    permuted_sums,
                    permuted_squares,
                    np.where(total > 0, float(n), 0),
                    rounding=chance.PERMUTED_ROUNDING,
                )
            ),
        ),
        "eta2": (eta2, for_all_filters(eta_band)),
        "f": (ratio, for_all_filters(f_band)),
        "csi": (csi, chance.permutation_band(permuted_csi)),
    }


def _class_first(
    score: NDArray[np.float64], band: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Transposes a score and its band from [..., filter, present] to [..., present, filter]."""
    return score.swapaxes(-1, -2), band.swapaxes(-1, -2)


def compute_scores(
    layers: Sequence[tuple[Filters, PooledTables]], permutations: Permutations, threads: Executor
) -> Iterator[tuple[int, Arrays]]:
    """Scores, chance levels, top samples, and the similarity of filters and of layers.

    Args:
        layers: for each layer, what is known about its filters, and its pooled tables.
        permutations: permutations of the samples' labels.
        threads: the threads that compute.

    Yields:
        The index of a layer, and arrays by path in its group. Arrays under `similarity/` are about
        all layers, and come with the index 0.
    """
    permutations.prepare()  # before several threads use them
    yield from enumerate(score_layers(layers, permutations, threads))
    for pooling in POOLINGS:
        readers = [(len(filters.dead), partial(tables.rows, pooling)) for filters, tables in layers]
        result = similarity(readers, permutations.classes.n_samples)
        for index, correlation in enumerate(result.correlation):
            yield index, {f"filters/correlation_{pooling}": correlation}
        yield (
            0,
            {
                f"similarity/cka_{pooling}": result.cka,
                f"similarity/effective_rank_{pooling}": result.effective_rank,
            },
        )
