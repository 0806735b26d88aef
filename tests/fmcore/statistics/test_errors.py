"""Laws of what is wrong: confusion of classes, scores with intervals, calibration."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from helpers.factories import count, make_encoded_store, make_target_store
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binomtest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from fmcore import open_store
from fmcore.errors import StatisticNotFoundError
from fmcore.records import Target
from fmcore.statistics import calibration, confused_order, confusion, most_confident, of_samples
from fmcore.statistics.calibration import N_BINS
from fmcore.statistics.proportions import f1_proportion, proportion

# Classes and samples; of the last some classes have no label, or are never predicted.
CASES = [(2, 50), (3, 1), (10, 3000), (200, 300)]


def answers(n_classes: int, n_samples: int, seed: int = 0):
    """Labels, and probabilities that are right now and then."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_classes, size=n_samples)
    scores = rng.normal(size=(n_samples, n_classes))
    scores[np.arange(n_samples), labels] += 2
    probabilities = np.exp(2 * scores)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return labels, probabilities, probabilities.argmax(axis=1)


@pytest.mark.parametrize(("n_classes", "n_samples"), CASES)
def test_counts_and_scores_equal_those_of_scikit_learn(n_classes, n_samples):
    labels, _, predictions = answers(n_classes, n_samples)
    counts = confusion(labels, predictions, n_classes=n_classes)
    every = np.arange(n_classes)
    assert_array_equal(counts.matrix(), metrics.confusion_matrix(labels, predictions, labels=every))
    expected = metrics.precision_recall_fscore_support(
        labels, predictions, labels=every, zero_division=np.nan
    )
    scores = counts.scores()
    for part, values in zip((scores.precision, scores.recall, scores.f1), expected, strict=False):
        assert_allclose(part.value, values, rtol=1e-9)
        is_there = ~np.isnan(values)
        assert (part.low <= part.value + 1e-12)[is_there].all()
        assert (part.high >= part.value - 1e-12)[is_there].all()
        assert np.isnan(part.low[~is_there]).all()
    assert_array_equal(counts.classes.n_label, expected[3])
    assert counts.accuracy().value == metrics.accuracy_score(labels, predictions)


def test_some_classes_of_a_matrix_are_cut_out_of_all_of_it():
    labels, _, predictions = answers(10, 3000)
    counts = confusion(labels, predictions, n_classes=10)
    picks = np.array([7, 2, 9])
    assert_array_equal(counts.matrix(picks), counts.matrix()[np.ix_(picks, picks)])
    assert counts.count(7, 2) == counts.matrix()[7, 2]


def test_pairs_are_the_errors_the_most_frequent_first():
    labels, _, predictions = answers(10, 3000)
    counts = confusion(labels, predictions, n_classes=10)
    pairs = counts.pairs()
    matrix = metrics.confusion_matrix(labels, predictions)
    assert_array_equal(matrix[pairs[:, 0], pairs[:, 1]], pairs[:, 2])
    assert (np.diff(pairs[:, 2]) <= 0).all()
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert pairs[:, 2].sum() == counts.n_wrong == (labels != predictions).sum()
    errors = matrix.sum(0) + matrix.sum(1) - 2 * matrix.diagonal()
    assert counts.worst(1)[0] == errors.argmax()


def test_classes_that_are_confused_stand_side_by_side():
    matrix = np.diag([50] * 6)
    matrix[4, 1] = 9
    matrix[1, 5] = 3
    matrix[0, 3] = 2
    order = confused_order(matrix)
    assert sorted(order) == list(range(6))
    places = {int(name): at for at, name in enumerate(order)}
    assert {places[1], places[4]} == {0, 1}
    assert abs(places[0] - places[3]) == 1
    assert places[2] == 5
    assert_array_equal(confused_order(np.diag([1, 2, 3])), [0, 1, 2])


