"""What a capture may take is what its memory holds: counted in bytes of real arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fmcore.capture.cost import (
    BATCH_COPIES,
    Estimate,
    LayerEstimate,
    batch_size_for,
    histogram_bits,
    map_factors,
)
from fmcore.records import Policy
from fmcore.statistics import (
    COARSEST,
    FINEST,
    Bins,
    ClassMaps,
    Histogram,
    class_maps_bytes,
    histogram_bytes,
)

SHAPES = st.tuples(st.integers(1, 80), st.integers(1, 80), st.integers(1, 9))

# Enough for all, for some, for none.
MEMORY = st.one_of(*(st.integers(0, most) for most in (10_000, 300_000, 5_000_000, 60_000_000)))


def array_bytes(n_classes: int, shape: tuple[int, int, int], factors: tuple[int, int]) -> int:
    """Bytes of the arrays that class maps are accumulated in."""
    maps = ClassMaps.of_size(n_classes, shape, factors=factors)
    return maps.mean.nbytes + maps.m2.nbytes


def shares(n_bytes: int, order: list[int], needs: list[list[tuple[int, object]]]) -> list:
    """The definition: in this order, each gets the first setting that fits an equal share.

    Args:
        n_bytes: the memory for all.
        order: the layers, those that need least first.
        needs: the bytes of each setting of each layer, the best setting first.
    """
    settings: list = [None] * len(needs)
    waiting = list(order)
    while waiting:
        share = n_bytes // len(waiting)
        layer = waiting.pop(0)
        for size, setting in needs[layer]:
            if size <= share:
                settings[layer] = setting
                n_bytes -= size
                break
    return settings


@given(SHAPES, st.integers(1, 12))
def test_class_maps_take_the_bytes_that_are_stated(shape, n_classes):
    assert class_maps_bytes(n_classes, shape) == array_bytes(n_classes, shape, (1, 1))


@given(st.integers(1, 12), st.integers(1, 9), st.integers(COARSEST, FINEST))
def test_histograms_take_the_bytes_that_are_stated(n_classes, n_filters, bits):
    counts = Histogram.of_size(n_classes, n_filters, bits=bits).counts
    assert histogram_bytes(n_classes, n_filters, bits) == counts.nbytes


@given(st.lists(SHAPES, max_size=5), st.integers(1, 12), MEMORY)
@example([(10, 10, 1), (40, 40, 1)], 1, 70_667)  # what the first takes decides on the second
@example([(40, 33, 4)], 3, 16 * 3 * 40 * 33 * 4 * 8 // 3)  # fits to the byte
@example([(40, 33, 4)], 3, 16 * 3 * 40 * 33 * 4 * 8 // 3 - 3)
@example([(40, 33, 4), (5, 5, 4), (40, 33, 1)], 3, 2_000_000)
def test_class_maps_get_three_eighths_of_the_memory_smallest_layers_first(
    shapes, n_classes, memory
):
    needs = []
    for height, width, filters in shapes:
        halves = -(-height // 32), -(-width // 32)
        needs.append(
            [
                (array_bytes(n_classes, (height, width, filters), factors), factors)
                for factors in ((1, 1), halves)
            ]
        )
    order = sorted(range(len(shapes)), key=lambda index: np.prod(shapes[index]))
    factors = map_factors(shapes, n_classes, memory)
    assert factors == shares(memory * 3 // 8, order, needs)
    taken = [
        array_bytes(n_classes, shape, by)
        for shape, by in zip(shapes, factors, strict=True)
        if by is not None
    ]
    assert sum(taken) <= memory * 3 / 8


@given(st.lists(SHAPES, max_size=5), st.integers(1, 12), MEMORY)
@example([(1, 1, 1), (1, 1, 2)], 1, 264_000)  # what the first takes decides on the second
@example([(1, 1, 3)], 2, 8 * 8 * 2 * 3 * Bins(FINEST).count)  # fits to the byte
@example([(1, 1, 3)], 2, 8 * 8 * 2 * 3 * Bins(FINEST).count - 1)
@example([(1, 1, 3)], 2, 8 * 8 * 2 * 3 * Bins(COARSEST).count)
@example([(1, 1, 3)], 2, 8 * 8 * 2 * 3 * Bins(COARSEST).count - 1)
@example([(1, 1, 9), (1, 1, 1), (9, 9, 2)], 5, 3_000_000)
def test_histograms_get_an_eighth_of_the_memory_fewest_filters_first(shapes, n_classes, memory):
    needs = [
        [
            (Histogram.of_size(n_classes, filters, bits=bits).counts.nbytes, bits)
            for bits in (4, 3, 2)
        ]
        for *_, filters in shapes
    ]
    order = sorted(range(len(shapes)), key=lambda index: shapes[index][2])
    assert histogram_bits(shapes, n_classes, memory) == shares(memory // 8, order, needs)


@given(st.integers(1, 10**9), st.integers(1, 10**6), st.integers(0, 10**11))
@example(1, 10**6, 2 * BATCH_COPIES * 512)  # fits to the byte
@example(1, 10**6, 2 * BATCH_COPIES * 512 - 1)
@example(1, 10**6, 2 * BATCH_COPIES * 2048)
@example(1, 3, 10**9)
def test_the_largest_power_of_two_fits_half_of_the_memory(sample_bytes, n_samples, memory):
    powers = [1 << bits for bits in range(10)]  # to 512
    fitting = [power for power in powers if power * BATCH_COPIES * sample_bytes <= memory // 2] or [
        1
    ]
    assert batch_size_for(sample_bytes, n_samples, memory) == min(max(fitting), n_samples)


@pytest.mark.parametrize(("n_shards", "times"), [(1, 1), (2, 2), (9, 2)])
def test_shards_and_the_store_are_on_the_disk_together(n_shards, times):
    layers = tuple(LayerEstimate("a", Policy.FLOAT32, "deflate", 7, size) for size in (100, 20))
    estimate = Estimate(layers, other_bytes=3, n_shards=n_shards)
    assert estimate.store_bytes == 123
    assert estimate.disk_bytes == 123 * times
