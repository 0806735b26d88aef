"""An array of an open store of which indexing reads a part, with the meaning of numpy."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import ArrayIndexError
from fmcore.selection import Picks

if TYPE_CHECKING:
    from fmcore.storage.store import Store


class StoredArray:
    """`array[10:20, ..., 3]` reads the chunks that hold this part, checks and inflates them.

    Attributes:
        axes: the name of each axis.
        shape: the length of each axis.
        dtype: the type of the values that are read.
        chunks: the shape of a chunk.
    """

    def __init__(
        self, store: Store, path: str, axes: tuple[str, ...], *, dtype: Any = None
    ) -> None:
        index = store.array(path)
        self._store, self._path = store, path
        self.axes, self.shape, self.chunks = axes, tuple(map(int, index.shape)), index.chunk
        self.dtype = np.dtype(index.dtype if dtype is None else dtype)

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
        options = {} if threads is None else {"threads": threads}
        values = self._store.array(self._path).outer(self._store.bytes, picks, **options)
        return values.astype(self.dtype, copy=False)

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
        return f"<StoredArray {self._path} ({sizes}) {self.dtype.name}, {self.nbytes:,} bytes>"

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
        return ArrayIndexError(f"{key!r} is not an index of {self._path}: {why}")
