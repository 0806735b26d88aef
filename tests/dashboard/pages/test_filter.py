"""The pure parts of the Filter page, against numpy on the stored arrays."""

from __future__ import annotations

import dataclasses
import io
import json
import shlex
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
import pytest
from helpers.drawing import checked, values_of
from helpers.factories import CLASS_NAMES, NumpyProbe, make_plan, make_samples, make_store
from helpers.odd import ordinary_values
from helpers.servers import running
from numpy.testing import assert_allclose, assert_array_equal

from dashboard.app import create_app
from dashboard.components.thumbnails import crop
from dashboard.figures.histogram import N_BINS, histogram_figure, shares
from dashboard.figures.kernel import kernel_cells, kernel_figure, kernel_tiles
from dashboard.figures.theme import LIGHT
from dashboard.pages.classes.filters import health_summary
from dashboard.pages.feature_maps.facts import wall_facts
from dashboard.pages.filter import distribution, downloads, header, samples, scores, similar
from dashboard.pages.state import state_for
from dashboard.stores.findings import health_words
from dashboard.stores.source import Source
from fmcore.capture import CaptureOptions, capture, plan_capture
from fmcore.dataset import LabelledImages, Preprocessing
from fmcore.errors import StatisticNotFoundError
from fmcore.records import ModelInfo
from fmcore.statistics import BANDS, HEALTH_RULES, POOLINGS, STATISTICS, Bins, LayerHealth

FIRST, SECOND = "block/conv 1", "conv2"


@pytest.fixture(scope="module")
def snapshot(store_path):
    return Source(store_path).snapshot()


@pytest.fixture(scope="module")
def basic(tmp_path_factory):
    path = make_store(tmp_path_factory.mktemp("basic") / "basic.h5", statistics="basic")
    return Source(path).snapshot()


@pytest.fixture(scope="module")
def without_maps(tmp_path_factory):
    path = make_store(tmp_path_factory.mktemp("pooled") / "pooled.h5", policy="*=pooled")
    return Source(path).snapshot()


def said(component) -> str:
    """All text of components."""
    if isinstance(component, str):
        return component
    if isinstance(component, list):
        return " ".join(map(said, component))
    inner = component["props"].get("children") if isinstance(component, dict) else None
    return "" if inner is None else said(inner)


@pytest.mark.parametrize("which", ["snapshot", "basic"])
def test_the_strongest_samples_are_numpys_order_of_the_pooled_maximum(which, request):
    snapshot = request.getfixturevalue(which)
    for layer, filter_index in ((FIRST, 7), (SECOND, 2)):
        maps = snapshot.layer(layer).activation[..., filter_index]
        largest = maps.max(axis=(1, 2))
        row = samples.responses(snapshot, layer, filter_index)[0]
        expected = np.argsort(-largest, kind="stable")[:25]
        assert_array_equal([response.sample for response in row], expected)
        for response in row:
            assert (
                np.float32(response.value)
                == largest[response.sample]
                == maps[response.sample, response.y, response.x]
            )


def test_the_strongest_of_a_class_are_of_the_class_and_an_empty_class_has_none(snapshot):
    largest = snapshot.layer(FIRST).pooled("max")[:, 7]
    rows = samples.responses(snapshot, FIRST, 7, "class", range(4))
    for index, row in enumerate(rows):
        members = np.flatnonzero(snapshot.labels == index)
        expected = members[np.argsort(-largest[members], kind="stable")][:25]
        assert_array_equal([response.sample for response in row], expected)
    assert rows[3] == []
    assert samples.responses(snapshot, FIRST, 7, "class", range(2, 3)) == rows[2:3]


def test_bands_are_those_of_the_store(snapshot):
    rows = samples.responses(snapshot, FIRST, 7, "band", range(3))
    stored = snapshot.layer(FIRST).top("band_sample")[:, 7]
    assert_array_equal([[response.sample for response in row] for row in rows], stored)
    assert len(BANDS) == 3


