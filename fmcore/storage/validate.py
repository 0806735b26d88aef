"""Checks a whole store, reading every chunk; reports each problem and goes on."""

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

from fmcore.errors import FmcoreError, OutputError, StoreError
from fmcore.statistics import DUPLICATE
from fmcore.storage.chunks.stored_array import ChunkIndex, index_of
from fmcore.storage.file.nodes import (
    DAMAGE,
    DIGEST,
    AttributesDigest,
    damage_as_store_error,
    read_text,
)
from fmcore.storage.file.opened import OpenFile, open_file
from fmcore.storage.file.raw_bytes import FileBytes
from fmcore.storage.file.seal import verify_seal
from fmcore.storage.file.shard_table import ShardFacts, bytes_of_store
from fmcore.storage.file.structure import checked_parts
from fmcore.storage.format.graph import parse_graph
from fmcore.storage.format.schema import CAPTURE, DATASET, array_path
from fmcore.storage.layer import Layer
from fmcore.storage.store import Store

# A minute, plus the time that the slowest disk and one slow core take.
PATIENCE_SECONDS = 60.0
SLOWEST_BYTES_PER_SECOND = 2e6


def problems(path: str | Path, *, quick: bool = False, beyond_seal: bool = False) -> Iterator[str]:
    """Yields one sentence for each problem of a store; nothing if the store is sound.

    The problems of a store's shards begin with the name of the shard.

    Args:
        path: the file of the store.
        quick: whether to check only structure, seal and digest, and read no chunk.
        beyond_seal: whether to go on if the metadata are damaged, which may crash HDF5.

    Raises:
        InputFileError, StoreError: if the file is not a store at all.
    """
    path, sound, seal = Path(path), True, ""
    try:
        if path.is_file() and not verify_seal(FileBytes(path)):
            seal = "it has no seal: its end was cut off, or another program has changed it"
    except StoreError as error:
        if not beyond_seal:
            raise
        sound, seal = False, str(error)
    except OSError:
        pass  # opening the file raises the error
    with open_file(path, check_seal=False) as opened:
        if seal:
            yield seal
        digest = AttributesDigest()
        with damage_as_store_error(path):
            for problem in _problems_of_parts(opened, digest, values=not quick):
                sound = False
                yield problem
        yield from _digest_problems(opened.hdf5, digest)
    if not sound:
        return
    with Store(path) as store:
        for problem in _shard_problems(store, quick=quick, beyond_seal=beyond_seal):
            sound = False
            yield problem
        if sound and not quick:
            yield from _catch_damage("the samples", _content_problems(store))


def verify_store(path: Path, *, name: Path) -> None:
    """Opens a finished store as every reader does, and checks it quickly, before it is published.

    Args:
        path: the partial file, as it lies on the disk.
        name: the name that it is to get, for the message.

    Raises:
        OutputError: if the file cannot be opened, or its structure, seal or digest is wrong.
    """
    try:
        with Store(path) as store:  # which checks the seal
            opened, digest = store.file.opened, AttributesDigest()
            if store.file.shards is not None and store.file.shard_bytes is not None:
                for place in range(len(store.file.shards.shards)):
                    store.file.shard_bytes.file(place)
            problem = next(_problems_of_parts(opened, digest, values=False), None) or next(
                _digest_problems(opened.hdf5, digest), None
            )
    except FmcoreError as error:
        problem = str(error)
    if problem is not None:
        raise OutputError(
            f"{name} was not written: what lies on the disk is no readable store ({problem}); what "
            "was there before is unchanged; run the command again, and if it fails again, please "
            "report it as a defect"
        )


