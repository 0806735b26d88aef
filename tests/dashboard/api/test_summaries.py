"""A layer in one sample over HTTP: planes that numpy makes of the raw maps, and words on them."""

from __future__ import annotations

import json

import httpx
import numpy as np
import pytest
from helpers.factories import OddProbe, make_large_store, make_store
from helpers.servers import running
from numpy.testing import assert_allclose, assert_array_equal

from dashboard import create_app
from dashboard.stores.source import Source
from fmcore import open_store


@pytest.fixture(scope="module")
def url(store_path):
    with running(create_app(Source(store_path))) as where:
        yield f"{where}api/v1/stores/tiny/summaries"


def asked(url: str, **query) -> tuple[np.ndarray, dict]:
    answer = httpx.get(url, params=query)
    assert answer.status_code == 200, answer.text
    shape = tuple(map(int, answer.headers["x-shape"].split(",")))
    assert (answer.headers["x-dtype"], answer.headers["x-axes"]) == ("<f4", "plane,y,x")
    planes = np.frombuffer(answer.content, "<f4").reshape(shape)
    return planes, json.loads(answer.headers["x-summary"])


@pytest.mark.parametrize("layer", ["block/conv 1", "conv2"])
def test_planes_are_the_summary_and_then_the_filters(url, store, layer):
    every = store.layers[layer].activation[...].astype(np.float64)
    maps = every[5]
    for by, expected in (
        ("mean", maps.mean(axis=2)),
        ("abs", np.abs(maps).mean(axis=2)),
        ("max", maps.max(axis=2)),
    ):
        planes, about = asked(url, layer=layer, sample=5, by=by, strongest=2)
        assert_allclose(planes[0], expected, rtol=1e-6, atol=1e-7)
        low, high = every.min(axis=(0, 1, 2)), every.max(axis=(0, 1, 2))
        with np.errstate(invalid="ignore"):
            share = (maps.max(axis=(0, 1)) - low) / (high - low)
        order = np.argsort(-share, kind="stable")
        order = order[np.isfinite(share[order])][:2]  # others never vary
        assert about["filters"] == order.tolist()
        assert_array_equal(planes[1:], maps[:, :, order].transpose(2, 0, 1).astype(np.float32))
        for name, values in (("low", low), ("high", high), ("largest", maps.max(axis=(0, 1)))):
            assert_array_equal(np.float32(about[name]), values[order].astype(np.float32))
        assert (about["signed"], about["n_nonfinite"], about["step"]) == (False, 0, 1)
        assert about["basis"] is None


def test_colors_come_with_what_they_span_and_how_many_samples_they_are_of(url):
    planes, about = asked(url, layer="block/conv 1", sample=5, by="pca", strongest=1)
    assert planes.shape[0] == 4
    basis = about["basis"]
    assert basis["n_samples"] == 37
    assert len(basis["shares"]) == len(basis["low"]) == len(basis["high"]) <= 3
    assert 0 < sum(basis["shares"]) <= 1 + 1e-9


def test_as_many_filters_as_there_are_come_by_index_the_dead_one_too(url):
    planes, about = asked(url, layer="conv2", sample=0, strongest=3)
    assert about["filters"] == [0, 1, 2]
    assert not planes[2].any()
    _, about = asked(url, layer="conv2", sample=0, strongest=2)
    assert 1 not in about["filters"]


def test_what_is_there_already_is_not_sent_again(url):
    query = {"layer": "conv2", "sample": "3"}
    first = httpx.get(url, params=query)
    again = httpx.get(url, params=query, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = httpx.get(url, params=query | {"by": "max"})
    assert other.headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"by": "median"}, "by"),
        ({"strongest": "65"}, "strongest"),
        ({"strongest": "-1"}, "strongest"),
        ({"sample": "x"}, "sample"),
        ({"filter": "3"}, "filter"),
    ],
)
def test_what_cannot_be_answered_names_the_parameter(url, query, field):
    answer = httpx.get(url, params={"layer": "conv2", "sample": "0"} | query)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_values_that_are_not_finite_are_left_out_and_counted(tmp_path):
    path = make_store(tmp_path / "odd.h5", 9, probe=OddProbe())
    with running(create_app(Source(path))) as where, open_store(path) as store:
        url = f"{where}api/v1/stores/odd/summaries"
        for name, layer in store.layers.items():
            planes, about = asked(url, layer=name, sample=0, by="mean", strongest=64)
            maps = layer.activation[0].astype(np.float64)
            finite = np.where(np.isfinite(maps), maps, np.nan)
            lacking = np.isnan(finite).all(axis=2)
            expected = np.nansum(finite, axis=2) / np.maximum((~np.isnan(finite)).sum(axis=2), 1)
            assert_allclose(planes[0], np.where(lacking, np.nan, expected), rtol=1e-6, atol=1e-6)
            assert about["n_nonfinite"] == np.count_nonzero(~np.isfinite(layer.activation[...]))
            assert_array_equal(planes[1:], layer.activation[0].transpose(2, 0, 1))


def test_of_a_layer_without_maps_filters_are_named_by_their_pooled_maximum(tmp_path):
    path = make_store(tmp_path / "pooled.h5", 9, policy="*=pooled")
    with running(create_app(Source(path))) as where, open_store(path) as store:
        for by in ("mean", "pca"):
            url = f"{where}api/v1/stores/pooled/summaries"
            planes, about = asked(url, layer="block/conv 1", sample=4, by=by, strongest=3)
            assert planes.shape == (0, 9, 8)
            pooled = store.layers["block/conv 1"].pooled("max")[4]
            assert len(about["filters"]) == 3
            assert_array_equal(np.float32(about["largest"]), pooled[about["filters"]])


def test_large_maps_are_made_smaller_for_a_screen(tmp_path, monkeypatch):
    monkeypatch.setattr("dashboard.api.summaries.LARGEST_SIDE", 100)
    monkeypatch.setattr("fmcore.storage.summaries.BLOCK_VALUES", 300 * 300 * 7)
    path = make_large_store(tmp_path / "large.h5")
    with running(create_app(Source(path))) as where, open_store(path) as store:
        url = f"{where}api/v1/stores/large/summaries"
        planes, about = asked(url, layer="block/conv 1", sample=1, by="max", strongest=2)
        assert (planes.shape, about["step"]) == ((3, 100, 100), 3)
        whole = store.layers["block/conv 1"].activation[1]
        cells = whole.max(axis=2).reshape(100, 3, 100, 3).max(axis=(1, 3))
        assert_array_equal(planes[0], cells)
        filters = whole[:, :, about["filters"][1]].reshape(100, 3, 100, 3).max(axis=(1, 3))
        assert_array_equal(planes[2], filters)
