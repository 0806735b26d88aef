"""The law of every accumulator: merging any split equals the whole, and equals numpy."""

from __future__ import annotations

import dataclasses
import doctest
import warnings
from functools import reduce

import numpy as np
import pytest
from helpers.batches import N_CLASSES, batches, pieces
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal

from fmcore.statistics import (
    COARSEST,
    STATISTICS,
    Batch,
    Bins,
    ClassMaps,
    Extent,
    Histogram,
    LayerAccumulators,
    Moments,
    Pooled,
    Rounding,
    histogram_bytes,
    quantiles,
)
from fmcore.statistics.streaming import moments
from fmcore.statistics.streaming.kernels import compiled


def statistics_of(moments: Moments) -> dict:
    """Every statistic that is made of moments, by name."""
    return {
        name: statistic.compute(moments)
        for name, statistic in STATISTICS.items()
        if statistic.basis is Moments
    }


@given(batches(finite=True))
def test_moments_of_any_split_equal_numpy_on_the_whole(batch):
    values, labels, _ = batch
    parts = [Moments.from_batch(*piece, n_classes=N_CLASSES) for piece in pieces(*batch)]
    nothing = Moments.empty(Extent(N_CLASSES, values.shape[1:]))
    merged = statistics_of(reduce(Moments.merge, parts, nothing))
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


@given(batches(finite=False))
def test_moments_leave_out_what_is_not_finite_and_count_it(batch):
    values, labels, _ = batch
    parts = [Moments.from_batch(*piece, n_classes=N_CLASSES) for piece in pieces(*batch)]
    merged = statistics_of(reduce(Moments.merge, parts))
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


@given(batches())
def test_order_and_grouping_of_merges_do_not_matter(batch):
    values = batch[0]
    parts = [Moments.from_batch(*piece, n_classes=N_CLASSES) for piece in pieces(*batch)]
    empty = Moments.empty(Extent(N_CLASSES, values.shape[1:]))
    forward = reduce(Moments.merge, parts, empty)
    backward = reduce(lambda total, part: part.merge(total), reversed(parts), empty)
    assert_array_equal(forward.n_values, backward.n_values)
    assert_array_equal(forward.n_zero, backward.n_zero)
    assert_allclose(forward.mean, backward.mean, rtol=1e-12, atol=1e-15)
    # A mean near 1e6 is itself known to 1e-10, so the deviations from it no better than this.
    unsure = 8 * np.finfo(float).eps * np.abs(values).max() * np.ptp(values) * values.size
    assert_allclose(forward.m2, backward.m2, rtol=1e-12, atol=unsure + 1e-15)


@given(batches())
def test_class_maps_of_any_split_equal_numpy_on_the_whole(batch):
    values, labels, _ = batch
    parts = [ClassMaps.from_batch(*piece, n_classes=N_CLASSES) for piece in pieces(*batch)]
    whole = reduce(ClassMaps.merge, parts, ClassMaps.of_size(N_CLASSES, values.shape[1:]))
    for index in range(N_CLASSES):
        of_class = values[labels == index].astype(np.float64)
        assert whole.n_samples[index] == len(of_class)
        if len(of_class):
            assert_allclose(whole.mean[index], of_class.mean(axis=0), rtol=1e-12, atol=1e-15)
            variance = whole.m2[index] / len(of_class)
            assert_allclose(np.sqrt(variance), of_class.std(axis=0), rtol=1e-6, atol=1e-9)
        else:
            assert np.isnan(whole.arrays()["mean_map"][index]).all()


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
    std = reduce(Moments.merge, parts).deviations()
    assert std[0, 0] == pytest.approx(values.std(), rel=1e-6)


def test_every_moment_is_read_out_with_the_dtype_of_the_registry():
    moments = Moments.from_batch(np.ones((2, 1, 1, 3)), np.array([0, 1]), n_classes=2)
    read = statistics_of(moments)
    assert len(read) > 5
    for name, array in read.items():
        assert array.dtype.name == STATISTICS[name].dtype


