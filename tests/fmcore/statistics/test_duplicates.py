"""Duplicates over any batches: all that are claimed are true of the whole, and copies are found."""

from __future__ import annotations

import itertools
from functools import reduce

import numpy as np
import pytest
from helpers.batches import batches, pieces
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from fmcore.statistics import DUPLICATE, Batch, Duplicates, Extent, LayerAccumulators, Pooled
from fmcore.statistics.streaming.duplicates import PARTNERS


def batch_of(values: np.ndarray) -> Batch:
    values = values.astype(np.float32)
    return Batch(values, np.zeros(len(values), np.int64), Pooled.from_batch(values), values)


def streamed(values: np.ndarray, cuts=()) -> Duplicates:
    """The duplicates of maps that come in batches, cut at some samples."""
    nothing = Duplicates.empty(Extent(1, values.shape[1:]))
    parts = pieces(values, np.zeros(len(values), int), list(cuts))
    return reduce(lambda total, part: total.add(batch_of(part[0])), parts, nothing)


def correlations(values: np.ndarray) -> np.ndarray:
    """Numpy's, of each filter with those before it; 0 where one is constant."""
    columns = values.astype(np.float32).reshape(-1, values.shape[-1]).astype(np.float64)
    columns -= columns.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(np.tril(np.corrcoef(columns.T), -1))


