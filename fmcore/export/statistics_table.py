"""Statistics of a store as a tidy table: one value per row, with chance level and n."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.export.contents import TEXT, Table, Tables
from fmcore.export.resolve import ResolvedQuery
from fmcore.records import Target
from fmcore.selection import match_names
from fmcore.statistics import STATISTICS, WHY_UNDEFINED, Defined, Statistic
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
_NOT_DEFINED = "not defined for these values"


def chosen_statistics(store: Store, pattern: str | None) -> list[Statistic]:
    """The statistics that match a comma-separated list of globs, such as `auc*,mean`.

    A name without its pooling matches every pooling: `auc` is `auc_mean,auc_max`. Without a
    pattern, all but those with a row for each pair of filters and, in a store without classes,
    those that say how filters tell classes.

    Raises:
        SelectionError: if a glob matches nothing.
    """
    if pattern is None:
        return [
            statistic
            for statistic in STATISTICS.values()
            if "other_filter" not in statistic.axes
            and (store.has_classes or not statistic.tells_classes)
        ]
    names = dict.fromkeys(
        name for statistic in STATISTICS.values() for name in (statistic.name, statistic.family)
    )
    matches = set(match_names(list(names), pattern, what="statistic", field="statistic"))
    return [
        statistic
        for statistic in STATISTICS.values()
        if matches & {statistic.name, statistic.family}
    ]


class Values:
    """Statistics of a store, as stored, or computed again from the pooled tables."""

    def __init__(self, store: Store, *, again: bool) -> None:
        self.store = store
        self._recomputed = recompute(store) if again else [{} for _ in store.layers]

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


def statistics_table(store: Store, resolved: ResolvedQuery, *, again: bool = False) -> Tables:
    """Statistics of a store as a table, a piece for each statistic and layer.

    Args:
        store: the store to read.
        resolved: layers, filters and classes of the rows, and by `query.statistic` the statistics;
            all but correlations where that is empty.
        again: compute what follows from the pooled tables again, stored or not.

    Raises:
        SelectionError: if a glob matches nothing.
        StatisticNotFoundError: if the store lacks a statistic that is named, with the reason.
    """
    names, pattern = list(resolved.layers), resolved.query.statistic
    statistics = chosen_statistics(store, pattern or None)
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
            n_rows += _n_rows(store, resolved, statistic, name)

    def pieces() -> Iterator[Table]:
        for statistic in statistics:
            if "layer" in statistic.axes and owners[statistic.name]:
                yield _layers_table(values, statistic, names)
        for name in names:
            for statistic in statistics:
                if "layer" not in statistic.axes and name in owners[statistic.name]:
                    table = _filters_table(values, name, statistic)
                    yield _narrow(table, statistic, store, resolved, name)

    return Tables(COLUMNS, pieces, n_rows)


def _n_rows(store: Store, resolved: ResolvedQuery, statistic: Statistic, layer: str) -> int:
    n_classes = len(store.class_names) if resolved.classes is None else len(resolved.classes)
    n_filters = len(resolved.filters.get(layer, ()))
    sizes = {"class": n_classes, "filter": n_filters, "other_filter": n_filters}
    sizes["target"] = len(store.target_names)
    return math.prod(sizes.get(axis, len(resolved.layers)) for axis in statistic.axes)


def _narrow(
    table: Table, statistic: Statistic, store: Store, resolved: ResolvedQuery, layer: str
) -> Table:
    """A table with only the chosen filters and classes, in the order of the query."""
    filters, n_filters = np.asarray(resolved.filters[layer]), store.layers[layer].n_filters
    n_classes, n_targets = len(store.class_names), len(store.target_names)
    classes = np.arange(n_classes) if resolved.classes is None else np.array(resolved.classes)
    axes = {"class": (n_classes, classes), "target": (n_targets, np.arange(n_targets))}
    sizes, picks = zip(
        *(axes.get(axis, (n_filters, filters)) for axis in statistic.axes), strict=True
    )
    rows = np.arange(math.prod(sizes)).reshape(sizes)[np.ix_(*picks)].reshape(-1).tolist()
    if rows == list(range(math.prod(sizes))):
        return table
    return Table({name: [values[row] for row in rows] for name, values in table.columns.items()})


def _layers_table(values: Values, statistic: Statistic, names: Sequence[str]) -> Table:
    store, paths = values.store, list(values.store.layers)
    indices = [paths.index(name) for name in names]
    array = values.value(names[0], statistic)
    if len(statistic.axes) == 1:
        array, layers, other = array[indices], list(names), None
    else:
        array = array[np.ix_(indices, indices)].reshape(-1)
        layers = [name for name in names for _ in names]
        other = [name for _ in names for name in names]
    reasons = [None if is_finite else _NOT_DEFINED for is_finite in np.isfinite(array)]
    return _table(statistic, array, layers, other=other, n=store.n_samples, reason=reasons)


def _filters_table(values: Values, layer: str, statistic: Statistic) -> Table:
    store = values.store
    array, band = values.value(layer, statistic), values.chance(layer, statistic)
    sizes, n_filters = store.class_sizes, array.shape[-1]
    filters = np.broadcast_to(np.arange(n_filters), array.shape)
    other: Any = None
    classes: Any = None
    targets: Any = None
    n: Any = store.n_samples
    if statistic.axes == ("filter", "other_filter"):
        other, filters = filters.reshape(-1).tolist(), filters.T
    elif statistic.axes[0] == "class":
        classes = np.repeat(np.array(store.class_names, dtype=object), n_filters).tolist()
        n = np.repeat(sizes, n_filters).tolist()
    elif statistic.axes[0] == "target":
        targets = np.repeat(np.array(store.target_names, dtype=object), n_filters).tolist()
    return _table(
        statistic,
        array.reshape(-1),
        layer,
        filters=filters.reshape(-1).tolist(),
        classes=classes,
        targets=targets,
        other=other,
        n=n,
        band=None if band is None else band.reshape(2, -1),
        reason=_reasons(values, layer, statistic, array).reshape(-1).tolist(),
    )


def _reasons(
    values: Values, layer: str, statistic: Statistic, array: NDArray[Any]
) -> NDArray[np.object_]:
    """Why a value is missing, in the shape of `array`; None where it is not."""
    reasons = np.full(array.shape, None, dtype=object)
    missing = ~np.isfinite(array)
    reasons[missing] = _NOT_DEFINED
    if statistic.axes[0] == "class":
        sizes = values.store.class_sizes[:, np.newaxis]
        reasons[missing & (sizes == values.store.n_samples)] = "all samples are of this class"
        reasons[missing & (sizes == 0)] = "no samples of this class"
    for reason in statistic.undefined_where:
        inputs = [values.value(layer, STATISTICS[name]) for name in reason.needs]
        reasons[missing & reason.where(array, *inputs)] = reason.words
    one_class = (values.store.class_sizes > 0).sum() < 2
    of_classes = statistic.target == Target.CLASS and statistic.axes[-1] == "filter"
    if one_class and statistic.pooling and of_classes:
        reasons[missing] = "only one class has samples"
    if statistic.pooling:
        undefined = values.undefined(layer, statistic.pooling)
        for code, words in WHY_UNDEFINED.items():
            affected = np.broadcast_to(undefined == code, array.shape)
            if statistic.axes == ("filter", "other_filter"):
                affected = affected | affected.T
                if code == Defined.DEAD:
                    continue  # a filter that is always below zero still correlates
            reasons[missing & affected] = words
    return reasons


def _table(
    statistic: Statistic,
    array: NDArray[Any],
    layer: str | list[str],
    *,
    filters: Sequence[int] | None = None,
    classes: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    other: Sequence[Any] | None = None,
    n: int | Sequence[int],
    band: NDArray[np.float64] | None = None,
    reason: Sequence[str | None],
) -> Table:
    size = len(array)
    empty = [None] * size
    low, high = (empty, empty) if band is None else band.tolist()
    return Table(
        {
            "layer": [layer] * size if isinstance(layer, str) else layer,
            "filter": filters or empty,
            "class": classes or empty,
            "target": targets or empty,
            "other": other or empty,
            "statistic": [statistic.family] * size,
            "pooling": [statistic.pooling or None] * size,
            "value": array.tolist(),
            "chance_low": low,
            "chance_high": high,
            "n": [n] * size if isinstance(n, int) else n,
            "reason": reason,
        }
    )
