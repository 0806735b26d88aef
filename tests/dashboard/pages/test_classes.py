"""The pure parts of Classes, against numpy and scipy and what the store holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.drawing import checked, values_of
from helpers.factories import make_store
from helpers.odd import ordinary_values
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import pdist, squareform

from dashboard.chance import verdict, verdicts, within_chance
from dashboard.components.table import records
from dashboard.figures.theme import DARK, LIGHT
from dashboard.pages.classes import cell, distribution, filters, heatmap, mean_maps
from dashboard.pages.classes.heatmap import arranged, by_similarity, by_value, chance_words
from dashboard.pages.state import ARRANGEMENTS, state_for
from dashboard.stores.findings import health_words
from dashboard.stores.source import Source
from fmcore.statistics import CLASS_FILTER, HEALTH_RULES, STATISTICS, LayerHealth

LAYER = "block/conv 1"


@pytest.fixture(scope="module")
def snapshot(store_path):
    return Source(store_path).snapshot()


@pytest.fixture(scope="module")
def basic(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("basic") / "basic.h5"
    return make_store(path, statistics="basic", policy="*=pooled")


tables = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(
        np.float64, shape, elements=st.one_of(st.just(np.nan), st.just(np.inf), st.floats(-5, 5))
    )
)


@given(tables, st.sampled_from(list(ARRANGEMENTS)), st.booleans())
def test_every_order_shows_every_class_and_filter_once(values, how, selects):
    order = arranged(values, how, class_index=0 if selects else None, class_name="a")
    assert sorted(order.classes) == list(range(values.shape[0]))
    assert sorted(order.filters) == list(range(values.shape[1]))
    assert order.words.endswith(".")


def test_by_value_the_largest_comes_first_ties_by_index_and_nothing_last():
    assert by_value(np.array([1.0, np.nan, 3.0, 1.0, -2.0])).tolist() == [2, 0, 3, 4, 1]
    values = np.array([[0.0, 5.0, 1.0], [9.0, np.nan, 2.0]])
    assert arranged(values, "value", class_index=None).filters.tolist() == [0, 1, 2]
    chosen = arranged(values, "value", class_index=0, class_name="seven")
    assert chosen.filters.tolist() == [1, 2, 0]
    assert "class seven" in chosen.words


def test_by_similarity_neighbours_are_alike_and_rows_without_values_come_last():
    rng = np.random.default_rng(3)
    kinds = rng.normal(scale=20, size=(4, 6))
    kind = rng.permutation(np.repeat(np.arange(4), 8))
    values = kinds[kind] + rng.normal(size=(32, 6))
    values[0, 1] = np.nan
    order = by_similarity(np.vstack([values, np.full((2, 6), np.nan)]))
    assert order[-2:].tolist() == [32, 33]
    assert np.count_nonzero(np.diff(kind[order[:-2]])) == 3, "each kind stands together"
    whole = values.copy()
    whole[0, 1] = np.nanmean(values[:, 1])
    distance = squareform(pdist(whole))

    def walk(indices):
        return distance[indices[:-1], indices[1:]].sum()

    assert walk(order[:-2]) < walk(np.arange(32)) / 2


def test_within_chance_is_what_the_band_spans(store):
    values, chance = store.layers[LAYER].statistic("auc_mean"), store.layers[LAYER].chance("auc")
    within = within_chance(values, chance, two_sided=True)
    for row, column in np.ndindex(values.shape):
        low, high = chance[:, row, column]
        assert within[row, column] == (low <= values[row, column] <= high)
    said = verdicts(values, chance, two_sided=True)
    assert_array_equal(said == "within chance", within)
    assert_array_equal(said == "", np.isnan(values))
    band = np.array([[0.4] * 4, [0.6] * 4])
    said = verdicts(np.array([0.1, 0.5, 0.9, np.nan]), band, two_sided=True).tolist()
    assert said == ["below chance", "within chance", "above chance", ""]
    assert not within_chance(values, None, two_sided=True).any()
    words = chance_words(values, within, "some")
    n_known = np.isfinite(values).sum()
    assert words.startswith(f"{within.sum()} of {n_known} cells are within chance (95%).")
    assert f"{values.size - n_known} of {values.size} cells have no value" in words


@given(*[st.floats(-2, 2, width=16) | st.just(np.nan)] * 3)
def test_a_small_value_is_a_finding_only_where_the_statistic_says_so(value, low, high):
    known = not np.isnan([value, low, high]).any()
    words = {side: verdict(value, low, high, two_sided=side) for side in (True, False)}
    above = value > high
    assert words[False] == ("" if not known else "above chance" if above else "within chance")
    below = known and value < low and not above
    assert words[True] == ("below chance" if below else words[False])


def test_the_heatmap_names_what_is_where_in_any_order_for_the_browser_to_find(snapshot, store):
    layer, names = store.layers[LAYER], snapshot.catalog.class_names
    values, chance = layer.statistic("auc_mean"), layer.chance("auc_mean")
    for arrangement in ARRANGEMENTS:
        state = shown_by(snapshot, arrangement=arrangement)
        drawing = heatmap.draw(snapshot, state, LIGHT, order_class="1")[0]
        figure, cells = checked(drawing["figure"]), np.ix_(drawing["classes"], drawing["filters"])
        assert_array_equal(values_of(figure.data[0].z), values[cells])
        by_chance = values_of(figure.data[0].customdata)
        assert_array_equal(by_chance[..., 0], chance[0][cells].astype("f4"))
        columns = list(figure.layout.xaxis.labelalias.values())
        assert columns == list(map(str, drawing["filters"]))
        assert figure.layout.yaxis.labelalias["0"] == names[drawing["classes"][0]]
        within = (chance[0] <= values) & (values <= chance[1])
        assert_array_equal(np.isfinite(values_of(figure.data[1].z)), within[cells])


def test_the_heatmap_has_other_axes_where_its_order_or_its_colors_change(snapshot):
    def axes(theme=LIGHT, order_class=None, **changes):
        state = shown_by(snapshot, **changes)
        return heatmap.draw(snapshot, state, theme, order_class=order_class)[0]["axes"]

    assert axes() == axes(statistic="mean") == axes(class_index=0)
    assert len({axes(), axes(DARK), axes(layer="conv2"), axes(arrangement="cluster")}) == 4
    by_value = {"arrangement": "value"}
    assert axes(**by_value) != axes(**by_value, statistic="mean")
    assert axes(**by_value, order_class="0") != axes(**by_value, order_class="1")


def shown_by(snapshot, **changes):
    options = {"layer": LAYER, "statistic": "auc_mean", "class_index": 1, "filter_index": 2}
    return state_for(snapshot.catalog, **options | changes)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_rows_of_the_table_are_the_numbers_of_the_store(snapshot, store, pooling):
    state = shown_by(snapshot, statistic=f"auc_{pooling}")
    columns = filters.columns(snapshot, state)
    rows, layer = records(columns), store.layers[LAYER]
    assert [row["filter"] for row in rows] == list(range(20))
    assert len({row["id"] for row in rows}) == 20
    for name in ("auc", "ap", "dprime"):
        values = np.array([row[f"{name}_{pooling}"] for row in rows], float)
        assert_array_equal(values, layer.statistic(name, pooling=pooling)[1])
    for name in (f"eta2_{pooling}", f"mi_{pooling}", f"csi_{pooling}", "apoz"):
        values = np.array([row[name] for row in rows], float)
        assert_array_equal(values, layer.statistic(name))
    auc, names = layer.statistic("auc", pooling=pooling), store.class_names
    for row, values in zip(rows, auc.T, strict=True):
        if np.isnan(values).all():
            assert (row["best_class"], row["best_auc"]) == ("", None)
        else:
            assert row["best_class"] == names[np.nanargmax(values)]
            assert row["best_auc"] == np.nanmax(values)
    assert [row["health"].split()[0] for row in rows if row["filter"] in (0, 7)] == [
        "dead",
        "duplicate",
    ]


def test_the_table_of_another_statistic_has_it_too(snapshot, store):
    columns = filters.columns(snapshot, shown_by(snapshot, statistic="max", class_index=0))
    assert [column.header for column in columns][2] == "Maximum for zero"
    assert_array_equal(columns[2].values, store.layers[LAYER].statistic("max")[0])
    no_class = filters.columns(snapshot, shown_by(snapshot, class_index=None))
    assert [column.field for column in no_class][:3] == ["filter", "health", "best_class"]


def test_cells_are_text_and_numbers_and_a_csv_gets_them_whole(snapshot):
    for column in filters.columns(snapshot, shown_by(snapshot)):
        definition = column.definition
        assert definition["useValueFormatterForExport"] is False
        assert "cellRenderer" not in definition
        assert definition["cellDataType"] == ("text" if column.is_text else "number")


def test_what_is_wrong_with_a_filter_is_said_in_words():
    findings = {name: np.zeros(12, bool) for name in HEALTH_RULES}
    findings["dead"][2:12] = True
    findings["dead_for_class"][0] = findings["duplicate"][0] = findings["always_on"][0] = True
    dead_classes = np.zeros((4, 12), bool)
    dead_classes[:2, 0] = True
    duplicate = np.full(12, -1)
    duplicate[0] = 7
    health = LayerHealth(findings, dead_classes, duplicate, ordinary_values(12))
    words = health_words(health, "abcd")
    assert words[0] == "dead for 2 classes, always on, duplicate of 7"
    assert words[1:3] == ["ok", "dead"]
    summary = filters.health_summary(health)
    assert "10 dead (filters 2, 3, 4, 5, 6, 7, 8, 9 and 2 more)" in summary
    assert "1 dead for a class (filter 0)" in summary


def test_the_table_has_every_score_once_in_the_order_of_the_registry(snapshot):
    columns = filters.columns(snapshot, shown_by(snapshot, statistic="auc_max"))
    fields = [column.field for column in columns if column.field in STATISTICS]
    scores = [statistic for statistic in STATISTICS.values() if statistic.pooling == "max"]
    of_class = [score.name for score in scores if score.axes == CLASS_FILTER]
    of_filter = [
        score.name for score in scores if score.axes == ("filter",) and score.family != "f"
    ]
    assert fields == [*of_class, *of_filter, "apoz"]
    headers = {column.field: column.header for column in columns}
    assert (headers["mi_max"], headers["apoz"]) == ("MI", "APoZ")
    assert headers["dprime_max"] == "d′ for one"


def test_the_strongest_filter_is_that_of_the_largest_auc(snapshot, store):
    auc = store.layers[LAYER].statistic("auc_max")
    name, index, value = filters.strongest(snapshot, shown_by(snapshot, statistic="ap_max"))
    assert (name, index, value) == ("auc_max", np.nanargmax(auc[1]), np.nanmax(auc[1]))
    low, high = store.layers[LAYER].chance("auc_max")[:, 1, index]
    verdict = "above" if value > high else "below" if value < low else "within"
    words = filters.strongest_words(snapshot, shown_by(snapshot, statistic="ap_max"))
    assert words.endswith(f"filter {index} (ROC-AUC of pooled max {value:.3f}, {verdict} chance)")
    assert filters.strongest(snapshot, shown_by(snapshot, class_index=None)) is None
    assert filters.strongest(snapshot, shown_by(snapshot, class_index=3)) is None


def test_distributions_are_the_histograms_of_the_file(snapshot, store):
    stored, bounds = store.layers[LAYER].histogram()
    counts = stored[...]
    filled = counts.any(axis=(0, 1))
    for against, expected in (
        (None, [counts[1, 2], counts[:, 2].sum(axis=0) - counts[1, 2]]),
        (0, [counts[1, 2], counts[0, 2], counts[:, 2].sum(axis=0)]),
        (1, [counts[1, 2], counts[:, 2].sum(axis=0) - counts[1, 2]]),  # with itself: no other
    ):
        drawing = distribution.spreads(snapshot, shown_by(snapshot, against=against))
        assert_array_equal([line.counts for line in drawing.lines], np.array(expected)[:, filled])
        assert_array_equal(drawing.bounds, bounds[:, filled])
    values = store.layers[LAYER].activation[:, :, :, 2]
    assert drawing.span == (values.min(), values.max())
    every = distribution.spreads(snapshot, shown_by(snapshot, class_index=None))
    assert every.lines[0].counts.sum() == values.size
    none = distribution.spreads(snapshot, shown_by(snapshot, class_index=3))
    assert none.missing == "No distribution: no samples"
    dead = distribution.spreads(snapshot, shown_by(snapshot, filter_index=0))
    assert dead.missing == "Every finite activation is exactly zero"


def test_the_difference_is_of_the_mean_maps_in_the_same_colours(snapshot, store):
    layer = store.layers[LAYER]
    maps = mean_maps.mean_maps(snapshot, shown_by(snapshot, against=0))
    one, other = layer.mean_map(1, 2), layer.mean_map(0, 2)
    assert_array_equal(maps.difference, one - other)
    assert_allclose(maps.span, (min(one.min(), other.min()), max(one.max(), other.max())))
    state = shown_by(snapshot, against=0)
    first, second, third = (
        checked(figure).data[0]
        for figure, _ in mean_maps.map_figures(snapshot, state, maps, theme=LIGHT)
    )
    assert (first.zmin, first.zmax) == (second.zmin, second.zmax)
    assert third.zmin == -third.zmax == -np.abs(one - other).max()
    empty = mean_maps.mean_maps(snapshot, shown_by(snapshot, against=3))
    assert empty.difference is None
    assert empty.span == (one.min(), one.max())


def test_the_numbers_of_a_cell_are_those_of_the_file(snapshot, store):
    head, body = cell.numbers(snapshot, shown_by(snapshot, against=0))
    assert head == [
        "Statistic", "Class one", "By chance (95%)", "Verdict", "Class zero",
        "Smallest class", "Largest class",
    ]  # fmt: skip
    rows = {row[0]: row[1:] for row in body}
    assert len(rows) == len(snapshot.catalog.statistics)
    mean = store.layers[LAYER].statistic("mean")[:, 2]
    assert float(rows["Mean"][0]) == pytest.approx(mean[1], rel=1e-5)
    assert float(rows["Mean"][3]) == pytest.approx(mean[0], rel=1e-5)
    assert float(rows["Mean"][5]) == pytest.approx(np.nanmax(mean), rel=1e-5)
    assert {len(row) for row in body} == {len(head)}
    assert rows["ROC-AUC of pooled mean"][2] in ("below chance", "within chance", "above chance")


def test_top_samples_are_those_of_the_class(snapshot, store):
    values = store.layers[LAYER].pooled("max")[:, 2]
    of_class = np.flatnonzero(store.labels == 1)
    best = of_class[np.argsort(-values[of_class], kind="stable")][:8]
    strongest = cell.top_samples(snapshot, shown_by(snapshot), most=8)
    assert [sample for sample, _ in strongest] == best.tolist()
    assert cell.top_samples(snapshot, shown_by(snapshot, class_index=3), most=8) == []
    links = str(cell.top_strip(snapshot, shown_by(snapshot), "?layer=block%2Fconv+1&class=1"))
    assert f"[{best[0]}," in links
    assert "maps?layer=block%2Fconv+1&sample=" in links
    assert "href='/" not in links, "behind a prefix only relative links lead anywhere"


def test_a_basic_store_says_what_it_lacks_and_what_to_do(basic):
    snapshot = Source(basic).snapshot()
    state = state_for(snapshot.catalog, layer=LAYER, class_index=0, filter_index=2)
    columns = filters.columns(snapshot, state)
    assert [column.field for column in columns] == ["filter", "health", "mean", "apoz"]
    assert "fmcore stats basic.h5 --recompute" in filters.scores_missing(snapshot, state)
    assert "--statistics basic" in str(cell.top_strip(snapshot, state, ""))
    assert filters.strongest(snapshot, state)[0] == "mean"
    with pytest.raises(KeyError, match="histograms are off"):
        distribution.spreads(snapshot, state)


def test_names_that_are_formulas_are_text_in_a_csv():
    from fmcore.export import no_formula

    assert no_formula("=1+1") == "'=1+1"
    assert no_formula("seven") == "seven"
