"""JSON: an array of objects, one for each observation."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import numpy as np

from fmcore.export.contents import Tables


def json_text(tables: Tables) -> Iterator[str]:
    """A table as an array of objects; null where a value is missing or not finite."""
    separator = "[\n"
    for table in tables.pieces():
        columns = [
            values.tolist() if isinstance(values, np.ndarray) else values
            for values in (table.columns[name] for name in tables.kinds)
        ]
        for row in zip(*columns, strict=True):
            fields = {
                name: None if isinstance(value, float) and not math.isfinite(value) else value
                for name, value in zip(tables.kinds, row, strict=True)
            }
            yield separator + json.dumps(fields, ensure_ascii=False)
            separator = ",\n"
    yield "[]\n" if separator.startswith("[") else "\n]\n"
