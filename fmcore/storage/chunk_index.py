"""Asks HDF5 where the chunks of an array lie, and holds what it says against the file."""

from __future__ import annotations

import math
from array import array as array_of

import h5py
import numpy as np

from fmcore.errors import StoreError
from fmcore.storage import codec
from fmcore.storage.chunks import LARGEST_CHUNK_BYTES, ChunkIndex
from fmcore.storage.walk import address_of


def index_of(array: h5py.Dataset, file_size: int) -> ChunkIndex:
    """The index of an array, every entry within the file.

    Raises:
        StoreError: if it is no index of a whole array of ours.
    """
    name, chunk, found = array.name, array.chunks, codec.codec_of(array)
    if chunk is None or found is None:
        raise StoreError(f"{name} is not in chunks with filters that this format has")
    nbytes = math.prod(chunk) * array.dtype.itemsize
    if nbytes > LARGEST_CHUNK_BYTES:
        raise StoreError(f"{name} has chunks of shape {chunk}, larger than any of ours")
    grid = tuple(-(-size // step) for size, step in zip(array.shape, chunk, strict=True))
    stored = array.id.get_num_chunks()
    if stored != math.prod(grid):  # also before a table of that size is made
        raise StoreError(
            f"{name} has {stored:,} chunks of the {math.prod(grid):,} that its shape needs"
        )
    told = array_of("q")  # a list of what HDF5 tells would take 300 bytes for each chunk
    array.id.chunk_iter(
        lambda one: told.extend(
            (*one.chunk_offset, one.byte_offset or -1, one.size, one.filter_mask)
        )
    )
    entries = np.array(told, np.int64).reshape(-1, len(grid) + 3)
    corners, numbers = entries[:, : len(grid)], entries[:, len(grid) :]
    places = corners // np.array(chunk)
    # What deflate cannot shrink grows by a few bytes in a thousand.
    sane = (numbers[:, 0] >= 0) & (numbers[:, 0] + numbers[:, 1] <= file_size)
    sane &= (numbers[:, 1] > codec.CHECKSUM_BYTES) & (numbers[:, 1] <= nbytes * 1.01 + 1024)
    sane &= (numbers[:, 2] == 0) & (places >= 0).all(axis=1) & (places < grid).all(axis=1)
    offsets, sizes = np.full(grid, -1, np.int64), np.zeros(grid, np.int64)
    if sane.all():
        offsets[tuple(places.T)], sizes[tuple(places.T)] = numbers[:, 0], numbers[:, 1]
    if not sane.all() or (offsets < 0).any():
        where = entries[np.argmin(sane)] if not sane.all() else "a chunk is listed twice"
        raise StoreError(f"{name} has a damaged index of its chunks: {where}")
    scales = array.dims[0]
    # By its address: HDF5 would look through the whole file for the name of a scale.
    samples = array.file.get("sample")
    by_sample = (
        len(scales) > 0 and samples is not None and (address_of(scales[0]) == address_of(samples))
    )
    return ChunkIndex(name, array.shape, chunk, array.dtype, found, offsets, sizes, by_sample)
