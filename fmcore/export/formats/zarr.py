"""Zarr version 3: one group for each layer, in chunks and compressed, with named dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fmcore.export.contents import ArraySource, Format
from fmcore.export.formats.npz import by_group
from fmcore.optional import import_optional

CHUNK_BYTES = 4 << 20


def fill(arrays: Mapping[str, ArraySource], folder: Path) -> None:
    """Writes a group of arrays, each in its own default compression."""
    zarr = need_zarr()
    root = zarr.open_group(folder, mode="w", zarr_format=3)
    for name, array in arrays.items():
        row_bytes = max(1, array.nbytes // max(1, array.shape[0]))
        rows = max(1, min(array.shape[0], CHUNK_BYTES // row_bytes))
        stored = root.create_array(
            name,
            shape=array.shape,
            chunks=(rows, *array.shape[1:]),
            dtype=str if array.dtype.kind == "U" else array.dtype,  # which more readers know
            dimension_names=array.axes,
        )
        start = 0
        # Whole chunks at a time: a chunk that is written in two goes is compressed twice.
        kept = np.empty((0, *array.shape[1:]), array.dtype)
        for block in array.blocks():
            kept = np.concatenate([kept, block]) if len(kept) else block
            n_whole = len(kept) // rows * rows
            if n_whole:
                stored[start : start + n_whole] = kept[:n_whole]
                start, kept = start + n_whole, kept[n_whole:]
        if len(kept):
            stored[start:] = kept


def need_zarr() -> Any:
    """Zarr.

    Raises:
        MissingLibraryError: if it is not installed.
    """
    return import_optional("zarr", extra="zarr", purpose="Zarr")


FORMAT = Format(
    "zarr",
    "one Zarr 3 group for each layer, compressed, with named dimensions",
    partial(by_group, ".zarr", fill=fill),
    ("maps", "pooled", "statistics"),
    exact_bytes=False,
    needs=need_zarr,
)
