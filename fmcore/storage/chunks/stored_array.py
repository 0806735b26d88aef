"""Arrays of a store: where their chunks lie, and reading them without HDF5 and its lock."""

from __future__ import annotations

import contextlib
import itertools
import math
import operator
import os
from array import array as array_of
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.errors import ArrayIndexError, StoreError
from fmcore.selection import Picks
from fmcore.storage import codec
from fmcore.storage.chunks.buffer import ChunkRun
from fmcore.storage.chunks.grid import ChunkSlice, chunk_slices, copy_slice, run_length
from fmcore.storage.codec import CHECKSUM_BYTES, Codec
from fmcore.storage.file.nodes import codec_of
from fmcore.storage.file.raw_bytes import FileBytes
from fmcore.storage.format.chunk_shape import LARGEST_CHUNK_BYTES
from fmcore.storage.format.schema import has_samples

LARGEST_POOL = 4


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """One chunk as it lies in the file, its checksum verified and stripped.

    Attributes:
        corner: the index of its first value in the array.
        shape: the shape of the whole chunk; at the edge of the array it reaches beyond.
        dtype: numpy's name of the stored type.
        codec: `none`, `deflate` (a zlib stream) or `shuffle+deflate`.
        data: the bytes, not inflated.
    """

    corner: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: str
    codec: str
    data: bytes


class Readable(Protocol):
    """Bytes in which chunks lie."""

    @property
    def path(self) -> Path:
        """The path of the store, for messages."""

    def read(self, offset: int, size: int) -> bytes:
        """The bytes from `offset`; fewer if the file ends before."""

    def read_now(self, offset: int, size: int) -> bytes | None:
        """The bytes from `offset` if they are in memory already."""

    def describe(self, offset: int) -> str:
        """The file that holds a byte, for messages."""


