"""Pages and API on stores of several labels and of numbers: what does not apply is not there."""

from __future__ import annotations

import re
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from helpers.drawing import nodes_in
from helpers.factories import (
    CLASS_NAMES,
    TARGET_NAMES,
    NumpyAnswers,
    make_samples,
    make_target_store,
    make_truth,
    target_filter,
)
from helpers.servers import running
from numpy.testing import assert_allclose

from dashboard import create_app
from dashboard.figures.theme import LIGHT
from dashboard.pages import PAGES, UNNAMED
from dashboard.pages.catalogue import layout as catalogue
from dashboard.pages.classes import cell, filters, mean_maps
from dashboard.pages.classes.heatmap import arranged, order_of
from dashboard.pages.compare import filters as compared
from dashboard.pages.compare.classes import class_figures
from dashboard.pages.compare.maps import input_panel, sides
from dashboard.pages.compare.pair import alike, open_pair
from dashboard.pages.filter import header, scores
from dashboard.pages.filter.distribution import distribution
from dashboard.pages.filter.samples import responses
from dashboard.pages.goto import find
from dashboard.pages.state import parse_query, state_for
from dashboard.pages.words import sample_targets, target_lines, why_no_classes
from dashboard.stores.source import Source
from fmcore.cli import main
from fmcore.dataset import Preprocessing
from fmcore.records import Target
from fmcore.storage import open_store

N = 120
LAYER = "block/conv 1"
SCORES_OF = {
    Target.LABELS: "`fmcore stats labels.h5 --statistic label_auc` has the scores of each label",
    Target.NUMBER: "`fmcore stats number.h5 --statistic pearson` has the correlation",
}
WHY = {
    Target.LABELS: "The model gives several labels for each sample, so there is no single class",
    Target.NUMBER: "The model gives numbers, so there are no classes",
}


@pytest.fixture(scope="module", params=[Target.LABELS, Target.NUMBER])
def source(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("targets")
    for name in (request.param, "other"):
        make_target_store(folder / f"{name}.h5", request.param, N)
    return Source(folder)


@pytest.fixture
def target(source) -> Target:
    return Target(next(name for name in source.names if name != "other"))


@pytest.fixture
def snapshot(source, target):
    return source.snapshot(target)


@pytest.fixture
def pair(source, snapshot, monkeypatch):
    state = state_for(
        snapshot.catalog, layer=LAYER, filter_index=target_filter(N), with_store="other"
    )
    monkeypatch.setattr(
        source, "snapshot", lambda name=None, ask=source.snapshot: ask(name or snapshot.name)
    )
    return open_pair(source, source.snapshot(), state)[0]


def words_of(node) -> str:
    """All that a person reads, sees in a tip or hears: no ids, nothing hidden or for scripts."""
    if isinstance(node, list | tuple):
        return "\n".join(filter(None, map(words_of, node)))
    if isinstance(node, dict):
        props = node.get("props", node)
        if props.get("hidden") or node.get("type") == "Store":
            return ""
        kept = {key: one for key, one in props.items() if key not in ("id", "className", "href")}
        return words_of(list(kept.values()))
    return node if isinstance(node, str) else ""


def shown_ids(page) -> set[str]:
    inside = {
        node["props"]["id"]
        for hidden in nodes_in(page)
        if hidden["props"].get("hidden")
        for node in nodes_in(hidden)
        if "id" in node["props"]
    }
    return {node["props"]["id"] for node in nodes_in(page) if "id" in node["props"]} - inside


@pytest.mark.parametrize("view", PAGES, ids=lambda view: view.name)
def test_pages_show_no_control_of_classes_and_none_is_called_all(view, snapshot):
    page = view.layout(snapshot, parse_query("", snapshot.catalog)[0])
    away = {f"{view.name}-class", f"{view.name}-against", "maps-outcome", "maps-probability"}
    assert not away & shown_ids(page)
    assert (f"{view.name}-layer" in shown_ids(page)) == ("layer" in view.controls)
    words = words_of(page)
    assert not re.search(r"'all'|class all|confident|Score for this class", words)
    assert "AUC" not in words or view.name == "contrast"  # there it is of groups
    if "class_index" in view.controls:  # of others, "all" is no class
        assert not re.search(r"(?m)^all$", words)


@pytest.mark.parametrize("name", ["maps", "classes"])
def test_pages_say_in_a_sentence_why_there_are_no_classes(name, snapshot, target):
    view = next(page for page in PAGES if page.name == name)
    words = words_of(view.layout(snapshot, parse_query("", snapshot.catalog)[0]))
    if name == "maps":
        assert "so it predicts no class" in words
        assert {Target.LABELS: "Labels", Target.NUMBER: "Numbers"}[target] in words.split("\n")
    else:
        assert f"{WHY[target]}; {SCORES_OF[target]}" in words


def test_a_command_that_a_page_names_prints_scores(snapshot, target, monkeypatch, capsys):
    command = re.search(r"`fmcore (.*?)`", why_no_classes(snapshot))[1].split()
    monkeypatch.chdir(snapshot.store.file.bytes.real_path().parent)
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in TARGET_NAMES[target])


