"""Looks at all of a store that readers may touch later, in a process that it may end.

HDF5 1.14 ends the process on damaged metadata (38 of 700 stores without a seal, with one to four
damaged places), and a seal keeps out accidents, not people. What was looked through here without
harm is the same for HDF5 in the process that reads on.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fmcore.apart import ApartError, bounds_for, call_apart
from fmcore.errors import InputFileError, StoreError
from fmcore.storage.file.nodes import MOST_ATTRIBUTE_BYTES, damage_as_store_error
from fmcore.storage.file.raw_bytes import FileBytes
from fmcore.storage.file.shard_table import bytes_of_store
from fmcore.storage.format.schema import SCHEMA, array_path
from fmcore.storage.handle import StoreFile
from fmcore.storage.store import Store, open_store

# What the process apart calls.
LOOK = f"{__name__}:look"
# What is read as a whole is tables: all but images and maps. Those of stores of random images take
# 2.3 to 3.4 times as many bytes as the file; a file of 0.8 MB in which they took 2.6 GB was made on
# purpose. Dead layers are zeros, which deflate to a thousandth, but not a whole file.
MOST_RATIO = 100
# A small store may be as empty as it likes.
FREE_BYTES = 64 << 20
# Each thread that reads holds a chunk. The writer's have up to 256 KiB, or are a map or an image of
# thousands of pixels a side, of which a file holds many.
FREE_CHUNK_BYTES = 8 << 20
MOST_CHUNK_RATIO = 10
# Read in parts, never as a whole.
_IN_PARTS = frozenset({"activation", "image"})


def inspect_store(store: Store) -> None:
    """Reads all metadata of an open store, and the index of the chunks of each array.

    Raises:
        StoreError: if a part is damaged, or takes more to read than one of a real store.
    """
    file = store.file
    n_bytes = 0
    most_of_chunk = max(FREE_CHUNK_BYTES, MOST_CHUNK_RATIO * file.n_bytes)
    with damage_as_store_error(store.path):
        # A text of variable length does not say how long it is before it is read.
        texts = [*store.about().values(), *(facts.attributes for facts in file.layers.values())]
        if sum(map(_text_bytes, texts)) > MOST_ATTRIBUTE_BYTES * len(texts):
            raise StoreError(f"{store.path} is no store: its attributes are too long")
        for spec in SCHEMA:
            if not spec.of_layer and spec.part is None and file.has(spec.name):
                n_bytes += _read_index(file, spec.path, spec.name, most_of_chunk)
        for group, facts in file.layers.items():
            file.check_layer(group)
            for name in facts.arrays:
                path = array_path(name, group)
                n_bytes += _read_index(file, path, name, most_of_chunk)
        most = max(FREE_BYTES, MOST_RATIO * file.n_bytes)
        if n_bytes > most:
            raise StoreError(
                f"{store.path} is refused: its tables would take {n_bytes:,} bytes in memory, and "
                f"the file has {file.n_bytes:,}; expected at most {most:,}"
            )


def _read_index(file: StoreFile, path: str, name: str, most_of_chunk: int) -> int:
    """Reads where the chunks of an array lie; the bytes of its values, if read at once.

    Raises:
        ValueError: if a chunk takes more bytes than agreed.
    """
    sharded = file.sharded.get(path)
    if sharded is not None:
        file.index(path)
        shape, chunk, itemsize = sharded.shape, sharded.chunk, np.dtype(sharded.dtype).itemsize
    else:
        array = h5py.h5d.open(file.hdf5.id, path.encode())
        array.chunk_iter(lambda _: None)
        shape, itemsize = array.shape, array.get_type().get_size()
        chunk = array.get_create_plist().get_chunk()
    chunk_bytes = math.prod(chunk) * itemsize
    if chunk_bytes > most_of_chunk:
        raise ValueError(
            f"/{path} has chunks of {chunk_bytes:,} bytes, expected at most {most_of_chunk:,} in a "
            "file of that size"
        )
    return 0 if name in _IN_PARTS else math.prod(shape) * itemsize


def _text_bytes(attributes: Mapping[str, Any]) -> int:
    return sum(sys.getsizeof(value) for value in attributes.values())


def look(descriptor: int, name: str) -> None:
    """Looks through an open file as `inspect_store` does; what the process apart calls.

    Raises:
        InputFileError: if the file cannot be read.
        StoreError, UnsupportedVersionError: if it is not a store, or a damaged one.
    """
    path = Path(name)
    with open_store(path, file=FileBytes(path, descriptor=descriptor)) as store:
        inspect_store(store)


def opened_apart(path: str | Path) -> Store:
    """Opens a store for reading that a process apart has looked through and survived.

    Raises:
        InputFileError: if there is no such file, or it cannot be read.
        StoreError: if it is not a store, or a damaged one.
        UnsupportedVersionError: if its format has another major version.
    """
    path = Path(path)
    if not path.is_file():
        return open_store(path)  # which says what it is
    try:
        file = FileBytes(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputFileError(f"cannot open store {path}: {reason}") from error
    try:
        call_apart(LOOK, file.descriptor, str(path), bounds_for(bytes_of_store(path)))
    except ApartError as error:
        raise StoreError(damage_text(path, error)) from error
    return open_store(path, file=file)


def damage_text(path: Path, error: ApartError) -> str:
    """A sentence about a file that a process apart could not look through."""
    return (
        f"{path} is a damaged or incomplete store: {error}; capture again, or restore it from a "
        "copy"
    )
