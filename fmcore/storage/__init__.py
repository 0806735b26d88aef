"""The store: one HDF5 file with every activation of a test set. `FORMAT.md` is its specification.

The only code that imports h5py.
"""

from fmcore.storage.reader import Layer, Store, open_store
from fmcore.storage.schema import FORMAT, FORMAT_VERSION, SCHEMA
from fmcore.storage.validate import problems, problems_apart
from fmcore.storage.writer import StorePlan, StoreWriter, create_store

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "SCHEMA",
    "Layer",
    "Store",
    "StorePlan",
    "StoreWriter",
    "create_store",
    "open_store",
    "problems",
    "problems_apart",
]
