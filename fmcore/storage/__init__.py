"""The store: one HDF5 file with every activation of a test set. `FORMAT.md` is its specification.

Only this package and `fmcore.hdf5_guard` import h5py.
"""

from fmcore.storage.chunks.codec import choose
from fmcore.storage.chunks.stored_array import StoredArray, StoredChunk
from fmcore.storage.file.opened import hdf5_version
from fmcore.storage.format.plan import LayerPlan, StorePlan
from fmcore.storage.format.schema import FORMAT, FORMAT_VERSION, SCHEMA
from fmcore.storage.layer import Layer
from fmcore.storage.scoring import recompute, write_scores
from fmcore.storage.shards import UNFINISHED, join_shards, open_shards, partial_folder
from fmcore.storage.store import Store, open_store
from fmcore.storage.validate import problems, problems_apart
from fmcore.storage.writer import StoreWriter, create_store

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "SCHEMA",
    "UNFINISHED",
    "Layer",
    "LayerPlan",
    "Store",
    "StorePlan",
    "StoreWriter",
    "StoredArray",
    "StoredChunk",
    "choose",
    "create_store",
    "hdf5_version",
    "join_shards",
    "open_shards",
    "open_store",
    "partial_folder",
    "problems",
    "problems_apart",
    "recompute",
    "write_scores",
]