def problems_apart(path: str | Path, *, quick: bool = False) -> list[str]:
    """Runs `problems` in its own process, because HDF5 may crash or hang on a damaged file.

    One of 510 flipped bits ended HDF5 1.14.6 in `free(): invalid pointer`. Problems that were
    found before a crash are kept.

    Raises:
        InputFileError: if there is no such file, or it cannot be read.
        StoreError: if the file is not a store at all.
    """
    path = Path(path)
    # spawn: a fork would inherit the locks of this process' HDF5.
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    arguments = (_find_problems, path, quick, sender)
    process = context.Process(target=_send_problems, args=arguments, daemon=True)
    process.start()
    sender.close()
    problems: list[str] = []
    patience = PATIENCE_SECONDS + bytes_of_store(path) / SLOWEST_BYTES_PER_SECOND
    try:
        while receiver.poll(patience):  # for each problem, so many problems take longer
            try:
                message = receiver.recv()
            except (EOFError, OSError):
                failure = "HDF5 itself crashes on it"
                break
            if message is None:
                return problems
            if isinstance(message, FmcoreError) and problems:
                return [*problems, str(message)]
            if isinstance(message, Exception):
                raise message
            problems.append(message)
        else:
            failure = f"HDF5 does not return from it within {patience:,.0f} s"
    finally:
        process.kill()
        process.join()
        receiver.close()
    return [*problems, f"{failure}: the file is damaged; capture again, or restore a copy"]


def _send_problems(
    find: Callable[[Path, bool], Iterator[str]], path: Path, quick: bool, pipe: Connection[Any, Any]
) -> None:
    """Sends each problem when it is found, then None or the error that ended the check."""
    try:
        for problem in find(path, quick):
            pipe.send(problem)
        pipe.send(None)
    except FmcoreError as error:
        pipe.send(error)
    except Exception as error:  # a defect, and no damage of the file
        pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))


def _find_problems(path: Path, quick: bool) -> Iterator[str]:
    return problems(path, quick=quick, beyond_seal=True)


def _catch_damage(subject: str, problems: Iterator[str]) -> Iterator[str]:
    """Yields the problems, and one more if HDF5 raises an error while they are looked for."""
    try:
        yield from problems
    except DAMAGE as error:
        yield f"{subject} cannot be read: {error}"


def _problems_of_parts(
    opened: OpenFile, digest: AttributesDigest, *, values: bool
) -> Iterator[str]:
    """Problems of structure, and of values if these are wanted; adds all attributes to a digest."""
    digest.add("/", opened.hdf5)
    for nodes, problems_of_part in checked_parts(opened.hdf5, opened.bytes.path):
        yield from problems_of_part
        for where, node in nodes.items():
            digest.add(f"/{where}", node)
            if values and isinstance(node, h5py.Dataset):
                yield from _catch_damage(f"/{where}", _chunk_problems(node, opened.bytes))


def _shard_problems(store: Store, *, quick: bool, beyond_seal: bool) -> Iterator[str]:
    """Problems of each shard, and where it is not what the store states."""
    table, file = store.file.shards, store.file.shard_bytes
    if table is None or file is None:
        return
    for place, shard in enumerate(table.shards):
        path, n_problems = file.folder / shard.name, 0
        try:
            file.file(place)
            for problem in problems(path, quick=quick, beyond_seal=beyond_seal):
                n_problems += 1
                yield f"shard {shard.words}: {problem}"
            if not n_problems:
                with Store(path) as part:
                    yield from _differences(store, part, shard, int(file.starts[place]))
        except FmcoreError as error:
            yield str(error)


