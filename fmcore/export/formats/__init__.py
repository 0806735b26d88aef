"""How arrays and tables are written: a file for each format, and here the lists of them."""

from collections.abc import Callable, Iterator

from fmcore.export.contents import Format, Tables
from fmcore.export.formats import csv, json, npy, npz, parquet, zarr

# What an export may consist of, by the name of the format.
FORMATS: dict[str, Format] = {
    form.name: form for form in (npy.FORMAT, npz.FORMAT, zarr.FORMAT, parquet.FORMAT, csv.FORMAT)
}
# Formats of a table as text, piece by piece; Parquet goes to a file of its own.
TEXT_FORMATS: dict[str, Callable[[Tables], Iterator[str]]] = {
    "csv": csv.csv_text,
    "json": json.json_text,
}
TABLE_FORMATS = (*TEXT_FORMATS, parquet.FORMAT.name)

__all__ = ["FORMATS", "TABLE_FORMATS", "TEXT_FORMATS"]
