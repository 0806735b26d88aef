"""What goes out of a store: arrays in blocks, tables in pieces, and what a format makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fmcore.export.tables import Tables


@dataclass(frozen=True, slots=True, eq=False)
class Outgoing:
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
    arrays: Sequence[Outgoing]
    beside: Sequence[Outgoing]
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
    arrays: Mapping[str, Outgoing]
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
        need: raises where a library is missing.
    """

    name: str
    description: str
    parts: Callable[[Sequence[Group]], list[Part]]
    takes: tuple[str, ...]
    need: Callable[[], object] = dict
