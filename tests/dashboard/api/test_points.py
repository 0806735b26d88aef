"""The map of samples over HTTP: typed columns that a reader of the layout alone takes apart."""

from __future__ import annotations

import json

import httpx
import numpy as np
import pytest
from helpers.factories import make_encoded_store, make_target_store
from helpers.odd import make_odd_store
from helpers.servers import running
from helpers.sharded import copy_store
from helpers.umap_double import double_umap
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from dashboard import create_app
from dashboard.stores.source import Source
from fmcore import open_store
from fmcore.records import Target
from fmcore.statistics import UmapOptions
from fmcore.storage import sample_table, umap_path, umap_samples, write_umap


@pytest.fixture(scope="module")
def url(store_path):
    with running(create_app(Source(store_path))) as where:
        yield f"{where}api/v1/stores/tiny/"


def columns(url: str, **query) -> tuple[dict, dict[str, np.ndarray]]:
    """The head of an answer, and its arrays by name, read as the layout says."""
    answer = httpx.get(url, params=query)
    assert answer.status_code == 200, answer.text
    body, arrays = answer.content, {}
    at = 4 + int.from_bytes(body[:4], "little")
    head = json.loads(body[4:at])
    for column in head["columns"]:
        at += -at % 8
        values = np.frombuffer(body, column["dtype"], head["n"], at)
        arrays[column["name"]] = values
        at += values.nbytes
    assert at == len(body)
    return head, arrays


def test_points_are_principal_components_of_the_table_that_is_asked_for(url, store):
    tables = [
        ({"layer": "block/conv 1"}, store.layers["block/conv 1"].pooled("mean")),
        ({"layer": "conv2", "by": "max"}, store.layers["conv2"].pooled("max")),
        ({"of": "output"}, store.probabilities),
    ]
    for query, table in tables:
        head, arrays = columns(f"{url}points", **query)
        values = np.asarray(table[...], float)
        exact = PCA(2, svd_solver="full").fit(values)
        expected = exact.transform(values)
        positions = np.stack([arrays["x"], arrays["y"]], axis=1)
        assert positions.dtype == np.float32
        signs = np.sign((positions * expected).sum(axis=0))
        assert_allclose(positions * signs, expected, atol=1e-5 * np.abs(expected).max())
        shares = exact.explained_variance_ratio_ if values.std() else [0, 0]
        assert_allclose(head["shares"], shares, atol=1e-9)
        assert (head["method"], head["n_placed"], head["n_fitted"]) == ("pca", 37, 37)
        assert head["n_columns"] == values.shape[1]
    head, _ = columns(f"{url}points")
    assert [head[name] for name in ("of", "layer", "by", "scale")] == [
        *("layer", "conv2", "mean", "none")
    ]
    assert head["words"] == "Principal components of the mean activation of 3 filters of conv2."


def test_points_have_the_columns_of_the_samples_and_one_of_a_filter_alone(url, store):
    head, arrays = columns(f"{url}samplecolumns")
    assert list(arrays) == ["label", "prediction", "right", "confidence"]
    dtypes = ["<i4", "<i4", "|u1", "<f4"]
    assert [column["dtype"] for column in head["columns"]] == dtypes
    assert head["columns"][0]["texts"] == list(store.class_names)
    assert_array_equal(arrays["label"], store.labels)
    assert_array_equal(arrays["prediction"], store.predictions)
    assert_array_equal(arrays["right"], store.labels == store.predictions)
    assert_array_equal(arrays["confidence"], store.probabilities.max(axis=1))
    for by in ("mean", "max"):
        _, arrays = columns(f"{url}samplecolumns", layer="conv2", filter="2", by=by)
        assert list(arrays) == ["filter"]
        assert_array_equal(arrays["filter"], store.layers["conv2"].pooled(by)[:, 2])


def test_neighbors_and_outliers_are_those_of_scikit_learn(url, store):
    values = store.layers["block/conv 1"].pooled("mean")[...].astype(float)
    layer = {"layer": "block/conv 1"}
    distances, indices = NearestNeighbors(n_neighbors=4).fit(values).kneighbors()
    answer = httpx.get(f"{url}neighbors", params=layer | {"sample": "5", "k": "4"}).json()
    assert [row["sample"] for row in answer["nearest"]] == indices[5].tolist()
    assert_allclose([row["distance"] for row in answer["nearest"]], distances[5], rtol=1e-9)
    apart = httpx.get(f"{url}outliers", params=layer | {"k": "4", "n": "5", "sample": "7"}).json()
    order = np.argsort(-distances[:, 3], kind="stable")
    assert [row["sample"] for row in apart["outliers"]] == order[:5].tolist()
    assert [row["rank"] for row in apart["outliers"]] == [1, 2, 3, 4, 5]
    assert_allclose([row["distance"] for row in apart["outliers"]], distances[order[:5], 3])
    assert apart["sample"]["rank"] == order.tolist().index(7) + 1
    assert (apart["n_compared"], apart["n_placed"], apart["k"]) == (37, 37, 4)
    assert apart["words"].startswith("Distance to the k-th nearest of all others, k = 4")


