"""The numbers of Overview, compared with arrays that h5py reads and with scipy and numpy."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import httpx
import numpy as np
import pytest
from helpers.drawing import nodes_in, values_of, words_of
from helpers.factories import (
    CLASS_NAMES,
    ROOT,
    make_encoded_store,
    make_store,
    make_target_store,
)
from helpers.odd import make_odd_store
from helpers.servers import running
from helpers.sharded import copy_store
from numpy.testing import assert_allclose, assert_array_equal

from dashboard.api.columns import ALIGNED
from dashboard.app import create_app
from dashboard.figures.theme import LIGHT
from dashboard.pages.overview import health, layers_alike, quality
from dashboard.pages.overview.first_steps import first_steps
from dashboard.pages.overview.origin import origin_card
from dashboard.pages.state import state_for
from dashboard.stores.all_filters import filter_columns
from dashboard.stores.findings import Findings
from dashboard.stores.source import Source
from fmcore.records import Target
from fmcore.statistics import HEALTH_RULES

GOLDEN = ROOT / "tests/golden/store-1.0.h5"
LAYERS = {"block/conv 1": 20, "conv2": 3}
GROUPS = ("block_conv_1", "conv2")


@pytest.fixture(scope="module")
def snapshot(store_path):
    return Source(store_path).snapshot()


@pytest.fixture(scope="module")
def hdf5(store_path, tmp_path_factory):
    """The same file as h5py reads it; a copy, which nobody else has open."""
    own = copy_store(store_path, tmp_path_factory.mktemp("own") / "own.h5")
    with h5py.File(own) as file:
        yield file


def stored_scores(file: h5py.File, of: str, name: str) -> np.ndarray:
    """Value, low and high of a score, [estimate, …, filter], of all layers beside each other."""
    names = [text.decode() for text in file[f"names/{of}_score"]]
    assert [text.decode() for text in file["names/estimate"]] == ["value", "low", "high"]
    where = {"class": "class/scores", "filter": "filters/scores"}[of]
    parts = [file[f"layers/{group}/{where}"][names.index(name)] for group in GROUPS]
    return np.concatenate(parts, axis=-1)


def links_of(nodes) -> dict[str, str]:
    return {
        words_of(node): node["props"]["href"] for node in nodes_in(nodes) if node["type"] == "Link"
    }


def decoded(data: bytes) -> tuple[int, dict[str, dict]]:
    """The columns of an answer, read by what the description of the API says."""
    length = int.from_bytes(data[:4], "little")
    about = json.loads(data[4 : 4 + length])
    place, n = 4 + length, about["n"]

    def array(dtype: str, size: int) -> np.ndarray:
        nonlocal place
        place += -place % ALIGNED
        values = np.frombuffer(data, dtype, size, place)
        place += values.nbytes
        return values

    columns = {}
    for column in about["columns"]:
        columns[column["name"]] = column | {"values": array(column["dtype"], n)}
        if "two_sided" in column:
            columns[column["name"]] |= {
                "within": array("|u1", n),
                "bounds": array("<f8", 2 * n).reshape(2, n),
            }
    assert place == len(data)
    return n, columns


@pytest.fixture(scope="module")
def answer(store_path):
    with running(create_app(Source(store_path))) as url, httpx.Client(base_url=url) as client:
        name = client.get("api/v1/stores").json()[0]["name"]
        address = f"api/v1/stores/{name}/filters"
        first = client.get(address)
        again = client.get(address, headers={"if-none-match": first.headers["etag"]})
        assert again.status_code == 304
        assert not again.content
        return first


def test_the_answer_has_a_row_for_each_filter_of_each_layer_in_order(answer, store):
    n, columns = decoded(answer.content)
    assert n == sum(LAYERS.values())
    assert columns["layer"]["texts"] == list(LAYERS)
    assert_array_equal(columns["layer"]["values"], np.repeat([0, 1], list(LAYERS.values())))
    assert_array_equal(
        columns["filter"]["values"], np.concatenate([np.arange(size) for size in LAYERS.values()])
    )
    assert answer.headers["x-store-digest"] == store.digest


@pytest.mark.parametrize("name", ["eta2_mean", "csi_mean", "mi_mean"])
def test_a_score_and_its_chance_level_are_what_the_file_holds_bit_by_bit(answer, hdf5, name):
    _, columns = decoded(answer.content)
    values, low, high = stored_scores(hdf5, "filter", name)
    column = columns[name]
    assert_array_equal(column["values"], values)
    assert_array_equal(column["bounds"], [low, high])
    within = values <= high
    if column["two_sided"]:
        within &= values >= low
    assert_array_equal(column["within"], within)


def test_what_has_no_chance_level_has_none(answer, hdf5):
    _, columns = decoded(answer.content)
    values = np.concatenate([hdf5[f"layers/{group}/filters/apoz"][...] for group in GROUPS])
    assert_array_equal(columns["apoz"]["values"], values)
    assert "two_sided" not in columns["apoz"]


def test_the_best_class_has_the_largest_area_under_the_curve(answer, hdf5):
    _, columns = decoded(answer.content)
    auc, low, high = stored_scores(hdf5, "class", "auc_mean")
    none = np.isnan(auc).all(axis=0)
    best = np.nan_to_num(auc, nan=-1).argmax(axis=0)
    assert columns["best_class"]["texts"] == list(CLASS_NAMES)
    assert_array_equal(columns["best_class"]["values"], np.where(none, -1, best))
    assert_array_equal(columns["best_auc"]["values"], np.where(none, np.nan, np.fmax.reduce(auc)))
    bounds = np.array([band[best, np.arange(len(best))] for band in (low, high)])
    assert_array_equal(columns["best_auc"]["bounds"], bounds)


def test_the_health_of_the_table_is_that_of_each_layer(answer, store):
    _, columns = decoded(answer.content)
    texts = [columns["health"]["texts"][at] for at in columns["health"]["values"]]
    flags = [store.layers[path].health().findings for path in LAYERS]
    for name, rule in HEALTH_RULES.items():
        having = np.concatenate([layer[name] for layer in flags])
        parts = [text.split(", ") for text in texts]
        # A detail begins with the rule's first word: "dead for 2 classes", "duplicate of 3".
        word = {"dead_for_class": "dead for ", "dead": "dead"}.get(name, rule.words)
        is_exact = name in ("dead", "nearly_dead")
        named = [
            any(part == word if is_exact else part.startswith(word) for part in row)
            for row in parts
        ]
        assert_array_equal(having, named, err_msg=name)
    assert any(text == "ok" for text in texts)


@pytest.mark.parametrize("kind", ["basic", "pooled", "encoded", "labels", "number"])
def test_stores_with_less_have_fewer_columns_and_true_words(kind, tmp_path):
    path = tmp_path / "a.h5"
    {
        "basic": lambda: make_store(path, statistics="basic"),
        "pooled": lambda: make_store(path, policy="*=pooled"),
        "encoded": lambda: make_encoded_store(path, labelled=False),
        "labels": lambda: make_target_store(path, Target.LABELS),
        "number": lambda: make_target_store(path, Target.NUMBER),
    }[kind]()
    snapshot = Source(path).snapshot()
    names = [column.name for column in filter_columns(snapshot)]
    assert names[:3] == ["layer", "filter", "health"]
    assert ("best_auc" in names) == (kind == "pooled")
    state = state_for(snapshot.catalog)
    sentences = words_of(health.draw(snapshot, state, LIGHT))
    table, words = quality.draw(snapshot, state, LIGHT)
    if kind == "basic":
        assert "captured without scores" in sentences
        assert "Effective ranks of layers are not known" in sentences
    if kind == "pooled":
        assert "The maps of 2 layers are not stored" in sentences
    if kind in ("basic", "pooled"):
        assert len(table["names"]) == len(CLASS_NAMES)
        return
    assert table is None
    begins = {"encoded": "How good the model is, is not known: no predictions and no labels."}
    expected = begins.get(kind, snapshot.store.accuracy_words)
    assert words_of(words).lower().startswith(expected.lower())


def test_a_store_without_cka_gets_it_from_pooled_means_as_numpy_computes_it(tmp_path):
    snapshot = Source(make_encoded_store(tmp_path / "a.h5", statistics="basic")).snapshot()
    values, n_used = layers_alike.cka_of_layers(snapshot)
    tables = [snapshot.layer(path).pooled("mean")[...].astype(np.float64) for path in LAYERS]
    centered = [table - table.mean(axis=0) for table in tables]

    def product(a, b):
        return np.linalg.norm(a.T @ b) ** 2

    with np.errstate(invalid="ignore"):  # of a dead layer there is none
        expected = [
            [product(a, b) / np.sqrt(product(a, a) * product(b, b)) for b in centered]
            for a in centered
        ]
    assert n_used == snapshot.catalog.n_samples
    assert_allclose(values, expected, rtol=1e-6)


def test_the_heatmap_is_the_stored_similarity(snapshot, hdf5):
    figure, _, words = layers_alike.draw(snapshot, state_for(snapshot.catalog), LIGHT)
    stored = hdf5["similarity/cka_mean"][...]
    assert_allclose(values_of(figure["data"][0]["z"]), stored, rtol=1e-6)
    assert np.isnan(stored[0, 1]), "conv2 of this store is dead"
    assert "No two layers have a value" in words_of(words)
    assert not links_of(words)


def test_health_counts_what_each_layer_has_and_leads_there(snapshot, store):
    nodes = health.draw(snapshot, state_for(snapshot.catalog), LIGHT)
    sentences, links = words_of(nodes), links_of(nodes)
    counts = {
        name: sum(int(store.layers[path].health().findings[name].sum()) for path in LAYERS)
        for name in HEALTH_RULES
    }
    for name, n in counts.items():
        assert (f"{n} of 23 filters {HEALTH_RULES[name].words}" in sentences) == bool(n)
    dead = np.flatnonzero(store.layers["conv2"].health().findings["dead"]).tolist()
    assert dead == [0, 1, 2]
    # All of its filters come before most of those of the other layer.
    assert "filters dead:conv2 3 of 3: filters 0, 1, 2" in sentences
    assert links["2"] == "maps?layer=conv2&sample=0&filter=2"


def test_the_lowest_rank_is_the_smallest_of_the_stored_ones(snapshot, hdf5):
    sentences = words_of(health.draw(snapshot, state_for(snapshot.catalog), LIGHT))
    ranks = hdf5["similarity/effective_rank_mean"][...]
    path = list(LAYERS)[int(np.nanargmin(ranks))]
    assert (
        f"Lowest effective rank {path}: its {LAYERS[path]} filters vary in about "
        f"{np.nanmin(ranks):.3g} directions" in sentences
    )


def test_values_that_are_none_are_said(tmp_path):
    path = tmp_path / "odd.h5"
    make_odd_store(path)
    snapshot = Source(path).snapshot()
    sentences = words_of(health.draw(snapshot, state_for(snapshot.catalog), LIGHT))
    assert re.search(r"\d of 18 filters non-finite", sentences)
    assert re.search(r"\d of 18 filters dead \(\d may be harmless\)", sentences)
    assert all(len(column.values) == 18 for column in filter_columns(snapshot))


def test_accuracy_of_classes_is_of_labels_and_predictions(snapshot, hdf5):
    table, words = quality.draw(snapshot, state_for(snapshot.catalog), LIGHT)
    labels, predictions = (hdf5[f"samples/{name}"][...] for name in ("label", "prediction"))
    for index, name in enumerate(CLASS_NAMES):
        own = labels == index
        assert table["names"][index] == name
        assert table["n"][index] == own.sum()
        assert table["right"][index] == (predictions[own] == index).sum()
        assert f"class={index}&outcome=wrong" in table["links"][index]
    right = int((labels == predictions).sum())
    assert f"{right:,} of {len(labels):,} samples" in words_of(words)


def test_the_card_of_the_origin_has_every_attribute_but_those_of_the_header(snapshot):
    sentences = words_of(origin_card(snapshot, state_for(snapshot.catalog)))
    for group, attributes in snapshot.about().items():
        for key, value in attributes.items():
            if (group, key) not in {("dataset", "source"), ("model", "test_accuracy")}:
                text = f"{value:,}" if isinstance(value, int) else str(value)
                assert text in sentences, key
    assert snapshot.digest in sentences


@pytest.mark.parametrize(
    ("search", "page"),
    [
        ("", "overview"),
        ("?layer=conv2&sample=3", "maps"),
        ("?sample=3", "maps"),
        ("?findall=dead", "overview"),
        ("?utm=x", "overview"),
    ],
)
def test_a_link_without_a_page_opens_the_one_that_shows_what_it_says(store_path, search, page):
    with running(create_app(Source(store_path))) as url:
        text = httpx.get(f"{url}{search}").text
    assert f"page {page}-page" in text


def test_of_many_layers_the_worst_are_named_the_rest_fold_and_all_are_bounded(
    monkeypatch, tmp_path
):
    snapshot = Source(make_store(tmp_path / "a.h5")).snapshot()
    n = health.MOST_LAYERS + 50
    sizes = {f"layer{at}": 8 for at in range(n)}
    monkeypatch.setattr(snapshot, "catalog", replace(snapshot.catalog, n_filters=sizes))
    having = np.arange(8)[:, None] < 1 + np.arange(n) % 8
    findings = {
        path: Findings({"dead": having[:, at]}, {"dead": "dead"}, np.zeros(8, np.int32), ("dead",))
        for at, path in enumerate(sizes)
    }
    node = health._finding(snapshot, findings, "dead", int(having.sum()))
    sentences = words_of(node)
    assert f"{having.sum():,} of {8 * n:,} filters dead" in sentences
    assert "layer7 8 of 8: filters 0, 1, 2, 3 and 4 more" in sentences
    assert f"and {n - health.FEW_LAYERS} more layers" in sentences
    assert sentences.endswith("and 50 more")
    assert len(json.dumps(node)) < 100_000


def test_a_store_of_format_1_0_has_all_panels(tmp_path):
    path = Path(shutil.copy(GOLDEN, tmp_path))
    snapshot = Source(path).snapshot()
    state = state_for(snapshot.catalog)
    assert "Lowest effective rank" in words_of(health.draw(snapshot, state, LIGHT))
    assert quality.draw(snapshot, state, LIGHT)[0]["n"] == snapshot.class_sizes.tolist()
    assert layers_alike.draw(snapshot, state, LIGHT)[0]["data"]
    assert {"best_auc", "eta2_mean"} <= {column.name for column in filter_columns(snapshot)}


@pytest.mark.parametrize(
    ("make", "pages"),
    [
        (make_store, ["maps", "filter", "errors"]),
        (make_encoded_store, ["maps", "filter", "samples"]),
        (lambda path: make_store(path, policy="*=pooled"), ["layers", "filter", "errors"]),
    ],
)
def test_the_first_steps_lead_to_what_the_store_has(tmp_path, make, pages):
    snapshot = Source(make(tmp_path / "s.h5")).snapshot()
    steps = json.dumps(first_steps(snapshot, state_for(snapshot.catalog)))
    assert re.findall(r'"href": "(\w+)\?', steps) == pages
