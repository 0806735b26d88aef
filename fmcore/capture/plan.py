"""Plans a capture before it begins, and estimates its size."""

from __future__ import annotations

import hashlib
import math
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.capture.cost import (
    Batching,
    Estimate,
    batching_for,
    checkpoint_rows,
    estimate_layer,
    held_bytes,
    histogram_bits,
    map_factors,
    score_bytes,
)
from fmcore.capture.options import DEFAULTS, CaptureOptions
from fmcore.capture.probe import Probe
from fmcore.dataset import AS_GIVEN, LabelledImages, Preprocessing, class_names_for
from fmcore.files import size_text
from fmcore.records import (
    Compression,
    DatasetInfo,
    LayerSpec,
    ModelInfo,
    OutputPlan,
    Policy,
    StatisticsScope,
    Target,
)
from fmcore.selection import policies_for
from fmcore.statistics import Bins
from fmcore.storage import ARRAYS, FORMAT_VERSION, LayerPlan, StorePlan, choose
from fmcore.storage.chunks import grid
from fmcore.storage.format import chunk_shape
from fmcore.storage.format.plan import sample_ids

# The codec of each layer is tried on at most so many samples, and so many bytes of whole chunks.
TRIAL_SAMPLES = 16
# Compression is tried on so much of each layer, and on so much more in all, most of large layers.
TRIAL_BYTES, SHARED_TRIAL_BYTES = 1 << 20, 32 << 20
# Deflate looks back over 32 KiB, so a piece of this size leaves the share that a whole chunk does.
TRIAL_PIECE_BYTES = 64 << 10


@dataclass(frozen=True, slots=True, eq=False)
class CapturePlan:
    """Everything that is decided before a capture begins.

    Attributes:
        store: what the store will hold.
        preprocessing: the preprocessing of pixels for the model.
        batching: how samples go through the model, and the memory that this takes.
        checkpoint_rows: after how many samples a run could go on that was interrupted.
        estimate: the estimated size.
        output: what is captured of the model's output; None if the probe does not say.
    """

    store: StorePlan
    preprocessing: Preprocessing
    batching: Batching
    checkpoint_rows: int
    estimate: Estimate
    output: OutputPlan | None = None

    @property
    def n_samples(self) -> int:
        """The number of samples in the test set."""
        return len(self.store.ids)

    def part(self, rows: range) -> CapturePlan:
        """The plan of some consecutive samples, whose store has no scores.

        Its running sums have the classes of the whole plan, so that those of all parts merge.
        """
        store = replace(
            self.store,
            ids=self.store.ids[rows.start : rows.stop],
            first_sample=rows.start,
            statistics=StatisticsScope.BASIC,
        )
        return replace(self, store=store, checkpoint_rows=len(rows))


