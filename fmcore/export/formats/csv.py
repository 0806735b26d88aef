"""CSV: a header and one line per observation; a spreadsheet takes no cell for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fmcore.export.contents import TEXT, Column, Format, Tables, is_missing

# A spreadsheet takes text that begins with one of these for a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv_text(tables: Tables) -> Iterator[str]:
    """A table as CSV: a header and one line per observation; a missing value is an empty field.

    Text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    yield ",".join(tables.kinds) + "\n"
    for table in tables.pieces():
        columns = [_cells(table.columns[name], kind) for name, kind in tables.kinds.items()]
        texts = [columns[index] for index, kind in enumerate(tables.kinds.values()) if kind == TEXT]
        text = io.StringIO()
        if any("\r" in str(cell) for cells in texts for cell in cells):
            # Before Python 3.13 the csv module does not quote a lone carriage return.
            writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        else:
            writer = csv.writer(text, lineterminator="\n")
        writer.writerows(zip(*columns, strict=True))
        yield text.getvalue()


def _cells(values: Column, kind: str) -> Sequence[Any]:
    if isinstance(values, np.ndarray):
        # numpy's text of a float32 is the shortest that is read back as the same number.
        is_float = values.dtype.kind == "f"
        text = np.where(np.isnan(values), "", values.astype(str)) if is_float else values
        return text.tolist()
    if kind != TEXT:
        return ["" if is_missing(value) else value for value in values]
    return ["" if is_missing(value) else no_formula(str(value)) for value in values]


def no_formula(text: str) -> str:
    """Text for a CSV cell: with an apostrophe before it if a spreadsheet saw a formula in it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


FORMAT = Format(
    "csv",
    "one table for each layer as text, one row per observation",
    ("maps", "pooled", "statistics"),
    media_type="text/csv; charset=utf-8",
    cell_bytes=12,  # 3 to 6 were measured in small stores; numbers in full take 20
    table_text=csv_text,
)
