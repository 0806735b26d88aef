"""Where the whole arrays of a new store go: into an array of their own, or into rows of a table.

A small table is one chunk, which is made once all its rows are there. In a large one each row has
chunks of its own, and need not wait for the others.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.storage.chunks import grid
from fmcore.storage.codec import encode
from fmcore.storage.format.chunk_shape import table_chunk
from fmcore.storage.format.schema import ARRAYS, ESTIMATES, TABLES, rows_of

# The corner and the bytes of each chunk of an array.
Chunks = list[tuple[tuple[int, ...], bytes]]
# The index of some values along the first axes of an array.
Index = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PlacedArrays:
    """Values for an array of the file.

    Attributes:
        name: the name of the array in the schema.
        layer: the name of the layer's group; empty for an array of the whole store.
        shape: the shape of the whole array.
        chunk: the shape of its chunks.
        values: the values by their index along the first axes, which is empty for all of the array.
        is_last: whether no other values of the array follow.
    """

    name: str
    layer: str
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    values: dict[Index, NDArray[Any]]
    is_last: bool = True

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values."""
        return next(iter(self.values.values())).dtype

    @property
    def nbytes(self) -> int:
        """The bytes of the values."""
        return sum(values.nbytes for values in self.values.values())

    def encode(self) -> Chunks:
        """The chunks of the values, as `Skeleton.put` writes them."""
        chunks: Chunks = []
        for index, values in self.values.items():
            corners, blocks = zip(*grid.blocks(values, self.chunk[len(index) :], 0), strict=True)
            chunks += zip(((*index, *corner) for corner in corners), encode(blocks), strict=True)
        return chunks


class TableRows:
    """Places arrays; the rows of a small table wait for each other.

    Attributes:
        names: the names of the rows along each axis of the tables of the store.
    """

    def __init__(self, lacks: Collection[str]) -> None:
        """No array is placed yet.

        Args:
            lacks: what the store goes without, see `Lack`.
        """
        axes = {axis for table in TABLES.values() for axis in table.leading}
        self.names = {axis: rows_of(axis, lacks) for axis in sorted(axes)}
        self._waiting: dict[tuple[str, str], dict[Index, NDArray[Any]]] = {}
        # Of each table that is not complete: the number of its planes that are.
        self._n_placed: Counter[tuple[str, str]] = Counter()

    def place(self, name: str, array: NDArray[Any], layer: str = "") -> PlacedArrays | None:
        """Where an array goes; None if it waits for other rows of its table.

        Args:
            name: its name in the schema.
            array: its values.
            layer: the name of the layer's group; empty for an array of the whole store.
        """
        part = ARRAYS[name].part
        if part is None:
            chunk = table_chunk(array.shape, itemsize=array.itemsize)
            return PlacedArrays(name, layer, array.shape, chunk, {(): array})
        table = TABLES[part.table]
        row = self.names[table.rows].index(part.row)
        values: dict[Index, NDArray[Any]] = {(row,): array}
        if part.is_chance:
            values = {(row, ESTIMATES.index("low") + bound): array[bound] for bound in range(2)}
        elif table.has_chance:
            values = {(row, ESTIMATES.index("value")): array}
        leading = tuple(len(self.names[axis]) for axis in table.leading)
        shape = leading + array.shape[part.is_chance :]
        chunk = table_chunk(shape, itemsize=array.itemsize, n_leading=len(leading))
        key = layer, table.name
        self._n_placed[key] += len(values)
        is_last = self._n_placed[key] == math.prod(leading)
        if chunk == shape:
            waiting = self._waiting.setdefault(key, {})
            waiting |= values
            if not is_last:
                return None
            whole = np.empty(shape, array.dtype)
            for index, plane in self._waiting.pop(key).items():
                whole[index] = plane
            values = {(): whole}
        if is_last:
            del self._n_placed[key]
        return PlacedArrays(table.name, layer, shape, chunk, values, is_last)
