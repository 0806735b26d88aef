"""Weights through the HTTP API equal those of the store, in every form that the pages ask for."""

from __future__ import annotations

import httpx
import numpy as np
import pytest
from helpers.kernels import make_kernel_store
from helpers.servers import running
from numpy.testing import assert_allclose, assert_array_equal

from dashboard import create_app
from dashboard.api import DEFAULT_LIMITS
from dashboard.stores import kernels as seen
from dashboard.stores.source import Source
from fmcore import open_store


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return make_kernel_store(tmp_path_factory.mktemp("kernels") / "k.h5")


@pytest.fixture(scope="module")
def url(path):
    with running(create_app(Source(path))) as where:
        yield f"{where}api/v1/stores/k/kernel"


@pytest.fixture(scope="module")
def kernels(path):
    with open_store(path) as store:
        stored = {name: layer.kernel for name, layer in store.layers.items()}
        yield stored | {"depthwise": store.layers["separable"].depthwise_kernel}


def values(answer):
    assert answer.status_code == 200, answer.text
    shape = tuple(map(int, answer.headers["x-shape"].split(",")))
    return np.frombuffer(answer.content, answer.headers["x-dtype"]).reshape(shape)


def test_planes_filters_and_all_are_the_stored_weights(url, kernels):
    deep = kernels["deep"]
    for query, expected in {
        "": deep,
        "&plane=3": deep[:, :, 3:4],
        "&filter=2": deep[..., 2:3],
        "&plane=1:3&filter=0,3": deep[:, :, 1:3][..., [0, 3]],
    }.items():
        answer = httpx.get(f"{url}?layer=deep{query}")
        assert_array_equal(values(answer), expected)
        assert answer.headers["x-axes"] == "kernel_y,kernel_x,kernel_input,kernel_output"


def test_norms_over_planes_equal_numpy(url, kernels):
    for name, order in (("l1", 1), ("l2", 2)):
        expected = np.linalg.norm(kernels["deep"].astype(np.float64), order, axis=2)
        answer = httpx.get(f"{url}?layer=deep&norm={name}")
        assert_allclose(values(answer)[:, :, 0], expected, rtol=1e-6)


def test_a_separable_layer_has_two_parts_and_a_dense_one_the_maps_before_it(url, kernels):
    parts = values(httpx.get(f"{url}?layer=separable&part=depthwise"))
    height, width, n_inputs, multiplier = kernels["depthwise"].shape
    assert parts.shape == (height, width, 1, n_inputs * multiplier)
    for tile in range(n_inputs * multiplier):
        expected = kernels["depthwise"][:, :, tile // multiplier, tile % multiplier]
        assert_array_equal(parts[:, :, 0, tile], expected)
    assert_array_equal(values(httpx.get(f"{url}?layer=separable")), kernels["separable"])
    dense = values(httpx.get(f"{url}?layer=dense&plane=1"))
    assert_array_equal(dense[1, 0, 0], kernels["dense"][0, 0, (1 * 2 + 0) * 3 + 1])


def test_what_is_known_is_not_sent_again(url):
    tag = httpx.get(f"{url}?layer=deep&plane=1").headers["etag"]
    again = httpx.get(f"{url}?layer=deep&plane=1", headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert httpx.get(f"{url}?layer=deep&plane=2").headers["etag"] != tag


@pytest.mark.parametrize(
    ("query", "status", "field", "why"),
    [
        ("layer=none", 404, None, "no layer 'none'"),
        ("layer=deep&plane=5", 422, "plane", "plane of the kernel of deep"),
        ("layer=deep&filter=x", 422, "filter", "filter"),
        ("layer=deep&norm=l3", 422, "norm", "expected one of l1, l2"),
        ("layer=deep&part=depthwise", 404, None, "it is no separable convolution"),
        ("layer=pool", 404, None, "a layer of the kind MaxPooling2D has no weights"),
        ("layer=older", 404, None, "earlier versions of fmcore kept none of a DepthwiseConv2D"),
    ],
)
def test_a_mistake_and_a_kernel_that_is_not_there_are_said(url, query, status, field, why):
    answer = httpx.get(f"{url}?{query}")
    problem = answer.json()
    assert (answer.status_code, problem.get("field")) == (status, field), problem
    assert why in problem["detail"]


def test_a_kernel_beyond_the_limit_is_refused_before_it_is_read(path, monkeypatch):
    monkeypatch.setattr("dashboard.api.kernels.MOST_BYTES", 100)
    monkeypatch.setattr(seen, "norms", None)
    with running(create_app(Source(path), limits=DEFAULT_LIMITS)) as where:
        answer = httpx.get(f"{where}api/v1/stores/k/kernel?layer=deep&norm=l2")
    assert answer.status_code == 413