def test_findings_say_what_is_wrong_in_words():
    names = tuple(HEALTH_RULES)
    filters = np.zeros((len(names), 5), bool)
    present = ("dead", "nearly_dead", "dead_for_class", "duplicate", "nonfinite")
    filters[[names.index(name) for name in present], range(5)] = True
    dead_classes = np.zeros((6, 5), bool)
    dead_classes[:5, 2] = True
    health = LayerHealth(
        dict(zip(names, filters, strict=True)),
        dead_classes,
        np.array([-1, -1, -1, 1, -1]),
        ordinary_values(5),
    )
    findings = [header.findings(health, index, "abcdef") for index in range(5)]
    texts = [[finding.text for finding in several] for several in findings]
    assert texts[:2] == [["dead"], ["nearly dead"]]
    assert texts[2] == ["dead for classes a, b, c and 2 more"]
    assert texts[3:] == [["duplicate of filter 1"], ["non-finite: 0 of 5 values NaN or infinite"]]
    assert findings[3][0].other == 1


@pytest.mark.parametrize("name", HEALTH_RULES)
def test_every_rule_is_on_the_page_in_its_own_words(name):
    rule, none = HEALTH_RULES[name], dict.fromkeys(HEALTH_RULES, np.zeros(2, bool))
    findings = none | {name: np.array([False, True])}
    health = LayerHealth(findings, np.ones((1, 2), bool), np.array([-1, 0]), ordinary_values(2))
    sound, ill = (header.findings(health, index, "a") for index in range(2))
    assert [finding.text for finding in sound] == ["nothing found"]
    assert f" {rule.words}" in sound[0].meaning
    assert [(finding.meaning, finding.grave) for finding in ill] == [
        (rule.definition, rule.is_grave)
    ]
    words = rule.words.removesuffix("a class")
    assert ill[0].text.startswith(words)
    assert health_words(health, "a")[0] == "ok"
    assert health_words(health, "a")[1].startswith(words)
    assert f"1 {rule.words} (filter 1)" in health_summary(health)


def test_a_sound_filter_and_a_dead_one(snapshot):
    health = snapshot.health(SECOND)
    assert header.findings(health, 1, CLASS_NAMES)[0].text == "dead"
    for layer in (FIRST, SECOND):
        health = snapshot.health(layer)
        for index in range(snapshot.layer(layer).n_filters):
            texts = [finding.text for finding in header.findings(health, index, CLASS_NAMES)]
            sound = not any(flags[index] for flags in health.findings.values())
            assert (texts == ["nothing found"]) == sound


def test_similar_filters_are_ordered_by_the_size_of_their_correlation(snapshot):
    partners = snapshot.layer(FIRST).similar(7)
    means = snapshot.layer(FIRST).pooled("mean")[...]
    alive = [index for index in np.flatnonzero(means.std(axis=0)) if index != 7]
    assert sorted(index for index, _ in partners) == alive
    expected = [np.corrcoef(means[:, 7], means[:, index])[0, 1] for index, _ in partners]
    assert_allclose([r for _, r in partners], expected, atol=1e-5)
    sizes = [abs(r) for _, r in partners]
    assert sizes == sorted(sizes, reverse=True)


def test_a_filter_that_never_varies_is_similar_to_none(snapshot):
    assert snapshot.layer(SECOND).similar(1) == []
    state = state_for(snapshot.catalog, layer=SECOND, filter_index=1)
    assert said(similar.draw(snapshot, state, LIGHT)).startswith("None: ")


def test_shares_are_those_of_numpys_histogram_within_a_stored_bin():
    rng = np.random.default_rng(0)
    values = np.where(rng.random(20_000) < 0.3, 0, rng.gamma(2, 0.5, 20_000)).astype(np.float32)
    bounds = Bins(4, (0, 255), (0, 255)).bounds
    counts = np.array([[((values >= low) & (values <= high)).sum() for low, high in bounds.T]])
    span = (float(values.min()), float(values.max()))
    parts = shares(counts, bounds, span=span)
    assert parts.zeros[0] == (values == 0).mean()
    assert parts.bins[0].sum() + parts.zeros[0] == pytest.approx(1)
    expected = np.histogram(values[values != 0], bins=parts.edges)[0] / len(values)
    # A stored bin is at most 1/16 octave wide, so a share moves by no more than lies that near.
    assert_allclose(parts.bins[0], expected, atol=0.02)
    assert_allclose(np.cumsum(parts.bins[0]), np.cumsum(expected), atol=0.01)


@pytest.mark.parametrize("span", [(-2.0, -1.0), (0.0, 0.0), (3.0, 3.0), (-1e-30, 5e8)])
def test_shares_of_any_span_add_up_to_all(span):
    bounds = Bins(2, (0, 255), (0, 255)).bounds
    counts = np.zeros((2, bounds.shape[1]), np.int64)
    inside = (bounds[1] >= np.float32(span[0])) & (bounds[0] <= np.float32(span[1]))
    counts[0, inside] = 3
    parts = shares(counts, bounds, span=span)
    assert parts.bins.shape == (2, N_BINS)
    assert parts.bins[0].sum() + parts.zeros[0] == pytest.approx(1)
    assert np.isnan(parts.zeros[1]), "a class without activations has no shares"


