"""Summaries of filters, and the strongest of them, against numpy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.factories import count
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA

from fmcore.statistics import (
    N_COLORS,
    ColorBasis,
    Summary,
    color_basis,
    largest_values,
    n_shown,
    strongest_filters,
    summary_colors,
    summary_map,
)

# Of pixels, and of filters, without a finite value.
EMPTY = pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:All-NaN slice")
REFERENCES = {
    Summary.MEAN: lambda maps: np.nanmean(maps, axis=2),
    Summary.ABS: lambda maps: np.nanmean(np.abs(maps), axis=2),
    Summary.MAX: lambda maps: np.nanmax(maps, axis=2),
}


def random_maps(seed: int) -> np.ndarray:
    """Maps of any shape, on any scale, some of them with values that are not finite."""
    rng = np.random.default_rng(seed)
    shape = (*rng.integers(1, 8, size=2), rng.integers(1, 40))
    maps = (rng.normal(size=shape) * 10.0 ** rng.integers(-6, 6)).astype(np.float32)
    if rng.random() < 0.5:
        maps = np.maximum(maps, 0)
    if rng.random() < 0.4:
        maps[rng.random(shape) < 0.1] = rng.choice([np.nan, np.inf, -np.inf])
    return maps


def cut(maps: np.ndarray, seed: int) -> list[np.ndarray]:
    """Maps as blocks of some filters after the others."""
    places = np.random.default_rng(seed).integers(1, maps.shape[2] + 1, size=3)
    return [part for part in np.split(maps, np.sort(places), axis=2) if part.shape[2]]


@pytest.mark.share
@EMPTY
@pytest.mark.parametrize("by", list(REFERENCES))
def test_a_summary_is_what_numpy_makes_of_the_finite_values(by):
    for seed in range(count(60, 3000)):
        maps = random_maps(seed)
        finite = np.where(np.isfinite(maps), maps, np.nan).astype(np.float64)
        expected = REFERENCES[by](finite)
        summary = summary_map([maps], by)
        assert summary.dtype == np.float32
        tolerance = 1e-6 * np.nanmax(np.abs(finite), initial=0)
        assert_allclose(summary[:, :, 0], expected, rtol=1e-6, atol=tolerance)


@pytest.mark.share
@pytest.mark.parametrize("by", list(Summary))
def test_filters_in_any_blocks_give_the_summary_of_them_all(by):
    for seed in range(count(30, 1000)):
        maps = random_maps(seed)
        basis = color_basis(maps.reshape(-1, maps.shape[2]), n_samples=1)
        whole = summary_map([maps], by, basis)
        scale = np.abs(np.nan_to_num(whole)).max(initial=0)
        parts = summary_map(cut(maps, seed), by, basis)
        assert_allclose(parts, whole, rtol=1e-6, atol=1e-6 * scale)


@pytest.mark.parametrize("n_filters", [1, 2, 3, 20, 300, 700])
def test_components_are_those_of_scikit_learn(n_filters):
    rng = np.random.default_rng(n_filters)
    mixed = rng.normal(size=(5, n_filters)) * np.array([9, 5, 3, 1, 0.5])[:, None]
    pixels = (rng.normal(size=(400, 5)) @ mixed + rng.normal(size=n_filters)).astype(np.float32)
    n = min(N_COLORS, n_filters)
    expected = PCA(n, svd_solver="full").fit(pixels.astype(np.float64))
    basis = color_basis(pixels, n_samples=7)
    assert (basis.n_components, basis.n_samples) == (n, 7)
    assert_allclose(basis.mean, expected.mean_, rtol=1e-10, atol=1e-12)
    assert_allclose(basis.shares, expected.explained_variance_ratio_, rtol=1e-8)
    signs = np.sign(np.sum(basis.weights * expected.components_.T, axis=0))
    assert_allclose(basis.weights * signs, expected.components_.T, atol=1e-7)
    largest = np.abs(basis.weights).argmax(axis=0)
    assert (basis.weights[largest, np.arange(n)] > 0).all()

    maps = pixels[:200].reshape(10, 20, n_filters)
    scores = summary_map([maps], Summary.PCA, basis)
    reference = (expected.transform(pixels[:200].astype(np.float64)) * signs).reshape(10, 20, n)
    assert_allclose(scores[:, :, :n], reference, rtol=1e-5, atol=1e-5 * np.abs(reference).max())
    assert not scores[:, :, n:].any()
    spans = np.percentile(expected.transform(pixels.astype(np.float64)) * signs, [1, 99], axis=0)
    assert_allclose([basis.low, basis.high], spans, rtol=1e-6, atol=1e-8 * np.abs(spans).max())


def test_components_are_the_same_each_time():
    pixels = np.random.default_rng(0).normal(size=(300, 400)).astype(np.float32)
    first, second = (color_basis(pixels, n_samples=1) for _ in range(2))
    assert_array_equal(first.weights, second.weights)


def test_filters_that_never_vary_have_no_component_and_one_color():
    for pixels in (np.zeros((50, 8), "f4"), np.full((50, 8), 0.1, "f4")):
        basis = color_basis(pixels, n_samples=1)
        assert basis.n_components == 0
        scores = summary_map([pixels.reshape(5, 10, 8)], Summary.PCA, basis)
        assert not scores.any()
        assert (summary_colors(scores, basis) == 0.5).all()


def test_a_value_that_is_not_finite_counts_as_the_mean_of_its_filter():
    pixels = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    holes = np.random.default_rng(1).random(pixels.shape) < 0.05
    bad = np.where(holes, np.float32(np.inf), pixels)
    bad[:, 5] = np.nan
    filled = np.where(holes, np.nan, pixels).astype(np.float64)
    filled[:, 5] = 0
    filled = np.where(np.isnan(filled), np.nanmean(filled, axis=0), filled)
    basis = color_basis(bad, n_samples=1)
    expected = PCA(3, svd_solver="full").fit(filled)
    assert_allclose(basis.shares, expected.explained_variance_ratio_, rtol=1e-6)
    assert not basis.weights[5].any()
    scores = summary_map([bad.reshape(10, 20, 6)], Summary.PCA, basis)
    reference = (filled - basis.mean) @ basis.weights
    assert_allclose(scores.reshape(-1, 3), reference, atol=1e-5)


def test_colors_span_one_to_ninety_nine_per_cent_of_each_component():
    basis = ColorBasis(
        np.zeros(2), np.eye(2), np.array([0.7, 0.3]), np.array([-1.0, 0]), np.array([3.0, 0]), 1
    )
    scores = np.array([[[1, 0.5, 0], [-2, -9, 0], [9, np.nan, 0]]], np.float32)
    expected = [[[0.5, 0.5, 0.5], [0, 0, 0.5], [1, np.nan, 0.5]]]
    assert_allclose(summary_colors(scores, basis), expected)


def test_the_strongest_are_nearest_the_top_of_their_own_range():
    largest = np.array([5, 9, 0.5, np.nan, 2, 1], np.float32)
    low = np.array([0, 0, -1, 0, 2, np.nan])
    high = np.array([10, 10, 0.5, 1, 2, np.nan])
    assert strongest_filters(largest, low, high, 9).tolist() == [2, 1, 0]
    assert strongest_filters(largest, low, high, 1).tolist() == [2]


@pytest.mark.share
@EMPTY
def test_largest_values_are_numpys():
    for seed in range(count(40, 1000)):
        maps = random_maps(seed)
        finite = np.where(np.isfinite(maps), maps, np.nan)
        assert_array_equal(largest_values(maps), np.nanmax(finite, axis=(0, 1)))


def test_of_a_small_model_all_filters_are_in_the_picture():
    assert n_shown([16, 32]) == 48
    assert n_shown([64]) == 64
    assert n_shown([64, 1]) == 8
