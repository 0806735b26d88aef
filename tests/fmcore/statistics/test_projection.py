"""The map of samples by principal components, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.factories import count
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from fmcore.statistics import RowTable, Scale, project, projection, sample_space, space_of


def projected(table: np.ndarray, scale: Scale = Scale.NONE):
    return project(space_of(RowTable.of(table), scale))


def random_table(seed: int) -> np.ndarray:
    """Activations of any shape on any scale, whose columns vary by themselves and together."""
    rng = np.random.default_rng(seed)
    n, n_columns = rng.integers(3, 300), rng.integers(2, 40)
    mixed = rng.normal(size=(n, n_columns)) @ rng.normal(size=(n_columns, n_columns))
    table = (mixed + rng.normal(size=n_columns) * 5) * 10.0 ** rng.integers(-4, 5)
    return np.maximum(table, 0 if rng.random() < 0.5 else -np.inf).astype(np.float32)


def by_sklearn(table: np.ndarray):
    exact = PCA(2, svd_solver="full").fit(table.astype(np.float64))
    return exact.transform(table.astype(np.float64)), exact.explained_variance_ratio_


@pytest.mark.share
@pytest.mark.parametrize("scale", Scale)
def test_a_map_is_that_of_scikit_learn_up_to_sign(scale, monkeypatch):
    monkeypatch.setattr(sample_space, "ROWS_BYTES", 2000)  # several blocks
    for seed in range(count(30, 1000)):
        table = random_table(seed)
        if scale == Scale.STD:
            expected, shares = by_sklearn(StandardScaler().fit_transform(table.astype(np.float64)))
        else:
            expected, shares = by_sklearn(table)
        result = projected(table, scale)
        signs = np.sign((result.positions * expected).sum(axis=0))
        tolerance = 2e-6 * np.abs(expected).max()
        assert result.positions.dtype == np.float32
        assert_allclose(result.positions * signs, expected, rtol=0, atol=tolerance)
        assert_allclose(result.shares, shares, rtol=1e-9, atol=1e-12)
        assert result.n_fitted == len(table)


def test_more_columns_than_a_matrix_may_have_are_still_exact_for_few_samples(monkeypatch):
    monkeypatch.setattr(projection, "MOST_SIDE", 40)
    table = np.random.default_rng(0).normal(size=(35, 300)).astype(np.float32)
    expected, shares = by_sklearn(table)
    result = projected(table)
    assert_allclose(np.abs(result.positions), np.abs(expected), atol=1e-4)
    assert_allclose(result.shares, shares, rtol=1e-9)
    assert result.n_fitted == 35


@pytest.mark.parametrize(("name", "most"), [("MOST_PRODUCTS", 100 * 12**2), ("MOST_SIDE", 10)])
def test_of_too_much_work_components_are_those_of_evenly_spaced_samples(monkeypatch, name, most):
    monkeypatch.setattr(projection, name, most)
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(1000, 2)) * [5, 2] @ rng.normal(size=(2, 12))
    table = (plane + 0.001 * rng.normal(size=(1000, 12))).astype(np.float32)
    result = projected(table)
    assert result.n_fitted == (100 if name == "MOST_PRODUCTS" else 10)
    # All lie nearly in one plane, which a few of them show: each pair is as far apart as ever.
    spans = np.linalg.norm(result.positions[1:] - result.positions[:-1], axis=1)
    assert_allclose(spans, np.linalg.norm(table[1:] - table[:-1], axis=1), rtol=0.02, atol=0.01)


def test_a_table_that_does_not_vary_lies_in_one_point_and_shows_nothing():
    for scale in Scale:
        result = projected(np.full((20, 3), 0.1, np.float32), scale)
        assert not result.positions.any()
        assert not result.shares.any()
    alone = projected(np.float32([[1, 2, 3]]))
    assert_array_equal(alone.positions, [[0, 0]])
    line = projected(np.arange(5, dtype=np.float32)[:, np.newaxis])
    assert_allclose(line.positions, [[-2, 0], [-1, 0], [0, 0], [1, 0], [2, 0]])
    assert_array_equal(line.shares, [1, 0])


@pytest.mark.parametrize("scale", Scale)
def test_columns_that_are_mostly_not_finite_are_left_out_and_then_samples_without_a_place(scale):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(60, 6)).astype(np.float32)
    table[:31, 1] = np.nan  # more than half
    table[:, 4] = np.inf
    table[[5, 40], [0, 2]] = np.nan, -np.inf
    space = space_of(RowTable.of(table), scale)
    result = project(space)
    has_place = np.ones(60, bool)
    has_place[[5, 40]] = False
    assert_array_equal(np.isnan(result.positions).all(axis=1), ~has_place)
    assert (space.center.n_columns, space.center.n_placed) == (4, 58)
    rest = table[has_place][:, [0, 2, 3, 5]].astype(np.float64)
    expected, shares = by_sklearn(StandardScaler().fit_transform(rest) if scale == "std" else rest)
    assert_allclose(np.abs(result.positions[has_place]), np.abs(expected), atol=1e-5)
    assert_allclose(result.shares, shares, rtol=1e-9)


VALUES = st.one_of(
    st.sampled_from([0.0, 1.0, -3.5, 1e30, -1e-30, np.nan, np.inf, -np.inf]),
    st.floats(width=32),
)


@given(
    table=st.tuples(st.integers(1, 9), st.integers(1, 5)).flatmap(
        lambda shape: arrays(np.float32, shape, elements=VALUES)
    ),
    scale=st.sampled_from(list(Scale)),
)
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_any_table_has_a_map_the_same_each_time(table, scale):
    result, again = projected(table, scale), projected(table, scale)
    assert result.positions.shape == (len(table), 2)
    assert_array_equal(result.positions, again.positions)
    assert (result.shares >= 0).all()
    assert result.shares.sum() <= 1 + 1e-9