def layer(seed: int, first: float = 1, n_samples: int = 60, n_filters: int = 20) -> np.ndarray:
    """Sparse maps; from filter 10 on exact, shifted, opposite, nearly equal, rare and dead ones.

    Those of the first third of the samples are multiplied by `first`.
    """
    rng = np.random.default_rng(seed)
    values = np.maximum(rng.normal(size=(n_samples, 6, 5, n_filters)) - 0.5, 0)
    near, far = rng.normal(size=(2, *values.shape[:3])) * values[..., 1].std()
    for maps in (values, near, far):
        maps[: n_samples // 3] *= first
    values[..., 10] = values[..., 0]
    values[..., 11] = 5 * values[..., 0] - 2
    values[..., 12] = -values[..., 0]
    values[..., 13] = values[..., 1] + 0.10 * near  # r = 0.995
    values[..., 14] = values[..., 1] + 0.18 * far  # r = 0.984
    values[..., 15] = 0
    values[n_samples // 2, 2, 3, 15] = 1  # one pixel of one sample
    values[..., 16] = 3 * values[..., 15]
    values[..., 17:19] = [0, 7]
    values[..., 19] = values[..., 2] * (np.arange(n_samples) < n_samples - 1)[:, None, None]
    return values


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("step", [1, 7, 30, 60])
@pytest.mark.parametrize("first", [1, 0.01, 0])
def test_duplicates_of_any_batches_are_those_of_numpy_on_the_whole(seed, step, first):
    values = layer(seed, first)
    r = correlations(values)
    arrays = streamed(values, range(step, len(values), step)).arrays()
    found = np.flatnonzero(arrays["duplicate_of"] >= 0)
    assert_array_equal(found, np.flatnonzero((r > DUPLICATE).any(axis=1)))
    assert {10, 11, 13, 16} <= set(found.tolist())
    assert not {12, 14, 15, 17, 18} & set(found.tolist())
    others = arrays["duplicate_of"][found]
    assert_allclose(arrays["duplicate_r"][found], r[found, others], atol=1e-6)
    assert_allclose(arrays["duplicate_r"][found], r[found].max(axis=1), atol=1e-6)
    assert arrays["duplicate_of"].dtype == np.int32
    assert arrays["duplicate_r"].dtype == np.float32
    assert np.isnan(np.delete(arrays["duplicate_r"], found)).all()


def seen_where_it_first_varies(parts: list[np.ndarray], filter_index: int) -> bool:
    """Whether a filter varies within the first batch that is not like all before it.

    A batch in which it is constant, but not as before, says of no pair whether it is alike.
    """
    before = parts[0][0, 0, 0, filter_index]
    for part in parts:
        if np.ptp(part[..., filter_index]) > 0:
            return True
        if part[0, 0, 0, filter_index] != before:
            return False
    return False


@settings(max_examples=200)
@given(batches(), st.booleans())
def test_all_that_is_claimed_of_any_split_is_true_and_copies_are_found(batch, merge):
    values = batch[0].astype(np.float32)
    values = np.concatenate([values, values[..., ::-1]], axis=-1)  # a copy of each filter
    if values.shape[1] * values.shape[2] == 1:
        values = values.repeat(2, axis=1)
    if merge:
        parts = [streamed(part) for part, _ in pieces(values, *batch[1:])]
        found = reduce(Duplicates.merge, parts).arrays()
    else:
        found = streamed(values, batch[2]).arrays()
    r = correlations(values)
    claimed = np.flatnonzero(found["duplicate_of"] >= 0)
    others = found["duplicate_of"][claimed]
    assert (others < claimed).all()
    assert (r[claimed, others] > DUPLICATE - 1e-6).all()
    parts = [part for part, _ in pieces(values, *batch[1:])]
    copies = np.ptp(values, axis=(0, 1, 2)) > 0
    copies &= [seen_where_it_first_varies(parts, index) for index in range(len(copies))]
    copies[: len(copies) // 2] = False
    if values[..., 0].size >= 10:
        assert (found["duplicate_of"][copies] >= 0).all()
    else:
        assert not len(claimed)


def test_a_run_that_goes_on_from_its_state_has_the_same_bits():
    values = layer(0)
    extent = Extent(1, values.shape[1:])
    whole, first = LayerAccumulators.empty(extent), LayerAccumulators.empty(extent)
    for start, stop in itertools.pairwise((0, 20, 40, 60)):
        whole.add(batch_of(values[start:stop]))
        if stop <= 40:
            first.add(batch_of(values[start:stop]))
    saved = {name: array.copy() for name, array in first.state().items()}
    again = LayerAccumulators.empty(extent).restored(saved)
    again.add(batch_of(values[40:]))
    for name, array in whole.state().items():
        assert_array_equal(again.state()[name], array)


def test_a_filter_with_a_value_that_is_not_finite_repeats_none():
    values = layer(0)
    values[50, 1, 1, 0] = np.nan
    values[3, 2, 2, 13] = np.inf
    found = streamed(values, [10, 40]).arrays()["duplicate_of"]
    assert found[10] == found[13] == -1
    assert found[11] == 10  # both are finite


def test_maps_of_one_pixel_are_left_to_the_pooled_table():
    assert Duplicates.empty(Extent(3, (1, 1, 8))) is None
    assert Duplicates.empty(Extent(3, (1, 2, 8))) is not None


def test_of_many_copies_each_repeats_the_first_and_few_are_followed():
    values = np.random.default_rng(0).normal(size=(12, 4, 4, 1)) * np.ones(700)
    sums = streamed(values, [5])
    assert (sums.partner >= 0).sum() <= PARTNERS * 700
    arrays = sums.arrays()
    assert_array_equal(arrays["duplicate_of"], [-1] + [0] * 699)
    assert_array_equal(arrays["duplicate_r"][1:], 1)


def test_noise_is_no_duplicate_however_few_pixels_a_batch_has():
    values = np.random.default_rng(0).normal(size=(40, 2, 1, 300))
    assert (streamed(values, range(2, 40, 2)).arrays()["duplicate_of"] == -1).all()


def test_a_constant_beside_a_large_one_does_not_vary_by_rounding():
    values = np.full((30, 3, 3, 3), 0.1)
    values[..., 1] = 1e6 / 3
    sums = streamed(values, range(7, 30, 7))
    assert not sums.m2.any()
    assert (sums.arrays()["duplicate_of"] == -1).all()


def test_a_pair_is_given_up_where_it_is_far_from_a_duplicate_and_sooner_after_many_samples():
    rng = np.random.default_rng(0)
    first, near, far = rng.normal(size=(3, 1_500, 2, 2, 1))
    values = np.concatenate([first, first + 0.3 * near, first + 0.6 * far], axis=-1)
    assert correlations(values)[1:, 0].round(2).tolist() == [0.96, 0.86]
    few, many = streamed(values[:900], [300, 600]), streamed(values, range(300, 1_500, 300))
    assert (few.partner >= 0).sum(axis=0).tolist() == [0, 1, 0]
    assert not (many.partner >= 0).any()
