"""Parquet: tables in typed columns, for pandas, R, DuckDB and others."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from fmcore.export.contents import TEXT, Coded, Column, Format, Tables, is_missing
from fmcore.optional import import_optional


def write_parquet(tables: Tables, stream: BinaryIO) -> None:
    """Writes a table as a Parquet file; missing values are null.

    Raises:
        MissingLibraryError: if pyarrow is not installed, with the remedy.
    """
    arrow = need_parquet()
    parquet = import_optional("pyarrow.parquet", extra="parquet", purpose="Parquet")
    schema = arrow.schema(
        [(name, arrow.type_for_alias(kind)) for name, kind in tables.kinds.items()]
    )
    with parquet.ParquetWriter(stream, schema) as writer:
        for table in tables.pieces():
            columns = [
                _arrow_column(arrow, table.columns[name], kind, null=tables.nan_is_missing)
                for name, kind in tables.kinds.items()
            ]
            writer.write_table(arrow.table(columns, schema=schema))


def _arrow_column(arrow: Any, values: Column, kind: str, *, null: bool) -> Any:
    """A column of arrow's; `null`: whether NaN among numbers becomes null."""
    form = arrow.type_for_alias(kind)
    if isinstance(values, np.ndarray) and kind != TEXT:
        numbers = values.astype(kind)
        mask = np.isnan(numbers) if null and numbers.dtype.kind == "f" else None
        return arrow.array(numbers, type=form, mask=mask)
    convert = str if kind == TEXT else lambda value: value
    different = values.values if isinstance(values, Coded) else list(values)
    cells = [None if is_missing(value) else convert(value) for value in different]
    column = arrow.array(cells, type=form)
    return column.take(arrow.array(values.codes)) if isinstance(values, Coded) else column


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
