"""All scores of a layer's filters from its pooled tables, some filters at a time.

A score is computed on the pooled mean and on the pooled max, and has the name of both:
`auc_mean`, `auc_max`. Beside each lies its chance level, `auc_mean_chance`.
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

# What a filter's scores are taken of.
POOLINGS = ("mean", "max")
# Bytes of one table of float64 at a time, and of the sums of permuted labels: about ten such are
# alive in each thread.
BLOCK_BYTES = 1 << 20
SUMS_BYTES = 32 << 20
# Blocks of filters that wait for a thread or are in one.
MOST_IN_FLIGHT = 4

Arrays = dict[str, NDArray[Any]]


# A score, <float64>[class, filter] or [filter], and its band, <float64>[bound, …].
Scores = dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]


class PooledTables(Protocol):
    """The pooled tables of a layer, read in pieces by one thread."""

    def columns(self, name: str, few: slice) -> NDArray[Any]:
        """Some columns of a table, [sample, filter]."""

    def rows(self, name: str, few: slice) -> NDArray[Any]:
        """Some rows of a table, [sample, filter]."""


class Defined(IntEnum):
    """Whether a filter has scores on a pooled table, and why not."""

    YES = 0
    DEAD = 1
    CONSTANT = 2
    NONFINITE = 3


WHY_UNDEFINED = {
    Defined.DEAD: "dead: no activation above zero in the whole test set",
    Defined.CONSTANT: "the same for every sample",
    Defined.NONFINITE: "NaN or infinite for a sample",
}


@dataclass(frozen=True, slots=True, eq=False)
class Filters:
    """What scores must know of a layer's filters beyond the tables.

    Attributes:
        dead: <bool>[filter], no activation is above zero.
        non_negative: <bool>[filter], no activation is below zero.
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
        """From the smallest and largest finite activations, and how many are not finite.

        Args:
            low: <float64>[class, filter], NaN where there is none.
            high: <float64>[class, filter].
            n_nonfinite: <int64>[class, filter].
        """
        with np.errstate(invalid="ignore"):
            silent = ~np.any(high > 0, axis=0) & ~np.any(n_nonfinite > 0, axis=0)
            return cls(silent, ~np.any(low < 0, axis=0))

    @classmethod
    def of_moments(cls, moments: Moments) -> Filters:
        """From the moments of a capture."""
        return cls.of(moments.min, moments.max, moments.n_nonfinite)


def score_layers(
    layers: Sequence[tuple[Filters, PooledTables]],
    permutations: chance.Permutations,
    threads: Executor,
) -> Iterator[Arrays]:
    """Every score of the filters of some layers with its chance, and their top samples, by layer.

    Args:
        layers: of each, what the capture knows of its filters, and its pooled tables.
        permutations: of the labels of the samples.
        threads: where scores are computed.

    Yields:
        For each layer in turn, by path in its group: scores of `class/`, <float64>[class, filter],
        and of `filters/`, <float64>[filter]; chance levels with an axis (low, high) before these;
        `top/` as [filter, k], [class, filter, k] and [band, filter, k].
    """
    in_flight: deque[tuple[int, Future[Arrays]]] = deque()
    found: list[dict[str, list[NDArray[Any]]]] = [{} for _ in layers]

    def land() -> None:
        index, task = in_flight.popleft()
        for path, array in task.result().items():
            found[index].setdefault(path, []).append(array)

    def joined(index: int) -> Arrays:
        while in_flight and in_flight[0][0] <= index:
            land()
        parts_of, found[index] = found[index], {}
        return {
            path: _of_all_classes(
                path,
                np.concatenate(parts, axis=-2 if path.startswith("top/") else -1),
                permutations.classes,
            )
            for path, parts in parts_of.items()
        }

    for index, (filters, tables) in enumerate(layers):
        for task in _tasks(filters, tables, permutations):
            in_flight.append((index, threads.submit(*task)))
            while len(in_flight) > MOST_IN_FLIGHT:
                land()
        if index:
            yield joined(index - 1)  # while the threads are at work on this one
    yield joined(len(layers) - 1)


def _of_all_classes(path: str, array: NDArray[Any], classes: LabelGroups) -> NDArray[Any]:
    """What is of the classes that are present, as of all: of a thousand a few may have samples."""
    axis = -3 if path.startswith("top/class_") else -2 if path.startswith("class/") else None
    if axis is None or len(classes.present) == classes.n_classes:
        return array
    nothing = np.nan if array.dtype.kind == "f" else top.NOBODY
    return classes.scatter(array, axis=axis, nothing=nothing)


