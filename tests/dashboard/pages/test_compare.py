"""Two stores side by side: are samples the same, which filters go together, what differs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from helpers.drawing import checked, values_of
from helpers.factories import CLASS_NAMES, NumpyProbe, make_samples, make_store
from helpers.sharded import copy_store
from numpy.testing import assert_allclose, assert_array_equal

from dashboard.components.graph import NONE
from dashboard.components.table import records
from dashboard.figures.heatmap import heatmap_figure, margin_of
from dashboard.figures.theme import DARK, LIGHT, span_of
from dashboard.pages.compare import classes, filters, layers, maps
from dashboard.pages.compare.page import PAGE
from dashboard.pages.compare.pair import default_layer, open_pair
from dashboard.pages.compare.partners import matches, partner, partner_words, partners
from dashboard.pages.compare.selection import (
    LAYER,
    OTHER,
    STORE,
    draw_about,
    selected,
    without_dependents,
)
from dashboard.pages.page import sentence
from dashboard.pages.state import state_for
from dashboard.stores.source import STORE_HERE, Source, StoreNotFoundError
from fmcore import FmcoreError
from fmcore.capture import CaptureOptions, capture, plan_capture
from fmcore.dataset import LabelledImages, Preprocessing
from fmcore.records import Captured, LayerSpec, ModelInfo

N = 37
ONE, TWO = "block/conv 1", "conv2"


class OtherProbe(NumpyProbe):
    """Other weights; the first layer is the same with its filters in another order, the last dead.

    Its layers may have other names, and the maps of the second are larger.
    """

    order = np.random.default_rng(5).permutation(20)

    def __init__(self, names: tuple[str, str] = (ONE, TWO)) -> None:
        super().__init__()
        self.layers = (
            LayerSpec(names[0], (9, 8, 20), kind="Conv2D", activation="relu"),
            LayerSpec(names[1], (9, 8, 3)),
        )

    def __call__(self, images, others=None) -> Captured:
        captured = super().__call__(images, others)
        first = captured.activations[0][..., self.order] * np.float32(2)
        first[..., -1] = 0
        second = np.abs(np.sin(7 * images[..., :1] * np.arange(1, 4, dtype=np.float32)))
        return Captured((first, second), captured.probability)


def store_at(
    path: Path,
    probe: NumpyProbe,
    *,
    samples: LabelledImages | None = None,
    class_names: tuple[str, ...] = CLASS_NAMES,
    ids: list[str] | None = None,
    labels_are: str = "",
    **options,
) -> Path:
    samples = samples or make_samples(N)
    plan = plan_capture(
        probe,
        samples,
        CaptureOptions(batch_size=10, **options),
        class_names=class_names,
        model=ModelInfo(path.stem, digest=path.stem, architecture='{"layers": []}'),
        dataset_name="random",
        dataset_source="random images",
        preprocessing=Preprocessing(scale=255.0),
    )
    if ids is not None:
        plan = dataclasses.replace(plan, store=dataclasses.replace(plan.store, ids=ids))
    if labels_are:
        about = dataclasses.replace(plan.store.dataset, labels=labels_are)
        plan = dataclasses.replace(plan, store=dataclasses.replace(plan.store, dataset=about))
    return capture(probe, samples, path, plan)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The tiny store, A, beside others: B of other weights, and one for each way to differ."""
    shelf = tmp_path_factory.mktemp("shelf")
    make_store(shelf / "a.h5")
    store_at(shelf / "b.h5", OtherProbe())
    store_at(shelf / "renamed.h5", OtherProbe((TWO + "x", ONE + "x")))
    same = make_samples(N)
    noisy = np.clip(same.images + np.random.default_rng(1).normal(0, 20, same.images.shape), 0, 255)
    noisy = noisy.astype(np.uint8)
    store_at(shelf / "noisy.h5", NumpyProbe(), samples=LabelledImages(noisy, same.labels))
    store_at(shelf / "few.h5", NumpyProbe(), samples=make_samples(12))
    other = LabelledImages(noisy, (same.labels + 1) % 3)
    store_at(shelf / "labels.h5", NumpyProbe(), samples=other)
    store_at(
        shelf / "ids.h5",
        NumpyProbe(),
        samples=LabelledImages(noisy, same.labels),
        ids=[f"x{index}" for index in range(N)],
    )
    store_at(shelf / "unlabelled.h5", NumpyProbe(), samples=other, labels_are="predicted")
    store_at(shelf / "names.h5", OtherProbe(), class_names=("a", "b", "c", "d"))
    store_at(shelf / "pooled.h5", OtherProbe(), policy="*=pooled", statistics="basic")
    return shelf


