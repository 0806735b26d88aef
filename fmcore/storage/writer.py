"""Writes one store, batch by batch, in constant memory; `publish` renames it at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.files import publish
from fmcore.records import LabelSource
from fmcore.statistics import LayerAccumulators
from fmcore.storage.chunks.buffer import ChunkBuffer
from fmcore.storage.chunks.codec import ChunkRun, encode_run
from fmcore.storage.chunks.index_patch import patch_index
from fmcore.storage.file.deferred_errors import DeferredErrorFile, Interrupts
from fmcore.storage.file.nodes import DIGEST, attributes_digest, fixed_text
from fmcore.storage.file.seal import seal
from fmcore.storage.format import chunk_shape
from fmcore.storage.format.plan import StorePlan
from fmcore.storage.format.schema import path_in_store
from fmcore.storage.skeleton import Skeleton
from fmcore.storage.validate import verify_store

# Both bounds: files written with "latest" by h5py 3.16 cannot be opened by 3.14.
LIBRARY_VERSIONS = ("v110", "v110")
# The group of a shard that holds the state of its accumulators, to be merged by the join.
STATE = "state"

# The chunks of some arrays that threads are encoding.
Encoded = list[tuple[ChunkBuffer, list[Future[ChunkRun]]]]


@contextlib.contextmanager
def create_store(
    path: Path, plan: StorePlan, threads: ThreadPoolExecutor, *, overwrite: bool = False
) -> Iterator[StoreWriter]:
    """Opens a new store for writing; it appears as `path` when the block ends without an error.

    Args:
        path: the file.
        plan: the plan of the store.
        threads: the threads that compress chunks.
        overwrite: whether to replace a file of that name.

    Raises:
        OutputError: if `path` exists and `overwrite` is false, the disk refuses, or what was
            written cannot be opened.
    """
    with publish(path, overwrite=overwrite) as partial, Interrupts() as interrupts:
        with DeferredErrorFile(partial, "w+") as file:
            with contextlib.ExitStack() as closing:
                with interrupts.held():
                    writer = StoreWriter(file, plan, threads, interrupts)
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
            seal(partial, patch_index(partial, writer.sizes_of_runs()))
            verify_store(partial, name=path)


class StoreWriter:
    """Appends samples to a store, then its statistics; for use by one thread.

    Attributes:
        groups: the group of each layer of the plan, such as `layers/conv1`.
        rows: the arrays that samples are appended to, by path.
    """

    def __init__(
        self,
        file: DeferredErrorFile,
        plan: StorePlan,
        threads: ThreadPoolExecutor,
        interrupts: Interrupts,
    ) -> None:
        self._disk = file
        self._interrupts = interrupts
        self._plan = plan
        self._threads = threads
        self._n_correct = 0
        self._n_samples = np.zeros(len(plan.class_names), dtype=np.int64)
        self._file = h5py.File(file, "w", libver=LIBRARY_VERSIONS, track_order=True)
        try:
            self._skeleton = Skeleton(self._file, plan)
        except BaseException:
            self._file.close()
            raise
        self.groups, self.rows = self._skeleton.groups, self._skeleton.rows

    def submit(self, arrays: Mapping[str, NDArray[Any]]) -> Encoded:
        """Hands the next rows of some arrays to the threads; `write` waits for them.

        Args:
            arrays: the rows by path in the store, each [sample, …].
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
        with self._interrupts.held():
            for rows, tasks in encoded:
                for task in tasks:
                    rows.put(task.result())
        self._disk.check()

    def append(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Writes the next rows of small arrays in this thread; in the others they would queue.

        Args:
            arrays: the rows by path in the store, each [sample, …].

        Raises:
            OSError: if the disk refuses.
        """
        with self._interrupts.held():
            for path, values in arrays.items():
                rows = self.rows[path]
                for blocks in rows.add(values):
                    rows.put(encode_run(blocks, rows.codec))
        self._disk.check()

    def sizes_of_runs(self) -> dict[str, NDArray[np.int64]]:
        """The chunk sizes in bytes, <int64>[chunk], of each array that was written in runs."""
        return {path: rows.sizes for path, rows in self.rows.items() if rows.has_runs}

    def count(self, labels: NDArray[np.int64], predictions: NDArray[np.int64] | None) -> None:
        """Counts labels and correct predictions for the summary, both <int64>[sample]."""
        self._n_samples += np.bincount(labels, minlength=len(self._n_samples))
        if predictions is not None:
            self._n_correct += int((labels == predictions).sum())

    def write_layer(
        self, index: int, accumulators: LayerAccumulators, *, keep_state: bool = False
    ) -> None:
        """Writes the statistics of a layer, once all samples are written.

        Args:
            index: the place of the layer in the plan.
            accumulators: the accumulators of the layer.
            keep_state: also write their full state, so that a shard can be merged with others.
        """
        with self._interrupts.held():
            self._write_layer(index, accumulators, keep_state=keep_state)

    def _write_layer(
        self, index: int, accumulators: LayerAccumulators, *, keep_state: bool
    ) -> None:
        group = self._file[self.groups[index]]
        name = self.groups[index].removeprefix("layers/")
        self._put(name, self._plan.scatter(index, accumulators).arrays())
        if accumulators.rounding is not None:
            group.attrs["largest_error"] = float(accumulators.rounding.largest_error)
            group.attrs["n_overflow"] = int(accumulators.rounding.n_overflow)
        for key, array in accumulators.state().items() if keep_state else ():
            path = f"{self.groups[index]}/{STATE}/{key}"
            flat = array.reshape(-1)
            chunk = chunk_shape.table_chunk(flat.shape, itemsize=flat.dtype.itemsize)
            self._skeleton.dataset(path, flat.shape, flat.dtype, chunk)[...] = flat

    def _put(self, layer: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Writes arrays by their path in a layer's group, or under `similarity/`."""
        for path, array in arrays.items():
            self._skeleton.put(path_in_store(path), layer, array)

    def put(self, index: int, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Writes whole arrays of a layer, by their path in its group, or under `similarity/`."""
        with self._interrupts.held():
            self._put(self.groups[index].removeprefix("layers/"), arrays)
        self._disk.check()

    def pooled_part(self, index: int, name: str, rows: slice, columns: slice) -> NDArray[Any]:
        """Reads a part of a pooled table, [sample, filter], once all samples are written."""
        table = self.rows[f"{self.groups[index]}/pooled/{name}"]
        with self._interrupts.held():
            _flush(table)
            part = table.read(rows, columns)
        self._disk.check()
        return part

    def finish(self) -> None:
        """Writes the chunks that are not full, the summary, and the digest of all attributes."""
        with self._interrupts.held():
            self._finish()
        self._disk.check()

    def _finish(self) -> None:
        n_samples = len(self._plan.ids)
        for path, rows in self.rows.items():
            _flush(rows)
            if rows.n_rows != n_samples:
                raise ValueError(f"{path}: {rows.n_rows} rows were written, expected {n_samples}")
        self._skeleton.put("classes/n_samples", "", self._n_samples)
        if self._plan.has_predictions and self._plan.dataset.labels == LabelSource.GIVEN:
            self._file["model"].attrs["test_accuracy"] = self._n_correct / n_samples
        self._file.attrs[DIGEST] = fixed_text(attributes_digest(self._file))

    def close(self) -> None:
        """Closes the HDF5 file; safe to call twice."""
        with self._interrupts.held():
            self._file.close()


def _flush(rows: ChunkBuffer) -> None:
    """Writes the last chunk of an array, full or not."""
    for blocks in rows.flush():
        rows.put(encode_run(blocks, rows.codec))
