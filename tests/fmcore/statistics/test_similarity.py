"""Filters and layers of two captures, against numpy.corrcoef and Gram matrices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fmcore.statistics import centered_covariance, cka_between, correlation, match_filters
from fmcore.statistics import similarity as module
from fmcore.statistics.similarity import (
    Covariances,
    blocks,
    cka,
    column_means,
    correlations,
    effective_rank,
    effective_ranks,
)


def table(n: int, filters: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(n, 3)) @ rng.normal(size=(3, filters)) + rng.random((n, filters))
    ).astype(np.float32)


@pytest.mark.parametrize("filters", [(5, 5), (7, 3), (3, 7), (1, 1)])
def test_the_match_is_the_largest_of_numpys_correlations(filters):
    first, second = table(90, filters[0], 0), table(90, filters[1], 1)
    expected = np.corrcoef(first.astype(float).T, second.astype(float).T)[
        : filters[0], filters[0] :
    ]
    matches = match_filters(first, second)
    assert_allclose(matches.correlation, expected, rtol=1e-5, atol=1e-6)
    assert_array_equal(matches.best, expected.argmax(axis=1))
    assert_allclose(matches.r(matches.best), expected.max(axis=1), rtol=1e-5)


def test_each_filter_is_found_again_whatever_its_place_scale_and_offset():
    first = table(200, 12, 2)
    order = np.random.default_rng(0).permutation(12)
    matches = match_filters(first, first[:, order] * 3 + 100)
    assert_array_equal(order[matches.best], np.arange(12))
    assert_array_equal(matches.one_to_one, matches.best)
    assert_allclose(matches.r(matches.best), 1, atol=1e-6)


@pytest.mark.parametrize("filters", [(4, 4), (5, 3), (3, 5)])
def test_one_to_one_is_the_best_of_all_assignments(filters):
    matches = match_filters(table(60, filters[0], 3), table(60, filters[1], 4))
    partners = matches.one_to_one[matches.one_to_one >= 0]
    assert len(partners) == len(set(partners.tolist())) == min(filters)
    r = matches.correlation if filters[0] <= filters[1] else matches.correlation.T
    best = max(
        sum(r[row, column] for row, column in enumerate(columns))
        for columns in itertools.permutations(range(r.shape[1]), r.shape[0])
    )
    assert np.nansum(matches.r(matches.one_to_one)) == pytest.approx(best, rel=1e-5)


def test_dead_and_broken_filters_match_nothing():
    first, second = table(50, 4, 5), table(50, 4, 6)
    first[:, 1] = 0
    first[3, 2] = np.inf
    second[:, 0] = 7
    second[9, 3] = np.nan
    matches = match_filters(first, second)
    assert np.isnan(matches.correlation[1:3]).all()
    assert np.isnan(matches.correlation[:, [0, 3]]).all()
    assert_array_equal(matches.best[1:3], -1)
    assert_array_equal(matches.one_to_one[1:3], -1)
    assert set(matches.best[[0, 3]]) <= {1, 2}
    assert sorted(matches.one_to_one[[0, 3]]) == [1, 2]
    assert_array_equal(np.isnan(matches.r(matches.best)), [False, True, True, False])
    nothing = match_filters(np.zeros((5, 3), np.float32), second[:5])
    assert_array_equal([nothing.best, nothing.one_to_one], -1)


def gram_cka(x: np.ndarray, y: np.ndarray) -> float:
    """With centered Gram matrices, equation (2) and (3) of Kornblith et al. 2019."""
    center = np.eye(len(x)) - 1 / len(x)
    k, other = (
        center @ values @ values.T @ center for values in (x.astype(float), y.astype(float))
    )
    return np.trace(k @ other) / np.sqrt(np.trace(k @ k) * np.trace(other @ other))


@pytest.mark.parametrize("n", [6, 80])  # fewer samples than filters, and more
def test_cka_is_that_of_gram_matrices(n):
    first = [table(n, filters, seed) for seed, filters in enumerate((9, 4))]
    second = [table(n, filters, seed) for seed, filters in enumerate((8, 30, 5), start=7)]
    expected = [[gram_cka(x, y) for y in second] for x in first]
    assert_allclose(cka_between(first, second), expected, rtol=1e-5)


def test_cka_is_one_up_to_rotation_and_scale_and_leaves_out_what_does_not_vary():
    x = table(100, 6, 1)
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))[0]
    dead = np.column_stack([x, np.zeros(100), np.full(100, np.nan)]).astype(np.float32)
    other = [(x @ turn * 5).astype(np.float32), dead, np.zeros((100, 2), np.float32)]
    assert_allclose(cka_between([x], other), [[1, 1, np.nan]], rtol=1e-5)
    assert cka_between([], other).shape == (0, 3)
    assert cka_between([], []).shape == (0, 0)


def test_other_samples_are_refused():
    with pytest.raises(ValueError, match="different samples"):
        match_filters(table(5, 2, 0), table(6, 2, 0))
    with pytest.raises(ValueError, match=r"\[5, 6\]"):
        cka_between([table(5, 2, 0)], [table(6, 2, 0)])


def test_a_store_beside_itself_has_its_own_numbers(store):
    tables = [layer.pooled("mean")[...] for layer in store.layers.values()]
    assert_allclose(cka_between(tables, tables), store.similarity("cka_mean"), rtol=1e-5)
    for layer, values in zip(store.layers.values(), tables, strict=True):
        assert_allclose(
            match_filters(values, values).correlation,
            layer.statistic("correlation_mean"),
            atol=2e-6,
        )


@pytest.mark.parametrize("n_samples", [1, 6, 7, 8, 50])
@pytest.mark.parametrize("row_bytes", [1, 8 * 3 * 7, 1 << 20])
def test_blocks_are_all_rows_once_in_order_and_no_larger_than_stated(
    monkeypatch, row_bytes, n_samples
):
    monkeypatch.setattr(module, "ROWS_BYTES", row_bytes)
    parts = [np.arange(n_samples)[rows] for rows in blocks(3, n_samples)]
    assert_array_equal(np.concatenate(parts), np.arange(n_samples))
    most = max(1, row_bytes // (8 * 3))
    assert all(0 < len(part) <= most for part in parts)
    assert all(len(part) == most for part in parts[:-1])


@pytest.mark.parametrize("row_bytes", [1, 8 * 5 * 7, 1 << 20])
def test_tables_taken_in_blocks_give_numpys_numbers(monkeypatch, row_bytes):
    monkeypatch.setattr(module, "ROWS_BYTES", row_bytes)
    tables = [table(50, filters, seed) for seed, filters in enumerate((5, 3))]
    tables[1][:, 1] = 4
    readers = [(values.shape[1], values.__getitem__) for values in tables]
    result = Covariances.of(readers, 50)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = [np.corrcoef(values.astype(float).T) for values in tables]
    for found, r in zip(correlations(result), expected, strict=True):
        assert found.dtype == np.float32
        assert_allclose(found, r, rtol=1e-5, atol=1e-6)
    varying = [tables[0], tables[1][:, [0, 2]]]
    expected = [[gram_cka(x, y) for y in varying] for x in varying]
    assert_allclose(cka(result), expected, rtol=1e-6)
    for found, values in zip(effective_ranks(result), varying, strict=True):
        singular = np.linalg.svd(values - values.mean(axis=0, dtype=float), compute_uv=False)
        shares = singular / singular.sum()
        assert found == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-6)
    matches = match_filters(*tables)
    together = np.corrcoef(tables[0].astype(float).T, varying[1].astype(float).T)[:5, 5:]
    assert_allclose(matches.correlation[:, [0, 2]], together, rtol=1e-5, atol=1e-6)


def test_the_mean_of_a_column_that_does_not_vary_or_is_not_finite_is_none():
    values = table(20, 6, 3)
    values[:, 1] = 7
    values[4, 2], values[5, 3], values[6, 4] = np.nan, np.inf, -np.inf
    means = column_means(6, values.__getitem__, 20)
    assert_array_equal(np.isnan(means), [False, True, True, True, True, False])
    assert_allclose(means[[0, 5]], values[:, [0, 5]].mean(axis=0, dtype=float), rtol=1e-12)


def test_a_covariance_is_that_of_numpy_times_the_number_of_others():
    values = table(30, 4, 9)
    values[:, 2] = 1
    covariance = centered_covariance(values)
    assert_allclose(covariance, np.cov(values.astype(float).T) * 29, rtol=1e-9, atol=1e-12)
    r = correlation(covariance)
    assert_array_equal(np.diag(r), np.array([1, 1, np.nan, 1], np.float32))
    assert np.isnan(r[2]).all()
    assert np.isnan(r[:, 2]).all()


def test_a_correlation_is_never_beyond_one():
    beyond = np.array([[1.0, 1.1, -1.1], [1.1, 1.0, 0], [-1.1, 0, 1.0]])
    assert_array_equal(
        correlation(beyond), np.array([[1, 1, -1], [1, 1, 0], [-1, 0, 1]], np.float32)
    )


def test_the_effective_rank_is_that_of_filters_that_vary():
    assert effective_rank(np.diag([4.0, 4.0, 4.0])) == pytest.approx(3)
    assert effective_rank(np.diag([4.0, 0.0, 4.0])) == pytest.approx(2)
    assert effective_rank(np.ones((3, 3))) == pytest.approx(1, rel=1e-6)
    assert np.isnan(effective_rank(np.zeros((2, 2))))
    # Shares of singular values, which are roots of the eigenvalues: 2/3 and 1/3.
    expected = np.exp(-(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3)))
    assert effective_rank(np.diag([4.0, 1.0])) == pytest.approx(expected)
