"""Decides all of a capture before it begins, and estimates what it will take."""

from __future__ import annotations

import hashlib
import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.capture.cost import (
    DEFAULT_MEMORY,
    Estimate,
    batch_size_for,
    estimate_layer,
    histogram_bits,
    map_factors,
)
from fmcore.capture.probe import Probe
from fmcore.dataset import AS_GIVEN, LabelledImages, Preprocessing
from fmcore.files import size_text
from fmcore.records import DatasetInfo, LayerSpec, ModelInfo
from fmcore.statistics import Bins
from fmcore.storage import FORMAT_VERSION, LayerPlan, StorePlan, choose
from fmcore.storage.chunks import grid
from fmcore.storage.format import chunk_shape
from fmcore.storage.format.plan import sample_ids

# The codec of each layer is tried on so many samples, or on as many as fill this.
TRIAL_SAMPLES = 16
TRIAL_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class CapturePlan:
    """All that is decided before a capture begins.

    Attributes:
        store: what the store will hold.
        preprocessing: what is done to pixels before the model sees them.
        shard_rows: samples of a shard.
        estimate: what it will take.
    """

    store: StorePlan
    preprocessing: Preprocessing
    shard_rows: int
    estimate: Estimate

    @property
    def n_samples(self) -> int:
        """Samples of the test set."""
        return len(self.store.ids)


