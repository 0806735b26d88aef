"""The shards of a capture that is not finished: `STORE.partial/`, its lock and its manifest.

Only what the manifest records exists: a shard is written whole under its name, flushed, and then
recorded with its size and SHA-256; what was not recorded is made again.
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
from fmcore.statistics import LayerAccumulators, Permutations
from fmcore.storage.file.nodes import damage_named
from fmcore.storage.format.plan import StorePlan
from fmcore.storage.scoring import write_scores
from fmcore.storage.store import Store, open_store
from fmcore.storage.writer import STATE, StoreWriter, create_store

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
LOCK = "lock"


# The ending of the folder that holds them, after the store's own name.
UNFINISHED = ".partial"
ROWS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class Shard:
    """One recorded shard.

    Attributes:
        file: its name in the folder.
        start: index of its first sample.
        stop: index after its last sample.
        bytes: size of the file.
        sha256: of the file, in hex.
    """

    file: str
    start: int
    stop: int
    bytes: int
    sha256: str


def partial_folder(store: Path) -> Path:
    """Where the shards of a store lie until it is whole."""
    return store.with_name(f"{store.name}{UNFINISHED}")


@contextlib.contextmanager
def open_shards(store: Path, identity: Mapping[str, str], *, restart: bool) -> Iterator[Shards]:
    """Locks the folder of a store's shards and takes up what an earlier run recorded there.

    The folder is removed where nothing is recorded in it at the end.

    Args:
        store: the store to be made.
        identity: what a run must have in common with the one whose shards it takes up, in words.
        restart: discard what is there.

    Raises:
        OutputError: if another run holds the lock, an earlier run was of another identity, or the
            disk refuses.
    """
    with output_errors(store), _locked(store) as folder:
        shards = Shards(folder, identity)
        try:
            if restart:
                shards.clear()
            else:
                shards.take_up()
            yield shards
        finally:
            if not shards.recorded:
                shutil.rmtree(folder, ignore_errors=True)


class Shards:
    """The folder while its lock is held.

    Attributes:
        recorded: the shards that exist, by their first sample.
    """

    def __init__(self, folder: Path, identity: Mapping[str, str]) -> None:
        self._folder = folder
        self._identity = dict(identity)
        self.recorded: dict[int, Shard] = {}

    def path(self, start: int) -> Path:
        """Where the shard that begins at a sample lies, recorded or not."""
        return self._folder / f"shard-{start:09d}.h5"

    def record(self, start: int, stop: int) -> None:
        """Makes a shard exist whose file is written and flushed."""
        path = self.path(start)
        size, digest = path.stat().st_size, sha256_of(path)
        self.recorded[start] = Shard(path.name, start, stop, size, digest)
        self._write()

    def take_up(self) -> None:
        """Reads the manifest of an earlier run and keeps the shards that are as it recorded them.

        Raises:
            OutputError: if it was of another identity, naming the field, or cannot be understood.
        """
        manifest = self._folder / MANIFEST
        if not manifest.is_file():
            return
        try:
            found = json.loads(manifest.read_text())
            earlier, shards = found["identity"], [Shard(**one) for one in found["shards"]]
        except (ValueError, TypeError, KeyError) as error:
            raise OutputError(
                f"{manifest} cannot be understood ({error}); --restart discards what lies there"
            ) from error
        for field in sorted(set(earlier) | set(self._identity)):
            old, new = earlier.get(field, "nothing"), self._identity.get(field, "nothing")
            if old != new:
                raise OutputError(
                    f"{self._folder} holds shards of another capture: {field} was {old}, now it is "
                    f"{new}; give the same again to resume, or --restart to discard them"
                )
        for shard in shards:
            path = self.path(shard.start)
            sound = path.is_file() and path.stat().st_size == shard.bytes
            if sound and sha256_of(path) == shard.sha256:
                self.recorded[shard.start] = shard
            else:
                log.warning("%s is not as it was recorded; it is made again", path)

    def clear(self) -> None:
        """Removes everything but the lock."""
        for path in self._folder.iterdir():
            if path.name != LOCK:
                path.unlink()
        self.recorded = {}

    def remove(self) -> None:
        """Removes the folder: the store is whole."""
        self.recorded = {}
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self) -> None:
        shards = [asdict(self.recorded[start]) for start in sorted(self.recorded)]
        text = json.dumps({"identity": self._identity, "shards": shards}, indent=1)
        with publish(self._folder / MANIFEST, overwrite=True) as partial:
            partial.write_text(text)


@contextlib.contextmanager
def _locked(store: Path) -> Iterator[Path]:
    """Keeps a second capture out; the kernel lets go with us, and what we wrote tells of us."""
    folder = partial_folder(store)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    busy = f"another capture is writing {store} now"
    advice = "wait for it, or name another store"
    with contextlib.ExitStack() as lock:
        try:
            descriptor = lock.enter_context(
                locked(path, lambda held: f"{busy}{_holder(held)}; {advice}")
            )
        except FileNotFoundError as error:
            raise OutputError(f"{busy}; it ends just now: look again") from error
        left = _read(descriptor)
        if left and left.get("host") != socket.gethostname():
            raise OutputError(
                f"{path} is held by pid {left.get('pid')} on host {left.get('host')} since "
                f"{left.get('since')}; a lock of another host cannot be tested from here: if that "
                "run is gone, delete the file and run again"
            )
        if left:
            log.warning(
                "an earlier capture (pid %s, begun %s) ended without finishing; its lock is stale",
                left.get("pid"),
                left.get("since"),
            )
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        about = {"host": socket.gethostname(), "pid": os.getpid(), "since": now}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(about).encode(), 0)
        try:
            yield folder
        finally:
            os.ftruncate(descriptor, 0)


def _holder(descriptor: int) -> str:
    """Who holds a lock, in words; it writes this just after it has got it."""
    for _ in range(20):
        if about := _read(descriptor):
            return f" (pid {about.get('pid')} on host {about.get('host')}, {about.get('since')})"
        time.sleep(0.05)
    return ""


def _read(descriptor: int) -> dict[str, object]:
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def join_shards(
    path: Path,
    plan: StorePlan,
    shards: Sequence[Path],
    threads: ThreadPoolExecutor,
    *,
    permutations: Permutations | None = None,
    overwrite: bool = False,
) -> list[LayerAccumulators]:
    """Writes one store out of shards in the order of their samples, in constant memory.

    Args:
        path: the store; it appears when it is whole.
        plan: what it holds: that of the shards, over all samples.
        shards: their files.
        threads: where chunks are compressed that cannot be copied, and scores computed.
        permutations: of the labels of all samples; None for no scores.
        overwrite: replace a store of that name.

    Returns:
        The accumulators of each layer, of all samples.

    Raises:
        StoreError: if a shard is damaged.
        OutputError: if `path` exists and `overwrite` is false, or the disk refuses.
    """
    sums = plan.empty_accumulators()
    with create_store(path, plan, threads, overwrite=overwrite) as out:
        for shard in shards:
            with open_store(shard) as part, damage_named(shard):
                _append(out, part)
                for index, group in enumerate(out.groups):
                    sums[index] = sums[index].merge(_saved(part, group, sums[index]))
        for index, layer in enumerate(sums):
            out.write_layer(index, layer)
        if permutations is not None:
            write_scores(out, sums, permutations, threads)
    return sums


def _append(out: StoreWriter, part: Store) -> None:
    out.count(part.labels, part.predictions if part.has_predictions else None)
    for path, rows in out.rows.items():
        source = part.array(path)
        step, copied = source.chunk[0], 0
        # Shards end with chunks, save for tables of very short rows.
        if source.chunk == rows.array.chunks and rows.n_ready % step == 0:
            copied = source.shape[0] // step * step
            for run in source.runs(part.bytes, copied, rows.n_ready, rows.run_length):
                rows.put(run)
            rows.skip(copied)
        for start in range(copied, source.shape[0], ROWS_AT_ONCE):
            out.append({path: source.rows(part.bytes, start, start + ROWS_AT_ONCE)})


def _saved(part: Store, group: str, like: LayerAccumulators) -> LayerAccumulators:
    return like.restored(
        {
            key: part.file[f"{group}/{STATE}/{key}"][...].reshape(array.shape)
            for key, array in like.state().items()
        }
    )
