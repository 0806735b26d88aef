"""The pure parts of Feature maps: what the wall is told, which samples are picked, where to go."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.factories import CLASS_NAMES, NumpyProbe, make_plan, make_samples, make_store
from numpy.testing import assert_allclose, assert_array_equal

from dashboard.pages.feature_maps.facts import boxes, covered, percentiles, wall_facts
from dashboard.pages.feature_maps.samples import picks, responses, thumbnails
from dashboard.pages.feature_maps.wall import order_scores
from dashboard.pages.goto import LONGEST, find
from dashboard.pages.state import Catalog, state_for
from dashboard.stores.source import Source
from fmcore.capture import capture
from fmcore.errors import StatisticNotFoundError

FIRST, SECOND = "block/conv 1", "conv2"


@pytest.fixture(scope="module")
def snapshot(store_path):
    return Source(store_path).snapshot()


class BrokenProbe(NumpyProbe):
    """The filter of its second layer that is never above zero has a NaN in the first image."""

    def __call__(self, images, others=None):
        captured = super().__call__(images, others)
        captured.activations[1][0, 0, 0, 1] = np.nan
        return captured


def test_wall_and_catalogue_call_those_filters_dead_that_health_does(tmp_path, store_path):
    broken = capture(BrokenProbe(), make_samples(37), tmp_path / "broken.h5", make_plan())
    for path, is_dead in ((broken, False), (store_path, True)):
        source = Source(path)
        snapshot = source.snapshot()
        dead = wall_facts(snapshot, SECOND).dead
        assert dead == snapshot.health(SECOND).findings["dead"].tolist()
        assert dead[1] == is_dead
        counts = [snapshot.health(layer).findings["dead"].sum() for layer in (FIRST, SECOND)]
        assert [line.n_dead for line in source.summaries()] == [sum(counts)]


def test_the_wall_is_told_what_the_store_holds(snapshot, store):
    for path in (FIRST, SECOND):
        facts, maps = wall_facts(snapshot, path).as_json(), store.layers[path].activation[:]
        assert json.loads(json.dumps(facts)) == facts
        assert tuple(facts["shape"]) == maps.shape[1:]
        assert_array_equal(facts["low"], maps.min(axis=(0, 1, 2)))
        assert_array_equal(facts["high"], maps.max(axis=(0, 1, 2)))
        assert facts["span"] == [maps.min(), maps.max()]
        assert_array_equal(facts["dead"], (maps <= 0).all(axis=(0, 1, 2)))
        assert any(facts["dead"])
        assert not facts["signed"]
        assert facts["message"] == ""
        assert facts["digest"] == store.digest


def test_percentiles_are_those_of_all_activations(snapshot, store):
    for path in (FIRST, SECOND):
        values = store.layers[path].activation[:]
        exact = np.quantile(values, [0.01, 0.99], method="inverted_cdf")
        assert_allclose(percentiles(snapshot.layer(path)), exact, rtol=0.03125)


def test_a_layer_without_maps_says_why(tmp_path):
    snapshot = Source(make_store(tmp_path / "s.h5", 7, policy="block*=pooled")).snapshot()
    assert "policy pooled" in wall_facts(snapshot, FIRST).message


def test_a_layer_that_is_stored_in_half_travels_as_it_is(tmp_path):
    snapshot = Source(make_store(tmp_path / "s.h5", 7, policy="block*=float16")).snapshot()
    facts = wall_facts(snapshot, FIRST)
    assert facts.url.endswith("dtype=float16")
    assert facts.windows is None


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "size"), [(3, 1, 0, 28), (5, 2, 2, 32), (3, 1, 1, 28)]
)
def test_maps_lie_where_their_units_look(kernel, stride, padding, size):
    count = (size + 2 * padding - kernel) // stride + 1
    first = np.arange(count) * stride - padding
    fields = np.zeros((count, count, 4), np.int64)
    clipped = np.clip(first, 0, size - 1), np.clip(first + kernel - 1, 0, size - 1)
    for place, values in enumerate(clipped):
        fields[..., 2 * place] = values[:, None]
        fields[..., 2 * place + 1] = values[None, :]
    area = covered(fields, (size, size))
    middle = kernel / 2 - padding  # of the first unit's field
    expected = {"top": middle - stride / 2, "height": stride * count}
    assert area == expected | {"left": expected["top"], "width": expected["height"]}


def test_units_whose_rows_depend_on_the_column_have_boxes_of_their_own():
    y, x = np.mgrid[:5, :7]
    turned = np.stack([x, y, x + 2, y + 2], axis=-1)  # behind a permutation of the axes
    facts = boxes(turned, (9, 7))
    assert facts["boxes"] == turned.tolist()
    assert facts["rows"] is facts["columns"] is facts["grid"] is None
    facts = boxes(np.stack([y, x, y + 2, x + 2], axis=-1), (7, 9))
    assert facts["boxes"] is None
    assert facts["rows"] == [[y, y + 2] for y in range(5)]
    assert facts["columns"] == [[x, x + 2] for x in range(7)]
    assert set(boxes(None, (7, 9)).values()) == {None}


def test_maps_of_units_that_see_everything_cover_the_image():
    fields = np.broadcast_to(np.array([0, 0, 27, 27]), (4, 4, 4))
    assert covered(fields, (28, 28)) == {"top": 0.0, "left": 0.0, "height": 28.0, "width": 28.0}


def as_array(scores):
    return np.array([np.nan if score is None else score for score in scores])


def test_filters_are_ordered_by_what_the_store_holds(snapshot, store):
    state = state_for(snapshot.catalog, layer=FIRST, filter_order="class", class_index=1)
    scores, words = order_scores(snapshot, state)
    assert_array_equal(as_array(scores), store.layers[FIRST].statistic("auc_mean")[1])
    assert "for class one" in words
    state = state_for(snapshot.catalog, layer=FIRST, filter_order="class", sample=5)
    assert f"for class {CLASS_NAMES[store.labels[5]]}" in order_scores(snapshot, state)[1]
    state = state_for(snapshot.catalog, layer=FIRST, filter_order="similar", filter_index=3)
    scores, _ = order_scores(snapshot, state)
    expected = store.layers[FIRST].statistic("correlation_mean")[3]
    assert_array_equal(as_array(scores), expected)
    dead = state_for(
        snapshot.catalog, layer=SECOND, filter_order="class", class_index=1, filter_index=1
    )
    assert order_scores(snapshot, dead)[0][1] is None, "undefined, and JSON knows no NaN"
    assert order_scores(snapshot, state_for(snapshot.catalog, filter_order="index")) == (None, "")


def test_an_order_by_scores_that_were_not_captured_says_so(tmp_path):
    snapshot = Source(make_store(tmp_path / "s.h5", 7, statistics="basic")).snapshot()
    with pytest.raises(StatisticNotFoundError, match="captured without scores"):
        order_scores(snapshot, state_for(snapshot.catalog, filter_order="class"))


def test_samples_are_picked_in_the_order_asked_for(snapshot, store):
    everything = picks(snapshot, state_for(snapshot.catalog))
    assert everything["list"] is None
    assert (everything["n"], everything["total"]) == (37, 37)
    beliefs = store.probabilities.max(axis=1)
    of_class = np.flatnonzero(store.labels == 1)
    for picked, key in (
        ("sure", -beliefs),
        ("unsure", beliefs),
        ("response", -store.layers[SECOND].activation[:].max(axis=(1, 2))[:, 2]),
    ):
        state = state_for(
            snapshot.catalog, layer=SECOND, filter_index=2, picked=picked, class_index=1
        )
        expected = of_class[np.argsort(key[of_class], kind="stable")]
        assert_array_equal(picks(snapshot, state)["list"], expected)


def test_a_thumbnail_says_all_that_it_shows(snapshot, store):
    selection = picks(
        snapshot, state_for(snapshot.catalog, layer=SECOND, filter_index=2, picked="response")
    )
    samples = selection["list"][:20]
    buttons = thumbnails(snapshot, samples, responses(snapshot, SECOND, 2))
    for index, button in zip(samples, buttons, strict=True):
        words = button["props"]["title"]
        assert words.startswith(f"Sample {index}: label {CLASS_NAMES[store.labels[index]]}")
        assert ("wrong" in words) == (store.labels[index] != store.predictions[index])
        largest = store.layers[SECOND].feature_maps(index)[..., 2].max()
        assert words.endswith(f"largest activation {largest:.6g}")


CATALOG = Catalog({"conv1": 16, "block/conv 2": 32}, 1000, ("0", "7", "cat dog"), ("mean",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("conv1", {"layer": "conv1"}),
        ("Conv 2 filter 5", {"layer": "block/conv 2", "filter_index": 5}),
        ("block/conv 2 3", {"layer": "block/conv 2", "filter_index": 3}),
        ("f5", {"filter_index": 5}),
        ("sample 812", {"sample": 812}),
        ("812", {"sample": 812}),
        ("7", {"class_index": 1}),
        ("class 7", {"class_index": 1}),
        ("class 2", {"class_index": 2}),
        ("class cat dog", {"class_index": 2}),
        ("CAT DOG f1", {"class_index": 2, "filter_index": 1}),
        (" conv1  f3 s9 ", {"layer": "conv1", "filter_index": 3, "sample": 9}),
        ("", {}),
    ],
)
def test_where_to_go_is_understood(text, expected):
    assert find(text, CATALOG) == (expected, "")


@pytest.mark.parametrize(("text", "near"), [("conv3", "conv1"), ("zebra", "filter 5"), ("f", "")])
def test_what_means_nothing_goes_nowhere_and_says_so(text, near):
    changes, problem = find(text, CATALOG)
    assert changes == {}
    assert repr(text) in problem
    assert near in problem


@pytest.mark.parametrize("part", ["f5 ", "x", "conv1 ", "class ", "cat dog "])
def test_a_text_that_is_too_long_goes_nowhere_and_is_not_repeated(part):
    changes, problem = find(part * (200_000 // len(part)), CATALOG)
    assert changes == {}
    assert "500 are taken at most" in problem
    assert len(problem) < 100
    _, problem = find(part * (LONGEST // len(part)), CATALOG)
    assert len(problem) < 2 * LONGEST