def test_the_distribution_puts_the_selected_class_in_front_and_says_which_there_are(snapshot):
    drawing = distribution.distribution(snapshot, FIRST, 7, 1)
    assert drawing.names == ["class zero", "class one", "class zwei ②", "all classes"]
    assert drawing.front == 1
    assert "3 of 4 classes; 1 without samples" in drawing.note
    values = snapshot.layer(FIRST).activation[..., 7]
    assert_allclose(
        drawing.shares.zeros[[1, 3]],
        [(values[snapshot.labels == 1] == 0).mean(), (values == 0).mean()],
    )
    empty = distribution.distribution(snapshot, FIRST, 7, 3)
    assert empty.front == 3
    assert "Class <b>three</b> has no samples" in empty.note
    assert distribution.distribution(snapshot, SECOND, 1, None) is None, "all of it is exactly zero"


def test_of_many_classes_the_strongest_are_drawn_and_the_selected(monkeypatch, snapshot):
    monkeypatch.setattr(distribution, "MOST_LINES", 2)
    means = snapshot.statistic(FIRST, "mean")[:3, 7]
    weakest = int(means.argmin())
    drawing = distribution.distribution(snapshot, FIRST, 7, weakest)
    best = int(means.argmax())
    expected = [f"class {CLASS_NAMES[index]}" for index in sorted((best, weakest))]
    assert drawing.names == [*expected, "all classes"]
    assert (
        "2 of 4 classes: those with the largest mean activation, and the selected" in drawing.note
    )


def test_a_histogram_draws_every_line_in_few_traces_and_reads_no_markup(snapshot):
    drawing = distribution.distribution(snapshot, FIRST, 7, 0)
    for is_log in (True, False):
        names = ["<b>a", *drawing.names[1:]]
        figure = checked(
            histogram_figure(drawing.shares, names=names, front=0, is_log=is_log, theme=LIGHT)
        )
        assert len(figure.data) == 4
        assert figure.layout.yaxis2.type == ("log" if is_log else "linear")
        assert "&lt;b&gt;a" in figure.data[2].name
        drawn = values_of(figure.data[0].y).reshape(2, N_BINS + 1)[:, :N_BINS]
        assert_allclose(np.nan_to_num(drawn), drawing.shares.bins[1:3])


def test_kernel_tiles_hold_every_weight_once():
    weights = np.arange(3 * 2 * 7, dtype=np.float32).reshape(3, 2, 7)
    values, places = kernel_tiles(weights)
    assert values.shape == kernel_cells(weights.shape)[:2]
    has_weight = np.isfinite(values)
    assert has_weight.sum() == weights.size
    plane, y, x = places[has_weight].T
    assert_array_equal(values[has_weight], weights[y, x, plane])
    trace = checked(kernel_figure(weights - 10, theme=LIGHT)).data[0]
    assert (trace.zmin, trace.zmax) == (-31, 31)


@pytest.mark.parametrize("planes", [("R", "G", "B"), ("B", "G", "R")])
def test_kernels_of_color_images_name_their_planes_in_one_column(planes):
    weights = np.arange(3 * 2 * 3, dtype=np.float32).reshape(3, 2, 3)
    assert kernel_cells(weights.shape, planes) == (11, 2, 1)
    figure = checked(kernel_figure(weights, theme=LIGHT, planes=planes))
    trace, axis = figure.data[0], figure.layout.yaxis
    values, text = values_of(trace.z), np.array(trace.text)
    for plane, name in enumerate(planes):
        has_weight = (text == name) & np.isfinite(values)
        assert sorted(values[has_weight]) == sorted(weights[..., plane].flat)
        assert has_weight[round(axis.tickvals[plane])].all()
    assert axis.ticktext == planes
    assert "input %{text}" in trace.hovertemplate
    plain = checked(kernel_figure(weights, theme=LIGHT))
    assert "input plane %{customdata[0]}" in plain.data[0].hovertemplate


