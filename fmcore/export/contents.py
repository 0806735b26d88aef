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
    """A piece of a table: some of its rows.

    Attributes:
        columns: the values of each column; a missing value is None, or NaN among numbers.
    """

    columns: Mapping[str, Column]


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """A table that comes piece by piece.

    Attributes:
        kinds: NumPy's name of each column's type, or `TEXT`.
        pieces: starts reading the table, piece by piece.
        n_rows: number of rows, about.
        notes: facts about the values once they are read, such as the errors of float16.
    """

    kinds: Mapping[str, str]
    pieces: Callable[[], Iterator[Table]]
    n_rows: int
    notes: Callable[[], dict[str, float]] = dict

    @property
    def nbytes(self) -> int:
        """Bytes of the table as text, about."""
        return self.n_rows * len(self.kinds) * 8


def is_missing(value: Any) -> bool:
    """Whether a cell of a table has no value."""
    return value is None or (isinstance(value, float) and math.isnan(value))


@dataclass(frozen=True, slots=True, eq=False)
class ArraySource:
    """An array to export, read block by block.

    Attributes:
        path: the array's path in the export, such as `layers/conv1/activation`.
        axes: the name of each axis.
        shape: shape of the whole array.
        dtype: dtype of the blocks.
        blocks: starts reading the array: its blocks along the first axis, in order.
        notes: facts about the values once they are read, such as the errors of float16.
    """

    path: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    blocks: Callable[[], Iterator[NDArray[Any]]]
    notes: Callable[[], dict[str, float]] = dict

    @property
    def name(self) -> str:
        """The last part of the path, such as `activation`."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def nbytes(self) -> int:
        """Bytes of all values."""
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Arrays that belong together: those of one layer, or of the samples.

    Attributes:
        path: the group's path in the export, such as `layers/conv1`; safe as a file's path.
        arrays: the chosen arrays.
        samples: index and id of the sample in each row, with label and prediction if known.
        tables: the content as tables, for table formats, by the path of the file to write.
    """

    path: str
    arrays: Sequence[ArraySource]
    samples: Sequence[ArraySource]
    tables: Mapping[str, Tables]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A file of an export, or a folder that appears as a whole, as a file does.

    Attributes:
        path: path in the export's folder, with `/`.
        arrays: the arrays in it by member name; the name is empty where the file is the array.
        nbytes: bytes of the values in it, about, before any compression.
        write: writes the file into a stream; None for a folder.
        fill: fills an empty folder; None for a file.
        notes: facts about the values of a table once it is written.
    """

    path: str
    arrays: Mapping[str, ArraySource]
    nbytes: int
    write: Callable[[BinaryIO], None] | None = None
    fill: Callable[[Path], None] | None = None
    notes: Callable[[], dict[str, float]] = dict


@dataclass(frozen=True, slots=True)
class Format:
    """A file format of exports.

    Attributes:
        name: the format's name on the command line.
        description: one sentence for people.
        parts: plans the files for some groups.
        takes: what the format can hold, of `fmcore.selection.query.WHAT`.
        exact_bytes: whether its files are as large as their values, so that it is known beforehand
            whether they fit on the disk.
        needs: raises where a library that the format needs is missing.
    """

    name: str
    description: str
    parts: Callable[[Sequence[Group]], list[Part]]
    takes: tuple[str, ...]
    exact_bytes: bool
    needs: Callable[[], object] = dict


class Precision:
    """Converts floats to another dtype, and keeps account of the errors.

    Attributes:
        dtype: the dtype to convert to.
    """

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self._rounding = Rounding.zero()

    def begin(self) -> None:
        """Forgets earlier errors: the values are read again."""
        self._rounding = Rounding.zero()

    def convert(self, values: NDArray[Any]) -> NDArray[Any]:
        """Floats in the dtype, those beyond its range as infinity; other values unchanged."""
        if values.dtype.kind != "f" or values.dtype == self.dtype:
            return values
        with np.errstate(over="ignore"):
            rounded = values.astype(self.dtype)
        self._rounding = self._rounding.merge(Rounding.of(values, rounded))
        return rounded

    def notes(self) -> dict[str, float]:
        """`largest_error` and `n_overflow` of float16; empty for float32, which is exact."""
        if self.dtype == np.float32:
            return {}
        return {
            "largest_error": float(self._rounding.largest_error),
            "n_overflow": int(self._rounding.n_overflow),
        }


def table_parts(
    write: Callable[[Tables, BinaryIO], None], suffix: str, groups: Sequence[Group]
) -> list[Part]:
    """A file for each table of the groups."""
    return [
        Part(f"{stem}{suffix}", {}, tables.nbytes, write=partial(write, tables), notes=tables.notes)
        for group in groups
        for stem, tables in group.tables.items()
    ]
