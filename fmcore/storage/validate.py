"""Checks a whole store, every chunk read; yields what is wrong with it, and goes on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.errors import FmcoreError, StoreError
from fmcore.storage.chunks.chunk_index import ChunkIndex, index_of
from fmcore.storage.file.nodes import DAMAGE, DIGEST, attributes_digest, iter_nodes, read_text
from fmcore.storage.file.opened import open_file
from fmcore.storage.file.raw_bytes import FileBytes
from fmcore.storage.file.seal import verify_seal
from fmcore.storage.file.structure import structure_problems
from fmcore.storage.store import Store

# A minute, and as long as the slowest disk and one slow core take.
PATIENCE_SECONDS = 60.0
SLOWEST_BYTES_PER_SECOND = 2e6


def problems(path: str | Path, *, quick: bool = False, beyond_seal: bool = False) -> Iterator[str]:
    """One sentence for each thing that is wrong; none for a whole store.

    Args:
        path: the store.
        quick: only structure, seal and digest: no chunk is read.
        beyond_seal: go on where the metadata are damaged, which may crash HDF5.

    Raises:
        InputFileError, StoreError: if the file is no store at all.
    """
    path, sound, seal = Path(path), True, ""
    try:
        if path.is_file() and not verify_seal(FileBytes(path)):
            seal = "it has no seal: its end is cut off, or another program has changed it"
    except StoreError as error:
        if not beyond_seal:
            raise
        sound, seal = False, str(error)
    except OSError:
        pass  # opening it says so
    with open_file(path, check_seal=False) as opened:
        file = opened.hdf5
        if seal:
            yield seal
        for problem in structure_problems(file):
            sound = False
            yield problem
        yield from _readable("the attributes", _digest_problems(file))
        for where, node in iter_nodes(file, path) if not quick else ():
            if isinstance(node, h5py.Dataset):
                for problem in _readable(where, _chunk_problems(node, opened.bytes)):
                    sound = False
                    yield problem
    if sound and not quick:
        with Store(path) as store:
            yield from _readable("the samples", _content_problems(store))


def problems_apart(path: str | Path, *, quick: bool = False) -> list[str]:
    """The same, found by a process of its own, because HDF5 may crash or hang on a damaged file.

    Of 510 flipped bits one ended HDF5 1.14.6 in `free(): invalid pointer`. What was found until
    then is kept.

    Raises:
        InputFileError: if there is no such file, or it cannot be read.
        StoreError: if the file is no store at all.
    """
    path = Path(path)
    # spawn: a fork would take over the locks of this process' HDF5.
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_tell, args=(_problems_of, path, quick, theirs), daemon=True)
    process.start()
    theirs.close()
    found: list[str] = []
    size = path.stat().st_size if path.is_file() else 0
    patience = PATIENCE_SECONDS + size / SLOWEST_BYTES_PER_SECOND
    try:
        while ours.poll(patience):  # for each line, so that it grows with what is found
            try:
                told = ours.recv()
            except (EOFError, OSError):
                said = "HDF5 itself crashes on it"
                break
            if told is None:
                return found
            if isinstance(told, FmcoreError):
                if found:
                    return [*found, str(told)]
                raise told
            found.append(told)
        else:
            said = f"HDF5 does not come back from it within {patience:,.0f} s"
    finally:
        process.kill()
        process.join()
        ours.close()
    return [*found, f"{said}: the file is damaged; capture again, or restore a copy"]


def _tell(
    find: Callable[[Path, bool], Iterator[str]], path: Path, quick: bool, pipe: Connection[Any, Any]
) -> None:
    """Sends each problem as it is found, then None or the error that ended the search."""
    try:
        for problem in find(path, quick):
            pipe.send(problem)
        pipe.send(None)
    except FmcoreError as error:
        pipe.send(error)


def _problems_of(path: Path, quick: bool) -> Iterator[str]:
    return problems(path, quick=quick, beyond_seal=True)


def _readable(what: str, found: Iterator[str]) -> Iterator[str]:
    """The problems found, and that HDF5 could not go on where it could not."""
    try:
        yield from found
    except DAMAGE as error:
        yield f"{what} cannot be read: {error}"


def _chunk_problems(array: h5py.Dataset, file: FileBytes) -> Iterator[str]:
    """Every damaged chunk; those one after the other and damaged in the same way in one line."""
    index = index_of(array, file.size)
    damaged: dict[str, set[int]] = {}
    for position in index.positions(0, index.shape[0]):
        try:
            values = index.decoded(file, position)
        except (ValueError, OSError) as error:
            reason = str(error).split(":")[0]  # without the numbers that differ from chunk to chunk
            damaged.setdefault(f"cannot be read: {reason}", set()).add(position[0])
            continue
        if array.is_scale and not _counts(values, index, position[0]):
            damaged.setdefault("an axis counts 0, 1, 2 …, this does not", set()).add(position[0])
    for text, rows in damaged.items():
        runs = itertools.groupby(enumerate(sorted(rows)), key=lambda one: one[1] - one[0])
        for _, run in runs:
            places = [row for _, row in run]
            yield f"{index.name}, {index.rows_of(places[0], places[-1])}: {text}"


def _counts(values: NDArray[Any], index: ChunkIndex, place: int) -> bool:
    start = place * index.chunk[0]
    there = values[: index.shape[0] - start]
    return np.array_equal(there, np.arange(start, start + len(there)))


def _digest_problems(file: h5py.File) -> Iterator[str]:
    if attributes_digest(file) != read_text(file, DIGEST):
        yield f"the attributes or axis references differ from their digest ({DIGEST})"


def _content_problems(store: Store) -> Iterator[str]:
    n_classes = len(store.class_names)
    for name, values in ({"label": store.labels} | store.classes_of_samples()).items():
        outside = (values < 0) | (values >= n_classes)
        if outside.any():
            row = int(np.argmax(outside))
            yield f"/samples/{name} of sample {row} is outside the {n_classes} classes"
    counted = np.bincount(np.clip(store.labels, 0, n_classes - 1), minlength=n_classes)
    if not np.array_equal(counted, store.class_sizes):
        yield "/classes/n_samples does not count /samples/label"
    if store.labels_are == "none" and store.labels.any():
        yield "/samples/label is not 0, but the attribute labels of /dataset is none"
    if not store.has_predictions:
        return
    differs = store.probabilities.argmax(axis=1) != store.predictions
    if differs.any():
        row = int(np.argmax(differs))
        yield (
            f"/samples/prediction of sample {row} is not the most probable class; so of "
            f"{int(differs.sum()):,} samples"
        )
