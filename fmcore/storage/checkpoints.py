"""The checkpoints of an unfinished capture: `STORE.partial/`, its lock and its manifest.

The store grows in that folder. Now and then its chunks are written through to the disk, and then a
checkpoint that holds all else that a run needs to go on behind them. Only what the manifest records
counts, and only in a folder that no other user may write: checksums in it say what is damaged, not
who wrote it.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.errors import OutputError
from fmcore.files import OwnFolder, is_plain_file, output_errors, publish, sha256_of
from fmcore.statistics import LayerAccumulators
from fmcore.storage.codec import first_damaged
from fmcore.storage.file.nodes import gaps, merge_adjacent
from fmcore.storage.file.raw_bytes import FileBytes
from fmcore.storage.unfinished import (
    LOCK,
    MANIFEST,
    STORE,
    lock_unfinished,
    read_manifest,
    readable,
    write_manifest,
)
from fmcore.storage.writer import StoreWriter, journal_runs

log = logging.getLogger(__name__)

_CHECKPOINT = re.compile(r"checkpoint-\d{9,}\.npz")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The recorded checkpoint.

    Attributes:
        file: the name of the file in the folder.
        n_samples: the number of samples that are captured.
        store_bytes: the bytes of the unfinished store that hold their chunks.
        bytes: the size of the file of the checkpoint.
        sha256: the SHA-256 of that file, in hex.
    """

    file: str
    n_samples: int
    store_bytes: int
    bytes: int
    sha256: str


@contextlib.contextmanager
def open_checkpoints(
    store: Path, identity: Mapping[str, str], *, restart: bool
) -> Iterator[Checkpoints]:
    """Locks the folder of an unfinished store, and looks up what an earlier run recorded there.

    The folder is removed at the end if nothing is recorded in it. Files in it that no capture
    wrote are left alone, and then the folder stays.

    Args:
        store: the path of the store that the capture makes.
        identity: what a run must have in common with the run that it goes on with, in words.
        restart: whether to discard what is in the folder.

    Raises:
        OutputError: if another run holds the lock, the earlier run had another identity, another
            user owns the folder or could write in it, or the disk refuses.
    """
    with output_errors(store), lock_unfinished(store, discard=restart) as folder:
        checkpoints = Checkpoints(folder, identity)
        # What is refused stays: it is the part of another capture, which can still go on with it.
        if restart:
            checkpoints.clear()
        else:
            checkpoints.look_up()
        try:
            yield checkpoints
        finally:
            if checkpoints.recorded is None:
                checkpoints.remove()


class Checkpoints:
    """The folder of an unfinished store while its lock is held.

    Attributes:
        store: the unfinished store.
        recorded: the last checkpoint; None if there is none.
    """

    def __init__(self, own: OwnFolder, identity: Mapping[str, str]) -> None:
        self._own = own
        self._folder = own.path
        # HDF5 has to put chunks at the same places again.
        self._identity = {**identity, "HDF5": h5py.version.hdf5_version}
        self.store = own.path / STORE
        self.recorded: Checkpoint | None = None

    @property
    def store_bytes(self) -> int:
        """The bytes of the unfinished store that hold the chunks of the last checkpoint."""
        return 0 if self.recorded is None else self.recorded.store_bytes

    def look_up(self) -> None:
        """Reads the manifest of an earlier run, and verifies what it recorded.

        Raises:
            OutputError: if the run had another identity, naming the field, or the manifest cannot
                be read.
        """
        content = read_manifest(self._folder, self._identity, "checkpoint")
        if content is None:
            self.clear()
            return
        with readable(self._folder / MANIFEST):
            recorded = Checkpoint(**content)
            if not _CHECKPOINT.fullmatch(recorded.file):
                raise ValueError(f"{recorded.file!r} is no checkpoint")
        if self._is_sound(recorded):
            self.recorded = recorded
        else:
            log.warning("%s is not as it was recorded; the capture begins anew", self._folder)
            self.clear()

    def _is_sound(self, recorded: Checkpoint) -> bool:
        """Whether all is as it was recorded; reads the whole unfinished store.

        What lies between its chunks is overwritten with zeros: HDF5 makes its metadata anew, and
        what it leaves free must not differ from an uninterrupted run.
        """
        path = self._folder / recorded.file
        if not is_plain_file(path) or path.stat().st_size != recorded.bytes:
            return False
        if sha256_of(path) != recorded.sha256:
            return False
        if not is_plain_file(self.store) or self.store.stat().st_size < recorded.store_bytes:
            return False
        with np.load(path) as state:
            runs = list(journal_runs(state))
        file = FileBytes(self.store)
        for run in runs:
            data, ends = file.read(run.offset, run.size), np.cumsum(run.sizes)
            if len(data) != run.size or first_damaged(_cut(data, ends)) is not None:
                return False
        extents = np.array([(run.offset, run.offset + run.size) for run in runs], "<i8")
        with self.store.open("r+b") as out:
            for start, stop in gaps(merge_adjacent([extents]), recorded.store_bytes):
                out.seek(start)
                out.write(bytes(stop - start))
        return True

    def record(
        self, writer: StoreWriter, accumulators: Sequence[LayerAccumulators], n_samples: int
    ) -> None:
        """Makes all samples so far durable; a run that is killed later goes on behind them.

        Raises:
            OSError: if the disk refuses.
        """
        self._own.require_same()
        store_bytes, state = writer.checkpoint()
        for index, layer in enumerate(accumulators):
            state |= {f"{index}/{key}": array for key, array in layer.state().items()}
        path = self._folder / f"checkpoint-{n_samples:09d}.npz"
        with publish(path, overwrite=True) as partial, partial.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **state)
        recorded = Checkpoint(
            path.name, n_samples, store_bytes, path.stat().st_size, sha256_of(path)
        )
        write_manifest(self._folder, self._identity, checkpoint=asdict(recorded))
        before, self.recorded = self.recorded, recorded
        if before is not None:
            (self._folder / before.file).unlink(missing_ok=True)

    def resume(self, writer: StoreWriter, accumulators: list[LayerAccumulators]) -> int:
        """Brings a new writer and empty accumulators to the last checkpoint.

        Returns:
            The number of samples that are captured.

        Raises:
            OutputError: if HDF5 does not find its way through the unfinished store.
        """
        if self.recorded is None:
            return 0
        with np.load(self._folder / self.recorded.file) as state:
            try:
                writer.resume(state)
            except ValueError as error:
                raise OutputError(
                    f"{self.store} cannot be taken up ({error}): it may be from another version of "
                    "HDF5; --restart discards it"
                ) from error
            for index, layer in enumerate(accumulators):
                accumulators[index] = layer.restored(
                    {key: state[f"{index}/{key}"] for key in layer.state()}
                )
        return self.recorded.n_samples

    def clear(self) -> None:
        """Removes what captures left in the folder, but for the lock."""
        self._own.remove_files(but={LOCK})
        self.recorded = None

    def remove(self) -> None:
        """Removes the folder, once the store is complete or nothing is worth keeping."""
        self.recorded = None
        if left := self._own.remove():
            log.warning("%s stays: it holds %s, which no capture wrote", self._folder, left[0])


def _cut(data: bytes, ends: NDArray[np.int64]) -> list[memoryview]:
    """The chunks of a run."""
    view = memoryview(data)
    starts = [0, *ends[:-1].tolist()]
    return [view[start:end] for start, end in zip(starts, ends.tolist(), strict=True)]
