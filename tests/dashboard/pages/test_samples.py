"""The page Samples: what is near is what scikit-learn finds, and a group goes where it can."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.color_vision import VISIONS, ciede2000, contrast, lab
from helpers.drawing import nodes_in
from helpers.factories import make_encoded_store, make_store
from numpy.testing import assert_array_equal
from sklearn.neighbors import NearestNeighbors

import dashboard
from dashboard.figures.theme import LIGHT
from dashboard.pages.samples import apart, group, map_card, selected
from dashboard.pages.state import map_colors_of, map_tables_of, parse_query
from dashboard.stores.source import Source

N = 300
COLORS = Path(dashboard.__file__).parent / "assets" / "samples" / "point_colors.js"


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    make_store(folder / "s.h5", N)
    return Source(folder / "s.h5").snapshot()


def state(snapshot, query):
    return parse_query(query, snapshot.catalog)[0]


def links_of(nodes):
    return [node["props"]["href"] for node in nodes_in(nodes) if node["type"] == "Link"]


def items_of(nodes):
    """The samples of the pictures, with the lines below each."""
    texts = (node["props"].get("data-thumbnails") for node in nodes_in(nodes))
    return json.loads(next(filter(None, texts)))["items"]


@pytest.mark.parametrize(("table", "by"), [("conv2", "mean"), ("conv2", "max"), ("output", "mean")])
def test_the_nearest_samples_are_those_of_scikit_learn(snapshot, table, by):
    nodes, near = selected.draw(
        snapshot, state(snapshot, f"?map={table}&map_by={by}&sample=7"), LIGHT
    )
    values = snapshot.store.probabilities if table == "output" else snapshot.layer(table).pooled(by)
    values = np.asarray(values[...], np.float64)
    distances, indices = NearestNeighbors(n_neighbors=13).fit(values).kneighbors(values[[7]])
    assert near["sample"] == 7
    assert 7 not in near["near"]
    own = np.linalg.norm(values[near["near"]] - values[7], axis=1)
    np.testing.assert_allclose(
        own, np.sort(np.delete(distances[0], indices[0] == 7))[:12], rtol=1e-9
    )
    assert [item[0] for item in items_of(nodes)] == near["near"]


def test_a_sample_lies_apart_if_few_lie_farther(snapshot):
    values = np.asarray(snapshot.layer("conv2").pooled("mean")[...], np.float64)
    distances = NearestNeighbors(n_neighbors=11).fit(values).kneighbors(values)[0][:, 10]
    order = np.argsort(-distances, kind="stable")
    first, last = order[0], order[-1]
    nodes = apart.draw(snapshot, state(snapshot, f"?map=conv2&sample={first}"), LIGHT)
    assert f"Sample {first} lies apart" in str(nodes)
    assert "0 of 300 samples lie farther apart (0%)" in str(nodes)
    assert {item[0] for item in items_of(nodes)} == set(order[:12].tolist())
    nodes = apart.draw(snapshot, state(snapshot, f"?map=conv2&sample={last}"), LIGHT)
    assert f"Sample {last} does not lie apart" in str(nodes)


def test_a_group_goes_to_the_script_and_to_other_pages(snapshot):
    nodes, sent = group.draw(snapshot, state(snapshot, "?group=label%3D1&sample=3"), LIGHT)
    expected = np.flatnonzero(snapshot.labels == 1)
    assert_array_equal(np.flatnonzero(snapshot.group(sent["text"])), expected)
    assert (sent["expression"], sent["total"]) == ("label=1", N)
    maps, rest, other = links_of(nodes)
    assert maps.startswith("maps?")
    assert parse_query(maps.partition("?")[2], snapshot.catalog)[0].sample == expected[0]
    pair = parse_query(rest.partition("?")[2], snapshot.catalog)[0]
    masks = [snapshot.group(text) for text in (pair.group_a, pair.group_b)]
    assert_array_equal(masks[0], ~masks[1])
    assert parse_query(other.partition("?")[2], snapshot.catalog)[0].group_b == ""


@pytest.mark.parametrize("text", ["", "label", "filter(none,1)>2", "9999", "not all"])
def test_a_group_without_samples_leads_nowhere(snapshot, text):
    nodes, sent = group.draw(snapshot, state(snapshot, f"?group={text}"), LIGHT)
    assert links_of(nodes) == []
    assert sent is None or sent["text"] in (None, "not all")


def test_a_link_that_is_too_long_for_an_address_is_not_offered(snapshot, monkeypatch):
    monkeypatch.setattr(group, "MOST_QUERY", 60)
    nodes, _ = group.draw(snapshot, state(snapshot, "?group=label%3D1"), LIGHT)
    assert "Too many samples for a link to Contrast" in str(nodes)
    assert len(links_of(nodes)) == 2


def test_a_map_is_of_the_deepest_layer_unless_the_link_says_another(snapshot):
    assert state(snapshot, "").map_table == list(snapshot.catalog.n_filters)[-1]
    facts = map_card.facts(snapshot)
    assert facts["tables"]["output"] == {"of": "output", "layer": ""}
    assert list(facts["tables"]) == list(map_tables_of(snapshot.catalog))


def test_without_predictions_a_map_is_of_layers(tmp_path):
    catalog = Source(make_encoded_store(tmp_path / "e.h5", labelled=False)).snapshot().catalog
    assert "output" not in map_tables_of(catalog)
    assert map_colors_of(catalog) == ("filter",)


@pytest.mark.parametrize(("scheme", "ground"), [("light", "ffffff"), ("dark", "242424")])
def test_colors_of_classes_are_told_apart_by_everybody(scheme, ground):
    part = re.search(rf"{scheme}: \[(.*?)\]", COLORS.read_text(), re.DOTALL)[1]
    colors = [
        [int(text[at : at + 2], 16) for at in (0, 2, 4)] for text in re.findall(r"#(\w{6})", part)
    ]
    back = [int(ground[at : at + 2], 16) for at in (0, 2, 4)]
    assert len(colors) == 10
    assert min(contrast(color, back) for color in colors) >= 3
    for vision in VISIONS:
        places = lab(np.array([*colors, back]), vision)
        apart_by = ciede2000(places[:, np.newaxis], places[np.newaxis])
        assert apart_by[~np.eye(11, dtype=bool)].min() >= 13, vision
