"""Neighbors and outliers of samples, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.factories import count
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neighbors import NearestNeighbors

from fmcore.errors import SelectionError
from fmcore.statistics import RowTable, nearest, outliers, sample_neighbors, sample_space, space_of


def clouds(n: int, n_columns: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(4, n_columns)) * 9
    points = middles[rng.integers(0, 4, size=n)] + rng.normal(size=(n, n_columns)) + 1000
    return points.astype(np.float32)


def by_sklearn(table: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    values = table.astype(np.float64)
    exact = NearestNeighbors(n_neighbors=k, algorithm="kd_tree").fit(values)
    return exact.kneighbors()  # without themselves


@pytest.mark.share
def test_neighbors_and_outliers_are_those_of_scikit_learn(monkeypatch):
    monkeypatch.setattr(sample_space, "ROWS_BYTES", 3000)  # several blocks
    monkeypatch.setattr(sample_neighbors, "BLOCK_BYTES", 20_000)
    for seed in range(count(8, 200)):
        rng = np.random.default_rng(seed)
        n, n_columns, k = rng.integers(20, 200), rng.integers(1, 20), int(rng.integers(1, 15))
        table = clouds(n, n_columns, seed)
        distances, indices = by_sklearn(table, k)
        space = space_of(RowTable.of(table))
        for sample in rng.integers(0, n, size=3).tolist():
            near = nearest(space, sample, k)
            assert_allclose(near.distances, distances[sample], rtol=1e-9, atol=1e-9)
            own = np.linalg.norm(table[near.samples].astype(float) - table[sample], axis=1)
            assert_allclose(own, distances[sample], rtol=1e-9, atol=1e-9)
            if len(set(distances[sample])) == k:
                assert_array_equal(near.samples, indices[sample])
        apart = outliers(space, k)
        assert apart.n_compared == n
        assert_allclose(apart.distances, distances[:, -1], rtol=1e-9, atol=1e-9)
        order = apart.order()
        assert_array_equal(order, np.argsort(-apart.distances, kind="stable"))
        assert [apart.rank(at) for at in order[:5].tolist()] == [1, 2, 3, 4, 5]


def test_equal_samples_are_neighbors_by_index_and_none_is_its_own():
    table = np.float32([[0], [5], [0], [0], [5]])
    space = space_of(RowTable.of(table))
    near = nearest(space, 2, 3)
    assert (near.samples.tolist(), near.distances.tolist()) == ([0, 3, 1], [0, 0, 5])
    apart = outliers(space, 2)
    assert apart.distances.tolist() == [0, 5, 0, 0, 5]
    assert apart.order().tolist() == [1, 4, 0, 2, 3]
    assert [apart.rank(sample) for sample in range(5)] == [3, 1, 4, 5, 2]


def test_more_neighbors_than_there_are_samples_are_all_others():
    space = space_of(RowTable.of(np.float32([[0], [1], [3]])))
    assert nearest(space, 0, 100).samples.tolist() == [1, 2]
    assert outliers(space, 100).distances.tolist() == [3, 2, 3]
    alone = space_of(RowTable.of(np.float32([[7]])))
    assert len(nearest(alone, 0).samples) == 0
    assert (outliers(alone).distances.tolist(), outliers(alone).rank(0)) == ([0], 1)


def test_a_sample_with_a_value_that_is_not_finite_is_near_to_none():
    table = clouds(30, 3, 0)
    table[4, 1] = np.nan
    space = space_of(RowTable.of(table))
    with pytest.raises(SelectionError, match="sample 4 has no neighbors"):
        nearest(space, 4)
    assert 4 not in nearest(space, 5, 29).samples
    apart = outliers(space)
    assert np.isnan(apart.distances[4])
    assert 4 not in apart.order()
    assert len(apart.order()) == 29
    with pytest.raises(SelectionError, match="sample 4 has no neighbors"):
        apart.rank(4)


def test_of_too_many_samples_each_is_compared_with_those_that_a_seed_chooses(monkeypatch):
    monkeypatch.setattr(sample_neighbors, "MOST_PAIRS", 900 * 300)
    table = clouds(900, 5, 0)
    table[123] += 40  # far from all
    apart = outliers(space_of(RowTable.of(table)))
    assert apart.n_compared == 300
    assert apart.order()[0] == 123
    compared = np.sort(np.random.default_rng(0).choice(900, 300, replace=False))
    others = table[compared].astype(float)
    differences = table[:, np.newaxis].astype(float) - others
    squares = (differences**2).sum(axis=2)
    squares[compared, np.arange(300)] = np.inf
    assert_allclose(apart.distances, np.sqrt(np.sort(squares, axis=1)[:, 9]), rtol=1e-9)
