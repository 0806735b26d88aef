"""Filters and layers of two captures, against numpy.corrcoef and Gram matrices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fmcore.statistics import (
    MATRIX_FILTERS,
    SIMILAR,
    RowTable,
    cka_between,
    correlation_matrix,
    correlation_rows,
    match_filters,
)
from fmcore.statistics import similarity as module
from fmcore.statistics.similarity import (
    blocks,
    cka,
    column_means,
    correlations,
    effective_rank,
    effective_ranks,
    overlaps,
    similar_arrays,
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
@pytest.mark.parametrize("product_bytes", [1, 8 * 2 * 50 * 7, 1 << 20])
def test_tables_taken_in_blocks_give_numpys_numbers(monkeypatch, row_bytes, product_bytes):
    monkeypatch.setattr(module, "ROWS_BYTES", row_bytes)
    monkeypatch.setattr(module, "PRODUCT_BYTES", product_bytes)
    values = [table(50, filters, seed) for seed, filters in enumerate((5, 3))]
    values[1][:, 1] = 4
    tables = [RowTable.of(each) for each in values]
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = [np.corrcoef(each.astype(float).T) for each in values]
    for got, r in zip(correlations(tables), expected, strict=True):
        assert got.dtype == np.float32
        assert_allclose(got, r, rtol=1e-5, atol=1e-6)
    varying = [values[0], values[1][:, [0, 2]]]
    expected = [[gram_cka(x, y) for y in varying] for x in varying]
    assert_allclose(cka(tables), expected, rtol=1e-6)
    for got, each in zip(effective_ranks(tables), varying, strict=True):
        assert got == pytest.approx(numpys_effective_rank(each), rel=1e-6)
    matches = match_filters(*values)
    together = np.corrcoef(values[0].astype(float).T, varying[1].astype(float).T)[:5, 5:]
    assert_allclose(matches.correlation[:, [0, 2]], together, rtol=1e-5, atol=1e-6)


def numpys_effective_rank(values: np.ndarray) -> float:
    singular = np.linalg.svd(values - values.mean(axis=0, dtype=float), compute_uv=False)
    shares = singular[singular > 0] / singular.sum()
    return np.exp(-(shares * np.log(shares)).sum())


@pytest.mark.parametrize("is_gram", [True, False])
@pytest.mark.parametrize("n", [7, 40])
@pytest.mark.parametrize("product_bytes", [1, 8 * 3 * 40 * 3, 1 << 20])
def test_overlaps_by_samples_and_by_filters_are_those_of_numpy(
    monkeypatch, is_gram, n, product_bytes
):
    monkeypatch.setattr(module, "PRODUCT_BYTES", product_bytes)
    monkeypatch.setattr(module, "ROWS_BYTES", 8 * 90 * 3)
    monkeypatch.setattr(module, "_is_gram_cheaper", lambda *_: is_gram)
    values = [table(n, filters, seed) for seed, filters in enumerate((4, 90, 11))]
    values[1][:, 5], values[2][3, 2] = 7, np.nan
    centered = [each.astype(float) - each.mean(axis=0, dtype=float) for each in values]
    centered[2] = np.delete(centered[2], 2, axis=1)
    expected = [[np.square(x.T @ y).sum() for y in centered] for x in centered]
    tables = [RowTable.of(each) for each in values]
    assert_allclose(overlaps(tables), expected, rtol=1e-9)
    between = overlaps(tables, 1)
    assert_allclose(between[0], expected[0], rtol=1e-9)
    assert_allclose(np.diag(between), np.diag(expected), rtol=1e-9)


@pytest.mark.parametrize(("n", "widths"), [(100, [2048] * 4), (1_000, [16, 32]), (1, [3])])
def test_the_way_to_overlaps_that_takes_less_work_is_taken(n, widths):
    tables = [RowTable(n, width, lambda _: None) for width in widths]
    pairs = list(itertools.combinations_with_replacement(range(len(widths)), 2))
    by_samples = n**2 * sum(widths)
    by_filters = sum(n * widths[one] * widths[other] for one, other in pairs)
    assert module._is_gram_cheaper(tables, pairs) == (by_samples < by_filters)


@pytest.mark.parametrize(("n", "filters"), [(30, 80), (80, 30)])
def test_the_effective_rank_is_numpys_with_more_filters_and_with_more_samples(n, filters):
    values = table(n, filters, 1)
    values[:, 4] = 1
    ranks = effective_ranks([RowTable.of(values)])
    assert ranks == pytest.approx(numpys_effective_rank(np.delete(values, 4, axis=1)), rel=1e-6)


@pytest.mark.parametrize("product_bytes", [1, 8 * 70 * 9, 1 << 20])
def test_similar_filters_are_those_with_numpys_largest_correlations(monkeypatch, product_bytes):
    monkeypatch.setattr(module, "PRODUCT_BYTES", product_bytes)
    values = table(40, 70, 2)
    values[:, 9], values[:, 30], values[:, 31] = 5, -values[:, 29], values[:, 29]
    arrays = similar_arrays(RowTable.of(values))
    filters, r = arrays["similar_filter"], arrays["similar_r"]
    assert filters.shape == r.shape == (70, SIMILAR)
    assert (filters.dtype, r.dtype) == (np.int32, np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = np.corrcoef(values.astype(float).T)
    for index in range(70):
        if index == 9:
            assert (filters[9] == -1).all()
            assert np.isnan(r[9]).all()
            continue
        others = [each for each in range(70) if each not in (index, 9)]
        sizes = np.sort(np.abs(expected[index, others]))[::-1]
        assert_allclose(np.abs(r[index]), sizes[:SIMILAR], rtol=1e-5)
        assert_allclose(r[index], expected[index, filters[index]], rtol=1e-5)
        assert len(set(filters[index].tolist()) - {index, 9}) == SIMILAR
    assert filters[29, :2].tolist() == [30, 31]  # both of size 1: by index
    assert r[29, :2].tolist() == [-1, 1]


def test_where_few_filters_vary_a_filter_is_similar_to_these_only():
    values = np.ones((10, 70), np.float32)
    values[:, [3, 60, 61]] = table(10, 3, 0)
    arrays = similar_arrays(RowTable.of(values))
    assert sorted(arrays["similar_filter"][3, :2].tolist()) == [60, 61]
    assert (arrays["similar_filter"][3, 2:] == -1).all()
    assert np.isnan(arrays["similar_r"][3, 2:]).all()


def test_a_matrix_is_made_of_few_filters_and_rows_of_any():
    wide, narrow = (RowTable.of(table(20, n, 1)) for n in (MATRIX_FILTERS + 1, MATRIX_FILTERS))
    matrices = list(correlations([wide, narrow]))
    assert matrices[0] is None
    assert matrices[1].shape == (MATRIX_FILTERS, MATRIX_FILTERS)
    (filters, r), *rest = correlation_rows(wide, np.array([7, 2]))
    assert not rest
    assert filters.tolist() == [7, 2]
    assert_allclose(r, correlation_matrix(wide)[[7, 2]], rtol=1e-6, atol=1e-7)


def test_the_mean_of_a_column_that_does_not_vary_or_is_not_finite_is_none():
    values = table(20, 6, 3)
    values[:, 1] = 7
    values[4, 2], values[5, 3], values[6, 4] = np.nan, np.inf, -np.inf
    means = column_means(6, values.__getitem__, 20)
    assert_array_equal(np.isnan(means), [False, True, True, True, True, False])
    assert_allclose(means[[0, 5]], values[:, [0, 5]].mean(axis=0, dtype=float), rtol=1e-12)


def test_a_product_is_numpys_covariance_times_the_number_of_others():
    values = table(30, 4, 9)
    values[:, 2] = 1
    one = RowTable.of(values)
    covariance = np.cov(values.astype(float).T) * 29
    assert_allclose(one.product(one), covariance, rtol=1e-9, atol=1e-12)
    assert_allclose(one.norms**2, np.diag(covariance), rtol=1e-9, atol=1e-12)
    centered = values - values.mean(axis=0, dtype=float)
    assert_allclose(one.gram(slice(4, 9)), (centered @ centered.T)[4:9, 4:], atol=1e-9)
    r = correlation_matrix(one)
    assert_array_equal(np.diag(r), np.array([1, 1, np.nan, 1], np.float32))
    assert np.isnan(r[2]).all()
    assert np.isnan(r[:, 2]).all()


def test_a_correlation_is_never_beyond_one(monkeypatch):
    one = RowTable.of(table(9, 3, 1))
    beyond = np.array([[1.0, 1.1, -1.1], [1.1, 1.0, 0], [-1.1, 0, 1.0]])
    monkeypatch.setattr(RowTable, "product", lambda *_: beyond)
    monkeypatch.setattr(RowTable, "norms", np.ones(3))
    assert_array_equal(
        correlation_matrix(one), np.array([[1, 1, -1], [1, 1, 0], [-1, 0, 1]], np.float32)
    )


def test_the_effective_rank_is_that_of_filters_that_vary():
    assert effective_rank(np.diag([4.0, 4.0, 4.0])) == pytest.approx(3)
    assert effective_rank(np.diag([4.0, 0.0, 4.0])) == pytest.approx(2)
    assert effective_rank(np.ones((3, 3))) == pytest.approx(1, rel=1e-6)
    assert np.isnan(effective_rank(np.zeros((2, 2))))
    # Shares of singular values, which are roots of the eigenvalues: 2/3 and 1/3.
    expected = np.exp(-(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3)))
    assert effective_rank(np.diag([4.0, 1.0])) == pytest.approx(expected)
