"""Contrasts equal scikit-learn and scipy, keep to their level on noise, and say what they lack."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from fmcore.errors import SelectionError
from fmcore.statistics import Pair, PSource, Ranks, Uncontrasted, contrast_groups
from fmcore.statistics.contrast.draws import every_draw, random_draws
from fmcore.statistics.contrast.exchange import Ties, rank_sums, tail
from fmcore.statistics.contrast.groups import false_discovery_rates
from fmcore.statistics.contrast.permutations import MOST


def pair_of(n_a: int, n_b: int, n: int, seed: int = 0) -> Pair:
    order = np.random.default_rng(seed).permutation(n)
    masks = np.zeros((2, n), bool)
    masks[0, order[:n_a]] = masks[1, order[n_a : n_a + n_b]] = True
    return Pair.of(*masks)


def relu(rng, n: int, n_filters: int, share: float = 0.5) -> np.ndarray:
    """Log-normal where a filter answers, else exactly zero."""
    values = np.exp(rng.normal(size=(n, n_filters)))
    return np.where(rng.random((n, n_filters)) < share, values, 0).astype(np.float32)


def contrast(values: np.ndarray, pair: Pair):
    return contrast_groups([("conv", Ranks.of(values))], pair, by="mean")


def exact_p(values: np.ndarray, pair: Pair) -> float:
    """Twice the smaller tail over all groups there are of this size."""
    both = np.concatenate([values[pair.a], values[pair.b]])
    ranks = stats.rankdata(both)
    sums = [ranks[list(of)].sum() for of in combinations(range(len(both)), len(pair.a))]
    of_a = ranks[: len(pair.a)].sum()
    tails = [(np.array(sums) <= of_a).mean(), (np.array(sums) >= of_a).mean()]
    return min(1, 2 * min(tails))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 60), st.booleans())
def test_auc_means_and_n_are_those_of_sklearn_and_numpy_with_ties(seed, n_a, n_b, halves):
    rng = np.random.default_rng(seed)
    values = rng.integers(-4, 5, (n_a + n_b + 9, 4)).astype(np.float16 if halves else np.float32)
    values[:, 3] = rng.normal(size=len(values))
    pair = pair_of(n_a, n_b, len(values), seed)
    both = np.concatenate([pair.a, pair.b])
    result = contrast(values, pair)
    assert (result.n_a, result.n_b) == (n_a, n_b)
    for index, column in enumerate(values.T.astype(np.float64)):
        if np.ptp(column[both]) == 0:
            assert result.undefined[index] == Uncontrasted.CONSTANT
            assert np.isnan(result.auc[index])
            continue
        auc = roc_auc_score(np.isin(both, pair.a), column[both])
        assert result.auc[index] == pytest.approx(auc, abs=1e-9)
        assert result.effect[index] == pytest.approx(2 * auc - 1, abs=1e-9)
        assert result.mean_a[index] == pytest.approx(column[pair.a].mean(), abs=1e-9)
        assert result.mean_b[index] == pytest.approx(column[pair.b].mean(), abs=1e-9)


@pytest.mark.parametrize(("n_a", "n_b"), [(40_000, 30_000), (20, 70_000), (60_000, 5_535)])
def test_auc_of_more_samples_than_two_bytes_count_is_that_of_sklearn(n_a, n_b):
    values = relu(np.random.default_rng(n_a), n_a + n_b + 3, 2)
    pair = pair_of(n_a, n_b, len(values))
    both = np.concatenate([pair.a, pair.b])
    result = contrast(values, pair)
    for index in range(2):
        auc = roc_auc_score(np.isin(both, pair.a), values[both, index])
        assert result.auc[index] == pytest.approx(auc, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1) | st.just(np.nan), max_size=60))
def test_q_is_scipys_over_those_that_have_a_p(p):
    p = np.array(p, dtype=float)
    is_test = ~np.isnan(p)
    q = false_discovery_rates(p)
    assert np.isnan(q[~is_test]).all()
    if is_test.any():
        assert q[is_test] == pytest.approx(stats.false_discovery_control(p[is_test]), abs=1e-9)


def test_p_without_ties_of_large_groups_is_that_of_scipy():
    values = np.random.default_rng(3).normal(size=(900, 6)).astype(np.float32)
    values[:300, 0] += 0.3
    pair = Pair.of(np.arange(900) < 300)
    result = contrast(values, pair)
    assert (result.p_source == PSource.GAMMA).all()
    exact = values.astype(np.float64)
    for index in range(6):
        of = stats.mannwhitneyu(exact[:300, index], exact[300:, index], method="asymptotic")
        assert result.p[index] == pytest.approx(of.pvalue, rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_p_of_tiny_groups_counts_all_groups_there_are(seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 6, (14, 5)).astype(np.float32)
    values[:, 4] = rng.normal(size=14)
    pair = pair_of(4, 6, 14, seed)
    result = contrast(values, pair)
    assert (result.p_source == PSource.EXACT).all()
    assert result.p == pytest.approx([exact_p(column, pair) for column in values.T], abs=1e-12)
    without_ties = stats.mannwhitneyu(
        *(values[of, 4].astype(np.float64) for of in (pair.a, pair.b)), method="exact"
    )
    assert result.p[4] == pytest.approx(without_ties.pvalue, rel=1e-9)


def test_p_of_permutations_is_that_of_many_more_of_them():
    rng = np.random.default_rng(5)
    values = np.concatenate([relu(rng, 160, 3, 0.5), relu(rng, 160, 3, 0.05)], axis=1)
    pair = Pair.of(np.arange(160) < 12)
    values[:5, 4] += 1
    result = contrast(values, pair)
    assert (result.p_source == PSource.PERMUTATIONS).all()
    for index, column in enumerate(values.T):
        ranks = stats.rankdata(column)
        draws = random_draws(160, 12, 100_000, np.random.default_rng(index))
        sums, observed = ranks[draws].sum(axis=1), ranks[:12].sum()
        p = min(1, 2 * min((sums <= observed).mean(), (sums >= observed).mean()))
        error = 5 * np.sqrt(p / MOST) if p < 0.02 else 0.35 * p
        assert result.p[index] == pytest.approx(p, abs=error + 2 / MOST)


@pytest.mark.parametrize(("n_a", "n_b"), [(8, 1000), (20, 300), (150, 60), (300, 300)])
def test_bands_hold_95_percent_of_noise_with_ties_and_unequal_groups(n_a, n_b):
    rng = np.random.default_rng([n_a, n_b])
    n = n_a + n_b
    values = np.concatenate([relu(rng, n, 500, share) for share in (1, 0.5, 0.1, 0.01)], axis=1)
    result = contrast(values, pair_of(n_a, n_b, n))
    for start in range(0, 2000, 500):
        part = slice(start, start + 500)
        outside = (result.auc < result.chance[0]) | (result.auc > result.chance[1])
        # 5%, and four standard errors of 500 filters.
        assert outside[part].mean() <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 500)
        assert (result.p[part] <= 0.01).mean() <= 0.01 + 4 * np.sqrt(0.01 / 500)
    assert outside[:500].mean() >= 0.02


@pytest.mark.parametrize("levels", [1, 2, 5])
def test_moments_are_those_of_all_groups_there_are(levels):
    counts = np.bincount(np.random.default_rng(levels).integers(0, levels + 1, 10))
    before, tied = np.cumsum(counts) - counts, counts > 1
    ties = Ties(np.zeros(tied.sum(), np.int64), before[tied], counts[tied], 10, 1)
    ranks = 2 * stats.rankdata(np.repeat(before, counts))
    sums = ranks[every_draw(10, 3)].sum(axis=1)
    moments = rank_sums(np.zeros(1, np.int64), ties, 3)
    assert moments.mean[0] == pytest.approx(sums.mean())
    assert moments.std[0] == pytest.approx(sums.std())
    assert moments.skewness[0] == pytest.approx(stats.skew(sums), abs=1e-9)
    assert moments.kurtosis[0] == pytest.approx(stats.kurtosis(sums), abs=1e-9)


@pytest.mark.parametrize(("n", "size", "rare"), [(2000, 8, 4), (3000, 40, 30), (900, 300, 12)])
def test_the_gamma_law_has_longer_tails_than_counts_of_rare_values(n, size, rare):
    law = stats.hypergeom(n, rare, size)
    at = np.arange(rare + 1)
    z, exact = (at - 0.5 * rare / n - law.mean()) / law.std(), law.sf(at - 1)
    deep = (exact < 1.5e-4) & (exact > 0)  # what 9,999 permutations seldom reach
    assert deep.any()
    skewness = np.full(len(at), float(law.stats(moments="s")))
    assert (tail(z, skewness)[deep] >= exact[deep]).all()


def test_draws_are_equally_probable_and_without_repetition():
    draws = random_draws(5, 3, 60_000, np.random.default_rng(0))
    assert (np.diff(np.sort(draws, axis=1), axis=1) > 0).all()
    _, counts = np.unique(draws @ [25, 5, 1], return_counts=True)
    assert len(counts) == 60
    assert stats.chisquare(counts).pvalue > 1e-4


def test_swapped_groups_mirror_every_number():
    values = relu(np.random.default_rng(8), 400, 30, 0.3)
    pair = pair_of(9, 300, 400)
    forth, back = contrast(values, pair), contrast(values, Pair(pair.b, pair.a))
    assert forth.auc == pytest.approx(1 - back.auc, abs=1e-12)
    assert forth.chance == pytest.approx(1 - back.chance[::-1], abs=1e-12)
    assert forth.p == pytest.approx(back.p, rel=1e-12)
    assert (forth.order() == back.order()).all()


def test_values_that_are_not_finite_leave_a_filter_out_and_are_counted():
    values = relu(np.random.default_rng(9), 300, 4)
    values[7, 0], values[280, 1], values[3, 2] = np.nan, np.inf, -np.inf
    pair = Pair.of(np.arange(300) < 100, (np.arange(300) >= 100) & (np.arange(300) < 200))
    result = contrast(values, pair)
    codes = [Uncontrasted.NONFINITE, Uncontrasted.NO, Uncontrasted.NONFINITE, Uncontrasted.NO]
    assert result.undefined.tolist() == codes  # that of filter 1 is in neither group
    assert np.isnan(result.q[[0, 2]]).all()
    assert result.n_tests == 2
    assert any(note.startswith("2 filters have NaN") for note in result.notes)


def test_groups_too_small_to_tell_anything_are_called_so():
    values = np.arange(40, dtype=np.float32)[:, np.newaxis] * np.ones(8, np.float32)
    none = contrast(values, Pair.of(np.arange(40) < 2, np.arange(40) > 36))
    assert none.notes[0].startswith("Nothing can be told: with 2 against 3 samples no p is below")
    assert none.p.min() == pytest.approx(0.2)  # of the 10 groups there are
    few = contrast(values, Pair.of(np.arange(40) < 4, np.arange(40) > 35))
    assert few.notes[0].startswith("Too few samples for a filter to stand out alone")
    assert not contrast(values, Pair.of(np.arange(40) < 12)).notes


def test_samples_of_both_groups_are_left_out_and_empty_groups_refused():
    a, b = np.arange(10) < 6, np.arange(10) >= 4
    pair = Pair.of(a, b)
    assert pair.a.tolist() == [0, 1, 2, 3]
    assert pair.b.tolist() == [6, 7, 8, 9]
    assert "2 samples are in both groups" in pair.notes[0]
    with pytest.raises(SelectionError, match="group A has no samples") as error:
        Pair.of(a & ~a, b)
    assert error.value.field == "a"
    with pytest.raises(SelectionError, match="every sample of group A is in group B too"):
        Pair.of(a, a | b)


def test_a_planted_filter_is_first_and_told_from_chance():
    rng = np.random.default_rng(11)
    values = relu(rng, 1000, 300)
    values[:, 123] = rng.normal(size=1000)
    values[:500, 123] += 0.4  # an AUC of about 0.61
    result = contrast(values, Pair.of(np.arange(1000) < 500))
    assert result.order()[0] == 123
    assert result.q[123] < 0.05
