"""Where the chunks of an array lie in the file, and reading them without HDF5 and its lock."""

from __future__ import annotations

import itertools
import math
import os
from array import array as array_of
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.errors import StoreError
from fmcore.selection import Picks
from fmcore.storage.chunks import codec
from fmcore.storage.chunks.codec import CHECKSUM_BYTES
from fmcore.storage.chunks.grid import ChunkSlice, chunk_slices, copy_slice
from fmcore.storage.chunks.index_patch import ChunkRun, run_length
from fmcore.storage.file.nodes import address_of, codec_of
from fmcore.storage.file.raw_bytes import FileBytes
from fmcore.storage.format.chunk_shape import LARGEST_CHUNK_BYTES
from fmcore.storage.format.schema import Codec

LARGEST_POOL = 4


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """One chunk as it lies in the file, its checksum verified and stripped.

    Attributes:
        corner: index of its first value in the array.
        shape: of the whole chunk; at the edge of the array it reaches beyond.
        dtype: numpy's name of the stored type.
        codec: `none`, `deflate` (a zlib stream) or `shuffle+deflate`.
        data: the bytes, not inflated.
    """

    corner: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: str
    codec: str
    data: bytes


@dataclass(frozen=True, slots=True, eq=False)
class ChunkIndex:
    """Where the chunks of one array lie.

    Attributes:
        name: the array's path in the store.
        shape: of the array.
        chunk: of one chunk.
        dtype: of a value.
        codec: how the chunks are made.
        offsets: where each begins in the file, <int64>[chunk grid].
        sizes: its bytes there, <int64>[chunk grid].
        by_sample: whether the first axis is that of the samples, for messages.
    """

    name: str
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    dtype: np.dtype[Any]
    codec: Codec
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    by_sample: bool

    def rows_of(self, first: int, last: int) -> str:
        """The rows of some chunks along the first axis, in words."""
        start, end = first * self.chunk[0], min((last + 1) * self.chunk[0], self.shape[0]) - 1
        if start == end:
            return f"{'sample' if self.by_sample else 'index'} {start}"
        return f"{'samples' if self.by_sample else 'indices'} {start} to {end}"

    def stored(self, file: FileBytes, position: tuple[int, ...]) -> bytes:
        """The bytes of a chunk with their checksum, as they lie in the file.

        Raises:
            OSError: if the disk refuses.
            ValueError: if the file ends before.
        """
        size = int(self.sizes[position])
        data = file.read(int(self.offsets[position]), size)
        if len(data) != size:
            raise ValueError(f"{len(data):,} bytes there, expected {size:,}")
        return data

    def decoded(self, file: FileBytes, position: tuple[int, ...]) -> NDArray[Any]:
        """The values of a whole chunk, [chunk].

        Raises:
            OSError: if the disk refuses.
            ValueError: if the chunk is damaged.
        """
        return codec.decode(self.stored(file, position), self.dtype, self.chunk, self.codec)

    def raw(self, file: FileBytes, position: tuple[int, ...]) -> StoredChunk:
        """A chunk as it is, its checksum verified and stripped.

        Raises:
            StoreError: if it is damaged, naming array and samples.
        """
        try:
            data = codec.verified(self.stored(file, position))
        except (OSError, ValueError) as error:
            raise self._damage(file, position, error) from error
        corner = tuple(place * step for place, step in zip(position, self.chunk, strict=True))
        return StoredChunk(corner, self.chunk, self.dtype.name, self.codec.name, data)

    def raw_now(self, file: FileBytes, position: tuple[int, ...]) -> bytes | None:
        """The data of `raw` if they are in memory already and whole; else None, and `raw` says."""
        data = file.read_now(int(self.offsets[position]), int(self.sizes[position]))
        try:
            return None if data is None else codec.verified(data)
        except ValueError:
            return None

    def only_chunk(self, picks: Sequence[Picks]) -> tuple[int, ...] | None:
        """The chunk whose values are exactly what is picked, in the same order; else None."""
        place = []
        for pick, step, size in zip(picks, self.chunk, self.shape, strict=True):
            whole = isinstance(pick, range) and pick.step == 1 and len(pick) == step
            if not whole or pick.start % step or pick.stop > size:  # type: ignore[union-attr]
                return None
            place.append(pick.start // step)  # type: ignore[union-attr]
        return tuple(place)

    def values(self, file: FileBytes, position: tuple[int, ...]) -> NDArray[Any]:
        """The values of a whole chunk, [chunk].

        Raises:
            StoreError: if it is damaged, naming array and samples.
        """
        try:
            return self.decoded(file, position)
        except (OSError, ValueError) as error:
            raise self._damage(file, position, error) from error

    def runs(self, file: FileBytes, stop: int, first_row: int, most: int) -> Iterator[ChunkRun]:
        """The chunks of the rows before `stop`, as they lie and verified, for another array.

        Args:
            file: the file of the index.
            stop: a row on the boundary of a chunk, or the end.
            first_row: where the other array takes the first row.
            most: chunks of a run.

        Raises:
            StoreError: if a chunk is damaged, naming array and samples.
        """
        positions = self.positions(0, stop)
        while some := list(itertools.islice(positions, most)):
            chunks = [self._whole(file, position) for position in some]
            if (bad := codec.first_damaged(chunks)) is not None:
                raise self._damage(file, some[bad], "its checksum does not fit")
            row, *rest = (place * step for place, step in zip(some[0], self.chunk, strict=True))
            yield ChunkRun(
                (first_row + row, *rest), b"".join(chunks), [len(chunk) for chunk in chunks]
            )

    def _whole(self, file: FileBytes, position: tuple[int, ...]) -> bytes:
        try:
            return self.stored(file, position)
        except (OSError, ValueError) as error:
            raise self._damage(file, position, error) from error

    def positions(self, start: int, stop: int) -> Iterator[tuple[int, ...]]:
        """The chunks, by their place in the grid, that hold some rows."""
        first, last = start // self.chunk[0], -(-stop // self.chunk[0])
        return itertools.product(range(first, last), *map(range, self.offsets.shape[1:]))

    def row(self, file: FileBytes, index: int) -> NDArray[Any]:
        """One row, its chunks decoded in this thread, [...].

        Raises:
            StoreError: if a chunk is damaged.
        """
        if math.prod(self.offsets.shape[1:]) > 1:
            return self.rows(file, index, index + 1)[0]
        place, offset = divmod(index, self.chunk[0])
        whole = self.values(file, (place, *[0] * (len(self.shape) - 1)))
        # A copy where the chunk holds more rows: one row must not keep them all in memory.
        return whole[0] if self.chunk[0] == 1 else whole[offset].copy()

    def rows(self, file: FileBytes, start: int, stop: int) -> NDArray[Any]:
        """Some rows, [row, ...]; many chunks are decoded by several threads.

        Args:
            file: the file of the index.
            start: the first row.
            stop: after the last; cut at the end of the array.

        Raises:
            StoreError: if a chunk is damaged.
        """
        stop = max(start, min(stop, self.shape[0]))
        return self.outer(file, [range(start, stop), *map(range, self.shape[1:])])

    def outer(
        self, file: FileBytes, picks: Sequence[Picks], *, threads: int = LARGEST_POOL
    ) -> NDArray[Any]:
        """What some indices of each axis have in common; only the chunks that hold it are read.

        Args:
            file: the file of the index.
            picks: for each axis, indices that it has.
            threads: how many decode, where there are many chunks.

        Raises:
            StoreError: if a chunk is damaged.
        """
        out = np.empty(tuple(map(len, picks)), self.dtype)
        axes = [chunk_slices(some, step) for some, step in zip(picks, self.chunk, strict=True)]
        found = itertools.product(*axes)

        def fill(some: Sequence[tuple[ChunkSlice, ...]]) -> None:
            found = [tuple(zip(*each, strict=True)) for each in some]
            chunks = self._many(file, [place for place, _, _ in found])
            for (_, in_chunk, in_result), chunk in zip(found, chunks, strict=True):
                copy_slice(out, in_result, chunk, in_chunk)

        # A task for each chunk would spend as long on hand-over as on inflating.
        per_task = run_length(math.prod(self.chunk) * self.dtype.itemsize)
        n_tasks = -(-math.prod(map(len, axes)) // per_task)
        tasks = (list(itertools.islice(found, per_task)) for _ in range(n_tasks))
        threads = min(threads, os.cpu_count() or 1, n_tasks)
        if threads <= 1:
            for task in tasks:
                fill(task)
            return out
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(fill, tasks):
                pass
        return out

    def _many(
        self, file: FileBytes, positions: Sequence[tuple[int, ...]]
    ) -> Iterator[NDArray[Any]]:
        """The values of whole chunks; those that lie back to back are read and checked at once.

        One by one, 20,000 chunks cost two threads 1.4 s, for they wait for each other's GIL; so,
        0.95 s.

        Raises:
            StoreError: if a chunk is damaged, naming array and samples.
        """
        where = tuple(np.array(positions).T)
        starts, sizes = self.offsets[where], self.sizes[where]
        breaks = np.flatnonzero(starts[1:] != (starts + sizes)[:-1]) + 1
        for some in np.split(np.arange(len(positions)), breaks):
            chunks = self._verified(file, starts[some], sizes[some])
            for index, data in zip(some, chunks, strict=True):
                try:
                    if data is None:  # which of them it is, is found one by one
                        yield self.decoded(file, positions[index])
                    else:
                        yield codec.unfiltered(data, self.dtype, self.chunk, self.codec)
                except (OSError, ValueError) as error:
                    raise self._damage(file, positions[index], error) from error

    def _verified(
        self, file: FileBytes, starts: NDArray[np.int64], sizes: NDArray[np.int64]
    ) -> list[memoryview] | list[None]:
        """The bytes of chunks that lie back to back; None for each where one of them is damaged."""
        first, n_bytes = int(starts[0]), int(sizes.sum())
        try:
            data = memoryview(file.read(first, n_bytes))
        except OSError:
            data = memoryview(b"")
        if len(data) == n_bytes:
            cuts = np.stack([starts, starts + sizes], axis=1) - first
            chunks = [data[start:end] for start, end in cuts.tolist()]
            if codec.first_damaged(chunks) is None:
                return [chunk[:-CHECKSUM_BYTES] for chunk in chunks]
        return [None] * len(sizes)

    def _damage(self, file: FileBytes, position: tuple[int, ...], error: object) -> StoreError:
        rows = self.rows_of(position[0], position[0])
        return StoreError(
            f"{file.path} is a damaged store: {self.name}, {rows}: {error}; "
            "`fmcore validate` lists all that is wrong; capture again, or restore it from a copy"
        )


def index_of(array: h5py.Dataset, file_size: int) -> ChunkIndex:
    """The index of an array, every entry within the file.

    Raises:
        StoreError: if it is no index of a whole array of ours.
    """
    name, chunk, found = array.name, array.chunks, codec_of(array)
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
