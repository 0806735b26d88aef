"""Arrays and tables out of a store, one file for each format; see `FORMATS`, `TABLE_FORMATS`."""

from fmcore.export.folder import FORMATS, check_folder, export_store
from fmcore.export.record import Format
from fmcore.export.tidy import COLUMNS, Table, tidy
from fmcore.export.tidy_formats import TABLE_FORMATS, TEXT_FORMATS, write_parquet

__all__ = [
    "COLUMNS",
    "FORMATS",
    "TABLE_FORMATS",
    "TEXT_FORMATS",
    "Format",
    "Table",
    "check_folder",
    "export_store",
    "tidy",
    "write_parquet",
]