@given(batches(finite=False))
def test_pooled_parts_joined_equal_the_whole(batch):
    parts = [Pooled.from_batch(values) for values, _ in pieces(*batch)]
    joined, whole = Pooled.concatenate(parts), Pooled.from_batch(batch[0])
    for field in dataclasses.fields(Pooled):
        part, expected = getattr(joined, field.name), getattr(whole, field.name)
        if field.name in ("mean", "m2"):  # products of other sizes may be summed in other orders
            assert_allclose(part, expected, rtol=1e-12, atol=1e-9)
        else:
            assert_array_equal(part, expected)
            assert np.asarray(part).dtype == np.asarray(expected).dtype


def test_pooled_parts_of_different_maps_do_not_join():
    parts = [Pooled.from_batch(np.ones((1, size, size, 1))) for size in (2, 3)]
    for wrong in (parts, []):
        with pytest.raises(ValueError, match=r"Pooled\.concatenate: expected at least one part"):
            Pooled.concatenate(wrong)


# Pixels side by side in lanes, with some left over; as many filters as lanes; more; single pixels.
@pytest.mark.parametrize(
    "shape",
    [(3, 26, 26, 16), (2, 9, 11, 200), (2, 3, 4, 256), (2, 5, 5, 700), (5, 1, 1, 9), (2, 9, 7, 1)],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pooled_of_any_number_of_filters_equals_numpy(shape, dtype):
    values = np.maximum(np.random.default_rng(0).normal(size=shape), 0).astype(dtype)
    values[1, 0, 0, 0] = np.nan
    pooled = Pooled.from_batch(values)
    flat = values.reshape(shape[0], -1, shape[3]).astype(np.float64)
    filled = np.where(np.isnan(flat), 0, flat)
    n_values = np.isfinite(flat).sum(axis=1)
    mean = filled.sum(axis=1) / np.maximum(n_values, 1)
    m2 = np.where(np.isnan(flat), 0, (flat - mean[:, np.newaxis]) ** 2).sum(axis=1)
    assert_array_equal(pooled.n_values, n_values)
    assert_array_equal(pooled.n_zero, (flat == 0).sum(axis=1))
    assert_array_equal(pooled.min, np.where(np.isnan(flat), np.inf, flat).min(axis=1))
    assert_array_equal(pooled.max, np.where(np.isnan(flat), -np.inf, flat).max(axis=1))
    assert pooled.min.dtype == pooled.max.dtype == dtype
    assert_allclose(pooled.mean, mean, rtol=1e-12)
    assert_allclose(pooled.m2, m2, rtol=1e-12, atol=1e-15)
    argmax = np.where(np.isnan(flat), -np.inf, flat).argmax(axis=1)
    assert_array_equal(pooled.max_y * shape[2] + pooled.max_x, argmax)


def test_a_first_pixel_far_from_the_others_costs_no_digits():
    values = 1e3 + np.random.default_rng(0).normal(size=(2, 40, 40, 3)) * 1e-3
    values[:, 0, 0] = [0, -1e6, np.nan]
    flat = values.reshape(2, -1, 3)
    pooled = Pooled.from_batch(values)
    assert_allclose(pooled.mean, np.nanmean(flat, axis=1), rtol=1e-12)
    assert_allclose(pooled.m2, np.nanvar(flat, axis=1) * pooled.n_values, rtol=1e-9)


@pytest.mark.parametrize("n_filters", [3, 64, 150])
def test_histograms_of_any_number_of_filters_equal_numpy(n_filters):
    rng = np.random.default_rng(0)
    scales = 10.0 ** rng.integers(-12, 12, size=n_filters)
    values = (rng.normal(size=(20, 5, 3, n_filters)) * scales).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = 0
    values[rng.random(values.shape) < 0.05] = np.inf
    labels = rng.integers(0, 3, size=20)
    histogram = Histogram.from_batch(values, labels, n_classes=4)
    counts, (low, high) = histogram.arrays().values()
    for index, column in ((index, column) for index in range(4) for column in range(n_filters)):
        finite = values[labels == index, :, :, column]
        finite = finite[np.isfinite(finite)]
        expected = [((finite >= a) & (finite <= b)).sum() for a, b in zip(low, high, strict=True)]
        assert_array_equal(counts[index, column], expected)


@given(batches(finite=False))
def test_histograms_of_any_split_equal_numpy_on_the_whole(batch):
    values, labels, _ = batch
    n_filters = values.shape[3]
    for bits in (2, 4):
        parts = [
            Histogram.from_batch(*piece, n_classes=N_CLASSES, bits=bits) for piece in pieces(*batch)
        ]
        nothing = Histogram.of_size(N_CLASSES, n_filters, bits=bits)
        whole = reduce(Histogram.merge, reversed(parts), nothing)
        counts, (low, high) = whole.arrays().values()
        for index in range(N_CLASSES):
            of_class = values[labels == index].astype(np.float32).reshape(-1, n_filters)
            for column in range(n_filters):
                finite = of_class[np.isfinite(of_class[:, column]), column]
                places = np.searchsorted(low, finite, side="right") - 1
                assert ((finite >= low[places]) & (finite <= high[places])).all()
                expected = np.bincount(places, minlength=len(low))
                assert_array_equal(counts[index, column], expected)


@given(batches())
def test_quantiles_lie_within_the_stated_relative_error(batch):
    values, labels, _ = batch
    values = values.astype(np.float32)
    histogram = Histogram.from_batch(values, labels, n_classes=N_CLASSES)
    counts, bounds = histogram.arrays().values()
    for index in np.unique(labels):
        flat = values[labels == index].reshape(-1, values.shape[3])
        for level in (0.0, 0.05, 0.5, 0.99, 1.0):
            ends = flat.min(axis=0), flat.max(axis=0)
            got = quantiles(counts[index], bounds, *ends, level=level)
            expected = np.quantile(flat, level, axis=0, method="inverted_cdf")
            assert_allclose(got, expected, rtol=Bins(4).relative_error, atol=0)


def of_scale(rng, shape, scale, signs):
    """Values whose logarithms are spread evenly over some powers of ten, and some zeros."""
    values = 10.0 ** rng.uniform(*scale, size=shape) * rng.choice(signs, size=shape)
    return np.where(rng.random(shape) < 0.1, 0, values).astype(np.float32)


@pytest.mark.parametrize("signs", [(1,), (-1,), (-1, 1)])
@pytest.mark.parametrize("scale", [(-30, 30), (-45, 38.5), (-45, -37), (-12, -6), (6, 38.5)])
def test_quantiles_hold_for_values_of_any_size(scale, signs):
    rng = np.random.default_rng(0)
    values = of_scale(rng, (40, 5, 5, 6), scale, signs)
    labels = rng.integers(0, 2, size=40)
    histogram = Histogram.of_size(2, 6)
    for start in range(0, 40, 7):
        part = values[start : start + 7], labels[start : start + 7]
        histogram = histogram.merge(Histogram.from_batch(*part, n_classes=2))
    counts, bounds = histogram.arrays().values()
    assert counts.sum() == values.size
    assert histogram.bins.relative_error == 1 / 32
    assert "quantiles within 3.125% of their value, or of 1.2e-38" in histogram.bins.words
    for index in range(2):
        flat = values[labels == index].reshape(-1, 6).astype(np.float64)
        for level in np.linspace(0, 1, 41):
            ends = flat.min(axis=0), flat.max(axis=0)
            got = quantiles(counts[index], bounds, *ends, level=level)
            expected = np.quantile(flat, level, axis=0, method="inverted_cdf")
            error = np.abs(got - expected) / np.maximum(np.abs(expected), 1.17549435e-38)
            assert error.max() <= 1 / 32


def test_quantiles_hold_behind_a_softmax():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(50, 4, 4, 10)) * 30
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    values = (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)
    histogram = Histogram.from_batch(values, np.zeros(50, int), n_classes=1)
    counts, bounds = histogram.arrays().values()
    flat = values.reshape(-1, 10).astype(np.float64)
    assert (np.median(flat, axis=0) < 6e-8).all()
    for level in (0.05, 0.25, 0.5, 0.75, 0.95):
        got = quantiles(counts[0], bounds, flat.min(axis=0), flat.max(axis=0), level=level)
        expected = np.quantile(flat, level, axis=0, method="inverted_cdf")
        assert (np.abs(got - expected) <= np.maximum(expected, 1.17549435e-38) / 32).all()


