"""How the memory of a capture is shared out: batch, class maps, shard. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from fmcore.statistics import COARSEST, FINEST, class_maps_bytes, histogram_bytes, map_size

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
