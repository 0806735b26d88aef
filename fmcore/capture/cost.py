"""How much memory and disk space a capture will take; pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fmcore.records import Policy
from fmcore.statistics import (
    BANDS,
    COARSEST,
    FINEST,
    POOLED,
    TOP,
    Bins,
    class_maps_bytes,
    class_top,
    histogram_bytes,
    map_size,
)
from fmcore.storage import LayerPlan

T = TypeVar("T")

# On MNIST, 128 takes 1.3 times as long and 256 takes 1.1 times (sums over each class, NumPy calls);
# 1024 and 2048 are no faster.
DEFAULT_BATCH_SIZE = 512
# A capture beyond this needs the user's consent, who may not know how large it gets.
LARGE_STORE_BYTES = 10_000_000_000
# The batch in the model, the batch on its way to the disk, what the model holds between its layers
# while it runs, and temporaries of statistics and compression: each about a batch's size at most.
BATCH_COPIES = 6


# For each class and filter: seven moments; three scores on two pooled tables, each with two bounds.
MOMENT_BYTES, SCORE_BYTES = 7 * 8, 6 * 3 * 8
TOP_BYTES = 16  # sample, value, row and column
# Measured: a histogram of 1,541 bins takes 500 to 600 bytes, and 2 to 2.5 bytes for each bin that
# is not empty (there are no more of them than values).
BINS_PER_BYTE, BYTES_PER_VALUE = 2, 2
# Tables of classes without samples hold one value throughout. Measured: they compress to 1/200, and
# their chunk indices take as much again; histograms, whose chunks are large, compress to 1/850.
EMPTY_TABLES, EMPTY_BINS = 100, 800


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
        codec: how its feature maps are compressed.
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
    layer: LayerPlan, ratio: float, class_sizes: NDArray[np.int64], *, scores: bool
) -> LayerEstimate:
    """Estimates the size of one layer.

    Args:
        layer: how it is stored.
        ratio: compressed bytes of its feature maps divided by their bytes in the stored dtype.
        class_sizes: <int64>[class], the number of samples; zero for classes without samples.
        scores: whether scores with their chance levels, top samples and correlations are stored.
    """
    height, width, filters = layer.spec.shape
    n_samples, n_classes = int(class_sizes.sum()), len(class_sizes)
    n_present = int(np.count_nonzero(class_sizes))
    itemsize = 0 if layer.policy == Policy.POOLED else np.dtype(layer.policy).itemsize
    values = n_samples * height * width * filters

    class_bytes = MOMENT_BYTES * filters  # tables and maps of one class
    if layer.map_factors is not None:
        by_y, by_x = layer.map_factors
        class_bytes += 2 * 4 * -(-height // by_y) * -(-width // by_x) * filters
    n_bins = 0 if layer.bin_bits is None else Bins(layer.bin_bits).count * filters
    table_bytes, n_top, n_filled = n_samples * filters * len(POOLED) * 4, 0, 0
    if scores:
        class_bytes += SCORE_BYTES * filters
        k = class_top(n_classes, filters)
        n_top, n_filled = k * n_classes, int(np.minimum(class_sizes, k).sum())
        table_bytes += TOP_BYTES * filters * (n_filled + (1 + len(BANDS)) * TOP)
        table_bytes += 2 * 4 * filters**2  # correlations
    table_bytes += n_present * class_bytes
    if n_bins:
        table_bytes += min(n_present * n_bins // BINS_PER_BYTE, values * BYTES_PER_VALUE)
    n_absent = n_classes - n_present
    table_bytes += (
        n_absent * class_bytes + TOP_BYTES * filters * (n_top - n_filled)
    ) // EMPTY_TABLES
    table_bytes += 8 * n_absent * n_bins // EMPTY_BINS
    weights = (layer.spec.kernel, layer.spec.bias)
    weight_bytes = sum(array.nbytes for array in weights if array is not None)
    return LayerEstimate(
        layer.spec.path,
        layer.policy,
        layer.codec.name if itemsize else "no maps",
        4 * values,
        int(values * itemsize * ratio) + table_bytes + weight_bytes,
    )
