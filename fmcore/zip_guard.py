"""Checks zip archives, and NumPy's arrays in them, before anything in them is read or allocated.

An archive says how large its members are, and a NumPy header how large its array is; both may lie.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

# Python reads the table of contents at once, and takes ten times as much for it: 100,000 members
# with names of 100 bytes.
MOST_TABLE_BYTES = 16 << 20
MOST_MEMBERS = 100_000
# What NumPy and Keras write. Python inflates other kinds without a bound: 4 kB of bzip2 to 180 MB.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# NumPy reads a header of any length, and then refuses one that is longer than this.
MOST_HEADER_BYTES = 10_000
_NPY_SUFFIX = ".npy"


@dataclass(frozen=True, slots=True)
class NpzArray:
    """An array of an npz file, as its header states it.

    Attributes:
        member: its name in the archive.
        shape: its shape.
        dtype: its dtype.
        nbytes: the bytes of its values.
        stored_bytes: the bytes that it takes in the archive.
    """

    member: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    nbytes: int
    stored_bytes: int


class _LimitedReads:
    """A binary file of which little is read at once, while an archive's table is looked for."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.has_limit = True
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        if self.has_limit and not 0 <= size <= MOST_TABLE_BYTES:
            data = self._stream.read(MOST_TABLE_BYTES + 1)
            if size > 0 or len(data) > MOST_TABLE_BYTES:
                raise zipfile.BadZipFile("its table of contents is too large")
            return data
        return self._stream.read(size)

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._stream.close()


@contextmanager
def open_zip(source: Path | BinaryIO) -> Iterator[zipfile.ZipFile]:
    """Opens a zip archive whose members do not lie about how many bytes the file has for them.

    Args:
        source: a path, or an open binary file that can seek.

    Raises:
        zipfile.BadZipFile: saying what is wrong.
        OSError: if the file cannot be read.
    """
    stream = source.open("rb") if isinstance(source, Path) else source
    try:
        size = stream.seek(0, os.SEEK_END)
        limited = _LimitedReads(stream)
        with zipfile.ZipFile(limited) as archive:
            limited.has_limit = False
            members = archive.infolist()
            if len(members) > MOST_MEMBERS:
                raise zipfile.BadZipFile(f"it holds {len(members):,} files")
            if sum(member.compress_size for member in members) > size:
                raise zipfile.BadZipFile("its members overlap, or it is cut short")
            for member in members:
                if member.compress_type not in METHODS:
                    raise zipfile.BadZipFile(
                        f"{member.filename!r} in it is neither stored nor deflated"
                    )
            yield archive
    finally:
        if isinstance(source, Path):
            stream.close()


def npz_contents(archive: zipfile.ZipFile) -> dict[str, NpzArray]:
    """The arrays of an npz file by name, in its order; their values are not read.

    Raises:
        zipfile.BadZipFile: if an array is not as large as its header states.
        ValueError: if a header is none.
    """
    arrays = {}
    for member in archive.infolist():
        if member.filename.endswith(_NPY_SUFFIX):
            with archive.open(member) as stream:
                array = _stated_array(stream, member)
            arrays[member.filename.removesuffix(_NPY_SUFFIX)] = array
    return arrays


def _stated_array(stream: Any, member: zipfile.ZipInfo) -> NpzArray:
    head = io.BytesIO(stream.read(MOST_HEADER_BYTES + 12))
    version = np.lib.format.read_magic(head)
    size = head.getvalue()[8:10] if version == (1, 0) else head.getvalue()[8:12]
    if int.from_bytes(size, "little") > MOST_HEADER_BYTES:
        raise zipfile.BadZipFile(f"{member.filename!r} in it has an endless header")
    read_header = np.lib.format.read_array_header_2_0
    if version == (1, 0):
        read_header = np.lib.format.read_array_header_1_0
    shape, _, dtype = read_header(head)
    nbytes = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and nbytes > member.file_size - head.tell():
        raise zipfile.BadZipFile(
            f"{member.filename!r} in it declares {nbytes:,} bytes but holds only "
            f"{max(0, member.file_size - head.tell()):,}"
        )
    return NpzArray(member.filename, shape, dtype, nbytes, member.compress_size)


def npz_array(archive: zipfile.ZipFile, array: NpzArray) -> NDArray[Any]:
    """The values of an array.

    Raises:
        ValueError: if it holds Python objects, or is not as its header states.
    """
    with archive.open(array.member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)
