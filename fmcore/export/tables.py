"""Tables with one observation a row, in pieces, and how they are written: CSV, JSON, Parquet."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fmcore.optional import library

# A cell of text that begins so would be a formula in a spreadsheet (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
TEXT = "string"
Column = Sequence[Any] | NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Some rows.

    Attributes:
        columns: the values of each column; None, or NaN among numbers, where there is none.
    """

    columns: Mapping[str, Column]


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """A table that comes piece by piece.

    Attributes:
        kinds: numpy's name of the type of each column, or `TEXT`.
        pieces: begins to read it.
        n_rows: about how many there are.
        notes: what is known of the values once they are read, such as the errors of float16.
    """

    kinds: Mapping[str, str]
    pieces: Callable[[], Iterator[Table]]
    n_rows: int
    notes: Callable[[], dict[str, float]] = dict

    @property
    def nbytes(self) -> int:
        """About what a text of it takes."""
        return self.n_rows * len(self.kinds) * 8


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


def json_text(tables: Tables) -> Iterator[str]:
    """An array of objects; null where there is no value, and where it is not finite."""
    separator = "[\n"
    for table in tables.pieces():
        columns = [
            values.tolist() if isinstance(values, np.ndarray) else values
            for values in (table.columns[name] for name in tables.kinds)
        ]
        for row in zip(*columns, strict=True):
            known = {
                name: None if isinstance(value, float) and not math.isfinite(value) else value
                for name, value in zip(tables.kinds, row, strict=True)
            }
            yield separator + json.dumps(known, ensure_ascii=False)
            separator = ",\n"
    yield "[]\n" if separator.startswith("[") else "\n]\n"


def write_parquet(tables: Tables, out: Path | BinaryIO) -> None:
    """A Parquet file; missing values are null.

    Raises:
        MissingLibraryError: if pyarrow is not installed, with the remedy.
    """
    arrow = need_parquet()
    parquet = library("pyarrow.parquet", extra="parquet", purpose="Parquet")
    types = {name: arrow.type_for_alias(kind) for name, kind in tables.kinds.items()}
    schema = arrow.schema(list(types.items()))
    with parquet.ParquetWriter(out, schema) as writer:
        for table in tables.pieces():
            columns = [
                arrow.array(_for_arrow(table.columns[name], kind), type=types[name])
                for name, kind in tables.kinds.items()
            ]
            writer.write_table(arrow.table(columns, schema=schema))


def _for_arrow(values: Column, kind: str) -> Any:
    if isinstance(values, np.ndarray):
        return values
    make = str if kind == TEXT else lambda value: value
    return [None if is_missing(value) else make(value) for value in values]


def need_parquet() -> Any:
    """Pyarrow.

    Raises:
        MissingLibraryError: if it is not installed.
    """
    return library("pyarrow", extra="parquet", purpose="Parquet")


def is_missing(value: Any) -> bool:
    """Whether a cell is empty."""
    return value is None or (isinstance(value, float) and math.isnan(value))


# What is text, by the name of the format, piece by piece; Parquet goes to a file of its own.
TEXT_FORMATS: dict[str, Callable[[Tables], Iterator[str]]] = {"csv": csv_text, "json": json_text}
TABLE_FORMATS = (*TEXT_FORMATS, "parquet")
