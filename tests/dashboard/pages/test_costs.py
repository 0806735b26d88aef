"""Costs of filters on pages and in the HTTP API, compared with numpy on the answers themselves."""

from __future__ import annotations

import csv
import io

import httpx
import numpy as np
import pytest
from helpers.ablations import USELESS, make_ablation
from helpers.drawing import nodes_in, words_of
from helpers.factories import CLASS_NAMES, make_target_store
from helpers.servers import running
from helpers.sharded import copy_store
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binomtest

from dashboard.app import create_app
from dashboard.components.table import records
from dashboard.figures.theme import LIGHT
from dashboard.pages.classes import cell, filters, heatmap
from dashboard.pages.filter import header, without
from dashboard.pages.overview import health, removal
from dashboard.pages.state import state_for
from dashboard.stores.all_filters import filter_columns
from dashboard.stores.source import Source
from fmcore.errors import StatisticNotFoundError
from fmcore.records import Target
from fmcore.statistics import NO_EFFECT, Curve

LAYER = "conv2"


@pytest.fixture(scope="module")
def ablated(store_path, tmp_path_factory):
    """A store with an ablation, and the answers without each filter of each layer."""
    own = copy_store(store_path, tmp_path_factory.mktemp("ablated") / "own.h5")
    return Source(own), make_ablation(own)


@pytest.fixture(scope="module")
def snapshot(ablated):
    return ablated[0].snapshot()


def lost_less_gained(snapshot, answers: np.ndarray) -> np.ndarray:
    """By how many points the accuracy falls, <float64>[filter]."""
    right = snapshot.predictions == snapshot.labels
    return 100 * (right.mean() - (answers == snapshot.labels).mean(axis=1))


def test_the_table_of_all_filters_has_costs_and_finds_those_without_effect(ablated, snapshot):
    columns = {column.name: column for column in filter_columns(snapshot)}
    expected = np.concatenate([lost_less_gained(snapshot, it) for it in ablated[1].values()])
    cost = columns["cost"]
    assert_allclose(cost.values, expected, atol=1e-12)
    assert not cost.is_hidden
    hidden = [columns[f"cost_{end}"] for end in ("low", "high", "q")]
    assert all(column.is_hidden for column in hidden)
    assert (hidden[0].values <= cost.values).all()
    assert (cost.values <= hidden[1].values).all()
    texts = np.array(columns["health"].texts)[columns["health"].values]
    has_effect = np.concatenate(
        [(it != snapshot.predictions).any(axis=1) for it in ablated[1].values()]
    )
    assert_array_equal(["no effect" in text for text in texts], ~has_effect)


def test_layers_that_were_not_measured_have_no_cost_in_the_table(store_path, tmp_path):
    own = copy_store(store_path, tmp_path / "own.h5")
    make_ablation(own, layers=slice(1, 2))
    columns = {column.name: column for column in filter_columns(Source(own).snapshot())}
    assert np.isnan(columns["cost"].values[:-3]).all()
    assert np.isfinite(columns["cost"].values[-3:]).all()


def test_the_heatmap_of_costs_is_gray_where_they_are_not_apart_from_zero(ablated, snapshot):
    state = state_for(snapshot.catalog, layer=LAYER, statistic="cost")
    values = snapshot.statistic(LAYER, "cost")
    answers, labels = ablated[1][LAYER], snapshot.labels
    right = snapshot.predictions == labels
    p = np.ones(values.shape)
    for label in range(len(CLASS_NAMES)):
        rows = labels == label
        falls = right[rows] * 1.0 - (answers[:, rows] == label)
        if rows.any():
            assert_allclose(values[label], 100 * falls.mean(axis=1), atol=1e-12)
        else:
            assert np.isnan(values[label]).all()
        for index, fall in enumerate(falls):
            lost, gained = int((fall > 0).sum()), int((fall < 0).sum())
            if lost + gained:
                p[label, index] = binomtest(lost, lost + gained).pvalue
    assert_allclose(snapshot.class_costs(LAYER).p, p)
    drawing, _, legend, _, words = heatmap.draw(snapshot, state, LIGHT, order_class=None)
    within = heatmap.within_noise(snapshot.class_costs(LAYER), "cost")
    text = words_of(legend)
    assert f"{within.sum()} of {np.isfinite(values).sum()} costs are not apart from zero" in text
    n = np.bincount(labels, minlength=len(CLASS_NAMES))
    assert f"of {n.min()} to {n.max()} samples" in text
    assert "95% interval" in drawing["figure"]["data"][0]["hovertemplate"]
    assert words.startswith("Cost in points, conv2: largest")


