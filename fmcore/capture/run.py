"""The streaming pass, in which images, model, statistics, compression and writing overlap.

The calling thread runs the model, and it alone touches HDF5. One thread reads the images of the
next batch, and a pool compresses and reduces outside the GIL. At most two batches of small samples
are in memory, or one of large ones, and the images of the next.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import os
import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fmcore.capture.cost import LARGE_STORE_BYTES
from fmcore.capture.heap import give_back
from fmcore.capture.options import DEFAULTS, CaptureOptions
from fmcore.capture.plan import CapturePlan, identity
from fmcore.capture.probe import Probe
from fmcore.dataset import LabelledImages
from fmcore.errors import OutputError
from fmcore.files import in_real_folder, output_errors, refuse_existing, size_text
from fmcore.records import SampleBatch, StatisticsScope, Target
from fmcore.statistics import (
    Batch,
    LabelGroups,
    LayerAccumulators,
    Permutations,
    Pooled,
    Rounding,
)
from fmcore.storage import (
    STORE_KIND,
    Checkpoints,
    Encoded,
    LayerWriter,
    ScoredTruth,
    StoreWriter,
    create_store,
    open_checkpoints,
    partial_folder,
    write_scores,
)

log = logging.getLogger(__name__)
Tables = Mapping[str, NDArray[Any]]
# Of large samples, maps that threads work on or that wait for the disk: enough to keep all threads
# busy, and little beside a batch.
WAITING_BYTES = 64 << 20
# Of large samples, freed memory is given back to the system whenever there is this much of it.
FREED_BYTES = 128 << 20


def capture(
    probe: Probe,
    samples: LabelledImages,
    path: Path,
    plan: CapturePlan,
    options: CaptureOptions = DEFAULTS,
    *,
    on_progress: Callable[[int], object] = lambda _: None,
) -> Path:
    """Runs the whole test set through a probe once and writes the store.

    The same call resumes a run that was interrupted, from its last checkpoint. Apart from the
    images, memory does not grow with the number of samples.

    Args:
        probe: the model.
        samples: the test set of the plan.
        path: the path of the store, which appears there when it is complete.
        plan: the plan that `plan_capture` made for this probe and these samples.
        options: those that the plan was made with; overwrite, restart and allow_large are used
            here.
        on_progress: called with the number of samples written since the last call.

    Raises:
        OutputError: if the store exists and `overwrite` is false, another capture is writing it,
            there is a part of a different capture, the store is large and neither `allow_large`
            nor a policy is given, or the disk is too small or cannot be written.
    """
    refuse_existing(path, overwrite=options.overwrite, kind=STORE_KIND)
    refuse_large(path, plan, options)
    path = in_real_folder(path)
    # The identity digests every image, so it is made only if there may be a run to go on with.
    may_go_on = plan.checkpoint_rows < plan.n_samples or partial_folder(path).exists()
    run_identity = identity(plan, samples) if may_go_on else {}
    with (
        open_checkpoints(path, run_identity, restart=options.restart) as checkpoints,
        # The BLAS threads of NumPy's matrix products would compete with the pool below.
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="fmcore") as threads,
    ):
        # Another run may have finished meanwhile.
        refuse_existing(path, overwrite=options.overwrite, kind=STORE_KIND)
        require_disk_space(path, plan, checkpoints.store_bytes)
        _warn_about_memory(plan, options.memory)
        run = _Run(
            probe, samples, plan, threads, scored_truth(plan, samples), checkpoints, on_progress
        )
        try:
            accumulators = run.write_store(path, overwrite=options.overwrite)
        except BaseException:
            if checkpoints.recorded is not None:
                log.warning(
                    "%d of %d samples are kept in %s; run the same command to resume",
                    checkpoints.recorded.n_samples,
                    plan.n_samples,
                    partial_folder(path),
                )
            raise
        checkpoints.remove()
    warn_about_values(plan, accumulators)
    return path


def capture_part(
    probe: Probe,
    samples: LabelledImages,
    path: Path,
    plan: CapturePlan,
    *,
    n_threads: int,
    on_progress: Callable[[int], object] = lambda _: None,
) -> list[LayerAccumulators]:
    """Runs a part of the test set through a probe and writes it as a store without scores.

    Args:
        probe: the model.
        samples: the whole test set.
        path: the path of the store, which appears there when it is complete.
        plan: the plan of the part, see `CapturePlan.part`.
        n_threads: the threads that compress and reduce.
        on_progress: called with the number of samples written since the last call.

    Returns:
        The accumulators of the layers; those of all parts in their order merge to those of all.

    Raises:
        OutputError: if the store exists, or the disk is too small or cannot be written.
    """
    with (
        output_errors(path),
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(n_threads, thread_name_prefix="fmcore") as threads,
    ):
        run = _Run(probe, samples, plan, threads, None, None, on_progress)
        return run.write_store(path, overwrite=False)


def finish_store(
    writer: StoreWriter,
    accumulators: Sequence[LayerAccumulators],
    truth: ScoredTruth | None,
    threads: ThreadPoolExecutor,
) -> None:
    """Writes all statistics, once all samples are written.

    Args:
        writer: the writer of the store.
        accumulators: the accumulators of each layer.
        truth: what scores are computed against; None without scores.
        threads: the threads that compute scores.

    Raises:
        OSError: if the disk refuses.
    """
    for layer, layer_accumulators in zip(writer.layers, accumulators, strict=True):
        layer.finish(layer_accumulators)
    if truth is not None:
        truth.permutations.prepare()
        give_back()
        write_scores(writer, accumulators, truth, threads, give_back=give_back)


@dataclasses.dataclass(frozen=True, slots=True)
class _Run:
    """One run of a capture.

    Attributes:
        probe: the model.
        samples: the whole test set.
        plan: the plan of the capture, or of a part of it.
        threads: the pool that compresses and reduces.
        truth: what scores are computed against; None without scores.
        checkpoints: from where the run goes on, and where a later one could; None for nowhere.
        on_progress: called with the number of samples written since the last call.
    """

    probe: Probe
    samples: LabelledImages
    plan: CapturePlan
    threads: ThreadPoolExecutor
    truth: ScoredTruth | None
    checkpoints: Checkpoints | None
    on_progress: Callable[[int], object]

    def write_store(self, path: Path, *, overwrite: bool) -> list[LayerAccumulators]:
        """Captures the samples into a store, and returns the accumulators of its layers."""
        plan = self.plan.store
        accumulators = plan.empty_accumulators()
        checkpoints = self.checkpoints
        growing: dict[str, Any] = {}
        if checkpoints is not None:
            growing = {"partial": checkpoints.store, "kept": lambda: checkpoints.store_bytes}
        with create_store(path, plan, self.threads, overwrite=overwrite, **growing) as writer:
            if self.truth is not None:
                # The pool has idle moments for this while the samples stream.
                prepared = self.threads.submit(self.truth.permutations.prepare)
            n_captured = 0 if checkpoints is None else checkpoints.resume(writer, accumulators)
            self.on_progress(n_captured)
            self._stream(n_captured, writer, accumulators)
            if self.truth is not None:
                prepared.result()
            finish_store(writer, accumulators, self.truth, self.threads)
        return accumulators

    def _stream(
        self, first: int, writer: StoreWriter, accumulators: list[LayerAccumulators]
    ) -> None:
        """Moves the samples of the plan from the `first` on, in batches, from images to writer."""
        step, start_of_plan = self.plan.store.batch_size, self.plan.store.first_sample
        stop = start_of_plan + self.plan.n_samples
        slices = [
            slice(start, min(start + step, stop))
            for start in range(start_of_plan + first, stop, step)
        ]
        queue = _Queue(writer, self.on_progress)
        truth = _true_targets(self.plan, self.samples)
        reductions: list[Future[Tables] | None] = [None] * len(writer.layers)
        overlaps = self.plan.batching.in_flight > 1
        # The images of the next batch are decoded while the model runs on this one.
        with ThreadPoolExecutor(1, thread_name_prefix="images") as reader:
            loading = reader.submit(self._load, slices[0])
            for batch_rows, next_rows in itertools.zip_longest(slices, slices[1:]):
                images, inputs = loading.result()
                if next_rows is not None:
                    loading = reader.submit(self._load, next_rows)
                captured = self.probe(inputs, self.samples.others_of(batch_rows))
                labels = self.samples.known_labels[batch_rows]
                class_indices = self.plan.store.places(labels)
                samples = SampleBatch(
                    images,
                    labels,
                    captured.probability,
                    captured.output,
                    None if truth is None else truth[batch_rows],
                )
                n_before = len(queue)
                queue.add(_Part(writer.submit(samples)))
                maps, n_freed = deque(captured.activations), 0
                del captured, inputs
                for layer in writer.layers:
                    values = maps.popleft()  # it is freed when nobody works on it any more
                    # Batches are added in order, so that sums are the same in every run.
                    chunks, pooled = self._submit_layer(
                        layer,
                        values,
                        class_indices,
                        accumulators[layer.index],
                        reductions[layer.index],
                    )
                    reductions[layer.index] = pooled
                    queue.add(_Part(chunks, layer, pooled, values.nbytes))
                    if not overlaps:
                        n_freed += queue.write(most_bytes=WAITING_BYTES)
                        if n_freed > FREED_BYTES:
                            give_back()
                            n_freed = 0
                del values, chunks, pooled
                queue.end_batch(len(labels))
                queue.write(n_parts=n_before)
                n_captured = batch_rows.stop - start_of_plan
                is_checkpoint = (
                    self.checkpoints is not None
                    and next_rows is not None
                    and n_captured % self.plan.checkpoint_rows == 0
                )
                if is_checkpoint or not overlaps:
                    queue.write(n_parts=len(queue))
                if not overlaps:
                    give_back()
                if self.checkpoints is not None and is_checkpoint:
                    self.checkpoints.record(writer, accumulators, n_captured)
            queue.write(n_parts=len(queue))

    def _load(self, rows: slice) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Reads images, and preprocesses them: what the store keeps, and what the model gets."""
        images = np.asarray(self.samples.images[rows])
        return images, self.plan.preprocessing(images)

    def _submit_layer(
        self,
        layer: LayerWriter,
        values: NDArray[np.float32],
        class_indices: NDArray[np.int64],
        accumulators: LayerAccumulators,
        previous: Future[Tables] | None,
    ) -> tuple[Encoded, Future[Tables]]:
        """Hands one layer's activations to the pool, for compression and for statistics.

        Args:
            layer: the writer of the layer.
            values: <float32>[sample, y, x, filter], the activations of the batch.
            class_indices: <int64>[sample], the class of each sample as the accumulators count it.
            accumulators: the accumulators of the layer.
            previous: the reduction of the previous batch; its values are added first.

        Returns:
            The chunks that are being compressed, and the pooled tables that are being computed.
        """
        stored = layer.plan.stored(values)
        chunks = layer.submit(stored)

        def reduce() -> Tables:
            pooled = Pooled.from_batch(values)
            if previous is not None:
                previous.result()
            accumulators.add(Batch(values, class_indices, pooled, stored))
            return pooled.tables()

        return chunks, self.threads.submit(reduce)


