"""Statistics of a store as a tidy table: one value per row, with chance level and n."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.export.contents import TEXT, Coded, Column, Table, Tables
from fmcore.export.costs import COST_AXES, ChosenCosts, without_costs
from fmcore.export.resolve import ResolvedQuery
from fmcore.export.table_kinds import table_kind
from fmcore.records import Target
from fmcore.selection import match_names
from fmcore.statistics import (
    NO_SAMPLES,
    NOT_FINITE,
    STATISTICS,
    WHY_UNDEFINED,
    Defined,
    Statistic,
)
from fmcore.storage import Layer, Store, recompute

# `target` is one of several labels or numbers; `other` is the second filter of a correlation, the
# second layer of a CKA; `reason` says why there is no value.
COLUMNS = {
    "layer": TEXT,
    "filter": "int64",
    "class": TEXT,
    "target": TEXT,
    "other": TEXT,
    "statistic": TEXT,
    "pooling": TEXT,
    "value": "float64",
    "chance_low": "float64",
    "chance_high": "float64",
    "n": "int64",
    "reason": TEXT,
}
# Rows that are in memory at once, about.
PIECE_ROWS = 1 << 15
_NOT_DEFINED = "not defined for these values"
# What `fmcore stats --force` replaces.
TABLE_KIND = table_kind("a table of statistics", COLUMNS)


def chosen_statistics(store: Store, pattern: str, costs: ChosenCosts | None) -> list[Statistic]:
    """The statistics that match a comma-separated list of globs, such as `auc*,mean`.

    A name without its pooling matches every pooling: `auc` is `auc_mean,auc_max`. Without a
    pattern, all but those with a row for each pair of filters and, in a store without classes,
    those that say how filters tell classes.

    Args:
        store: the store.
        pattern: the globs.
        costs: what `chosen_costs` gives for the globs of costs, which are left out here; None
            where there may be none.

    Raises:
        SelectionError: if a glob matches nothing.
    """
    globs = pattern if costs is None else without_costs(pattern)
    if pattern and not globs:
        return []
    if not globs:
        return [
            statistic
            for statistic in STATISTICS.values()
            if "other_filter" not in statistic.axes
            and (store.has_classes or not statistic.tells_classes)
        ]
    names = dict.fromkeys(
        name for statistic in STATISTICS.values() for name in (statistic.name, statistic.family)
    )
    matches = set(match_names(list(names), globs, what="statistic", field="statistic"))
    return [
        statistic
        for statistic in STATISTICS.values()
        if matches & {statistic.name, statistic.family}
    ]


class Values:
    """Statistics of a store, as stored, or computed again from the pooled tables."""

    def __init__(self, store: Store, *, again: bool) -> None:
        self.store, self.class_sizes = store, store.class_sizes
        self._recomputed = recompute(store) if again else [{} for _ in store.layers]
        self._quantiles: tuple[str, dict[str, NDArray[Any]]] = "", {}  # of the latest layer

    def has(self, layer: str, statistic: Statistic) -> bool:
        """Whether a layer has a statistic, or the store has it of layers."""
        if "layer" in statistic.axes:
            return (
                statistic.name in self._recomputed[0] or statistic.name in self.store.similarities
            )
        stored_layer = self.store.layers[layer]
        return statistic.name in self._recomputed[stored_layer.index] or stored_layer.has(statistic)

    def value(self, layer: str, statistic: Statistic) -> NDArray[Any]:
        """A statistic of a layer's filters, or of the store's layers.

        Raises:
            StatisticNotFoundError: if the store does not have it, with the reason.
        """
        if "layer" in statistic.axes:
            array = self._recomputed[0].get(statistic.name)
            return self.store.similarity(statistic.name) if array is None else array
        if statistic.level is not None and self.store.layers[layer].has(statistic):
            if self._quantiles[0] != layer:
                self._quantiles = layer, self.store.layers[layer].quantiles()
            return self._quantiles[1][statistic.name]
        return self._read(layer, statistic.name, lambda stored: stored.statistic(statistic.name))

    def chance(self, layer: str, statistic: Statistic) -> NDArray[np.float64] | None:
        """A statistic's chance level, [bound, …]; None where it has none."""
        if not statistic.chance:
            return None
        return self._read(
            layer,
            statistic.chance_name,
            lambda stored: stored.chance(statistic.name),
        )

    def undefined(self, layer: str, pooling: str) -> NDArray[np.uint8]:
        """Why filters have no scores, <uint8>[filter], codes of `Defined`."""
        return self._read(layer, f"undefined_{pooling}", lambda stored: stored.undefined(pooling))

    def _read(self, layer: str, name: str, read: Callable[[Layer], Any]) -> Any:
        stored_layer = self.store.layers[layer]
        array = self._recomputed[stored_layer.index].get(name)
        return read(stored_layer) if array is None else array


