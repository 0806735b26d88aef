"""An open store file: the one place that closes it, and looks up each array once."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.errors import ClosedStoreError, SampleNotFoundError, StoreError
from fmcore.storage.chunks.sharded import sharded_index
from fmcore.storage.chunks.stored_array import ChunkIndex, Place, StoredArray, index_of
from fmcore.storage.file.layer_facts import LayerFacts
from fmcore.storage.file.nodes import DIGEST, damage_as_store_error, read_text
from fmcore.storage.file.opened import OpenFile, open_file
from fmcore.storage.file.raw_bytes import FileBytes
from fmcore.storage.file.seal import stated_digest
from fmcore.storage.file.shard_bytes import ShardedBytes
from fmcore.storage.file.shard_table import ShardedArray, ShardTable
from fmcore.storage.file.structure import require_layer, require_structure
from fmcore.storage.format.schema import (
    ARRAYS,
    ESTIMATES,
    TABLES,
    Part,
    array_path,
    layer_of,
    names_of,
)


class StoreFile:
    """The open file behind a store, its layers and their arrays.

    Raises:
        InputFileError: if there is no such file, or it cannot be read.
        StoreError: if it is not a store, or refers to other files.
        UnsupportedVersionError: if its format has another major version.

    Attributes:
        path: the file.
        n_samples: the number of samples.
    """

    def __init__(self, path: Path, file: FileBytes | None = None) -> None:
        self.path = path
        self._opened: OpenFile | None = open_file(path, file=file)
        self._indexes: dict[str, ChunkIndex] = {}
        self._checked: set[str] = set()
        self._row_names: dict[str, list[str]] = {}
        self._tables: dict[str, NDArray[Any]] = {}
        self._sizes: dict[str, Mapping[str, int]] = {}
        try:
            with damage_as_store_error(path):
                self._structure = require_structure(self.hdf5, path)
            self.n_samples = self._structure.axes["sample"].shape[0]
            self._shards = self._opened_shards()
            # What was changed since it was written is refused as a whole, as early as possible.
            for group in () if self._opened.is_sealed else self.layers:
                self.check_layer(group)
        except StoreError:
            self.close()
            raise

    @property
    def opened(self) -> OpenFile:
        """The file as it was opened.

        Raises:
            ClosedStoreError: if the file is closed.
        """
        return self._open()

    @property
    def hdf5(self) -> h5py.File:
        """HDF5's own handle, for metadata.

        Raises:
            ClosedStoreError: if the file is closed.
        """
        return self._open().hdf5

    @property
    def bytes(self) -> FileBytes:
        """The bytes of the file.

        Raises:
            ClosedStoreError: if the file is closed.
        """
        return self._open().bytes

    @property
    def shards(self) -> ShardTable | None:
        """Which shards hold the samples; None if they lie in the file."""
        return self._structure.shards

    @property
    def sharded(self) -> Mapping[str, ShardedArray]:
        """What the file states of each array whose chunks lie in shards, by path."""
        return self._structure.sharded

    @property
    def n_bytes(self) -> int:
        """The size of the file and of its shards."""
        return self.bytes.size + (0 if self.shards is None else self.shards.n_bytes)

    @property
    def shard_bytes(self) -> ShardedBytes | None:
        """The bytes of the shards; None if there are none."""
        return self._shards

    def _opened_shards(self) -> ShardedBytes | None:
        """The bytes of the shards, none of which is opened yet."""
        table = self._structure.shards
        if table is None:
            return None
        # Where this very file lies, whatever its path is by now, or is called in messages.
        try:
            folder = self.bytes.real_path().parent / table.folder
        except OSError as error:
            raise StoreError(f"cannot find the shards of {self.path}: {error}") from error
        return ShardedBytes(self.path, folder, table.shards)

    @property
    def layers(self) -> Mapping[str, LayerFacts]:
        """What the file states of each layer, by the name of its group, in the model's order."""
        return self._structure.layers

    @property
    def digest(self) -> str:
        """A digest, in hex, that differs between stores: over metadata and the places of chunks."""
        return stated_digest(self.bytes) or read_text(self.hdf5, DIGEST)

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._opened is None

    def index(self, path: str) -> ChunkIndex:
        """The chunk index of an array, which HDF5 reads once.

        Raises:
            ClosedStoreError: if the file is closed.
            StoreError: if the index of its chunks, or the layer that has the array, is damaged.
        """
        opened, index = self._open(), self._indexes.get(path)
        if index is None:
            self.check_layer(layer_of(path))
            # Two threads may both read it; the results are equal.
            with damage_as_store_error(self.path):
                index = self._sharded_index(path) or index_of(opened.hdf5[path], opened.bytes)
            self._indexes[path] = index
        return index

    def _sharded_index(self, path: str) -> ChunkIndex | None:
        """The index of an array whose chunks lie in shards; None of another."""
        array = self._structure.sharded.get(path)
        if array is None or self._shards is None or self.shards is None:
            return None
        first = array.first_chunk
        offsets, sizes = (
            self.index(array_path(name)).rows(first, first + math.prod(array.grid))
            for name in ("shard_chunk_offset", "shard_chunk_size")
        )
        return sharded_index(self._shards, array, self.shards, offsets, sizes)

    def is_indexed(self, path: str) -> bool:
        """Whether the chunk index of an array was read before."""
        return path in self._indexes

    def small_table(self, path: str) -> NDArray[Any] | None:
        """The values of a table that is one chunk, not to be changed; None of a larger one.

        Many arrays lie in one such chunk, so the latest chunks are kept: of a whole layer, at most
        128 KiB each.

        Raises:
            ClosedStoreError: if the file is closed.
            StoreError: if the table, or the layer that has it, is damaged.
        """
        index, values = self.index(path), self._tables.pop(path, None)
        if values is None:
            if index.chunk != index.shape:
                return None
            values = index.values((0,) * len(index.shape))
        self._tables[path] = values  # the latest comes last
        while len(self._tables) > len(TABLES):
            with contextlib.suppress(KeyError, RuntimeError, StopIteration):  # another thread did
                del self._tables[next(iter(self._tables))]
        return values

    def has(self, name: str, layer: str = "") -> bool:
        """Whether the file has an array, by its name in the schema and its layer's group."""
        self._open()
        if not layer:
            path = array_path(name)
            return path in self.hdf5 or path in self._structure.sharded
        part, arrays = ARRAYS[name].part, self.layers[layer].arrays
        if part is None:
            return name in arrays
        return part.table in arrays and part.row in self._rows_of(part)

    def _rows_of(self, part: Part) -> list[str]:
        """The names of the rows of the table that holds an array; none if there is no table."""
        axis = TABLES[part.table].rows
        if axis not in self._row_names:
            name = names_of(axis)
            self._row_names[axis] = self.texts(name) if self.has(name) else []
        return self._row_names[axis]

    def array(self, name: str, layer: str = "", *, dtype: Any = None) -> StoredArray:
        """An array of which indexing reads a part.

        Args:
            name: its name in the schema.
            layer: the name of the layer's group; empty for an array that is not a layer's.
            dtype: the type in which its values are read; the stored one if None.
        """
        spec = ARRAYS[name]
        if dtype is None and len(spec.dtypes) == 1 and spec.dtypes[0] != "bytes":
            dtype = np.dtype(spec.dtypes[0])
        if layer not in self._sizes:
            self._sizes[layer] = self._sizes_in(layer) if layer else {}
        sizes = self._sizes[layer]
        is_known = all(axis in sizes for axis in spec.axes)
        shape = tuple(sizes[axis] for axis in spec.axes) if is_known else None
        path, place = array_path(name, layer), Place()
        if (part := spec.part) is not None:
            path, row = array_path(part.table, layer), self._rows_of(part).index(part.row)
            place = Place((row,))
            if part.is_chance:
                place = Place((row,), ESTIMATES.index("low"), 2)
            elif TABLES[part.table].has_chance:
                place = Place((row, ESTIMATES.index("value")))
        return StoredArray(self, path, spec.axes, dtype=dtype, shape=shape, place=place)

    def _sizes_in(self, layer: str) -> dict[str, int]:
        """The length of each axis that is known before the layer is read."""
        height, width, n_filters = self.layers[layer].shape
        axes = self._structure.axes.items()
        shared = {path: axis.shape[0] for path, axis in axes if len(axis.shape) == 1}
        own = {"y": height, "x": width, "filter": n_filters, "other_filter": n_filters}
        return shared | own

    def read(self, name: str, layer: str = "") -> Any:
        """Reads a whole array, by its name in the schema and its layer's group."""
        if ARRAYS[name].part is not None:
            return self.array(name, layer)[...]
        index = self.index(array_path(name, layer))
        return index.rows(0, index.shape[0])

    def texts(self, name: str) -> list[str]:
        """Reads a whole array of texts, by its name in the schema."""
        return [text.decode("utf-8", "replace") for text in self.read(name).tolist()]

    def check_sample(self, sample: int) -> int:
        """Returns the index if there is such a sample.

        Raises:
            SampleNotFoundError: if there is none; negative indices are not accepted.
        """
        if not 0 <= sample < self.n_samples:
            raise SampleNotFoundError(
                f"no sample {sample} in {self.path.name}; it holds 0 to {self.n_samples - 1}"
            )
        return sample

    def close(self) -> None:
        """Closes the file; safe to call twice."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None
            self._tables = {}
            self._indexes = {}  # a thread that is still reading keeps the bytes open

    def check_layer(self, group: str) -> None:
        """Refuses a layer that is damaged or leads out of the file, before it is first read.

        Raises:
            ClosedStoreError: if the file is closed.
            StoreError: naming the first problem.
        """
        if not group or group in self._checked:
            return
        opened = self._open()
        with damage_as_store_error(self.path):  # two threads may both check it
            require_layer(
                opened.hdf5, self.path, self._structure, group, is_sealed=opened.is_sealed
            )
        self._checked.add(group)

    def _open(self) -> OpenFile:
        opened = self._opened
        if opened is None:
            raise ClosedStoreError(f"I/O on the closed store {self.path.name!r}")
        return opened
