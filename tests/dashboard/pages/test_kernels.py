"""The page Kernels: what it says of a layer's weights is what numpy finds in the store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.drawing import nodes_in
from helpers.factories import make_store
from helpers.kernels import DEPTHWISE, KernelProbe, make_kernel_store
from numpy.testing import assert_allclose

from dashboard.figures.theme import LIGHT
from dashboard.pages.kernels import facts, page, selected
from dashboard.pages.kernels.facts import kernel_facts, plane_filter, source_layer
from dashboard.pages.state import parse_query
from dashboard.stores.source import Source
from fmcore.errors import StatisticNotFoundError, StoreError
from fmcore.numbers import number_text


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    return Source(make_kernel_store(tmp_path_factory.mktemp("kernels") / "k.h5")).snapshot()


def state(snapshot, query):
    return parse_query(query, snapshot.catalog)[0]


def words(snapshot, query):
    """What the panel of the selected kernel says, and where its links lead."""
    nodes = list(nodes_in(selected.draw(snapshot, state(snapshot, query), LIGHT)))
    links = [node["props"]["href"] for node in nodes if node["type"] == "Link"]
    return str(nodes), links


def test_facts_are_those_of_the_stored_weights(snapshot):
    kernel = snapshot.layer("deep").kernel
    of_deep = kernel_facts(snapshot, "deep", "kernel")
    assert of_deep.shape == kernel.shape
    assert of_deep.reach == np.abs(kernel).max()
    for name, order in (("l1", 1), ("l2", 2)):
        expected = np.linalg.norm(kernel.reshape(-1, 4).astype(np.float64), order, axis=0)
        assert_allclose(of_deep.norms[name], expected)
    assert (of_deep.source, of_deep.per_group, of_deep.is_color) == ("color", 5, False)
    assert not of_deep.message


def test_the_planes_of_the_first_layer_are_colors(snapshot):
    of_color = kernel_facts(snapshot, "color", "kernel")
    assert (of_color.is_color, of_color.names) == (True, ("R", "G", "B"))
    assert "the colors R, G, B of the image" in words(snapshot, "?layer=color")[0]


def test_a_separable_layer_has_two_parts(snapshot):
    pointwise, depthwise = (
        kernel_facts(snapshot, "separable", part) for part in ("kernel", "depthwise")
    )
    assert (pointwise.shape, pointwise.multiplier) == ((1, 1, 12, 3), 2)
    assert (depthwise.shape, depthwise.is_depthwise) == ((*DEPTHWISE[:2], 1, 12), True)
    kernel = snapshot.layer("separable").depthwise_kernel
    expected = np.abs(kernel).reshape(-1, 12).sum(axis=0)
    assert_allclose(depthwise.norms["l1"], expected, rtol=1e-6)
    text, links = words(snapshot, "?layer=separable&part=depthwise&plane=7")
    assert "Depthwise kernel 7: 2×1" in text
    assert links == ["filter?layer=pointwise&sample=0&filter=3"]
    # A part that a layer does not have is its kernel.
    assert kernel_facts(snapshot, "deep", "depthwise").shape == (2, 3, 5, 4)


def test_planes_lead_to_the_filters_that_they_are(snapshot):
    assert source_layer(snapshot, "deep") == "color"
    assert plane_filter(snapshot, "deep", 2, 4) == 4
    assert plane_filter(snapshot, "separable", 0, 11) == 5
    assert source_layer(snapshot, "pointwise") == "joined"
    for query, links in {
        "?layer=deep&kernels=plane&plane=3": ["filter?layer=color&sample=0&filter=3"],
        "?layer=deep&kernels=filter&filter=1&plane=99": ["filter?layer=color&sample=0&filter=4"],
        "?layer=dense&kernels=plane&plane=2": ["filter?layer=separable&sample=0&filter=2"],
        "?layer=deep": [],
    }.items():
        assert words(snapshot, query)[1] == links, query


def test_bias_and_norms_are_said(snapshot):
    layer = snapshot.layer("deep")
    text = words(snapshot, "?layer=deep&filter=2")[0]
    weights = layer.kernel[..., 2].astype(np.float64)
    assert f"bias {number_text(layer.bias[2])}" in text
    assert f"L1 norm {number_text(np.abs(weights).sum(), digits=4)}" in text
    assert f"L2 norm {number_text(np.linalg.norm(weights), digits=4)}" in text


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        ("pool", "a layer of the kind MaxPooling2D has no weights"),
        ("older", "earlier versions of fmcore kept none of a DepthwiseConv2D"),
    ],
)
def test_a_layer_without_a_kernel_says_why(snapshot, layer, why):
    assert why in kernel_facts(snapshot, layer, "kernel").message
    with pytest.raises(StatisticNotFoundError, match=why):
        selected.draw(snapshot, state(snapshot, f"?layer={layer}"), LIGHT)
    nodes = list(nodes_in(page.PAGE.layout(snapshot, state(snapshot, f"?layer={layer}"))))
    (wall,) = (node for node in nodes if node["props"].get("id") == "kernels-wall")
    assert wall["props"]["hidden"]


def test_a_kernel_that_is_too_large_is_not_read(snapshot, monkeypatch):
    monkeypatch.setattr(facts, "MOST_BYTES", 100)
    assert "more than the 0 MB" in facts._read(snapshot, "deep", "kernel").message


def test_weights_that_are_no_numbers_have_no_norm_and_colors_span_the_rest(tmp_path):
    probe = KernelProbe()
    kernel = probe.layers[0].kernel
    kernel[0, 0, 0, 1] = np.nan
    of_color = kernel_facts(
        Source(make_kernel_store(tmp_path / "s.h5", probe)).snapshot(), "color", "kernel"
    )
    assert [value is None for value in of_color.norms["l2"]] == [False, True, False, False, False]
    assert of_color.reach == np.nanmax(np.abs(kernel))


def test_a_kernel_of_another_number_of_filters_is_damage(tmp_path):
    probe = KernelProbe()
    first, *rest = probe.layers
    probe.layers = (replace(first, kernel=first.kernel[..., :3]), *rest)
    snapshot = Source(make_kernel_store(tmp_path / "s.h5", probe)).snapshot()
    with pytest.raises(StoreError, match="the weights of 3 filters, expected 5"):
        snapshot.kernel("color")


def test_without_a_configuration_no_plane_is_said_to_be_a_filter(tmp_path):
    snapshot = Source(make_store(tmp_path / "s.h5", 12)).snapshot()
    assert source_layer(snapshot, "conv2") == ""
    text, links = words(snapshot, "?layer=conv2&kernels=plane")
    assert "the model does not say" in text
    assert links == []
