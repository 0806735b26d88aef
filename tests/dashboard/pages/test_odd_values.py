"""NaN, infinities, constants and float16 are said as they are, on every page in the same words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from helpers.odd import BROKEN, LARGE, SHAPE, N, make_odd_store
from helpers.servers import running
from plotly.io.json import to_json_plotly

from dashboard.app import create_app
from dashboard.figures.theme import LIGHT
from dashboard.pages import PAGES
from dashboard.pages.feature_maps.facts import wall_facts
from dashboard.pages.page import NOT_STORED
from dashboard.pages.state import parse_query
from dashboard.stores.findings import health_words
from dashboard.stores.source import STORE_HERE, Source
from fmcore import open_store
from fmcore.cli import main
from fmcore.statistics import HARMLESS

ALL_BAD = f"all {N * SHAPE[0] * SHAPE[1]} values NaN or infinite"
# What is panels where there is no finite value, and would be wrong of it.
OF_ZEROS = re.compile(r"\b(nan|inf|0 to 0|all zero)\b|is exactly zero|no samples\b")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    for name in "ab":
        make_odd_store(folder / f"{name}.h5")
    make_odd_store(folder / "pooled.h5", policy="*=pooled", statistics="basic")
    return Source(folder)


@pytest.fixture
def snapshot(source):
    token = STORE_HERE.set("a")
    yield source.snapshot("a")
    STORE_HERE.reset(token)


def words_in(content: Any) -> Iterator[str]:
    """All that a person reads of a panel: text, tips, notes in figures."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            yield from words_in(part)
    elif isinstance(content, dict) and "layout" in content:
        yield from (note["text"] for note in content["layout"].get("annotations", ()))
    elif isinstance(content, dict):
        props = content.get("props", content)
        for name in ("children", "title", "aria-label", "label", "head", "body", "data"):
            if isinstance(props.get(name), str | list | dict):
                yield from words_in(props[name])


def texts(source, name: str, query: str) -> dict[str, str]:
    """The words of every panel of a store's pages for a link, by page and panel."""
    snapshot, panels = source.snapshot(name), {}
    for page in PAGES:
        for panel in page.panels:
            state = parse_query(query, snapshot.catalog)[0]
            try:
                subject, state = page.subject(source, snapshot, state)
                content = panel.draw(subject, state, LIGHT, **dict.fromkeys(panel.also))
                plain = json.loads(to_json_plotly(content))
            except NOT_STORED as error:
                plain = str(error)
            panels[f"{page.name}/{panel.name}"] = "\n".join(words_in(plain))
    return panels


@pytest.mark.parametrize("layer", ["broken&filter=1", "nothing finite&filter=0"])
@pytest.mark.parametrize("classes", ["", "&class=0", "&class=0&against=1"])
def test_a_filter_without_a_finite_value_is_nowhere_called_zero(source, snapshot, layer, classes):
    panels = texts(source, "a", f"?layer={layer}{classes}")
    for panel, words in panels.items():
        if panel == "filter/classes":  # a row of each class, one of which has no sample
            continue
        assert not OF_ZEROS.search(words.replace("no samples of this class", "")), (panel, words)
    assert ALL_BAD in panels["filter/header"]
    assert ALL_BAD in panels["filter/histogram"]
    assert "no finite value" in panels["classes/distribution"]
    assert "no finite value" in panels["classes/cell"]
    assert "no value is finite in both maps" in panels["compare/maps"]
    assert "Both maps are the same" not in panels["compare/maps"]
    if classes:
        assert "No mean map: no finite value" in panels["classes/mean-maps"]


def test_a_class_without_samples_is_not_a_class_without_finite_values(source, snapshot):
    panels = texts(source, "a", "?layer=broken&filter=0&class=3")
    assert "No distribution: no samples" in panels["classes/distribution"]
    assert "Mean: – (no samples of this class)" in panels["classes/cell"]
    assert "no samples of this class (7), no finite value (3)" in panels["classes/heatmap"]


def test_what_is_not_finite_in_one_class_alone_is_said_with_the_class(source, snapshot):
    for index in (BROKEN.index("one +inf"), BROKEN.index("one -inf"), 3):
        header = texts(source, "a", f"?layer=broken&filter={index}")["filter/header"]
        assert "14 of 800 values NaN or infinite, only in class zero" in header
        assert "to 1, 14 of 800 values NaN or infinite" in header
        assert "of 786 finite values" in header


