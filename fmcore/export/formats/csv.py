"""CSV: a header and one line an observation, which a spreadsheet takes for no formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, BinaryIO

import numpy as np

from fmcore.export.contents import TEXT, Column, Format, Tables, is_missing, table_parts

# A cell of text that begins so would be a formula in a spreadsheet (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv_text(tables: Tables) -> Iterator[str]:
    """A header and one line an observation; an empty field where there is none.

    Text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    yield ",".join(tables.kinds) + "\n"
    for table in tables.pieces():
        columns = [_cells(table.columns[name], kind) for name, kind in tables.kinds.items()]
        texts = [columns[at] for at, kind in enumerate(tables.kinds.values()) if kind == TEXT]
        text = io.StringIO()
        if any("\r" in str(cell) for cells in texts for cell in cells):
            # Before Python 3.13 it is not quoted where it is no end of a line.
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
    """Text for a CSV: with an apostrophe before it where a spreadsheet would take a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def write_csv(tables: Tables, stream: BinaryIO) -> None:
    """Writes UTF-8 text."""
    for text in csv_text(tables):
        stream.write(text.encode())


FORMAT = Format(
    "csv",
    "one table for each layer as text, a row an observation",
    partial(table_parts, write_csv, ".csv"),
    ("maps", "pooled", "statistics"),
    exact_bytes=False,
)
