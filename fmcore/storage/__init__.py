"""The store: one HDF5 file with every activation of a test set. `FORMAT.md` is its specification.

Only this package and `fmcore.hdf5_guard` import h5py.
"""

from fmcore.storage.ablations import (
    Ablation,
    AblationFacts,
    LayerAblation,
    ablation_path,
    open_ablation,
    refuse_existing_ablation,
    write_ablation,
)
from fmcore.storage.checkpoints import Checkpoints, open_checkpoints
from fmcore.storage.chunks.stored_array import StoredArray, StoredChunk
from fmcore.storage.codec import choose, deflate
from fmcore.storage.contrasts import Samples, as_mask, check_by, layer_ranks
from fmcore.storage.file.kind import STORE_KIND
from fmcore.storage.file.opened import hdf5_version
from fmcore.storage.file.raw_bytes import FileBytes, real_path
from fmcore.storage.file.shard_table import SHARDS_FOLDER, bytes_of_store
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
from fmcore.storage.inspection import damage_text, inspect_store, opened_apart
from fmcore.storage.layer import Layer
from fmcore.storage.sample_maps import (
    UmapMap,
    nearest_samples,
    outlying_samples,
    project_samples,
    read_umap,
    refuse_existing_umap,
    umap_key,
    umap_path,
    umap_samples,
    write_umap,
)
from fmcore.storage.sample_tables import SampleTable, TableOf, sample_space, sample_table
from fmcore.storage.scoring import ScoredTruth, recompute, write_scores
from fmcore.storage.store import Store, open_store
from fmcore.storage.summaries import LayerSummary, layer_basis, layer_summary
from fmcore.storage.unfinished import UNFINISHED, partial_folder
from fmcore.storage.validate import problems, problems_apart
from fmcore.storage.writer import Encoded, LayerWriter, StoreWriter, create_store

__all__ = [
    "ARRAYS",
    "FORMAT",
    "FORMAT_VERSION",
    "SAMPLES",
    "SCHEMA",
    "SHARDS_FOLDER",
    "STORE_KIND",
    "TABLES",
    "UNFINISHED",
    "Ablation",
    "AblationFacts",
    "ArraySpec",
    "Checkpoints",
    "Encoded",
    "FileBytes",
    "Layer",
    "LayerAblation",
    "LayerPlan",
    "LayerSummary",
    "LayerWriter",
    "SampleTable",
    "Samples",
    "ScoredTruth",
    "Store",
    "StorePlan",
    "StoreWriter",
    "StoredArray",
    "StoredChunk",
    "TableOf",
    "UmapMap",
    "ablation_path",
    "array_path",
    "as_mask",
    "bytes_of_store",
    "check_by",
    "choose",
    "create_store",
    "damage_text",
    "deflate",
    "hdf5_version",
    "inspect_store",
    "layer_basis",
    "layer_path",
    "layer_ranks",
    "layer_summary",
    "nearest_samples",
    "open_ablation",
    "open_checkpoints",
    "open_store",
    "opened_apart",
    "outlying_samples",
    "partial_folder",
    "problems",
    "problems_apart",
    "project_samples",
    "read_umap",
    "real_path",
    "recompute",
    "refuse_existing_ablation",
    "refuse_existing_umap",
    "sample_space",
    "sample_table",
    "statistic_path",
    "umap_key",
    "umap_path",
    "umap_samples",
    "write_ablation",
    "write_scores",
    "write_umap",
]
