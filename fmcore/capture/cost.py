"""What a capture takes in memory and on the disk, before it begins. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

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

DEFAULT_MEMORY = 1 << 30
# MNIST, in turn: 128 takes 1.3 times as long, 256 1.1 times (sums of each class, calls of numpy);
# 1024 and 2048 are no faster.
DEFAULT_BATCH_SIZE = 512
# Beyond this a capture wants a word from the person, who may not know what it adds up to.
LARGE_STORE_BYTES = 10_000_000_000
# A batch being made, one on its way to the disk, what the model holds between its layers while it
# runs, and the temporaries of statistics and compression: each at most about its own size.
COPIES_OF_A_BATCH = 6


# Of each class and filter: seven moments; six scores and their bands of two, on both pooled tables.
MOMENT_BYTES, SCORE_BYTES = 7 * 8, 6 * 3 * 8
TOP_BYTES = 16  # sample, value, row and column
# Histograms, measured: 500 to 600 bytes of 1,541 bins, and 2 to 2.5 of each that holds something.
BINS_IN_A_BYTE, BYTES_OF_A_VALUE = 2, 2
# Tables of classes without samples hold the same all over. Measured: they take a 200th, and the
# places of their chunks as much again; histograms, whose chunks are large, an 850th.
EMPTY_TABLES, EMPTY_BINS = 100, 800


def batch_size_for(sample_bytes: int, n_samples: int, memory: int) -> int:
    """Samples that go through the model together: at most 512, and half the memory.

    Args:
        sample_bytes: activations of all layers, and the image, of one sample.
        n_samples: samples of the test set.
        memory: bytes the capture may take beyond the model and the images.
    """
    fitting = max(1, memory // 2 // (COPIES_OF_A_BATCH * sample_bytes))
    return min(DEFAULT_BATCH_SIZE, 1 << (fitting.bit_length() - 1), n_samples)


def map_factors(
    shapes: Sequence[tuple[int, int, int]], n_classes: int, memory: int
) -> list[tuple[int, int] | None]:
    """Pixels (y, x) that the class maps of each layer average into one; None for no class maps.

    Three eighths of the memory are theirs; the layers that need least get theirs first, so that one
    large layer does not take the maps of all.
    """

    def fitting(index: int, share: int) -> tuple[int, tuple[int, int]] | None:
        height, width, filters = shapes[index]
        size = map_size(shapes[index], n_classes, share)
        if size is None:
            return None
        factors = -(-height // size[0]), -(-width // size[1])
        return class_maps_bytes(n_classes, (*size, filters)), factors

    order = sorted(range(len(shapes)), key=lambda index: math.prod(shapes[index]))
    return _shared_out(memory * 3 // 8, order, fitting)


def histogram_bits(
    shapes: Sequence[tuple[int, int, int]], n_classes: int, memory: int
) -> list[int | None]:
    """How fine the histograms of each layer are, see `fmcore.statistics.Bins`; None for none.

    An eighth of the memory is theirs, shared out as that of class maps.
    """

    def fitting(index: int, share: int) -> tuple[int, int] | None:
        sizes = (
            (histogram_bytes(n_classes, shapes[index][2], bits), bits)
            for bits in range(FINEST, COARSEST - 1, -1)
        )
        return next((size for size in sizes if size[0] <= share), None)

    order = sorted(range(len(shapes)), key=lambda index: shapes[index][2])
    return _shared_out(memory // 8, order, fitting)


def _shared_out(
    n_bytes: int, order: Sequence[int], fitting: Callable[[int, int], tuple[int, T] | None]
) -> list[T | None]:
    """What each layer gets of some memory: an equal share of what those before it have left.

    Args:
        n_bytes: the memory.
        order: the layers' indices, those that need least first.
        fitting: what fits a layer and a share, with its bytes; None where nothing does.
    """
    chosen: list[T | None] = [None] * len(order)
    for place, index in enumerate(order):
        found = fitting(index, n_bytes // (len(order) - place))
        if found is not None:
            n_bytes -= found[0]
            chosen[index] = found[1]
    return chosen


@dataclass(frozen=True, slots=True)
class LayerEstimate:
    """What one layer will take.

    Attributes:
        path: the layer.
        policy: `float32`, `float16` or `pooled`.
        codec: how its maps are compressed.
        map_bytes: its activations in memory, as float32.
        stored_bytes: about what it takes in the store, with tables and class maps.
    """

    path: str
    policy: str
    codec: str
    map_bytes: int
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a capture will take.

    Attributes:
        layers: each layer.
        other_bytes: images, labels and probabilities.
        n_shards: shards it is made in; with more than one, they are joined at the end.
    """

    layers: tuple[LayerEstimate, ...]
    other_bytes: int
    n_shards: int

    @property
    def store_bytes(self) -> int:
        """Size of the finished store."""
        return self.other_bytes + sum(layer.stored_bytes for layer in self.layers)

    @property
    def disk_bytes(self) -> int:
        """What the disk must hold while the shards are joined."""
        return self.store_bytes * (2 if self.n_shards > 1 else 1)


def estimate_layer(
    layer: LayerPlan, ratio: float, class_sizes: NDArray[np.int64], *, scores: bool
) -> LayerEstimate:
    """About what a layer will take.

    Args:
        layer: how it is stored.
        ratio: stored bytes of its maps as a share of their bytes in that type.
        class_sizes: <int64>[class], samples of each; of a thousand classes a few may have any.
        scores: whether top samples, scores with their chance levels and correlations are kept.
    """
    height, width, filters = layer.spec.shape
    n_samples, n_classes = int(class_sizes.sum()), len(class_sizes)
    n_present = int(np.count_nonzero(class_sizes))
    itemsize = 0 if layer.policy == "pooled" else np.dtype(layer.policy).itemsize
    values = n_samples * height * width * filters

    of_class = MOMENT_BYTES * filters  # bytes of tables and maps of one class
    if layer.map_factors is not None:
        by_y, by_x = layer.map_factors
        of_class += 2 * 4 * -(-height // by_y) * -(-width // by_x) * filters
    n_bins = 0 if layer.bin_bits is None else Bins(layer.bin_bits).count * filters
    tables, n_top, n_filled = n_samples * filters * len(POOLED) * 4, 0, 0
    if scores:
        of_class += SCORE_BYTES * filters
        most = class_top(n_classes, filters)
        n_top, n_filled = most * n_classes, int(np.minimum(class_sizes, most).sum())
        tables += TOP_BYTES * filters * (n_filled + (1 + len(BANDS)) * TOP)
        tables += 2 * 4 * filters**2  # correlations
    tables += n_present * of_class
    if n_bins:
        tables += min(n_present * n_bins // BINS_IN_A_BYTE, values * BYTES_OF_A_VALUE)
    n_absent = n_classes - n_present
    tables += (n_absent * of_class + TOP_BYTES * filters * (n_top - n_filled)) // EMPTY_TABLES
    tables += 8 * n_absent * n_bins // EMPTY_BINS
    weights = sum(one.nbytes for one in (layer.spec.kernel, layer.spec.bias) if one is not None)
    return LayerEstimate(
        layer.spec.path,
        layer.policy,
        layer.codec.name if itemsize else "no maps",
        4 * values,
        int(values * itemsize * ratio) + tables + weights,
    )
