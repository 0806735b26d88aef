"""The formats in which arrays and tables are written: a module each, and here the list."""

from fmcore.export.contents import Format
from fmcore.export.formats import csv, json, npy, npz, parquet, zarr

# The formats of exports, tables and the HTTP API, by name, in the order in which people see them.
FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        npy.FORMAT,
        npz.FORMAT,
        zarr.FORMAT,
        csv.FORMAT,
        json.FORMAT,
        parquet.FORMAT,
    )
}

__all__ = ["FORMATS"]
