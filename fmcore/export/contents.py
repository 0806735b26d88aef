"""What an export consists of: arrays in blocks, tables in pieces, groups, files and formats."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics import Rounding

TEXT = "string"
Column = Sequence[Any] | NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Some rows.

    Attributes:
        columns: the values of each column; None, or NaN among numbers, where there is none.
    """

    columns: Mapping[str, Column]


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """A table that comes piece by piece.

    Attributes:
        kinds: numpy's name of the type of each column, or `TEXT`.
        pieces: begins to read it.
        n_rows: about how many there are.
        notes: what is known of the values once they are read, such as the errors of float16.
    """

    kinds: Mapping[str, str]
    pieces: Callable[[], Iterator[Table]]
    n_rows: int
    notes: Callable[[], dict[str, float]] = dict

    @property
    def nbytes(self) -> int:
        """About what a text of it takes."""
        return self.n_rows * len(self.kinds) * 8


def is_missing(value: Any) -> bool:
    """Whether a cell is empty."""
    return value is None or (isinstance(value, float) and math.isnan(value))


@dataclass(frozen=True, slots=True, eq=False)
class ArraySource:
    """An array on its way out of a store.

    Attributes:
        path: of what it is a part, in the store, such as `layers/conv1/activation`.
        axes: the name of each axis.
        shape: of the whole.
        dtype: of the whole.
        blocks: begins to read it: its parts along the first axis, in order.
        notes: what is known of it once it is read, such as the errors of float16.
    """

    path: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    blocks: Callable[[], Iterator[NDArray[Any]]]
    notes: Callable[[], dict[str, float]] = dict

    @property
    def name(self) -> str:
        """Its own name, such as `activation`."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def nbytes(self) -> int:
        """Bytes of all values."""
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """What belongs together: the arrays of one layer, or of the samples.

    Attributes:
        path: in the store, such as `layers/conv1`; safe as a file's path.
        arrays: what was asked for.
        beside: labels and predictions, as far as they are known, ids and indices of their rows.
        tables: the same as tables, for formats of tables, by the path of the file to be.
    """

    path: str
    arrays: Sequence[ArraySource]
    beside: Sequence[ArraySource]
    tables: Mapping[str, Tables]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A file, or a folder that appears as one, of an export.

    Attributes:
        path: in the folder of the export, with `/`.
        arrays: what it holds, by the name of the member; the empty name where it is the file.
        nbytes: of the values in it, about, before any compression.
        write: writes the file into a stream.
        fill: fills an empty folder, where it is one.
        notes: what is known of the values of a table once it is written.
    """

    path: str
    arrays: Mapping[str, ArraySource]
    nbytes: int
    write: Callable[[BinaryIO], None] | None = None
    fill: Callable[[Path], None] | None = None
    notes: Callable[[], dict[str, float]] = dict


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write what goes out.

    Attributes:
        name: on the command line.
        description: one sentence for people.
        parts: the files it makes of groups.
        takes: what it can hold, of `WHAT`.
        exact_bytes: whether its files take just the bytes of their values, so that it is known
            beforehand whether they fit on the disk.
        needs: raises where a library is missing.
    """

    name: str
    description: str
    parts: Callable[[Sequence[Group]], list[Part]]
    takes: tuple[str, ...]
    exact_bytes: bool
    needs: Callable[[], object] = dict


class Precision:
    """Gives float32 in another dtype, and keeps account of the errors.

    Attributes:
        dtype: the other one.
    """

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self._seen = Rounding.empty()

    def begin(self) -> None:
        """Forgets what it saw: the values are read again."""
        self._seen = Rounding.empty()

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """The values in the dtype, if they are of a float type; what is beyond it is infinite."""
        if values.dtype.kind != "f" or values.dtype == self.dtype:
            return values
        with np.errstate(over="ignore"):
            rounded = values.astype(self.dtype)
        self._seen = self._seen.merge(Rounding.of(values, rounded))
        return rounded

    def notes(self) -> dict[str, float]:
        """`largest_error` and `n_overflow` of float16; nothing of float32, which is exact."""
        if self.dtype == np.float32:
            return {}
        return {
            "largest_error": float(self._seen.largest_error),
            "n_overflow": int(self._seen.n_overflow),
        }


def table_parts(
    write: Callable[[Tables, BinaryIO], None], suffix: str, groups: Sequence[Group]
) -> list[Part]:
    """A file for each table of some groups."""
    return [
        Part(f"{stem}{suffix}", {}, tables.nbytes, write=partial(write, tables), notes=tables.notes)
        for group in groups
        for stem, tables in group.tables.items()
    ]
