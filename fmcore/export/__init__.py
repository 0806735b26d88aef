"""Exports arrays and tables of a store; the formats are in `FORMATS`."""

from fmcore.export.ablation_table import ABLATION_TABLE, ablation_table
from fmcore.export.arrays import Pace, maps_array, pooled_arrays, sample_arrays
from fmcore.export.contents import ArraySource, Format, Table, Tables
from fmcore.export.contrast_table import CONTRAST_TABLE, contrast_table
from fmcore.export.costs import ChosenCosts, chosen_costs
from fmcore.export.folder import export_store
from fmcore.export.formats import FORMATS
from fmcore.export.formats.csv import no_formula
from fmcore.export.manifest import MANIFEST, check_folder
from fmcore.export.plan import ExportPlan, export_lines, plan_export
from fmcore.export.resolve import ResolvedQuery, resolve
from fmcore.export.statistics_table import (
    COLUMNS,
    TABLE_KIND,
    Reasons,
    statistics_table,
    why_missing,
)
from fmcore.export.tables import maps_table, pooled_table, samples_table

__all__ = [
    "ABLATION_TABLE",
    "COLUMNS",
    "CONTRAST_TABLE",
    "FORMATS",
    "MANIFEST",
    "TABLE_KIND",
    "ArraySource",
    "ChosenCosts",
    "ExportPlan",
    "Format",
    "Pace",
    "Reasons",
    "ResolvedQuery",
    "Table",
    "Tables",
    "ablation_table",
    "check_folder",
    "chosen_costs",
    "contrast_table",
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
    "why_missing",
]
