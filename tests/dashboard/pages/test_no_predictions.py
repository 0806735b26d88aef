"""Pages and API on a store without predictions, with labels and without: they claim nothing."""

from __future__ import annotations

import dataclasses
import json
import re

import httpx
import pytest
from helpers.drawing import nodes_in
from helpers.factories import (
    CLASS_NAMES,
    NumpyEncoder,
    NumpyProbe,
    make_encoded_store,
    make_plan,
    make_samples,
)
from helpers.servers import running

from dashboard import create_app
from dashboard.figures.theme import LIGHT
from dashboard.pages import PAGES, UNNAMED
from dashboard.pages.classes import cell, filters
from dashboard.pages.classes.cell import top_strip
from dashboard.pages.feature_maps.samples import thumbnails
from dashboard.pages.filter import header, samples
from dashboard.pages.filter.distribution import distribution
from dashboard.pages.filter.samples import responses
from dashboard.pages.state import parse_query, state_for
from dashboard.stores.source import Source
from fmcore.capture import capture

LAYER = "conv2"


@pytest.fixture(scope="module", params=["labels", "no labels"])
def source(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoded")
    return Source(make_encoded_store(folder / "encoded.h5", labelled=request.param == "labels"))


@pytest.fixture
def snapshot(source):
    return source.snapshot()


def text_of(component) -> str:
    return json.dumps(component, ensure_ascii=False)


def hidden(page) -> str:
    return text_of([node for node in nodes_in(page) if node["props"].get("hidden")])


@pytest.mark.parametrize("view", PAGES, ids=lambda view: view.name)
def test_controls_that_choose_nothing_are_hidden(view, snapshot):
    page = view.layout(snapshot, parse_query("", snapshot.catalog)[0])
    has_classes = snapshot.catalog.has_classes
    away = hidden(page)
    assert ("maps-outcome" in away) == (view.name == "maps")
    assert ("maps-probability" in away) == (view.name == "maps")
    if "class_index" in view.controls:
        chooses = has_classes and view.name != "errors"  # which needs predictions, too
        assert (f'{view.controls["class_index"].id}"' in away) == (not chooses)
    text = text_of(page)
    assert "confident" not in text or view.name == "errors"  # of panels that are hidden
    assert ("Score for this class" in text) == (view.name == "maps" and has_classes)
    if view.name == "maps":
        assert "the model puts out (4, 4, 3) for each image" in text
    if view.name == "classes":
        assert ("The images have no labels" in text) != has_classes


def test_a_link_to_an_outcome_says_that_there_is_none(snapshot):
    state, notes = parse_query("?outcome=wrong&by=sure", snapshot.catalog)
    assert (state.outcome, state.picked) == ("all", "index")
    assert any("kind of prediction 'wrong'" in note for note in notes)
    assert any("order of samples 'sure'" in note for note in notes)


def test_pictures_claim_no_class_that_nobody_knows(snapshot):
    state = state_for(snapshot.catalog, layer=LAYER, filter_index=0)
    best = responses(snapshot, LAYER, 0)[0][0]
    said = [
        text_of(thumbnails(snapshot, range(20))),
        text_of(header.draw(snapshot, state, LIGHT)),
        text_of(samples.draw_strongest(snapshot, state, LIGHT)),
        text_of(top_strip(snapshot, state, "")),
    ]
    for words in said:
        assert not re.search(r"[Pp]redicted|right\b|wrong|✓|✗", words)
    if snapshot.store.has_labels:
        label = CLASS_NAMES[snapshot.labels[best.sample]]
        assert f"label {label}" in said[0]
        assert f"Sample {best.sample}, label {label}" in said[1]
    else:
        assert f"Sample {best.sample}, without label" in said[1]
        assert not any("label all" in words or "class all" in words for words in said)


def test_activations_are_those_of_all_where_there_are_no_classes(snapshot):
    drawing = distribution(snapshot, "block/conv 1", 6, None)
    if snapshot.catalog.has_classes:
        assert drawing.names[-1] == "all classes"
    else:
        assert drawing.names == ["all samples"]
        assert "class" not in drawing.note


def test_one_cell_is_said_to_be_of_all_samples(snapshot):
    state = state_for(snapshot.catalog, layer=LAYER, filter_index=0)
    said = f"{cell.sizes_words(snapshot, state)} {cell.value_words(snapshot, state)}"
    names = {column.field for column in filters.columns(snapshot, state)}
    assert ("class" in said) == snapshot.catalog.has_classes
    assert ("best_class" in names) == snapshot.catalog.has_classes
    assert "apoz" in names


def test_the_api_gives_null_and_leaves_out(source, snapshot):
    has_labels = snapshot.store.has_labels
    with running(create_app(source)) as url, httpx.Client(base_url=url) as client:
        (line,) = client.get("api/v1/stores").json()
        assert line["test_accuracy"] is None
        assert client.get("api/v1/stores/encoded").json()["has_predictions"] is False
        assert line["labels"] == ("given" if has_labels else "none")
        one = "api/v1/stores/encoded"
        about = client.get(one).json()["about"]["model"]
        assert about["output"] == NumpyEncoder.info.output
        rows = client.get(f"{one}/samples").json()
        assert len(rows) == 37
        assert set(rows[0]) == {"index", "id"} | ({"label"} if has_labels else set())
        for sample in ("correct", "wrong"):
            answer = client.get(f"{one}/maps", params={"layer": LAYER, "sample": sample})
            assert answer.status_code == 422
            assert answer.json()["field"] == "sample"
            assert "no predictions" in answer.json()["detail"]
        answer = client.get(f"{one}/pooled", params={"layer": LAYER, "format": "csv"})
        assert "prediction" not in answer.text
        examples = json.dumps(client.get("openapi.json").json())
        assert '"correct"' not in examples
        assert client.get(f"{one}/statistics", params={"layer": LAYER}).status_code == 200


def test_labels_of_the_models_own_are_neither_right_nor_wrong(tmp_path):
    samples = dataclasses.replace(make_samples(7), labels_are="predicted")
    plan = make_plan(7)
    about = dataclasses.replace(plan.store.dataset, labels="predicted")
    plan = dataclasses.replace(plan, store=dataclasses.replace(plan.store, dataset=about))
    snapshot = Source(capture(NumpyProbe(), samples, tmp_path / "s.h5", plan)).snapshot()
    page = UNNAMED.layout(snapshot, parse_query("", snapshot.catalog)[0])
    assert "maps-outcome" in hidden(page)
    assert "maps-probability" not in hidden(page)
    assert "confident" in text_of(page)
    assert "test_accuracy" not in snapshot.about()["model"]
