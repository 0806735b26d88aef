"""Looks up the layers, filters, samples and classes of a store that a query chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import SelectionError
from fmcore.selection import (
    Picks,
    Query,
    match_names,
    parse_classes,
    parse_numbers,
    parse_samples,
    refuse_regular,
)
from fmcore.storage import Layer, Store

_ROWS_AT_ONCE = 4096
_RANKED_VALUES = 1 << 20  # at a time; about 40 MB with their order


@dataclass(frozen=True, slots=True, eq=False)
class ResolvedQuery:
    """What a query chooses in one store.

    Attributes:
        query: the query.
        layers: paths of the layers, in the model's order.
        filters: indices of the filters of each layer, by its path.
        samples: indices of the samples, in the order of the result's rows.
        classes: indices of the classes; None where the query names none.
    """

    query: Query
    layers: tuple[str, ...]
    filters: Mapping[str, Picks]
    samples: Picks
    classes: tuple[int, ...] | None


def resolve(store: Store, query: Query, *, files: bool = True) -> ResolvedQuery:
    """Looks up in a store what a query chooses.

    Args:
        store: the store to look in.
        query: the query.
        files: whether the query may name a file with samples, and hold regular expressions: not
            one that comes from another machine.

    Raises:
        SelectionError: if a part of the query matches nothing, with near matches; `field` says
            which part.
        InputFileError: if a file cannot be read.
    """
    what = f"layer of {store.path.name}"
    layers = match_names(list(store.layers), query.layer, what=what, regular=files)
    if not files:
        refuse_regular(query.statistic, field="statistic")
    filters = {name: _filters(store.layers[name], query.filter) for name in layers}
    classes = tuple(parse_classes(query.class_, store.class_names)) if query.class_ else None
    if query.what == "statistics":
        for field, value in (("sample", query.sample), ("dtype", query.dtype)):
            if value not in ("", "float32"):
                raise SelectionError(
                    f"{field} {value!r} cannot choose statistics: they are of the whole test "
                    "set, in their own precision; leave it out",
                    field=field,
                )
        return ResolvedQuery(query, tuple(layers), filters, range(store.n_samples), classes)
    if query.what == "maps" and query.statistic:
        raise SelectionError(
            f"statistic {query.statistic!r} cannot choose maps; it needs what=pooled or "
            "what=statistics",
            field="statistic",
        )
    samples = _samples(store, query.sample, layers, filters, classes, files=files)
    return ResolvedQuery(query, tuple(layers), filters, samples, classes)


def _filters(layer: Layer, text: str) -> Picks:
    if not text:
        return range(layer.n_filters)
    return parse_numbers(text, layer.n_filters, what=f"filter of {layer.path}", field="filter")


def _samples(
    store: Store,
    text: str,
    layers: Sequence[str],
    filters: Mapping[str, Picks],
    classes: tuple[int, ...] | None,
    *,
    files: bool,
) -> Picks:
    selection = parse_samples(text, files=files)
    try:
        samples = store.picks(selection.group)
    except SelectionError as error:
        raise SelectionError(str(error), field="sample") from error
    if classes is not None:
        indices = np.asarray(samples, dtype=np.int64)
        samples = indices[np.isin(store.labels[indices], classes)]
    if not len(samples):
        classes_text = ", ".join(store.class_names[index] for index in classes or ())
        raise SelectionError(
            f"no sample is left of {text or 'all'!r}"
            f"{f' that is labeled {classes_text}' if classes_text else ''}; "
            f"{store.path.name} holds {store.n_samples:,}",
            field="sample" if text else "class",
        )
    if selection.top is not None:
        is_top = np.zeros(store.n_samples, dtype=np.bool_)
        for name in layers:
            _mark_strongest(store.layers[name], filters[name], samples, selection.top, is_top)
        samples = np.flatnonzero(is_top)
    return samples


def _mark_strongest(
    layer: Layer, filters: Picks, samples: Picks, most: int, marked: NDArray[np.bool_]
) -> None:
    """Marks the samples with the largest pooled maximum of each filter, ties by index.

    Args:
        layer: the layer whose pooled maxima are compared.
        filters: indices of filters.
        samples: indices of the samples to choose from.
        most: number of samples to mark for each filter.
        marked: <bool>[sample], for all samples of the store; set in place.
    """
    table = layer.pooled("max")
    indices = np.unique(np.asarray(samples, dtype=np.int64))
    if most >= len(indices):
        marked[indices] = True
        return
    columns = np.unique(np.asarray(filters, dtype=np.int64))
    step = max(1, _RANKED_VALUES // (most + _ROWS_AT_ONCE))
    for first in range(0, len(columns), step):
        block = columns[first : first + step]
        strongest: NDArray[Any] = np.empty((0, len(block)), dtype=np.int64)
        values: NDArray[Any] = np.empty((0, len(block)), dtype=np.float32)
        for start in range(0, len(indices), _ROWS_AT_ONCE):
            rows = indices[start : start + _ROWS_AT_ONCE]
            new = table.outer((rows, block))
            values = np.concatenate([values, np.where(np.isfinite(new), new, -np.inf)])
            strongest = np.concatenate(
                [strongest, np.repeat(rows[:, np.newaxis], len(block), axis=1)]
            )
            order = np.argsort(-values, axis=0, kind="stable")[:most]
            values = np.take_along_axis(values, order, axis=0)
            strongest = np.take_along_axis(strongest, order, axis=0)
        marked[strongest] = True
