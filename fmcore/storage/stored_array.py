"""An array of an open store that is read where it is indexed, as numpy would index the whole."""

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
        shape: its size along each.
        dtype: of what is read.
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
        """How many axes there are."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many values there are."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all values, as they are read."""
        return self.size * self.dtype.itemsize

    def __getitem__(self, key: Any) -> Any:
        """A part, with numpy's meaning: numbers, slices, `...`, and lists or masks of an axis.

        Raises:
            ArrayIndexError: if it is no index of this array.
            StoreError: if the store is damaged there.
            ClosedStoreError: if it is closed.
        """
        before, after = self._sides(key)
        n_between = self.ndim - len(before) - len(after)
        keys = [*before, *[slice(None)] * n_between, *after]
        picks, rest = zip(*(self._picks(axis, one) for axis, one in enumerate(keys)), strict=True)
        if n_between or any(one is Ellipsis for one in (key if isinstance(key, tuple) else (key,))):
            # To numpy it stands between lists, even where it stands for no axis.
            rest = (*rest[: len(before)], ..., *rest[len(before) + n_between :])
        # All that is needed, each axis by itself; what is left to do numpy does.
        return self.outer(picks)[rest]

    def outer(self, picks: tuple[Picks, ...], *, threads: int | None = None) -> NDArray[Any]:
        """What indices of each axis have in common, none of them negative or too large."""
        options = {} if threads is None else {"threads": threads}
        found = self._store.array(self._path).outer(self._store.bytes, picks, **options)
        return found.astype(self.dtype, copy=False)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All of it."""
        if copy is False:
            raise ValueError("an array in a file cannot be had without a copy")
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

    def _sides(self, key: Any) -> tuple[list[Any], list[Any]]:
        """The indices before and after an ellipsis, which stands at the end where there is none."""
        keys = list(key) if isinstance(key, tuple) else [key]
        places = [place for place, one in enumerate(keys) if one is Ellipsis]
        if len(places) > 1 or len(keys) - len(places) > self.ndim:
            raise self._no_index(key, f"it has {self.ndim} axes: {', '.join(self.axes)}")
        at = places[0] if places else len(keys)
        return keys[:at], keys[at + 1 :]

    def _picks(self, axis: int, key: Any) -> tuple[Picks, Any]:
        """What to read of an axis, and the index of what was asked for in that."""
        size = self.shape[axis]
        if isinstance(key, slice):
            try:
                wanted = range(*key.indices(size))
            except (TypeError, ValueError) as error:
                raise self._no_index(key, str(error)) from error
            return (
                (wanted, slice(None)) if wanted.step > 0 else (wanted[::-1], slice(None, None, -1))
            )
        if not isinstance(key, bool | np.bool_):
            try:
                return range(at := self._within(operator.index(key), axis), at + 1), 0
            except TypeError:
                pass
        many = np.asarray(key)
        if many.dtype == np.bool_ and many.shape == (size,):
            many = np.flatnonzero(many)
        elif not (np.issubdtype(many.dtype, np.integer) or (isinstance(key, list) and not key)):
            raise self._no_index(key, f"expected numbers, a slice or a mask of {size} values")
        flat = np.array([self._within(int(one), axis) for one in many.reshape(-1)], dtype=np.int64)
        read, places = np.unique(flat, return_inverse=True)
        return read, places.reshape(many.shape)

    def _within(self, index: int, axis: int) -> int:
        size = self.shape[axis]
        if not -size <= index < size:
            raise self._no_index(index, f"{self.axes[axis]} has {size}")
        return index % size

    def _no_index(self, key: Any, why: str) -> ArrayIndexError:
        return ArrayIndexError(f"{key!r} is no index of {self._path}: {why}")