def test_what_is_there_already_is_not_sent_again(url):
    tags = set()
    for path in ("points", "points?by=max", "samplecolumns", "outliers", "neighbors?sample=1"):
        first = httpx.get(url + path)
        again = httpx.get(url + path, headers={"if-none-match": first.headers["etag"]})
        assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
        tags.add(first.headers["etag"])
    assert len(tags) == 5


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("points?of=pixels", 422, "of"),
        ("points?of=output&layer=conv2", 422, "layer"),
        ("points?of=output&by=max", 422, "by"),
        ("points?layer=conv3", 404, ""),
        ("points?method=umap", 404, ""),
        ("samplecolumns?filter=1", 422, "layer"),
        ("samplecolumns?by=max", 422, "layer"),
        ("samplecolumns?layer=conv2", 422, "filter"),
        ("samplecolumns?layer=conv2&filter=3", 422, ""),
        ("neighbors?sample=37", 404, ""),
        ("neighbors?sample=1&k=0", 422, "k"),
        ("outliers?k=101", 422, "k"),
        ("outliers?n=1001", 422, "n"),
    ],
)
def test_what_cannot_be_answered_says_why(url, path, status, field):
    answer = httpx.get(url + path)
    assert (answer.status_code, answer.json().get("field", "")) == (status, field), answer.text


def test_a_map_by_umap_is_sent_with_all_it_was_made_with_and_again_when_it_is_another(
    store_path, tmp_path, monkeypatch
):
    double_umap(monkeypatch)
    path = copy_store(store_path, tmp_path / "tiny.h5")
    with running(create_app(Source(tmp_path))) as where:
        url = f"{where}api/v1/stores/tiny/points"
        lacking = httpx.get(url, params={"method": "umap"})
        assert lacking.status_code == 404
        assert "`fmcore project tiny.h5 --layer conv2 --by mean`" in lacking.json()["detail"]
        tags = []
        with open_store(path) as store:
            table = sample_table(store)
            for seed in (3, 4):
                umap = umap_samples(store, table, UmapOptions(seed=seed))
                write_umap(store, table, umap, umap_path(store, table), overwrite=True)
                head, arrays = columns(url, method="umap")
                assert_array_equal(arrays["x"], umap.positions[:, 0])
                assert_array_equal(arrays["y"], umap.positions[:, 1])
                made_with = {"n_neighbors": 15, "min_dist": 0.1, "seed": seed}
                assert head["umap"] == {**made_with, "library": "umap-learn 0.5.99"}
                assert f"seed {seed}" in head["words"]
                tags.append(httpx.get(url, params={"method": "umap"}).headers["etag"])
        assert len(set(tags)) == 2


def test_values_that_are_not_finite_have_no_place_and_are_counted(tmp_path):
    path = make_odd_store(tmp_path / "odd.h5")
    with running(create_app(Source(path))) as where, open_store(path) as store:
        url = f"{where}api/v1/stores/odd/"
        for name, layer in store.layers.items():
            head, arrays = columns(f"{url}points", layer=name)
            table = layer.pooled("mean")[...]
            is_kept = np.isfinite(table).mean(axis=0) >= 0.5
            has_place = np.isfinite(table[:, is_kept]).all(axis=1) & is_kept.any()
            assert head["n_columns"] == is_kept.sum()
            if is_kept.any():
                assert head["n_placed"] == has_place.sum()
                assert_array_equal(np.isfinite(arrays["x"]), has_place)
            for sample in (0, 1, 39):
                query = {"layer": name, "sample": str(sample)}
                expected = 200 if head["n_placed"] and np.isfinite(arrays["x"][sample]) else 422
                assert httpx.get(f"{url}neighbors", params=query).status_code == expected
                apart = httpx.get(f"{url}outliers", params=query)
                assert apart.status_code == 200
                assert (apart.json()["sample"]["rank"] is None) == (expected == 422)


def test_what_nobody_knows_has_no_column(tmp_path):
    paths = {
        "encoded": make_encoded_store(tmp_path / "encoded.h5"),
        "bare": make_encoded_store(tmp_path / "bare.h5", labelled=False),
        "labels": make_target_store(tmp_path / "labels.h5", Target.LABELS, 60),
        "number": make_target_store(tmp_path / "number.h5", Target.NUMBER, 60),
    }
    with running(create_app(Source(tmp_path))) as where:
        for name, path in paths.items():
            url = f"{where}api/v1/stores/{name}/"
            head, arrays = columns(f"{url}samplecolumns")
            with open_store(path) as store:
                expected = {"label": store.labels} if name == "encoded" else {}
                for kind, values in (("true", store.truth), ("predicted", store.answers)):
                    for at, target in enumerate(store.target_names):
                        expected[f"{kind}_{target}"] = values[:, at]
                assert list(arrays) == list(expected)
                for column, values in expected.items():
                    assert_array_equal(arrays[column], values)
                assert head["n"] == store.n_samples
            of_output = httpx.get(f"{url}points", params={"of": "output"})
            assert of_output.status_code == (422 if name in ("encoded", "bare") else 200)
