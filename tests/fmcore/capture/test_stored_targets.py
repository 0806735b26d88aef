"""Several labels and numbers in a store: as they were, and scored as other libraries score them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from helpers.factories import (
    TARGET_NAMES,
    NumpyAnswers,
    make_samples,
    make_target_store,
    make_truth,
    target_filter,
)
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn import metrics

from fmcore.cli import main
from fmcore.dataset import Preprocessing
from fmcore.errors import SampleNotFoundError, StatisticNotFoundError
from fmcore.export import export_store
from fmcore.records import Target
from fmcore.selection import parse_query
from fmcore.storage import open_store, problems

FILTER = target_filter()


@pytest.fixture(scope="module", params=[Target.LABELS, Target.NUMBER])
def stored(request, tmp_path_factory):
    target = request.param
    return target, make_target_store(tmp_path_factory.mktemp("stored") / "s.h5", target)


def test_what_is_true_and_what_the_model_says_are_stored_as_they_are(stored):
    target, path = stored
    expected = NumpyAnswers(target)(Preprocessing(scale=255.0)(make_samples(300).images)).output
    with open_store(path) as store:
        assert store.target == target
        assert store.target_names == TARGET_NAMES[target]
        assert_array_equal(store.truth, make_truth(target).values)
        assert_allclose(store.answers, expected, rtol=1e-5, atol=1e-5)
        assert not store.has_classes
        for sample in (0, 63, 299):
            assert_array_equal(store.truth_of(sample), store.truth[sample])
            assert store.truth_of(sample).dtype == store.truth.dtype
            assert_array_equal(store.answer(sample), store.answers[sample])
        with pytest.raises(SampleNotFoundError):
            store.answer(300)
        assert not store.has_predictions
        if target == Target.LABELS:
            right = (store.answers >= 0.5) == store.truth
            assert_allclose(store.target_quality(), right.mean(axis=0))
            exact = metrics.accuracy_score(store.truth, store.answers >= 0.5)
            assert store.about()["model"]["exact_match"] == pytest.approx(exact)
        else:
            errors = metrics.mean_absolute_error(
                store.truth, store.answers, multioutput="raw_values"
            )
            assert_allclose(store.target_quality(), errors, rtol=1e-6)
    assert list(problems(path)) == []


def test_each_label_is_scored_as_by_scikit_learn(tmp_path):
    path = make_target_store(tmp_path / "s.h5", Target.LABELS)
    truth = make_truth(Target.LABELS).values
    with open_store(path) as store:
        layer = store.layers["block/conv 1"]
        pooled = layer.pooled("mean")[...]
        auc, ap = layer.statistic("label_auc_mean"), layer.statistic("label_ap_mean")
        assert auc.shape == (3, 20)
        assert np.isnan(auc[2]).all(), "nobody has the third label"
        for label in range(2):
            for index in range(20):
                values, has = pooled[:, index], truth[:, label]
                if np.ptp(values) == 0:
                    assert np.isnan(auc[label, index])
                    continue
                assert auc[label, index] == pytest.approx(metrics.roc_auc_score(has, values))
                assert ap[label, index] == pytest.approx(
                    metrics.average_precision_score(has, values)
                )
        low, high = layer.chance("label_auc_mean")
        assert auc[0, FILTER] > high[0, FILTER], "the label was made of this filter"
        assert low[1, FILTER] < 0.5 < high[1, FILTER]
        with pytest.raises(StatisticNotFoundError, match="no numbers are known"):
            layer.statistic("pearson_mean")


def test_numbers_correlate_as_in_scipy(tmp_path):
    path = make_target_store(tmp_path / "s.h5", Target.NUMBER)
    truth = make_truth(Target.NUMBER).values
    with open_store(path) as store:
        for layer in store.layers.values():
            for pooling in ("mean", "max"):
                pooled = layer.pooled(pooling)[...]
                r, rho = (layer.statistic(f"{name}_{pooling}") for name in ("pearson", "spearman"))
                for number in range(2):
                    for index in range(layer.n_filters):
                        values = pooled[:, index]
                        if np.ptp(values) == 0:
                            assert np.isnan([r[number, index], rho[number, index]]).all()
                            continue
                        pair = values, truth[:, number]
                        expected = stats.pearsonr(*map(np.float64, pair)).statistic
                        assert r[number, index] == pytest.approx(expected, abs=1e-6)
                        assert rho[number, index] == pytest.approx(
                            stats.spearmanr(*pair).statistic, abs=1e-9
                        )
        layer = store.layers["block/conv 1"]
        low, high = layer.chance("spearman_mean")
        assert layer.statistic("spearman_mean")[0, FILTER] > high[0, FILTER]
        assert low[1, FILTER] < 0 < high[1, FILTER]


@pytest.mark.parametrize("target", [Target.LABELS, Target.NUMBER])
def test_a_capture_that_was_taken_up_ends_in_the_same_store(tmp_path, target, monkeypatch):
    whole = make_target_store(tmp_path / "whole.h5", target)
    monkeypatch.setattr("fmcore.capture.plan.checkpoint_rows", lambda *_, **__: 64)
    call, left = NumpyAnswers.__call__, [5]

    def fails(self, images, others=None):
        left[0] -= 1
        if not left[0]:
            raise RuntimeError("the model failed")
        return call(self, images, others)

    monkeypatch.setattr(NumpyAnswers, "__call__", fails)
    parts = tmp_path / "parts.h5"
    with pytest.raises(RuntimeError, match="the model failed"):
        make_target_store(parts, target)
    make_target_store(parts, target)
    with h5py.File(whole) as first, h5py.File(parts) as second:
        names: list[str] = []
        first.visit(names.append)
        for name in names:
            if isinstance(first[name], h5py.Dataset):
                assert_array_equal(first[name][...], second[name][...], err_msg=name)


def test_tables_and_exports_hold_them(stored, tmp_path, capsys):
    target, path = stored
    family = {"labels": "label_auc", "number": "pearson"}[target]
    assert main(["stats", str(path), "--statistic", family]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in TARGET_NAMES[target])
    assert main(["stats", str(path), "--statistic", family, "--recompute"]) == 0
    assert capsys.readouterr().out == printed
    with open_store(path) as store:
        export_store(store, tmp_path / "out", parse_query({"what": "statistics"}))
        values = np.load(tmp_path / f"out/layers/conv2/target/{family}_mean.npy")
        assert_array_equal(values, store.layers["conv2"].statistic(f"{family}_mean"))
        written = {path.stem for path in (tmp_path / "out").rglob("*.npy")}
        assert {"mean", "apoz", "cka_mean"} <= written
        assert not {"auc_mean", "eta2_mean"} & written, "no classes, so no scores of them"
        tree = store.to_xarray()
        assert_array_equal(tree["truth"].values, store.truth)
        assert tree["truth"].dims == ("sample", "target")
        frame = store.samples
        assert_allclose(frame[f"predicted_{TARGET_NAMES[target][0]}"], store.answers[:, 0])


def test_a_basic_capture_stores_them_without_scores(tmp_path):
    path = make_target_store(tmp_path / "s.h5", Target.LABELS, statistics="basic")
    with open_store(path) as store:
        assert store.truth is not None
        assert "label_auc_mean" not in store.layers["conv2"].statistics
    assert list(problems(path)) == []
