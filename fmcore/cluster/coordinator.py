"""Runs a capture on a cluster: hands out shards, takes them back, and joins them to a store.

A task runs at least once: Dask runs it again where its worker was lost. So each attempt writes
files of its own, and the first valid one counts. Only the coordinator writes the manifest and
merges sums, in the order of the shards, so that the store is equal however they come back.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import queue
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from fmcore.capture import CaptureOptions, CapturePlan
from fmcore.capture.plan import identity, image_digests
from fmcore.capture.run import (
    finish_store,
    refuse_large,
    require_disk_space,
    scored_truth,
    warn_about_values,
)
from fmcore.cluster.connection import check_cluster, connected, dashboard_link
from fmcore.cluster.job import Job, Opening, Shard, rows_digest, versions, without_model
from fmcore.cluster.opening import save_array
from fmcore.cluster.options import ClusterOptions
from fmcore.cluster.progress import Progress
from fmcore.cluster.shards import ShardRecord, Shards, shard_ranges
from fmcore.dataset import LabelledImages
from fmcore.errors import ClusterError, FmcoreError, StoreError
from fmcore.files import in_real_folder, output_errors, refuse_existing
from fmcore.records import Target
from fmcore.storage import STORE_KIND, StoreWriter, create_store
from fmcore.storage.joining import Join, append_store, join_shards, reclaim_shards
from fmcore.storage.joining import Shard as StoredShard
from fmcore.storage.unfinished import lock_unfinished

if TYPE_CHECKING:
    from distributed import Client, Future

log = logging.getLogger(__name__)

# At least so many tasks are with the scheduler, and twice as many as there are threads.
LEAST_TASKS = 64
# How often it is asked whether scheduler and workers are still there.
TICK_SECONDS = 1.0
# How long a lost scheduler may take to come back.
RECONNECT_SECONDS = 60.0
# After how long without a worker, or without a scheduler, a line says so.
PATIENCE_SECONDS = 30.0
# Dask gives up a task whose workers died; which of them died of it, attempts tell (see there). This
# bounds workers that die before they begin one.
MOST_LOST = 20


def capture_on_cluster(
    opening: Opening,
    samples: LabelledImages,
    path: Path,
    plan: CapturePlan,
    options: CaptureOptions,
    cluster: ClusterOptions,
    *,
    save: Callable[[Path], object] = lambda _: None,
    on_progress: Callable[[int], object] = lambda _: None,
    on_shard: Callable[[Progress], object] = lambda _: None,
    on_link: Callable[[str], object] = lambda _: None,
) -> Path:
    """Captures the whole test set on a cluster and writes the store.

    The same call goes on with a run that was interrupted: shards that it recorded stay.

    Args:
        opening: how workers open model and images.
        samples: the test set of the plan.
        path: the path of the store, which appears there when it is complete.
        plan: the plan that `plan_capture` made for these samples.
        options: those that the plan was made with.
        cluster: which cluster, and how it is used.
        save: called with the folder of the shards, to write there what workers open.
        on_progress: called with the number of samples captured since the last call.
        on_shard: called after each shard.
        on_link: called with the address of Dask's own dashboard, if there is one.

    Raises:
        ClusterError: if the cluster cannot be reached or is lost, or a worker refuses.
        OutputError: as `fmcore.capture.capture` raises it.
    """
    check_cluster(cluster)
    refuse_existing(path, overwrite=options.overwrite, kind=STORE_KIND)
    refuse_large(path, plan, options)
    path = in_real_folder(path).absolute()
    digests = image_digests(samples)
    ranges = shard_ranges(plan, cluster.shard_samples)
    target = plan.store.target
    shards = [
        Shard(
            index,
            rows.start,
            rows.stop,
            rows_digest(
                samples, slice(rows.start, rows.stop), digests[rows.start : rows.stop], target
            ),
        )
        for index, rows in enumerate(ranges)
    ]
    run_identity = {
        **identity(plan, samples, digests),
        "captured": f"in {len(ranges)} shards of {len(ranges[0])} samples",
    }
    with output_errors(path), _unfinished(path, run_identity, plan, shards, options) as unfinished:
        refuse_existing(path, overwrite=options.overwrite, kind=STORE_KIND)
        n_copies = 2 if cluster.join == Join.COPY else 1
        require_disk_space(path, plan, unfinished.n_bytes, n_copies=n_copies)
        _save_truth(unfinished.folder, samples, plan)
        save(unfinished.folder)
        job = Job(
            key=hashlib.sha256(repr((opening, sorted(run_identity.items()))).encode()).hexdigest(),
            folder=unfinished.folder,
            n_samples=plan.n_samples,
            opening=opening,
            plan=without_model(plan),
            options=options,
            versions=versions(),
        )
        run = _Run(job, unfinished, cluster, on_progress, on_shard, on_link)
        with (
            threadpool_limits(1, user_api="blas"),
            ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="fmcore") as threads,
        ):
            truth = scored_truth(plan, samples)
            with run.joined(path, plan, threads, overwrite=options.overwrite) as writer:
                finish_store(writer, unfinished.sums, truth, threads)
        unfinished.remove()
    warn_about_values(plan, unfinished.sums)
    return path


@contextlib.contextmanager
def _unfinished(
    path: Path,
    run_identity: dict[str, str],
    plan: CapturePlan,
    shards: list[Shard],
    options: CaptureOptions,
) -> Iterator[Shards]:
    """Locks the folder of the unfinished store; it stays where there is something to go on with."""
    with lock_unfinished(path, discard=options.restart) as own:
        unfinished = Shards(own, run_identity, plan, shards)
        reclaim_shards(path, own.path)
        if options.restart:
            unfinished.clear()
        else:
            unfinished.look_up()
        try:
            yield unfinished
        except BaseException:
            if not unfinished.records:
                unfinished.remove()
                raise
            unfinished.record()
            log.warning(
                "%d of %d shards are kept in %s; run the same command to go on",
                len(unfinished.records),
                len(shards),
                unfinished.folder,
            )
            raise


def _save_truth(folder: Path, samples: LabelledImages, plan: CapturePlan) -> None:
    """Writes what is true of the samples, which the coordinator knows best."""
    save_array(folder / "labels.npy", samples.known_labels)
    truth = samples.truth
    if truth is not None and plan.store.has_truth and truth.kind != Target.CLASS:
        save_array(folder / "truth.npy", np.asarray(truth.values))


class _Run:
    """One run: from the shards that are missing to all of them."""

    def __init__(
        self,
        job: Job,
        shards: Shards,
        cluster: ClusterOptions,
        on_progress: Callable[[int], object],
        on_shard: Callable[[Progress], object],
        on_link: Callable[[str], object],
    ) -> None:
        self._job = job
        self._shards = shards
        self._cluster = cluster
        self._on_progress, self._on_shard, self._on_link = on_progress, on_shard, on_link
        self._finished: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        self._running: dict[Future[Any], Shard] = {}
        self._waiting: deque[Shard] = deque(shards.missing)
        self._n_lost: dict[int, int] = {}
        self._n_new = 0
        self._n_workers = self._n_threads = 0
        self._counted = -TICK_SECONDS
        self._seen_workers = self._seen_scheduler = self._begun = time.monotonic()

    @contextlib.contextmanager
    def joined(
        self, path: Path, plan: CapturePlan, threads: ThreadPoolExecutor, *, overwrite: bool
    ) -> Iterator[StoreWriter]:
        """Captures what is missing, and yields the store with all samples, but no statistics.

        Chunks of a shard are copied as soon as those before it are, while workers go on.
        """
        if self._cluster.join == Join.MANIFEST:
            for _ in self._captured():
                pass
            stored = [
                StoredShard(self._shards.path(shard.index), range(shard.start, shard.stop))
                for shard in self._shards.all
            ]
            with join_shards(
                path, plan.store, stored, threads, join=Join.MANIFEST, overwrite=overwrite
            ) as writer:
                yield writer
            return
        with create_store(path, plan.store, threads, overwrite=overwrite) as writer:
            n_joined = 0
            with contextlib.closing(self._captured()) as captured:
                for _ in captured:
                    while n_joined in self._shards.records:
                        self._append(writer, n_joined)
                        n_joined += 1
            yield writer

    def _append(self, writer: StoreWriter, index: int) -> None:
        try:
            append_store(writer, self._shards.path(index))
        except StoreError as error:
            self._shards.forget(index)
            raise StoreError(
                f"{self._shards.all[index].words} was damaged on the disk, and is forgotten: run "
                f"the same command to capture it again ({error})"
            ) from error

    def _captured(self) -> Generator[None, None, None]:
        """Yields when there may be more shards, until all are captured and merged."""
        shards = self._shards
        self._on_progress(shards.n_captured)
        shards.merge()
        yield
        if not self._waiting:
            return
        with connected(self._cluster) as client:
            if link := dashboard_link(client):
                self._on_link(link)
            self._prepare(client)
            self._begun = self._seen_workers = self._seen_scheduler = time.monotonic()
            try:
                while self._waiting or self._running:
                    self._submit(client)
                    try:
                        future = self._finished.get(timeout=TICK_SECONDS)
                    except queue.Empty:
                        self._require_scheduler(client)
                        continue
                    if self._take(future, client):
                        shards.merge()
                        yield
            finally:
                with contextlib.suppress(Exception):  # of a cluster that is lost
                    client.cancel(list(self._running), force=True)

    def _prepare(self, client: Client) -> None:
        """Has workers, those to come too, remove the files of attempts when they are closed.

        Raises:
            ClusterError: if a worker cannot.
        """
        from fmcore.cluster.attempts import Attempts

        try:
            client.register_plugin(Attempts())
        except Exception as error:  # as the worker raised it
            raise ClusterError(
                f"a worker cannot import fmcore ({type(error).__name__}: {error}); install the "
                "same on the scheduler and on all workers"
            ) from error

    def _submit(self, client: Client) -> None:
        """Hands out as many shards as keep the workers busy."""
        if not self._waiting or client.status != "running":
            return
        from fmcore.cluster.worker import capture_shard

        self._count_workers(client)
        while self._waiting and len(self._running) < max(LEAST_TASKS, 2 * self._n_threads):
            shard = self._waiting.popleft()
            future = client.submit(
                capture_shard,
                self._job,
                shard,
                key=f"fmcore-{shard.index:06d}-{os.urandom(4).hex()}",
                priority=-shard.index,
                pure=False,
            )
            self._running[future] = shard
            future.add_done_callback(self._finished.put)

    def _count_workers(self, client: Client) -> None:
        """Counts workers and their threads, if that is long ago."""
        now = time.monotonic()
        if now - self._counted < TICK_SECONDS:
            return
        self._counted = now
        try:
            threads = client.nthreads()
        except (OSError, TimeoutError, ValueError):  # of a scheduler that is lost
            return
        self._n_workers, self._n_threads = len(threads), sum(threads.values())
        if threads:
            self._seen_workers = now

    def _take(self, future: Future[Any], client: Client) -> bool:
        """Takes what came back; whether that is a shard."""
        shard = self._running.pop(future)
        try:
            record = self._result(future, shard)
        finally:
            future.release()
        if record is None:
            self._waiting.appendleft(shard)
            self._require_scheduler(client)
            return False
        if self._shards.accept(record):
            n_samples = shard.stop - shard.start
            self._n_new += n_samples
            self._on_progress(n_samples)
            self._on_shard(self._progress())
        return True

    def _result(self, future: Future[Any], shard: Shard) -> ShardRecord | None:
        """What a worker returned; None where it was lost, so that the shard must run again.

        Raises:
            FmcoreError: as the worker raised it.
            ClusterError: if the shard cannot be captured.
        """
        from concurrent.futures import CancelledError

        from distributed import KilledWorker
        from distributed.comm.core import CommClosedError

        try:
            record: ShardRecord = future.result(timeout=RECONNECT_SECONDS)
        except FmcoreError:
            raise
        except (CancelledError, CommClosedError, TimeoutError):
            return None
        except KilledWorker as error:
            self._n_lost[shard.index] = self._n_lost.get(shard.index, 0) + 1
            if self._n_lost[shard.index] >= MOST_LOST:
                raise ClusterError(
                    f"workers die again and again before they capture {shard.words}; the log of "
                    "the cluster says why"
                ) from error
            return None
        except Exception as error:
            raise ClusterError(
                f"a worker failed at {shard.words}: {type(error).__name__}: {error}"
            ) from error
        return record

    def _require_scheduler(self, client: Client) -> None:
        """Refuses to wait for a scheduler that is gone; says when there are no workers.

        Raises:
            ClusterError: if the scheduler is lost.
        """
        now = time.monotonic()
        if client.status == "running":
            self._seen_scheduler = now
            self._count_workers(client)
            if now - self._seen_workers > PATIENCE_SECONDS:
                log.warning("the cluster has no workers; waiting for one")
                self._seen_workers = now
        elif client.status == "closed" or now - self._seen_scheduler > RECONNECT_SECONDS:
            raise ClusterError(
                "the scheduler of the cluster is lost: its process ended, or cannot be reached any "
                "more; start it again"
            )

    def _progress(self) -> Progress:
        shards = self._shards
        return Progress(
            n_shards=len(shards.all),
            n_finished=len(shards.records),
            n_samples=self._job.n_samples,
            n_captured=shards.n_captured,
            n_new=self._n_new,
            n_workers=self._n_workers,
            seconds=time.monotonic() - self._begun,
        )