def test_planes_are_named_only_of_a_layer_that_reads_color_images(snapshot, tmp_path):
    assert snapshot.planes(SECOND) == ()
    layers = [
        {"class_name": "InputLayer", "config": {"name": "image"}},
        {"class_name": "Conv2D", "config": {"name": "conv2"}},
    ]
    first, second = ({"config": {"layers": list(order)}} for order in (layers, layers[::-1]))

    def planes(architecture, channels=3, **preprocessing) -> tuple[str, ...]:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.h5"
        probe = NumpyProbe((9, 8, channels))
        images = np.random.default_rng(0).integers(0, 256, (20, 9, 8, channels), dtype=np.uint8)
        samples = LabelledImages(images, np.arange(20) % 3)
        plan = plan_capture(
            probe,
            samples,
            CaptureOptions(batch_size=10),
            class_names=CLASS_NAMES,
            model=ModelInfo("tiny", digest="3" * 64, architecture=json.dumps(architecture)),
            dataset_name="random",
            dataset_source="random images",
            preprocessing=Preprocessing(**preprocessing),
        )
        return Source(capture(probe, samples, path, plan)).snapshot().planes("conv2")

    assert planes(first) == ("R", "G", "B")
    assert planes(first, scale=255.0, reverse=True) == ("B", "G", "R")
    assert planes(second) == ()
    assert planes({"layers": []}) == ()
    assert planes(first, channels=1) == ()


def test_scores_are_the_stored_ones_beside_their_chance(snapshot):
    rows = scores.of_class(snapshot, FIRST, 5, 2)
    assert rows[0].class_index == 2
    assert rows[0].why.startswith("selected")
    layer = snapshot.layer(FIRST)
    larger = np.fmax(*(layer.statistic("auc", pooling=pooling)[:, 5] for pooling in POOLINGS))
    best = [index for index in np.argsort(-larger[:3], kind="stable") if index != 2]
    assert [row.class_index for row in rows[1:]] == best[: len(rows) - 1]
    for row in rows:
        assert row.n == (snapshot.labels == row.class_index).sum()
        for name, score in row.scores.items():
            assert score.value == layer.statistic(name)[row.class_index, 5]
            assert [score.low, score.high] == layer.chance(name)[:, row.class_index, 5].tolist()
    over_all = scores.of_filter(snapshot, FIRST, 5)
    assert over_all["eta2_max"].value == layer.statistic("eta2_max")[5]
    assert over_all["apoz"].verdict == "no chance level"
    of_classes = [
        statistic.name for statistic in STATISTICS.values() if statistic.axes[0] == "class"
    ]
    assert list(rows[0].scores) == [name for name in of_classes if STATISTICS[name].pooling]
    of_filters = [
        statistic.name for statistic in STATISTICS.values() if statistic.axes == ("filter",)
    ]
    assert over_all.keys() == set(of_filters)


def test_a_score_is_put_beside_chance_in_words():
    assert scores.Score(0.9, 0.4, 0.6).verdict == "above chance"
    assert scores.Score(0.1, 0.4, 0.6).verdict == "below chance"
    assert scores.Score(0.6, 0.4, 0.6).verdict == "within chance"
    assert scores.Score(float("nan"), 0.4, 0.6).verdict == "undefined"
    assert "above chance: 0.4 to 0.6" in said(scores.score_cell(scores.Score(0.9, 0.4, 0.6)))
    infinite = scores.Score(0.1, float("-inf"), float("inf"))
    assert "within chance: −∞ to ∞" in said(scores.score_cell(infinite))


def test_norms_of_weights_are_said_or_why_there_are_none(snapshot):
    over_all = scores.of_filter(snapshot, FIRST, 5)
    assert over_all["l1_norm"].verdict.startswith("it was captured without the weights")
    kernel = snapshot.layer("conv2").kernel[..., 2].astype(np.float64)
    of_second = scores.of_filter(snapshot, "conv2", 2)
    assert of_second["l1_norm"].value == pytest.approx(np.abs(kernel).sum(), rel=1e-12)
    assert of_second["l2_norm"].value == pytest.approx(np.linalg.norm(kernel), rel=1e-12)


def test_a_small_score_of_which_only_a_large_one_counts_is_within_chance(snapshot):
    for value, words in ((0.01, "within chance: up to 0.6"), (0.7, "above chance: up to 0.6")):
        one_sided = scores.Score(value, 0.4, 0.6, two_sided=False)
        assert words in said(scores.score_cell(one_sided))
    for name, score in scores.of_filter(snapshot, FIRST, 5).items():
        assert score.two_sided == (name in ("apoz", "l1_norm", "l2_norm"))
        assert score.verdict != "below chance"
    rows = scores.of_class(snapshot, FIRST, 5, 2)
    assert all(score.two_sided for row in rows for score in row.scores.values())


