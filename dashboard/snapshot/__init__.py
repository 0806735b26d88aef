"""Snapshots: pages of a store in one file, which opens from a disk without a server."""

from dashboard.snapshot.choice import Choice, choose
from dashboard.snapshot.contents import PAGES
from dashboard.snapshot.write import MAX_SIZE, Estimate, write_folder, write_snapshot

__all__ = [
    "MAX_SIZE",
    "PAGES",
    "Choice",
    "Estimate",
    "choose",
    "write_folder",
    "write_snapshot",
]
