"""What a capture may take is what its memory holds: counted in bytes of real arrays."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fmcore.capture.cost import (
    Estimate,
    LayerEstimate,
    batching_for,
    checkpoint_rows,
    held_bytes,
    histogram_bits,
    map_factors,
)
from fmcore.records import LayerSpec, Policy
from fmcore.statistics import (
    COARSEST,
    FINEST,
    ClassMaps,
    Histogram,
    class_maps_bytes,
    histogram_bytes,
    planned_bins,
)
from fmcore.storage import LayerPlan

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
    # From 2**-24 to 2**24, of both signs: as many octaves as are planned.
    values = np.array([2.0**-24, 2.0**23, -(2.0**-24), -(2.0**23)]).repeat(n_filters)
    histogram = Histogram.from_batch(
        values.reshape(1, 1, 4, n_filters), np.array([0]), n_classes=n_classes, bits=bits
    )
    assert histogram_bytes(n_classes, n_filters, bits) == histogram.arrays()["histogram"].nbytes


@given(st.lists(SHAPES, max_size=5), st.integers(1, 12), MEMORY)
@example([(10, 10, 1), (40, 40, 1)], 1, 70_667)  # what the first takes decides on the second
@example([(40, 33, 4)], 3, 16 * 3 * 40 * 33 * 4 * 8 // 3)  # fits to the byte
@example([(40, 33, 4)], 3, 16 * 3 * 40 * 33 * 4 * 8 // 3 - 3)
@example([(40, 33, 4), (5, 5, 4), (40, 33, 1)], 3, 2_000_000)
def test_class_maps_get_a_quarter_of_the_memory_smallest_layers_first(shapes, n_classes, memory):
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
    assert factors == shares(memory // 4, order, needs)
    taken = [
        array_bytes(n_classes, shape, by)
        for shape, by in zip(shapes, factors, strict=True)
        if by is not None
    ]
    assert sum(taken) <= memory / 4


@given(st.lists(SHAPES, max_size=5), st.integers(1, 12), MEMORY)
@example([(1, 1, 1), (1, 1, 2)], 1, 264_000)  # what the first takes decides on the second
@example([(1, 1, 3)], 2, 8 * 8 * 2 * 3 * planned_bins(FINEST))  # fits to the byte
@example([(1, 1, 3)], 2, 8 * 8 * 2 * 3 * planned_bins(FINEST) - 1)
@example([(1, 1, 3)], 2, 8 * 8 * 2 * 3 * planned_bins(COARSEST))
@example([(1, 1, 3)], 2, 8 * 8 * 2 * 3 * planned_bins(COARSEST) - 1)
@example([(1, 1, 9), (1, 1, 1), (9, 9, 2)], 5, 3_000_000)
def test_histograms_get_an_eighth_of_the_memory_fewest_filters_first(shapes, n_classes, memory):
    needs = [
        [(8 * n_classes * filters * (96 * 2**bits + 1), bits) for bits in (4, 3, 2)]
        for *_, filters in shapes
    ]
    order = sorted(range(len(shapes)), key=lambda index: shapes[index][2])
    assert histogram_bits(shapes, n_classes, memory) == shares(memory // 8, order, needs)


@given(SHAPES, st.integers(1, 6), st.booleans())
def test_sums_take_the_bytes_that_their_arrays_have(shape, n_classes, float16):
    policy = Policy.FLOAT16 if float16 else Policy.FLOAT32
    plan = LayerPlan(LayerSpec("a", shape), policy, bin_bits=2)
    arrays = [
        array
        for kind in plan.empty_accumulators(n_classes).by_kind.values()
        for array in map(np.asarray, (getattr(kind, field.name) for field in fields(kind)))
    ]
    planned = histogram_bytes(n_classes, shape[2], 2)  # an empty histogram has no bins yet
    expected = 2 * (planned + sum(array.nbytes for array in arrays))
    assert held_bytes([plan, plan], n_classes) == expected


LAYERS = st.lists(st.integers(1, 20_000_000), min_size=1, max_size=20)


@given(LAYERS, st.integers(0, 10**9), st.integers(1, 10**5), st.integers(0, 8 << 30))
@example([12_845_056, 40_000_000], 0, 60, 1 << 30)
@example([43_264, 15_488], 10**7, 10_000, 1 << 30)
def test_the_largest_batch_is_taken_that_fits(layers, held, n_samples, memory):
    batching = batching_for(layers, 1000, held, n_samples, memory)
    assert 1 <= batching.size <= min(n_samples, 512)
    assert batching.in_flight in (1, 2)
    maps = sum(layers)
    assert batching.needed_bytes > held + batching.in_flight * batching.size * maps
    others = [
        batching_for(layers, 1000, held, n_samples, memory, size=size)
        for size in range(1, min(n_samples, 32) + 1)
    ]
    if batching.needed_bytes > memory:  # then a quarter of the memory is for batches
        assert batching.size <= 4 or batching.in_flight * batching.size * maps <= memory // 4
    for other in others:
        larger = other.size > batching.size * 1.5 and other.in_flight == batching.in_flight
        assert not (larger and other.needed_bytes <= memory)


@pytest.mark.parametrize(
    ("maps", "largest"),
    [(40_500_000, 3_300_000), (54_200_000, 12_900_000), (46_500_000, 2_500_000)],
    ids=["ResNet50", "VGG16", "EfficientNetV2S"],
)
def test_real_networks_get_batches_that_keep_the_model_busy(maps, largest):
    layers = [largest, *[(maps - largest) // 50] * 50]
    batching = batching_for(layers, 602_112, 30 << 20, 10_000, 1 << 30, score_bytes=90 << 20)
    assert 6 <= batching.size <= 32
    assert batching.in_flight == 1
    assert batching.needed_bytes <= 1 << 30


@given(
    st.integers(1, 10**8),
    st.integers(1, 10**8),
    st.integers(0, 10**9),
    st.integers(1, 10**11),
    st.integers(1, 512),
)
def test_two_checkpoints_take_a_tenth_of_what_lies_between_them(
    sample, stored, held, memory, batch
):
    rows = checkpoint_rows(sample, stored, held, memory, batch_size=batch)
    assert rows > 0
    assert rows % batch == 0
    assert 20 * held <= rows * stored
    if rows > batch:  # no later than it must be
        assert (rows - batch) * stored < 20 * held or rows * sample <= min(memory, 4 << 30)


@pytest.mark.parametrize("held", [0, 7])
def test_two_checkpoints_are_on_the_disk_together_with_the_store(held):
    layers = tuple(LayerEstimate("a", Policy.FLOAT32, "deflate", 7, size) for size in (100, 20))
    estimate = Estimate(layers, other_bytes=3, checkpoint_bytes=held)
    assert estimate.store_bytes == 123
    assert estimate.disk_bytes == 123 + 2 * held
