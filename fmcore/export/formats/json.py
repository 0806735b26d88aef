"""JSON: a table as an array of objects, one for each observation; an array as nested lists."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.export.contents import TEXT, ArraySource, Column, Format, Tables, is_missing


def json_text(tables: Tables) -> Iterator[str]:
    """A table as an array of objects; null where a value is missing or not finite."""
    separator = "[\n"
    for table in tables.pieces():
        columns = [_cells(table.columns[name], kind) for name, kind in tables.kinds.items()]
        for row in zip(*columns, strict=True):
            fields = dict(zip(tables.kinds, row, strict=True))
            yield separator + json.dumps(fields, ensure_ascii=False)
            separator = ",\n"
    yield "[]\n" if separator.startswith("[") else "\n]\n"


def _cells(values: Column, kind: str) -> list[Any]:
    if isinstance(values, np.ndarray):
        return _nested(values)
    if kind == TEXT:
        return [None if is_missing(value) else str(value) for value in values]
    return [
        None if isinstance(value, float) and not math.isfinite(value) else value for value in values
    ]


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
