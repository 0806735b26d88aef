"""What workers are told: one small record for the whole run, and one for each shard.

Neither holds kernels, names of samples, images or labels: a worker has these from its own model,
and from files.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fmcore.capture import CaptureOptions, CapturePlan, Probe
from fmcore.dataset import LabelledImages
from fmcore.records import LayerSpec, ModelInfo, Target
from fmcore.storage.format.plan import sample_ids

# What coordinator and workers must have in the same version.
LIBRARIES = ("feature-map-dashboard", "keras", "tensorflow", "numpy", "h5py", "distributed")


class Opening(Protocol):
    """How a worker opens the model and the images; it travels to the workers."""

    def open(self, job: Job, n_threads: int) -> tuple[Probe, ModelInfo, LabelledImages]:
        """Opens model and images in the process of a worker.

        Args:
            job: the run.
            n_threads: the threads that the model may use.

        Returns:
            The probe, what the store records of its model, and the images; their labels are not
            used.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What all shards of a run have in common.

    Attributes:
        key: names the run; a worker keeps what it opened for it.
        folder: the folder of the shards, which all workers see.
        n_samples: the number of samples in the test set.
        opening: how model and images are opened.
        plan: the plan of the capture, without what a worker has from its own model.
        options: the options of the capture.
        versions: the versions of `LIBRARIES` and of Python that a worker must have.
    """

    key: str
    folder: Path
    n_samples: int
    opening: Opening
    plan: CapturePlan
    options: CaptureOptions
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Shard:
    """Consecutive samples that one task captures.

    Attributes:
        index: its place among the shards.
        start: its first sample.
        stop: the sample behind its last.
        digest: SHA-256 of what is captured, see `rows_digest`.
    """

    index: int
    start: int
    stop: int
    digest: str

    @property
    def words(self) -> str:
        """The shard by its number and its samples."""
        return f"shard {self.index} (samples {self.start:,} to {self.stop - 1:,})"


def without_model(plan: CapturePlan) -> CapturePlan:
    """A plan without what a worker has from its own model, or counts by itself."""
    layers = [
        replace(layer, spec=LayerSpec(layer.spec.path, layer.spec.shape))
        for layer in plan.store.layers
    ]
    model = ModelInfo(
        plan.store.model.name, plan.store.model.digest, framework=plan.store.model.framework
    )
    return replace(plan, store=replace(plan.store, ids=(), layers=layers, model=model))


def shard_plan(
    plan: CapturePlan, probe: Probe, model: ModelInfo, shard: Shard, n_samples: int
) -> CapturePlan:
    """The plan of a shard, from a plan `without_model` and the worker's own model.

    Args:
        plan: the plan that came with the job.
        probe: the probe, whose layers are those of the plan.
        model: what the store records of the model.
        shard: the shard.
        n_samples: the number of samples in the test set.
    """
    layers = [
        replace(layer, spec=spec)
        for layer, spec in zip(plan.store.layers, probe.layers, strict=True)
    ]
    rows = range(shard.start, shard.stop)
    part = plan.part(rows)
    store = replace(part.store, ids=sample_ids(n_samples, rows), layers=layers, model=model)
    return replace(part, store=store)


def rows_digest(
    samples: LabelledImages, rows: slice, image_digests: NDArray[np.bytes_], target: Target
) -> str:
    """SHA-256 of images, labels and other inputs of some samples, in hex.

    Args:
        samples: the test set, all of it or these rows only.
        rows: which of its samples.
        image_digests: <S32>[sample], the digest of each of these images.
        target: the kind of answer, whose truth counts.
    """
    digest = hashlib.sha256(image_digests.tobytes())
    digest.update(np.ascontiguousarray(samples.known_labels[rows], "<i8").tobytes())
    truth = samples.truth
    if truth is not None and truth.kind == target and target != Target.CLASS:
        digest.update(np.ascontiguousarray(truth.values[rows]).tobytes())
    for name, values in sorted(samples.others_of(rows).items()):
        digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """The versions of `LIBRARIES` and of Python in this process, without importing any."""
    installed: dict[str, str] = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in LIBRARIES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            installed[name] = "none"
    return installed


def slice_of(shard: Shard) -> slice:
    """The samples of a shard."""
    return slice(shard.start, shard.stop)
