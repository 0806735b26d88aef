"""Laws of the pages: a suite over the registry, and the pure parts of each."""

from __future__ import annotations

import json

import numpy as np
import pytest
from dash import dcc
from dash.development.base_component import Component

from dashboard.components.graph import CONFIG
from dashboard.source import Source
from dashboard.state import parse_query
from dashboard.views import VIEWS
from dashboard.views.feature_maps.facts import (
    color_ranges,
    filter_facts,
    montage_note,
    neighbour,
    position_text,
)


@pytest.fixture(scope="module")
def source(store_path):
    return Source(store_path)


def ids_of(component: Component) -> set[str]:
    found = {component.id} if getattr(component, "id", None) else set()
    return found | {one.id for one in component._traverse() if getattr(one, "id", None)}


def test_views_are_named_and_described_once():
    assert len({view.name for view in VIEWS}) == len(VIEWS)
    for view in VIEWS:
        assert view.title
        assert view.description.endswith(".")


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_every_id_that_a_callback_uses_is_on_its_page(view, source):
    from dashboard.app import _create_dash

    snapshot = source.snapshot()
    page = view.layout(snapshot, parse_query("", snapshot.catalog)[0])
    there = ids_of(page)
    assert view.query_id in there
    json.dumps(page.to_plotly_json(), default=lambda one: one.to_plotly_json())
    dash = _create_dash(source)
    frame = {"url", "page", "scheme", *(f"nav-{one.name}" for one in VIEWS)}
    used = {
        one["id"]
        for callback in dash.callback_map.values()
        for one in (*callback["inputs"], *callback["state"])
    }
    prefix = view.query_id.split("-")[0]
    assert {one for one in used if one.startswith(prefix)} <= there
    known = frame.union(
        *(ids_of(v.layout(snapshot, parse_query("", snapshot.catalog)[0])) for v in VIEWS)
    )
    assert used <= known


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_every_graph_begins_with_a_figure_that_can_be_patched(view, source):
    snapshot = source.snapshot()
    page = view.layout(snapshot, parse_query("", snapshot.catalog)[0])
    graphs = [one for one in page._traverse() if isinstance(one, dcc.Graph)]
    assert graphs
    assert all(one.figure == {"data": [], "layout": {}} for one in graphs)


def test_no_graph_offers_to_send_data_anywhere():
    assert CONFIG["showSendToCloud"] is False
    assert CONFIG["displaylogo"] is False


@pytest.mark.parametrize(
    ("sample", "direction", "expected"),
    [
        (5, 1, 9),
        (5, -1, 2),
        (5, 0, 5),
        (9, 1, 2),
        (2, -1, 9),
        (6, 1, 9),
        (6, -1, 5),
        (6, 0, 9),
        (2, 4, 5),
        (2, -4, 9),
        (6, 2, 2),
    ],
)
def test_steps_stay_within_the_selection_and_go_round(sample, direction, expected):
    assert neighbour(np.array([2, 5, 9]), sample, direction) == expected


def test_an_empty_selection_has_no_neighbour_and_says_so():
    assert neighbour(np.array([], int), 3, 1) is None
    assert position_text(np.array([], int), 3, 50).startswith("0 of 50 samples match")
    assert position_text(np.array([2, 5]), 5, 50) == "2 of 2 that match, of 50 samples"
    assert position_text(np.array([2, 5]), 4, 50) == "Not among the 2 that match, of 50 samples"


def test_the_note_says_how_many_of_how_many_and_what_colours_mean():
    assert montage_note((26, 26, 16), "layer").startswith("All 16 of 16 filters, 26×26 each.")
    assert "largest of 4×4 values" in montage_note((224, 224, 64), "map")


def test_facts_of_a_dead_map():
    facts = filter_facts(np.zeros((3, 3), np.float32), np.array([0.0, 2.0]))
    assert facts["Largest here"] == "all zero"
    assert facts["Exactly zero here"] == "9 of 9"


def test_colours_of_a_map_span_its_finite_values(source):
    snapshot = source.snapshot()
    maps = np.ones((3, 2, 3), np.float32)
    maps[0, 0] = [np.inf, np.nan, -2]
    maps[:, :, 1] = np.nan
    shown = snapshot.state(color_range="map")
    np.testing.assert_array_equal(color_ranges(snapshot, shown, maps), [[1, 0, -2], [1, 0, 1]])


def test_facts_are_of_finite_values():
    values = np.array([[np.nan, 2.0], [np.inf, 1.0]], np.float32)
    facts = filter_facts(values, np.array([0.0, 2.0]))
    assert facts["Largest here"] == "2 at y 0, x 1"
    assert facts["Mean here"] == "1.5"
    assert facts["Not finite here"] == "2 of 4"


def test_samples_are_chosen_by_class_and_outcome(source, store):
    snapshot = source.snapshot()
    labels, predictions = store.labels, store.predictions
    for class_index in (None, 0, 3):
        for outcome in ("all", "correct", "wrong"):
            mask = np.ones(37, bool) if class_index is None else labels == class_index
            if outcome != "all":
                mask = mask & ((labels == predictions) == (outcome == "correct"))
            np.testing.assert_array_equal(
                snapshot.matching(class_index, outcome), np.flatnonzero(mask)
            )


def test_a_replaced_store_is_opened_anew_and_the_old_one_stays_whole(tmp_path):
    from factories import make_store

    path = make_store(tmp_path / "s.h5", 7)
    source = Source(path)
    before = source.snapshot()
    assert source.snapshot() is before
    make_store(path, 9, overwrite=True)
    after = source.snapshot()
    assert (before.catalog.n_samples, after.catalog.n_samples) == (7, 9)
    assert before.layer("conv2").feature_maps(6).shape == (4, 4, 3)
