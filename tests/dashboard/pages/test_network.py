"""What the network of Overview is colored by equals numpy on the maps; what is absent says why."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from helpers.factories import (
    GRAPH,
    NumpyProbe,
    make_encoded_store,
    make_samples,
    make_store,
)
from sklearn.metrics import roc_auc_score

from dashboard.figures.theme import LIGHT
from dashboard.pages.overview import network
from dashboard.pages.overview.layer_values import MEASURES, LayerValue, span_of, values_of
from dashboard.pages.state import NETWORK_COLORS, parse_query
from dashboard.stores.source import Source


class OneDeadProbe(NumpyProbe):
    """Of the second layer filter 1 is dead, and no other."""

    def __init__(self) -> None:
        super().__init__()
        self._second[:, [0, 2]] = [0.4, 0.9]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = make_store(tmp_path_factory.mktemp("network") / "store.h5", probe=OneDeadProbe())
    images = make_samples(37).images.astype(np.float32) / np.float32(255.0)
    return path, Source(path).snapshot(), OneDeadProbe()(images)


def numbers(snapshot, name):
    return [value.value for value in values_of(snapshot, name).values()]


def drawn(snapshot, query=""):
    return network.draw(snapshot, parse_query(query, snapshot.catalog)[0], LIGHT)


def test_what_can_be_chosen_is_what_there_is():
    assert tuple(MEASURES) == NETWORK_COLORS


def test_shares_of_dead_filters_and_zeros_are_those_of_the_maps(stored):
    _, snapshot, captured = stored
    dead = [(maps <= 0).all(axis=(0, 1, 2)).mean() for maps in captured.activations]
    assert dead[1] == pytest.approx(1 / 3)
    assert numbers(snapshot, "dead") == pytest.approx(dead)
    zeros = [(maps == 0).mean() for maps in captured.activations]
    assert numbers(snapshot, "zeros") == pytest.approx(zeros)


def test_rank_is_the_entropy_of_singular_values_relative_to_the_filters(stored):
    _, snapshot, captured = stored
    for maps, share in zip(captured.activations, numbers(snapshot, "rank"), strict=True):
        table = maps.mean(axis=(1, 2), dtype=np.float64)
        values = np.linalg.svd(table - table.mean(axis=0), compute_uv=False)
        shares = values[values > 1e-9 * values[0]] / values.sum()
        rank = np.exp(-(shares * np.log(shares)).sum())
        assert share == pytest.approx(rank / table.shape[1], rel=1e-4)


def test_best_auc_is_that_of_the_filter_and_class_that_it_names(stored):
    _, snapshot, captured = stored
    labels = make_samples(37).labels
    for maps, value in zip(captured.activations, values_of(snapshot, "auc").values(), strict=True):
        pooled = maps.mean(axis=(1, 2))
        scores = {
            (index, label): roc_auc_score(labels == label, pooled[:, index])
            for index in range(pooled.shape[1])
            for label in np.unique(labels)
            if np.ptp(maps[..., index])
        }
        (index, label), best = max(scores.items(), key=lambda item: item[1])
        assert value.value == pytest.approx(best, abs=1e-6)
        assert f"filter {index} for class {snapshot.catalog.class_names[label]}" in value.text


def test_size_is_what_the_chunks_take_in_the_file(stored):
    path, snapshot, _ = stored
    with h5py.File(path, locking=False) as file:
        layers = [file["layers"][snapshot.layer(name).group] for name in snapshot.catalog.n_filters]
        sizes = [layer["activation"].id.get_storage_size() for layer in layers]
    assert numbers(snapshot, "bytes") == sizes


def test_colors_span_what_there_is_and_links_lead_to_walls(stored):
    _, snapshot, captured = stored
    facts, words = drawn(snapshot, "?network=dead")
    dead = np.array([(maps <= 0).all(axis=(0, 1, 2)).mean() for maps in captured.activations])
    assert facts["ends"] == ["0%", f"{100 * dead.max():.1f}%"]
    shares = [layer["share"] for layer in facts["layers"].values()]
    assert shares == pytest.approx(list(dead / dead.max()))
    assert facts["layers"]["conv2"]["href"].startswith("maps?layer=conv2&")
    assert facts["layers"]["block/conv 1"]["href"].startswith("maps?layer=block%2Fconv+1&")
    assert words.startswith(f"{len(GRAPH.nodes)} layers and inputs, 2 of them captured; 154 para")


def test_what_is_not_known_has_no_color_and_a_reason(tmp_path):
    basic = Source(make_store(tmp_path / "basic.h5", statistics="basic")).snapshot()
    pooled = Source(make_store(tmp_path / "pooled.h5", policy="*=pooled")).snapshot()
    encoded = Source(make_encoded_store(tmp_path / "encoded.h5", labelled=False)).snapshot()
    for snapshot, name, reason in (
        (basic, "rank", "no statistic 'effective_rank_mean'"),
        (basic, "auc", "captured without scores"),
        (pooled, "bytes", "no maps stored"),
        (encoded, "auc", "not told apart by class"),
    ):
        for value in values_of(snapshot, name).values():
            assert value.value is None
            assert reason in value.text


def test_a_span_of_one_value_or_none_is_still_one():
    dead = MEASURES["dead"]
    assert span_of(dead, {"a": LayerValue(0.0, "")}) == (0.0, 1.0)
    assert span_of(dead, {"a": LayerValue(None, "")}) is None
    assert span_of(MEASURES["auc"], {"a": LayerValue(0.4, "")}) == (0.4, 1.0)


def test_without_any_value_the_panel_says_so(tmp_path):
    facts, words = drawn(
        Source(make_store(tmp_path / "a.h5", policy="*=pooled")).snapshot(), "?network=bytes"
    )
    assert facts["ends"] == []
    assert words.endswith("Hatched: not known.")
