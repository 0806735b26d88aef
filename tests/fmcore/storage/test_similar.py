"""Correlations of filters: stored whole for few, as lists of the largest for many; numpy's."""

from __future__ import annotations

import dataclasses

import h5py
import numpy as np
import pytest
from helpers.factories import CLASS_NAMES, NumpyProbe, make_samples
from numpy.testing import assert_allclose, assert_array_equal

from fmcore import open_store
from fmcore.capture import CaptureOptions, capture, plan_capture
from fmcore.dataset import Preprocessing
from fmcore.errors import SelectionError, StatisticNotFoundError
from fmcore.records import LayerSpec, ModelInfo
from fmcore.storage import recompute


class WideProbe(NumpyProbe):
    """A layer of 90 filters: 40 copies of one another, one that is dead, and others."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(3)
        self._wide = rng.normal(size=(3, 90)).astype(np.float32)
        self._wide[:, 20:60] = self._wide[:, 19:20]
        self._wide[:, 70] = -1000
        self._wide[:, 71] = -self._wide[:, 72]
        self.layers = (
            LayerSpec("wide", (3, 8, 90), kind="Conv2D"),
            self.layers[1],
            LayerSpec("pixel", (1, 1, 90), kind="Conv2D"),
        )

    def __call__(self, images, others=None):
        captured = super().__call__(images, others)
        thirds = images.reshape(len(images), 3, 3, 8).swapaxes(2, 3)
        wide, corner = thirds @ self._wide, thirds[:, :1, :1] @ self._wide
        return dataclasses.replace(captured, activations=(wide, captured.activations[1], corner))


def make_wide_store(path, **options):
    """A real store of 60 samples."""
    samples, probe = make_samples(60), WideProbe()
    plan = plan_capture(
        probe,
        samples,
        CaptureOptions(batch_size=16, **options),
        class_names=CLASS_NAMES,
        model=ModelInfo("wide", digest="0" * 64, architecture="{}"),
        dataset_name="random",
        dataset_source="random images",
        preprocessing=Preprocessing(scale=255.0),
    )
    return capture(probe, samples, path, plan)


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    path = make_wide_store(tmp_path_factory.mktemp("wide") / "s.h5")
    with open_store(path) as store:
        yield store


def test_a_layer_of_many_filters_has_lists_of_similar_ones_and_no_matrix(wide):
    with h5py.File(wide.path, locking=False) as file:
        stored = set(file["layers/wide/filters"])
        assert {"similar_filter", "similar_r"} <= stored
        assert not {"correlation_mean", "correlation_max"} & stored
        narrow = set(file["layers/conv2/filters"])
        assert not {"similar_filter", "similar_r"} & narrow
        assert {"correlation_mean", "correlation_max"} <= narrow


@pytest.mark.parametrize("table_bytes", [0, 1 << 20])  # read when needed, and at once
@pytest.mark.parametrize("name", ["wide", "conv2"])
def test_correlations_are_numpys_whether_stored_or_computed(wide, name, table_bytes, monkeypatch):
    monkeypatch.setattr("fmcore.storage.layer.TABLE_BYTES", table_bytes)
    layer = wide.layers[name]
    for pooling in ("mean", "max"):
        with np.errstate(invalid="ignore", divide="ignore"):
            expected = np.corrcoef(layer.pooled(pooling)[...].astype(float).T)
        r = layer.statistic("correlation", pooling=pooling)
        assert r.dtype == np.float32
        assert_allclose(r, expected, atol=1e-6)
        row = layer.correlations(2, pooling=pooling)
        assert_allclose(row, expected[2], atol=1e-6)
    assert {"correlation_mean", "correlation_max"} <= set(layer.statistics)
    with pytest.raises(SelectionError, match=f"no filter {layer.n_filters}"):
        layer.correlations(layer.n_filters)
    with pytest.raises(SelectionError, match="no filter -1"):
        layer.similar(-1)


def test_the_similar_filters_of_a_layer_are_those_with_the_largest_correlations(wide):
    for layer in wide.layers.values():
        means = layer.pooled("mean")[...].astype(float)
        varying = np.flatnonzero(np.ptp(means, axis=0))
        for index in range(layer.n_filters):
            similar = layer.similar(index)
            if index not in varying:
                assert similar == []
                continue
            others = varying[varying != index]
            r = [np.corrcoef(means[:, index], means[:, each])[0, 1] for each in others]
            assert len(similar) == min(25, len(others))
            largest = np.sort(np.abs(r))[::-1][: len(similar)]
            assert_allclose([abs(value) for _, value in similar], largest, atol=1e-6)
            by_index = dict(zip(others.tolist(), r, strict=True))
            assert_allclose([value for _, value in similar], [by_index[i] for i, _ in similar])


def expected_duplicates(layer) -> np.ndarray:
    """By definition: the earlier filter with the largest correlation, <int>[filter]."""
    values = layer.activation[: 2**20].reshape(-1, layer.n_filters).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.nan_to_num(np.tril(np.corrcoef(values.T), -1)).round(6)
    assert (r[59] > 0.99).sum() > 25
    return np.where((r > 0.99).any(axis=1), r.argmax(axis=1), -1)


@pytest.mark.parametrize("name", ["wide", "pixel"])
def test_duplicates_are_seen_where_a_list_of_similar_filters_is_too_short_for_them(wide, name):
    layer = wide.layers[name]
    assert_array_equal(layer.health().duplicate_of, expected_duplicates(layer))
    with h5py.File(wide.path, locking=False) as file:
        assert ("duplicate_of" in file[f"layers/{name}/filters"]) == (name == "wide")


def test_a_wide_layer_without_scores_has_no_correlations_but_health(tmp_path):
    path = make_wide_store(tmp_path / "s.h5", statistics="basic")
    with open_store(path) as store:
        layer = store.layers["wide"]
        for read in (layer.similar, layer.correlations):
            with pytest.raises(StatisticNotFoundError, match="captured without scores"):
                read(0)
        for each in (layer, store.layers["pixel"]):
            assert_array_equal(each.health().duplicate_of, expected_duplicates(each))
        results = recompute(store)
        assert results[0]["similar_r"].shape == (90, 25)
        assert "correlation_mean" not in results[0]
        assert "correlation_mean" in results[1]
