"""JSON: a table as an array of objects, one for each observation; an array as nested lists."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.export.contents import ArraySource, Format, Tables
from fmcore.export.formats.rows import column_cells, number_texts, rows_text


def json_text(tables: Tables) -> Iterator[str]:
    """A table as an array of objects; null where a value is missing or not finite."""
    names = [json.dumps(name, ensure_ascii=False) for name in tables.kinds]
    parts = ["{" + f"{names[0]}: ", *(f", {name}: " for name in names[1:]), "}"]
    separator = "[\n"
    for table in tables.pieces():
        if not table.n_rows:
            continue
        columns = [column_cells(table.columns[name], _cell, _numbers) for name in tables.kinds]
        rows = rows_text(columns, table.n_rows, [",\n" + parts[0], *parts[1:]])
        yield separator + rows.removeprefix(",\n")
        separator = ",\n"
    yield "[]\n" if separator.startswith("[") else "\n]\n"


def _cell(value: Any) -> str:
    missing = isinstance(value, float) and not math.isfinite(value)
    return json.dumps(None if missing else value, ensure_ascii=False)


def _numbers(values: NDArray[Any]) -> list[str]:
    if values.dtype.kind == "f":
        exact = values.astype(np.float64)
        return number_texts(np.where(np.isfinite(exact), exact, np.nan), missing="null")
    return list(map(json.dumps, values.tolist()))


def array_text(array: ArraySource, about: Mapping[str, Any]) -> Iterator[str]:
    """An array as an object: the facts `about` it, axes, shape, dtype, and nested lists `values`.

    A value that is not finite is null.
    """
    facts = {**about, "axes": array.axes, "shape": array.shape, "dtype": array.dtype.name}
    yield json.dumps(facts, ensure_ascii=False)[:-1] + ', "values": ['
    separator = "\n"
    for block in array.blocks():
        for row in _nested(block):
            yield separator + json.dumps(row)
            separator = ",\n"
    yield "]}\n"


def _nested(values: NDArray[Any]) -> list[Any]:
    """Nested lists of numbers; None where one is not finite, for which JSON has no word."""
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return values.tolist()
    numbers = values.astype(object)
    numbers[~np.isfinite(values)] = None
    return numbers.tolist()


FORMAT = Format(
    "json",
    "an array of objects for each layer, of pooled tables or statistics, one per observation",
    ("pooled", "statistics"),
    media_type="application/json",
    cell_bytes=40,  # 14 to 20 were measured in small stores; numbers in full take 40
    array_text=array_text,
    table_text=json_text,
)
