"""What a worker does: opens model and images once, and captures shards, one at a time."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, replace

import numpy as np
from distributed import get_worker

from fmcore.capture import Probe
from fmcore.capture.plan import image_digests
from fmcore.capture.run import capture_part
from fmcore.cluster.attempts import attempt
from fmcore.cluster.job import Job, Shard, rows_digest, shard_plan, slice_of, versions
from fmcore.cluster.shards import ShardRecord, save_sums
from fmcore.dataset import LabelledImages
from fmcore.errors import ClusterError
from fmcore.files import sha256_of
from fmcore.records import ModelInfo, Target, Truth
from fmcore.storage import FileBytes
from fmcore.storage.file.seal import stated_digest
from fmcore.storage.unfinished import SHARD, SUMS


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """What a worker has opened for a run.

    Attributes:
        key: names the run.
        probe: the model.
        model: what the store records of it.
        samples: the whole test set, with the coordinator's labels.
    """

    key: str
    probe: Probe
    model: ModelInfo
    samples: LabelledImages


class _Process:
    """What this process has opened; one shard is captured at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.opened: _Opened | None = None


_PROCESS = _Process()


def capture_shard(job: Job, shard: Shard) -> ShardRecord:
    """Captures a shard in the process of a worker.

    Args:
        job: the run.
        shard: the shard.

    Raises:
        ClusterError: if the worker is not like the coordinator, or sees another folder.
        FmcoreError: as a capture raises it.
    """
    worker = get_worker()
    who = f"worker {worker.address}"
    _require_versions(job, who)
    if not job.folder.is_dir():
        raise ClusterError(
            f"{who} does not see the folder {job.folder}; all workers need the folder of the store "
            "under the same path, as on a shared file system"
        )
    name, token = SHARD.format(shard.index), secrets.token_hex(4)
    with _PROCESS.lock, attempt(job.folder, name, token=token, words=shard.words):
        opened = _opened(job, worker.state.nthreads, who)
        _require_rows(opened, shard, job.plan.store.target, who)
        path = job.folder / f"{name}-{token}.h5"
        sums = capture_part(
            opened.probe,
            opened.samples,
            path,
            shard_plan(job.plan, opened.probe, opened.model, shard, job.n_samples),
            n_threads=worker.state.nthreads,
        )
        sums_path = path.with_suffix(SUMS)
        save_sums(sums_path, sums)
        return ShardRecord(
            index=shard.index,
            file=path.name,
            bytes=path.stat().st_size,
            digest=stated_digest(FileBytes(path)) or "",
            sums_bytes=sums_path.stat().st_size,
            sums_sha256=sha256_of(sums_path),
        )


def _opened(job: Job, n_threads: int, who: str) -> _Opened:
    """What is opened for the run; opened now, if this is its first shard here."""
    if _PROCESS.opened is None or _PROCESS.opened.key != job.key:
        _PROCESS.opened = None  # two models may not fit in memory
        probe, model, samples = job.opening.open(job, n_threads)
        _require_model(job, probe, model, samples, who)
        _PROCESS.opened = _Opened(job.key, probe, model, _with_labels(job, samples))
    return _PROCESS.opened


def _with_labels(job: Job, samples: LabelledImages) -> LabelledImages:
    """The samples with what the coordinator says is true of them, read on access."""
    labels = np.load(job.folder / "labels.npy", mmap_mode="r", allow_pickle=False)
    truth_path, target = job.folder / "truth.npy", job.plan.store.target
    truth = None
    if job.plan.store.has_truth and target in (Target.LABELS, Target.NUMBER):
        values = np.load(truth_path, mmap_mode="r", allow_pickle=False)
        truth = Truth(target, values, tuple(job.plan.store.target_names))
    return replace(samples, labels=labels, targets=truth, labels_are=job.plan.store.dataset.labels)


def _require_versions(job: Job, who: str) -> None:
    own = versions()
    for name, expected in job.versions.items():
        if own.get(name) != expected:
            raise ClusterError(
                f"{who} has {name} {own.get(name)}, the coordinator {expected}; install the same "
                "on all of them"
            )


def _require_model(
    job: Job, probe: Probe, model: ModelInfo, samples: LabelledImages, who: str
) -> None:
    """Refuses a model or images that are not the coordinator's, by the first difference."""
    store = job.plan.store
    pairs = {
        "model": (model.digest, store.model.digest),
        "framework": (model.framework, store.model.framework),
        "layers": (
            ", ".join(f"{spec.path} {spec.shape}" for spec in probe.layers),
            ", ".join(f"{layer.spec.path} {layer.spec.shape}" for layer in store.layers),
        ),
        "number of images": (f"{len(samples):,}", f"{job.n_samples:,}"),
        "shape of images": (str(samples.image_shape), str(tuple(store.image_shape))),
        "dtype of images": (str(samples.images.dtype), str(store.image_dtype)),
    }
    for name, (own, expected) in pairs.items():
        if own != expected:
            raise ClusterError(
                f"{who}: its {name} is {own}, the coordinator's {expected}; have all workers see "
                "the same files"
            )


def _require_rows(opened: _Opened, shard: Shard, target: Target, who: str) -> None:
    rows = slice_of(shard)
    digests = image_digests(opened.samples, rows)
    if rows_digest(opened.samples, rows, digests, target) != shard.digest:
        raise ClusterError(
            f"{who}: the images or labels of {shard.words} are not the coordinator's; have all "
            "workers see the same files, and change none while a capture runs"
        )
