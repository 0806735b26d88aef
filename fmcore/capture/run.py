"""The one streaming pass: images, model, statistics, compression and writing overlap.

The calling thread runs the model and is the only one that touches HDF5; a thread fetches images,
and a pool compresses and reduces outside the GIL. At most two batches are alive, and a third's
images.
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
from fmcore.capture.plan import CapturePlan, identity
from fmcore.capture.probe import Probe
from fmcore.dataset import LabelledImages
from fmcore.errors import OutputError
from fmcore.files import refuse_existing, size_text
from fmcore.statistics import LabelGroups, LayerAccumulators, Permutations, Pooled, Rounding
from fmcore.storage import (
    StoreWriter,
    create_store,
    join_shards,
    open_shards,
    partial_folder,
    write_scores,
)

log = logging.getLogger(__name__)
Tables = Mapping[str, NDArray[Any]]


def capture(
    probe: Probe,
    samples: LabelledImages,
    path: Path,
    plan: CapturePlan,
    *,
    overwrite: bool = False,
    restart: bool = False,
    allow_large: bool = False,
    on_progress: Callable[[int], object] = lambda _: None,
) -> Path:
    """Runs the whole test set through a probe once and writes the store.

    A run that was interrupted is taken up by the same call: shards that were recorded are kept.
    Memory does not grow with the number of samples beyond the images themselves.

    Args:
        probe: the model.
        samples: the test set of the plan.
        path: the store; it appears when it is whole.
        plan: as `plan_capture` made it of the same probe and samples.
        overwrite: replace a store of that name.
        restart: discard the shards of an earlier run.
        allow_large: go on where the estimate exceeds 10 GB.
        on_progress: called with the number of samples that are done since the last call.

    Raises:
        OutputError: if the store exists and `overwrite` is false, another capture is writing it,
            shards of another capture lie there, the store is large and `allow_large` is false, or
            the disk refuses or is too small.
    """
    refuse_existing(path, overwrite=overwrite)
    if plan.estimate.store_bytes > LARGE_STORE_BYTES and not allow_large:
        raise OutputError(
            f"{path} would take about {size_text(plan.estimate.store_bytes)}; choose a policy "
            "for large layers, such as --policy 'block1*=pooled', or go on with --yes"
        )
    path = Path(os.path.realpath(path))
    n_samples = plan.n_samples
    ranges = [
        range(start, min(start + plan.shard_rows, n_samples))
        for start in range(0, n_samples, plan.shard_rows)
    ]
    # Images are digested one by one only where that can be needed.
    several = len(ranges) > 1 or partial_folder(path).exists()
    about = identity(plan, samples) if several else {}
    with (
        open_shards(path, about, restart=restart) as shards,
        # The threads are ours: those of numpy's matrix products would spin beside them.
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="fmcore") as threads,
    ):
        refuse_existing(path, overwrite=overwrite)  # another run may have finished meanwhile
        _check_room(path, plan, sum(shard.bytes for shard in shards.recorded.values()))
        running = _Run(probe, samples, plan, threads, _permutations(plan, samples), on_progress)
        if len(ranges) == 1:
            sums = running.write(path, ranges[0], overwrite=overwrite)
        else:
            try:
                for rows in ranges:
                    if rows.start in shards.recorded:
                        on_progress(len(rows))
                        continue
                    running.write(shards.path(rows.start), rows, part=True)
                    shards.record(rows.start, rows.stop)
                files = [shards.path(rows.start) for rows in ranges]
                sums = join_shards(
                    path,
                    plan.store,
                    files,
                    threads,
                    permutations=running.permutations,
                    overwrite=overwrite,
                )
            except BaseException:
                if shards.recorded:
                    log.warning(
                        "%d of %d shards are kept beside the store; the same command resumes",
                        len(shards.recorded),
                        len(ranges),
                    )
                raise
        shards.remove()
    _report(plan, sums)
    return path


@dataclasses.dataclass(frozen=True, slots=True)
class _Run:
    """What all shards of one run share."""

    probe: Probe
    samples: LabelledImages
    plan: CapturePlan
    threads: ThreadPoolExecutor
    permutations: Permutations | None
    on_progress: Callable[[int], object]

    def write(
        self, path: Path, rows: range, *, part: bool = False, overwrite: bool = True
    ) -> list[LayerAccumulators]:
        """Captures a range of samples into a file of its own."""
        store = self.plan.store
        ids = store.ids[rows.start : rows.stop]
        shard = dataclasses.replace(store, ids=ids, first_sample=rows.start)
        sums = store.empty_accumulators()
        with create_store(path, shard, self.threads, overwrite=overwrite) as writer:
            permutations = None if part else self.permutations
            if permutations is not None:
                # While the samples stream by, a thread has time for it now and then.
                dealt = self.threads.submit(permutations.prepare)
            self._stream(rows, writer, sums)
            for index, layer in enumerate(sums):
                writer.write_layer(index, layer, keep_state=part)
            if permutations is not None:
                dealt.result()
                write_scores(writer, sums, permutations, self.threads)
        return sums

    def _stream(self, rows: range, writer: StoreWriter, sums: list[LayerAccumulators]) -> None:
        step = self.plan.store.batch_size
        slices = [
            slice(start, min(start + step, rows.stop))
            for start in range(rows.start, rows.stop, step)
        ]
        in_flight: deque[_Batch] = deque()
        # Images of files are decoded while the model runs on those before.
        with ThreadPoolExecutor(1, thread_name_prefix="images") as reader:
            ahead = reader.submit(self._load, slices[0])
            for here, following in itertools.zip_longest(slices, slices[1:]):
                images, fed = ahead.result()
                if following is not None:
                    ahead = reader.submit(self._load, following)
                captured = self.probe(fed, self.samples.others_of(here))
                labels = self.samples.known_labels[here]
                places = self.plan.store.places(labels)
                batch = self._batch(writer, images, labels, captured.probability)
                for index, values in enumerate(captured.activations):
                    # One batch after the other, so that sums are the same in every run.
                    before = in_flight[-1].pooled[index] if in_flight else None
                    batch.add(self._layer(writer, index, values, places, sums[index], before))
                del captured, values, fed
                in_flight.append(batch)
                if len(in_flight) > 1:
                    self.on_progress(in_flight.popleft().write(writer))
            while in_flight:
                self.on_progress(in_flight.popleft().write(writer))

    def _load(self, rows: slice) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Images as the store keeps them, and as the model is fed them."""
        images = np.asarray(self.samples.images[rows])
        return images, self.plan.preprocessing(images)

    def _batch(
        self,
        writer: StoreWriter,
        images: NDArray[Any],
        labels: NDArray[np.int64],
        probability: NDArray[np.float32] | None,
    ) -> _Batch:
        tables = {"image": images, "label": labels}
        if probability is not None:
            tables |= {"prediction": probability.argmax(axis=1), "probability": probability}
        writer.count(labels, tables.get("prediction"))
        encoded = writer.submit({f"samples/{name}": rows for name, rows in tables.items()})
        return _Batch(len(labels), [encoded], [])

    def _layer(
        self,
        writer: StoreWriter,
        index: int,
        values: NDArray[np.float32],
        places: NDArray[np.int64],
        sums: LayerAccumulators,
        before: Future[Tables] | None,
    ) -> tuple[Any, Future[Tables]]:
        """Hands one layer's activations of a batch to the threads."""
        policy, group = self.plan.store.layers[index].policy, writer.groups[index]
        stored: NDArray[Any] = values
        if policy == "float16":
            with np.errstate(over="ignore"):
                stored = values.astype(np.float16)
        arrays = {} if policy == "pooled" else {f"{group}/activation": stored}
        encoded = writer.submit(arrays)

        def reduce() -> Tables:
            pooled = Pooled.from_batch(values)
            if before is not None:
                before.result()
            sums.add(values, places, pooled)
            if sums.rounding is not None:
                sums.rounding = sums.rounding.merge(Rounding.of(values, stored))
            return pooled.tables()

        return encoded, self.threads.submit(reduce)


