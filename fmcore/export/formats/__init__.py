"""The formats in which arrays and tables are written: a module each, and here the lists."""

from collections.abc import Callable, Iterator

from fmcore.export.contents import Format, Tables
from fmcore.export.formats import csv, json, npy, npz, parquet, zarr

# The formats of an export, by name.
FORMATS: dict[str, Format] = {
    form.name: form for form in (npy.FORMAT, npz.FORMAT, zarr.FORMAT, parquet.FORMAT, csv.FORMAT)
}
# Formats that write a table as text, piece by piece; Parquet needs a file.
TEXT_FORMATS: dict[str, Callable[[Tables], Iterator[str]]] = {
    "csv": csv.csv_text,
    "json": json.json_text,
}
TABLE_FORMATS = (*TEXT_FORMATS, parquet.FORMAT.name)

__all__ = ["FORMATS", "TABLE_FORMATS", "TEXT_FORMATS"]