def _tasks(
    filters: Filters, tables: PooledTables, permutations: chance.Permutations
) -> Iterator[tuple[Any, ...]]:
    """Calls of `_scored`, a few filters of a layer each."""
    classes, n_filters = permutations.classes, len(filters.dead)
    by_sums = SUMS_BYTES // (16 * chance.PERMUTATIONS * len(classes.present))
    step = max(1, min(BLOCK_BYTES // (8 * classes.n_samples), by_sums))
    most = top.class_top(classes.n_classes, n_filters)
    for start in range(0, n_filters, step):
        few = slice(start, start + step)
        some = Filters(filters.dead[few], filters.non_negative[few])
        for pooling in POOLINGS:
            table = np.ascontiguousarray(tables.columns(pooling, few).T)
            # Where the largest values lie, for the top samples.
            axes = "yx" if pooling == "max" else ""
            places = {axis: tables.columns(f"max_{axis}", few).T for axis in axes}
            yield _scored, pooling, table, some, permutations, places, most


def _scored(
    pooling: str,
    table: NDArray[np.float32],
    filters: Filters,
    permutations: chance.Permutations,
    places: dict[str, NDArray[np.int32]],
    most: int,
) -> Arrays:
    """The scores of some filters, <float32>[filter, sample]; with places, the top samples too.

    Of the classes that are present.
    """
    finite = np.isfinite(table)
    known = np.where(finite, table, np.finfo(np.float32).min)  # the last in every order
    undefined = np.select(
        [~finite.all(axis=1), filters.dead, known.max(axis=1) == known.min(axis=1)],
        [np.uint8(Defined.NONFINITE), np.uint8(Defined.DEAD), np.uint8(Defined.CONSTANT)],
        np.uint8(Defined.YES),
    )
    scores = _of_sums(known, filters, permutations)
    ranking = Ranking.of(known, permutations.classes)
    scores |= _of_ranks(ranking, permutations)
    named: Arrays = {f"filters/undefined_{pooling}": undefined}
    for name, (score, band) in scores.items():
        score[..., undefined > 0] = np.nan
        band[:, np.isnan(score)] = np.nan
        kind = "class" if score.ndim == 2 else "filters"
        named[f"{kind}/{name}_{pooling}"] = score
        named[f"{kind}/{name}_{pooling}_chance"] = band
    if places:
        named |= top.top_arrays(ranking, permutations.classes, table, places, most)
    return named


def _of_ranks(ranking: Ranking, permutations: chance.Permutations) -> Scores:
    classes = permutations.classes
    by_chance = per_class.average_precision_of_permuted(permutations, ranking)
    return {
        "auc": _by_class(per_class.roc_auc(classes, ranking), chance.auc_band(classes, ranking)),
        "ap": _by_class(per_class.average_precision(classes, ranking), chance.band_of(by_chance)),
        "mi": per_filter.mutual_information(permutations, ranking),
    }


def _of_sums(
    table: NDArray[np.float32], filters: Filters, permutations: chance.Permutations
) -> Scores:
    classes, n = permutations.classes, permutations.classes.n_samples
    values = table.astype(np.float64)
    mean = values.mean(axis=1)
    values -= mean[:, np.newaxis]
    values -= values.mean(axis=1, keepdims=True)  # what rounding left
    squares = values**2
    total = squares.sum(axis=1)
    sums, of_squares = (classes.sums(each[:, classes.order]) for each in (values, squares))
    # In units of their spread, which d' and the index do not depend on.
    scale = np.where(total > 0, np.sqrt(total / n), 1)
    scaled = np.concatenate([values / scale[:, np.newaxis], squares / scale[:, np.newaxis] ** 2])
    permuted = permutations.sums(np.ascontiguousarray(scaled.T, dtype=np.float32))
    dealt, dealt_squares = np.split(permuted.swapaxes(1, 2), 2, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        eta2, ratio = per_filter.variance_ratio(classes, sums, total)
        f_band = chance.f_band(len(classes.present), n)
        share = f_band * (len(classes.present) - 1)
        eta_band = share / (share + n - len(classes.present))
        csi, csi_dealt = (
            per_filter.class_selectivity((mean / unit)[:, np.newaxis] + each / classes.sizes)
            for each, unit in ((sums, 1.0), (dealt, scale))
        )
    csi[~filters.non_negative] = np.nan

    def same(band: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.repeat(band[:, np.newaxis], len(mean), axis=1)

    return {
        "dprime": _by_class(
            per_class.d_prime(classes, sums, of_squares, total),
            chance.band_of(
                per_class.d_prime(
                    classes,
                    dealt,
                    dealt_squares,
                    np.where(total > 0, float(n), 0),
                    rounding=chance.PERMUTED_ROUNDING,
                )
            ),
        ),
        "eta2": (eta2, same(eta_band)),
        "f": (ratio, same(f_band)),
        "csi": (csi, chance.band_of(csi_dealt)),
    }


def _by_class(
    score: NDArray[np.float64], band: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[..., filter, present] as [..., present, filter]."""
    return score.swapaxes(-1, -2), band.swapaxes(-1, -2)


def compute_scores(
    layers: Sequence[tuple[Filters, PooledTables]], permutations: Permutations, threads: Executor
) -> Iterator[tuple[int, Arrays]]:
    """Scores, chance levels, top samples, and how alike filters and layers are.

    Args:
        layers: of each, what the capture knows of its filters, and its pooled tables.
        permutations: of the labels of the samples.
        threads: where scores are computed.

    Yields:
        The index of a layer, and arrays by path in its group; those of `similarity/` are of all
        layers, and come with the first.
    """
    permutations.prepare()  # not by several threads at once
    yield from enumerate(score_layers(layers, permutations, threads))
    for pooling in POOLINGS:
        tables = [(len(filters.dead), partial(each.rows, pooling)) for filters, each in layers]
        found = similarity(tables, permutations.classes.n_samples)
        for index, correlation in enumerate(found.correlation):
            yield index, {f"filters/correlation_{pooling}": correlation}
        yield (
            0,
            {
                f"similarity/cka_{pooling}": found.cka,
                f"similarity/effective_rank_{pooling}": found.effective_rank,
            },
        )
