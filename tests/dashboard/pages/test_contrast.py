"""Contrast: what its panels say of two groups, compared with numpy and scipy."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from helpers.drawing import checked, nodes_in, values_of
from helpers.factories import make_encoded_store, make_store
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from scipy import stats

from dashboard.components.graph import NONE
from dashboard.figures.small_picture import picture_url
from dashboard.figures.theme import DARK, LIGHT
from dashboard.figures.two_groups import GroupValues, group_shares, groups_figure
from dashboard.pages.contrast import distribution, first_filters, groups, mean_maps, ranking
from dashboard.pages.contrast import samples as samples_panel
from dashboard.pages.contrast.page import PAGE
from dashboard.pages.contrast.presets import presets
from dashboard.pages.state import parse_query, query_for, state_for
from dashboard.stores import group_maps
from dashboard.stores.group_maps import group_map, most_samples, picked
from dashboard.stores.source import Source
from fmcore.selection import parse_group

N = 120
ONE, TWO = "block/conv 1", "conv2"
A, B = "label=0|1", "label=2"
LIVE = 5  # a filter of the first layer that varies, as few of this store do


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return Source(make_store(tmp_path_factory.mktemp("contrast") / "s.h5", N))


@pytest.fixture(scope="module")
def snapshot(source):
    return source.snapshot()


def subject(source, **values):
    snapshot = source.snapshot()
    return PAGE.subject(source, snapshot, state_for(snapshot.catalog, **values))


def texts(content) -> str:
    return " ".join(
        str(part)
        for node in nodes_in(content)
        for part in (node["props"].get("children"),)
        if isinstance(part, str)
    )


def test_the_page_shows_the_filter_with_the_auc_farthest_from_chance_unless_one_is_selected(
    source, snapshot
):
    first, second = np.isin(snapshot.labels, [0, 1]), snapshot.labels == 2
    best = []
    for path in snapshot.catalog.n_filters:
        table = snapshot.layer(path).pooled("mean")[...].astype(np.float64)
        for index in range(table.shape[1]):
            u = stats.mannwhitneyu(table[first, index], table[second, index]).statistic
            best.append((abs(u / (first.sum() * second.sum()) - 0.5), path, index))
    _, path, index = max(best, key=lambda entry: entry[0])
    _, state = subject(source, group_a=A, group_b=B, layer=ONE, filter_index=0)
    assert (state.layer, state.filter_index) == (path, index)
    about, state = subject(
        source, group_a=A, group_b=B, layer=ONE, filter_index=7, focus="selected"
    )
    assert (state.layer, state.filter_index) == (ONE, 7)
    words, table = ranking.draw(about, state, LIGHT)
    assert table["best"] == {"layer": path, "filter": index}
    assert words.startswith(f"{about.contrast.n_apart} of {about.contrast.n_tests} filters")


def test_a_distribution_is_that_of_the_pooled_values_of_both_groups(source, snapshot):
    for pooled, name in (("mean", "mean"), ("max", "max"), ("zeros", "zero_fraction")):
        about, state = subject(
            source,
            group_a=A,
            group_b=B,
            layer=ONE,
            filter_index=LIVE,
            focus="selected",
            pooled=pooled,
        )
        values = distribution.values_of(about, state)
        column = snapshot.layer(ONE).pooled(name)[...][:, LIVE]
        assert_array_equal(values[0].values, column[np.isin(snapshot.labels, [0, 1])])
        assert_array_equal(values[1].values, column[snapshot.labels == 2])
    rng = np.random.default_rng(0)
    both = [GroupValues("A", rng.normal(size=30)), GroupValues("B", rng.normal(size=500))]
    both[1].values[:3] = np.nan, np.inf, -np.inf
    span = (-4.0, 4.5)
    edges, parts = group_shares(both, span)
    for group, part in zip(both, parts, strict=True):
        finite = group.values[np.isfinite(group.values)]
        assert_allclose(part, np.histogram(finite, edges)[0] / len(finite))
    for theme in (LIGHT, DARK):
        figure = groups_figure(both, span, title="mean", theme=theme)
        checked(figure)
        lines = [trace for trace in figure["data"] if trace["mode"] == "lines"]
        assert_allclose(values_of(lines[0]["y"])[1:-1], parts[0])
        marks = [trace for trace in figure["data"] if trace["mode"] == "markers"]
        assert len(marks) == 1  # of the small group alone
        assert_allclose(values_of(marks[0]["x"]), np.sort(both[0].values))


def test_the_words_of_a_filter_are_its_numbers(source, snapshot):
    about, state = subject(
        source, group_a=A, group_b=B, layer=ONE, filter_index=LIVE, focus="selected"
    )
    assert f"AUC {about.contrast.auc[LIVE]:.3f}, by chance" in distribution.sentence(about, state)
    assert about.row(TWO, 1) == snapshot.catalog.n_filters[ONE] + 1
    dead, of_dead = subject(
        source, group_a=A, group_b=B, layer=TWO, filter_index=1, focus="selected"
    )
    assert distribution.sentence(dead, of_dead).startswith("It tells nothing: constant")


def test_mean_maps_are_those_of_the_stored_maps(source, snapshot):
    about, state = subject(
        source, group_a=A, group_b=B, layer=ONE, filter_index=LIVE, focus="selected"
    )
    first, second = mean_maps.maps_of(about, ONE, LIVE)
    maps = snapshot.layer(ONE).activation[...].astype(np.float64)[..., LIVE]
    members = np.isin(snapshot.labels, [0, 1])
    assert_allclose(first.values, maps[members].mean(axis=0), rtol=1e-6)
    assert_allclose(second.values, maps[snapshot.labels == 2].mean(axis=0), rtol=1e-6)
    assert first.words == f"mean of all {members.sum()}"
    drawings, _, _, third, why = mean_maps.draw(about, state, LIGHT)
    assert why == ""
    assert "A − B" in texts(third)
    minus = checked(drawings[2][0]).data[0]
    assert minus.zmin == -minus.zmax
    assert_array_equal(values_of(drawings[2][0]["data"][0]["z"]), first.values - second.values)


def test_of_a_large_group_a_seeded_choice_is_read_and_said(snapshot, monkeypatch):
    monkeypatch.setattr(group_maps, "MOST_SAMPLES", 10)
    samples = np.flatnonzero(snapshot.labels < 3)
    part = group_map(snapshot, ONE, LIVE, samples, ("bounded",))
    used = picked(samples, 10)
    assert_array_equal(used, picked(samples, 10))
    assert len(np.unique(used)) == 10
    assert set(used) <= set(samples)
    maps = snapshot.layer(ONE).activation[...].astype(np.float64)[used][..., LIVE]
    assert_allclose(part.values, maps.mean(axis=0), rtol=1e-6)
    assert part.words == f"mean of 10 of {len(samples)}"
    monkeypatch.setattr(group_maps, "MOST_BYTES", 0)
    assert most_samples(snapshot.layer(ONE)) == 1


def test_without_maps_those_of_whole_classes_are_taken_and_of_other_groups_it_is_said_why(tmp_path):
    source = Source(make_store(tmp_path / "s.h5", 60, policy="*=pooled"))
    snapshot = source.snapshot()
    about, state = subject(
        source,
        group_a="label=0|1",
        group_b="0:5 and label!=0|1",
        layer=ONE,
        filter_index=LIVE,
        focus="selected",
    )
    first, second = mean_maps.maps_of(about, ONE, LIVE)
    sizes = snapshot.class_sizes[:2]
    of_classes = np.stack([snapshot.layer(ONE).mean_map(index, LIVE) for index in (0, 1)])
    assert_allclose(first.values, np.average(of_classes, axis=0, weights=sizes), rtol=1e-6)
    assert second.values is None
    assert "not made of whole classes" in second.why
    drawings, *_, why = mean_maps.draw(about, state, LIGHT)
    assert drawings[1] == drawings[2] == NONE
    assert why.startswith("B: The maps of block/conv 1 are not stored")
    assert "not made of whole classes" in texts(first_filters.draw(about, state, LIGHT))


def test_samples_stand_from_the_strongest_and_their_links_choose_their_group(source, snapshot):
    about, state = subject(
        source,
        group_a="label=0|1",
        group_b="label=1|2",
        layer=ONE,
        filter_index=LIVE,
        focus="selected",
    )
    content = samples_panel.draw(about, state, LIGHT)
    column = snapshot.layer(ONE).pooled("mean")[...][:, LIVE]
    alone = np.flatnonzero(snapshot.labels == 0)  # what is in both groups is in neither
    order = alone[np.argsort(-column[alone], kind="stable")]
    row = next(node for node in nodes_in(content) if "data-thumbnails" in node["props"])
    about_row = json.loads(row["props"]["data-thumbnails"])
    assert [item[0] for item in about_row["items"]] == order[: len(about_row["items"])].tolist()
    before, after = about_row["href"]
    link = parse_query(f"{before}0{after}".split("?")[1], snapshot.catalog)[0]
    assert (link.layer, link.filter_index) == (ONE, LIVE)
    assert (link.group_a, link.group_b) == ("label=0|1", "label=1|2")
    assert_array_equal(np.flatnonzero(snapshot.group(link.group)), alone)


def test_an_empty_b_is_the_rest(source, snapshot):
    about, state = subject(source, group_a="label=0")
    assert_array_equal(about.samples[1], np.flatnonzero(snapshot.labels != 0))
    rest = samples_panel.group_text(about, 1)
    assert_array_equal(np.flatnonzero(snapshot.group(rest)), about.samples[1])
    assert "B is the rest" in texts(groups.draw(about, state, LIGHT, a="label=0", b=""))


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ("", "", "begin with one of these"),
        ("", "label=1", "Group A is missing"),
        ("labl=1", "", "understood"),
        ("filter(nowhere,0)>1", "", "understood"),
        ("not all", "label=1", "group A has no samples"),
        ("label=1", "label=1", "every sample of group A is in group B"),
    ],
)
def test_where_nothing_can_be_contrasted_it_is_said_why_and_no_panel_fails(source, a, b, words):
    about, state = subject(source, group_a=a, group_b=b)
    content = groups.draw(about, state, LIGHT, a=a, b=b)
    assert words in texts(content)
    assert any(groups.START in node["props"].get("className", "") for node in nodes_in(content))
    assert ranking.draw(about, state, LIGHT) == ("", None)
    for panel in (distribution, mean_maps, samples_panel, first_filters):
        assert not list(nodes_in(panel.draw(about, state, LIGHT)))


@pytest.mark.parametrize("make", [make_store, make_encoded_store], ids=["classes", "no classes"])
def test_ready_made_pairs_are_groups_of_the_store_with_samples_in_both(tmp_path, make):
    snapshot = Source(make(tmp_path / "s.h5")).snapshot()
    pairs = presets(snapshot)
    assert pairs
    for pair in pairs:
        assert snapshot.group(pair.a).any()
        assert snapshot.group(pair.b).any()
        assert not (snapshot.group(pair.a) & snapshot.group(pair.b)).any()
        parse_group(pair.a)
        assert query_for(snapshot.catalog, group_a=pair.a, group_b=pair.b)
    if snapshot.catalog.has_outcomes:
        wrong = snapshot.labels != snapshot.predictions
        keys = snapshot.labels[wrong] * 100 + snapshot.predictions[wrong]
        codes, counts = np.unique(keys, return_counts=True)
        right = np.bincount(snapshot.labels[~wrong], minlength=100)
        counts = counts[right[codes // 100] > 0]
        if counts.size:
            assert snapshot.group(pairs[0].a).sum() == counts.max()


def test_a_small_picture_has_the_colors_of_the_maps():
    values = np.array([[0, 1], [np.nan, 0.5]], np.float32)
    data = base64.b64decode(picture_url(values, (0, 1)).partition(",")[2])
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert picture[0, 0].tolist() == [68, 1, 84]  # Viridis begins here,
    assert picture[0, 1].tolist() == [253, 231, 37]  # and ends here
    assert picture[1, 0].tolist() == [119, 85, 85]
    large = np.zeros((200, 130), np.float32)
    data = base64.b64decode(picture_url(large, (-1, 1), signed=True).partition(",")[2])
    assert max(Image.open(io.BytesIO(data)).size) <= 64


def test_a_card_of_the_first_filters_leads_to_its_filter_and_keeps_the_groups(source, snapshot):
    about, state = subject(source, group_a=A, group_b=B)
    cards = [
        node
        for node in nodes_in(first_filters.draw(about, state, LIGHT))
        if node["props"].get("className") == "contrast-card"
    ]
    assert len(cards) == first_filters.MOST
    for card, (layer, index) in zip(cards, about.best(6), strict=True):
        link = parse_query(card["props"]["href"].split("?")[1], snapshot.catalog)[0]
        fields = (link.layer, link.filter_index, link.group_a, link.group_b, link.focus)
        assert fields == (layer, index, A, B, "selected")