@dataclasses.dataclass(frozen=True, slots=True)
class _Part:
    """A part of a batch: its chunks are being compressed, and its maps are being reduced.

    Attributes:
        chunks: the pending chunks of the samples, or of a layer.
        layer: the writer of the layer; None for the samples.
        pooled: the pending pooled tables of the layer.
        n_bytes: the bytes of its maps.
    """

    chunks: Encoded
    layer: LayerWriter | None = None
    pooled: Future[Tables] | None = None
    n_bytes: int = 0


class _Queue:
    """The parts of batches that are not written yet, in the order in which they will be."""

    def __init__(self, writer: StoreWriter, on_progress: Callable[[int], object]) -> None:
        self._writer = writer
        self._on_progress = on_progress
        self._parts: deque[_Part] = deque()
        self._n_bytes = 0
        self._n_written = 0
        self._ends: deque[tuple[int, int]] = deque()  # of batches: parts before it, samples in it

    def __len__(self) -> int:
        return len(self._parts)

    def add(self, part: _Part) -> None:
        """Adds the next part."""
        self._parts.append(part)
        self._n_bytes += part.n_bytes

    def end_batch(self, n_samples: int) -> None:
        """Counts the samples of a batch as progress, once the parts so far are written."""
        self._ends.append((self._n_written + len(self._parts), n_samples))

    def write(self, n_parts: int | None = None, *, most_bytes: int = 0) -> int:
        """Waits for the oldest parts, and writes them.

        Args:
            n_parts: how many; if left out, as many as leave no more than `most_bytes` of maps.
            most_bytes: the bytes of maps that may be left.

        Returns:
            The bytes of the maps of what was written.
        """
        before = self._n_bytes
        while self._parts and (self._n_bytes > most_bytes if n_parts is None else n_parts > 0):
            part = self._parts.popleft()
            self._n_bytes -= part.n_bytes
            self._n_written += 1
            n_parts = n_parts and n_parts - 1
            self._writer.write(part.chunks)
            if part.layer is not None and part.pooled is not None:
                part.layer.append(part.pooled.result())
        while self._ends and self._ends[0][0] <= self._n_written:
            self._on_progress(self._ends.popleft()[1])
        return before - self._n_bytes


