"""Several labels and numbers in a store: as they were, and scored as other libraries score them."""

from __future__ import annotations

import dataclasses

import h5py
import numpy as np
import pytest
from helpers.factories import NumpyEncoder, make_samples
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn import metrics

from fmcore.capture import CaptureOptions, capture, plan_capture, with_labels
from fmcore.cli import main
from fmcore.dataset import Preprocessing
from fmcore.errors import StatisticNotFoundError
from fmcore.export import export_store
from fmcore.records import ModelOutput, OutputPlan, Target, Truth
from fmcore.selection import parse_query
from fmcore.storage import open_store, problems

N = 300
NAMES = {Target.LABELS: ("cat", "dog/wolf", "<b>bird</b>"), Target.NUMBER: ("x", "y")}
SCALE = Preprocessing(scale=255.0)
# A filter of the first layer whose mean differs between samples.
_FIRST = NumpyEncoder()(SCALE(make_samples(N).images)).activations[0].mean(axis=(1, 2))
FILTER = int(_FIRST.std(axis=0).argmax())


class Answering(NumpyEncoder):
    """A probe whose answers are several labels, or numbers."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        n = len(NAMES[target])
        self._answers = np.random.default_rng(1).normal(size=(20, n)).astype(np.float32) * 9
        self._target = target
        self.output = OutputPlan(
            target, "the model's own", output=ModelOutput("out", 0, (n,)), has_truth=True
        )

    def __call__(self, images, others=None):
        captured = super().__call__(images, others)
        answers = captured.activations[0].mean(axis=(1, 2)) @ self._answers
        if self._target == Target.LABELS:
            answers = 1 / (1 + np.exp(1 - answers))
        return dataclasses.replace(captured, output=answers.astype(np.float32))


def truth_of(target: Target) -> Truth:
    rng = np.random.default_rng(2)
    first = Answering(target)(SCALE(make_samples(N).images)).activations[0].mean(axis=(1, 2))
    if target == Target.NUMBER:
        values = (first[:, [FILTER, 0]] + 0.01 * rng.normal(size=(N, 2))).astype(np.float32)
    else:
        values = rng.random((N, 3)) < [0.5, 0.1, 0.0]
        values[:, 0] = first[:, FILTER] > np.median(first[:, FILTER])
    return Truth(target, values, NAMES[target])


def captured(path, target: Target, **options):
    probe = Answering(target)
    samples = dataclasses.replace(make_samples(N), labels=None, targets=truth_of(target))
    samples, names = with_labels(
        probe, samples, (), all_named=False, preprocessing=SCALE, where="here"
    )
    chosen = CaptureOptions(batch_size=64, **options)
    plan = plan_capture(
        probe,
        samples,
        chosen,
        class_names=names,
        model=NumpyEncoder.info,
        dataset_name="random",
        dataset_source="random images",
        preprocessing=SCALE,
        output=probe.output,
    )
    return capture(probe, samples, path, plan, chosen)


@pytest.fixture(scope="module", params=[Target.LABELS, Target.NUMBER])
def stored(request, tmp_path_factory):
    target = request.param
    return target, captured(tmp_path_factory.mktemp("stored") / "s.h5", target)


def test_what_is_true_and_what_the_model_says_are_stored_as_they_are(stored):
    target, path = stored
    expected = Answering(target)(SCALE(make_samples(N).images)).output
    with open_store(path) as store:
        assert store.target == target
        assert store.target_names == NAMES[target]
        assert_array_equal(store.truth, truth_of(target).values)
        assert_allclose(store.answers, expected, rtol=1e-5, atol=1e-5)
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
    path = captured(tmp_path / "s.h5", Target.LABELS)
    truth = truth_of(Target.LABELS).values
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
    path = captured(tmp_path / "s.h5", Target.NUMBER)
    truth = truth_of(Target.NUMBER).values
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
def test_shards_join_to_the_same_store(tmp_path, target):
    whole = captured(tmp_path / "whole.h5", target)
    parts = captured(tmp_path / "parts.h5", target, memory=400_000)
    with h5py.File(whole) as first, h5py.File(parts) as second:
        assert second["capture"].attrs["batch_size"] == 64
        for name in ("samples/has_label", "samples/number", "targets/name", "targets/accuracy"):
            if name in first:
                assert_array_equal(first[name][...], second[name][...])
    with open_store(whole) as first, open_store(parts) as second:
        for name in first.layers:
            for statistic in second.layers[name].statistics:
                assert_allclose(
                    second.layers[name].statistic(statistic),
                    first.layers[name].statistic(statistic),
                    rtol=1e-4,
                    atol=1e-4,
                    err_msg=statistic,
                )


def test_tables_and_exports_hold_them(stored, tmp_path, capsys):
    target, path = stored
    family = {"labels": "label_auc", "number": "pearson"}[target]
    assert main(["stats", str(path), "--statistic", family]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in NAMES[target])
    assert main(["stats", str(path), "--statistic", family, "--recompute"]) == 0
    assert capsys.readouterr().out == printed
    with open_store(path) as store:
        export_store(store, tmp_path / "out", parse_query({"what": "statistics"}))
        values = np.load(tmp_path / f"out/layers/conv2/target/{family}_mean.npy")
        assert_array_equal(values, store.layers["conv2"].statistic(f"{family}_mean"))
        tree = store.to_xarray()
        assert_array_equal(tree["truth"].values, store.truth)
        assert tree["truth"].dims == ("sample", "target")
        frame = store.samples
        assert_allclose(frame[f"predicted_{NAMES[target][0]}"], store.answers[:, 0])


def test_a_basic_capture_stores_them_without_scores(tmp_path):
    path = captured(tmp_path / "s.h5", Target.LABELS, statistics="basic")
    with open_store(path) as store:
        assert store.truth is not None
        assert "label_auc_mean" not in store.layers["conv2"].statistics
    assert list(problems(path)) == []