@pytest.mark.parametrize("n", [1, 2, 7, 60, 1000, 10_000])
def test_intervals_are_those_of_wilson(n):
    right = np.unique([0, 1, n // 3, n // 2, n - 1, n]).astype(np.int64)
    shares = proportion(right, np.full(len(right), n))
    for k, ends in zip(right.tolist(), zip(shares.low, shares.high, strict=True), strict=True):
        expected = binomtest(k, n).proportion_ci(0.95, method="wilson")
        assert_allclose(ends, [expected.low, expected.high], rtol=1e-12, atol=1e-15)
    assert np.isnan(proportion(np.array([0]), np.array([0])).low).all()


@pytest.mark.share
@pytest.mark.parametrize("n_label", [10, 100])
@pytest.mark.parametrize(("recall", "false"), [(0.5, 0.5), (0.98, 0.02), (0.7, 0.02)])
def test_intervals_of_f1_hold_it_in_95_of_100_draws(n_label, recall, false):
    """The delta method holds it in 33 to 95 of 100, most rarely where few are wrong."""
    chances = np.array([recall, 1 - recall, false]) / 10
    rng = np.random.default_rng(0)
    draws = rng.multinomial(10 * n_label, [*chances, 1 - chances.sum()], count(4000, 100_000))
    right, missed, wrong = draws.T[:3]
    scores = f1_proportion(right, right + missed, right + wrong)
    f1 = 2 * recall / (1 + recall + false)
    coverage = ((scores.low <= f1) & (f1 <= scores.high)).mean()
    assert 0.93 < coverage < 0.97


@pytest.mark.parametrize(("n_classes", "n_samples"), [(2, 50), (10, 3000)])
def test_calibration_equals_that_of_scikit_learn(n_classes, n_samples):
    labels, probabilities, predictions = answers(n_classes, n_samples)
    reliability = calibration(of_samples(probabilities, labels, predictions), labels == predictions)
    confidence = probabilities.max(axis=1)
    accuracy, mean = calibration_curve(labels == predictions, confidence, n_bins=N_BINS)
    is_there = reliability.n > 0
    assert_allclose(reliability.accuracy.value[is_there], accuracy, rtol=1e-9)
    assert_allclose(reliability.confidence[is_there], mean, rtol=1e-9)
    assert np.isnan(reliability.confidence[~is_there]).all()
    share = np.histogram(confidence, reliability.edges)[0] / n_samples
    assert_allclose(reliability.error, (share[is_there] * abs(accuracy - mean)).sum(), rtol=1e-9)
    one_hot = np.eye(n_classes)[labels]
    assert_allclose(
        reliability.brier, ((one_hot - probabilities) ** 2).sum(axis=1).mean(), rtol=1e-9
    )
    if n_classes == 2:
        assert_allclose(
            reliability.brier, 2 * metrics.brier_score_loss(labels, probabilities[:, 1]), rtol=1e-9
        )
    every = np.arange(n_classes)
    assert_allclose(
        reliability.nll, metrics.log_loss(labels, probabilities, labels=every), rtol=1e-9
    )


@pytest.mark.share
def test_a_calibrated_model_is_within_chance_and_a_bold_one_is_not():
    rng = np.random.default_rng(0)
    within = []
    for _ in range(count(20, 200)):
        confidence = rng.uniform(0.5, 1, size=500)
        ones = np.ones(500)
        parts = of_samples(
            np.stack([confidence, 1 - confidence], axis=1), np.zeros(500, int), np.zeros(500, int)
        )
        right = rng.random(500) < confidence
        reliability = calibration(parts, right)
        within.append(reliability.error <= reliability.error_by_chance)
    assert np.mean(within) >= 0.85
    bold = calibration(parts, rng.random(500) < 0.5 * ones)
    assert bold.error > bold.error_by_chance


def test_probabilities_that_are_not_finite_count_nowhere():
    labels, probabilities, predictions = answers(3, 200)
    whole = calibration(
        of_samples(probabilities[:150], labels[:150], predictions[:150]),
        labels[:150] == predictions[:150],
    )
    probabilities[150:, 0] = np.nan
    part = calibration(of_samples(probabilities, labels, predictions), labels == predictions)
    assert part.n_left_out == 50
    assert (part.error, part.brier, part.nll) == (whole.error, whole.brier, whole.nll)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nothing = calibration(
            of_samples(probabilities[150:], labels[150:], predictions[150:]), np.ones(50, bool)
        )
    assert np.isnan([nothing.error, nothing.error_by_chance, nothing.brier, nothing.nll]).all()


def test_mistakes_are_ordered_by_confidence():
    confidence = np.array([0.5, 0.9, np.nan, 0.9, 0.99])
    is_wrong = np.array([True, True, True, True, False])
    assert_array_equal(most_confident(confidence, is_wrong), [1, 3, 0, 2])


def test_a_store_says_what_is_wrong(store):
    labels, predictions = store.labels, store.predictions
    every = np.arange(len(store.class_names))
    assert_array_equal(
        store.confusion().matrix(), metrics.confusion_matrix(labels, predictions, labels=every)
    )
    confidence = store.probabilities[np.arange(len(labels)), predictions]
    wrong = np.flatnonzero(labels != predictions)
    assert_array_equal(store.mistakes(), wrong[np.argsort(-confidence[wrong], kind="stable")])
    one_hot = np.eye(len(every))[labels]
    assert_allclose(
        store.calibration().brier,
        ((store.probabilities - one_hot) ** 2).sum(axis=1).mean(),
        rtol=1e-6,
    )


def test_calibration_is_the_same_a_block_at_a_time(store, monkeypatch):
    whole = store.calibration()
    monkeypatch.setattr("fmcore.storage.outcomes.BLOCK_BYTES", 8 * 4 * 5)
    part = store.calibration()
    assert (part.error, part.brier, part.nll) == (whole.error, whole.brier, whole.nll)


def test_several_labels_are_scored_one_by_one(tmp_path):
    with open_store(make_target_store(tmp_path / "s.h5", Target.LABELS)) as store:
        scores = store.class_counts().scores()
        expected = metrics.precision_recall_fscore_support(
            store.truth, store.answers >= 0.5, zero_division=np.nan
        )
        for part, values in zip(
            (scores.precision, scores.recall, scores.f1), expected, strict=False
        ):
            assert_allclose(part.value, values, rtol=1e-9)
        with pytest.raises(StatisticNotFoundError, match="several labels"):
            store.confusion()


def test_a_store_without_predictions_says_why(tmp_path):
    with open_store(make_encoded_store(tmp_path / "s.h5")) as store:
        for ask in (store.confusion, store.class_counts, store.calibration):
            with pytest.raises(StatisticNotFoundError, match="no predictions"):
                ask()