def scored_truth(plan: CapturePlan, samples: LabelledImages) -> ScoredTruth | None:
    """What scores are computed against; None if the plan has no scores."""
    if plan.store.statistics == StatisticsScope.BASIC:
        return None
    permutations = Permutations(LabelGroups(samples.known_labels, len(plan.store.class_names)))
    return ScoredTruth(permutations, plan.store.target, _true_targets(plan, samples))


def _true_targets(plan: CapturePlan, samples: LabelledImages) -> NDArray[Any] | None:
    """Labels or numbers that are true of the samples, [sample, target]; None for neither."""
    truth = samples.truth
    of_targets = plan.store.target in (Target.LABELS, Target.NUMBER)
    return truth.values if truth is not None and of_targets and plan.store.has_truth else None


def refuse_large(path: Path, plan: CapturePlan, options: CaptureOptions) -> None:
    """Refuses a large store to which nobody consented.

    Raises:
        OutputError: with its size.
    """
    if plan.estimate.store_bytes > LARGE_STORE_BYTES and not options.may_be_large:
        raise OutputError(
            f"{path} would take about {size_text(plan.estimate.store_bytes)}; choose a smaller "
            "policy for large layers, such as --policy 'block1*=pooled', or confirm with --yes"
        )


def require_disk_space(path: Path, plan: CapturePlan, recorded: int, *, n_copies: int = 1) -> None:
    """Refuses a store for which the disk is too small.

    Args:
        path: the path of the store.
        plan: the plan of the capture.
        recorded: bytes of it that are on the disk already.
        n_copies: how often the samples are on the disk before the store is complete.

    Raises:
        OutputError: with the bytes that are needed and free.
    """
    free = shutil.disk_usage(path.parent).free
    shards = (n_copies - 1) * plan.estimate.store_bytes
    needed = plan.estimate.disk_bytes + shards - recorded
    if needed > free:
        raise OutputError(
            f"{path} needs about {size_text(needed)} on the disk, but only {size_text(free)} are "
            f"free in {path.parent}; free some space, choose another folder, or choose a smaller "
            "policy, such as --policy 'block1*=pooled'"
        )


