"""How the memory of a capture is shared out: batch, class maps, shard. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fmcore.statistics import COARSEST, FINEST, class_maps_bytes, histogram_bytes, map_size

DEFAULT_MEMORY = 1 << 30
# MNIST, in turn: 128 takes 1.3 times as long, 256 1.1 times (sums of each class, calls of numpy);
# 1024 and 2048 are no faster.
DEFAULT_BATCH_SIZE = 512
# Beyond this a capture wants a word from the person, who may not know what it adds up to.
LARGE_STORE_BYTES = 10_000_000_000
# A batch being made, one on its way to the disk, what the model holds between its layers while it
# runs, and the temporaries of statistics and compression: each at most about its own size.
COPIES_OF_A_BATCH = 6


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
    left = memory * 3 // 8
    factors: list[tuple[int, int] | None] = [None] * len(shapes)
    order = sorted(range(len(shapes)), key=lambda index: math.prod(shapes[index]))
    for place, index in enumerate(order):
        height, width, filters = shapes[index]
        size = map_size(shapes[index], n_classes, left // (len(order) - place))
        if size is not None:
            left -= class_maps_bytes(n_classes, (*size, filters))
            factors[index] = (-(-height // size[0]), -(-width // size[1]))
    return factors


def histogram_bits(
    shapes: Sequence[tuple[int, int, int]], n_classes: int, memory: int
) -> list[int | None]:
    """How fine the histograms of each layer are, see `fmcore.statistics.Bins`; None for none.

    An eighth of the memory is theirs, shared out as that of class maps.
    """
    left = memory // 8
    bits: list[int | None] = [None] * len(shapes)
    order = sorted(range(len(shapes)), key=lambda index: shapes[index][2])
    for place, index in enumerate(order):
        for fine in range(FINEST, COARSEST - 1, -1):
            needed = histogram_bytes(n_classes, shapes[index][2], fine)
            if needed <= left // (len(order) - place):
                bits[index], left = fine, left - needed
                break
    return bits
