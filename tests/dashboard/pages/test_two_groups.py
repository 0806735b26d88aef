"""Two groups of samples on the pages, against numpy and scikit-learn on the stored maps."""

from __future__ import annotations

from urllib.parse import parse_qs

import numpy as np
import pytest
from helpers.drawing import checked
from helpers.factories import make_encoded_store, make_store, sampled
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import roc_auc_score

from dashboard.figures.theme import LIGHT
from dashboard.pages.classes import filters
from dashboard.pages.feature_maps.wall import order_filters
from dashboard.pages.state import query_for, state_for
from dashboard.pages.two_groups import panel
from dashboard.stores import groups
from dashboard.stores.groups import Source, groups_of
from dashboard.stores.source import Source as Stores
from fmcore.errors import SelectionError
from fmcore.statistics import classes_of

FIRST, SECOND = "block/conv 1", "conv2"
# Expressions, and whether each is a union of classes; some share samples.
GROUPS = {
    "label=1": True,
    "label=0|2": True,
    "not label=2": True,
    "1,3:20:2": False,
    "correct": None,  # as the model has it
    "3:30": False,
    "filter(conv2,2)>0.9 quantile": None,
}
KINDS = {"full": {}, "basic": {"statistics": "basic"}, "pooled": {"policy": "*=pooled"}}


@pytest.fixture(scope="module", params=KINDS)
def snapshot(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("groups") / f"{request.param}.h5"
    return Stores(make_store(path, **KINDS[request.param])).snapshot()


@pytest.fixture(scope="module")
def maps(store_path):
    """The maps of all samples, also where the store at hand keeps none."""
    layers = Stores(store_path).snapshot()
    return {name: layers.layer(name).activation[...] for name in (FIRST, SECOND)}


def counted(values, bounds):
    """How many values lie in each bin, by definition."""
    return [np.count_nonzero((values >= low) & (values <= high)) for low, high in bounds.T]


@pytest.mark.share
@pytest.mark.parametrize(
    ("first", "second"), sampled(6, [(a, b) for a in GROUPS for b in GROUPS if a != b])
)
def test_spreads_and_mean_maps_are_numpys_over_the_samples_that_only_one_group_has(
    first, second, snapshot, maps
):
    two = groups_of(snapshot, first, second)
    masks = [snapshot.group(text) for text in (first, second)]
    assert two.n_both == (masks[0] & masks[1]).sum()
    if two.empty:
        assert not (masks[0] & ~masks[1]).any() or not (masks[1] & ~masks[0]).any()
        return
    for layer, filter_index in ((FIRST, 7), (SECOND, 2)):
        spread = groups.group_spread(snapshot, layer, filter_index, two)
        means = groups.group_maps(snapshot, layer, filter_index, two)
        own = maps[layer][..., filter_index]
        for mask, other, part, mean, group in zip(
            masks, masks[::-1], spread.groups, means, (two.a, two.b), strict=True
        ):
            inside = own[mask & ~other]
            assert part.n == part.n_maps == len(inside)
            if spread.source == Source.POOLED:
                pooled = inside.mean(axis=(1, 2), dtype="f8")
                assert part.counts.sum() == len(pooled)
                assert mean is None or group.classes is not None
            else:
                assert_array_equal(part.counts, counted(inside, spread.bounds))
            if mean is not None:
                assert_allclose(mean, inside.mean(axis=0, dtype="f8"), rtol=1e-5, atol=1e-7)
        if snapshot.layer(layer).has_maps:
            assert spread.source != Source.POOLED
            assert all(mean is not None for mean in means)


def test_only_groups_that_are_whole_classes_need_no_maps(snapshot):
    for text, is_union in GROUPS.items():
        mask = snapshot.group(text)
        classes = classes_of(mask, snapshot.labels, len(snapshot.class_sizes))
        assert is_union is None or (classes is not None) == is_union, text


def test_maps_are_read_a_step_after_the_other_and_no_more_at_once(tmp_path, monkeypatch, maps):
    monkeypatch.setattr(groups, "STEP_MAPS", 5)
    snapshot = Stores(make_store(tmp_path / "a.h5")).snapshot()
    two = groups_of(snapshot, "0:18", "20:24")
    own, n_read = maps[FIRST][..., 3], []
    for step in range(6):
        spread = groups.group_spread(snapshot, FIRST, 3, two, step=step)
        n_read.append([part.n_maps for part in spread.groups])
        assert spread.groups[0].counts.sum() == n_read[-1][0] * own[0].size
    assert n_read == [[5, 4], [10, 4], [15, 4], [18, 4], [18, 4], [18, 4]]
    assert_array_equal(spread.groups[0].counts, counted(own[:18], spread.bounds))
    # What was read stays: a filter of the same chunk, and the first step again, read nothing.
    assert groups.group_spread(snapshot, FIRST, 4, two).n_read == (22, 22)
    # Far beyond, at most one step is read.
    other = groups_of(snapshot, "0:30", "30:32")
    assert groups.group_spread(snapshot, FIRST, 3, other, step=10**6).n_read == (7, 32)


@pytest.mark.share
@pytest.mark.parametrize("text", sampled(3, GROUPS))
def test_the_strongest_of_a_group_are_numpys_order_of_its_maxima(text, snapshot, maps):
    two = groups_of(snapshot, text, "0")
    top = snapshot.layer(FIRST).strongest(4, most=8, mask=two.a.mask)
    largest = maps[FIRST][..., 4].max(axis=(1, 2))
    members = np.flatnonzero(two.a.mask)
    expected = members[np.argsort(-largest[members], kind="stable")[:8]]
    assert_array_equal(top["sample"], expected)
    assert_array_equal(top["value"], largest[expected])


def test_the_wall_and_the_table_have_scikit_learns_auc_between_the_groups(snapshot):
    state = state_for(
        snapshot.catalog, layer=FIRST, group_a="0:9", group_b="6:30", filter_order="groups"
    )
    pooled = snapshot.layer(FIRST).pooled("mean")[...]
    samples = [*range(6), *range(9, 30)]  # those of one group alone
    aucs = [roc_auc_score([1] * 6 + [0] * 21, pooled[samples, index]) for index in range(20)]
    scores, words = order_filters(snapshot, state)
    # A filter whose samples are all equal has no AUC; scikit-learn says 0.5.
    assert_allclose([score or 0 for score in scores], np.abs(np.array(aucs) - 0.5), atol=1e-9)
    assert "A: 0:9 (6 samples)" in words
    assert "3 samples are in both groups" in words
    columns = {column.field: column for column in filters.columns(snapshot, state)}
    assert_allclose(np.nan_to_num(columns["groups_auc"].values, nan=0.5), aucs, atol=1e-9)
    assert_allclose(columns["groups_a"].values, pooled[:6].mean(axis=0), rtol=1e-5)
    assert_allclose(columns["groups_b"].values, pooled[9:30].mean(axis=0), rtol=1e-5)
    plain = state_for(snapshot.catalog, layer=FIRST)
    assert not any(c.field.startswith("groups") for c in filters.columns(snapshot, plain))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "group A is not set"),
        ({"group_b": "0:9"}, "group A is not set"),
        ({"group_a": "all"}, "No sample of this store belongs to B."),
        ({"group_a": "label=nine", "group_b": "all"}, "group A: label: there is no class 'nine'"),
        ({"group_a": "all", "group_b": "0:9"}, "No sample of this store belongs to B alone"),
        ({"group_a": "0", "group_b": "not all"}, "No sample of this store belongs to B."),
    ],
)
def test_the_wall_says_why_it_is_not_ordered_by_groups(fields, why, snapshot):
    scores, words = order_filters(
        snapshot, state_for(snapshot.catalog, filter_order="groups", **fields)
    )
    assert scores is None
    assert words.startswith("In order of index: ")
    assert why.rstrip(".") in words