def test_the_table_of_classes_has_costs_of_the_layer_and_of_the_class(ablated, snapshot):
    state = state_for(snapshot.catalog, layer=LAYER, statistic="cost", class_index=1)
    columns = filters.columns(snapshot, state)
    rows = records(columns)
    expected = lost_less_gained(snapshot, ablated[1][LAYER])
    assert_allclose([row["cost"] for row in rows], expected, atol=1e-12)
    assert_allclose(
        [row["cost_of_class"] for row in rows], snapshot.statistic(LAYER, "cost")[1], atol=1e-12
    )
    assert "no effect" in rows[USELESS]["health"]
    [cost] = (column for column in columns if column.field == "cost")
    assert "cost_low" in cost.definition["tooltipValueGetter"]["function"]
    assert (
        f"1 {NO_EFFECT.words} (filter {USELESS})"
        in filters.draw(snapshot, state, LIGHT, sort="")[3]
    )
    assert " points (95% interval " in cell.value_words(snapshot, state)


def test_a_filter_says_which_answers_change_and_links_the_samples(ablated, snapshot):
    state = state_for(snapshot.catalog, layer=LAYER, filter_index=0)
    nodes = without.draw(snapshot, state, LIGHT)
    answers = ablated[1][LAYER][0]
    changed = np.flatnonzero(answers != snapshot.predictions)
    words = words_of(nodes)
    assert f"{len(changed)} of 37 samples change their answer without it: " in words
    assert f"cost {lost_less_gained(snapshot, ablated[1][LAYER])[0]:.3g} points" in words
    [strip] = (
        node["props"]["data-thumbnails"]
        for node in nodes_in(nodes)
        if "data-thumbnails" in node["props"]
    )
    assert '"maps?layer=conv2&sample=' in strip
    for sample in changed[:3].tolist():
        assert f'[{sample},"' in strip


def test_a_filter_without_effect_says_so(snapshot):
    state = state_for(snapshot.catalog, layer=LAYER, filter_index=USELESS)
    words = words_of(without.draw(snapshot, state, LIGHT))
    assert "no effect" in words
    assert "No answer of the 37 samples changes without it." in words
    assert "no effect" in words_of(header.draw(snapshot, state, LIGHT))
    assert NO_EFFECT.words in words_of(health.draw(snapshot, state, LIGHT))


def test_the_curve_has_a_band_of_the_random_orders_and_says_its_n(snapshot):
    figure, _, note = removal.draw(snapshot, state_for(snapshot.catalog, layer=LAYER), LIGHT)
    names = [trace.get("name") for trace in figure["data"]]
    assert names[2:] == [
        "at random: mean, and band of 20",
        "most zeros first (APoZ)",
        "smallest weights first (L1)",
        "least costly first",
    ]
    assert "n = 37 samples" in words_of(note)


def test_the_curve_of_the_model_has_its_own_words_and_n(snapshot):
    state = state_for(snapshot.catalog, layer=LAYER)
    figure, _, note = removal.draw_model(snapshot, state, LIGHT)
    n_filters = sum(snapshot.catalog.n_filters.values())
    assert figure["data"][-1]["name"] == "least costly first"
    words = words_of(note)
    assert words.startswith("Filters of all measured layers")
    assert f"{n_filters} filters of 2 layers" in words
    assert "n = 36 samples, of the 37 of the costs" in words


def test_of_the_curve_a_sentence_says_how_many_can_go():
    quality = np.array([[0.9, 0.9, 0.895, 0.5], [0.9, 0.7, 0.4, 0.3], [0.9, 0.5, 0.2, 0.1]])
    curve = Curve(
        ("cost", "random 0", "random 1"),
        np.zeros((3, 3), np.int32),
        np.arange(4),
        quality,
        np.arange(9),
    )
    words = removal.curve_words(curve, LAYER, is_share=True)
    assert words.startswith("The 2 least costly of the 3 filters of conv2 can go together")
    assert "2 random orders 30.0% is left on average (20.0% to 40.0%)" in words
    quality[0, 1] = 0.8
    assert "more than one point less" in removal.curve_words(curve, LAYER, is_share=True)


