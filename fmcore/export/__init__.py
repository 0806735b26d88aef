"""Arrays and tables out of a store, one file for each format; see `FORMATS`, `TABLE_FORMATS`."""

from fmcore.export.arrays import Pace, of_maps, of_pooled, of_samples
from fmcore.export.contents import Format, Outgoing, Table, Tables
from fmcore.export.folder import export_store
from fmcore.export.formats import FORMATS, TABLE_FORMATS, TEXT_FORMATS
from fmcore.export.formats.csv import no_formula
from fmcore.export.formats.npy import header as npy_header
from fmcore.export.formats.parquet import write_parquet
from fmcore.export.manifest import MANIFEST, check_folder
from fmcore.export.plan import ExportPlan, export_lines, plan_export, size_text
from fmcore.export.resolve import Chosen, choose
from fmcore.export.statistics_table import COLUMNS, tidy
from fmcore.export.tables import maps_table, pooled_table, samples_table

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
