"""Class maps taken in place, averaged and in little memory equal numpy on the whole."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from helpers.batches import N_CLASSES, batches, pieces
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from fmcore.statistics import ClassMaps, class_maps_bytes, map_size
from fmcore.statistics.streaming import class_maps


def block_means(values, factors):
    """The reference: a mean in float64 of each block of pixels, one by one."""
    n, height, width, filters = values.shape
    tops, lefts = range(0, height, factors[0]), range(0, width, factors[1])
    means = np.empty((n, len(tops), len(lefts), filters))
    for (row, top), (column, left) in itertools.product(enumerate(tops), enumerate(lefts)):
        block = values[:, top : top + factors[0], left : left + factors[1]]
        means[:, row, column] = block.mean(axis=(1, 2), dtype=np.float64)
    return means


@given(batches(), st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_class_maps_added_in_place_equal_numpy_on_averaged_maps(batch, factors):
    values, labels, _ = batch
    maps = ClassMaps.of_size(N_CLASSES, values.shape[1:], factors=factors)
    for piece in pieces(*batch):
        maps.add_values(*piece)
    averaged = block_means(values, factors)
    for index in range(N_CLASSES):
        of_class = averaged[labels == index]
        assert maps.n_samples[index] == len(of_class)
        if len(of_class):
            assert_allclose(maps.mean[index], of_class.mean(axis=0), rtol=1e-12, atol=1e-14)
            std = np.sqrt(maps.m2[index] / len(of_class))
            assert_allclose(std, of_class.std(axis=0), rtol=1e-6, atol=1e-9)
        else:
            assert not maps.mean[index].any()
            assert not maps.m2[index].any()


@given(batches())
def test_adding_in_place_equals_merging_what_a_batch_gives(batch):
    values = batch[0]
    added = ClassMaps.of_size(N_CLASSES, values.shape[1:])
    merged = ClassMaps.of_size(N_CLASSES, values.shape[1:])
    for piece in pieces(*batch):
        added.add_values(*piece)
        merged = merged.merge(ClassMaps.from_batch(*piece, n_classes=N_CLASSES))
    assert_array_equal(added.n_samples, merged.n_samples)
    assert_allclose(added.mean, merged.mean, rtol=1e-12, atol=1e-15)
    unsure = 8 * np.finfo(float).eps * np.abs(values).max() * np.ptp(values) * len(values)
    assert_allclose(added.m2, merged.m2, rtol=1e-12, atol=unsure + 1e-15)


def test_a_standard_deviation_beside_a_large_mean_survives_averaging_of_float32():
    values = (1e3 + np.random.default_rng(0).normal(size=(200, 21, 21, 2))).astype(np.float32)
    maps = ClassMaps.of_size(1, (21, 21, 2), factors=(7, 7))
    maps.add_values(values, np.zeros(200, int))
    std = block_means(values, (7, 7)).std(axis=0)
    assert_allclose(np.sqrt(maps.m2[0] / 200), std, rtol=1e-6)


@pytest.mark.parametrize("shape", [(5, 7, 3), (20, 20, 7), (2, 2, 1024)])
def test_class_maps_of_any_number_of_columns_equal_numpy(shape):
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(40, *shape)), rng.integers(0, 3, size=40)
    maps = ClassMaps.from_batch(values, labels, n_classes=4)
    for index in range(3):
        own = values[labels == index]
        assert_allclose(maps.mean[index], own.mean(axis=0), rtol=1e-12, atol=1e-15)
        assert_allclose(maps.m2[index], own.var(axis=0) * len(own), rtol=1e-12)
    assert not maps.mean[3].any()
    assert not maps.m2[3].any()


def test_averaged_class_maps_taken_in_little_memory_are_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(40, 5, 7, 3)), rng.integers(0, 3, size=40)

    def averaged():
        maps = ClassMaps.of_size(3, (5, 7, 3), factors=(2, 3))
        maps.add_values(values, labels)
        return maps

    whole = averaged()
    for work_bytes in (1, 8 * 3 * 3 * 3 * 3 * 7):  # less than one sample takes, and seven samples
        monkeypatch.setattr(class_maps, "WORK_BYTES", work_bytes)
        assert_allclose(averaged().mean, whole.mean, rtol=1e-12, atol=1e-15)
        assert_allclose(averaged().m2, whole.m2, rtol=1e-12)


def test_samples_are_counted_in_integers_and_maps_in_float64():
    for maps in (
        ClassMaps.of_size(2, (1, 1, 1)),
        ClassMaps.from_batch(np.ones((3, 1, 1, 1), np.float16), np.array([0, 0, 1]), n_classes=2),
    ):
        assert maps.n_samples.dtype == np.int64
        assert maps.mean.dtype == maps.m2.dtype == np.float64
        assert maps.n_samples.dtype == maps.merge(maps).n_samples.dtype


def test_class_maps_keep_what_is_not_finite_in_its_pixel():
    values = np.ones((6, 2, 2, 1))
    values[1, 0, 1, 0], values[2, 1, 0, 0] = np.nan, np.inf
    maps = ClassMaps.of_size(2, (2, 2, 1))
    for start in (0, 3):
        maps.add_values(values[start : start + 3], np.zeros(3, int))
    finite = np.array([[True, False], [False, True]])
    assert_array_equal(np.isfinite(maps.mean[0, :, :, 0]), finite)
    assert_array_equal(np.isfinite(maps.m2[0, :, :, 0]), finite)
    assert not maps.mean[1].any()


def test_adding_takes_the_memory_that_is_stated():
    shape, n_classes = (60, 60, 32), 10
    values, labels = np.ones((200, *shape), np.float32), np.arange(200) % n_classes
    for factors in ((1, 1), (2, 2)):
        tracemalloc.start()
        maps = ClassMaps.of_size(n_classes, shape, factors=factors)
        maps.add_values(values, labels)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        stated = class_maps_bytes(n_classes, maps.mean.shape[1:])
        assert peak <= stated + 2 * class_maps.WORK_BYTES + (4 << 20)


def test_a_map_size_is_full_or_of_whole_factors_or_none():
    full, reduced = class_maps_bytes(10, (100, 70, 8)), class_maps_bytes(10, (25, 24, 8))
    assert map_size((100, 70, 8), 10, full) == (100, 70)
    assert map_size((100, 70, 8), 10, full - 1) == (25, 24)
    assert map_size((100, 70, 8), 10, reduced) == (25, 24)
    assert map_size((100, 70, 8), 10, reduced - 1) is None
    assert ClassMaps.of_size(1, (100, 70, 8), factors=(4, 3)).mean.shape == (1, 25, 24, 8)
