"""Which samples are in which shard, what is recorded of each, and what came back so far.

Shards are cut by row numbers alone, so that the workers there are change nothing. What counts is
the manifest of the unfinished store, which only the coordinator writes.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from fmcore.capture import CapturePlan
from fmcore.cluster.job import Shard
from fmcore.errors import ClusterError
from fmcore.files import OwnFolder, is_plain_file, output_errors, sha256_of
from fmcore.records import Policy
from fmcore.statistics import POOLED, LayerAccumulators
from fmcore.storage import FileBytes
from fmcore.storage.file.seal import stated_digest
from fmcore.storage.format import chunk_shape
from fmcore.storage.unfinished import (
    LOCK,
    MANIFEST,
    SHARD,
    SUMS,
    read_manifest,
    readable,
    write_manifest,
)

log = logging.getLogger(__name__)

# At least so many shards, where there are as many batches: workers end together, and what is lost
# with a worker is little. Each costs a quarter of a second of a core, whatever is in it.
LEAST_SHARDS = 16
# The manifest is written at most so often; what is captured and not recorded is captured again.
RECORD_SECONDS = 1.0
# Sums of so many shards lie beside them, or wait for one before them, until they are made one.
MOST_SUMS = 8
# A worker may begin a shard just before it hears that nobody wants it any more.
LEAVING_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """A shard that a worker captured.

    Attributes:
        index: its place among the shards.
        file: the name of its store in the folder.
        bytes: the size of that file.
        digest: the digest in its seal, in hex.
        sums_bytes: the size of the file of its sums.
        sums_sha256: the SHA-256 of that file, in hex.
    """

    index: int
    file: str
    bytes: int
    digest: str
    sums_bytes: int
    sums_sha256: str

    @property
    def sums_file(self) -> str:
        """The name of the file of its sums."""
        return str(Path(self.file).with_suffix(SUMS))


@dataclass(frozen=True, slots=True)
class SumsRecord:
    """The sums of the first shards together.

    Attributes:
        n_shards: of how many shards.
        file: the name of the file.
        bytes: the size of that file.
        sha256: its SHA-256, in hex.
    """

    n_shards: int
    file: str
    bytes: int
    sha256: str


def shard_ranges(plan: CapturePlan, rows: int | None = None) -> list[range]:
    """Cuts the samples of a plan into shards, by row numbers alone.

    A shard has whole batches, and whole chunks of the large arrays where that does not make it
    larger than it should be: such chunks are copied as they are. The last one takes what is left,
    if that is less than a step.

    Args:
        plan: the plan of the capture.
        rows: the samples of a shard, about; decided by the sizes where left out.
    """
    n_samples, step = plan.n_samples, plan.store.batch_size
    target = rows or min(plan.checkpoint_rows, -(-n_samples // LEAST_SHARDS))
    target = max(step, target)
    for chunk_rows in _chunk_rows(plan):
        if (together := math.lcm(step, chunk_rows)) <= target:
            step = together
    size = max(1, target // step) * step
    starts = list(range(0, n_samples, size))
    if len(starts) > 1 and n_samples - starts[-1] < step:
        del starts[-1]
    return [range(*ends) for ends in zip(starts, [*starts[1:], n_samples], strict=True)]


def _chunk_rows(plan: CapturePlan) -> list[int]:
    """How many samples a chunk of each large array holds, of the largest array first."""
    arrays: list[tuple[int, int]] = []
    for layer in plan.store.layers:
        shape, filters = layer.spec.shape, layer.spec.shape[2]
        if layer.policy != Policy.POOLED:
            itemsize = np.dtype(layer.policy).itemsize
            chunk = chunk_shape.activation_chunk(plan.n_samples, shape, itemsize=itemsize)
            arrays.append((math.prod(shape) * itemsize, chunk[0]))
        for table in POOLED.values():
            itemsize = np.dtype(table.dtype).itemsize
            chunk_of_table = chunk_shape.table_chunk((plan.n_samples, filters), itemsize=itemsize)
            arrays.append((filters * itemsize, chunk_of_table[0]))
    for column in plan.store.columns:
        row, dtype = plan.store.column_row(column)
        if row:
            rows = chunk_shape.table_chunk((plan.n_samples, *row), itemsize=dtype.itemsize)[0]
            arrays.append((math.prod(row) * dtype.itemsize, rows))
    return [rows for _, rows in sorted(arrays, reverse=True)]


def save_sums(path: Path, sums: Sequence[LayerAccumulators]) -> None:
    """Writes the running sums of all layers to a file: arrays of NumPy's own format, in a row.

    The disk need not have it all when this returns: records have the SHA-256 of such files.

    Raises:
        OutputError: if the disk refuses.
    """
    with output_errors(path), path.open("wb") as stream:
        for layer in sums:
            for array in layer.state().values():
                np.save(stream, array, allow_pickle=False)


def load_sums(path: Path, plan: CapturePlan) -> list[LayerAccumulators]:
    """Reads the running sums of all layers."""
    with path.open("rb") as stream:
        return [
            layer.restored({key: np.load(stream, allow_pickle=False) for key in layer.state()})
            for layer in plan.store.empty_accumulators()
        ]


class Shards:
    """The shards of an unfinished store, while its lock is held.

    Attributes:
        folder: the folder that they lie in.
        all: every shard, in order.
        records: those that are captured, by their index.
        n_merged: of how many shards, from the first on, the sums are merged.
    """

    def __init__(
        self,
        own: OwnFolder,
        identity: Mapping[str, str],
        plan: CapturePlan,
        shards: Sequence[Shard],
    ) -> None:
        self.folder = own.path
        self.all = list(shards)
        self.records: dict[int, ShardRecord] = {}
        self.n_merged = 0
        self._own = own
        self._plan = plan
        self._identity = identity
        self._sums: list[LayerAccumulators] | None = None
        self._sums_record: SumsRecord | None = None
        self._recorded_at = -math.inf

    def look_up(self) -> None:
        """Reads what an earlier run recorded, and takes what is still as it was.

        Raises:
            OutputError: if that run had another identity, naming the field, or the manifest cannot
                be read.
        """
        content = read_manifest(self.folder, self._identity, "shards")
        if content is not None:
            with readable(self.folder / MANIFEST):
                records = [ShardRecord(**fields) for fields in content["captured"]]
                sums = content["sums"] and SumsRecord(**content["sums"])
            if sums and self._is_same(sums.file, sums.bytes, sums.sha256):
                self._sums = load_sums(self.folder / sums.file, self._plan)
                self._sums_record, self.n_merged = sums, sums.n_shards
            for record in records:
                if self._is_sound(record):
                    self.records[record.index] = record
        self._remove_others()

    def _is_sound(self, record: ShardRecord) -> bool:
        path = self.folder / record.file
        if not 0 <= record.index < len(self.all) or Path(record.file).name != record.file:
            return False
        if not is_plain_file(path) or path.stat().st_size != record.bytes:
            return False
        return stated_digest(FileBytes(path)) == record.digest and (
            # The sums of a shard whose store was lost later are merged already.
            record.index < self.n_merged
            or self._is_same(record.sums_file, record.sums_bytes, record.sums_sha256)
        )

    def _is_same(self, name: str, n_bytes: int, sha256: str) -> bool:
        path = self.folder / name
        return is_plain_file(path) and path.stat().st_size == n_bytes and sha256_of(path) == sha256

    def _remove_others(self) -> None:
        """Removes what earlier attempts left, and no record names."""
        kept = {LOCK, MANIFEST} | {record.file for record in self.records.values()}
        kept |= {record.sums_file for record in self.records.values()}
        if self._sums_record is not None:
            kept.add(self._sums_record.file)
        self._own.remove_files(but=kept)

    @property
    def missing(self) -> list[Shard]:
        """The shards that are not captured yet, in order."""
        return [shard for shard in self.all if shard.index not in self.records]

    @property
    def n_captured(self) -> int:
        """The samples that are captured."""
        return sum(self.all[index].stop - self.all[index].start for index in self.records)

    @property
    def n_bytes(self) -> int:
        """The bytes of the shards that are captured."""
        return sum(record.bytes for record in self.records.values())

    def path(self, index: int) -> Path:
        """The store of a shard that is captured."""
        return self.folder / self.records[index].file

    def accept(self, record: ShardRecord) -> bool:
        """Takes a shard that a worker captured; False where there is one already.

        The first valid one counts. Files of other attempts are removed.

        Raises:
            ClusterError: if the files are not as the worker described them.
        """
        is_first = record.index not in self.records
        if is_first:
            if not self._is_sound(record):
                raise ClusterError(
                    f"{self.folder / record.file} is not as the worker wrote it; is {self.folder} "
                    "the same folder for all workers?"
                )
            self.records[record.index] = record
            self.record(now=False)
        accepted = self.records[record.index]
        for path in self.folder.glob(f"{SHARD.format(record.index)}-*"):
            if path.name not in (accepted.file, accepted.sums_file):
                path.unlink(missing_ok=True)
        return is_first

    def merge(self) -> None:
        """Merges the sums of the shards that come next in their order, as far as they are there.

        Raises:
            OutputError: if the disk refuses.
        """
        while self.n_merged in self.records:
            path = self.folder / self.records[self.n_merged].sums_file
            sums = load_sums(path, self._plan)
            if self._sums is not None:
                pairs = zip(self._sums, sums, strict=True)
                sums = [before.merge(after) for before, after in pairs]
            self._sums = sums
            self.n_merged += 1
            if self.n_merged - self._n_recorded >= MOST_SUMS:
                self._record_sums()

    @property
    def _n_recorded(self) -> int:
        return 0 if self._sums_record is None else self._sums_record.n_shards

    def _record_sums(self) -> None:
        """Writes the merged sums, records them, and removes those that they consist of."""
        path = self.folder / f"sums-{self.n_merged:06d}{SUMS}"
        save_sums(path, self.sums)
        before, first = self._sums_record, self._n_recorded
        self._sums_record = SumsRecord(
            self.n_merged, path.name, path.stat().st_size, sha256_of(path)
        )
        self.record()
        if before is not None:
            (self.folder / before.file).unlink(missing_ok=True)
        for index in range(first, self.n_merged):
            (self.folder / self.records[index].sums_file).unlink(missing_ok=True)

    @property
    def sums(self) -> list[LayerAccumulators]:
        """The sums of the shards that are merged."""
        return self._plan.store.empty_accumulators() if self._sums is None else self._sums

    def forget(self, index: int) -> None:
        """Forgets a shard that proved to be damaged, so that the next run captures it again."""
        self.records.pop(index, None)
        self.record()

    def record(self, *, now: bool = True) -> None:
        """Writes the manifest; unless it must be now, not more often than `RECORD_SECONDS`.

        Raises:
            OutputError: if the disk refuses.
        """
        if not now and time.monotonic() - self._recorded_at < RECORD_SECONDS:
            return
        self._own.require_same()
        sums = self._sums_record
        captured = [asdict(record) for _, record in sorted(self.records.items())]
        content = {"captured": captured, "sums": None if sums is None else asdict(sums)}
        write_manifest(self.folder, self._identity, shards=content)
        self._recorded_at = time.monotonic()

    def clear(self) -> None:
        """Removes what captures left in the folder, but for the lock."""
        self._own.remove_files(but={LOCK})

    def remove(self) -> None:
        """Removes the folder, once the store is complete or nothing is worth keeping."""
        left, until = self._own.remove(), time.monotonic() + LEAVING_SECONDS
        # Another run that has begun there by now has a lock of its own.
        while not left and self.folder.exists() and not (self.folder / LOCK).exists():
            if time.monotonic() > until:
                break
            left = self._own.remove()
        if left:
            log.warning("%s stays: it holds %s, which no capture wrote", self.folder, left[0])
