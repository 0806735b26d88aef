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


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """A column with few different values.

    Attributes:
        values: the different values; None for a missing one.
        codes: <int>[row], the index of each row's value.
    """

    values: Sequence[Any]
    codes: NDArray[np.integer]

    @classmethod
    def constant(cls, value: Any, n_rows: int) -> Coded:
        """A column with the same value in each row."""
        return cls([value], np.zeros(n_rows, np.uint8))

    def __len__(self) -> int:
        return len(self.codes)


# Texts, numbers, or any values that repeat.
Column = Sequence[str | None] | NDArray[Any] | Coded


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A piece of a table: some of its rows.

    Attributes:
        columns: the values of each column; a missing value is None, or NaN among numbers.
    """

    columns: Mapping[str, Column]

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self.columns.values())))


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """A table that comes piece by piece.

    Attributes:
        kinds: NumPy's name of each column's type, or `TEXT`.
        pieces: starts reading the table, piece by piece.
        n_rows: number of rows, about.
        notes: facts about the values once they are read, such as the errors of float16.
        nan_is_missing: whether NaN stands for no value, for which some formats have a null.
    """

    kinds: Mapping[str, str]
    pieces: Callable[[], Iterator[Table]]
    n_rows: int
    notes: Callable[[], dict[str, float]] = dict
    nan_is_missing: bool = False


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
    """A file format of arrays or tables: all that exports, commands and the HTTP API ask of it.

    Attributes:
        name: the format's name on the command line and in a URL, and the ending of its files.
        description: one sentence for people.
        takes: what an export can hold in it, of `fmcore.selection.query.WHAT`.
        media_type: of a file, in HTTP's words.
        exact_bytes: whether its files are as large as their values, so that it is known beforehand
            whether they fit on the disk.
        cell_bytes: bytes that a value of a table takes, with what stands around it, about.
        array_parts: plans the files of arrays; None for a format of tables.
        array_header: what stands before the values of one array that is a file of its own; None
            where an array is no such file.
        array_text: one array as text, piece by piece, after facts about it; None where there is
            no such text.
        table_text: a table as text, piece by piece; None where a table cannot be printed.
        table_file: writes a table into a stream; None where `table_text` does, and for a format of
            arrays.
        needs: raises where a library that the format needs is missing.
    """

    name: str
    description: str
    takes: tuple[str, ...]
    media_type: str = "application/octet-stream"
    exact_bytes: bool = False
    cell_bytes: int = 8
    array_parts: Callable[[Sequence[Group]], list[Part]] | None = None
    array_header: Callable[[ArraySource], bytes] | None = None
    array_text: Callable[[ArraySource, Mapping[str, Any]], Iterator[str]] | None = None
    table_text: Callable[[Tables], Iterator[str]] | None = None
    table_file: Callable[[Tables, BinaryIO], None] | None = None
    needs: Callable[[], object] = dict

    @property
    def ending(self) -> str:
        """The ending of its files, with the point."""
        return f".{self.name}"

    @property
    def holds_tables(self) -> bool:
        """Whether it writes tables."""
        return self.table_text is not None or self.table_file is not None

    def parts(self, groups: Sequence[Group]) -> list[Part]:
        """Plans the files of an export: those of the arrays of some groups, or of their tables."""
        if self.array_parts is not None:
            return self.array_parts(groups)
        return [
            Part(
                f"{stem}{self.ending}",
                {},
                self.table_bytes(tables),
                write=partial(self.write_table, tables),
                notes=tables.notes,
            )
            for group in groups
            for stem, tables in group.tables.items()
        ]

    def table_bytes(self, tables: Tables) -> int:
        """Bytes of a table in this format, about."""
        return tables.n_rows * len(tables.kinds) * self.cell_bytes

    def write_table(self, tables: Tables, stream: BinaryIO) -> None:
        """Writes a table; text as UTF-8.

        Raises:
            MissingLibraryError: if a library that the format needs is missing.
        """
        if self.table_file is not None:
            self.table_file(tables, stream)
            return
        assert self.table_text is not None  # noqa: S101 (a format of tables has one of the two)
        for text in self.table_text(tables):
            stream.write(text.encode())


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
