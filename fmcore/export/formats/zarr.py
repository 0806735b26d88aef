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
    """Fills a folder with a Zarr group of arrays, each with Zarr's default compression."""
    zarr = need_zarr()
    root = zarr.open_group(folder, mode="w", zarr_format=3)
    for name, array in arrays.items():
        row_bytes = max(1, array.nbytes // max(1, array.shape[0]))
        rows = max(1, min(array.shape[0], CHUNK_BYTES // row_bytes))
        stored = root.create_array(
            name,
            shape=array.shape,
            chunks=(rows, *array.shape[1:]),
            dtype=str if array.dtype.kind == "U" else array.dtype,  # more readers know it
            dimension_names=array.axes,
        )
        start = 0
        # Whole chunks at a time: a chunk that is written in two steps is compressed twice.
        buffer = np.empty((0, *array.shape[1:]), array.dtype)
        for block in array.blocks():
            buffer = np.concatenate([buffer, block]) if len(buffer) else block
            n_whole = len(buffer) // rows * rows
            if n_whole:
                stored[start : start + n_whole] = buffer[:n_whole]
                start, buffer = start + n_whole, buffer[n_whole:]
        if len(buffer):
            stored[start:] = buffer


def need_zarr() -> Any:
    """The zarr library.

    Raises:
        MissingLibraryError: if it is not installed.
    """
    return import_optional("zarr", extra="zarr", purpose="Zarr")


FORMAT = Format(
    "zarr",
    "one Zarr 3 group for each layer, compressed, with named dimensions",
    ("maps", "pooled", "statistics"),
    array_parts=partial(by_group, ".zarr", fill=fill),
    needs=need_zarr,
)