def test_a_dead_filter_has_no_scores_and_the_reason(snapshot):
    reasons = scores.undefined_reasons(snapshot, SECOND, 1)
    assert len(reasons) == 2
    assert all("dead: the same activation" in reason for reason in reasons)
    assert scores.of_class(snapshot, SECOND, 1, None) == []
    assert not scores.undefined_reasons(snapshot, FIRST, 7)


def test_raw_arrays_are_the_stored_values_and_as_large_as_is_said(snapshot, store_path):
    parts = downloads.parts(snapshot, FIRST, 6, 1, page="http://host/prefix/filter?x=1")
    words = ["strongest sample", "25 strongest", "class one", "All 37"]
    assert all(word in part.words for word, part in zip(words, parts, strict=True))
    maps = snapshot.layer(FIRST).activation[..., 6:7]
    largest = maps.max(axis=(1, 2, 3))
    order = np.argsort(-largest, kind="stable")
    chosen = [order[:1], np.sort(order[:25]), np.flatnonzero(snapshot.labels == 1), np.arange(37)]
    with running(create_app(Source(store_path))) as url, httpx.Client(base_url=url) as client:

        def got(url: str) -> bytes:
            answer = client.get(url)
            assert answer.status_code == 200, answer.text
            return answer.content

        for part, samples in zip(parts, chosen, strict=True):
            body = got(part.maps.url)
            assert_array_equal(np.load(io.BytesIO(body)), maps[samples])
            assert part.maps.size == f"{len(body) / 1e3:,.1f} kB"
            assert part.maps.shape == f"{len(samples)}×9×8×1"
            pooled = np.load(io.BytesIO(got(part.pooled["max"].url)))
            assert_array_equal(pooled[:, 0], largest[samples])
            lines = got(part.samples).decode().splitlines()
            assert len(lines) == len(samples) + 1
            curl = shlex.split(part.commands["curl"])
            assert curl[-1] == f"http://host/prefix/{part.maps.url}"
        single = np.load(io.BytesIO(got(downloads.map_url(snapshot, FIRST, 6, 11))))
        assert_array_equal(single, maps[11:12])


def test_the_command_line_exports_the_same(snapshot, store_path, tmp_path, monkeypatch):
    from fmcore.cli import main

    part = downloads.parts(snapshot, FIRST, 6, None, page="")[1]
    monkeypatch.chdir(tmp_path)
    (tmp_path / store_path.name).symlink_to(store_path)
    words = shlex.split(part.commands["Command line, beside the store"])
    assert words[0] == "fmcore"
    assert main(words[1:]) == 0
    (file,) = tmp_path.glob("*/layers/*/activation.npy")
    order = np.argsort(-snapshot.layer(FIRST).pooled("max")[:, 6], kind="stable")[:25]
    expected = snapshot.layer(FIRST).activation[np.sort(order), :, :, 6:7]
    assert_array_equal(np.load(file), expected)


def test_without_maps_there_are_pooled_values_and_the_reason(without_maps):
    parts = downloads.parts(without_maps, SECOND, 2, None, page="")
    assert all(part.maps is None for part in parts)
    assert "/pooled?" in parts[0].pooled["max"].url
    assert "--what=pooled" in parts[0].commands["Command line, beside the store"]
    state = state_for(without_maps.catalog, layer=SECOND, filter_index=2)
    text = said(downloads.draw(without_maps, state, LIGHT, page=""))
    assert "keeps no maps of conv2: it was captured with the policy pooled." in text
    assert "Download" not in said(header.draw(without_maps, state, LIGHT))


def test_a_basic_store_says_what_it_lacks_and_shows_the_rest(basic):
    state = state_for(basic.catalog, layer=FIRST, filter_index=2, class_index=1)
    assert "without scores" in str(_error(scores.of_class, basic, FIRST, 2, None))
    with pytest.raises(StatisticNotFoundError):
        distribution.distribution(basic, FIRST, 2, None)
    strongest = said(samples.draw_strongest(basic, state, LIGHT))
    assert "Strongest over all samples 25 of 37 samples" in strongest
    assert "keeps no strongest samples of classes" in strongest
    for panel in (
        samples.draw_bands(basic, state, LIGHT),
        samples.draw_classes(basic, state, LIGHT, page=1),
    ):
        assert "basic.h5 keeps no strongest samples" in said(panel)
    assert "Activation" in said(header.draw(basic, state, LIGHT))


