"""Raw arrays out of a store, one file for each format; see `FORMATS`."""

from fmcore.export.folder import FORMATS, check_folder, export_store
from fmcore.export.record import Format

__all__ = ["FORMATS", "Format", "check_folder", "export_store"]
