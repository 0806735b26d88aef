"""Checks a whole store, every chunk read; yields what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import h5py
import numpy as np

from fmcore.storage.attributes import DIGEST, attributes_digest, read_text
from fmcore.storage.opening import DAMAGE, open_file
from fmcore.storage.reader import Store
from fmcore.storage.structure import structure_problems
from fmcore.storage.walk import walk


def problems(path: str | Path) -> Iterator[str]:
    """One sentence for each thing that is wrong; none for a whole store.

    Raises:
        InputFileError, StoreError: if the file is no store at all.
    """
    path = Path(path)
    sound = True
    with open_file(path) as opened:
        file = opened.hdf5
        for problem in structure_problems(file):
            sound = False
            yield problem
        for where, node in walk(file, path):
            if isinstance(node, h5py.Dataset):
                yield from _readable(where, _chunk_problems(node))
        yield from _readable("the attributes", _digest_problems(file))
    if sound:
        with Store(path) as store:
            yield from _readable("the samples", _content_problems(store))


def problems_apart(path: str | Path) -> list[str]:
    """The same, found by a process of its own, because HDF5 may crash on a damaged file.

    Of 510 flipped bits one ended HDF5 1.14.6 in `free(): invalid pointer`.
    """
    try:
        # spawn: a fork would take over the locks of this process' HDF5.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            return process.submit(_problems_of, Path(path)).result()
    except BrokenProcessPool:
        return ["HDF5 itself crashes on it: the file is damaged; capture again, or restore a copy"]


def _problems_of(path: Path) -> list[str]:
    return list(problems(path))


def _readable(what: str, found: Iterator[str]) -> Iterator[str]:
    """The problems found, and that HDF5 could not go on where it could not."""
    try:
        yield from found
    except DAMAGE as error:
        yield f"{what} cannot be read: {error}"


def _chunk_problems(array: h5py.Dataset) -> Iterator[str]:
    for index in range(array.id.get_num_chunks() if array.chunks else 0):
        corner = array.id.get_chunk_info(index).chunk_offset
        edges = zip(corner, array.chunks, strict=True)
        array[tuple(slice(start, start + step) for start, step in edges)]  # verifies the checksum
    yield from ()


def _digest_problems(file: h5py.File) -> Iterator[str]:
    if attributes_digest(file) != read_text(file, DIGEST):
        yield f"the attributes or axis references differ from their digest ({DIGEST})"


def _content_problems(store: Store) -> Iterator[str]:
    n_classes = len(store.class_names)
    for name, values in (("label", store.labels), ("prediction", store.predictions)):
        outside = (values < 0) | (values >= n_classes)
        if outside.any():
            row = int(np.argmax(outside))
            yield f"/samples/{name} of sample {row} is outside the {n_classes} classes"
    counted = np.bincount(np.clip(store.labels, 0, n_classes - 1), minlength=n_classes)
    if not np.array_equal(counted, store.class_sizes):
        yield "/classes/n_samples does not count /samples/label"
