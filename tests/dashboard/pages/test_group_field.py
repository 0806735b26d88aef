"""Samples are picked by group and predicted class, and a group that is wrong says why in place."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dashboard.pages.feature_maps.samples import picks
from dashboard.pages.group_field import group_field, group_words
from dashboard.pages.state import state_for
from dashboard.stores.source import Source


@pytest.fixture(scope="module")
def snapshot(store_path):
    return Source(store_path).snapshot()


def picked(snapshot, **values):
    return picks(snapshot, state_for(snapshot.catalog, **values))


def test_choices_of_samples_narrow_each_other(snapshot):
    labels, predictions = snapshot.labels, snapshot.predictions
    selection = picked(snapshot, predicted=1, class_index=0, group="not 0:10")
    mask = (labels == 0) & (predictions == 1) & (np.arange(37) >= 10)
    assert_array_equal(selection["list"], np.flatnonzero(mask))
    assert (selection["n"], selection["predicted"], selection["group"]) == (
        mask.sum(),
        1,
        "not 0:10",
    )
    strongest = picked(snapshot, group="correct", picked="sure")["list"]
    correct = np.flatnonzero(labels == predictions)
    confidence = snapshot.store.probabilities.max(axis=1)
    assert_array_equal(strongest, correct[np.argsort(-confidence[correct], kind="stable")])
    assert picked(snapshot, group="all")["list"] is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        ("0:7", "7 of 37 samples"),
        ("correct wrong", "None of the 37 samples is in this group."),
        ("wrongg", "'wrongg': at character 1 expected a term such as"),
        ("label=9", "Label: there is no class '9'; expected a name or an index from 0 to 3"),
        ("@/etc/passwd", "one can be named on the command line and in Python only"),
        ("filter(conv9,1)>0", "Filter: no layer 'conv9' in tiny.h5"),
        ("0" * 7001, "An expression of 7,001 characters; expected at most 7,000: save the ids"),
    ],
)
def test_a_group_says_how_many_it_has_or_what_is_wrong_and_picks_none_then(snapshot, text, words):
    message, is_problem = group_words(snapshot, text)
    assert words in message
    assert is_problem == (words not in ("", "7 of 37 samples") and "None" not in words)
    field, status = (
        part["props"] for part in group_field(snapshot, "any", text)["props"]["children"]
    )
    assert (field["value"], field["error"], status["children"]) == (text, is_problem, message)
    if is_problem or "None" in words:
        assert (picked(snapshot, group=text)["n"], picked(snapshot, group=text)["list"]) == (0, [])


def test_equal_expressions_are_looked_up_once(snapshot):
    assert snapshot.group("label=1,wrong") is snapshot.group(" label=1  and wrong ")
