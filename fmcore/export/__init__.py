"""Arrays and tables out of a store, one file for each format; see `FORMATS`, `TABLE_FORMATS`."""

from fmcore.export.chosen import Chosen, choose
from fmcore.export.folder import export_store
from fmcore.export.manifest import MANIFEST, check_folder
from fmcore.export.npy import header as npy_header
from fmcore.export.observations import maps_table, pooled_table, samples_table
from fmcore.export.outgoing import Pace, of_maps, of_pooled, of_samples
from fmcore.export.plan import FORMATS, ExportPlan, export_lines, plan_export, size_text
from fmcore.export.record import Format, Outgoing
from fmcore.export.tables import (
    TABLE_FORMATS,
    TEXT_FORMATS,
    Table,
    Tables,
    no_formula,
    write_parquet,
)
from fmcore.export.tidy import COLUMNS, tidy

__all__ = [
    "COLUMNS",
    "FORMATS",
    "MANIFEST",
    "TABLE_FORMATS",
    "TEXT_FORMATS",
    "Chosen",
    "ExportPlan",
    "Format",
    "Outgoing",
    "Pace",
    "Table",
    "Tables",
    "check_folder",
    "choose",
    "export_lines",
    "export_store",
    "maps_table",
    "no_formula",
    "npy_header",
    "of_maps",
    "of_pooled",
    "of_samples",
    "plan_export",
    "pooled_table",
    "samples_table",
    "size_text",
    "tidy",
    "write_parquet",
]
