"""Parquet: tables in typed columns, for pandas, R, DuckDB and others."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from fmcore.export.contents import TEXT, Column, Format, Tables, is_missing
from fmcore.optional import import_optional


def write_parquet(tables: Tables, stream: BinaryIO) -> None:
    """Writes a table as a Parquet file; missing values are null.

    Raises:
        MissingLibraryError: if pyarrow is not installed, with the remedy.
    """
    arrow = need_parquet()
    parquet = import_optional("pyarrow.parquet", extra="parquet", purpose="Parquet")
    types = {name: arrow.type_for_alias(kind) for name, kind in tables.kinds.items()}
    schema = arrow.schema(list(types.items()))
    with parquet.ParquetWriter(stream, schema) as writer:
        for table in tables.pieces():
            columns = [
                arrow.array(_arrow_values(table.columns[name], kind), type=types[name])
                for name, kind in tables.kinds.items()
            ]
            writer.write_table(arrow.table(columns, schema=schema))


def _arrow_values(values: Column, kind: str) -> Any:
    if isinstance(values, np.ndarray):
        return values
    convert = str if kind == TEXT else lambda value: value
    return [None if is_missing(value) else convert(value) for value in values]


def need_parquet() -> Any:
    """The pyarrow library.

    Raises:
        MissingLibraryError: if it is not installed.
    """
    return import_optional("pyarrow", extra="parquet", purpose="Parquet")


FORMAT = Format(
    "parquet",
    "one table for each layer, of pooled tables or statistics, one row per observation",
    ("pooled", "statistics"),
    media_type="application/vnd.apache.parquet",
    table_file=write_parquet,
    needs=need_parquet,
)
