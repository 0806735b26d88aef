"""Writes one store, batch by batch, in constant memory; `publish` renames it at the end."""

from __future__ import annotations

import contextlib
import math
from array import array as array_of
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmcore.files import publish
from fmcore.records import LABEL_FROM, LabelSource, Policy, SampleBatch
from fmcore.statistics import Histogram, LayerAccumulators, Rounding
from fmcore.storage.chunks.buffer import ChunkBuffer, ChunkRun, encode_run
from fmcore.storage.chunks.index_patch import patch_index
from fmcore.storage.chunks.sharded import ShardRows, sharded_index
from fmcore.storage.chunks.stored_array import ChunkIndex
from fmcore.storage.codec import Codec
from fmcore.storage.file.deferred_errors import DeferredErrorFile, Interrupts
from fmcore.storage.file.kind import STORE_KIND
from fmcore.storage.file.nodes import DIGEST, attributes_digest, create_file, fixed_text
from fmcore.storage.file.seal import seal
from fmcore.storage.file.shard_bytes import ShardedBytes
from fmcore.storage.file.shard_table import ShardFacts, ShardTable
from fmcore.storage.format.lack import Lack
from fmcore.storage.format.plan import LayerPlan, StorePlan
from fmcore.storage.format.schema import MODEL, array_path, layer_path
from fmcore.storage.shard_folders import replaced_shards
from fmcore.storage.skeleton import Skeleton
from fmcore.storage.tables import Chunks, PlacedArrays
from fmcore.storage.validate import verify_store

# Whole arrays that wait until threads have encoded them: enough to keep all threads busy.
WAITING_BYTES = 16 << 20
# What `StoreWriter.count` adds up.
_COUNTERS = ("_n_samples", "_n_correct", "_n_exact", "_n_right", "_errors")
# The columns that it takes, of those that a store has.
COUNTED = ("label", "prediction", "has_label", "label_probability", "number", "predicted_number")
# The chunks of some arrays that threads are encoding.
Encoded = list[tuple[ChunkBuffer, list[Future[ChunkRun]]]]


@contextlib.contextmanager
def create_store(
    path: Path,
    plan: StorePlan,
    threads: ThreadPoolExecutor,
    *,
    overwrite: bool = False,
    partial: Path | None = None,
    kept: Callable[[], int] = lambda: 0,
    shards: ShardRows | None = None,
) -> Iterator[StoreWriter]:
    """Opens a new store for writing; it appears as `path` when the block ends without an error.

    The shards of a store that it replaces are removed then.

    Args:
        path: the file.
        plan: the plan of the store.
        threads: the threads that compress chunks.
        overwrite: whether to replace a file of that name.
        partial: the file until it is whole, as `publish` takes it.
        kept: how many bytes of it hold chunks that a checkpoint keeps. Where an interrupted run
            left some, they stay until `StoreWriter.resume` has entered them.
        shards: how samples are shared out to shards, in which their chunks stay; None for no
            shards.

    Raises:
        OutputError: if `path` exists and `overwrite` is false, the disk refuses, or what was
            written cannot be opened.
    """
    with (
        replaced_shards(path),
        publish(
            path, overwrite=overwrite, kind=STORE_KIND, partial=partial, kept=kept
        ) as unfinished,
        Interrupts() as interrupts,
    ):
        with DeferredErrorFile(unfinished, "r+" if kept() else "w+") as file:
            file.kept_bytes = kept()
            with contextlib.ExitStack() as closing:
                with interrupts.held():
                    writer = StoreWriter(file, plan, threads, interrupts, shards)
                    closing.callback(writer.close)  # before a held signal is delivered
                try:
                    yield writer
                    writer.finish()
                except Exception:
                    # If the disk failed, this raises its error, not what HDF5 made of it.
                    file.check()
                    raise
            file.check()
        with interrupts.held():
            seal(unfinished, patch_index(unfinished, writer.sizes_of_runs()))
            verify_store(unfinished, name=path)


