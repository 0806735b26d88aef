"""Tables of what a query means: a row for each sample, pooled value, or value of a map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fmcore.export.contents import TEXT, ArraySource, Column, Precision, Table, Tables
from fmcore.export.resolve import ResolvedQuery
from fmcore.selection import match_names
from fmcore.storage import Layer, Store

BLOCK_BYTES = 256 << 10  # as text it is several times as large


def pooled_names(layer: Layer, chosen: ResolvedQuery) -> list[str]:
    """The pooled tables of a layer that a query means.

    Raises:
        SelectionError: if a glob takes none of them.
    """
    names = list(layer.pooled_names)
    what = f"pooled table of {layer.path}"
    return match_names(names, chosen.query.statistic or "*", what=what, field="statistic")


def samples_table(arrays: Sequence[ArraySource]) -> Tables:
    """One row for each sample, of what `of_samples` gives."""
    kinds = {one.name: TEXT if one.dtype.kind == "U" else one.dtype.name for one in arrays}

    def pieces() -> Iterator[Table]:
        columns = {one.name: np.concatenate(list(one.blocks())) for one in arrays}
        texts = {name: columns[name].tolist() for name, kind in kinds.items() if kind == TEXT}
        yield Table(columns | texts)

    return Tables(kinds, pieces, arrays[0].shape[0])


def pooled_table(store: Store, layer: Layer, chosen: ResolvedQuery) -> Tables:
    """One row for each sample and filter, a column for each pooled table."""
    names, filters = pooled_names(layer, chosen), chosen.filters[layer.path]
    tables = {name: layer.pooled_array(name) for name in names}
    kinds = {"sample": "int64", "id": TEXT}
    kinds |= dict.fromkeys((*store.class_columns, "filter"), "int64")
    for name, table in tables.items():
        is_float = table.dtype.kind == "f"
        kinds[name] = chosen.query.dtype if is_float else table.dtype.name
    samples = np.asarray(chosen.samples, dtype=np.int64)
    n_filters, precision = len(filters), Precision(chosen.query.dtype)

    def pieces() -> Iterator[Table]:
        precision.begin()
        ids, classes = np.array(store.ids, dtype=object), store.classes_of_samples()
        step = max(1, BLOCK_BYTES // (8 * n_filters))
        for start in range(0, len(samples), step):
            rows = samples[start : start + step]
            each = np.repeat(rows, n_filters)
            columns: dict[str, Column] = {
                "sample": each,
                "id": ids[each].tolist(),
                **{name: one[each] for name, one in classes.items()},
                "filter": np.tile(np.asarray(filters, dtype=np.int64), len(rows)),
            }
            for name, table in tables.items():
                values = table.outer((rows, filters)).reshape(-1)
                columns[name] = precision.of(values)
            yield Table(columns)

    return Tables(kinds, pieces, len(samples) * n_filters, precision.notes)


def maps_table(layer: Layer, chosen: ResolvedQuery) -> Tables:
    """One row for each value of the maps."""
    array, filters = layer.activation, np.asarray(chosen.filters[layer.path], dtype=np.int64)
    samples = np.asarray(chosen.samples, dtype=np.int64)
    _, height, width, _ = array.shape
    kinds = dict.fromkeys(("sample", "y", "x", "filter"), "int64") | {"value": chosen.query.dtype}
    per_sample, precision = height * width * len(filters), Precision(chosen.query.dtype)

    def pieces() -> Iterator[Table]:
        precision.begin()
        step = max(1, BLOCK_BYTES // (8 * per_sample))
        for start in range(0, len(samples), step):
            rows = samples[start : start + step]
            values = array.outer((rows, range(height), range(width), filters), threads=1)
            places = np.meshgrid(rows, np.arange(height), np.arange(width), filters, indexing="ij")
            names = ("sample", "y", "x", "filter")
            columns = {name: place.reshape(-1) for name, place in zip(names, places, strict=True)}
            columns["value"] = precision.of(values.reshape(-1))
            yield Table(columns)

    return Tables(kinds, pieces, len(samples) * per_sample, precision.notes)
