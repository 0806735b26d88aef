"""Laws of the page Errors: what it says of a store, beside numpy and scikit-learn."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.drawing import checked, nodes_in, values_of, words_of
from helpers.factories import CLASS_NAMES, make_encoded_store, make_target_store
from numpy.testing import assert_allclose, assert_array_equal
from plotly.io.json import to_json_plotly
from sklearn import metrics

from dashboard.figures.confusion import confusion_figure
from dashboard.figures.theme import DARK, LIGHT
from dashboard.pages.errors import calibration, classes, matrix, selection
from dashboard.pages.errors.page import PAGE
from dashboard.pages.errors.selection import Selection, contrasts, selection_of, term
from dashboard.pages.state import state_for
from dashboard.stores.source import Source
from fmcore.records import Target
from fmcore.selection import parse_group
from fmcore.statistics import confusion


@pytest.fixture(scope="module")
def snapshot(store_path):
    return Source(store_path).snapshot()


def links_of(nodes) -> list[str]:
    return [node["props"]["href"] for node in nodes_in(nodes) if "href" in node["props"]]


@pytest.mark.parametrize("order", ["class", "confused"])
@pytest.mark.parametrize("share", ["count", "label", "prediction"])
def test_the_matrix_is_that_of_scikit_learn_in_its_order(snapshot, store, share, order):
    state = state_for(snapshot.catalog, confusion_share=share, confusion_order=order)
    drawing = matrix.draw(snapshot, state, LIGHT)[0]
    picks = drawing["classes"]
    assert sorted(picks) == list(range(len(CLASS_NAMES)))
    normalize = {"count": None, "label": "true", "prediction": "pred"}[share]
    labels, predictions = store.labels, store.predictions
    expected = metrics.confusion_matrix(labels, predictions, labels=picks, normalize=normalize)
    counts = metrics.confusion_matrix(labels, predictions, labels=picks)
    is_empty = (counts.sum(1) == 0)[:, None] | (counts.sum(0) == 0)
    values = values_of(drawing["figure"]["data"][0]["z"])
    assert_array_equal(np.isnan(values), is_empty)
    assert_allclose(values[~is_empty], expected[~is_empty], rtol=1e-6)
    hover = values_of(drawing["figure"]["data"][0]["customdata"])
    assert_array_equal(hover[..., 0], counts)


def test_what_is_right_has_a_color_of_its_own_and_errors_span_theirs(snapshot):
    cells = matrix.cells_of(snapshot, np.arange(len(CLASS_NAMES)))
    names = list(CLASS_NAMES)
    errors = np.where(np.eye(len(names), dtype=bool) | cells.is_empty, 0, cells.counts)
    for theme in (LIGHT, DARK):
        figure = confusion_figure(cells, share="count", names=names, theme=theme)
        checked(figure)
        below, above = figure["data"][:2]
        assert below["zmax"] == errors.max()
        is_right = ~np.isnan(values_of(above["z"]))
        assert_array_equal(is_right, np.eye(len(names), dtype=bool) & ~cells.is_empty)
        assert above["colorscale"][0][1] not in [color for _, color in below["colorscale"]]
        numbers = figure["data"][2]
        assert len(numbers["text"]) == np.count_nonzero(np.where(cells.is_empty, 0, cells.counts))


def test_of_a_thousand_classes_those_with_the_most_errors_make_a_small_figure():
    rng = np.random.default_rng(0)
    labels = rng.integers(1000, size=20_000)
    wrong = rng.integers(1000, size=20_000)
    predictions = np.where(rng.random(20_000) < 0.7, labels, wrong)
    labels[:500], predictions[:500] = 3, 8
    counts = confusion(labels, predictions, n_classes=1000)
    many = SimpleNamespace(
        confusion=lambda: counts,
        catalog=SimpleNamespace(class_names=[f"a class of number {at}" for at in range(1000)]),
    )
    state = SimpleNamespace(confusion_share="label", confusion_order="confused")
    drawing, _, words, _ = matrix.draw(many, state, LIGHT)
    assert set(drawing["classes"][:2]) == {3, 8}
    assert len(drawing["classes"]) == matrix.MOST_CLASSES
    assert "100 of 1,000 classes" in words
    assert len(to_json_plotly(drawing)) < 500_000


def test_samples_of_a_cell_are_ordered_by_confidence(snapshot, store):
    labels, predictions = store.labels, store.predictions
    confidence = store.probabilities[np.arange(len(labels)), predictions]
    cells = [(None, None), (0, None), (None, 1), (0, 1), (2, 2)]
    for label, predicted in cells:
        state = state_for(snapshot.catalog, class_index=label, predicted=predicted)
        samples = selection_of(state).samples(snapshot)
        mask = labels == predictions if label == predicted is not None else labels != predictions
        for values, index in ((labels, label), (predictions, predicted)):
            if index is not None:
                mask = mask & (values == index)
        assert sorted(samples) == np.flatnonzero(mask).tolist()
        assert (np.diff(confidence[samples]) <= 0).all()
        words = words_of(selection.draw_samples(snapshot, state, LIGHT, search=None))
        assert f"{len(samples)} sample" in words


def test_a_pair_leads_to_its_cell_and_a_cell_to_contrast_with_what_went_right(snapshot, store):
    labels, predictions = store.labels, store.predictions
    pairs = selection.draw_pairs(snapshot, state_for(snapshot.catalog), LIGHT, search=None)
    label, predicted, _ = snapshot.confusion().pairs()[0].tolist()
    assert f"class={label}" in links_of(pairs)[0]
    assert f"predicted={predicted}" in links_of(pairs)[0]
    for pair in contrasts(Selection(label, predicted, "all"), CLASS_NAMES)[:1]:
        assert_array_equal(
            store.group(pair.group_a), (labels == label) & (predictions == predicted)
        )
        assert_array_equal(store.group(pair.group_b), (labels == label) & (predictions == label))
    state = state_for(snapshot.catalog, class_index=label, predicted=predicted)
    links = links_of(selection.draw(snapshot, state, LIGHT))
    n_right = sum(
        ((labels == index) & (predictions == index)).any() for index in (label, predicted)
    )
    assert sum(link.startswith("contrast?") for link in links) == n_right
    maps = next(link for link in links if link.startswith("maps?"))
    assert f"class={label}" in maps
    assert f"predicted={predicted}" in maps


def test_groups_name_classes_that_expressions_must_quote_or_that_share_a_name():
    names = ("a cat", "7", "or", 'say "x"', "7")
    for index, name in enumerate(names):
        text = term("label", index, names)
        assert parse_group(text)
        if index == 4:
            assert text == "label=4"
        else:
            assert parse_group(text).classes == (name,)


@pytest.mark.parametrize(("label", "predicted"), [(None, None), (1, None), (None, 1), (1, 1)])
def test_each_selection_has_a_contrast_of_right_and_wrong(store, label, predicted):
    labels, predictions = store.labels, store.predictions
    (pair,) = contrasts(Selection(label, predicted, "wrong"), CLASS_NAMES)
    of = predictions if label is None and predicted is not None else labels
    mask = np.ones(len(labels), bool) if label is predicted is None else of == 1
    assert_array_equal(store.group(pair.group_a), mask & (labels != predictions))
    assert_array_equal(store.group(pair.group_b), mask & (labels == predictions))


def test_the_table_has_each_class_with_intervals(snapshot, store):
    definitions, rows, file, words = classes.draw(
        snapshot, state_for(snapshot.catalog), LIGHT, sort="f1.asc"
    )
    expected = metrics.precision_recall_fscore_support(
        store.labels, store.predictions, labels=range(len(CLASS_NAMES)), zero_division=np.nan
    )
    for name, values in zip(classes.SCORES, expected, strict=False):
        column = [np.nan if row[name] is None else row[name] for row in rows]
        assert_allclose(column, values, rtol=1e-9)
        assert f"{np.nanmean(values):.4f}" in words
    assert [row["n_label"] for row in rows] == expected[3].tolist()
    assert next(column for column in definitions if column.get("sort"))["field"] == "f1"
    assert file["allColumns"]


def test_calibration_says_whether_it_is_within_chance(snapshot, store):
    figure, _, note, words = calibration.draw(snapshot, state_for(snapshot.catalog), LIGHT)
    checked(figure)
    reliability = store.calibration()
    n = reliability.n[reliability.n > 0]
    assert figure["data"][2]["text"] == [f"{count:,}" for count in n.tolist()]
    verdict = (
        "within chance" if reliability.error <= reliability.error_by_chance else "more than chance"
    )
    assert verdict in words_of(note)
    assert f"{n[0]:,} samples" in words


@pytest.mark.parametrize("kind", ["encoded", "without labels", Target.LABELS, Target.NUMBER])
def test_a_store_without_errors_says_why_and_what_there_is_instead(kind, tmp_path):
    path = tmp_path / "s.h5"
    match kind:
        case "encoded":
            make_encoded_store(path)
        case "without labels":
            make_encoded_store(path, labelled=False)
        case _:
            make_target_store(path, kind)
    snapshot = Source(path).snapshot()
    state = state_for(snapshot.catalog)
    layout = PAGE.layout(snapshot, state)
    words = words_of(layout)
    assert "No prediction of a class is right or wrong here" in words
    assert snapshot.store.why_no_outcomes in words
    json.dumps(layout)
    if kind == Target.LABELS:
        rows = classes.draw(snapshot, state, LIGHT, sort=None)[1]
        expected = metrics.precision_recall_fscore_support(
            snapshot.store.truth, snapshot.store.answers >= 0.5, zero_division=np.nan
        )
        column = [np.nan if row["f1"] is None else row["f1"] for row in rows]
        assert_allclose(column, expected[2], rtol=1e-9)