def statistics_table(
    store: Store,
    resolved: ResolvedQuery,
    *,
    again: bool = False,
    costs: ChosenCosts | None = None,
) -> Tables:
    """Statistics of a store as a table, in pieces of some rows of a statistic of a layer.

    Args:
        store: the store to read.
        resolved: layers, filters and classes of the rows, and by `query.statistic` the statistics;
            all but correlations where that is empty.
        again: compute what follows from the pooled tables again, stored or not.
        costs: what `chosen_costs` gives, for rows after the statistics of each layer; no rows
            of costs where left out.

    Raises:
        SelectionError: if a glob matches nothing.
        StatisticNotFoundError: if the store lacks a statistic that is named, with the reason.
    """
    names, pattern = list(resolved.layers), resolved.query.statistic
    statistics = chosen_statistics(store, pattern, costs)
    from_pooled = any(statistic.origin == "pooled" for statistic in statistics)
    values = Values(store, again=again and from_pooled)
    # A statistic that is named must be stored, one that a glob matches may be missing; this is
    # checked before the first row.
    named = {part.strip() for part in pattern.split(",")}
    owners = {}
    n_rows = 0
    for statistic in statistics:
        candidates = ["*"] if "layer" in statistic.axes else names
        owners[statistic.name] = [name for name in candidates if values.has(name, statistic)]
        missing = [name for name in candidates if name not in owners[statistic.name]]
        if missing and named & {statistic.name, statistic.family}:
            values.value(missing[0], statistic)  # raises with the reason
        for name in owners[statistic.name]:
            n_rows += _n_rows(store, resolved, statistic.axes, name)
    beside = costs or ChosenCosts()
    for name in names:
        for axes in COST_AXES:
            n_rows += len(beside.of_layer(name)) * _n_rows(store, resolved, axes, name)

    def pieces() -> Iterator[Table]:
        for statistic in statistics:
            if "layer" in statistic.axes and owners[statistic.name]:
                yield _layers_table(values, statistic, names)
        for name in names:
            for statistic in statistics:
                if "layer" not in statistic.axes and name in owners[statistic.name]:
                    yield from _filters_tables(store, resolved, _numbers(values, name, statistic))
            for numbers in _costs(beside, name):
                yield from _filters_tables(store, resolved, numbers)

    return Tables(COLUMNS, pieces, n_rows, nan_is_missing=True)


def _n_rows(store: Store, resolved: ResolvedQuery, axes: tuple[str, ...], layer: str) -> int:
    n_classes = len(store.class_names) if resolved.classes is None else len(resolved.classes)
    n_filters = len(resolved.filters.get(layer, ()))
    sizes = {"class": n_classes, "filter": n_filters, "other_filter": n_filters}
    sizes["target"] = len(store.target_names)
    return math.prod(sizes.get(axis, len(resolved.layers)) for axis in axes)


def _picks(
    store: Store, resolved: ResolvedQuery, axes: tuple[str, ...], layer: str
) -> list[NDArray[np.integer]]:
    """The chosen indices of each axis, in the order of the query."""
    filters = np.asarray(resolved.filters[layer])
    n_classes, n_targets = len(store.class_names), len(store.target_names)
    classes = np.arange(n_classes) if resolved.classes is None else np.array(resolved.classes)
    indices = {"class": classes, "target": np.arange(n_targets)}
    return [indices.get(axis, filters) for axis in axes]