def test_a_store_that_lacks_the_scores_is_told_how_to_have_them(tmp_path):
    path = make_target_store(tmp_path / "a b.h5", Target.LABELS, 40, statistics="basic")
    words = why_no_classes(Source(path).snapshot())
    assert "`fmcore stats 'a b.h5' --statistic label_auc --recompute` computes" in words


def test_links_and_go_to_know_no_class(snapshot):
    for typed in ("all", "class 0", "class all"):
        changes, problem = find(typed, snapshot.catalog)
        query = "".join(f"?class={index}" for index in [changes.get("class_index")] if not problem)
        state, notes = parse_query(query, snapshot.catalog)
        assert state.class_index is None
        assert problem or "samples have no classes" in notes[0]
    assert find("conv2 filter 1", snapshot.catalog) == ({"layer": "conv2", "filter_index": 1}, "")
    state, notes = parse_query("?statistic=auc_mean", snapshot.catalog)
    assert state.statistic == "mean"
    assert "auc_mean" in notes[0]


def test_a_sample_is_said_with_what_is_true_and_what_the_model_gives(snapshot, target):
    images = Preprocessing(scale=255.0)(make_samples(N).images)
    answers, truth = NumpyAnswers(target)(images).output, make_truth(target, N).values
    for sample in (0, 3, N - 1):
        head, rows, note = sample_targets(snapshot, sample)
        assert note == ""
        names = [row[0] for row in rows]
        at = [TARGET_NAMES[target].index(name) for name in names]
        assert sorted(at) == list(range(len(TARGET_NAMES[target])))
        assert_allclose([float(row[2]) for row in rows], answers[sample, at], rtol=1e-3, atol=1e-4)
        if target == Target.LABELS:
            assert head == ["Label", "True", "Probability"]
            by_truth = sorted(
                range(3), key=lambda label: (not truth[sample, label], -answers[sample, label])
            )
            assert at == by_truth, "true ones, then the likeliest"
            assert [row[1] == "yes" for row in rows] == truth[sample, at].tolist()
            true = [
                name for name, has in zip(TARGET_NAMES[target], truth[sample], strict=True) if has
            ]
            assert target_lines(snapshot, sample)[0] == f"True labels: {', '.join(true) or 'none'}"
        else:
            assert head == ["Number", "True", "Predicted"]
            assert_allclose([float(row[1]) for row in rows], truth[sample], rtol=1e-3)
            _, true, predicted = rows[0]
            assert target_lines(snapshot, sample)[0] == f"x: true {true}, predicted {predicted}"


def test_of_many_labels_or_numbers_a_few_are_listed():
    names = tuple(f"name {index}" for index in range(40))
    answer = np.linspace(1, 0, 40, dtype=np.float32)

    def listed(target, truth):
        store = SimpleNamespace(
            target=target,
            target_names=names,
            truth_of=lambda sample: truth,
            answer=lambda sample: answer,
        )
        _, rows, note = sample_targets(SimpleNamespace(store=store), 0)
        return [row[0] for row in rows], note

    listing, note = listed(Target.LABELS, np.arange(40) == 39)
    assert listing == ["name 39", *names[:7]]
    assert note == "8 of 40 labels: true ones, then the likeliest."
    assert listed(Target.LABELS, None)[0] == [*names[:8]]
    listing, note = listed(Target.NUMBER, answer[::-1])
    assert listing == [*names[:8]]
    assert note == "8 of 40 numbers, the first."


def test_classes_shows_all_samples_as_one_row(snapshot):
    state = state_for(snapshot.catalog, layer=LAYER, filter_index=target_filter(N), class_index=0)
    maps = mean_maps.mean_maps(snapshot, state)
    expected = snapshot.layer(LAYER).activation[...].mean(axis=0)[..., state.filter_index]
    assert_allclose(maps.selected, expected, rtol=1e-4, atol=1e-6)
    first = mean_maps.map_figures(snapshot, state, maps, theme=LIGHT)[0][0]
    assert first["layout"]["title"]["text"] == "all samples"
    head, rows = cell.numbers(snapshot, state)
    assert head == ["Statistic", "All samples"]
    assert "Mean" in [row[0] for row in rows]
    assert not any("AUC" in row[0] for row in rows)
    fields = {column.field for column in filters.columns(snapshot, state)}
    assert fields == {"filter", "health", "apoz"}
    assert filters.scores_missing(snapshot, state) == ""
    said = [
        cell.sizes_words(snapshot, state),
        cell.value_words(snapshot, state),
        mean_maps.note(snapshot, state, maps),
        order_of(snapshot, state).words,
        words_of(cell.top_strip(snapshot, state, "")),
    ]
    assert not re.search(r"class|Class", " ".join(said))


@pytest.mark.parametrize("how", ["index", "value", "cluster"])
def test_one_row_has_no_order_of_classes(how):
    assert "lass" not in arranged(np.ones((1, 4)), how, class_index=None).words
    assert "lasses" in arranged(np.ones((2, 4)), how, class_index=None).words


