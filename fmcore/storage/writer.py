"""Writes one store, batch by batch, in constant memory; `publish` renames it at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.files import publish
from fmcore.records import LabelSource, Policy, SampleBatch
from fmcore.statistics import LayerAccumulators, Rounding
from fmcore.storage.chunks.buffer import ChunkBuffer, ChunkRun, encode_run
from fmcore.storage.chunks.index_patch import patch_index
from fmcore.storage.file.deferred_errors import DeferredErrorFile, Interrupts
from fmcore.storage.file.nodes import DIGEST, attributes_digest, fixed_text
from fmcore.storage.file.seal import seal
from fmcore.storage.format.lack import Lack
from fmcore.storage.format.plan import LayerPlan, StorePlan
from fmcore.storage.format.schema import MODEL, array_path, layer_path, state_path
from fmcore.storage.skeleton import Skeleton
from fmcore.storage.validate import verify_store

# Both bounds: files written with "latest" by h5py 3.16 cannot be opened by 3.14.
LIBRARY_VERSIONS = ("v110", "v110")

# The columns of the samples that the summary is made of.
_COUNTED = ("label", "prediction", "has_label", "label_probability", "number", "predicted_number")
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
        layers: the writer of each layer of the plan.
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
        self._n_correct = self._n_exact = 0
        self._n_right = np.zeros(len(plan.target_names), dtype=np.int64)
        self._errors = np.zeros(len(plan.target_names))
        self._n_samples = np.zeros(len(plan.class_names), dtype=np.int64)
        self._file = h5py.File(file, "w", libver=LIBRARY_VERSIONS, track_order=True)
        try:
            self._skeleton = Skeleton(self._file, plan)
        except BaseException:
            self._file.close()
            raise
        self.rows = self._skeleton.rows
        self.layers = [
            LayerWriter(self, index, layer, self._skeleton.layers[index])
            for index, layer in enumerate(plan.layers)
        ]

    def submit(self, batch: SampleBatch) -> Encoded:
        """Hands the columns of the next samples to the threads; `write` waits for them."""
        columns = {column.name: column.rows(batch) for column in self._plan.columns}
        self.count(columns)
        return self.submit_rows({array_path(name): rows for name, rows in columns.items()})

    @property
    def counted(self) -> list[str]:
        """The columns of the samples that `count` needs."""
        return [column.name for column in self._plan.columns if column.name in _COUNTED]

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
                    rows.put(task.result())

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
                    rows.put(encode_run(blocks, rows.codec))

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
            is_right = (columns["label_probability"] >= 0.5) == columns["has_label"].astype(bool)
            self._n_right += is_right.sum(axis=0)
            self._n_exact += int(is_right.all(axis=1).sum())
        if "number" in columns:
            errors = columns["predicted_number"].astype(np.float64) - columns["number"]
            self._errors += np.abs(errors).sum(axis=0)

    def expand(self, index: int, accumulators: LayerAccumulators) -> LayerAccumulators:
        """The accumulators of a layer, with all classes of the store."""
        return self._plan.scatter(index, accumulators)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Skeleton]:
        """Holds signals back while HDF5 writes, and raises what the disk refused."""
        with self._interrupts.held():
            yield self._skeleton
        self._disk.check()

    def finish(self) -> None:
        """Writes the chunks that are not full, the summary, and the digest of all attributes."""
        with self.writing():
            self._finish()

    def _finish(self) -> None:
        n_samples = len(self._plan.ids)
        for path, rows in self.rows.items():
            _flush(rows)
            if rows.n_rows != n_samples:
                raise ValueError(f"{path}: {rows.n_rows} rows were written, expected {n_samples}")
        self._skeleton.put("n_samples", self._n_samples)
        if self._plan.has_predictions and self._plan.dataset.labels == LabelSource.GIVEN:
            self._file[MODEL].attrs["test_accuracy"] = self._n_correct / n_samples
        if Lack.TRUE_LABELS not in self._plan.lacks:
            self._file[MODEL].attrs["exact_match"] = self._n_exact / n_samples
            self._skeleton.put("target_accuracy", self._n_right / n_samples)
        if Lack.TRUE_NUMBERS not in self._plan.lacks:
            self._skeleton.put("target_error", self._errors / n_samples)
        self._skeleton.finish()
        self._file.attrs[DIGEST] = fixed_text(attributes_digest(self._file))

    def close(self) -> None:
        """Closes the HDF5 file; safe to call twice."""
        with self._interrupts.held():
            self._file.close()


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
        table = self.store.rows[self._pooled_path(name)]
        with self.store.writing():
            _flush(table)
            return table.read(rows, columns)

    def put(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Writes whole arrays by their names in the schema.

        Raises:
            OSError: if the disk refuses.
        """
        with self.store.writing() as skeleton:
            for name, array in arrays.items():
                skeleton.put(name, array, self.name)

    def finish(self, accumulators: LayerAccumulators, *, keep_state: bool = False) -> None:
        """Writes the statistics, once all samples are written.

        Args:
            accumulators: the accumulators of the layer.
            keep_state: also write their full state, so that a shard can be merged with others.

        Raises:
            OSError: if the disk refuses.
        """
        self.put(self.store.expand(self.index, accumulators).arrays())
        rounding = accumulators.get(Rounding)
        with self.store.writing() as skeleton:
            if rounding is not None:
                skeleton.set_numbers(
                    layer_path(self.name),
                    largest_error=float(rounding.largest_error),
                    n_overflow=int(rounding.n_overflow),
                )
            for key, array in accumulators.state().items() if keep_state else ():
                skeleton.put_flat(state_path(self.name, key), array.reshape(-1))

    def _pooled_path(self, name: str) -> str:
        return array_path(f"pooled_{name}", self.name)


def _flush(rows: ChunkBuffer) -> None:
    """Writes the last chunk of an array, full or not."""
    for blocks in rows.flush():
        rows.put(encode_run(blocks, rows.codec))