def _layers_table(values: Values, statistic: Statistic, names: Sequence[str]) -> Table:
    store, paths = values.store, list(values.store.layers)
    indices = [paths.index(name) for name in names]
    array = values.value(names[0], statistic)
    places = np.arange(len(names))
    if len(statistic.axes) == 1:
        array, varying = array[indices], {"layer": Coded(names, places)}
    else:
        array = array[np.ix_(indices, indices)].reshape(-1)
        pairs = np.repeat(places, len(names)), np.tile(places, len(names))
        varying = {"layer": Coded(names, pairs[0]), "other": Coded(names, pairs[1])}
    reason = Coded([None, _NOT_DEFINED], (~np.isfinite(array)).astype(np.uint8))
    name, n = statistic.family, store.n_samples
    return _table(name, statistic.pooling, array, {**varying, "reason": reason}, n=n)


@dataclass(frozen=True, slots=True, eq=False)
class _Numbers:
    """A statistic or a cost of a layer's filters.

    Attributes:
        layer: the layer's path.
        name: its name in the column `statistic`.
        axes: the names of its axes.
        values: <number>[…, filter].
        reasons: why values are missing.
        n: the number of samples.
        class_sizes: <int64>[class], samples of each class.
        pooling: the pooled table that it is computed from; empty for none.
        chance: <float64>[bound, …], its chance level; None where it has none.
    """

    layer: str
    name: str
    axes: tuple[str, ...]
    values: NDArray[Any]
    reasons: Reasons
    n: int
    class_sizes: NDArray[np.int64]
    pooling: str = ""
    chance: NDArray[np.float64] | None = None


def _numbers(values: Values, layer: str, statistic: Statistic) -> _Numbers:
    array = values.value(layer, statistic)
    return _Numbers(
        layer,
        statistic.family,
        statistic.axes,
        array,
        _reasons(values, layer, statistic, array),
        values.store.n_samples,
        values.class_sizes,
        statistic.pooling,
        values.chance(layer, statistic),
    )


def _costs(costs: ChosenCosts, layer: str) -> Iterator[_Numbers]:
    """The costs of a layer's filters, each over all samples and then in each class."""
    for cost in costs.of_layer(layer):
        sizes = costs.ablations[cost.by].n
        total = int(sizes.sum())
        for axes in COST_AXES:
            array = costs.values(layer, cost, axes)
            reasons = Reasons(~np.isfinite(array))
            n = sizes[:, np.newaxis] if "class" in axes else np.array([total])
            if cost.end:
                reasons.set(n == 1, "an interval needs two samples")
            reasons.set(n == 0, f"{NO_SAMPLES} of this class were measured")
            yield _Numbers(layer, cost.name, axes, array, reasons, total, sizes)