@pytest.fixture(scope="module")
def source(folder):
    return Source(folder)


@pytest.fixture(autouse=True)
def in_the_page_of_a():
    token = STORE_HERE.set("a")
    yield
    STORE_HERE.reset(token)


def pair_of(source, name: str, **values):
    state = state_for(
        source.snapshot().catalog, with_store=name, **{"layer": ONE, "filter_index": 2} | values
    )
    return open_pair(source, source.snapshot(), state)[0]


def about_of(pair):
    return draw_about(pair, pair.state, LIGHT)


def test_samples_are_the_same_where_labels_and_ids_are_though_images_differ(source):
    for name, same, words in (
        ("b", True, "same 37 images"),
        ("noisy", True, "not the images"),
        ("few", False, "A has 37, B 12"),
        ("labels", False, "37 of 37 have another label in B"),
        ("ids", False, "37 of 37 have another id in B"),
        ("unlabelled", False, "nobody can tell"),
    ):
        likeness = pair_of(source, name).alike
        assert (likeness.same, words in likeness.words) == (same, True), (name, likeness)


def test_filters_go_together_by_numpys_correlation_of_pooled_means(source):
    pair = pair_of(source, "b")
    tables = [
        snapshot.layer(ONE).pooled("mean")[...].astype(float)
        for snapshot in (pair.first, pair.second)
    ]
    with np.errstate(all="ignore"):
        expected = np.corrcoef(tables[0].T, tables[1].T)[:20, 20:]
    known = np.isfinite(expected)
    assert_allclose(matches(pair).correlation[known], expected[known], atol=1e-5)
    alive = np.flatnonzero(tables[0].std(axis=0) > 0)
    partner = partners(pair)
    for index in alive:
        assert expected[index, partner[index]] == pytest.approx(
            np.nanmax(expected[index]), abs=1e-5
        )
    assert (partner[np.setdiff1d(np.arange(20), alive)] == -1).all()
    single = partners(pair_of(source, "b", pairing="one"))
    assert len(set(single[single >= 0])) == (single >= 0).sum()
    assert_array_equal(partners(pair_of(source, "b", pairing="number")), np.arange(20))
    short = partners(pair_of(source, "b", pairing="number", other=TWO))
    assert_array_equal(short[:3], range(3))
    assert (short[3:] == -1).all()


def test_a_dead_filter_has_no_match_and_says_so(source):
    pair = pair_of(source, "b", filter_index=0)
    assert pair.first.health(ONE).findings["dead"][0]
    assert partner(pair) is None
    assert "Nothing matches filter 0 of A" in partner_words(pair)
    first, second = maps.sides(pair)
    assert second.values is None
    assert maps.difference(pair, first, second)[1] == "No difference: one of both maps is missing."
    row = records(filters.columns(pair))[0]
    assert (row["match"], row["r"], row["mean_b"], row["one_to_one"]) == (None,) * 4
    chosen = pair_of(source, "b", filter_index=0, other_filter=4)
    assert partner(chosen) == 4
    assert partner_words(chosen).startswith("Chosen: filter 4 of B (one of both does not vary")


def test_it_is_said_how_the_filter_of_b_was_found(source):
    any_pair = pair_of(source, "b")
    means = [
        snapshot.layer(ONE).pooled("mean")[...] for snapshot in (any_pair.first, any_pair.second)
    ]
    index = np.flatnonzero((np.ptp(means[0], axis=0) > 0) & (np.ptp(means[1], axis=0) > 0))[-1]

    def r(pair) -> str:
        return f"r = {np.corrcoef(means[0][:, index], means[1][:, partner(pair)])[0, 1]:.3f}"

    match, single, number = (
        pair_of(source, "b", filter_index=int(index), pairing=pairing)
        for pairing in ("match", "one", "number")
    )
    assert partner_words(match) == (
        f"The match of filter {index} of A is filter {partner(match)} of B ({r(match)})."
    )
    assert partner_words(single) == (
        f"One to one, filter {partner(single)} of B goes with filter {index} of A ({r(single)})."
    )
    assert partner(number) == index
    assert partner_words(number) == f"By number: filter {index} of B ({r(number)})."
    other = pair_of(source, "labels", filter_index=int(index))
    assert partner(other) == index
    assert "same number: without the same samples" in partner_words(other)


