"""Collects the rows of one array until they fill chunks, then writes the chunks."""

from __future__ import annotations

import math
from array import array as array_of
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.storage.chunks.grid import Blocks, block_runs, run_length
from fmcore.storage.codec import Codec, decode, encode_together
from fmcore.storage.file.nodes import read_chunk, write_chunk


class ChunkRun(NamedTuple):
    """Consecutive chunks of one array, encoded as they will lie in the file.

    Attributes:
        corner: where the first chunk begins in the array.
        data: the bytes of the chunks, back to back.
        sizes: the number of bytes of each chunk.
    """

    corner: tuple[int, ...]
    data: bytes | memoryview
    sizes: list[int]


def encode_run(blocks: Blocks, codec: Codec) -> ChunkRun:
    """Encodes consecutive chunks, at least one, as a run."""
    corner, values = blocks
    return ChunkRun(corner, *encode_together(values, codec))


class ChunkBuffer:
    """The rows of one array with a sample axis that are still to be written.

    Attributes:
        array: the HDF5 array that gets the rows.
        codec: how its chunks are made.
        run_length: how many chunks HDF5 gets as one, at most.
        n_rows: number of rows that were returned as blocks.
        n_waiting: number of rows after these, which do not fill a chunk yet.
        has_runs: whether HDF5 got several chunks as one.
    """

    def __init__(self, array: h5py.Dataset, codec: Codec, *, in_runs: bool = True) -> None:
        self.array = array
        self.codec = codec
        chunk_bytes = math.prod(array.chunks) * array.dtype.itemsize
        self.run_length = run_length(chunk_bytes) if in_runs else 1
        self.n_rows = self.n_waiting = 0
        self.has_runs = False
        self._sizes = array_of("q")
        self._waiting: list[NDArray[Any]] = []

    def add(self, values: NDArray[Any]) -> list[Blocks]:
        """Adds rows and returns the chunks that they complete."""
        self._waiting.append(values)
        self.n_waiting += len(values)
        rows = self.array.chunks[0]
        return self._cut(self.n_waiting // rows * rows)

    def flush(self) -> list[Blocks]:
        """Returns the last rows as a chunk, full or not."""
        return self._cut(self.n_waiting)

    def put(self, run: ChunkRun) -> None:
        """Writes the chunks of a run; the runs of an array must come in the order of its rows."""
        write_chunk(self.array, run.corner, run.data)
        self._sizes.extend(run.sizes)
        self.has_runs |= len(run.sizes) > 1

    def place_of(self, corner: tuple[int, ...]) -> int:
        """Where a chunk that was put lies in the file, by where it begins in the array."""
        return int(self.array.id.get_chunk_info_by_coord(corner).byte_offset)

    def next_run(self, data: bytes | memoryview, sizes: list[int]) -> ChunkRun:
        """The run of the chunks that come next, with the bytes of them all."""
        shape, chunk = self.array.shape, self.array.chunks
        grid = [-(-size // step) for size, step in zip(shape, chunk, strict=True)]
        places = np.unravel_index(len(self._sizes), grid)
        corner = tuple(int(place) * step for place, step in zip(places, chunk, strict=True))
        return ChunkRun(corner, data, sizes)

    def skip(self, n_chunks: int) -> None:
        """Counts the rows of whole chunks that were put without having been rows here."""
        across = zip(self.array.shape[1:], self.array.chunks[1:], strict=True)
        n_across = math.prod(-(-size // step) for size, step in across)
        self.n_rows += n_chunks // n_across * self.array.chunks[0]

    def read(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Reads a part of what was written to an array whose chunks are whole rows.

        Raises:
            ValueError: if a chunk is not read back as it was written.
        """
        (n_rows, n_columns), step = self.array.shape, self.array.chunks[0]
        start, stop, _ = rows.indices(n_rows)
        out = np.empty((stop - start, len(range(n_columns)[columns])), self.array.dtype)
        for first in range(start // step * step, stop, step):
            data = read_chunk(self.array, (first, 0))
            values = decode(data, self.array.dtype, self.array.chunks, self.codec)
            low, high = max(start, first), min(stop, first + step)
            out[low - start : high - start] = values[low - first : high - first, columns]
        return out

    @property
    def sizes(self) -> NDArray[np.int64]:
        """The size in bytes of each chunk that was written, <int64>[chunk]."""
        return np.array(self._sizes, np.int64)

    @property
    def waiting(self) -> NDArray[Any]:
        """The rows that do not fill a chunk yet, [row, ...]."""
        if not self._waiting:
            return np.empty((0, *self.array.shape[1:]), self.array.dtype)
        return np.concatenate(self._waiting)

    def resume(self, n_rows: int, waiting: NDArray[Any]) -> None:
        """Goes on behind rows whose chunks were put, and rows that wait."""
        self.n_rows, self.n_waiting = n_rows, len(waiting)
        self._waiting = [waiting] if len(waiting) else []

    def _cut(self, n_rows: int) -> list[Blocks]:
        if not n_rows:
            return []
        rows = np.concatenate(self._waiting) if len(self._waiting) > 1 else self._waiting[0]
        runs = list(block_runs(rows[:n_rows], self.array.chunks, self.n_rows, self.run_length))
        self.n_rows += n_rows
        self.n_waiting -= n_rows
        # A copy: waiting rows must not keep the batch they came from in memory.
        self._waiting = [rows[n_rows:].copy()] if self.n_waiting else []
        return runs