def _differences(store: Store, part: Store, shard: ShardFacts, start: int) -> Iterator[str]:
    """Where a sound shard, which begins somewhere in the bytes of all, is not as is stated."""
    rows = slice(shard.first_sample, shard.last_sample + 1)
    first = part.about()[CAPTURE]["first_sample"]
    if (first, part.n_samples) != (shard.first_sample, shard.n_samples):
        yield f"shard {shard.words}: it holds {part.n_samples} samples from {first} on"
        return
    if not np.array_equal(part.labels, store.labels[rows]):
        yield f"shard {shard.words}: its labels are not those of the store"
    for path in store.file.sharded:
        whole, own = store.file.index(path), part.file.index(path)
        chunks = slice(rows.start // whole.chunk[0], -(-rows.stop // whole.chunk[0]))
        if (
            (own.chunk, own.dtype, own.codec) != (whole.chunk, whole.dtype, whole.codec)
            or not np.array_equal(own.offsets + start, whole.offsets[chunks])
            or not np.array_equal(own.sizes, whole.sizes[chunks])
        ):
            yield f"shard {shard.words}: the chunks of {own.name} lie elsewhere than is stated"


def _chunk_problems(array: h5py.Dataset, file: FileBytes) -> Iterator[str]:
    """Yields every damaged chunk; consecutive ones with the same damage share a sentence."""
    index, is_scale = index_of(array, file), array.is_scale
    damaged: dict[str, set[int]] = {}
    for position in index.positions(0, index.shape[0]):
        try:
            values = index.decode(position)
        except (ValueError, OSError) as error:
            reason = str(error).split(":")[0]  # without numbers, which differ between chunks
            damaged.setdefault(f"cannot be read: {reason}", set()).add(position[0])
            continue
        if is_scale and not _is_scale(values, index, position[0]):
            damaged.setdefault("an axis must count 0, 1, 2 …", set()).add(position[0])
    for text, rows in damaged.items():
        runs = itertools.groupby(enumerate(sorted(rows)), key=lambda row: row[1] - row[0])
        for _, run in runs:
            rows_of_run = [row for _, row in run]
            where = index.describe_rows(rows_of_run[0], rows_of_run[-1])
            yield f"{index.name}, {where}: {text}"


def _is_scale(values: NDArray[Any], index: ChunkIndex, chunk: int) -> bool:
    """Whether a chunk of a dimension scale holds the indices of its rows."""
    start = chunk * index.chunk[0]
    inside = values[: index.shape[0] - start]
    return np.array_equal(inside, np.arange(start, start + len(inside)))


def _digest_problems(file: h5py.File, digest: AttributesDigest) -> Iterator[str]:
    if digest.hexdigest() != read_text(file, DIGEST):
        yield f"the attributes differ from their digest ({DIGEST})"


def _content_problems(store: Store) -> Iterator[str]:
    n_classes = len(store.class_names)
    for name, values in ({"label": store.labels} | store.classes_of_samples()).items():
        outside = (values < 0) | (values >= n_classes)
        if outside.any():
            row = int(np.argmax(outside))
            yield f"/{array_path(name)} of sample {row} is outside the {n_classes} classes"
    counts = np.bincount(np.clip(store.labels, 0, n_classes - 1), minlength=n_classes)
    if not np.array_equal(counts, store.class_sizes):
        yield f"/{array_path('n_samples')} does not match the counts of /{array_path('label')}"
    if store.labels_are == "none" and store.labels.any():
        yield f"/{array_path('label')} is not 0, but the attribute labels of /{DATASET} is none"
    yield from _graph_problems(store)
    yield from _target_problems(store)
    for layer in store.layers.values():
        if "duplicate_of" in layer.arrays():
            yield from _duplicate_problems(layer)
    if not store.has_predictions:
        return
    differs = store.probabilities.argmax(axis=1) != store.predictions
    if differs.any():
        row = int(np.argmax(differs))
        yield (
            f"/{array_path('prediction')} of sample {row} is not the most probable class; "
            f"{int(differs.sum()):,} samples have this problem"
        )


def _duplicate_problems(layer: Layer) -> Iterator[str]:
    """Filters that repeat one that is not before them, or without a correlation."""
    others, r = layer.duplicates()
    is_one = others >= 0
    wrong = (others < -1) | (others >= np.arange(len(others))) | (is_one != (r > DUPLICATE))
    if wrong.any():
        index = int(np.argmax(wrong))
        yield (
            f"/{array_path('duplicate_of', layer.group)} of filter {index} is {others[index]} with "
            f"a correlation of {r[index]:g}; expected an earlier filter and a correlation above "
            f"{DUPLICATE}, or -1 and NaN"
        )


def _graph_problems(store: Store) -> Iterator[str]:
    if store.file.has("graph"):
        try:
            parse_graph(store.file.read("graph").tobytes(), store.layers)
        except ValueError as error:
            yield f"/{array_path('graph')}: {error}"


def _target_problems(store: Store) -> Iterator[str]:
    """Labels that are neither had nor not, and numbers that are none."""
    if store.file.has("has_label"):
        flags = store.file.read("has_label")
        if flags.max(initial=0) > 1:
            row = int(np.argmax((flags > 1).any(axis=1)))
            yield f"/{array_path('has_label')} of sample {row} is neither 0 nor 1"
    if store.file.has("number") and not np.isfinite(store.file.read("number")).all():
        row = int(np.argmin(np.isfinite(store.file.read("number")).all(axis=1)))
        yield f"/{array_path('number')} of sample {row} is not finite"
