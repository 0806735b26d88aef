"""How much memory and disk space a capture will take; pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fmcore.records import Policy
from fmcore.statistics import (
    BANDS,
    COARSEST,
    FINEST,
    SIMILAR,
    TOP,
    class_maps_bytes,
    class_top,
    histogram_bytes,
    map_size,
    planned_bins,
)
from fmcore.storage import ARRAYS, TABLES, ArraySpec, LayerPlan

T = TypeVar("T")

# On MNIST, 128 takes 1.3 times as long and 256 takes 1.1 times (sums over each class, NumPy calls);
# 1024 and 2048 are no faster.
DEFAULT_BATCH_SIZE = 512
# Two batches, so that the model runs on one while the pool works on the other, are worth it where
# this many samples fit. Else the model keeps all cores busy by itself, and one batch of twice the
# size serves it better.
OVERLAPPING_BATCH_SIZE = 128
# CPU time of the forward pass for an image of ResNet50: 0.104 s in batches of 1, 0.094 of 2, 0.076
# of 8, 0.075 of 16; of EfficientNetV2S 0.081 in batches of 4, 0.074 of 8, 0.072 of 16.
LARGE_SAMPLES_BATCH_SIZE = 32
# The probe tries the model with 2 images, whose memory TensorFlow keeps: smaller batches save none.
SIZES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
# A capture beyond this needs the user's consent, who may not know how large it gets.
LARGE_STORE_BYTES = 10_000_000_000
# Between two checkpoints lie at most so many bytes of activations, unless the checkpoint itself is
# large: the old and the new one together take at most a tenth of the store.
CHECKPOINT_BYTES = 4 << 30
CHECKPOINT_SHARE = 20
# What the model holds while it runs, beside the maps that are captured: inputs and outputs of its
# operations. Measured for VGG16, ResNet50, EfficientNetV2S and MobileNetV3Large, it is at most 1.5
# times the largest layer and a tenth of all of them.
LARGEST_LAYERS, SHARE_OF_MAPS = 1.5, 0.1
# Measured beyond the model and the batches: the model's graph, compiled statistics, and chunks that
# wait for the disk.
FIXED_BYTES = 160 << 20
# Arrays <float64>[class, filter] that are in memory while scores are written: of the classes that
# have samples, and of all. Measured for ResNet50 and EfficientNetV2S, with a thousand classes.
SCORE_COPIES, EXTENDED_COPIES = 17, 7
# Temporaries of each thread of the pool.
TASK_BYTES = 24 << 20


# Measured, of 160 to 676,000 values: a histogram takes these bytes, and for each bin this share of
# the square of the binary logarithm of the number of its values, since more bins are not empty.
HISTOGRAM, BYTES_PER_BIN = 10, 0.001
# Tables of classes without samples hold one value throughout. Measured: they compress to 1/250, and
# their chunk indices take half as much; histograms, whose chunks are large, compress to 1/850.
EMPTY_TABLES, EMPTY_BINS = 160, 800
# Measured: boxes of neighboring units differ little, and compress to between a fourth and a fifth.
BOXES = 4
# Measured on 200 layers, of DenseNet201 and of random filters: what deflate leaves of the other
# tables, by their type. Counts repeat, rows, columns and samples are small numbers, chance levels
# have few digits, and a share of zeros is often one.
SHARES = {"float32": 0.8, "float64": 0.62, "int32": 0.18, "int64": 0.02, "uint8": 0.4}
CHANCE, ZEROS, WEIGHTS = 0.35, 0.2, 0.92
# Measured on the same: the header of an array, its name in its group, where its chunks lie, its
# axes, and its part of the groups and scales around it.
ARRAY_METADATA = 720
# Measured on ResNet50: scores of a class of one sample take few values, and deflate to so much of
# those of a class of five or more.
SCORES_OF_ONE, SAMPLES_OF_MANY = 0.6, 5


@dataclass(frozen=True, slots=True)
class Batching:
    """How samples go through the model.

    Attributes:
        size: the number of samples that go through together.
        in_flight: how many batches are in memory at a time.
        needed_bytes: the memory that all of the capture takes with them, beyond the model and the
            images.
    """

    size: int
    in_flight: int
    needed_bytes: int


def batching_for(
    layers_bytes: Sequence[int],
    image_bytes: int,
    held_bytes: int,
    n_samples: int,
    memory: int,
    *,
    score_bytes: int = 0,
    size: int | None = None,
    n_threads: int = 2,
) -> Batching:
    """The largest batches that fit in the memory, of at most 512 samples, or 32 of large ones.

    Args:
        layers_bytes: bytes of the activations of each layer, for one sample.
        image_bytes: bytes of an image as the model gets it.
        held_bytes: bytes of the running sums of all statistics.
        n_samples: the number of samples in the test set.
        memory: bytes that the capture may take beyond the model and the images.
        score_bytes: bytes that scores take at the end, beside what the model keeps for itself.
        size: the size of a batch, if somebody chose it.
        n_threads: the threads of the pool.
    """
    maps, largest = sum(layers_bytes), max(layers_bytes, default=0)
    running = maps + int(LARGEST_LAYERS * largest + SHARE_OF_MAPS * maps) + 3 * image_bytes
    fixed = FIXED_BYTES + n_threads * TASK_BYTES + held_bytes + score_bytes

    def of_batches(size: int, in_flight: int) -> int:
        return size * (running + (in_flight - 1) * maps)

    # Where memory is too small for the rest, batches get a quarter of it nevertheless.
    left = max(memory - fixed, memory // 4)

    def fitting(in_flight: int) -> int:
        most = DEFAULT_BATCH_SIZE if in_flight > 1 else LARGE_SAMPLES_BATCH_SIZE
        sizes = (size for size in SIZES if size <= most and of_batches(size, in_flight) <= left)
        return max(sizes, default=SIZES[0])

    in_flight = 2 if of_batches(size or OVERLAPPING_BATCH_SIZE, 2) <= left else 1
    size = min(size or fitting(in_flight), n_samples)
    return Batching(size, in_flight, fixed + of_batches(max(size, SIZES[0]), in_flight))


def score_bytes(layers: Sequence[LayerPlan], n_classes: int, n_present: int) -> int:
    """Bytes of the scores of the layer with the most filters while they are written.

    Args:
        layers: how each layer is stored.
        n_classes: the number of classes, with samples or without.
        n_present: the number of classes that have samples.
    """
    copies = SCORE_COPIES * n_present + EXTENDED_COPIES * n_classes
    return 8 * copies * max(layer.spec.shape[2] for layer in layers)


def held_bytes(layers: Sequence[LayerPlan], n_classes: int) -> int:
    """Bytes of the running sums of all layers: what a checkpoint holds, and memory all the time.

    Args:
        layers: how each layer is stored.
        n_classes: the number of classes that have samples.
    """
    of_histograms = sum(
        histogram_bytes(n_classes, layer.spec.shape[2], layer.bin_bits)
        for layer in layers
        if layer.bin_bits is not None
    )
    return of_histograms + sum(
        array.nbytes
        for layer in layers
        for array in layer.empty_accumulators(n_classes).state().values()
    )


def checkpoint_rows(
    sample_bytes: int, stored_sample_bytes: int, held: int, memory: int, *, batch_size: int
) -> int:
    """After how many samples, in whole batches, a run could go on that was interrupted.

    Args:
        sample_bytes: bytes of the activations of all layers, for one sample.
        stored_sample_bytes: bytes that a sample takes in the store.
        held: bytes of a checkpoint, see `held_bytes`.
        memory: bytes that the capture may take beyond the model and the images.
        batch_size: the number of samples that go through the model together.
    """
    of_maps = min(memory, CHECKPOINT_BYTES) // sample_bytes
    of_checkpoint = -(-CHECKPOINT_SHARE * held // stored_sample_bytes)
    return max(1, of_maps // batch_size, -(-of_checkpoint // batch_size)) * batch_size


def map_factors(
    shapes: Sequence[tuple[int, int, int]], n_classes: int, memory: int
) -> list[tuple[int, int] | None]:
    """Pixels (y, x) that the class maps of each layer average into one; None for no class maps.

    Class maps get a quarter of the memory. Layers that need least are served first, so that one
    large layer does not leave the others without class maps.

    Args:
        shapes: (y, x, filter) of each layer.
        n_classes: the number of classes.
        memory: bytes that the capture may take beyond the model and the images.
    """

    def fit(index: int, share: int) -> tuple[int, tuple[int, int]] | None:
        height, width, filters = shapes[index]
        size = map_size(shapes[index], n_classes, share)
        if size is None:
            return None
        factors = -(-height // size[0]), -(-width // size[1])
        return class_maps_bytes(n_classes, (*size, filters)), factors

    order = sorted(range(len(shapes)), key=lambda index: math.prod(shapes[index]))
    return _allot(memory // 4, order, fit)


def histogram_bits(
    shapes: Sequence[tuple[int, int, int]], n_classes: int, memory: int
) -> list[int | None]:
    """The resolution of each layer's histograms, see `fmcore.statistics.Bins`; None for none.

    Histograms get an eighth of the memory. Layers that need least are served first.

    Args:
        shapes: (y, x, filter) of each layer.
        n_classes: the number of classes.
        memory: bytes that the capture may take beyond the model and the images.
    """

    def fit(index: int, share: int) -> tuple[int, int] | None:
        sizes = (
            (histogram_bytes(n_classes, shapes[index][2], bits), bits)
            for bits in range(FINEST, COARSEST - 1, -1)
        )
        return next((size for size in sizes if size[0] <= share), None)

    order = sorted(range(len(shapes)), key=lambda index: shapes[index][2])
    return _allot(memory // 8, order, fit)


def _allot(
    n_bytes: int, order: Sequence[int], fit: Callable[[int, int], tuple[int, T] | None]
) -> list[T | None]:
    """Divides memory among layers: each gets an equal share of what the ones before it left.

    Args:
        n_bytes: the memory.
        order: the indices of the layers, those that need least first.
        fit: for the index of a layer and its share, the bytes it takes and the setting that fits;
            None if nothing fits.

    Returns:
        The setting of each layer; None where nothing fits.
    """
    settings: list[T | None] = [None] * len(order)
    for position, index in enumerate(order):
        allotment = fit(index, n_bytes // (len(order) - position))
        if allotment is not None:
            n_bytes -= allotment[0]
            settings[index] = allotment[1]
    return settings


@dataclass(frozen=True, slots=True)
class LayerEstimate:
    """The estimated size of one layer.

    Attributes:
        path: the path of the layer in the model.
        policy: how its activations are stored.
        codec: how its feature maps are compressed, and why.
        map_bytes: bytes of its activations as float32, uncompressed.
        stored_bytes: approximate bytes in the store, including tables and class maps.
    """

    path: str
    policy: Policy
    codec: str
    map_bytes: int
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimated size of a capture.

    Attributes:
        layers: the estimate for each layer.
        other_bytes: bytes of images, labels and probabilities.
        checkpoint_bytes: bytes of a checkpoint; 0 if the capture makes none.
    """

    layers: tuple[LayerEstimate, ...]
    other_bytes: int
    checkpoint_bytes: int = 0

    @property
    def store_bytes(self) -> int:
        """Approximate bytes of the finished store."""
        return self.other_bytes + sum(layer.stored_bytes for layer in self.layers)

    @property
    def disk_bytes(self) -> int:
        """Bytes needed on the disk: a checkpoint goes only when the next one is there."""
        return self.store_bytes + 2 * self.checkpoint_bytes