def test_without_a_curve_the_command_is_named(store_path, tmp_path):
    own = copy_store(store_path, tmp_path / "own.h5")
    make_ablation(own, curve=False, model_curve=False)
    snapshot = Source(own).snapshot()
    _, style, note = removal.draw(snapshot, state_for(snapshot.catalog, layer=LAYER), LIGHT)
    assert style == {"display": "none"}
    assert "fmcore ablate own.h5 --model MODEL --by zero --curve" in words_of(note)
    _, style, note = removal.draw_model(snapshot, state_for(snapshot.catalog), LIGHT)
    assert style == {"display": "none"}
    assert "fmcore ablate own.h5 --model MODEL --by zero --model-curve" in words_of(note)


@pytest.mark.parametrize("draw", [without.draw, removal.draw])
def test_where_nothing_was_measured_panels_name_the_command(draw, store_path):
    snapshot = Source(store_path).snapshot()
    with pytest.raises(StatisticNotFoundError, match=r"fmcore ablate tiny\.h5 --model MODEL"):
        draw(snapshot, state_for(snapshot.catalog, layer=LAYER), LIGHT)
    assert words_of(removal.draw_model(snapshot, state_for(snapshot.catalog), LIGHT)[2]) == ""
    names = {column.name for column in filter_columns(snapshot)}
    assert not names & {"cost", "moved"}


def test_a_stale_ablation_shows_no_cost_anywhere_and_pages_still_open(store_path, tmp_path):
    own = copy_store(store_path, tmp_path / "own.h5")
    make_ablation(own, digest="0" * 64)
    snapshot = Source(own).snapshot()
    state = state_for(snapshot.catalog, layer=LAYER)
    assert "cost" not in {column.name for column in filter_columns(snapshot)}
    assert "cost" not in {column.field for column in filters.columns(snapshot, state)}
    assert "Cost in points" not in [row[0] for row in cell.numbers(snapshot, state)[1]]
    assert NO_EFFECT.words not in words_of(health.draw(snapshot, state, LIGHT))


@pytest.mark.parametrize("target", [Target.LABELS, Target.NUMBER])
def test_of_a_model_without_classes_it_is_said_how_far_outputs_move(target, tmp_path):
    path = make_target_store(tmp_path / "own.h5", target)
    moved = make_ablation(path)
    snapshot = Source(path).snapshot()
    state = state_for(snapshot.catalog, layer=LAYER, statistic="moved")
    columns = {column.name: column for column in filter_columns(snapshot)}
    n = snapshot.catalog.n_samples
    expected = np.concatenate([100 * np.sqrt(it.sum(axis=1) / n) for it in moved.values()])
    assert_allclose(columns["moved"].values, expected)
    assert "cost" not in columns
    assert "of their size" in words_of(without.draw(snapshot, state, LIGHT))
    legend = words_of(heatmap.draw(snapshot, state, LIGHT, order_class=None)[2])
    assert f"of {n} samples" in legend
    for draw in (removal.draw, removal.draw_model):
        assert "relative error" in words_of(draw(snapshot, state, LIGHT)[2])


def test_the_api_answers_costs_with_their_intervals_and_refuses_what_was_not_measured(ablated):
    source, without_each = ablated
    snapshot = source.snapshot()
    with running(create_app(source)) as url, httpx.Client(base_url=url) as client:
        address = "api/v1/stores/own/costs"
        answer = client.get(address, params={"layer": LAYER})
        rows = answer.json()
        by_filter = sorted(rows, key=lambda row: row["filter"])
        expected = lost_less_gained(snapshot, without_each[LAYER]) / 100
        assert_allclose([row["accuracy_cost"] for row in by_filter], expected, atol=1e-12)
        headers = {"if-none-match": answer.headers["etag"]}
        assert client.get(address, params={"layer": LAYER}, headers=headers).status_code == 304
        text = client.get(address, params={"format": "csv", "rows": "class"}).text
        table = list(csv.DictReader(io.StringIO(text)))
        assert len(table) == 23 * (1 + len(CLASS_NAMES))
        assert client.get(address, params={"by": "mean"}).status_code == 404
        assert client.get(address, params={"layer": "nothing"}).status_code == 422
