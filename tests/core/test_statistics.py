"""The law of every accumulator: merging any split equals the whole, and equals numpy."""

from __future__ import annotations

import doctest
import itertools
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from fmcore.statistics import STATISTICS, ClassMaps, Moments, Pooled, moments

N_CLASSES = 4


@st.composite
def batches(draw, *, finite: bool = True):
    """Maps, labels and cut points; zeros, negative values, offsets of 1e6, absent classes."""
    n = draw(st.integers(1, 12))
    shape = (n, *(draw(st.integers(1, 4)) for _ in range(3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["relu", "signed", "offset", "constant"]))
    values = rng.normal(size=shape)
    if kind == "relu":
        values = np.maximum(values, 0)
    elif kind == "offset":
        values = 1e6 + 1e-3 * values
    elif kind == "constant":
        values = np.full(shape, draw(st.floats(-5, 5)))
    if kind != "offset" and draw(st.booleans()):
        values = values.astype(np.float32)
    if not finite:
        bad = rng.random(shape) < 0.3
        values[bad] = rng.choice([np.nan, np.inf, -np.inf], size=int(bad.sum()))
    labels = rng.integers(0, draw(st.integers(1, N_CLASSES)), size=n)
    cuts = sorted(draw(st.sets(st.integers(0, n), max_size=4)))
    return values, labels, cuts


def pieces(values, labels, cuts):
    bounds = [0, *cuts, len(labels)]
    return [
        (values[start:stop], labels[start:stop])
        for start, stop in itertools.pairwise(bounds)
        if stop > start
    ]


@settings(max_examples=300)
@given(batches(finite=True))
def test_moments_of_any_split_equal_numpy_on_the_whole(batch):
    values, labels, _ = batch
    parts = [Moments.from_batch(*piece, n_classes=N_CLASSES) for piece in pieces(*batch)]
    merged = reduce(Moments.merge, parts, Moments.empty(N_CLASSES, values.shape[3])).read_out()
    for index in range(N_CLASSES):
        of_class = values[labels == index].astype(np.float64).reshape(-1, values.shape[3])
        assert (merged["n_values"][index] == len(of_class)).all()
        if len(of_class):
            assert_allclose(merged["mean"][index], of_class.mean(axis=0), rtol=1e-12, atol=1e-15)
            assert_allclose(merged["std"][index], of_class.std(axis=0), rtol=1e-6, atol=1e-9)
            assert_array_equal(merged["min"][index], of_class.min(axis=0))
            assert_array_equal(merged["max"][index], of_class.max(axis=0))
            assert_allclose(merged["zero_fraction"][index], (of_class == 0).mean(axis=0))
        else:
            for name in ("mean", "std", "min", "max", "zero_fraction"):
                assert np.isnan(merged[name][index]).all()


@settings(max_examples=300)
@given(batches(finite=False))
def test_moments_leave_out_what_is_not_finite_and_count_it(batch):
    values, labels, _ = batch
    merged = reduce(
        Moments.merge, [Moments.from_batch(*p, n_classes=N_CLASSES) for p in pieces(*batch)]
    ).read_out()
    for index in range(N_CLASSES):
        of_class = values[labels == index].astype(np.float64).reshape(-1, values.shape[3])
        for column in range(values.shape[3]):
            finite = of_class[np.isfinite(of_class[:, column]), column]
            assert merged["n_values"][index, column] == len(finite)
            assert merged["n_nonfinite"][index, column] == len(of_class) - len(finite)
            if len(finite):
                assert_allclose(merged["mean"][index, column], finite.mean(), atol=1e-9, rtol=1e-9)
                assert_allclose(merged["std"][index, column], finite.std(), atol=1e-9, rtol=1e-6)
                assert merged["max"][index, column] == finite.max()
            else:
                assert np.isnan(merged["mean"][index, column])


@settings(max_examples=300)
@given(batches())
def test_order_and_grouping_of_merges_do_not_matter(batch):
    values = batch[0]
    parts = [Moments.from_batch(*piece, n_classes=N_CLASSES) for piece in pieces(*batch)]
    empty = Moments.empty(N_CLASSES, values.shape[3])
    one = reduce(Moments.merge, parts, empty)
    other = reduce(lambda total, part: part.merge(total), reversed(parts), empty)
    assert_array_equal(one.n_values, other.n_values)
    assert_array_equal(one.n_zero, other.n_zero)
    assert_allclose(one.mean, other.mean, rtol=1e-12, atol=1e-15)
    # A mean near 1e6 is itself known to 1e-10, so the spread about it no better than this.
    unsure = 8 * np.finfo(float).eps * np.abs(values).max() * np.ptp(values) * values.size
    assert_allclose(one.m2, other.m2, rtol=1e-12, atol=unsure + 1e-15)


@settings(max_examples=300)
@given(batches())
def test_class_maps_of_any_split_equal_numpy_on_the_whole(batch):
    values, labels, _ = batch
    parts = [ClassMaps.from_batch(*piece, n_classes=N_CLASSES) for piece in pieces(*batch)]
    whole = reduce(ClassMaps.merge, parts, ClassMaps.empty(N_CLASSES, values.shape[1:]))
    for index in range(N_CLASSES):
        of_class = values[labels == index].astype(np.float64)
        assert whole.n_samples[index] == len(of_class)
        if len(of_class):
            assert_allclose(whole.mean[index], of_class.mean(axis=0), rtol=1e-12, atol=1e-15)
            variance = whole.m2[index] / len(of_class)
            assert_allclose(np.sqrt(variance), of_class.std(axis=0), rtol=1e-6, atol=1e-9)
        else:
            assert np.isnan(whole.read_out()["mean_map"][index]).all()


@settings(max_examples=100)
@given(batches())
def test_pooled_tables_equal_numpy(batch):
    values, _, _ = batch
    tables = Pooled.from_batch(values).tables()
    flat = values.reshape(len(values), -1, values.shape[3])
    assert_allclose(tables["mean"], flat.mean(axis=1, dtype=np.float64), rtol=1e-6, atol=1e-12)
    assert_array_equal(tables["max"], flat.max(axis=1).astype(np.float32))
    assert_allclose(tables["zero_fraction"], (flat == 0).mean(axis=1), rtol=1e-6)
    y, x = np.unravel_index(flat.argmax(axis=1), values.shape[1:3])
    assert_array_equal(tables["max_y"], y)
    assert_array_equal(tables["max_x"], x)


def test_the_example_in_the_documentation_holds():
    assert doctest.testmod(moments).failed == 0
    assert doctest.testmod(moments).attempted > 0


def test_a_variance_beside_a_large_mean_is_not_lost():
    values = 1e6 + 1e-3 * np.random.default_rng(0).normal(size=(500, 2, 2, 1))
    parts = [
        Moments.from_batch(values[i : i + 7], np.zeros(len(values[i : i + 7]), int), n_classes=1)
        for i in range(0, 500, 7)
    ]
    std = reduce(Moments.merge, parts).read_out()["std"]
    assert std[0, 0] == pytest.approx(values.std(), rel=1e-6)


def test_every_statistic_of_the_registry_is_read_out_with_its_dtype():
    read = Moments.from_batch(np.ones((2, 1, 1, 3)), np.array([0, 1]), n_classes=2).read_out()
    assert {name: array.dtype.name for name, array in read.items()} == {
        name: statistic.dtype for name, statistic in STATISTICS.items()
    }
    assert all(one.definition.endswith(".") and one.title for one in STATISTICS.values())