@dataclasses.dataclass(frozen=True, slots=True)
class _Batch:
    """A batch on its way to the disk."""

    n_samples: int
    encoded: list[Any]
    pooled: list[Future[Tables]]

    def add(self, layer: tuple[Any, Future[Tables]]) -> None:
        self.encoded.append(layer[0])
        self.pooled.append(layer[1])

    def write(self, writer: StoreWriter) -> int:
        """Writes it; the number of its samples."""
        writer.write(list(itertools.chain.from_iterable(self.encoded)))
        for group, pooled in zip(writer.groups, self.pooled, strict=True):
            tables = pooled.result()
            writer.append({f"{group}/pooled/{name}": one for name, one in tables.items()})
        return self.n_samples


def _permutations(plan: CapturePlan, samples: LabelledImages) -> Permutations | None:
    """What chance levels are made of; None where no scores are wanted."""
    wanted = plan.store.statistics != "basic"
    return (
        Permutations(LabelGroups(samples.known_labels, len(plan.store.class_names)))
        if wanted
        else None
    )


def _check_room(path: Path, plan: CapturePlan, recorded: int) -> None:
    free = shutil.disk_usage(path.parent).free
    needed = plan.estimate.disk_bytes - recorded
    if needed > free:
        raise OutputError(
            f"{path} needs about {size_text(needed)} on the disk (with the join of "
            f"{plan.estimate.n_shards} shards), {size_text(free)} are free in {path.parent}; "
            "free some space, name another place, or choose a policy such as "
            "--policy 'block1*=pooled'"
        )


def _report(plan: CapturePlan, sums: Sequence[LayerAccumulators]) -> None:
    """Says what a person must know of the values."""
    for layer, found in zip(plan.store.layers, sums, strict=True):
        moments, name = found.moments, layer.spec.path
        broken = int(moments.n_nonfinite.sum())
        if broken:
            log.warning(
                "%s: %s of %s activations are NaN or infinite, in %d of %d filters",
                name,
                f"{broken:,}",
                f"{broken + int(moments.n_values.sum()):,}",
                int((moments.n_nonfinite.sum(axis=0) > 0).sum()),
                layer.spec.shape[2],
            )
        if found.rounding is not None and found.rounding.n_overflow:
            log.warning(
                "%s: %s activations are too large for float16 and are stored as infinite",
                name,
                f"{int(found.rounding.n_overflow):,}",
            )
