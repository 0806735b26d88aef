"""Arrays whose chunks lie in the shards of a store: which they are, and where each chunk lies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import StoreError
from fmcore.storage.chunks.stored_array import ChunkIndex, are_sane
from fmcore.storage.codec import Codec
from fmcore.storage.file.shard_bytes import ShardedBytes
from fmcore.storage.file.shard_table import ShardedArray, ShardTable


@dataclass(frozen=True, slots=True)
class ShardRows:
    """How the samples of a store are shared out to its shards.

    Attributes:
        n_samples: the number of samples of each shard, in order.
    """

    n_samples: Sequence[int]

    def hold_chunks(self, shape: tuple[int, ...], chunk: tuple[int, ...]) -> bool:
        """Whether the chunks of an array can stay in the shards: no chunk is in two of them.

        Columns with one number for each sample never do: they are small, and read as a whole.

        Args:
            shape: the shape of the array in the whole store.
            chunk: the shape of its chunks.
        """
        *others, last = self.n_samples
        # The last shard has whole chunks, or its chunks would have another shape.
        return len(shape) > 1 and math.gcd(*others) % chunk[0] == 0 and last >= chunk[0]


@dataclass(slots=True, eq=False)
class ShardedRows:
    """An array of a new store, whose chunks stay in the shards that have them.

    Attributes:
        path: its path.
        shape: its shape in the whole store.
        chunk: the shape of a chunk.
        dtype: the type of a value.
        codec: how its chunks are made.
        n_rows: the number of rows that the shards so far have.
        offsets: for each shard, where its chunks lie in it, <int64>[chunk].
        sizes: for each shard, the bytes of its chunks, <int32>[chunk].
    """

    path: str
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    dtype: np.dtype[Any]
    codec: Codec
    n_rows: int = 0
    offsets: list[NDArray[np.int64]] = field(default_factory=list)
    sizes: list[NDArray[np.int32]] = field(default_factory=list)

    def add(self, index: ChunkIndex) -> None:
        """Takes in the chunks of the array in the next shard.

        Raises:
            StoreError: if they cannot be chunks of the whole.
        """
        expected = self.chunk, self.dtype, self.codec, self.shape[1:]
        if (index.chunk, index.dtype, index.codec, index.shape[1:]) != expected:
            raise StoreError(
                f"{index.file.path} is no shard of this store: {index.name} has chunks of "
                f"{index.chunk} {index.dtype} ({index.codec.name}), expected {self.chunk} "
                f"{self.dtype} ({self.codec.name}); capture it again"
            )
        self.n_rows += index.shape[0]
        self.offsets.append(index.offsets.ravel())
        self.sizes.append(index.sizes.ravel().astype("<i4"))

    def stated(self, first_chunk: int) -> ShardedArray:
        """What the store states of the array."""
        n_bytes = sum(int(sizes.sum(dtype=np.int64)) for sizes in self.sizes)
        return ShardedArray(
            self.path,
            self.shape,
            self.chunk,
            self.dtype.name,
            self.codec.name,
            first_chunk,
            n_bytes,
        )


def sharded_index(
    file: ShardedBytes,
    array: ShardedArray,
    table: ShardTable,
    offsets: NDArray[np.int64],
    sizes: NDArray[np.int32],
) -> ChunkIndex:
    """Where the chunks of an array lie in the bytes of all shards.

    Args:
        file: the bytes of the shards.
        array: what the store states of the array.
        table: the shards.
        offsets: where each of its chunks lies in its shard, <int64>[chunk].
        sizes: the bytes of each, <int32>[chunk].

    Raises:
        StoreError: if a chunk does not lie in its shard.
    """
    dtype, grid, shards = np.dtype(array.dtype), array.grid, table.shards
    per_row = math.prod(grid[1:])
    n_chunks = [-(-shard.n_samples // array.chunk[0]) * per_row for shard in shards]
    ends = np.repeat([shard.n_bytes for shard in shards], n_chunks)
    whole_sizes = sizes.astype(np.int64)
    sane = are_sane(offsets, whole_sizes, ends, math.prod(array.chunk) * dtype.itemsize)
    if not sane.all():
        row = int(np.argmin(sane)) // per_row * array.chunk[0]
        raise StoreError(f"/{array.path} has a damaged index of its chunks: sample {row}")
    return ChunkIndex(
        file,
        f"/{array.path}",
        array.shape,
        array.chunk,
        dtype,
        array.chunk_codec,
        (offsets + np.repeat(file.starts, n_chunks)).reshape(grid),
        whole_sizes.reshape(grid),
        by_sample=True,
    )
