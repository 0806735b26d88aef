"""Tables as files: pooled tables and statistics in Parquet, these and maps in CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import BinaryIO

from fmcore.export.record import Format, Group, Part
from fmcore.export.tables import Tables, csv_text, need_parquet, write_parquet


def write_csv(tables: Tables, stream: BinaryIO) -> None:
    """Writes UTF-8 text."""
    for text in csv_text(tables):
        stream.write(text.encode())


def _parts(
    write: Callable[[Tables, BinaryIO], None], suffix: str, groups: Sequence[Group]
) -> list[Part]:
    return [
        Part(f"{stem}{suffix}", {}, tables.nbytes, write=partial(write, tables), notes=tables.notes)
        for group in groups
        for stem, tables in group.tables.items()
    ]


CSV = Format(
    "csv",
    "one table for each layer as text, a row an observation",
    partial(_parts, write_csv, ".csv"),
    ("maps", "pooled", "statistics"),
)
PARQUET = Format(
    "parquet",
    "one table for each layer, of pooled tables or statistics, a row an observation",
    partial(_parts, write_parquet, ".parquet"),
    ("pooled", "statistics"),
    need_parquet,
)