def plan_capture(
    probe: Probe,
    samples: LabelledImages,
    options: CaptureOptions = DEFAULTS,
    *,
    class_names: Sequence[str],
    model: ModelInfo,
    dataset_name: str,
    dataset_source: str,
    preprocessing: Preprocessing = AS_GIVEN,
    output: OutputPlan | None = None,
    preprocessing_words: str = "",
    command: str = "",
) -> CapturePlan:
    """Plans batches, checkpoints and the storage of each layer; tries codecs on the first samples.

    Args:
        probe: the model.
        samples: the test set; labels must lie in `range(len(class_names))`.
        options: what was chosen; policy, batch size, memory and statistics are used here.
        class_names: the name of each class.
        model: what the store records about the model.
        dataset_name: the name of the test set that the store records.
        dataset_source: where the images came from.
        preprocessing: the preprocessing of pixels for the model.
        output: what is captured of the model's output, as `plan_output` decided.
        preprocessing_words: how the store describes it; its own words where left out.
        command: the command that the store records; empty for none.

    Raises:
        SelectionError: if a glob of the policy matches no layer.
    """
    n_samples, specs = len(samples), probe.layers
    memory, statistics = options.memory, options.statistics
    policies = policies_for([spec.path for spec in specs], options.policy)
    image_shape = samples.image_shape
    layers_bytes = [4 * math.prod(spec.shape) for spec in specs]
    image_bytes = 4 * math.prod(image_shape)
    shapes = [spec.shape for spec in specs]
    factors = map_factors(shapes, len(class_names), memory)
    bits = histogram_bits(shapes, len(class_names), memory)
    class_sizes = np.bincount(samples.known_labels, minlength=len(class_names))
    extents = [
        LayerPlan(spec, policy, map_factors=of_maps, bin_bits=of_bins)
        for spec, policy, of_maps, of_bins in zip(specs, policies, factors, bits, strict=True)
    ]
    n_present = int(np.count_nonzero(class_sizes))
    held = held_bytes(extents, n_present)
    batching = batching_for(
        layers_bytes,
        image_bytes,
        held,
        n_samples,
        memory,
        score_bytes=(
            score_bytes(extents, len(class_names), n_present)
            if statistics == StatisticsScope.ALL
            else 0
        ),
        size=options.batch_size,
        n_threads=os.cpu_count() or 1,
    )
    rows = slice(min(batching.size, TRIAL_SAMPLES))
    trial = probe(preprocessing(samples.images[rows]), samples.others_of(rows))
    layers, ratios = [], []
    for index, (spec, policy) in enumerate(zip(specs, policies, strict=True)):
        trial_bytes = TRIAL_BYTES + SHARED_TRIAL_BYTES * layers_bytes[index] // sum(layers_bytes)
        layer, ratio = _choose_codec(
            spec, policy, trial.activations[index], options.compression, trial_bytes
        )
        layer = replace(
            layer,
            **_class_map_fields(factors[index], memory),
            **_histogram_fields(bits[index], statistics),
        )
        layers.append(layer)
        ratios.append(ratio)
    store = StorePlan(
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
            preprocessing_words or preprocessing.words,
            labels=samples.labels_are,
        ),
        batch_size=batching.size,
        has_predictions=trial.probability is not None,
        statistics=statistics,
        **_target_fields(output, samples),
        present=np.flatnonzero(class_sizes),
        command=command,
    )
    estimates = tuple(
        estimate_layer(
            layer, ratio, class_sizes, n_targets=len(store.target_names), lacks=store.lacks
        )
        for layer, ratio in zip(layers, ratios, strict=True)
    )
    estimate = Estimate(estimates, n_samples * store.sample_bytes)
    rows_between = checkpoint_rows(
        sum(layers_bytes) + image_bytes,
        -(-estimate.store_bytes // n_samples),
        held,
        memory,
        batch_size=batching.size,
    )
    return CapturePlan(
        store=store,
        preprocessing=preprocessing,
        batching=batching,
        checkpoint_rows=rows_between,
        estimate=replace(estimate, checkpoint_bytes=held if rows_between < n_samples else 0),
        output=output,
    )


def image_digests(samples: LabelledImages, rows: slice = slice(None)) -> NDArray[np.bytes_]:
    """SHA-256 of each of these images, or of its file, <S32>[sample]."""
    digests = np.empty(len(samples), "S32")[rows]  # a hundred thousand objects would take 10 MB
    for index, digest in enumerate(samples.digests(rows)):
        digests[index] = digest
    return digests


def identity(
    plan: CapturePlan, samples: LabelledImages, digests: NDArray[np.bytes_] | None = None
) -> dict[str, str]:
    """The fields in which a run must agree with an earlier one to go on with it, by name.

    Args:
        plan: the plan of the capture.
        samples: the test set.
        digests: its `image_digests`; made here where left out.
    """
    store = plan.store
    digests = image_digests(samples) if digests is None else digests
    return {
        "model": store.model.digest,
        "framework": store.model.framework,
        "output": _output_words(plan.output),
        "dtype of images": str(samples.images.dtype),
        "images": hashlib.sha256(np.sort(digests).tobytes()).hexdigest(),
        "order of images": hashlib.sha256(digests.tobytes()).hexdigest(),
        "labels": hashlib.sha256(_label_bytes(samples)).hexdigest(),
        "target": f"{store.target}: {', '.join(store.target_names)}",
        "other inputs": ", ".join(
            f"{name}={hashlib.sha256(values.tobytes()).hexdigest()}"
            for name, values in samples.others.items()
        ),
        "preprocessing": plan.preprocessing.words,
        "data set": f"{store.dataset.name}, {store.dataset.source}",
        "classes": ", ".join(store.class_names),
        "layers": ", ".join(layer.spec.path for layer in store.layers),
        "policy": ", ".join(f"{layer.spec.path}={layer.policy}" for layer in store.layers),
        "codec": ", ".join(f"{layer.spec.path}={layer.codec.name}" for layer in store.layers),
        "class maps": ", ".join(f"{layer.spec.path}={layer.class_maps}" for layer in store.layers),
        "statistics": store.statistics,
        "batch size": str(store.batch_size),
        "histograms": ", ".join(f"{layer.spec.path}={layer.histogram}" for layer in store.layers),
        "format version": FORMAT_VERSION,
        "arrays of the format": hashlib.sha256(" ".join(ARRAYS).encode()).hexdigest()[:12],
        "machine": f"{platform.system()} {platform.machine()}",
    }


def _label_bytes(samples: LabelledImages) -> bytes:
    truth = samples.truth
    others = b"" if truth is None or truth.kind == Target.CLASS else truth.values.tobytes()
    return samples.known_labels.tobytes() + others


def _output_words(output: OutputPlan | None) -> str:
    if output is None or output.output is None:
        return "none"
    return f"{output.output.name} as {output.target}, {output.conversion}"


def _target_fields(output: OutputPlan | None, samples: LabelledImages) -> dict[str, Any]:
    """What a store holds of several labels or numbers; of classes if nothing was decided."""
    if output is None:
        return {}
    fields: dict[str, Any] = {"target": output.target, "conversion": output.conversion}
    fields["output_name"] = "" if output.output is None else output.output.name
    if output.target in (Target.LABELS, Target.NUMBER) and output.output is not None:
        truth = samples.truth
        names = () if truth is None or truth.kind != output.target else truth.names
        fields["target_names"] = class_names_for(names, output.output.n_values or 0)
        fields["has_truth"] = output.has_truth
    return fields


def _class_map_fields(factors: tuple[int, int] | None, memory: int) -> dict[str, Any]:
    if factors is None:
        words = f"off: they do not fit in a quarter of the memory of {size_text(memory)}"
    else:
        words = "full" if factors == (1, 1) else f"mean over {factors[0]}x{factors[1]} pixels"
    return {"map_factors": factors, "class_maps": words}


def _histogram_fields(bits: int | None, statistics: StatisticsScope) -> dict[str, Any]:
    if statistics == StatisticsScope.BASIC:
        return {"bin_bits": None, "histogram": "off: captured with basic statistics only"}
    if bits is None:
        words = "off: they do not fit in an eighth of the memory; capture with a larger --memory"
        return {"bin_bits": None, "histogram": words}
    return {"bin_bits": bits, "histogram": Bins(bits).words}


def _choose_codec(
    spec: LayerSpec,
    policy: Policy,
    maps: NDArray[np.float32],
    compression: Compression,
    trial_bytes: int,
) -> tuple[LayerPlan, float]:
    """How a layer is stored, and its compressed bytes divided by its bytes in the stored dtype."""
    if policy == Policy.POOLED:
        return LayerPlan(spec, policy), 0.0
    plan = LayerPlan(spec, policy)
    choice = choose(
        [plan.stored(block) for block in _trial_blocks(maps, policy, trial_bytes)], compression
    )
    return replace(plan, codec=choice.codec, compression=choice.words), choice.ratio


def _trial_blocks(
    maps: NDArray[np.float32], policy: Policy, trial_bytes: int
) -> Iterator[NDArray[np.float32]]:
    """Yields values of some chunks, spread evenly over samples, filters and rows: they differ.

    Of large chunks only some rows are taken, and so more of them. The last chunks of an axis, which
    are padded with zeros, are left out: they would be taken for many.
    """
    itemsize = np.dtype(policy).itemsize
    chunk = chunk_shape.activation_chunk(len(maps), maps.shape[1:], itemsize=itemsize)
    rows, filters = chunk[0], chunk[3]
    across = max(1, maps.shape[3] // filters)
    n_chunks = max(1, len(maps) // rows) * across
    height = max(1, min(chunk[1], chunk[1] * TRIAL_PIECE_BYTES // (math.prod(chunk) * itemsize)))
    piece = rows, height, *chunk[2:]
    n_tried = min(n_chunks, max(1, trial_bytes // (math.prod(piece) * itemsize)))
    for index, place in enumerate(np.linspace(0, n_chunks - 1, n_tried).astype(int)):
        row, column = place // across * rows, place % across * filters
        top = index % max(1, chunk[1] // height) * height
        part = maps[row : row + rows, top : top + height, :, column : column + filters]
        yield next(grid.blocks(part, piece, 0))[1]