def test_it_is_said_why_no_filter_of_b_goes_with_one_of_a(source):
    beyond = pair_of(source, "b", other=TWO, pairing="number", filter_index=5)
    assert partner(beyond) is None
    expected = "B's layer has only 3 filters, so none has the number 5."
    assert partner_words(beyond) == expected
    pairs = [pair_of(source, "b", other=TWO, pairing="one", filter_index=i) for i in range(20)]
    left = [pair for pair in pairs if partner(pair) is None]
    assert len(left) >= 17, "three filters of B go with three of A at most"
    words = {partner_words(pair) for pair in left}
    assert any("One to one, no filter of B is left for filter" in sentence for sentence in words)


def test_maps_are_those_of_both_stores_in_the_same_colours_and_their_difference(source):
    pair = pair_of(source, "b", sample=5)
    number = partner(pair)
    one = pair.first.layer(ONE).feature_maps(5)[..., 2]
    other = pair.second.layer(ONE).feature_maps(5)[..., number]
    first, second = maps.sides(pair)
    assert_array_equal(first.values, one)
    assert_array_equal(second.values, other)
    minus, why = maps.difference(pair, first, second)
    assert_array_equal(minus, other - one)
    assert why == ""
    assert span_of((first.values, second.values)) == (
        min(one.min(), other.min()), max(one.max(), other.max())
    )  # fmt: skip
    drawn = maps.map_figures(first, second, minus, theme=LIGHT)
    spans = [(each["data"][0]["zmin"], each["data"][0]["zmax"]) for each, _ in drawn]
    assert spans[0] == spans[1]
    assert spans[2][0] == -spans[2][1] == -np.abs(other - one).max()
    assert f"filter {number} of B" in maps.maps_note(pair)
    assert "'filter?layer=block%2Fconv+1&sample=5&filter=2'" in str(maps.input_panel(first))
    link = f"'../b/filter?layer=block%2Fconv+1&sample=5&filter={number}'"
    assert link in str(maps.input_panel(second))


def test_without_the_same_samples_nothing_is_subtracted_or_matched(source):
    pair = pair_of(source, "few", sample=20)
    first, second = maps.sides(pair)
    assert first.values is not None
    assert second.why == "B has only 12 samples."
    pair = pair_of(source, "labels", sample=5)
    first, second = maps.sides(pair)
    assert second.filter_index == 2
    assert_array_equal(second.values, pair.second.layer(ONE).feature_maps(5)[..., 2])
    assert maps.difference(pair, first, second) == (
        None, "No difference: the samples are not the same."
    )  # fmt: skip
    assert "another image" in maps.maps_note(pair)
    fields = [column.field for column in filters.columns(pair)]
    assert {"r", "difference", "one_to_one"}.isdisjoint(fields)
    assert {"mean_a", "mean_b", "best_a", "best_b"} <= set(fields)
    assert "have another label in B" in filters.table_note(pair)
    drawn, why = classes.class_figures(pair, theme=LIGHT)
    assert drawn[2] == NONE
    assert drawn[1] != NONE
    assert why == "No difference: the samples are not the same."
    assert layers.cka_figure(pair, theme=LIGHT)[0] == NONE


def test_maps_of_other_sizes_and_layers_without_maps_say_so(source):
    pair = pair_of(source, "b", layer=TWO, filter_index=0, other_filter=1)
    first, second = maps.sides(pair)
    why = maps.difference(pair, first, second)[1]
    assert why == "No difference: the maps have 4×4 and 9×8 values."
    pair = pair_of(source, "pooled")
    first, second = maps.sides(pair)
    assert second.values is None
    assert second.why == "B keeps no maps of block/conv 1: its policy is pooled."
    assert "policy is pooled" in str(maps.input_panel(second))
    assert maps.map_figures(first, second, None, theme=LIGHT)[1] == NONE
    assert np.isfinite([row["r"] or np.nan for row in records(filters.columns(pair))]).any()
    assert "best_b" not in [column.field for column in filters.columns(pair)]
    _, why = classes.class_figures(pair_of(source, "pooled", statistic="auc_mean"), theme=LIGHT)
    assert why == "pooled does not hold this statistic, so only A has it."


def test_the_table_holds_the_numbers_of_both_stores(source):
    pair = pair_of(source, "b")
    rows, goes_with = records(filters.columns(pair)), partners(pair)
    for name, snapshot, indices in (
        ("a", pair.first, np.arange(20)), ("b", pair.second, goes_with)
    ):  # fmt: skip
        mean = snapshot.layer(ONE).activation[:].astype(float).mean(axis=(0, 1, 2))
        auc = snapshot.layer(ONE).statistic("auc_mean")
        for row, index in zip(rows, indices, strict=True):
            if index < 0:
                assert row[f"mean_{name}"] is None
                continue
            assert row[f"mean_{name}"] == pytest.approx(mean[index], rel=1e-5)
            if np.isfinite(auc[:, index]).any():
                assert row[f"auc_{name}"] == np.nanmax(auc[:, index])
                assert row[f"best_{name}"] == CLASS_NAMES[np.nanargmax(auc[:, index])]
    for row in rows:
        if row["match"] is not None:
            assert row["difference"] == pytest.approx(row["mean_b"] - row["mean_a"])
            r = matches(pair).correlation[row["filter"], int(row["match"])]
            assert row["r"] == pytest.approx(float(r))
    assert filters.table_note(pair).startswith("Filter of B is the match")


