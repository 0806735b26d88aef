"""Laws of the pages: a suite over the registry, and the pure parts of each."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from helpers.drawing import nodes_in
from helpers.factories import NumpyProbe, make_plan, make_samples

from dashboard.components.graph import CONFIG
from dashboard.figures.theme import LIGHT
from dashboard.pages import PAGES, catalogue
from dashboard.pages import shell as frame
from dashboard.pages.feature_maps.samples import thumbnails
from dashboard.pages.filter import header
from dashboard.pages.state import parse_query
from dashboard.stores.source import Source
from fmcore.capture import capture


@pytest.fixture(scope="module")
def source(store_path):
    return Source(store_path)


def ids_of(page) -> set[str]:
    return {node["props"]["id"] for node in nodes_in(page) if "id" in node["props"]}


def test_views_are_named_and_described_once():
    assert len({view.name for view in PAGES}) == len(PAGES)
    for view in PAGES:
        assert view.title
        assert view.description.endswith(".")


@pytest.mark.parametrize("view", PAGES, ids=lambda view: view.name)
def test_every_id_that_a_callback_uses_is_on_its_page(view, source):
    from dashboard.app import _create_dash

    snapshot = source.snapshot()
    page = view.layout(snapshot, parse_query("", snapshot.catalog)[0])
    there = ids_of(page)
    json.dumps(page)
    dash = _create_dash(source)
    around = ids_of(frame.layout(source, title="")) | {"page"} | ids_of(catalogue.layout(source))
    used = {
        address["id"]
        for callback in dash.callback_map.values()
        for address in (*callback["inputs"], *callback["state"])
    }
    assert {used_id for used_id in used if used_id.startswith(f"{view.name}-")} <= there
    known = around.union(
        *(ids_of(v.layout(snapshot, parse_query("", snapshot.catalog)[0])) for v in PAGES)
    )
    assert used <= known


@pytest.mark.parametrize("view", PAGES, ids=lambda view: view.name)
def test_every_graph_begins_with_a_figure_that_can_be_patched(view, source):
    snapshot = source.snapshot()
    page = view.layout(snapshot, parse_query("", snapshot.catalog)[0])
    graphs = [node for node in nodes_in(page) if node["type"] == "Graph"]
    assert all({"data", "layout"} <= node["props"]["figure"].keys() for node in graphs)


def test_no_graph_offers_to_send_data_anywhere():
    assert CONFIG["showSendToCloud"] is False
    assert CONFIG["displaylogo"] is False


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
    from helpers.factories import make_store

    path = make_store(tmp_path / "s.h5", 7)
    source = Source(path)
    before = source.snapshot()
    assert source.snapshot() is before
    make_store(path, 9, overwrite=True)
    after = source.snapshot()
    assert (before.catalog.n_samples, after.catalog.n_samples) == (7, 9)
    assert before.layer("conv2").feature_maps(6).shape == (4, 4, 3)


def test_without_labels_no_page_says_one(tmp_path):
    plan = make_plan(12)
    about = replace(plan.store.dataset, labels="predicted")
    plan = replace(plan, store=replace(plan.store, dataset=about))
    path = capture(NumpyProbe(), make_samples(12), tmp_path / "s.h5", plan)
    source = Source(path)
    snapshot = source.snapshot()
    state = parse_query("?layer=conv2&filter=0", snapshot.catalog)[0]
    pages = [
        frame.layout(source, title=""),
        *thumbnails(snapshot, list(range(12))),
        header.draw(snapshot, state, LIGHT),
    ]
    said = json.dumps(pages, default=lambda one: one.to_plotly_json())
    assert "no labels: classes are what the model predicts" in said
    assert "Sample 3: predicted" in said
    assert "without label" in said
    assert not re.search("label (zero|one|zwei)", said)
