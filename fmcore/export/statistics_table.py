"""Statistics of a store as tidy rows: one value a row, with its chance level and its n."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.export.contents import TEXT, Table, Tables
from fmcore.export.resolve import ResolvedQuery
from fmcore.selection import match_names
from fmcore.statistics import STATISTICS, WHY_UNDEFINED, Defined, Statistic
from fmcore.storage import Layer, Store, recompute

# `other` is the second filter of a correlation, the second layer of a CKA; `reason` says why there
# is no value.
COLUMNS = {
    "layer": TEXT,
    "filter": "int64",
    "class": TEXT,
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


def chosen_statistics(pattern: str | None) -> list[Statistic]:
    """The statistics that a comma-separated list of globs takes, such as `auc*,mean`.

    A name without its pooled table takes all of its kind: `auc` is `auc_mean,auc_max`. Without a
    pattern, all but those with a row for each pair of filters.

    Raises:
        SelectionError: if a glob matches nothing.
    """
    if pattern is None:
        return [one for one in STATISTICS.values() if "other_filter" not in one.axes]
    names = dict.fromkeys(name for one in STATISTICS.values() for name in (one.name, one.family))
    taken = set(match_names(list(names), pattern, what="statistic", field="statistic"))
    return [one for one in STATISTICS.values() if taken & {one.name, one.family}]


class Values:
    """Where the numbers come from: as stored, or computed again from the pooled tables."""

    def __init__(self, store: Store, *, again: bool) -> None:
        self.store = store
        self._again = recompute(store) if again else [{} for _ in store.layers]

    def has(self, layer: str, one: Statistic) -> bool:
        """Whether there is such a statistic of a layer, or of layers."""
        if "layer" in one.axes:
            return one.path in self._again[0] or one.name in self.store.similarities
        of_layer = self.store.layers[layer]
        return one.path in self._again[of_layer.index] or of_layer.has(one)

    def value(self, layer: str, one: Statistic) -> NDArray[Any]:
        """A statistic of a layer's filters, or of the layers, whatever the path.

        Raises:
            StatisticNotFoundError: if it is not there, with the reason.
        """
        if "layer" in one.axes:
            found = self._again[0].get(one.path)
            return self.store.similarity(one.name) if found is None else found
        return self._of(layer, one.path, lambda of_layer: of_layer.statistic(one.name))

    def chance(self, layer: str, one: Statistic) -> NDArray[np.float64] | None:
        """Its chance level, [bound, …]; None where it has none."""
        if not one.chance:
            return None
        return self._of(layer, f"{one.path}_chance", lambda of_layer: of_layer.chance(one.name))

    def undefined(self, layer: str, pooling: str) -> NDArray[np.uint8]:
        """Why filters have no scores."""
        path = f"filters/undefined_{pooling}"
        return self._of(layer, path, lambda of_layer: of_layer.undefined(pooling))

    def _of(self, layer: str, path: str, stored: Callable[[Layer], Any]) -> Any:
        of_layer = self.store.layers[layer]
        found = self._again[of_layer.index].get(path)
        return stored(of_layer) if found is None else found


def statistics_table(store: Store, chosen: ResolvedQuery, *, again: bool = False) -> Tables:
    """Statistics of a store, a piece for each of them.

    Args:
        store: where they come from.
        chosen: of which layers, filters and classes, and by `query.statistic` which of them; all
            but correlations where that is empty.
        again: compute what follows from the pooled tables, stored or not.

    Raises:
        SelectionError: if a glob matches nothing.
        StatisticNotFoundError: if a statistic that was asked for is not there, with the reason.
    """
    names, asked = list(chosen.layers), chosen.query.statistic
    wanted = chosen_statistics(asked or None)
    values = Values(store, again=again and any(one.origin == "pooled" for one in wanted))
    # What was named must be there; what a pattern takes may be missing. Before the first row.
    named = {part.strip() for part in asked.split(",")}
    there = {}
    n_rows = 0
    for one in wanted:
        of_one = ["*"] if "layer" in one.axes else names
        there[one.name] = [name for name in of_one if values.has(name, one)]
        if named & {one.name, one.family} and len(there[one.name]) < len(of_one):
            missing = next(name for name in of_one if name not in there[one.name])
            values.value(missing, one)  # says why it is not there
        for name in there[one.name]:
            n_rows += _n_rows(store, chosen, one, name)

    def pieces() -> Iterator[Table]:
        for one in wanted:
            if "layer" in one.axes and there[one.name]:
                yield _of_layers(values, one, names)
        for name in names:
            for one in wanted:
                if "layer" not in one.axes and name in there[one.name]:
                    yield _narrowed(_of_filters(values, name, one), one, store, chosen, name)

    return Tables(COLUMNS, pieces, n_rows)


def _n_rows(store: Store, chosen: ResolvedQuery, one: Statistic, layer: str) -> int:
    n_classes = len(store.class_names) if chosen.classes is None else len(chosen.classes)
    n_filters = len(chosen.filters.get(layer, ()))
    sizes = {"class": n_classes, "filter": n_filters, "other_filter": n_filters}
    return math.prod(sizes.get(axis, len(chosen.layers)) for axis in one.axes)


def _narrowed(
    table: Table, one: Statistic, store: Store, chosen: ResolvedQuery, layer: str
) -> Table:
    """The rows of chosen filters and classes, in the order in which they were chosen."""
    filters, n_filters = np.asarray(chosen.filters[layer]), store.layers[layer].n_filters
    n_classes = len(store.class_names)
    classes = np.arange(n_classes) if chosen.classes is None else np.array(chosen.classes)
    sizes = [n_classes if axis == "class" else n_filters for axis in one.axes]
    picks = [classes if axis == "class" else filters for axis in one.axes]
    rows = np.arange(math.prod(sizes)).reshape(sizes)[np.ix_(*picks)].reshape(-1).tolist()
    if rows == list(range(math.prod(sizes))):
        return table
    return Table({name: [values[row] for row in rows] for name, values in table.columns.items()})


def _of_layers(values: Values, one: Statistic, names: Sequence[str]) -> Table:
    store, paths = values.store, list(values.store.layers)
    places = [paths.index(name) for name in names]
    array = values.value(names[0], one)
    if len(one.axes) == 1:
        array, layers, other = array[places], list(names), None
    else:
        array = array[np.ix_(places, places)].reshape(-1)
        layers = [name for name in names for _ in names]
        other = [name for _ in names for name in names]
    reasons = [None if known else _NOT_DEFINED for known in np.isfinite(array)]
    return _table(one, array, layers, other=other, n=store.n_samples, reason=reasons)


def _of_filters(values: Values, layer: str, one: Statistic) -> Table:
    store = values.store
    array, band = values.value(layer, one), values.chance(layer, one)
    sizes, n_filters = store.class_sizes, array.shape[-1]
    filters = np.broadcast_to(np.arange(n_filters), array.shape)
    other: Any = None
    classes: Any = None
    n: Any = store.n_samples
    if one.axes == ("filter", "other_filter"):
        other, filters = filters.reshape(-1).tolist(), filters.T
    elif one.axes[0] == "class":
        classes = np.repeat(np.array(store.class_names, dtype=object), n_filters).tolist()
        n = np.repeat(sizes, n_filters).tolist()
    return _table(
        one,
        array.reshape(-1),
        layer,
        filters=filters.reshape(-1).tolist(),
        classes=classes,
        other=other,
        n=n,
        band=None if band is None else band.reshape(2, -1),
        reason=_reasons(values, layer, one, array).reshape(-1).tolist(),
    )


def _reasons(
    values: Values, layer: str, one: Statistic, array: NDArray[Any]
) -> NDArray[np.object_]:
    """Why there is no value, [...]; None where there is one."""
    found = np.full(array.shape, None, dtype=object)
    missing = ~np.isfinite(array)
    found[missing] = _NOT_DEFINED
    if one.axes[0] == "class":
        sizes = values.store.class_sizes[:, np.newaxis]
        found[missing & (sizes == values.store.n_samples)] = "all samples are of this class"
        found[missing & (sizes == 0)] = "no samples of this class"
    if one.family == "csi":
        low = values.value(layer, STATISTICS["min"])
        with np.errstate(invalid="ignore"):
            found[missing & (low < 0).any(axis=0)] = "some activations are negative"
    if one.family in ("f", "dprime"):
        found[np.isinf(array)] = "infinite: no spread within classes"
    if (values.store.class_sizes > 0).sum() < 2 and one.pooling and one.axes[-1] == "filter":
        found[missing] = "only one class has samples"
    if one.pooling:
        undefined = values.undefined(layer, one.pooling)
        for code, words in WHY_UNDEFINED.items():
            without = np.broadcast_to(undefined == code, array.shape)
            if one.axes == ("filter", "other_filter"):
                without = without | without.T
                if code == Defined.DEAD:
                    continue  # a filter that is always below zero still correlates
            found[missing & without] = words
    return found


def _table(
    one: Statistic,
    array: NDArray[Any],
    layer: str | list[str],
    *,
    filters: Sequence[int] | None = None,
    classes: Sequence[str] | None = None,
    other: Sequence[Any] | None = None,
    n: int | Sequence[int],
    band: NDArray[np.float64] | None = None,
    reason: Sequence[str | None],
) -> Table:
    size = len(array)
    nothing = [None] * size
    low, high = (nothing, nothing) if band is None else band.tolist()
    return Table(
        {
            "layer": [layer] * size if isinstance(layer, str) else layer,
            "filter": filters or nothing,
            "class": classes or nothing,
            "other": other or nothing,
            "statistic": [one.family] * size,
            "pooling": [one.pooling or None] * size,
            "value": array.tolist(),
            "chance_low": low,
            "chance_high": high,
            "n": [n] * size if isinstance(n, int) else n,
            "reason": reason,
        }
    )
