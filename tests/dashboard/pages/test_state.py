"""A link says what a page shows, and what does not exist becomes the nearest there is."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.pages.state import (
    DEFAULT_STATISTIC,
    FIELDS,
    State,
    parse,
    parse_query,
    updated_query,
)
from dashboard.stores.catalog import Catalog
from dashboard.stores.source import Source

CATALOG = Catalog({"conv1": 16, "block/conv 2&": 3}, 50, ("a", "b"), ("mean", "std"))

# Of fields that only their parser knows.
OPEN = {
    "group": ["", 'label="a b"|1 wrong & or', "set:AHjaE1IEAABHADQ"],
    "group_a": ["", "0:100,205"],
    "group_b": ["", "not (0:100,205)"],
    "kernel_window": ("", "0,0,500,500"),
    "region": ["", "100,200,600,700.5"],
    "window": ["", "0,0,5,4.5", "2.125,3,9,1000"],
    "color_ends": ["", "0,2.5", "-1e-7,.5", "-3.4028235e+38,0"],
    "with_store": ["", "a:zwei ü&="],
    "other": ["", "block/conv 2&"],
    "place": ["", "3,4", "0,0,27,9"],
    "unit": ["", "12,0"],
    "find": ["", "dead & class ü"],
    "sort": ["", "best_auc.desc"],
    "find_all": ["", "dead & class ü"],
    "sort_all": ["", "best_auc.desc"],
    "network_open": ["", "all", "0-3.7"],
    "sort_classes": ["", "accuracy.asc"],
    "find_contrast": ["", "dead & class ü"],
    "sort_contrast": ["", "q.asc"],
    "find_class": ["", "zwei ü&="],
    "map_only": ["", "3", "0.12.999"],
    "map_window": ["", "100,200,600,700.5"],
    "sort_errors": ["", "f1.asc"],
}


@st.composite
def states(draw):
    """Any state that there is, field by field."""
    values: dict[str, object] = {}
    for name, link in FIELDS.items():
        if link.values is None:
            values[name] = draw(st.sampled_from(OPEN[name]))
            continue
        existing = st.sampled_from(list(link.values(CATALOG, values))[:5000])
        usual = link.default(CATALOG)
        values[name] = draw(existing if usual is not None else st.none() | existing)
    return State(**values)


def test_a_link_without_a_statistic_shows_the_same_one_whatever_comes_first(store_path):
    every = Source(store_path).snapshot().catalog
    for names in (every.statistics, every.statistics[::-1]):
        assert parse({}, replace(every, statistics=names))[0].statistic == DEFAULT_STATISTIC
    basic = replace(every, statistics=("std",))
    state, notes = parse({"statistic": DEFAULT_STATISTIC}, basic)
    assert state.statistic == "std"
    assert len(notes) == 1


@given(states())
def test_a_link_opens_what_it_was_made_from(state):
    assert parse_query(state.query(CATALOG), CATALOG) == (state, ())


@given(
    st.dictionaries(
        st.sampled_from(list(FIELDS)),
        st.none() | st.text() | st.integers() | st.floats() | st.lists(st.integers()),
    )
)
def test_whatever_is_asked_for_something_that_exists_is_shown(values):
    state, _ = parse(values, CATALOG)
    assert state.layer in CATALOG.n_filters
    assert 0 <= state.sample < 50
    assert 0 <= state.filter_index < CATALOG.n_filters[state.layer]
    assert state.class_index in (None, 0, 1)
    assert parse_query(state.query(CATALOG), CATALOG)[0] == state


def test_what_does_not_exist_is_said():
    state, notes = parse_query("?layer=conv9&sample=99&filter=-1&class=x", CATALOG)
    assert (state.layer, state.sample, state.filter_index, state.class_index) == (
        "conv1",
        49,
        0,
        None,
    )
    assert notes == (
        "There is no layer 'conv9' here; showing 'conv1'.",
        "There is no sample 99 here (0 to 49); showing 49.",
        "There is no filter -1 here (0 to 15); showing 0.",
        "The class 'x' is no number.",
    )


@pytest.mark.parametrize("name", FIELDS)
def test_a_message_names_a_field_as_people_do_and_never_by_its_key(name):
    link = FIELDS[name]
    for value in ("no such\n", "x" * 300, -1, 10**9):
        for note in parse({name: value}, CATALOG)[1]:
            assert note.startswith(("There is no ", "The ")), note
            assert link.noun in note
            words = note.replace(link.noun, "").replace(repr(value), "").split("; showing")[0]
            assert not re.search(rf"\b({link.key}|{name})\b", words), note


def test_names_of_other_stores_are_kept_as_they_are_unless_they_cannot_be_names():
    state, notes = parse({"with_store": "mnist ü", "other": "a/conv 1"}, CATALOG)
    assert (state.with_store, state.other, notes) == ("mnist ü", "a/conv 1", ())
    state, notes = parse({"with_store": "x" * 256, "other": "a\n", "pairing": "luck"}, CATALOG)
    assert (state.with_store, state.other, state.pairing) == ("", "", "fit")
    assert notes == (
        "The store to compare with has a name of 256 characters; 255 at most.",
        "The layer of the other store has a name of 2 characters that cannot be printed.",
        "There is no way to pair filters 'luck' here; showing 'fit'.",
    )


def test_an_empty_link_shows_the_first_of_everything_without_a_word():
    assert parse_query("", CATALOG) == parse_query(None, CATALOG)
    assert parse_query("", CATALOG)[1] == ()


@given(states())
def test_what_a_page_does_not_show_stays_in_its_link(state):
    changed = parse_query(updated_query(state.query(CATALOG), CATALOG, class_index=None), CATALOG)[
        0
    ]
    assert changed == replace(state, class_index=None)