@pytest.mark.parametrize("n_batches", [1, 3, 30])
def test_a_large_table_gets_wider_bins_where_values_lie_in_many_octaves(n_batches):
    rng = np.random.default_rng(0)
    n_classes, n_filters = 700, 80  # 47 MB with 104 bins
    values = of_scale(rng, (30, 2, 2, n_filters), (-30, 30), (-1, 1))
    labels = rng.integers(0, n_classes, size=30)
    histogram = Histogram.of_size(n_classes, n_filters, bits=COARSEST)
    for part in np.array_split(np.arange(30), n_batches):
        piece = values[part]
        histogram = histogram.add(Batch(piece, labels[part], Pooled.from_batch(piece), piece))
    counts, bounds = histogram.arrays().values()
    assert int(histogram.bits) == 0
    assert counts.nbytes <= 1.2 * histogram_bytes(n_classes, n_filters, COARSEST)
    assert "1 bin an octave; quantiles within 50.000% of their value" in histogram.bins.words
    whole = Histogram.from_batch(values, labels, n_classes=n_classes, bits=COARSEST)
    assert_array_equal(counts, whole.arrays()["histogram"])
    assert histogram.counts.nbytes <= 1.2 * histogram_bytes(n_classes, n_filters, COARSEST)
    places = np.searchsorted(bounds[0], values, side="right") - 1
    assert ((values >= bounds[0][places]) & (values <= bounds[1][places])).all()
    expected = np.zeros_like(counts)
    columns = np.broadcast_to(np.arange(n_filters), values.shape)
    classes = np.broadcast_to(labels[:, None, None, None], values.shape)
    np.add.at(expected, (classes, columns, places), 1)
    assert_array_equal(counts, expected)


