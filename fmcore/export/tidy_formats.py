"""Writes tidy tables as CSV, JSON or Parquet, a table at a time."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TextIO

from fmcore.errors import FmcoreError
from fmcore.export.tidy import COLUMNS, Table


def write_csv(tables: Iterable[Table], out: TextIO) -> None:
    """A header and one line a value; an empty field where there is none."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for table in tables:
        writer.writerows(
            ["" if _is_missing(value) else value for value in row] for row in table.rows()
        )


def write_json(tables: Iterable[Table], out: TextIO) -> None:
    """An array of objects; null where there is no value, and where it is not finite."""
    out.write("[")
    separator = "\n"
    for table in tables:
        for row in table.rows():
            known = {
                name: None if isinstance(value, float) and not math.isfinite(value) else value
                for name, value in zip(COLUMNS, row, strict=True)
            }
            out.write(separator + json.dumps(known, ensure_ascii=False))
            separator = ",\n"
    out.write("\n]\n")


def write_parquet(tables: Iterable[Table], path: Path) -> None:
    """A Parquet file; missing values are null.

    Raises:
        FmcoreError: if pyarrow is not installed, with the remedy.
    """
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise FmcoreError(
            f"Parquet needs pyarrow ({error}); pip install 'feature-map-dashboard[parquet]', or "
            "choose --format csv or json"
        ) from error
    numbers = {"filter": arrow.int64(), "n": arrow.int64()}
    numbers |= dict.fromkeys(("value", "chance_low", "chance_high"), arrow.float64())
    schema = arrow.schema([(name, numbers.get(name, arrow.string())) for name in COLUMNS])
    with parquet.ParquetWriter(path, schema) as writer:
        for table in tables:
            columns = {
                name: [
                    None if _is_missing(value) else (value if name in numbers else str(value))
                    for value in table.columns[name]
                ]
                for name in COLUMNS
            }
            writer.write_table(arrow.table(columns, schema=schema))


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


# What is written to text, by the name of the format; Parquet goes to a file of its own.
TEXT_FORMATS: dict[str, Callable[[Iterable[Table], TextIO], None]] = {
    "csv": write_csv,
    "json": write_json,
}
TABLE_FORMATS = (*TEXT_FORMATS, "parquet")
