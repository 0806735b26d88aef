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
    Bins,
    class_maps_bytes,
    class_top,
    histogram_bytes,
    map_size,
)
from fmcore.storage import ARRAYS, SCHEMA, ArraySpec, LayerPlan

T = TypeVar("T")

# On MNIST, 128 takes 1.3 times as long and 256 takes 1.1 times (sums over each class, NumPy calls);
# 1024 and 2048 are no faster.
DEFAULT_BATCH_SIZE = 512
# A capture beyond this needs the user's consent, who may not know how large it gets.
LARGE_STORE_BYTES = 10_000_000_000
# The batch in the model, the batch on its way to the disk, what the model holds between its layers
# while it runs, and temporaries of statistics and compression: each about a batch's size at most.
BATCH_COPIES = 6


# Measured, of 160 to 676,000 values: a histogram takes these bytes, and for each bin this share of
# the square of the binary logarithm of the number of its values, since more bins are not empty.
HISTOGRAM, BYTES_PER_BIN = 10, 0.001
# Tables of classes without samples hold one value throughout. Measured: they compress to 1/200, and
# their chunk indices take as much again; histograms, whose chunks are large, compress to 1/850.
EMPTY_TABLES, EMPTY_BINS = 100, 800
# Measured: boxes of neighboring units differ little, and compress to between a fourth and a fifth.
BOXES = 4
# Measured on 200 layers, of DenseNet201 and of random filters: what deflate leaves of the other
# tables, by their type. Counts repeat, rows, columns and samples are small numbers, half of the
# chance levels are the same for every filter, and a share of zeros is often one.
SHARES = {"float32": 0.8, "float64": 0.62, "int32": 0.18, "int64": 0.02, "uint8": 0.4}
CHANCE, ZEROS, WEIGHTS = 0.35, 0.2, 0.92
# Measured on the same: the header of an array, its name in its group, where its chunks lie, its
# axes, and its part of the groups and scales around it.
ARRAY_METADATA = 720


def batch_size_for(sample_bytes: int, n_samples: int, memory: int) -> int:
    """The number of samples that go through the model together: at most 512, in half the memory.

    Args:
        sample_bytes: bytes of the activations of all layers and of the image, for one sample.
        n_samples: the number of samples in the test set.
        memory: bytes that the capture may take beyond the model and the images.
    """
    fitting = max(1, memory // 2 // (BATCH_COPIES * sample_bytes))
    return min(DEFAULT_BATCH_SIZE, 1 << (fitting.bit_length() - 1), n_samples)


def map_factors(
    shapes: Sequence[tuple[int, int, int]], n_classes: int, memory: int
) -> list[tuple[int, int] | None]:
    """Pixels (y, x) that the class maps of each layer average into one; None for no class maps.

    Class maps get three eighths of the memory. Layers that need least are served first, so that one
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
    return _allot(memory * 3 // 8, order, fit)


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
        n_shards: the number of shards; if there is more than one, they are joined at the end.
    """

    layers: tuple[LayerEstimate, ...]
    other_bytes: int
    n_shards: int

    @property
    def store_bytes(self) -> int:
        """Approximate bytes of the finished store."""
        return self.other_bytes + sum(layer.stored_bytes for layer in self.layers)

    @property
    def disk_bytes(self) -> int:
        """Bytes needed on disk while the shards are joined."""
        return self.store_bytes * (2 if self.n_shards > 1 else 1)


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
    stored_bytes = 0
    for spec in SCHEMA:
        if not spec.of_layer or spec.absent in (*lacks, *layer.lacks):
            continue
        stored_bytes += ARRAY_METADATA
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
            stored_bytes += int(filled * _share(spec)) + (n_bytes - filled) // EMPTY_TABLES
        else:
            stored_bytes += int(n_bytes * _share(spec))
    codec = "no maps" if layer.policy == Policy.POOLED else layer.compression
    return LayerEstimate(layer.spec.path, layer.policy, codec, 4 * values, stored_bytes)


def _share(spec: ArraySpec) -> float:
    """What deflate leaves of the values of a table."""
    if "bound" in spec.axes:
        return CHANCE
    if spec.name in ("kernel", "bias"):
        return WEIGHTS
    return ZEROS if "zero_fraction" in spec.name else SHARES[spec.dtypes[0]]


def _axis_sizes(layer: LayerPlan, class_sizes: NDArray[np.int64]) -> dict[str, int]:
    """The length of each axis that an array of a layer may have; 0 where the layer has none."""
    height, width, filters = layer.spec.shape
    by_y, by_x = layer.map_factors or (1, 1)
    kernel = layer.spec.kernel
    kernel_shape = (0, 0, 0, 0) if kernel is None else kernel.shape
    return {
        "sample": int(class_sizes.sum()),
        "y": height,
        "x": width,
        "filter": filters,
        "other_filter": filters,
        "class": len(class_sizes),
        "map_y": -(-height // by_y),
        "map_x": -(-width // by_x),
        "bin": 0 if layer.bin_bits is None else Bins(layer.bin_bits).count,
        "bound": 2,
        "side": 4,
        "k": TOP,
        "similar": SIMILAR,
        "class_k": class_top(len(class_sizes), filters),
        "band": len(BANDS),
        **dict(zip(ARRAYS["kernel"].axes, kernel_shape, strict=True)),
    }
