"""Exports arrays and tables of a store; the formats are in `FORMATS`."""

from fmcore.export.arrays import Pace, maps_array, pooled_arrays, sample_arrays
from fmcore.export.contents import ArraySource, Format, Table, Tables
from fmcore.export.folder import export_store
from fmcore.export.formats import FORMATS
from fmcore.export.formats.csv import no_formula
from fmcore.export.manifest import MANIFEST, check_folder
from fmcore.export.plan import ExportPlan, export_lines, plan_export
from fmcore.export.resolve import ResolvedQuery, resolve
from fmcore.export.statistics_table import COLUMNS, TABLE_KIND, statistics_table
from fmcore.export.tables import maps_table, pooled_table, samples_table

__all__ = [
    "COLUMNS",
    "FORMATS",
    "MANIFEST",
    "TABLE_KIND",
    "ArraySource",
    "ExportPlan",
    "Format",
    "Pace",
    "ResolvedQuery",
    "Table",
    "Tables",
    "check_folder",
    "export_lines",
    "export_store",
    "maps_array",
    "maps_table",
    "no_formula",
    "plan_export",
    "pooled_arrays",
    "pooled_table",
    "resolve",
    "sample_arrays",
    "samples_table",
    "statistics_table",
]
