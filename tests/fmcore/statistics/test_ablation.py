"""Costs of filters: paired tests and intervals, against statsmodels and plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.factories import count
from helpers.references import newcombe_limits
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from fmcore.statistics import AnswerSums, answer_sums, costs, output_sums
from fmcore.statistics.ablation import holm, mcnemar_p, newcombe

N_CLASSES = 3


def answers(seed: int, n_samples: int = 60, n_filters: int = 5):
    """Labels, and answers with and without filters that err more or less."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, N_CLASSES, n_samples)
    whole = np.where(rng.random(n_samples) < 0.8, labels, 0)
    without = np.where(rng.random((n_filters, n_samples)) < 0.3, 1, whole)
    p, q = rng.random(n_samples), rng.random((n_filters, n_samples))
    return labels, (whole, p), (without, q)


def sums_of(seed: int) -> AnswerSums:
    return answer_sums(*answers(seed), n_classes=N_CLASSES)


@given(st.integers(0, 1000))
def test_counts_p_and_q_are_those_of_statsmodels(seed):
    labels, (whole, _), (without, _) = answers(seed)
    result = costs(sums_of(seed).together()).row(0)
    expected = []
    for index, row in enumerate(without):
        lost = int(((whole == labels) & (row != labels)).sum())
        gained = int(((whole != labels) & (row == labels)).sum())
        assert (result.n_lost[index], result.n_gained[index]) == (lost, gained)
        assert result.n_changed[index] == (row != whole).sum()
        rest = len(labels) - lost - gained
        expected.append(mcnemar([[rest, lost], [gained, 0]], exact=True).pvalue)
        assert result.accuracy.value[index] == pytest.approx((lost - gained) / len(labels))
    assert_allclose(result.p, expected, rtol=1e-12)
    assert_allclose(result.q, multipletests(expected, method="holm")[1], rtol=1e-12)


@given(st.integers(0, 1000))
def test_mean_changes_are_those_of_statsmodels_over_all_and_in_each_class(seed):
    labels, (_, p), (_, q) = answers(seed)
    sums = sums_of(seed)
    for result, rows in [(costs(sums.together()).row(0), np.ones(len(labels), bool))] + [
        (costs(sums).row(label), labels == label) for label in range(N_CLASSES)
    ]:
        for change, fall in (
            (result.probability, p - q),
            (result.loss, np.log(np.maximum(p, 1e-7)) - np.log(np.maximum(q, 1e-7))),
        ):
            stats = DescrStatsW(fall[:, rows].T)
            assert_allclose(change.value, stats.mean, atol=1e-12)
            low, high = stats.tconfint_mean()
            assert_allclose(change.low, low, atol=1e-9)
            assert_allclose(change.high, high, atol=1e-9)


@given(st.integers(1, 400), st.data())
def test_the_interval_of_paired_shares_is_newcombes(n, data):
    lost = data.draw(st.integers(0, n))
    gained = data.draw(st.integers(0, n - lost))
    both = data.draw(st.integers(0, n - lost - gained))
    change = newcombe(*(np.array([x]) for x in (n, both + lost, lost, gained)))
    low, high = newcombe_limits(n, both + lost, lost, gained)
    # Wilson's limits at 0 and 1 are exact here, and off by rounding there.
    assert_allclose([change.low[0], change.high[0]], [low, high], atol=2e-8)


def test_the_interval_covers_the_true_difference():
    rng = np.random.default_rng(0)
    cells = np.array([0.7, 0.12, 0.05, 0.13])  # both right, lost, gained, both wrong
    tables = rng.multinomial(150, cells, size=count(2000, 50000)).T
    change = newcombe(np.full(tables.shape[1], 150), tables[0] + tables[1], tables[1], tables[2])
    covered = ((change.low <= 0.07) & (change.high >= 0.07)).mean()
    assert 0.93 < covered < 0.98


@given(st.integers(0, 1000), st.integers(1, 4))
def test_blocks_of_filters_are_summed_alike(seed, cut):
    labels, whole, (without, q) = answers(seed)
    parts = [
        answer_sums(labels, whole, (without[rows], q[rows]), n_classes=N_CLASSES)
        for rows in (slice(0, cut), slice(cut, None))
    ]
    joined, expected = AnswerSums.side_by_side(parts), sums_of(seed)
    assert_array_equal(joined.loss_m2, expected.loss_m2)
    assert_array_equal(joined.n_lost, expected.n_lost)


def test_outputs_move_by_the_root_of_the_squares():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, N_CLASSES, 40)
    whole, without = rng.normal(size=(40, 2)), rng.normal(size=(3, 40, 2))
    moved, size = ((without - whole) ** 2).sum(axis=2), (whole**2).sum(axis=1)
    sums = output_sums(labels, size, moved, n_classes=N_CLASSES)
    norm = np.linalg.norm
    expected = [norm(row - whole) / norm(whole) for row in without]
    assert_allclose(costs(sums.together()).row(0).output, expected)
    for label in range(N_CLASSES):
        rows = labels == label
        expected = [norm(row[rows] - whole[rows]) / norm(whole[rows]) for row in without]
        assert_allclose(costs(sums).row(label).output, expected)


def test_classes_without_samples_have_no_costs():
    labels = np.array([0, 0, 2])
    without = (np.array([[1, 0, 2]]), np.full((1, 3), 0.5))
    result = costs(answer_sums(labels, (labels, np.ones(3)), without, n_classes=N_CLASSES))
    assert result.n[:, 0].tolist() == [2, 0, 1]
    assert np.isnan(result.accuracy.value[1, 0])
    assert np.isnan(result.loss.value[1, 0])
    assert result.p[1, 0] == 1
    assert np.isnan(result.loss.low[2, 0])  # one sample does not vary


def test_p_of_nothing_is_one():
    assert mcnemar_p(np.array([0, 5]), np.array([0, 5])).tolist() == [1, 1]
    assert holm(np.zeros((0,))).shape == (0,)