class StoreWriter:
    """Appends samples to a store, then its statistics; for use by one thread.

    Attributes:
        layers: the writer of each layer of the plan.
        rows: the arrays that samples are appended to, by path.
        sharded: the arrays whose chunks stay in shards, by path.
    """

    def __init__(
        self,
        file: DeferredErrorFile,
        plan: StorePlan,
        threads: ThreadPoolExecutor,
        interrupts: Interrupts,
        shards: ShardRows | None = None,
    ) -> None:
        self._disk = file
        self._interrupts = interrupts
        self._plan = plan
        self._threads = threads
        self._n_correct = self._n_exact = 0
        self._n_right = np.zeros(len(plan.target_names), dtype=np.int64)
        self._errors = np.zeros(len(plan.target_names))
        self._n_samples = np.zeros(len(plan.class_names), dtype=np.int64)
        # Of each run of chunks: the place of its array in `rows`, its chunks, its offset.
        self._journal = array_of("q")
        self._waiting: deque[tuple[PlacedArrays, Future[Chunks]]] = deque()
        self._waiting_bytes = 0
        self._file = create_file(file)
        try:
            self._skeleton = Skeleton(self._file, plan, shards)
        except BaseException:
            self._file.close()
            raise
        self.rows = self._skeleton.rows
        self.sharded = self._skeleton.sharded
        self._table: ShardTable | None = None
        self._shard_bytes: ShardedBytes | None = None
        self._shard_indexes: dict[str, ChunkIndex] = {}
        self._places = {id(rows): place for place, rows in enumerate(self.rows.values())}
        self.layers = [
            LayerWriter(self, index, layer, self._skeleton.layers[index])
            for index, layer in enumerate(plan.layers)
        ]

    def submit(self, batch: SampleBatch) -> Encoded:
        """Hands the columns of the next samples to the threads; `write` waits for them."""
        columns = {column.name: column.rows(batch) for column in self._plan.columns}
        self.count(columns)
        return self.submit_rows({array_path(name): rows for name, rows in columns.items()})

    def submit_rows(self, arrays: Mapping[str, NDArray[Any]]) -> Encoded:
        """Hands the next rows of some arrays to the threads; `write` waits for them.

        Args:
            arrays: the rows by the keys of `rows`, each [sample, …].
        """
        submit = self._threads.submit
        return [
            (rows, [submit(encode_run, blocks, rows.codec) for blocks in rows.add(values)])
            for rows, values in ((self.rows[path], values) for path, values in arrays.items())
        ]

    def write(self, encoded: Encoded) -> None:
        """Writes what was submitted, in the order of submission.

        Raises:
            OSError: if the disk refuses.
        """
        with self.writing():
            for rows, tasks in encoded:
                for task in tasks:
                    self._put(rows, task.result())

    def append_rows(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Writes the next rows of small arrays in this thread; in the others they would queue.

        Args:
            arrays: the rows by the keys of `rows`, each [sample, …].

        Raises:
            OSError: if the disk refuses.
        """
        with self.writing():
            for path, values in arrays.items():
                rows = self.rows[path]
                for blocks in rows.add(values):
                    self._put(rows, encode_run(blocks, rows.codec))

    def takes_chunks(self, path: str, chunk: tuple[int, ...], codec: Codec) -> bool:
        """Whether the next rows of an array may come as such chunks, see `append_chunks`."""
        rows = self.rows[path]
        is_alike = rows.array.chunks == chunk and rows.codec == codec
        return is_alike and rows.n_rows % chunk[0] == 0 and not rows.n_waiting

    def append_chunks(self, path: str, runs: Iterable[ChunkRun]) -> None:
        """Writes whole chunks of an array that come next, encoded already.

        Args:
            path: the key of `rows`.
            runs: the chunks, in the order of their rows.

        Raises:
            OSError: if the disk refuses.
        """
        rows, n_chunks = self.rows[path], 0
        for run in runs:
            with self.writing():
                self._put(rows, run)
            n_chunks += len(run.sizes)
        rows.skip(n_chunks)

    def set_shards(self, folder: Path, name: str, shards: Sequence[ShardFacts]) -> None:
        """States which shards hold the samples, once `sharded` has the chunks of all of them.

        Args:
            folder: the folder in which they lie now.
            name: the name of the folder beside the store in which they will.
            shards: what the store states of each.
        """
        arrays, first_chunk = {}, 0
        for path, rows in self.sharded.items():
            arrays[path] = rows.stated(first_chunk)
            first_chunk += math.prod(arrays[path].grid)
        self._table = ShardTable(name, shards, arrays)
        self._shard_bytes = ShardedBytes(folder, folder, shards)

    def shard_index(self, path: str) -> ChunkIndex:
        """Where the chunks of an array lie in the shards, after `set_shards`."""
        if self._table is None or self._shard_bytes is None:
            raise ValueError(f"{path}: no shards are known that hold its rows")
        if path not in self._shard_indexes:
            rows, array = self.sharded[path], self._table.arrays[path]
            places = np.concatenate(rows.offsets), np.concatenate(rows.sizes)
            self._shard_indexes[path] = sharded_index(
                self._shard_bytes, array, self._table, *places
            )
        return self._shard_indexes[path]

    def put(self, layer: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Writes whole arrays of a layer, once threads have encoded them.

        Until then they wait, in their order; at most `WAITING_BYTES` do, or one larger array. They
        must not change any more.

        Args:
            layer: the name of the layer's group.
            arrays: the arrays by their names in the schema.

        Raises:
            OSError: if the disk refuses.
        """
        for name, array in arrays.items():
            placed = self._skeleton.tables.place(name, array, layer)
            if placed is not None:
                self._waiting.append((placed, self._threads.submit(placed.encode)))
                self._waiting_bytes += placed.nbytes
                self._write_waiting(WAITING_BYTES)

    def _write_waiting(self, most_bytes: int) -> None:
        """Writes the oldest whole arrays, until no more than some bytes wait."""
        while self._waiting and (self._waiting_bytes > most_bytes or not most_bytes):
            placed, task = self._waiting.popleft()
            self._waiting_bytes -= placed.nbytes
            chunks = task.result()
            with self.writing() as skeleton:
                skeleton.put(placed, chunks)

    def _put(self, rows: ChunkBuffer, run: ChunkRun) -> None:
        with self._disk.list_writes() as writes:
            rows.put(run)
        # HDF5 looks through all chunks of the array to say where this one lies, so it is asked only
        # where it wrote something else of the same size.
        size = sum(run.sizes)
        places = [place for place, n_bytes in writes if n_bytes == size]
        place = places[0] if len(places) == 1 else rows.place_of(run.corner)
        self._journal.extend((self._places[id(rows)], len(run.sizes), place))

    def checkpoint(self) -> tuple[int, dict[str, NDArray[Any]]]:
        """Writes the chunks so far through to the disk.

        Returns:
            The bytes of the file, and all that `resume` needs beside them, by name.

        Raises:
            OSError: if the disk refuses.
        """
        with self.writing():
            n_bytes = self._disk.sync()
        state: dict[str, NDArray[Any]] = {"journal": np.array(self._journal).reshape(-1, 3)}
        for place, rows in enumerate(self.rows.values()):
            state[f"sizes/{place}"] = rows.sizes
            state[f"waiting/{place}"] = rows.waiting
        state["n_rows"] = np.array([rows.n_rows for rows in self.rows.values()])
        state |= {name: np.asarray(getattr(self, name)) for name in _COUNTERS}
        return n_bytes, state

    def resume(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Goes on after a checkpoint, whose chunks must be in the file.

        HDF5 kept nothing of them: its metadata were in memory. So it is given all chunks again in
        the same order, puts them at the same places, and only what it says about them is written.

        Args:
            state: what `checkpoint` returned.

        Raises:
            ValueError: if HDF5 puts a chunk elsewhere.
        """
        buffers = list(self.rows.values())
        nothing = np.zeros(0, np.uint8)
        for run in journal_runs(state):
            rows = buffers[run.place]
            if run.size > len(nothing):
                nothing = np.zeros(run.size, np.uint8)
            with self.writing(), self._disk.in_place(run.offset, run.size):
                self._put(rows, rows.next_run(nothing[: run.size].data, run.sizes.tolist()))
        for place, rows in enumerate(buffers):
            rows.resume(int(state["n_rows"][place]), state[f"waiting/{place}"])
        for name in _COUNTERS:
            setattr(self, name, state[name] if state[name].ndim else int(state[name]))
        self._disk.kept_bytes = 0

    def sizes_of_runs(self) -> dict[str, NDArray[np.int64]]:
        """The chunk sizes in bytes, <int64>[chunk], of each array that was written in runs."""
        return {path: rows.sizes for path, rows in self.rows.items() if rows.has_runs}

    def count(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Counts labels, correct predictions and errors for the summary.

        Args:
            columns: the next rows of the columns of the samples, by name.
        """
        labels = columns["label"]
        self._n_samples += np.bincount(labels, minlength=len(self._n_samples))
        if "prediction" in columns:
            self._n_correct += int((labels == columns["prediction"]).sum())
        if "has_label" in columns:
            is_predicted = columns["label_probability"] >= LABEL_FROM
            is_right = is_predicted == columns["has_label"].astype(bool)
            self._n_right += is_right.sum(axis=0)
            self._n_exact += int(is_right.all(axis=1).sum())
        if "number" in columns:
            errors = columns["predicted_number"].astype(np.float64) - columns["number"]
            self._errors += np.abs(errors).sum(axis=0)

    def all_classes(self, name: str, array: NDArray[Any], unseen: NDArray[Any]) -> NDArray[Any]:
        """Extends an array of a layer to all classes of the store; see `StorePlan`."""
        return self._plan.all_classes(name, array, unseen)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Skeleton]:
        """Holds signals back while HDF5 writes, and raises what the disk refused."""
        with self._interrupts.held():
            yield self._skeleton
        self._disk.check()

    def finish(self) -> None:
        """Writes what waits, the summary, and the digest of all attributes."""
        self._write_waiting(0)
        with self.writing():
            self._finish()

    def _finish(self) -> None:
        n_samples = len(self._plan.ids)
        for rows in self.rows.values():
            _flush(rows)
        appended = {path: rows.n_rows for path, rows in self.rows.items()}
        for path, n_rows in (appended | {p: r.n_rows for p, r in self.sharded.items()}).items():
            if n_rows != n_samples:
                raise ValueError(f"{path}: {n_rows} rows were written, expected {n_samples}")
        self._skeleton.write("n_samples", self._n_samples)
        if self._plan.has_predictions and self._plan.dataset.labels == LabelSource.GIVEN:
            self._file[MODEL].attrs["test_accuracy"] = self._n_correct / n_samples
        if Lack.TRUE_LABELS not in self._plan.lacks:
            self._file[MODEL].attrs["exact_match"] = self._n_exact / n_samples
            self._skeleton.write("target_accuracy", self._n_right / n_samples)
        if Lack.TRUE_NUMBERS not in self._plan.lacks:
            self._skeleton.write("target_error", self._errors / n_samples)
        self._skeleton.finish(self._table)
        self._file.attrs[DIGEST] = fixed_text(attributes_digest(self._file))

    def close(self) -> None:
        """Closes the HDF5 file; safe to call twice."""
        with self._interrupts.held():
            self._file.close()


class JournalRun(NamedTuple):
    """A run of chunks that a checkpoint keeps.

    Attributes:
        place: the place of its array among all that samples are appended to.
        offset: where it begins in the file.
        sizes: <int64>[chunk], the bytes of each chunk.
    """

    place: int
    offset: int
    sizes: NDArray[np.int64]

    @property
    def size(self) -> int:
        """The bytes of the run."""
        return int(self.sizes.sum())


def journal_runs(state: Mapping[str, NDArray[Any]]) -> Iterator[JournalRun]:
    """The runs of chunks that a checkpoint keeps, in the order in which they were written.

    Args:
        state: what `StoreWriter.checkpoint` returned.
    """
    of_array = [state[f"sizes/{place}"] for place in range(len(state["n_rows"]))]
    entered = [0] * len(of_array)
    for place, n_chunks, offset in state["journal"].tolist():
        first, entered[place] = entered[place], entered[place] + n_chunks
        yield JournalRun(place, offset, of_array[place][first : entered[place]])


@dataclass(frozen=True, slots=True, eq=False)
class LayerWriter:
    """Appends one layer's part of the samples to a store, then its statistics.

    Attributes:
        store: the writer of the store.
        index: the place of the layer in the plan.
        plan: how the layer is stored.
        name: the name of the layer's group.
    """

    store: StoreWriter
    index: int
    plan: LayerPlan
    name: str

    def submit(self, maps: NDArray[np.floating]) -> Encoded:
        """Hands the next maps to the threads, if maps are stored; `StoreWriter.write` waits.

        Args:
            maps: [sample, y, x, filter], as `LayerPlan.stored` returns them.
        """
        if self.plan.policy == Policy.POOLED:
            return []
        return self.store.submit_rows({array_path("activation", self.name): maps})

    def append(self, pooled: Mapping[str, NDArray[Any]]) -> None:
        """Writes the next rows of the pooled tables, by their names in `POOLED`.

        Raises:
            OSError: if the disk refuses.
        """
        self.store.append_rows({self._pooled_path(name): rows for name, rows in pooled.items()})

    def pooled_part(self, name: str, rows: slice, columns: slice) -> NDArray[Any]:
        """Reads a part of a pooled table, [sample, filter], once all samples are written."""
        path = self._pooled_path(name)
        if path in self.store.sharded:
            index = self.store.shard_index(path)
            sizes = zip((rows, columns), index.shape, strict=True)
            return index.outer([range(size)[part] for part, size in sizes])
        table = self.store.rows[path]
        with self.store.writing():
            _flush(table)
            return table.read(rows, columns)

    def put(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Writes whole arrays by their names in the schema.

        Raises:
            OSError: if the disk refuses.
        """
        self.store.put(self.name, arrays)

    def finish(self, accumulators: LayerAccumulators) -> None:
        """Writes the statistics of the layer, once all samples are written.

        Raises:
            OSError: if the disk refuses.
        """
        unseen = self.plan.empty_accumulators(1).arrays()
        for name, array in accumulators.arrays().items():
            # One at a time: those of a thousand classes may take a lot of memory.
            self.put({name: self.store.all_classes(name, array, unseen[name])})
        histogram = accumulators.get(Histogram)
        if histogram is not None and (words := histogram.bins.words) != self.plan.histogram:
            with self.store.writing() as skeleton:
                skeleton.set_words(layer_path(self.name), histogram=words)
        rounding = accumulators.get(Rounding)
        if rounding is not None:
            with self.store.writing() as skeleton:
                skeleton.set_numbers(
                    layer_path(self.name),
                    largest_error=float(rounding.largest_error),
                    n_overflow=int(rounding.n_overflow),
                )

    def _pooled_path(self, name: str) -> str:
        return array_path(f"pooled_{name}", self.name)


def _flush(rows: ChunkBuffer) -> None:
    """Writes the last chunk of an array, full or not."""
    for blocks in rows.flush():
        rows.put(encode_run(blocks, rows.codec))