def _filters_tables(store: Store, resolved: ResolvedQuery, numbers: _Numbers) -> Iterator[Table]:
    """The rows of a layer's filters, some of the first axis at a time."""
    axes, array, band = numbers.axes, numbers.values, numbers.chance
    picks = _picks(store, resolved, axes, numbers.layer)
    mesh = np.ix_(*picks)
    if array.dtype == np.float32:
        array = array.astype(np.float64)
    array, codes = (np.atleast_2d(values_of[mesh]) for values_of in (array, numbers.reasons.codes))
    if band is not None:
        band = np.stack([bound[mesh] for bound in band]).reshape(2, *array.shape)
    n_columns = array.shape[1]
    step = max(1, PIECE_ROWS // max(1, n_columns))
    for start in range(0, len(array), step):
        rows = slice(start, start + step)
        part = array[rows].reshape(-1)
        outer = np.repeat(np.arange(len(array[rows])), n_columns)
        inner = np.tile(np.arange(n_columns), len(array[rows]))
        varying: dict[str, Column] = {"filter": Coded(picks[-1].tolist(), inner)}
        n: Any = numbers.n
        first = picks[0][rows].tolist()
        if axes == ("filter", "other_filter"):
            varying = {
                "filter": Coded(first, outer),
                "other": Coded(list(map(str, picks[1])), inner),
            }
        elif axes[0] == "class":
            varying["class"] = Coded([store.class_names[index] for index in first], outer)
            n = Coded(numbers.class_sizes[first].tolist(), outer)
        elif axes[0] == "target":
            varying["target"] = Coded([store.target_names[index] for index in first], outer)
        if band is not None:
            low, high = (bound[rows].reshape(-1) for bound in band)
            varying |= {"chance_low": low, "chance_high": high}
        if codes[rows].any():
            varying["reason"] = Coded(numbers.reasons.words, codes[rows].reshape(-1))
        yield _table(numbers.name, numbers.pooling, part, varying, layer=numbers.layer, n=n)


@dataclass(slots=True, eq=False)
class Reasons:
    """Why values of a statistic are missing.

    Attributes:
        missing: <bool>[…], which are.
        words: the reasons; the first is None, for a value that is not missing.
        codes: <uint8>[…], the index of the reason of each value.
    """

    missing: NDArray[np.bool_]
    words: list[str | None] = field(init=False, default_factory=lambda: [None])
    codes: NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        self.codes = np.zeros(self.missing.shape, np.uint8)
        self.set(self.missing, _NOT_DEFINED)

    def set(self, where: NDArray[np.bool_] | bool, words: str) -> None:
        """Gives a reason for the missing values of some places, in place of an earlier one."""
        self.codes[self.missing & where] = len(self.words)
        self.words.append(words)

    def at(self, *place: int) -> str:
        """Why the value of a place is missing; empty where it is not."""
        return self.words[int(self.codes[place])] or ""

    def counts(self) -> dict[str, int]:
        """How many values are missing for each reason, the most frequent first."""
        counts = np.bincount(self.codes.reshape(-1), minlength=len(self.words)).tolist()
        pairs = zip(self.words[1:], counts[1:], strict=True)
        present = {str(words): count for words, count in pairs if count}
        return dict(sorted(present.items(), key=lambda pair: -pair[1]))


def why_missing(store: Store, layer: str, name: str) -> Reasons:
    """Why values of a statistic of a layer's filters are missing.

    Raises:
        StatisticNotFoundError: if the store lacks the statistic, with the reason.
    """
    values, statistic = Values(store, again=False), STATISTICS[name]
    return _reasons(values, layer, statistic, values.value(layer, statistic))


def _reasons(values: Values, layer: str, statistic: Statistic, array: NDArray[Any]) -> Reasons:
    """Why a value is missing, in the shape of `array`."""
    missing = ~np.isfinite(array)
    reasons = Reasons(missing)
    if not missing.any():
        return reasons
    if statistic.axes[0] == "class":
        sizes = values.class_sizes[:, np.newaxis]
        reasons.set(sizes == values.store.n_samples, "all samples are of this class")
        reasons.set(values.value(layer, STATISTICS["n_values"]) == 0, NOT_FINITE)
        reasons.set(sizes == 0, f"{NO_SAMPLES} of this class")
    for reason in statistic.undefined_where:
        inputs = [values.value(layer, STATISTICS[name]) for name in reason.needs]
        reasons.set(reason.where(array, *inputs), reason.words)
    one_class = (values.class_sizes > 0).sum() < 2
    of_classes = statistic.target == Target.CLASS and statistic.axes[-1] == "filter"
    if one_class and statistic.pooling and of_classes:
        reasons.set(True, "only one class has samples")
    if statistic.pooling:
        undefined = values.undefined(layer, statistic.pooling)
        for code, words in WHY_UNDEFINED.items():
            affected = np.broadcast_to(undefined == code, array.shape)
            if statistic.axes == ("filter", "other_filter"):
                affected = affected | affected.T
                if code == Defined.DEAD:
                    continue  # a filter that is always below zero still correlates
            reasons.set(affected, words)
    return reasons


def _table(
    name: str,
    pooling: str,
    array: NDArray[Any],
    varying: dict[str, Column],
    *,
    layer: str = "",
    n: int | Coded,
) -> Table:
    """Some rows of the table.

    Args:
        name: what the column `statistic` says.
        pooling: the pooled table; empty for none.
        array: <number>[row], the values.
        varying: other columns that are not the same in each row.
        layer: the layer, if that is the same.
        n: the number of samples.
    """
    size = len(array)
    same = {"layer": layer, "statistic": name, "pooling": pooling or None}
    columns: dict[str, Column] = {key: Coded.constant(same.get(key), size) for key in COLUMNS}
    columns |= {"value": array, "n": n if isinstance(n, Coded) else Coded.constant(n, size)}
    return Table(columns | varying)