def test_a_constant_is_said_with_its_value_and_may_be_harmless_without_a_function(source, snapshot):
    header = texts(source, "a", "?layer=broken&filter=4")["filter/header"]
    assert "dead: always 3\n" in header
    panels = texts(source, "a", "?layer=linear&filter=1")
    assert f"dead: always 3, {HARMLESS}\n" in panels["filter/header"]
    assert "Whole test set\nalways 3" in panels["filter/header"]
    assert f"2 dead, {HARMLESS} (filters 1, 2)" in panels["classes/filters"]
    words = health_words(snapshot.health("linear"), "abcd")
    assert words == ["ok", f"dead, always 3, {HARMLESS}", f"dead, {HARMLESS}"]


@pytest.mark.parametrize("place", ["filter/header", "filter/raw", "compare/maps"])
def test_a_layer_in_float16_is_called_that_with_what_became_infinite(source, snapshot, place):
    words = texts(source, "a", "?layer=half&filter=1")[place]
    with open_store(source.files["a"]) as store:
        raw = store.layers["half"].activation[:N]
    n_bad = int(np.isinf(raw).sum())
    assert n_bad
    assert "float16" in words
    assert f"{n_bad} beyond ±65,504 became infinite" in words
    assert "float16" not in texts(source, "a", "?layer=tiny")[place]


def test_the_wall_has_the_words_of_the_other_pages_and_spans_what_is_finite(snapshot):
    broken, none, half = (
        wall_facts(snapshot, layer) for layer in ("broken", "nothing finite", "half")
    )
    assert broken.whole[1] == none.whole[0] == ALL_BAD
    assert broken.whole[4] == "always 3"
    assert broken.value_note.startswith("842 of 5,600 values of the whole test set are NaN or inf")
    assert none.value_note.startswith("All 1,600 values")
    assert "float16" in half.value_note
    assert half.span == [0, LARGE]
    negative = wall_facts(snapshot, "negative")
    assert (negative.span, negative.value_note) == ([-3, -1], "")
    for layer in snapshot.catalog.n_filters:
        json.dumps(wall_facts(snapshot, layer).as_json(), allow_nan=False)


def test_the_catalogue_and_the_api_count_all_that_is_grave(source):
    lines = {line.name: line for line in source.summaries()}
    words = f"4 of 18 filters dead (2 {HARMLESS}), 3 duplicate, 6 non-finite"
    assert lines["a"].health == words
    assert lines["a"].findings["nonfinite"] == 6
    assert lines["a"].policies == "1 of 6 layers float16"
    assert lines["pooled"].policies == "6 of 6 layers pooled"
    with running(create_app(source)) as url, httpx.Client(base_url=url) as client:
        layers = client.get("/api/v1/stores/a/layers").json()
        values = {layer["path"]: layer["values"] for layer in layers}
        assert values["half"].startswith("float16: rounded")
        assert values["tiny"].startswith("float32")
        assert client.get("/api/v1/stores").json()[0]["health"] == words


def test_a_store_without_maps_says_the_same(source):
    token = STORE_HERE.set("pooled")
    panels = texts(source, "pooled", "?layer=broken&filter=1&class=0&with=a")
    STORE_HERE.reset(token)
    assert ALL_BAD in panels["filter/header"]
    assert "pooled: tables and statistics, no maps" in panels["filter/header"]
    assert not OF_ZEROS.search(panels["classes/cell"].replace("no samples of this class", ""))


def test_commands_say_it_in_the_words_of_the_pages(source, capsys):
    path = str(source.files["a"])
    assert main(["health", path]) == 0
    output = capsys.readouterr().out
    assert f"1 ({ALL_BAD})" in output
    assert "2 (14 of 800 values NaN or infinite, only in class zero)" in output
    assert f"1 (always 3, {HARMLESS}), 2 ({HARMLESS})" in output
    assert "4 (always 3), 6" in output
    assert main(["info", path]) == 0
    output = capsys.readouterr().out
    assert output.count("float16: rounded") == 1
    assert main(["stats", path, "--layer", "broken", "--filter", "1", "--statistic", "mean"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.rpartition(",")[2] for row in rows[1:]] == [
        *["no finite value"] * 3,
        "no samples of this class",
    ]
    assert main(["validate", path]) == 0