def _error(function, *arguments) -> StatisticNotFoundError:
    with pytest.raises(StatisticNotFoundError) as caught:
        function(*arguments)
    return caught.value


def test_thumbnails_lead_to_the_sample_and_box_what_the_unit_sees(snapshot):
    pictures = samples.Pictures(snapshot, FIRST, 7)
    row = samples.responses(snapshot, FIRST, 7)[0]
    about = json.loads(pictures.rows(row)["props"]["data-thumbnails"])
    assert [item[0] for item in about["items"]] == [response.sample for response in row]
    query = parse_qs(urlsplit(str(about["items"][0][0]).join(about["href"])).query)
    assert query == {"layer": [FIRST], "sample": [str(row[0].sample)], "filter": ["7"]}
    field = snapshot.layer(FIRST).receptive_field(row[0].y, row[0].x)
    if field is None:
        assert "unknown" in pictures.note
        assert pictures.box(row[0]) is None
    else:
        assert pictures.box(row[0]) == (None if field[0] < 0 else field)


def test_a_box_that_is_a_bound_is_called_one_on_every_page(tmp_path):
    plan = make_plan(12)
    fields = np.zeros((*plan.store.layers[0].spec.shape[:2], 4), np.int32)
    spec = dataclasses.replace(
        plan.store.layers[0].spec,
        receptive_field=fields,
        field_words="at most: look weighs places by what is in them",
    )
    seen = dataclasses.replace(plan.store.layers[0], spec=spec)
    store = dataclasses.replace(plan.store, layers=[seen, plan.store.layers[1]])
    plan = dataclasses.replace(plan, store=store)
    path = capture(NumpyProbe(), make_samples(12), tmp_path / "bound.h5", plan)
    snapshot = Source(path).snapshot()
    words = "A unit of this layer sees at most its box: look weighs places by what is in them."
    pictures = samples.Pictures(snapshot, FIRST, 7)
    assert pictures.note == words
    assert pictures.box(samples.responses(snapshot, FIRST, 7)[0][0]) == (0, 0, 0, 0)
    state = state_for(snapshot.catalog, layer=FIRST, filter_index=7)
    text = said(samples.draw_strongest(snapshot, state, LIGHT))
    assert words in text
    assert "the box is what that unit sees" not in text
    wall = wall_facts(snapshot, FIRST)
    assert (wall.field_note, wall.at_most) == (words, True)
    assert not wall_facts(snapshot, SECOND).at_most


def test_no_image_excites_a_dead_filter(snapshot):
    state = state_for(snapshot.catalog, layer=SECOND, filter_index=1)
    assert "No image excites it: every activation is 0." in said(
        header.draw(snapshot, state, LIGHT)
    )
    text = said(samples.draw_strongest(snapshot, state, LIGHT))
    assert "All of these are equal: they are the first by index" in text
    assert "unknown: images have no box" in text


def test_a_class_without_samples_says_so(snapshot):
    state = state_for(snapshot.catalog, layer=FIRST, filter_index=7, class_index=3)
    text = said(samples.draw_strongest(snapshot, state, LIGHT))
    assert "Strongest of class <b>three</b> 0 of 0 samples" in text
    assert "This class has no samples in the test set." in text
    rows = said(samples.draw_classes(snapshot, state, LIGHT, page=1))
    assert "Classes 1 to 4 of 4" in rows


@pytest.mark.parametrize("box", [(0, 0, 2, 2), (5, 20, 12, 27), (0, 0, 27, 27), (10, 3, 10, 9)])
def test_a_cropped_picture_shows_all_of_the_box_and_nothing_outside_the_image(box):
    scale, _, rest = crop(box, (28, 28)).partition(" ")
    share = 1 / float(scale.removeprefix("scale(").removesuffix(")"))
    left, top = (
        -float(part.strip(" %")) / 100
        for part in rest.removeprefix("translate(").removesuffix(")").split(",")
    )
    for start, first, last in ((top, box[0], box[2]), (left, box[1], box[3])):
        assert -1e-4 <= start <= first / 28 + 1e-4
        assert (last + 1) / 28 - 1e-4 <= start + share <= 1 + 1e-4