def drawn(snapshot, **fields):
    state = state_for(snapshot.catalog, **fields)
    return panel.draw(snapshot, state, LIGHT, step=0, with_layer=True)


def said(component) -> str:
    """All text of components."""
    if isinstance(component, str):
        return component
    if isinstance(component, list):
        return " ".join(map(said, component))
    children = component["props"].get("children") if isinstance(component, dict) else None
    return "" if children is None else said(children)


def test_the_panel_draws_figures_that_plotly_takes_and_says_what_they_are_of(snapshot):
    words, key, note, top, drawings, progress = drawn(
        snapshot, layer=FIRST, filter_index=7, group_a="label=0|1", group_b="2:20"
    )
    assert "A: label=0|1" in said(words)
    assert "AUC of the pooled mean" in said(words)
    assert len(drawings) == len(panel.GRAPHS)
    assert len(top) == 2
    figures = [figure for figure, style in drawings if style != {"display": "none"}]
    has_maps = snapshot.layer(FIRST).has_maps
    assert len(figures) == (5 if has_maps else 2)
    for figure in figures:
        checked(figure)
    assert ("All values" if has_maps else "Means of the maps") in said(note)
    assert len(key) >= 2
    assert progress["read"] == progress["of"]


def test_without_an_expression_b_is_all_samples_that_are_not_of_a(snapshot, maps):
    two = groups_of(snapshot, "0:9", "")
    assert_array_equal(np.flatnonzero(two.b.mask), np.arange(9, 37))
    own = snapshot.layer(FIRST).strongest(4, most=1, mask=two.b.mask)
    assert own["value"] == maps[FIRST][9:, ..., 4].max()
    state = state_for(snapshot.catalog, group_a="0:9", layer=FIRST)
    assert "B: all other samples (28 samples)" in said(drawn(snapshot, group_a="0:9")[0])
    assert {"groups_auc"} <= {column.field for column in filters.columns(snapshot, state)}


def test_links_of_the_panel_keep_both_groups(snapshot):
    fields = {"layer": FIRST, "group_a": "label=0|1", "group_b": "wrong or 3"}
    query = parse_qs(query_for(snapshot.catalog, **fields, filter_order="groups").lstrip("?"))
    assert (query["a"], query["b"], query["order"]) == (["label=0|1"], ["wrong or 3"], ["groups"])


def test_a_store_without_classes_has_groups_by_index(tmp_path):
    path = make_encoded_store(tmp_path / "encoded.h5", labelled=False)
    snapshot = Stores(path).snapshot()
    two = groups_of(snapshot, "0:5", "all")
    assert two.a.n == 0
    assert two.b.n == 32
    with pytest.raises(SelectionError, match="group B: correct and wrong cannot choose samples"):
        groups_of(snapshot, "0:5", "wrong")