def test_filter_says_no_score_of_classes_and_why(snapshot, target):
    state = state_for(snapshot.catalog, layer=LAYER, filter_index=target_filter(N))
    where = snapshot, LAYER, state.filter_index
    words = words_of(scores.draw(snapshot, state, LIGHT))
    assert WHY[target] in words
    assert SCORES_OF[target] in words
    zeros = float((snapshot.layer(LAYER).activation[..., state.filter_index] == 0).mean())
    assert f"{zeros:.4g}" in words
    assert "AUC" not in words
    best = responses(*where)[0][0]
    head = words_of(header.draw(snapshot, state, LIGHT))
    assert target_lines(snapshot, best.sample)[0] in head
    assert "without label" not in head
    assert distribution(*where, None).names == ["all samples"]


def test_compare_compares_all_samples_and_tells_both_answers(pair, target):
    assert pair.alike.same
    drawn, why = class_figures(pair, theme=LIGHT)
    assert why == ""
    for figure, _ in drawn:
        assert figure["layout"]["yaxis"]["labelalias"] == {"0": "all samples"}
        assert "class" not in figure["data"][0]["hovertemplate"]
    assert not any("class" in column.header.lower() for column in compared.columns(pair))
    first = sides(pair)[0]
    assert target_lines(pair.first, 0)[0] in words_of(input_panel(first))


def test_same_labels_of_other_images_are_the_same_samples(tmp_path, source, target):
    def with_images(seed, name):
        return make_target_store(tmp_path / f"{name}.h5", target, 40, seed=seed)

    with_images(0, "clean")
    with_images(1, "noisy")
    both = Source(tmp_path)
    likeness = alike(both.snapshot("clean"), both.snapshot("noisy"))
    assert likeness.same
    assert "but not the images" in likeness.words


def test_the_catalogue_has_the_words_of_the_store(source, target):
    (rows,) = [
        node["props"]["rowData"]
        for node in nodes_in(catalogue(source))
        if "rowData" in node["props"]
    ]
    words = {Target.LABELS: "labels right ", Target.NUMBER: "mean absolute error x: "}[target]
    assert all(row["accuracy_words"].startswith(words) and row["accuracy"] is None for row in rows)


def test_the_api_gives_what_applies(source, target):
    one, families = (
        f"api/v1/stores/{target}",
        {Target.LABELS: "label_auc", Target.NUMBER: "pearson"},
    )
    with running(create_app(source)) as url, httpx.Client(base_url=url) as client:
        for line in (client.get("api/v1/stores").json()[0], client.get(one).json()):
            assert line["target"] == target
            assert line["target_names"] == list(TARGET_NAMES[target])
            with open_store(source.files[target]) as store:
                assert line["accuracy"] == store.accuracy_words
            assert line["test_accuracy"] is None
        assert client.get(one).json()["has_classes"] is False
        stored = client.get(f"{one}/layers").json()[0]["statistics"]
        assert f"{families[target]}_mean" in stored
        assert not {"auc_mean", "eta2_max"} & set(stored)
        rows = client.get(f"{one}/samples").json()
        truth = make_truth(target, N).values
        assert [row[f"true_{TARGET_NAMES[target][0]}"] for row in rows] == pytest.approx(
            truth[:, 0]
        )
        assert not {"label", "prediction"} & set(rows[0])
        asked = {"layer": LAYER, "filter": str(target_filter(N))}
        rows = client.get(f"{one}/statistics", params=asked).json()
        assert {row["statistic"] for row in rows} >= {"mean", families[target]}
        assert not {row["statistic"] for row in rows} & {"auc", "eta2", "csi", "mi"}
        named = {row["target"] for row in rows if row["statistic"] == families[target]}
        assert named == set(TARGET_NAMES[target])
        rows = client.get(f"{one}/statistics", params=asked | {"statistic": "eta2"}).json()
        assert {row["reason"] for row in rows} == {"only one class has samples"}
        described = client.get("openapi.json").json()
        paths = described["paths"]["/api/v1/stores/{store}/statistics"]["get"]["parameters"]
        examples = {each["name"]: each["schema"].get("examples") for each in paths}
        assert examples["class"] == []
        first = examples["statistic"][0]
        answer = client.get(f"{one}/statistics", params=asked | {"statistic": first})
        assert answer.status_code == 200
        assert {row["target"] for row in answer.json()} == set(TARGET_NAMES[target])


def test_images_that_came_with_classes_keep_them(tmp_path):
    for target in TARGET_NAMES:
        path = make_target_store(tmp_path / f"{target}.h5", target, 40, of_classes=True)
        snapshot = Source(path).snapshot()
        page = UNNAMED.layout(snapshot, parse_query("", snapshot.catalog)[0])
        assert {"maps-class"} <= shown_ids(page)
        assert not {"maps-outcome", "maps-probability"} & shown_ids(page)
        assert "so it predicts no class" in words_of(page)
        assert snapshot.catalog.classes == CLASS_NAMES
        assert "auc_mean" in snapshot.catalog.statistics
        head, rows, _ = sample_targets(snapshot, 0)
        assert len(head) == 2
        assert "True" not in head
        assert len(rows) == len(TARGET_NAMES[target])