def plan_capture(
    probe: Probe,
    samples: LabelledImages,
    *,
    class_names: Sequence[str],
    model: ModelInfo,
    dataset_name: str,
    dataset_source: str,
    preprocessing: Preprocessing = AS_GIVEN,
    policies: Sequence[str] = (),
    batch_size: int | None = None,
    memory: int = DEFAULT_MEMORY,
    statistics: str = "all",
) -> CapturePlan:
    """Decides batch, shards and how each layer is stored, trying its codec on the first samples.

    Args:
        probe: the model.
        samples: the test set; labels must lie in `range(len(class_names))`.
        class_names: the name of each class.
        model: what the store records of the model.
        dataset_name: what the store records as the name of the test set.
        dataset_source: where its images came from.
        preprocessing: what is done to pixels before the model sees them.
        policies: for each layer `float32`, `float16` or `pooled`; all `float32` where left out.
        batch_size: samples that go through the model together; what fits where left out.
        memory: bytes that batches, class maps and histograms may take beyond the model and images.
        statistics: `all`, or `basic` for neither histograms nor scores.
    """
    n_samples, specs = len(samples), probe.layers
    image_shape = samples.image_shape
    layers_bytes = [4 * math.prod(spec.shape) for spec in specs]
    sample_bytes = sum(layers_bytes) + 4 * math.prod(image_shape)
    batch = min(batch_size or batch_size_for(sample_bytes, n_samples, memory), n_samples)
    policies = policies or ("float32",) * len(specs)
    shapes = [spec.shape for spec in specs]
    factors = map_factors(shapes, len(class_names), memory)
    bits = histogram_bits(shapes, len(class_names), memory)
    few = slice(min(batch, TRIAL_SAMPLES))
    tried = probe(preprocessing(samples.images[few]), samples.others_of(few))
    class_sizes = np.bincount(samples.known_labels, minlength=len(class_names))
    layers, estimates = [], []
    for index, (spec, policy) in enumerate(zip(specs, policies, strict=True)):
        layer, ratio = _tried(spec, policy, tried.activations[index])
        layer = replace(
            layer, **_class_maps(factors[index], memory), **_histogram(bits[index], statistics)
        )
        layers.append(layer)
        estimates.append(estimate_layer(layer, ratio, class_sizes, scores=statistics == "all"))
    image_bytes = math.prod(image_shape) * samples.images.dtype.itemsize
    predicts = tried.probability is not None
    table_bytes = 16 + image_bytes + (4 * len(class_names) + 8 if predicts else 0)
    rows = _shard_rows(specs, samples, memory // sample_bytes, batch)
    return CapturePlan(
        store=StorePlan(
            ids=sample_ids(n_samples),
            class_names=class_names,
            image_shape=image_shape,
            image_dtype=samples.images.dtype,
            layers=layers,
            model=model,
            dataset=DatasetInfo(
                dataset_name,
                dataset_source,
                samples.fingerprint,
                preprocessing.words,
                labels=samples.labels_are,
            ),
            batch_size=batch,
            has_predictions=predicts,
            statistics=statistics,
            present=np.flatnonzero(class_sizes),
        ),
        preprocessing=preprocessing,
        shard_rows=rows,
        estimate=Estimate(tuple(estimates), n_samples * table_bytes, -(-n_samples // rows)),
    )


def identity(plan: CapturePlan, samples: LabelledImages) -> dict[str, str]:
    """What a run must have in common with an earlier one to take up its shards, by field."""
    store = plan.store
    digests = np.empty(len(samples), "S32")  # a hundred thousand objects would take 10 MB
    for index, digest in enumerate(samples.digests()):
        digests[index] = digest
    return {
        "model": store.model.digest,
        "framework": store.model.framework,
        "dtype of images": str(samples.images.dtype),
        "images": hashlib.sha256(np.sort(digests).tobytes()).hexdigest(),
        "order of images": hashlib.sha256(digests.tobytes()).hexdigest(),
        "labels": hashlib.sha256(samples.known_labels.tobytes()).hexdigest(),
        "other inputs": ", ".join(
            f"{name}={hashlib.sha256(values.tobytes()).hexdigest()}"
            for name, values in samples.others.items()
        ),
        "preprocessing": store.dataset.preprocessing,
        "data set": f"{store.dataset.name}, {store.dataset.source}",
        "classes": ", ".join(store.class_names),
        "layers": ", ".join(layer.spec.path for layer in store.layers),
        "policy": ", ".join(f"{layer.spec.path}={layer.policy}" for layer in store.layers),
        "codec": ", ".join(f"{layer.spec.path}={layer.codec.name}" for layer in store.layers),
        "class maps": ", ".join(f"{one.spec.path}={one.class_maps}" for one in store.layers),
        "statistics": store.statistics,
        "batch size": str(store.batch_size),
        "samples of a shard (they follow from --memory)": str(plan.shard_rows),
        "histograms": ", ".join(f"{one.spec.path}={one.histogram}" for one in store.layers),
        "format version": FORMAT_VERSION,
        "machine": f"{platform.system()} {platform.machine()}",
    }


def _class_maps(factors: tuple[int, int] | None, memory: int) -> dict[str, Any]:
    if factors is None:
        words = f"off: they do not fit in three eighths of the memory of {size_text(memory)}"
    else:
        words = "full" if factors == (1, 1) else f"mean over {factors[0]}x{factors[1]} pixels"
    return {"map_factors": factors, "class_maps": words}


def _histogram(bits: int | None, statistics: str) -> dict[str, Any]:
    if statistics == "basic":
        return {"bin_bits": None, "histogram": "off: captured with basic statistics only"}
    if bits is None:
        words = "off: they do not fit in an eighth of the memory; capture with a larger --memory"
        return {"bin_bits": None, "histogram": words}
    return {"bin_bits": bits, "histogram": Bins(bits).words}


def _tried(spec: LayerSpec, policy: str, maps: NDArray[np.float32]) -> tuple[LayerPlan, float]:
    """How a layer is stored, and its stored bytes as a share of its bytes in that type."""
    if policy == "pooled":
        return LayerPlan(spec, policy), 0.0
    dtype = np.dtype(policy)
    few = maps[: max(1, TRIAL_BYTES // maps[0].nbytes)]
    with np.errstate(over="ignore"):
        few = few.astype(dtype)
    chunk = chunk_shape.activation_chunk(len(few), spec.shape, itemsize=dtype.itemsize)
    codec, ratio = choose([block for _, block in grid.blocks(few, chunk, 0)])
    return LayerPlan(spec, policy, codec), ratio


def _shard_rows(
    specs: Sequence[LayerSpec], samples: LabelledImages, wanted: int, batch_size: int
) -> int:
    """Samples of a shard: about `--memory` bytes of activations, of whole batches and chunks."""
    n_samples, images = len(samples), samples.images
    chunks = [chunk_shape.activation_chunk(n_samples, spec.shape)[0] for spec in specs]
    chunks.append(chunk_shape.table_chunk(images.shape, itemsize=images.dtype.itemsize)[0])
    return chunk_shape.shard_rows(wanted, chunks, batch_size)