def estimate_layer(
    layer: LayerPlan,
    ratio: float,
    class_sizes: NDArray[np.int64],
    *,
    n_targets: int = 0,
    lacks: Collection[str] = (),
) -> LayerEstimate:
    """Estimates the size of one layer: of every array that the schema has for it.

    Args:
        layer: how it is stored.
        ratio: compressed bytes of its feature maps divided by their bytes in the stored dtype.
        class_sizes: <int64>[class], the number of samples; zero for classes without samples.
        n_targets: the number of labels or numbers that the model gives.
        lacks: what the whole store goes without, see `Lack`.
    """
    sizes = _axis_sizes(layer, class_sizes) | {"target": n_targets}
    n_classes, n_present = len(class_sizes), int(np.count_nonzero(class_sizes))
    values = math.prod(sizes[axis] for axis in ARRAYS["activation"].axes)
    samples_of_class = sizes["sample"] / max(1, n_present)
    stored_bytes = 0
    for spec in ARRAYS.values():
        if not spec.of_layer or spec.absent in (*lacks, *layer.lacks):
            continue
        if spec.part is None:
            stored_bytes += ARRAY_METADATA
        if spec.name in TABLES:  # its rows count by themselves
            continue
        dtype = layer.policy if spec.name == "activation" else spec.dtypes[0]
        n_bytes = math.prod(sizes[axis] for axis in spec.axes) * np.dtype(dtype).itemsize
        if spec.name == "activation":
            stored_bytes += int(n_bytes * ratio)
        elif spec.name == "receptive_field":
            stored_bytes += n_bytes // BOXES
        elif spec.name == "histogram":
            n_histograms, of_class = n_present * sizes["filter"], n_bytes // n_classes
            bits = math.log2(max(1, values / n_histograms))
            stored_bytes += int(n_histograms * (HISTOGRAM + BYTES_PER_BIN * sizes["bin"] * bits**2))
            stored_bytes += (n_classes - n_present) * of_class // EMPTY_BINS
        elif "class" in spec.axes:
            filled = n_bytes * n_present // n_classes
            if "class_k" in spec.axes:
                k = sizes["class_k"]
                filled = n_bytes * int(np.minimum(class_sizes, k).sum()) // (n_classes * k)
            share = _share(spec)
            if spec.part is not None and spec.part.table == "class_scores":
                share *= _variety(samples_of_class)
            stored_bytes += int(filled * share) + (n_bytes - filled) // EMPTY_TABLES
        else:
            stored_bytes += int(n_bytes * _share(spec))
    codec = "no maps" if layer.policy == Policy.POOLED else layer.compression
    return LayerEstimate(layer.spec.path, layer.policy, codec, 4 * values, stored_bytes)


