"""Checks HDF5 files that are not stores, such as weights, before anything in them is trusted.

An HDF5 file can show bytes of another file, and a small file can declare terabytes. A damaged one
may end the process that reads it, so a process apart does so first.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.apart import ApartError, NoHelperError, bounds_for, call_apart, name_of_open
from fmcore.errors import InputFileError
from fmcore.selection import near_matches

# Measured: a decompression bomb inflates 8,000 times, trained weights hardly at all.
MOST_RATIO = 200
FREE_BYTES = 16 << 20
MOST_BYTES = 64 << 30
DEEPEST = 64
MOST_NODES = 200_000
# What the process apart calls.
LOOK = f"{__name__}:look"
# No more problems of one file are of use to anybody.
MOST_PROBLEMS = 20
# One chunk of a foreign file may be large; it is inflated whole.
MEMORY_BYTES = 4 << 30
COPIED_BYTES = 1 << 20  # at a time
# What h5py raises for a damaged file.
DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError)


class _Totals:
    """What a check has counted so far: the nodes of a file, and the bytes that they declare."""

    def __init__(self) -> None:
        self.n_nodes = 0
        self.n_bytes = 0


def foreign_problems(source: Path | IO[bytes]) -> Iterator[str]:
    """Yields what makes an HDF5 file unsafe to read, one sentence each; keeps no data.

    Args:
        source: a path, or an open binary file, such as a member of an archive, which is copied.

    Raises:
        InputFileError: if it is not an HDF5 file, or its metadata cannot be read.
    """
    if isinstance(source, Path):
        yield from _problems_apart(source)
        return
    # HDF5 reads files of the system only, and the process apart has nothing else of this one.
    with tempfile.NamedTemporaryFile() as copy:
        shutil.copyfileobj(source, copy, COPIED_BYTES)
        copy.flush()
        yield from _problems_apart(Path(copy.name))


def _problems_apart(path: Path) -> list[str]:
    """The problems of a file, by a process apart, which also reads arrays that must be inflated.

    Raises:
        InputFileError: if it is not an HDF5 file, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            bounds = bounds_for(os.fstat(file.fileno()).st_size, memory_bytes=MEMORY_BYTES)
            problems: list[str] = call_apart(LOOK, file.fileno(), str(path), bounds)
    except (OSError, ApartError) as error:
        if isinstance(error, InputFileError | NoHelperError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise InputFileError(f"not a readable HDF5 file: {reason}") from error
    return problems


def look(descriptor: int, path: str) -> list[str]:
    """The problems of an open file; what the process apart calls.

    Args:
        descriptor: the open file.
        path: its path.

    Raises:
        InputFileError: if it is not an HDF5 file, or its metadata cannot be read.
    """
    problems: list[str] = []
    try:
        with h5py.File(name_of_open(descriptor, Path(path)), "r", locking=False) as file:
            for problem in _group_problems(file, 0, _Totals()):
                problems.append(problem)
                if len(problems) == MOST_PROBLEMS:
                    break
            if not problems:
                for name in _array_names(file):
                    _read_filtered(file[name])
    except DAMAGE as error:
        raise InputFileError(f"not a readable HDF5 file: {error}") from error
    return problems


def _read_filtered(array: h5py.Dataset) -> None:
    """Reads all chunks of an array that go through filters, which may fail on damaged ones."""
    dict(array.attrs)
    if array.chunks is not None and array.id.get_create_plist().get_nfilters():
        for part in array.iter_chunks():
            array[part]


def foreign_text(path: Path, name: str, *, most_bytes: int) -> str | None:
    """A text attribute of the root of a checked HDF5 file; None if it has no such attribute.

    Raises:
        InputFileError: if the attribute cannot be read, or is longer than `most_bytes`.
    """
    try:
        with h5py.File(path, "r", locking=False) as file:
            if name not in file.attrs:
                return None
            value = file.attrs[name]
    except DAMAGE as error:
        raise InputFileError(f"not a readable HDF5 file: {error}") from error
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    if len(text) > most_bytes:
        raise InputFileError(
            f"{name} is {len(text):,} characters long, expected at most {most_bytes:,}"
        )
    return text


def _group_problems(group: h5py.Group, depth: int, totals: _Totals) -> Iterator[str]:
    if depth > DEEPEST:
        yield f"{group.name} is nested more than {DEEPEST} groups deep"
        return
    for name in group:
        where = f"{group.name.rstrip('/')}/{name}"
        totals.n_nodes += 1
        if totals.n_nodes > MOST_NODES:
            yield f"it has more than {MOST_NODES:,} parts"
            return
        if group.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
            yield f"{where} is a link to another place"
            continue
        node = group[name]
        if isinstance(node, h5py.Group):
            yield from _group_problems(node, depth + 1, totals)
        elif isinstance(node, h5py.Dataset):
            yield from _dataset_problems(node, where, totals)


def _dataset_problems(node: h5py.Dataset, where: str, totals: _Totals) -> Iterator[str]:
    if node.is_virtual or node.external:
        yield f"{where} keeps its data in another file"
        return
    n_bytes = int(np.prod(node.shape or (1,), dtype=object)) * node.dtype.itemsize
    stored = node.id.get_storage_size()
    totals.n_bytes += n_bytes
    if node.chunks is not None:  # a chunk is inflated whole, even if little of it lies in the array
        chunk_bytes = int(np.prod(node.chunks, dtype=object)) * node.dtype.itemsize
        n_bytes = max(n_bytes, chunk_bytes)
    if n_bytes > FREE_BYTES and n_bytes > MOST_RATIO * stored:
        yield f"{where} declares {n_bytes:,} bytes but holds only {stored:,}"
    elif totals.n_bytes > MOST_BYTES:
        yield f"its arrays declare more than {MOST_BYTES:,} bytes"


def is_hdf5(path: Path) -> bool:
    """Whether a file is an HDF5 file by its content."""
    return bool(h5py.is_hdf5(path))


def foreign_names(path: Path) -> list[str]:
    """The paths of the arrays in an HDF5 file.

    Raises:
        InputFileError: if it is unsafe to read, or cannot be read.
    """
    try:
        for problem in foreign_problems(path):
            raise InputFileError(f"{path} is refused: {problem}")
        with h5py.File(path, "r", locking=False) as file:
            return _array_names(file)
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        if isinstance(error, InputFileError):
            raise
        raise InputFileError(f"{path} cannot be read: {error}") from error


def _array_names(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visititems(
        lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None
    )
    return names


def foreign_arrays(path: Path, names: Sequence[str]) -> list[NDArray[Any]]:
    """Reads whole arrays of an HDF5 file by their paths in it.

    Raises:
        InputFileError: if there is no such file, it is unsafe to read, or lacks one of the arrays.
    """
    if not path.is_file():
        raise InputFileError(f"cannot read {path}: there is no such file")
    try:
        for problem in foreign_problems(path):
            raise InputFileError(f"{path} is refused: {problem}")
        with h5py.File(path, "r", locking=False) as file:
            arrays = _array_names(file)
            for name in names:
                if name.strip("/") not in arrays:
                    raise InputFileError(
                        f"{path} has no array {name!r}{near_matches(name, arrays)}; it has "
                        f"{', '.join(arrays[:20]) or 'none'}"
                    )
            return [np.asarray(file[name][...]) for name in names]
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        if isinstance(error, InputFileError):
            raise
        raise InputFileError(f"{path} cannot be read: {error}") from error