def test_statistics_of_b_stand_below_those_of_the_filters_they_go_with(source):
    pair = pair_of(source, "b", statistic="mean")
    goes_with = partners(pair)
    drawn, why = classes.class_figures(pair, theme=DARK)
    assert why == ""
    values = [values_of(figure["data"][0]["z"]) for figure, _ in drawn]
    for figure, _ in drawn:
        checked(figure)
    a = pair.first.layer(ONE).statistic("mean")
    b = pair.second.layer(ONE).statistic("mean")
    assert_array_equal(values[0], a)
    for column, index in enumerate(goes_with):
        expected = np.full(len(CLASS_NAMES), np.nan) if index < 0 else b[:, index]
        assert_array_equal(values[1][:, column], expected)
        assert_array_equal(values[2][:, column], expected - a[:, column])
    assert drawn[0][0]["data"][0]["zmax"] == drawn[1][0]["data"][0]["zmax"]
    assert len({figure["layout"]["margin"]["l"] for figure, _ in drawn}) == 1
    assert all(classes.titles(pair, drawn))
    names = pair_of(source, "names", statistic="mean")
    drawn, why = classes.class_figures(names, theme=LIGHT)
    assert why == "No difference: the classes have other names in B."
    assert list(drawn[1][0]["layout"]["yaxis"]["labelalias"].values()) == ["a", "b", "c", "d"]
    assert classes.titles(names, drawn)[2] == ""


def test_the_other_layer_has_the_same_path_or_else_is_the_most_alike(source):
    assert pair_of(source, "b").state.other == ONE
    renamed = pair_of(source, "renamed")
    # Its first layer is A's first in another order; the second is another one.
    assert default_layer(renamed) == renamed.state.other == TWO + "x"
    (figure, _), words = layers.cka_figure(renamed, theme=LIGHT)
    values = values_of(checked(figure).to_dict()["data"][0]["z"])
    assert values.shape == (2, 2)
    assert values[0, 0] > values[0, 1]
    assert "all 37 samples" in words
    assert layers.clicked_layers(renamed, (1, 0)) == (TWO, TWO + "x")
    assert layers.clicked_layers(renamed, (2, 0)) is None
    assert layers.clicked_layers(renamed, None) is None
    few = pair_of(source, "few", other="")
    assert few.state.other == ONE


def test_cka_of_more_than_fits_is_of_evenly_spaced_samples(source, monkeypatch):
    monkeypatch.setattr("dashboard.pages.compare.pair.CKA_BYTES", 4 * 46 * 10)
    (figure, _), words = layers.cka_figure(pair_of(source, "names"), theme=LIGHT)
    assert "10, evenly spaced, of 37 samples" in words
    assert values_of(figure["data"][0]["z"]).shape == (2, 2)


def test_what_does_not_exist_is_said_and_the_nearest_is_shown(source):
    state = state_for(
        source.snapshot().catalog, with_store="nowhere", layer=ONE, other="conv9", other_filter=99
    )
    selection = selected(source, state)
    assert selection.pair is not None
    assert selection.name == "b"  # the first with as many samples
    assert selection.notes == (
        "There is no other store 'nowhere' here; showing 'b'.",
        "There is no layer 'conv9' in b; showing 'block/conv 1'. There is no filter 99 in layer "
        "block/conv 1 of b (0 to 19); showing 19.",
    )
    itself = selected(
        source, dataclasses.replace(state, with_store="a", other="", other_filter=None)
    )
    assert itself.notes == ("There is no other store itself here; showing 'b'.",)
    assert "a" not in itself.names
    assert selected(source, state_for(source.snapshot().catalog)).notes == ()


def test_another_store_or_layer_forgets_what_hung_on_the_one_before(source):
    state = state_for(source.snapshot().catalog, layer=ONE, other=TWO, other_filter=1)
    assert without_dependents(state, "") == state
    for changed, other in ((STORE, ""), (LAYER, ""), (OTHER, TWO)):
        after = without_dependents(state, changed)
        assert (after.other, after.other_filter) == (other, None)