def test_a_layer_takes_bins_only_where_its_values_lie():
    values = np.maximum(np.random.default_rng(0).normal(size=(50, 8, 8, 4)), 0).astype(np.float32)
    histogram = Histogram.from_batch(values, np.zeros(50, int), n_classes=1)
    low, high = histogram.arrays()["bin_bounds"]
    positive = values[values > 0]
    assert low[0] == high[0] == 0, "a ReLU leaves no negative values"
    assert positive.min() / 2 < low[1] <= positive.min()
    assert positive.max() <= high[-1] < 2 * positive.max()


@given(batches(finite=False))
def test_the_share_of_zeros_is_that_of_all_values_of_a_filter(batch):
    values, labels, _ = batch
    share = Moments.from_batch(values, labels, n_classes=N_CLASSES).zero_share()
    assert_allclose(share, (values == 0).mean(axis=(0, 1, 2)), rtol=1e-12)
    assert np.isnan(Moments.empty(Extent(N_CLASSES, (1, 1, 2))).zero_share()).all()


def test_counts_of_moments_are_integers_and_what_was_not_seen_is_none():
    moments_of_one = Moments.from_batch(np.ones((2, 1, 1, 3)), np.array([1, 1]), n_classes=2)
    for some in (
        Moments.empty(Extent(2, (1, 1, 3))),
        moments_of_one,
        moments_of_one.merge(moments_of_one),
    ):
        for name in ("n_values", "n_zero", "n_nonfinite"):
            assert getattr(some, name).dtype == np.int64
    read = statistics_of(moments_of_one)
    for name in ("mean", "std", "min", "max", "zero_fraction"):
        assert_array_equal(np.isnan(read[name]), [[True] * 3, [False] * 3])
    assert_array_equal(read["n_values"], [[0] * 3, [2] * 3])


