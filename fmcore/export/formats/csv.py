"""CSV: a header and one line per observation; a spreadsheet takes no cell for a formula."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from fmcore.export.contents import Format, Tables, is_missing
from fmcore.export.formats.rows import column_cells, number_texts, rows_text

# A spreadsheet takes text that begins with one of these for a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

# Text with one of these stands in quotes; many readers end a line at a lone carriage return.
_QUOTED = ',"\r\n'


def csv_text(tables: Tables) -> Iterator[str]:
    """A table as CSV: a header and one line per observation; a missing value is an empty field.

    Text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    yield ",".join(tables.kinds) + "\n"
    parts = ["", *[","] * (len(tables.kinds) - 1), "\n"]
    for table in tables.pieces():
        columns = [column_cells(table.columns[name], _cell, _numbers) for name in tables.kinds]
        yield rows_text(columns, table.n_rows, parts)


def _cell(value: Any) -> str:
    if is_missing(value):
        return ""
    if not isinstance(value, str):
        return str(value)
    text = no_formula(value)
    quoted = any(character in text for character in _QUOTED)
    return '"' + text.replace('"', '""') + '"' if quoted else text


def _numbers(values: NDArray[Any]) -> list[str]:
    return number_texts(values, missing="")


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
