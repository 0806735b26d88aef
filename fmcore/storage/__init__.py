"""The store: one HDF5 file with every activation of a test set. `FORMAT.md` is its specification.

Only this package and `fmcore.hdf5_guard` import h5py.
"""

from fmcore.storage.checkpoints import UNFINISHED, Checkpoints, open_checkpoints, partial_folder
from fmcore.storage.chunks.stored_array import StoredArray, StoredChunk
from fmcore.storage.codec import choose, deflate
from fmcore.storage.file.kind import STORE_KIND
from fmcore.storage.file.opened import hdf5_version
from fmcore.storage.file.raw_bytes import FileBytes, real_path
from fmcore.storage.format.plan import LayerPlan, StorePlan
from fmcore.storage.format.schema import (
    ARRAYS,
    FORMAT,
    FORMAT_VERSION,
    SAMPLES,
    SCHEMA,
    TABLES,
    ArraySpec,
    array_path,
    layer_path,
    statistic_path,
)
from fmcore.storage.inspection import bounds_for, damage_text, inspect_store, opened_apart
from fmcore.storage.layer import Layer
from fmcore.storage.scoring import ScoredTruth, recompute, write_scores
from fmcore.storage.store import Store, open_store
from fmcore.storage.validate import problems, problems_apart
from fmcore.storage.writer import Encoded, LayerWriter, StoreWriter, create_store

__all__ = [
    "ARRAYS",
    "FORMAT",
    "FORMAT_VERSION",
    "SAMPLES",
    "SCHEMA",
    "STORE_KIND",
    "TABLES",
    "UNFINISHED",
    "ArraySpec",
    "Checkpoints",
    "Encoded",
    "FileBytes",
    "Layer",
    "LayerPlan",
    "LayerWriter",
    "ScoredTruth",
    "Store",
    "StorePlan",
    "StoreWriter",
    "StoredArray",
    "StoredChunk",
    "array_path",
    "bounds_for",
    "choose",
    "create_store",
    "damage_text",
    "deflate",
    "hdf5_version",
    "inspect_store",
    "layer_path",
    "open_checkpoints",
    "open_store",
    "opened_apart",
    "partial_folder",
    "problems",
    "problems_apart",
    "real_path",
    "recompute",
    "statistic_path",
    "write_scores",
]
