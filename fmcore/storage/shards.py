"""The shards of an unfinished capture: `STORE.partial/`, its lock and its manifest.

Only what the manifest records counts: a shard is written under its name, flushed, and then recorded
with its size and SHA-256. A shard that is not recorded is made again.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from fmcore.errors import OutputError
from fmcore.files import locked, output_errors, publish, sha256_of
from fmcore.statistics import LayerAccumulators
from fmcore.storage.file.nodes import damage_as_store_error
from fmcore.storage.format.plan import StorePlan
from fmcore.storage.format.schema import state_path
from fmcore.storage.scoring import ScoredTruth, write_scores
from fmcore.storage.store import Store, open_store
from fmcore.storage.writer import StoreWriter, create_store

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
LOCK = "lock"
# The suffix of the folder that holds the shards, after the name of the store.
UNFINISHED = ".partial"
ROWS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class Shard:
    """One recorded shard.

    Attributes:
        file: the name of the file in the folder.
        start: the index of its first sample.
        stop: the index after its last sample.
        bytes: the size of the file.
        sha256: the SHA-256 of the file, in hex.
    """

    file: str
    start: int
    stop: int
    bytes: int
    sha256: str


def partial_folder(store: Path) -> Path:
    """The folder that holds the shards of a store until it is complete."""
    return store.with_name(f"{store.name}{UNFINISHED}")


@contextlib.contextmanager
def open_shards(store: Path, identity: Mapping[str, str], *, restart: bool) -> Iterator[Shards]:
    """Locks the folder of a store's shards and resumes from what an earlier run recorded there.

    The folder is removed at the end if nothing is recorded in it.

    Args:
        store: the path of the store that the capture makes.
        identity: what a run must have in common with the run whose shards it uses, in words.
        restart: whether to discard the shards in the folder.

    Raises:
        OutputError: if another run holds the lock, the earlier run had another identity, or the
            disk refuses.
    """
    with output_errors(store), _lock_folder(store) as folder:
        shards = Shards(folder, identity)
        try:
            if restart:
                shards.clear()
            else:
                shards.resume()
            yield shards
        finally:
            if not shards.recorded:
                shutil.rmtree(folder, ignore_errors=True)


class Shards:
    """The folder of shards while its lock is held.

    Attributes:
        recorded: the recorded shards, by their first sample.
    """

    def __init__(self, folder: Path, identity: Mapping[str, str]) -> None:
        self._folder = folder
        self._identity = dict(identity)
        self.recorded: dict[int, Shard] = {}

    def path(self, start: int) -> Path:
        """The path of the shard that begins at a sample, recorded or not."""
        return self._folder / f"shard-{start:09d}.h5"

    def record(self, start: int, stop: int) -> None:
        """Records a shard whose file is written and flushed."""
        path = self.path(start)
        size, digest = path.stat().st_size, sha256_of(path)
        self.recorded[start] = Shard(path.name, start, stop, size, digest)
        self._write()

    def resume(self) -> None:
        """Reads the manifest of an earlier run and keeps the shards that match it.

        Raises:
            OutputError: if the run had another identity, naming the field, or the manifest cannot
                be read.
        """
        manifest = self._folder / MANIFEST
        if not manifest.is_file():
            return
        try:
            content = json.loads(manifest.read_text())
            earlier = content["identity"]
            shards = [Shard(**fields) for fields in content["shards"]]
        except (ValueError, TypeError, KeyError) as error:
            raise OutputError(
                f"{manifest} cannot be read ({error}); --restart discards the shards beside it"
            ) from error
        for field in sorted(set(earlier) | set(self._identity)):
            old, new = earlier.get(field, "nothing"), self._identity.get(field, "nothing")
            if old != new:
                raise OutputError(
                    f"{self._folder} holds shards of another capture: {field} was {old}, now it is "
                    f"{new}; give the old value to resume, or --restart to discard the shards"
                )
        for shard in shards:
            path = self.path(shard.start)
            sound = path.is_file() and path.stat().st_size == shard.bytes
            if sound and sha256_of(path) == shard.sha256:
                self.recorded[shard.start] = shard
            else:
                log.warning("%s is not as it was recorded; it is made again", path)

    def clear(self) -> None:
        """Removes everything in the folder but the lock."""
        for path in self._folder.iterdir():
            if path.name != LOCK:
                path.unlink()
        self.recorded = {}

    def remove(self) -> None:
        """Removes the folder, once the store is complete."""
        self.recorded = {}
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self) -> None:
        shards = [asdict(self.recorded[start]) for start in sorted(self.recorded)]
        text = json.dumps({"identity": self._identity, "shards": shards}, indent=1)
        with publish(self._folder / MANIFEST, overwrite=True) as partial:
            partial.write_text(text)


@contextlib.contextmanager
def _lock_folder(store: Path) -> Iterator[Path]:
    """Locks the folder of shards, so that no other capture writes there.

    The kernel releases the lock when the process ends; the file says which process holds it.
    """
    folder = partial_folder(store)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    busy = f"another capture is writing {store} now"
    advice = "wait for it, or write to another store"
    with contextlib.ExitStack() as lock:
        try:
            descriptor = lock.enter_context(
                locked(path, lambda held: f"{busy}{_holder(held)}; {advice}")
            )
        except FileNotFoundError as error:
            raise OutputError(f"{busy}, and is about to end; try again") from error
        holder = _read(descriptor)
        if holder and holder.get("host") != socket.gethostname():
            raise OutputError(
                f"{path} is held by pid {holder.get('pid')} on host {holder.get('host')} since "
                f"{holder.get('since')}; whether that run still exists cannot be tested from this "
                "host: if it does not, delete the file and run again"
            )
        if holder:
            log.warning(
                "an earlier capture (pid %s, begun %s) ended without finishing; its lock is stale",
                holder.get("pid"),
                holder.get("since"),
            )
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "since": now}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        try:
            yield folder
        finally:
            os.ftruncate(descriptor, 0)


def _holder(descriptor: int) -> str:
    """The process that holds a lock, in words; it writes this just after it gets the lock."""
    for _ in range(20):
        if holder := _read(descriptor):
            return f" (pid {holder.get('pid')} on host {holder.get('host')}, {holder.get('since')})"
        time.sleep(0.05)
    return ""


def _read(descriptor: int) -> dict[str, object]:
    try:
        content = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def join_shards(
    path: Path,
    plan: StorePlan,
    shards: Sequence[Path],
    threads: ThreadPoolExecutor,
    *,
    truth: ScoredTruth | None = None,
    overwrite: bool = False,
) -> list[LayerAccumulators]:
    """Joins shards, in the order of their samples, into one store, in constant memory.

    Args:
        path: the path of the store; the file appears when it is complete.
        plan: the plan of the store, over the samples of all shards.
        shards: the files of the shards.
        threads: the threads that compute scores and compress chunks that cannot be copied.
        truth: what scores of all samples are computed against; None for no scores.
        overwrite: whether to replace a store of that name.

    Returns:
        The accumulators of each layer, over all samples.

    Raises:
        StoreError: if a shard is damaged.
        OutputError: if `path` exists and `overwrite` is false, or the disk refuses.
    """
    accumulators = plan.empty_accumulators()
    with create_store(path, plan, threads, overwrite=overwrite) as out:
        for shard in shards:
            with open_store(shard) as part, damage_as_store_error(shard):
                _append(out, part)
                for index, layer in enumerate(out.layers):
                    state = _read_state(part, layer.name, accumulators[index])
                    accumulators[index] = accumulators[index].merge(state)
        for layer, of_layer in zip(out.layers, accumulators, strict=True):
            layer.finish(of_layer)
        if truth is not None:
            write_scores(out, accumulators, truth, threads)
    return accumulators


def _append(out: StoreWriter, part: Store) -> None:
    out.count({name: part.file.read(name) for name in out.counted})
    for path, rows in out.rows.items():
        source = part.file.index(path)
        step, copied = source.chunk[0], 0
        # Shards end at the end of a chunk, except in tables with very short rows.
        if source.chunk == rows.array.chunks and rows.n_ready % step == 0:
            copied = source.shape[0] // step * step
            for run in source.runs(copied, rows.n_ready, rows.run_length):
                rows.put(run)
            rows.skip(copied)
        for start in range(copied, source.shape[0], ROWS_AT_ONCE):
            out.append_rows({path: source.rows(start, start + ROWS_AT_ONCE)})


def _read_state(part: Store, layer: str, template: LayerAccumulators) -> LayerAccumulators:
    """The accumulators of a layer that a shard holds; `template` has the same arrays."""
    return template.restored(
        {
            key: part.file.hdf5[state_path(layer, key)][...].reshape(array.shape)
            for key, array in template.state().items()
        }
    )