def test_values_whose_squares_are_not_finite_have_their_moments_without_a_warning():
    values = np.array([1e200, -1e200, 3e200, np.inf]).reshape(1, 2, 2, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pooled = Pooled.from_batch(values)
    assert (pooled.n_values, pooled.min, pooled.max) == (3, -1e200, 3e200)
    assert_allclose(pooled.mean, 1e200)


def test_a_quantile_of_nothing_is_none():
    counts = Histogram.of_size(2, 1).counts
    counts[1, 0, Bins(4).zero] = 3
    low, high = np.array([[np.inf], [0.0]]), np.array([[-np.inf], [0.0]])
    for level in (0.0, 0.5, 1.0):
        got = quantiles(counts, Bins(4).bounds, low, high, level=level)
        assert_array_equal(got, [[np.nan], [0.0]])


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_bins_cover_every_float_once_and_zero_has_its_own(bits):
    bins = Bins(bits, (0, 255), (0, 255))
    low, high = bins.bounds
    assert len(low) == bins.count
    assert_array_equal(
        np.nextafter(high[:-1], np.float32(np.inf))[low[1:] != 0], low[1:][low[1:] != 0]
    )
    assert low[bins.zero] == high[bins.zero] == 0
    assert low[0] == -high[-1] == np.finfo(np.float32).min
    edges = np.array([0.0, -0.0, 1e-40, -1e-40, 2**-24, -(2**-24), 1, -1, 2**24, 3e38], np.float32)
    histogram = Histogram.from_batch(
        edges.reshape(1, -1, 1, 1), np.array([0]), n_classes=1, bits=bits
    )
    counts, (low, _) = histogram.arrays().values()
    places = np.searchsorted(low, edges, side="right") - 1
    assert_array_equal(counts[0, 0], np.bincount(places, minlength=len(low)))
    assert counts[0, 0, low == 0] == 2


@given(batches(finite=False))
def test_rounding_of_any_split_equals_that_of_the_whole(batch):
    def rounding(values):
        exact = values.astype(np.float32)
        with np.errstate(over="ignore"):
            return Rounding.of(exact, exact.astype(np.float16))

    parts = [rounding(values) for values, _ in pieces(*batch)]
    merged, whole = reduce(Rounding.merge, parts, Rounding.zero()), rounding(batch[0])
    assert merged.largest_error == whole.largest_error
    assert merged.n_overflow == whole.n_overflow


@given(batches())
def test_all_sums_of_a_layer_survive_being_saved_and_merged(batch):
    values, labels, _ = batch
    values = values.astype(np.float32)

    def sums(piece, of_labels):
        accumulators = LayerAccumulators.empty(extent)
        with np.errstate(over="ignore"):
            rounded = piece.astype(np.float16)
        accumulators.add(Batch(piece, of_labels, Pooled.from_batch(piece), rounded))
        return accumulators

    extent = Extent(N_CLASSES, values.shape[1:], bin_bits=2, float16=True)
    nothing = LayerAccumulators.empty(extent)
    parts = [sums(*piece) for piece in pieces(values, *batch[1:])]
    saved = [nothing.restored({k: v.copy() for k, v in part.state().items()}) for part in parts]
    merged, whole = (
        reduce(LayerAccumulators.merge, saved, nothing).arrays(),
        sums(values, labels).arrays(),
    )
    assert merged.keys() == whole.keys()
    # A standard deviation beside a mean of 1e6 is known to what is left of 16 digits.
    unsure = 1e-6 * max(1.0, float(np.abs(values).max()))
    for path in whole:
        if whole[path].dtype.kind == "i":
            assert_array_equal(merged[path], whole[path])
        else:
            assert_allclose(merged[path], whole[path], rtol=1e-6, atol=unsure)


def test_a_kernel_whose_machine_code_cannot_be_kept_is_compiled_anew_and_it_is_logged(caplog):
    names: dict = {}
    exec("def double(values):\n    values[:] *= 2", names)  # from no file: nothing lies beside it
    values = np.ones(3)
    with caplog.at_level("INFO"):
        compiled(names["double"])(values)
    assert_array_equal(values, [2, 2, 2])
    assert "the statistics are compiled anew in each run" in caplog.text
