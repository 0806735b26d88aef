"""Scores equal scikit-learn's and scipy's on the same numbers, and chance is what it says."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers.noise import KINDS, SPLITS, outside_of_classes, outside_of_targets
from helpers.references import (
    average_precision,
    cka_of_grams,
    class_selectivity,
    corrected_information,
    d_prime,
    effective_rank,
    quantile_bins,
    roc_auc,
)
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from fmcore.records import Target
from fmcore.statistics import (
    STATISTICS,
    Defined,
    Filters,
    LabelGroups,
    Permutations,
    compute_scores,
)
from fmcore.statistics.scores.chance import shuffles
from fmcore.statistics.scores.ranking import Ranking

# Shares of noise outside a band of 95%: of 2,000 draws, 4 standard errors from 5%.
FEWEST, MOST = 0.03, 0.07
CLASS_SCORES = [
    statistic.family
    for statistic in STATISTICS.values()
    if statistic.chance and statistic.target == Target.CLASS and statistic.pooling == "mean"
]


class Tables:
    """The pooled tables of a layer in memory, [sample, filter]."""

    def __init__(self, tables: dict) -> None:
        self._tables = tables

    def columns(self, name, filters):
        return self._tables[name][:, filters]

    def rows(self, name, samples):
        return self._tables[name][samples]


def scored(tables: dict, labels, n_classes: int, *, low=None, high=None) -> dict:
    """All that follows from the tables of one layer, [sample, filter]."""
    n_filters = tables["max"].shape[1]
    places = {name: np.zeros(tables["max"].shape, np.int32) for name in ("max_y", "max_x")}
    every = places | {name: np.asarray(table, np.float32) for name, table in tables.items()}
    low = np.zeros((1, n_filters)) if low is None else low
    high = np.ones((1, n_filters)) if high is None else high
    layer = (Filters.of(low, high, np.zeros(low.shape, np.int64)), Tables(every))
    with ThreadPoolExecutor(2) as threads:
        permutations = Permutations(LabelGroups(labels, n_classes))
        by_path: dict = {}
        for _, arrays in compute_scores([layer], permutations, threads):
            by_path |= arrays
    return by_path


@st.composite
def tables(draw):
    """Labels and a table with ties, zeros, constant columns and classes of any size."""
    n = draw(st.integers(3, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_classes = draw(st.integers(2, 5))
    labels = rng.integers(0, draw(st.integers(1, n_classes)), size=n)
    kind = draw(st.sampled_from(["relu", "ties", "signed", "offset"]))
    values = rng.normal(size=(n, 3))
    if kind == "relu":
        values = np.maximum(values - 0.5, 0)
    elif kind == "ties":
        values = rng.integers(0, 3, size=values.shape).astype(float)
    elif kind == "offset":
        values = 1e3 + values
    if draw(st.booleans()):
        values[:, 1] = values[0, 1]
    return values.astype(np.float32), labels.astype(np.int64), n_classes


@pytest.mark.slow
@given(tables())
def test_scores_equal_those_of_other_libraries(table):
    values, labels, n_classes = table
    results = scored(
        {"mean": values, "max": values}, labels, n_classes, low=values[:1] - values[:1]
    )
    sizes = np.bincount(labels, minlength=n_classes)
    several = (sizes > 0).sum() > 1
    for column in range(values.shape[1]):
        of_filter = values[:, column].astype(np.float64)
        constant = np.ptp(of_filter) == 0
        assert results["undefined_mean"][column] == (Defined.CONSTANT if constant else 0)
        for label in range(n_classes):
            got = {name: results[f"{name}_mean"][label, column] for name in ("auc", "ap")}
            if constant or not sizes[label]:
                assert np.isnan(list(got.values())).all()
                continue
            assert got["ap"] == pytest.approx(average_precision(of_filter, labels == label))
            if sizes[label] < len(labels):
                assert got["auc"] == pytest.approx(roc_auc(of_filter, labels == label))
                expected = d_prime(of_filter, labels == label)
                got_d = results["dprime_mean"][label, column]
                assert got_d == pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True)
            else:
                assert np.isnan(got["auc"])
        if constant or not several:
            for name in ("mi", "eta2", "f", "csi"):
                assert np.isnan(results[f"{name}_mean"][column])
            continue
        expected, _ = corrected_information(of_filter, labels)
        assert results["mi_mean"][column] == pytest.approx(expected, abs=1e-9)
        groups = [of_filter[labels == label] for label in np.flatnonzero(sizes)]
        within = sum(((group - group.mean()) ** 2).sum() for group in groups)
        total = ((of_filter - of_filter.mean()) ** 2).sum()
        eta2, ratio = (results[f"{name}_mean"][column] for name in ("eta2", "f"))
        assert eta2 == pytest.approx(1 - within / total, abs=1e-7)
        assert 0 <= eta2 <= 1
        if len(labels) == len(groups):
            assert np.isnan(ratio)
        elif within > 1e-9 * total:
            assert ratio == pytest.approx(stats.f_oneway(*groups).statistic, rel=1e-6)
        else:
            assert ratio == np.inf
        if values.min() >= 0:
            expected = class_selectivity(of_filter, labels)
            assert results["csi_mean"][column] == pytest.approx(expected, rel=1e-6)


@given(tables())
def test_ties_are_kept_and_ordered_by_index(table):
    values, labels, n_classes = table
    classes = LabelGroups(labels, n_classes)
    ranking = Ranking.of(np.ascontiguousarray(values.T), classes)
    for column in range(values.shape[1]):
        of_filter = values[:, column]
        order = np.lexsort((np.arange(len(labels)), -of_filter))
        assert_array_equal(ranking.order[column], order)
        ranked = of_filter[order]
        assert_array_equal(ranking.first[column], [(ranked > each).sum() for each in ranked])
        assert_array_equal(ranking.end[column], [(ranked >= each).sum() for each in ranked])
        start = 0
        for label, size in zip(classes.present, classes.sizes, strict=True):
            ranks = np.flatnonzero(labels[order] == label)
            assert_array_equal(ranking.by_class[column, start : start + size], ranks)
            start += size


@given(tables())
def test_top_samples_and_bands_equal_a_sort(table):
    values, labels, n_classes = table
    results, n = scored({"mean": values, "max": values}, labels, n_classes), len(labels)
    for column in range(values.shape[1]):
        order = np.lexsort((np.arange(n), -values[:, column]))

        def check(got, value, expected, column=column):
            size = min(25, len(expected))
            assert_array_equal(got[:size], expected[:size])
            assert_array_equal(value[:size], values[expected[:size], column])
            assert (got[size:] == -1).all()
            assert np.isnan(value[size:]).all()

        check(results["top_sample"][column], results["top_value"][column], order)
        for label in range(n_classes):
            members = order[labels[order] == label]
            both = (results[f"top_class_{name}"][label, column] for name in ("sample", "value"))
            check(*both, members)
        for band, percentile in enumerate((50, 75, 90)):
            got = results["top_band_sample"][band, column]
            got = got[got >= 0]
            assert len(got) == min(25, n)
            places = np.flatnonzero(np.isin(order, got))
            assert_array_equal(order[places], got)
            centre = (1 - percentile / 100) * (n - 1)
            assert places[0] - 1 <= centre <= places[-1] + 1


def test_bands_are_the_scores_of_permuted_labels_by_definition():
    n, rng = 60, np.random.default_rng(3)
    labels = rng.choice([0, 2, 3], size=n, p=[0.6, 0.3, 0.1])
    values = rng.normal(size=(5, n)) + 4
    values[1] = rng.integers(0, 6, size=n)
    values[2] = np.maximum(values[2] - 4.5, 0)  # zeros last
    values[3] = np.minimum(values[3], 3.5)  # many at the top
    values[4, 5:40] = 4  # many in the middle
    values = values.astype(np.float32)
    results = scored({"mean": values.T, "max": values.T}, labels, 4)
    permutations, orders = Permutations(LabelGroups(labels, 4)), shuffles(0, 5, n)
    dealt = np.array([0, 2, 3])[permutations.labels]
    assert (np.sort(dealt, axis=1) == np.sort(labels)).all()
    assert all((np.sort(order) == np.arange(n)).all() for order in orders)
    for column, order in enumerate(orders):
        ranked = np.sort(values[column].astype(np.float64))[::-1]
        turns = [turn[order] for turn in dealt]

        def check(name, expected, least=None, column=column):
            ordered, band = np.sort(expected), results[f"{name}_mean_chance"][..., column]
            low = ordered[2] if least is None else least
            high = ordered[-3] if least is None else ordered[-6]
            assert_allclose(band, [low, high], rtol=2**-14, atol=1e-9, err_msg=name)

        for label in (0, 2, 3):
            for name, score in (("auc", roc_auc), ("ap", average_precision), ("dprime", d_prime)):
                expected = np.sort([score(ranked, turn == label) for turn in turns])
                band = results[f"{name}_mean_chance"][:, label, column]
                assert_allclose(band, expected[[2, -3]], rtol=2**-14, err_msg=name)
        check("csi", [class_selectivity(ranked, turn) for turn in turns], 0)
        ratios = [stats.f_oneway(*(ranked[turn == one] for one in (0, 2, 3))) for turn in turns]
        check("f", [ratio.statistic for ratio in ratios], 0)
        high = np.sort([2 * one.statistic / (2 * one.statistic + n - 3) for one in ratios])[-6]
        assert_allclose(results["eta2_mean_chance"][:, column], [0, high], rtol=2**-14)
        expected = [corrected_information(ranked, turn)[0] for turn in turns]
        n_bins = len(np.unique(quantile_bins(ranked, 3)))
        check("mi", expected, -(n_bins - 1) * 2 / (2 * n * np.log(2)))


def test_a_filter_has_the_same_order_in_any_block():
    whole = shuffles(0, 20, 33)
    assert_array_equal(np.concatenate([shuffles(0, 7, 33), shuffles(7, 13, 33)]), whole)
    assert len(np.unique(whole, axis=0)) == 20


CELLS = [(kind, split, n) for kind in KINDS for split in SPLITS for n in (12, 60, 300)]


@pytest.mark.parametrize(("kind", "split", "n"), CELLS[::12])
def test_of_noise_three_to_seven_percent_lie_outside_the_band(kind, split, n):
    for cell in outside_of_classes(kind, split, n, 2_000, seed=[n, len(kind), len(split)]):
        assert cell.share <= MOST, cell
        assert cell.share >= FEWEST or not cell.continuous, cell


@pytest.mark.parametrize("kind", ["heavy", "sparse"])
def test_of_labels_and_numbers_three_to_seven_percent_of_noise_lie_outside(kind):
    for cell in outside_of_targets(kind, 50, 2_000, seed=[1, len(kind)]):
        assert cell.share <= MOST, cell
        assert cell.share >= FEWEST or not cell.continuous, cell


@given(tables())
def test_no_score_lies_below_a_band_of_one_side(table):
    values, labels, n_classes = table
    values = values - values.min()
    results = scored({"mean": values, "max": values}, labels, n_classes)
    one_sided = [one.name for one in STATISTICS.values() if one.chance and not one.two_sided]
    assert len(one_sided) == 8
    for name in one_sided:
        score, (low, _) = results[name], results[f"{name}_chance"]
        assert not (score < low).any()
        assert np.isfinite(low[~np.isnan(score)]).all()


def test_scores_that_mean_nothing_say_why_and_are_not_one():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, size=60)
    values = np.abs(rng.normal(size=(60, 5)))
    values[:, 1] = 0
    values[:, 2] = 6
    values[7, 3] = np.nan
    signed = values.copy()
    signed[:, 4] -= 1
    low = np.vstack([np.nanmin(signed, axis=0)])
    low[:, 2] = 5  # its maps vary, but they all have the same mean and maximum
    high = np.vstack([np.nanmax(signed, axis=0)])
    results = scored({"mean": signed, "max": signed}, labels, 3, low=low, high=high)
    reasons = [Defined.YES, Defined.DEAD, Defined.CONSTANT, Defined.NONFINITE, Defined.YES]
    assert results["undefined_max"].tolist() == reasons
    scores = [
        name
        for name, statistic in STATISTICS.items()
        if statistic.chance and statistic.target == Target.CLASS
    ]
    assert len(scores) > 10
    for name in (*scores, *(f"{name}_chance" for name in scores)):
        array = results[name]
        assert np.isnan(array[..., 1:4]).all(), name
        assert np.isfinite(array[..., 0]).all(), name
        assert np.isnan(array[..., 4]).all() == ("csi" in name), name
    assert -1 not in results["top_sample"][0]
    assert 7 not in results["top_sample"][3]  # its value is not finite


def test_correlation_rank_and_cka_equal_their_definitions():
    rng = np.random.default_rng(5)
    first = rng.normal(size=(300, 6)).astype(np.float32)
    first[:, 3] = first[:, 2] * 2 + 1
    first[:, 4] = 7
    second = np.maximum(first[:, :3] @ rng.normal(size=(3, 9)), 0).astype(np.float32)
    labels = rng.integers(0, 3, size=300)
    places = np.zeros((300, 9), np.int32)

    def layer(values):
        tables = {"mean": values, "max": values, "max_y": places, "max_x": places}
        n_filters = values.shape[1]
        filters = Filters(np.zeros(n_filters, bool), np.ones(n_filters, bool))
        return filters, Tables({name: table[:, :n_filters] for name, table in tables.items()})

    results: list[dict] = [{}, {}]
    with ThreadPoolExecutor(2) as threads:
        layers = [layer(first), layer(second)]
        for index, arrays in compute_scores(layers, Permutations(LabelGroups(labels, 3)), threads):
            results[index] |= arrays
    varying = [0, 1, 2, 3, 5]
    got = results[0]["correlation_mean"]
    assert_allclose(got[np.ix_(varying, varying)], np.corrcoef(first[:, varying].T), atol=1e-6)
    assert np.isnan(got[4]).all()
    assert np.isnan(got[:, 4]).all()
    cka = results[0]["cka_mean"]
    assert_allclose(np.diag(cka), 1)
    assert cka[0, 1] == cka[1, 0] == pytest.approx(cka_of_grams(first, second), abs=1e-9)
    ranks = [effective_rank(first), effective_rank(second)]
    assert_allclose(results[0]["effective_rank_mean"], ranks, rtol=1e-6)


def test_large_tables_are_scored_in_blocks_with_the_same_result(monkeypatch):
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 4, size=200)
    values = np.maximum(rng.normal(size=(200, 17)), 0)
    whole = scored({"mean": values, "max": values}, labels, 4)
    monkeypatch.setattr("fmcore.statistics.compute.KEPT_BYTES", 0)
    monkeypatch.setattr("fmcore.statistics.compute.BLOCK_BYTES", 5_000)
    monkeypatch.setattr("fmcore.statistics.similarity.ROWS_BYTES", 5_000)
    parts = scored({"mean": values, "max": values}, labels, 4)
    assert whole.keys() == parts.keys()
    for path in whole:
        assert_allclose(whole[path], parts[path], rtol=1e-5, atol=1e-7, err_msg=path)


@pytest.mark.parametrize("n_active", [1, 2, 3, 5, 20])
def test_noise_that_can_take_few_scores_does_not_lie_outside_by_rounding(n_active):
    rng = np.random.default_rng(4)
    labels = np.arange(300) % 10
    values = np.zeros((300, 300))
    for column in values.T:
        column[rng.choice(300, n_active, replace=False)] = rng.choice([1, 1e3, 1e20])
    results = scored({"mean": values, "max": values}, labels, 10)
    for name in CLASS_SCORES:
        low, high = results[f"{name}_max_chance"]
        outside = ((results[f"{name}_max"] < low) | (results[f"{name}_max"] > high)).mean()
        assert outside <= MOST, (name, outside)


def test_a_sparse_detector_of_one_of_many_classes_tells_of_it():
    labels = np.arange(2_000) % 50
    values = (labels == 0) * np.random.default_rng(0).uniform(1, 2, 2_000)
    values[::101] = 0
    table = np.stack([values, 1 - values], axis=1)
    results = scored({"mean": table, "max": table}, labels, 50)
    low, high = results["mi_max_chance"]
    assert np.isfinite(low).all()
    assert (results["mi_max"] > 3 * np.abs(high)).all()


def test_permutations_that_separate_perfectly_make_wide_bands_and_no_nonsense():
    rng = np.random.default_rng(0)
    labels = np.array([0, 0, 1, 1, 1, 1])
    values = rng.integers(0, 2, (6, 50)).astype(float)
    results = scored({"mean": values, "max": values}, labels, 2)
    score, (low, high) = results["dprime_max"], results["dprime_max_chance"]
    defined = ~np.isnan(score)
    assert not np.isnan(low[defined]).any()
    assert not np.isnan(high[defined]).any()
    assert (np.abs(high[defined & np.isfinite(high)]) < 100).all()