def _variety(n_samples: float) -> float:
    """How well scores of a class deflate, as a share of those of a class of many samples."""
    many = min(1.0, math.log(max(1.0, n_samples)) / math.log(SAMPLES_OF_MANY))
    return SCORES_OF_ONE + (1 - SCORES_OF_ONE) * many


def _share(spec: ArraySpec) -> float:
    """What deflate leaves of the values of a table."""
    if "bound" in spec.axes:
        return CHANCE
    if spec.name in ("kernel", "depthwise_kernel", "bias"):
        return WEIGHTS
    return ZEROS if "zero_fraction" in spec.name else SHARES[spec.dtypes[0]]


def _axis_sizes(layer: LayerPlan, class_sizes: NDArray[np.int64]) -> dict[str, int]:
    """The length of each axis that an array of a layer may have; 0 where the layer has none."""
    height, width, filters = layer.spec.shape
    by_y, by_x = layer.map_factors or (1, 1)
    kernels = {
        axis: size
        for name in ("kernel", "depthwise_kernel")
        if (kernel := getattr(layer.spec, name)) is not None
        for axis, size in zip(ARRAYS[name].axes, kernel.shape, strict=True)
    }
    return {
        "sample": int(class_sizes.sum()),
        "y": height,
        "x": width,
        "filter": filters,
        "other_filter": filters,
        "class": len(class_sizes),
        "map_y": -(-height // by_y),
        "map_x": -(-width // by_x),
        "bin": 0 if layer.bin_bits is None else planned_bins(layer.bin_bits),
        "bound": 2,
        "side": 4,
        "k": TOP,
        "similar": SIMILAR,
        "class_k": class_top(len(class_sizes), filters),
        "band": len(BANDS),
        **kernels,
    }
