"""Joins shards to one store: by copying their chunks as they lie, or by stating where they lie."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from fmcore.errors import StoreError
from fmcore.files import in_real_folder, moved_files
from fmcore.storage.chunks.sharded import ShardRows
from fmcore.storage.chunks.stored_array import ChunkIndex, index_of
from fmcore.storage.file.nodes import damage_as_store_error
from fmcore.storage.file.opened import open_file
from fmcore.storage.file.seal import stated_digest
from fmcore.storage.file.shard_table import ShardFacts, is_shard_name
from fmcore.storage.format.plan import StorePlan
from fmcore.storage.format.schema import CAPTURE, SHARDS, array_path
from fmcore.storage.shard_folders import new_folder, reclaim_shards
from fmcore.storage.store import Store
from fmcore.storage.writer import COUNTED, StoreWriter, create_store

__all__ = ["Join", "Shard", "append_store", "join_shards", "reclaim_shards"]

# Rows that are read at once where they have to be encoded anew.
BLOCK_BYTES = 16 << 20


class Join(StrEnum):
    """How shards become one store."""

    COPY = "copy"
    MANIFEST = "manifest"


@dataclass(frozen=True, slots=True)
class Shard:
    """A store that holds a range of the samples.

    Attributes:
        path: the file.
        rows: the indices of its samples among all.
    """

    path: Path
    rows: range


@contextlib.contextmanager
def join_shards(
    path: Path,
    plan: StorePlan,
    shards: Sequence[Shard],
    threads: ThreadPoolExecutor,
    *,
    join: Join,
    overwrite: bool = False,
) -> Iterator[StoreWriter]:
    """Opens a new store that has all samples of some shards; the block writes its statistics.

    With `Join.MANIFEST`, the shards are moved into a folder beside the store when the block ends:
    all of them, and then the store appears as `path`. If anything fails they are moved back; a
    killed process may leave them there, see `reclaim_shards`.

    Args:
        path: the file.
        plan: the plan of the whole store.
        shards: the shards, in the order of their samples; for `Join.MANIFEST` in one folder, on the
            file system of `path`, each under a plain name of its own.
        threads: the threads that compress chunks.
        join: `copy` puts all samples into the file; with `manifest` the large arrays stay in the
            shards.
        overwrite: whether to replace a file of that name.

    Raises:
        OutputError: if `path` exists and `overwrite` is false, the disk refuses, or what was
            written cannot be opened.
        InputFileError, StoreError: if a shard cannot be read, is damaged, or is none of this store.
        ValueError: if the shards are not those of all samples in one folder.
    """
    _check(shards, len(plan.ids), join)
    rows = ShardRows([len(shard.rows) for shard in shards]) if join == Join.MANIFEST else None
    # Outside, so that shards are moved back where the store does not get its name.
    with (
        contextlib.ExitStack() as moving,
        create_store(path, plan, threads, overwrite=overwrite, shards=rows) as writer,
    ):
        facts = [_append_shard(writer, shard) for shard in shards]
        folder = new_folder(in_real_folder(path))
        if rows is not None:
            writer.set_shards(shards[0].path.parent, folder.name, facts)
        yield writer
        if rows is not None:
            moving.enter_context(moved_files([shard.path for shard in shards], folder))


def _check(shards: Sequence[Shard], n_samples: int, join: Join) -> None:
    n_before = 0
    for shard in shards:
        if shard.rows.start != n_before or not len(shard.rows) or shard.rows.step != 1:
            raise ValueError(f"{shard.path} has {shard.rows}, expected samples from {n_before} on")
        n_before = shard.rows.stop
        if join == Join.MANIFEST and not is_shard_name(shard.path.name):
            raise ValueError(f"{shard.path.name!r} is no name of a shard")
    if n_before != n_samples:
        raise ValueError(f"the shards have {n_before} samples, expected {n_samples}")
    if join == Join.MANIFEST and len({shard.path.parent for shard in shards}) > 1:
        raise ValueError("the shards lie in several folders")


def _append_shard(writer: StoreWriter, shard: Shard) -> ShardFacts:
    """Appends the samples of a shard; returns what a store states of it.

    The structure is not looked through again, which takes four times as long as all else: the seal
    says that the file is, bit by bit in its metadata, what its writer checked.
    """
    path, n_samples = shard.path, len(shard.rows)
    with open_file(path) as opened, damage_as_store_error(path):
        file, digest = opened.bytes, stated_digest(opened.bytes)
        if digest is None or not opened.is_sealed or SHARDS in opened.hdf5:
            raise StoreError(
                f"{path} is no shard: it has no seal, or shards of its own; capture it again"
            )
        first = int(opened.hdf5[CAPTURE].attrs["first_sample"])
        labels = index_of(opened.hdf5[array_path("label")], file)
        if (first, labels.shape[0]) != (shard.rows.start, n_samples):
            raise StoreError(
                f"{path} is another shard: it has {labels.shape[0]} samples from {first} on, "
                f"expected {n_samples} from {shard.rows.start} on; capture it again"
            )
        _append_rows(writer, lambda name: index_of(opened.hdf5[name], file))
    return ShardFacts(path.name, first, n_samples, file.size, digest)


def append_store(writer: StoreWriter, path: Path) -> None:
    """Appends all samples of another store of the same plan, but none of its statistics.

    Chunks that are chunks of the whole, too, are copied as they lie, their checksums compared; the
    others are encoded anew.

    Args:
        writer: the writer of the whole, which has all samples before those of the part.
        path: the store of the part.

    Raises:
        InputFileError, StoreError: if the part cannot be read, or is damaged.
        OSError: if the disk refuses.
    """
    with Store(path) as part:
        _append_rows(writer, part.file.index)


def _append_rows(writer: StoreWriter, index: Callable[[str], ChunkIndex]) -> None:
    """Appends all rows of a part, given where the chunks of its arrays lie, by path."""
    counted = {name: array_path(name) for name in COUNTED}
    indexes = {path: index(path) for path in (*writer.rows, *writer.sharded)}
    whole = {name: indexes[path] for name, path in counted.items() if path in indexes}
    writer.count({name: rows.rows(0, rows.shape[0]) for name, rows in whole.items()})
    for path in writer.rows:
        _append(writer, path, indexes[path])
    for path, sharded in writer.sharded.items():
        sharded.add(indexes[path])


def _append(writer: StoreWriter, name: str, index: ChunkIndex) -> None:
    """Appends all rows of an array of a part."""
    n_rows, step = index.shape[0], index.chunk[0]
    copied = n_rows // step * step if writer.takes_chunks(name, index.chunk, index.codec) else 0
    if copied:
        first_row = writer.rows[name].n_rows
        writer.append_chunks(name, index.runs(copied, first_row, writer.rows[name].run_length))
    row_bytes = index.dtype.itemsize
    for size in index.shape[1:]:
        row_bytes *= size
    block = max(1, BLOCK_BYTES // row_bytes)
    for start in range(copied, n_rows, block):
        writer.append_rows({name: index.rows(start, min(start + block, n_rows))})
