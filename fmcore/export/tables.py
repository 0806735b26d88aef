"""Tables that a query chooses: a row for each sample, pooled value, or value of a map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fmcore.export.contents import TEXT, ArraySource, Coded, Column, Precision, Table, Tables
from fmcore.export.resolve import ResolvedQuery
from fmcore.selection import match_names
from fmcore.storage import Layer, Store

BLOCK_BYTES = 256 << 10  # as text it is several times as large


def pooled_names(layer: Layer, resolved: ResolvedQuery) -> list[str]:
    """Names of a layer's pooled tables that a query chooses.

    Raises:
        SelectionError: if a glob matches none of them.
    """
    names = list(layer.pooled_names)
    what = f"pooled table of {layer.path}"
    return match_names(names, resolved.query.statistic or "*", what=what, field="statistic")


def samples_table(arrays: Sequence[ArraySource]) -> Tables:
    """One row for each sample, from the arrays of `sample_arrays`."""
    kinds = {array.name: TEXT if array.dtype.kind == "U" else array.dtype.name for array in arrays}

    def pieces() -> Iterator[Table]:
        columns = {array.name: np.concatenate(list(array.blocks())) for array in arrays}
        texts = {name: columns[name].tolist() for name, kind in kinds.items() if kind == TEXT}
        yield Table(columns | texts)

    return Tables(kinds, pieces, arrays[0].shape[0])


def pooled_table(store: Store, layer: Layer, resolved: ResolvedQuery) -> Tables:
    """One row for each sample and filter, a column for each pooled table."""
    names, filters = pooled_names(layer, resolved), resolved.filters[layer.path]
    tables = {name: layer.pooled(name) for name in names}
    kinds = {"sample": "int64", "id": TEXT}
    kinds |= dict.fromkeys(store.class_columns, "int64")
    kinds |= {name: rows.dtype.name for name, rows in store.numbers_of_samples().items()}
    kinds["filter"] = "int64"
    for name, table in tables.items():
        is_float = table.dtype.kind == "f"
        kinds[name] = resolved.query.dtype if is_float else table.dtype.name
    samples = np.asarray(resolved.samples, dtype=np.int64)
    n_filters, precision = len(filters), Precision(resolved.query.dtype)

    def pieces() -> Iterator[Table]:
        precision.begin()
        store_ids = store.ids
        beside = store.classes_of_samples() | store.numbers_of_samples()
        step = max(1, BLOCK_BYTES // (8 * n_filters))
        for start in range(0, len(samples), step):
            rows = samples[start : start + step]
            row_samples = np.repeat(rows, n_filters)
            of_row = np.repeat(np.arange(len(rows)), n_filters)
            columns: dict[str, Column] = {
                "sample": Coded(rows.tolist(), of_row),
                "id": Coded([store_ids[row] for row in rows.tolist()], of_row),
                **{name: column[row_samples] for name, column in beside.items()},
                "filter": Coded(
                    np.asarray(filters).tolist(), np.tile(np.arange(n_filters), len(rows))
                ),
            }
            for name, table in tables.items():
                values = table.outer((rows, filters)).reshape(-1)
                columns[name] = precision.convert(values)
            yield Table(columns)

    return Tables(kinds, pieces, len(samples) * n_filters, precision.notes)


def maps_table(layer: Layer, resolved: ResolvedQuery) -> Tables:
    """One row for each value of the maps."""
    array, filters = layer.activation, np.asarray(resolved.filters[layer.path], dtype=np.int64)
    samples = np.asarray(resolved.samples, dtype=np.int64)
    _, height, width, _ = array.shape
    kinds = dict.fromkeys(("sample", "y", "x", "filter"), "int64") | {"value": resolved.query.dtype}
    per_sample, precision = height * width * len(filters), Precision(resolved.query.dtype)

    def pieces() -> Iterator[Table]:
        precision.begin()
        step = max(1, BLOCK_BYTES // (8 * per_sample))
        for start in range(0, len(samples), step):
            rows = samples[start : start + step]
            values = array.outer((rows, range(height), range(width), filters), threads=1)
            axes = {"sample": rows, "y": range(height), "x": range(width), "filter": filters}
            grids = np.indices(values.shape).reshape(4, -1)
            columns: dict[str, Column] = {
                name: Coded(np.asarray(axis).tolist(), grid)
                for (name, axis), grid in zip(axes.items(), grids, strict=True)
            }
            columns["value"] = precision.convert(values.reshape(-1))
            yield Table(columns)

    return Tables(kinds, pieces, len(samples) * per_sample, precision.notes)