def test_one_store_alone_says_how_to_serve_several(store_path):
    token = STORE_HERE.set(None)
    selection = selected(Source(store_path), state_for(Source(store_path).snapshot().catalog))
    STORE_HERE.reset(token)
    assert selection.pair is None
    assert selection.names == ()
    assert "fmdash serve FOLDER" in selection.problem


def test_a_store_that_is_broken_or_gone_is_one_sentence(tmp_path, folder):
    for name in ("a", "b"):
        copy_store(folder / f"{name}.h5", tmp_path)
    (tmp_path / "cut.h5").write_bytes((folder / "b.h5").read_bytes()[:5000])
    source = Source(tmp_path)
    selection = selected(source, state_for(source.snapshot().catalog, with_store="cut"))
    assert selection.pair is None
    assert (selection.name, selection.names) == ("cut", ("b", "cut"))
    assert "cut.h5" in selection.problem
    assert str(tmp_path) not in selection.problem
    assert selected(source, state_for(source.snapshot().catalog)).name == "b", (
        "one that opens comes first"
    )
    assert selected(source, state_for(source.snapshot().catalog, with_store="b")).pair is not None
    (tmp_path / "b.h5").unlink()
    first = source.snapshot()
    values = {"with_store": "b", "layer": ONE, "other": ONE}
    with pytest.raises(FmcoreError) as gone:
        PAGE.subject(source, first, state_for(first.catalog, **values))
    why = sentence(source, gone.value)
    assert why.endswith(".")
    assert str(tmp_path) not in why
    assert "b" in why
    with pytest.raises(StoreNotFoundError):
        source.snapshot("never")


def test_what_is_compared_is_said_of_both(source):
    words = str(about_of(pair_of(source, "b")))
    for part in ("'b'", "random images", "37 samples", "test accuracy", "same 37 images"):
        assert part in words
    assert "one model" not in words


def test_stores_of_one_model_say_that_numbers_are_the_filters(tmp_path, folder):
    copy_store(folder / "a.h5", tmp_path)
    copy_store(folder / "a.h5", tmp_path / "again.h5")
    source = Source(tmp_path)
    pair = pair_of(source, "again")
    assert pair.same_model
    assert pair.state.pairing == "fit"
    assert pair.by_number
    assert "so filters go together by number" in str(about_of(pair))
    assert partner_words(pair).startswith("By number, since both are the same layer of one model")
    assert "since both are the same layer" in filters.table_note(pair)
    match = pair_of(source, "again", pairing="match")
    assert not match.by_number
    assert "choose “Number”" in str(about_of(match))
    number = pair_of(source, "again", pairing="number")
    assert "choose" not in str(about_of(number))
    assert "since" not in partner_words(number)
    other_layer = pair_of(source, "again", other=TWO)
    assert other_layer.pairing == "match"
    assert "by number" not in str(about_of(other_layer))
    alive = np.isfinite(matches(pair).r(partners(pair)))
    assert_allclose(matches(pair).r(partners(pair))[alive], 1, atol=1e-6)


def test_a_heatmap_names_rows_and_columns_and_frames_what_is_selected():
    values = np.array([[0.1, np.nan, 0.3], [0.4, 0.5, 0.6]])
    names = ["<b>one</b>", "a name that is far too long for the room it has"]
    options = {
        "rows": names, "columns": ["4", "–", ""], "axes": ("class", "filter"),
        "span": (0.0, 1.0), "title": "t", "hover": "%{z}", "margin": margin_of(names),
        "theme": LIGHT,
    }  # fmt: skip
    figure = heatmap_figure(values, framed=(None, 1), numbered=True, **options)
    checked(figure)
    frame = figure["layout"]["shapes"][0]
    assert (frame["x0"], frame["x1"], frame["y0"], frame["y1"]) == (0.5, 1.5, -0.5, 1.5)
    aliases = figure["layout"]["yaxis"]["labelalias"]
    assert aliases["0"] == "&lt;b&gt;one&lt;/b&gt;"
    # Cut at the axis, whole in the hover, which says the place with a digit more.
    assert aliases["1"] == "a name …he room it has"
    assert (aliases["1.0"], figure["data"][0]["yhoverformat"]) == (names[1], ".1f")
    assert "xhoverformat" not in figure["data"][0]
    assert figure["layout"]["xaxis"]["labelalias"]["2"] == " "
    assert figure["data"][0]["texttemplate"]
    assert heatmap_figure(values, framed=(None, None), **options)["layout"].get("shapes", []) == []
    assert margin_of(["a"])["l"] < margin_of(["a"], ["much longer"])["l"]
