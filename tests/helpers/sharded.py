"""Stores whose samples lie in shards: a drop-in for the capture of a whole."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import h5py
import numpy as np

from fmcore.capture import CaptureOptions
from fmcore.capture.run import capture_part, finish_store, scored_truth
from fmcore.statistics import LayerAccumulators
from fmcore.storage.chunks.index_patch import lookup3
from fmcore.storage.file.nodes import gaps
from fmcore.storage.format import chunk_shape
from fmcore.storage.joining import Join, Shard, join_shards
from fmcore.storage.store import Store

SHARD_ROWS = 8
MOST_SHARDS = 12  # of a whole: to make one takes a third of a second
# So small that the chunks of every array with a sample axis fit into eight samples.
SMALL = {"TABLE_CHUNK_BYTES": 64, "SMALL_SAMPLE_BYTES": 768}


@contextlib.contextmanager
def small_chunks() -> Iterator[None]:
    """Makes chunks of few samples, so that small stores have shards, too."""
    with mock.patch.multiple(chunk_shape, **SMALL):
        yield


def cuts(n: int, rows: int = SHARD_ROWS) -> list[range]:
    """The samples of each shard; the last takes what is left."""
    starts = range(0, max(1, n - n % rows), rows)
    return [range(a, b) for a, b in zip(starts, (*starts[1:], n), strict=True)]


def capture_shards(probe, samples, folder: Path, plan, ranges: list[range]):
    """The shards of a plan, and the statistics of them all."""
    folder.mkdir(exist_ok=True)
    shards, sums = [], []
    for rows in ranges:
        path = folder / f"shard-{rows.start:06d}.h5"
        sums.append(capture_part(probe, samples, path, plan.part(rows), n_threads=1))
        shards.append(Shard(path, rows))
    merged = [functools.reduce(LayerAccumulators.merge, layer) for layer in zip(*sums, strict=True)]
    return shards, merged


def join(path: Path, plan, samples, shards, merged, *, kind=Join.MANIFEST, overwrite=False) -> Path:
    """Joins shards, with scores."""
    with (
        ThreadPoolExecutor(2) as threads,
        join_shards(path, plan.store, shards, threads, join=kind, overwrite=overwrite) as writer,
    ):
        finish_store(writer, merged, scored_truth(plan, samples), threads)
    return path


def capture_in_shards(
    probe, samples, path: Path, plan, options: CaptureOptions | None = None, **_
) -> Path:
    """Captures as `fmcore.capture.capture` does, into shards of eight samples or more."""
    folder = path.with_name(f"{path.name}.parts")
    with small_chunks():
        rows = SHARD_ROWS * -(-plan.n_samples // (SHARD_ROWS * MOST_SHARDS))
        shards, merged = capture_shards(probe, samples, folder, plan, cuts(plan.n_samples, rows))
        overwrite = options is not None and options.overwrite
        join(path, plan, samples, shards, merged, overwrite=overwrite)
    folder.rmdir()
    return path


def copy_shards(shard: Path, folder: Path, n: int) -> list[Shard]:
    """Makes shards of a shard, which hold its samples again and again, each under its indices.

    Only `first_sample` differs, the checksum of HDF5 over it, and the seal: in a second there are a
    thousand, where each capture takes a third of one. The digest of attributes is not made anew.
    """
    folder.mkdir()
    trial = folder / "shard-trial.h5"
    data = bytearray(shard.read_bytes())
    n_bytes = int.from_bytes(data[28:36], "little")  # of the HDF5 part, before the seal
    mark = 0x1122334455667788
    trial.write_bytes(data[:n_bytes])
    with h5py.File(trial, "r+", libver=("v110", "v110"), locking=False) as file:
        n_samples = len(file["sample"])
        file["capture"].attrs.modify("first_sample", np.int64(mark))
    place = trial.read_bytes().index(mark.to_bytes(8, "little"))
    trial.unlink()
    header = max(data.rfind(b"OHDR", 0, place), data.rfind(b"OCHK", 0, place))
    end = next(
        at
        for at in range(place + 8, n_bytes)
        if lookup3([bytes(data[header:at])])[0] == data[at : at + 4]
    )
    runs = np.frombuffer(data[n_bytes:-56], "<i8").reshape(-1, 2)
    shards = []
    for index in range(n):
        path = folder / f"shard-{index:06d}.h5"
        data[place : place + 8] = (index * n_samples).to_bytes(8, "little")
        data[end : end + 4] = lookup3([bytes(data[header:end])])[0]
        digest = hashlib.sha256(b"FMCSEAL1" + n_bytes.to_bytes(8, "little") + runs.tobytes())
        for start, stop in gaps(runs, n_bytes):
            digest.update(data[start:stop])
        data[-40:-8] = digest.digest()
        path.write_bytes(data)
        shards.append(Shard(path, range(index * n_samples, (index + 1) * n_samples)))
    return shards


def folder_of(store: Path) -> Path | None:
    """The folder with the shards of a store; None where it is one file."""
    with Store(store) as opened:
        table = opened.file.shards
    return None if table is None else store.with_name(table.folder)


def bytes_of(store: Path) -> int:
    """The bytes of the file of a store, and of its shards."""
    folder = folder_of(store)
    shards = folder.iterdir() if folder else ()
    return sum(path.stat().st_size for path in (store, *shards))


def copy_store(store: Path, path: Path | str) -> Path:
    """Copies a store to a file or into a folder, and the shards that it has, as `cp` does."""
    copy = Path(shutil.copy(store, path))
    if folder := folder_of(store):
        shutil.copytree(folder, copy.with_name(folder.name), dirs_exist_ok=True)
    return copy