def _warn_about_memory(plan: CapturePlan, memory: int) -> None:
    """Warns where not even the smallest batch fits."""
    needed, layers = plan.batching.needed_bytes, plan.estimate.layers
    if needed > memory:
        largest = max(layers, key=lambda layer: layer.map_bytes)
        of_all = sum(layer.map_bytes for layer in layers)
        log.warning(
            "%s takes about %s beyond the model and the images, more than a memory of %s: batches "
            "of %d, the maps of one sample take %s (%s of them layer %r); give more --memory, "
            "choose fewer layers, or --statistics basic",
            plan.store.model.name,
            size_text(needed),
            size_text(memory),
            plan.store.batch_size,
            size_text(of_all // plan.n_samples),
            size_text(largest.map_bytes // plan.n_samples),
            largest.path,
        )


def warn_about_values(plan: CapturePlan, accumulators: Sequence[LayerAccumulators]) -> None:
    """Warns about NaN, infinities and float16 overflow."""
    for layer, layer_accumulators in zip(plan.store.layers, accumulators, strict=True):
        moments, name = layer_accumulators.moments, layer.spec.path
        rounding = layer_accumulators.get(Rounding)
        n_nonfinite = int(moments.n_nonfinite.sum())
        if n_nonfinite:
            log.warning(
                "%s: %s of %s activations are NaN or infinite, in %d of %d filters",
                name,
                f"{n_nonfinite:,}",
                f"{n_nonfinite + int(moments.n_values.sum()):,}",
                int((moments.n_nonfinite.sum(axis=0) > 0).sum()),
                layer.spec.shape[2],
            )
        if rounding is not None and rounding.n_overflow:
            log.warning(
                "%s: %s activations are too large for float16 and are stored as infinite",
                name,
                f"{int(rounding.n_overflow):,}",
            )