@dataclass(frozen=True, slots=True, eq=False)
class ChunkIndex:
    """Where the chunks of one array lie, and how they are read.

    Attributes:
        file: the bytes of the store, or of its shards.
        name: the path of the array in the store.
        shape: the shape of the array.
        chunk: the shape of a chunk.
        dtype: the type of a value.
        codec: the filters of the chunks.
        offsets: where each chunk begins in the file, <int64>[chunk grid].
        sizes: the bytes of each chunk in the file, <int64>[chunk grid].
        by_sample: whether the first axis is the sample axis, for messages.
    """

    file: Readable
    name: str
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    dtype: np.dtype[Any]
    codec: Codec
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    by_sample: bool

    def describe_rows(self, first: int, last: int) -> str:
        """The rows of chunks `first` to `last` along the first axis, in words."""
        start, end = first * self.chunk[0], min((last + 1) * self.chunk[0], self.shape[0]) - 1
        if start == end:
            return f"{'sample' if self.by_sample else 'index'} {start}"
        return f"{'samples' if self.by_sample else 'indices'} {start} to {end}"

    def read_chunk(self, position: tuple[int, ...]) -> bytes:
        """Reads the bytes of a chunk with its checksum, as they lie in the file.

        Raises:
            OSError: if the disk refuses.
            ValueError: if the file ends inside the chunk.
        """
        size = int(self.sizes[position])
        data = self.file.read(int(self.offsets[position]), size)
        if len(data) != size:
            raise ValueError(f"the file holds {len(data):,} bytes of it, expected {size:,}")
        return data

    def decode(self, position: tuple[int, ...]) -> NDArray[Any]:
        """Reads and decodes the values of a whole chunk, [chunk].

        Raises:
            OSError: if the disk refuses.
            ValueError: if the chunk is damaged.
        """
        return codec.decode(self.read_chunk(position), self.dtype, self.chunk, self.codec)

    def raw(self, position: tuple[int, ...]) -> StoredChunk:
        """Reads a chunk as it lies in the file, its checksum verified and stripped.

        Raises:
            StoreError: if it is damaged, naming array and samples.
        """
        try:
            data = codec.strip_checksum(self.read_chunk(position))
        except (OSError, ValueError) as error:
            raise self._damage_error(position, error) from error
        corner = tuple(place * step for place, step in zip(position, self.chunk, strict=True))
        return StoredChunk(corner, self.chunk, self.dtype.name, self.codec.name, data)

    def raw_now(self, position: tuple[int, ...]) -> bytes | None:
        """The data of a chunk, not inflated; None if they are not in memory yet or are damaged."""
        data = self.file.read_now(int(self.offsets[position]), int(self.sizes[position]))
        try:
            return None if data is None else codec.strip_checksum(data)
        except ValueError:
            return None

    def only_chunk(self, picks: Sequence[Picks]) -> tuple[int, ...] | None:
        """The chunk whose values are exactly the picked ones, in this order; else None."""
        position = []
        for pick, step, size in zip(picks, self.chunk, self.shape, strict=True):
            fits = isinstance(pick, range) and pick.step == 1 and len(pick) == step
            if not fits or pick.start % step or pick.stop > size:  # type: ignore[union-attr]
                return None
            position.append(pick.start // step)  # type: ignore[union-attr]
        return tuple(position)

    def values(self, position: tuple[int, ...]) -> NDArray[Any]:
        """Reads the values of a whole chunk, [chunk].

        Raises:
            StoreError: if it is damaged, naming array and samples.
        """
        try:
            return self.decode(position)
        except (OSError, ValueError) as error:
            raise self._damage_error(position, error) from error

    def runs(self, stop: int, first_row: int, most: int) -> Iterator[ChunkRun]:
        """Yields the chunks of the rows before `stop`, verified, not inflated, for another array.

        Args:
            stop: a row on the boundary of a chunk, or the end.
            first_row: the row of the other array that gets the first row.
            most: the largest number of chunks in a run.

        Raises:
            StoreError: if a chunk is damaged, naming array and samples.
        """
        positions = self.positions(0, stop)
        while run := list(itertools.islice(positions, most)):
            chunks = self._read_chunks(run)
            if (damaged := codec.first_damaged(chunks)) is not None:
                raise self._damage_error(run[damaged], "its checksum does not match")
            row, *others = (place * step for place, step in zip(run[0], self.chunk, strict=True))
            yield ChunkRun(
                (first_row + row, *others), b"".join(chunks), [len(chunk) for chunk in chunks]
            )

    def _read_chunks(self, positions: Sequence[tuple[int, ...]]) -> list[memoryview]:
        """Reads chunks as they lie in the file: at once, where they lie back to back.

        Raises:
            StoreError: if the disk refuses or the file ends before, naming array and samples.
        """
        offsets, sizes = (
            [int(array[position]) for position in positions] for array in (self.offsets, self.sizes)
        )
        ends = list(itertools.accumulate(sizes, initial=offsets[0]))
        if ends[:-1] == offsets:
            places = [offset - offsets[0] for offset in ends]
            with contextlib.suppress(OSError):  # raised below, with the chunk that it is of
                data = memoryview(self.file.read(offsets[0], places[-1]))
                if len(data) == places[-1]:
                    return [data[start:end] for start, end in itertools.pairwise(places)]
        return [memoryview(self._read_chunk(position)) for position in positions]

    def _read_chunk(self, position: tuple[int, ...]) -> bytes:
        try:
            return self.read_chunk(position)
        except (OSError, ValueError) as error:
            raise self._damage_error(position, error) from error

    def positions(self, start: int, stop: int) -> Iterator[tuple[int, ...]]:
        """The positions in the grid of the chunks that hold the rows `start` to `stop`."""
        first, last = start // self.chunk[0], -(-stop // self.chunk[0])
        return itertools.product(range(first, last), *map(range, self.offsets.shape[1:]))

    def row(self, index: int) -> NDArray[Any]:
        """Reads one row, [...]; its chunks are decoded in this thread.

        Raises:
            StoreError: if a chunk is damaged.
        """
        if math.prod(self.offsets.shape[1:]) > 1:
            return self.rows(index, index + 1)[0]
        place, offset = divmod(index, self.chunk[0])
        values = self.values((place, *[0] * (len(self.shape) - 1)))
        # A copy if the chunk holds more rows: one row must not keep them all in memory.
        return values[0] if self.chunk[0] == 1 else values[offset].copy()

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Reads the rows `start` to `stop`, [row, ...]; several threads decode many chunks.

        Args:
            start: the first row.
            stop: the row after the last; cut at the end of the array.

        Raises:
            StoreError: if a chunk is damaged.
        """
        stop = max(start, min(stop, self.shape[0]))
        return self.outer([range(start, stop), *map(range, self.shape[1:])])

    def outer(self, picks: Sequence[Picks], *, threads: int | None = None) -> NDArray[Any]:
        """Reads the values at all combinations of picked indices; only their chunks are read.

        Args:
            picks: the picked indices of each axis, all within the array.
            threads: how many threads decode at most, if there are many chunks; None for the usual.

        Raises:
            StoreError: if a chunk is damaged.
        """
        out = np.empty(tuple(map(len, picks)), self.dtype)
        axes = [chunk_slices(pick, step) for pick, step in zip(picks, self.chunk, strict=True)]
        slices = itertools.product(*axes)

        def fill(task: Sequence[tuple[ChunkSlice, ...]]) -> None:
            parts = [tuple(zip(*chunk, strict=True)) for chunk in task]
            chunks = self._decode_chunks([position for position, _, _ in parts])
            for (_, in_chunk, in_result), chunk in zip(parts, chunks, strict=True):
                copy_slice(out, in_result, chunk, in_chunk)

        # A task for each chunk would take as long to hand over as to inflate.
        per_task = run_length(math.prod(self.chunk) * self.dtype.itemsize)
        n_tasks = -(-math.prod(map(len, axes)) // per_task)
        tasks = (list(itertools.islice(slices, per_task)) for _ in range(n_tasks))
        threads = min(threads or LARGEST_POOL, n_tasks)
        if threads <= 1 or (threads := min(threads, os.cpu_count() or 1)) <= 1:
            for task in tasks:
                fill(task)
            return out
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(fill, tasks):
                pass
        return out

    def _decode_chunks(self, positions: Sequence[tuple[int, ...]]) -> Iterator[NDArray[Any]]:
        """Yields the values of whole chunks; reads and checks chunks at once that lie back to back.

        One by one, 20,000 chunks cost two threads 1.4 s, because they wait for each other's GIL;
        at once, 0.95 s.

        Raises:
            StoreError: if a chunk is damaged, naming array and samples.
        """
        where = tuple(np.array(positions).T)
        starts, sizes = self.offsets[where], self.sizes[where]
        breaks = np.flatnonzero(starts[1:] != (starts + sizes)[:-1]) + 1
        for run in np.split(np.arange(len(positions)), breaks):
            chunks = self._read_run(starts[run], sizes[run])
            for index, data in zip(run, chunks, strict=True):
                try:
                    if data is None:  # one of the run is damaged: this finds out which
                        yield self.decode(positions[index])
                    else:
                        yield codec.undo_filters(data, self.dtype, self.chunk, self.codec)
                except (OSError, ValueError) as error:
                    raise self._damage_error(positions[index], error) from error

    def _read_run(
        self, starts: NDArray[np.int64], sizes: NDArray[np.int64]
    ) -> list[memoryview] | list[None]:
        """The verified bytes of chunks that lie back to back; all None if one is damaged."""
        first, n_bytes = int(starts[0]), int(sizes.sum())
        try:
            data = memoryview(self.file.read(first, n_bytes))
        except OSError:
            data = memoryview(b"")
        if len(data) == n_bytes:
            cuts = np.stack([starts, starts + sizes], axis=1) - first
            chunks = [data[start:end] for start, end in cuts.tolist()]
            if codec.first_damaged(chunks) is None:
                return [chunk[:-CHECKSUM_BYTES] for chunk in chunks]
        return [None] * len(sizes)

    def _damage_error(self, position: tuple[int, ...], error: object) -> StoreError:
        if isinstance(error, StoreError):  # the shard of the chunk is not there
            return error
        rows = self.describe_rows(position[0], position[0])
        where = self.file.describe(int(self.offsets[position]))
        return StoreError(
            f"{where} is a damaged store: {self.name}, {rows}: {error}; "
            "`fmcore validate` lists all problems; capture again, or restore it from a copy"
        )


def index_of(array: h5py.Dataset, file: FileBytes) -> ChunkIndex:
    """Reads the chunk index of an array and checks that every entry lies within the file.

    Raises:
        StoreError: if the index is damaged or incomplete, or the array is not in the format.
    """
    name, properties = array.name, array.id.get_create_plist()
    is_chunked = properties.get_layout() == h5py.h5d.CHUNKED
    array_codec = codec_of(properties) if is_chunked else None
    if array_codec is None:
        raise StoreError(f"{name} has no chunks, or other filters than the codecs of this format")
    chunk, shape, dtype = properties.get_chunk(), array.shape, array.dtype
    nbytes = math.prod(chunk) * dtype.itemsize
    if nbytes > LARGEST_CHUNK_BYTES:
        raise StoreError(f"{name} has chunks of shape {chunk}, larger than fmcore writes")
    grid = tuple(-(-size // step) for size, step in zip(shape, chunk, strict=True))
    stored = array.id.get_num_chunks()
    if stored != math.prod(grid):  # checked before tables of that size are allocated
        raise StoreError(
            f"{name} has {stored:,} chunks of the {math.prod(grid):,} that its shape needs"
        )
    # A list of HDF5's objects would take 300 bytes for each chunk.
    numbers_of_chunks = array_of("q")
    array.id.chunk_iter(
        lambda info: numbers_of_chunks.extend(
            (*info.chunk_offset, info.byte_offset or -1, info.size, info.filter_mask)
        )
    )
    entries = np.array(numbers_of_chunks, np.int64).reshape(-1, len(grid) + 3)
    corners, numbers = entries[:, : len(grid)], entries[:, len(grid) :]
    positions = corners // np.array(chunk)
    sane = are_sane(numbers[:, 0], numbers[:, 1], file.size, nbytes)
    sane &= (numbers[:, 2] == 0) & (positions >= 0).all(axis=1) & (positions < grid).all(axis=1)
    offsets, sizes = np.full(grid, -1, np.int64), np.zeros(grid, np.int64)
    if sane.all():
        offsets[tuple(positions.T)], sizes[tuple(positions.T)] = numbers[:, 0], numbers[:, 1]
    if not sane.all() or (offsets < 0).any():
        where = entries[np.argmin(sane)] if not sane.all() else "a chunk is listed twice"
        raise StoreError(f"{name} has a damaged index of its chunks: {where}")
    return ChunkIndex(
        file, name, shape, chunk, dtype, array_codec, offsets, sizes, has_samples(name.lstrip("/"))
    )


def are_sane(
    offsets: NDArray[np.int64], sizes: NDArray[np.int64], end: Any, n_bytes: int
) -> NDArray[np.bool_]:
    """Which chunks lie within their file, with a size that a chunk may have, <bool>[chunk].

    Args:
        offsets: where each begins, <int64>[chunk].
        sizes: the bytes of each, <int64>[chunk].
        end: the size of the file, or of that of each chunk.
        n_bytes: the bytes of the values of a chunk.
    """
    # What deflate cannot shrink grows by a few bytes in a thousand.
    sane = (offsets >= 0) & (offsets + sizes <= end)
    return sane & (sizes > codec.CHECKSUM_BYTES) & (sizes <= n_bytes * 1.01 + 1024)


class Indexed(Protocol):
    """An open file that knows where the chunks of its arrays lie."""

    def index(self, path: str) -> ChunkIndex:
        """The chunk index of an array; raises `ClosedStoreError` if the file is closed."""

    def is_indexed(self, path: str) -> bool:
        """Whether the chunk index of an array was read before."""

    def small_table(self, path: str) -> NDArray[Any] | None:
        """The values of a table that is one chunk, not to be changed; None of a larger one."""


class ArrayInFile(Protocol):
    """An array that is read, or computed of what is read, when it is used."""

    @property
    def axes(self) -> tuple[str, ...]:
        """The name of each axis."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values."""

    def outer(self, picks: tuple[Picks, ...]) -> NDArray[Any]:
        """The values at all combinations of picked indices, which must lie in the array."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which part of a table an array is; all of it if nothing is said.

    Attributes:
        index: its index along the first axes of the table.
        start: where it begins along the next axis.
        length: its length along that axis; None for all of it.
    """

    index: tuple[int, ...] = ()
    start: int = 0
    length: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the table."""
        return not self.index

    def shape(self, table: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the part of a table of some shape."""
        first, *others = table[len(self.index) :]
        return (first if self.length is None else self.length), *others

    def picks(self, picks: Sequence[Picks]) -> list[Picks]:
        """The indices in the table of picked indices of the part."""
        first, *others = picks
        if self.start and isinstance(first, range):
            first = range(first.start + self.start, first.stop + self.start, first.step)
        elif self.start:
            first = np.asarray(first) + self.start
        return [*(range(place, place + 1) for place in self.index), first, *others]


WHOLE = Place()


class StoredArray:
    """`array[10:20, ..., 3]` reads the chunks that hold this part, checks and inflates them.

    Nothing is read before it is asked for; `array[...]` and `numpy.asarray(array)` read all of it.

    Attributes:
        path: the path in the file of the array, or of the table that it is a part of.
        axes: the name of each axis.
    """

    def __init__(
        self,
        file: Indexed,
        path: str,
        axes: tuple[str, ...],
        *,
        dtype: Any = None,
        shape: tuple[int, ...] | None = None,
        place: Place = WHOLE,
    ) -> None:
        """Reads nothing yet.

        Args:
            file: the file.
            path: the path of the array in it.
            axes: the name of each axis.
            dtype: the type in which its values are read; the stored one if None.
            shape: the length of each axis, where it is known; else the file is asked for it.
            place: which part it is of what lies at the path.
        """
        self._file, self.path, self.axes = file, path, axes
        self._dtype, self._shape, self._place = dtype, shape, place

    @property
    def _index(self) -> ChunkIndex:
        """Asked of the file each time, because the file may be closed; looked up once there."""
        return self._file.index(self.path)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._shape or self._place.shape(tuple(map(int, self._index.shape)))

    @cached_property
    def chunks(self) -> tuple[int, ...]:
        """The shape of a chunk."""
        return self._index.chunk

    @cached_property
    def stored_dtype(self) -> np.dtype[Any]:
        """The type of the values in the file."""
        return self._index.dtype

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values that are read."""
        return self.stored_dtype if self._dtype is None else np.dtype(self._dtype)

    @property
    def stored_bytes(self) -> int:
        """Bytes that the chunks take in the file."""
        return int(self._index.sizes.sum())

    @property
    def is_deflated(self) -> bool:
        """Whether the chunks are zlib streams."""
        return self._index.codec.content_encoding == "deflate"

    @property
    def is_indexed(self) -> bool:
        """Whether it is known where the chunks lie; HDF5 reads that at the first access."""
        return self._file.is_indexed(self.path)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all values once they are read."""
        return self.size * self.dtype.itemsize

    def __getitem__(self, key: Any) -> Any:
        """Reads a part, with numpy's meaning: numbers, slices, `...`, lists or masks of an axis.

        Raises:
            ArrayIndexError: if the index does not fit this array.
            StoreError: if the part is damaged.
            ClosedStoreError: if the store is closed.
        """
        before, after = self._split(key)
        n_between = self.ndim - len(before) - len(after)
        keys = [*before, *[slice(None)] * n_between, *after]
        picks, index = zip(*map(self._picks, range(self.ndim), keys), strict=True)
        parts_of_key = key if isinstance(key, tuple) else (key,)
        if n_between or any(part is Ellipsis for part in parts_of_key):
            # To numpy an ellipsis separates lists, even if it stands for no axis.
            index = (*index[: len(before)], ..., *index[len(before) + n_between :])
        # This reads all that is needed, each axis by itself; numpy does the remaining indexing.
        return self.outer(picks)[index]

    def outer(self, picks: tuple[Picks, ...], *, threads: int | None = None) -> NDArray[Any]:
        """Reads the values at all combinations of picked indices, which must lie in the array."""
        in_table = self._place.picks(picks)
        table = None if self._place.is_whole else self._file.small_table(self.path)
        if table is None:
            values = self._index.outer(in_table, threads=threads)
        else:  # a copy
            values = table[np.ix_(*map(np.asarray, in_table))]
        return values[(0,) * len(self._place.index)].astype(self.dtype, copy=False)

    def row(self, index: int) -> NDArray[Any]:
        """Reads one row, [...]; its chunks are decoded in this thread.

        Args:
            index: an index of the first axis, not negative.

        Raises:
            StoreError: if a chunk is damaged.
            ClosedStoreError: if the store is closed.
        """
        if not self._place.is_whole:
            return np.asarray(self[index])
        return self._index.row(index).astype(self.dtype, copy=False)

    def only_chunk(self, picks: Sequence[Picks]) -> tuple[int, ...] | None:
        """The position of the chunk that holds exactly the picked values, in this order; else None.

        It is a chunk that any HTTP client can inflate: deflate without shuffle, or uncompressed.
        """
        index = self._index
        if index.codec.content_encoding is None or not self._place.is_whole:
            return None
        return index.only_chunk(picks)

    def raw_chunk(self, position: tuple[int, ...]) -> StoredChunk:
        """The chunk at a position in the grid, as it lies in the file, verified and not inflated.

        Raises:
            StoreError: if it is damaged.
        """
        return self._index.raw(position)

    def raw_chunk_now(self, position: tuple[int, ...]) -> bytes | None:
        """The data of a chunk, not inflated; None if the disk must be awaited."""
        return self._index.raw_now(position)

    def raw_chunks(self, row: int) -> list[StoredChunk]:
        """The chunks that hold one row, as they lie in the file, verified and not inflated.

        Args:
            row: an index of the first axis, not negative.

        Raises:
            StoreError: if they are damaged.
        """
        index = self._index
        return [index.raw(position) for position in index.positions(row, row + 1)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Reads the whole array."""
        if copy is False:
            raise ValueError("an array in a file cannot be converted without a copy")
        return np.asarray(self[...], dtype=dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        sizes = ", ".join(
            f"{axis}: {size}" for axis, size in zip(self.axes, self.shape, strict=True)
        )
        return f"<StoredArray {self.path} ({sizes}) {self.dtype.name}, {self.nbytes:,} bytes>"

    def _split(self, key: Any) -> tuple[list[Any], list[Any]]:
        """The indices before and after the ellipsis; without one, all are before."""
        keys = list(key) if isinstance(key, tuple) else [key]
        ellipses = [place for place, part in enumerate(keys) if part is Ellipsis]
        if len(ellipses) > 1 or len(keys) - len(ellipses) > self.ndim:
            raise self._index_error(key, f"it has {self.ndim} axes: {', '.join(self.axes)}")
        place = ellipses[0] if ellipses else len(keys)
        return keys[:place], keys[place + 1 :]

    def _picks(self, axis: int, key: Any) -> tuple[Picks, Any]:
        """The indices of an axis to read, and how numpy must index what was read."""
        size = self.shape[axis]
        if isinstance(key, slice):
            try:
                pick = range(*key.indices(size))
            except (TypeError, ValueError) as error:
                raise self._index_error(key, str(error)) from error
            return (pick, slice(None)) if pick.step > 0 else (pick[::-1], slice(None, None, -1))
        if not isinstance(key, bool | np.bool_):
            try:
                return range(place := self._check(operator.index(key), axis), place + 1), 0
            except TypeError:
                pass
        indices = np.asarray(key)
        if indices.dtype == np.bool_ and indices.shape == (size,):
            indices = np.flatnonzero(indices)
        elif not (np.issubdtype(indices.dtype, np.integer) or (isinstance(key, list) and not key)):
            raise self._index_error(key, f"expected numbers, a slice or a mask of {size} values")
        flat = np.array([self._check(int(i), axis) for i in indices.reshape(-1)], dtype=np.int64)
        picks, places = np.unique(flat, return_inverse=True)
        return picks, places.reshape(indices.shape)

    def _check(self, index: int, axis: int) -> int:
        """Returns the index, counted from the start, if the axis has it."""
        size = self.shape[axis]
        if not -size <= index < size:
            raise self._index_error(index, f"the axis {self.axes[axis]} has the length {size}")
        return index % size

    def _index_error(self, key: Any, why: str) -> ArrayIndexError:
        return ArrayIndexError(f"{key!r} is not an index of {self.path}: {why}")
