"""Figures from arrays: where tiles lie, what colours span, what hover says."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import plotly.graph_objects as go
import pytest
from helpers.drawing import checked, values_of
from numpy.testing import assert_array_equal

import dashboard.figures
from dashboard.figures import box
from dashboard.figures.calibration import calibration_figure
from dashboard.figures.confusion import Cells, confusion_figure
from dashboard.figures.feature_map import empty_figure, feature_map_figure, figure_template
from dashboard.figures.heatmap import heatmap_figure
from dashboard.figures.histogram import (
    Spread,
    distribution_figure,
    histogram_figure,
    key,
    shares,
)
from dashboard.figures.kernel import kernel_figure
from dashboard.figures.probability import probability_figure
from dashboard.figures.removal import removal_figure
from dashboard.figures.theme import DARK, LIGHT, Figure, color_scale, span_of, theme_for, typed
from dashboard.figures.two_groups import GroupValues, groups_figure
from fmcore.statistics import Curve, Probabilities, calibration

# What makes a figure is named so.
BARE = box.Box(left=0, right=0, top=0, bottom=0)
_MADE = re.compile(r"^def (\w+_figure)\(", re.MULTILINE)


def maps_of(n: int = 5) -> np.ndarray:
    maps = np.random.default_rng(1).random((4, 3, n)).astype(np.float32)
    maps[:, :, 1] = 0
    return maps


def test_values_below_zero_get_colours_that_diverge_about_zero():
    assert color_scale(-1.0, 3.0)["zmin"] == -3.0
    assert color_scale(0.0, 3.0)["zmin"] == 0.0
    assert color_scale(0.0, 0.0)["zmax"] > 0.0


def test_a_picture_fills_its_box_with_square_cells():
    style = box.MAP.fixed((26, 13), longest=260)
    assert style == {
        "width": f"{130 + box.MAP.left + box.MAP.right}px",
        "height": f"{260 + box.MAP.top + box.MAP.bottom}px",
    }


def test_cells_without_a_color_of_the_scale_are_marked_over_the_map():
    values = maps_of()[:, :, 0]
    assert "images" not in feature_map_figure(values, span=(0.0, 1.0), theme=DARK)["layout"]
    values[0] = [np.nan, np.inf, np.inf]
    values[3, 2] = 7
    figure = checked(feature_map_figure(values, span=(0.0, 1.0), theme=DARK))
    (image,) = figure.layout.images
    assert (image.x, image.y, image.sizex, image.sizey) == (-0.5, -0.5, 3, 4)
    svg = ElementTree.fromstring(unquote(image.source.partition(",")[2]))
    paths = {path.get("fill"): path.get("d") for path in svg.findall("{*}path")}
    assert paths == {
        "url(#above)": "M2 3h1v1h-1z",
        "url(#highest)": "M1 0h2v1h-2z",
        "url(#missing)": "M0 0h1v1h-1z",
    }


def test_an_enlarged_map_is_the_map():
    values = maps_of()[:, :, 0]
    figure = checked(feature_map_figure(values, span=(0.0, 2.0), theme=DARK))
    assert_array_equal(values_of(figure.data[0].z), values)
    assert figure.data[0].zmax == 2.0
    axis = figure.layout.yaxis
    assert (axis.autorange, axis.minallowed, axis.maxallowed) == ("reversed", -0.5, 3.5)


def test_long_pictures_are_four_to_one_and_never_a_line():
    wide = BARE.fixed((4, 400), longest=400)
    assert wide == {"width": "400px", "height": "100px"}
    assert BARE.fixed((400, 4), longest=400)["width"] == "100px"
    assert BARE.fixed((1, 400), longest=160)["height"] == "60px"


def test_a_map_of_one_row_is_a_line_and_one_of_one_value_a_bar():
    row = np.linspace(-1, 2, 7, dtype=np.float32)[None]
    line = checked(feature_map_figure(row, span=(0.0, 1.0), theme=DARK))
    assert_array_equal(values_of(line.data[0].y), row[0])
    assert line.layout.yaxis.range[0] < -1
    assert line.layout.yaxis.range[1] > 2
    assert (line.layout.xaxis.minallowed, line.layout.xaxis.maxallowed) == (-0.5, 6.5)
    bar = checked(feature_map_figure(row[:, :1], span=(-2.0, 1.0), theme=DARK))
    assert_array_equal(values_of(bar.data[0].x), row[0, :1])
    template = figure_template((1, 7), theme=DARK, signed=True)["data"][0]
    assert template["type"] == "scatter"
    assert "y" not in template
    assert figure_template((1, 1), theme=DARK, signed=True)["data"][0]["type"] == "bar"


@pytest.mark.parametrize("signed", [False, True])
def test_a_template_lacks_of_an_enlarged_map_its_values_alone(signed):
    values = maps_of()[:, :, 0]
    figure = feature_map_figure(values, span=(-1.0, 2.0), theme=DARK, signed=signed)
    template = figure_template(values.shape, theme=DARK, signed=signed)
    trace = figure["data"][0]
    own = {name: trace[name] for name in ("z", "zmin", "zmax")}
    if not signed:
        own["colorscale"] = trace["colorscale"]  # of a span that begins below zero
    assert template["layout"] == figure["layout"]
    assert template["data"][0] | own == trace


def test_the_true_class_is_always_among_the_bars():
    probability = np.linspace(1, 0, 30).astype(np.float32)
    names = [f"class {index}" for index in range(30)]
    figure = probability_figure(probability, class_names=names, label=29, theme=LIGHT)
    bars = checked(figure).data[0]
    assert len(bars.y) == 11
    assert bars.marker.color[0] == LIGHT.bad, "the wrong prediction"
    assert (bars.customdata[-1], bars.marker.color[-1]) == ("class 29", LIGHT.good)


def class_heatmap(values, **changes):
    rows, columns = values.shape
    options = {
        "rows": [f"class {index}" for index in range(rows)],
        "columns": list(map(str, range(columns))),
        "axes": ("class", "filter"),
        "span": span_of([values]),
        "title": "Mean",
        "hover": "class %{y}",
        "theme": LIGHT,
    }
    return checked(heatmap_figure(values, **options | changes))


def test_the_class_heatmap_leaves_empty_classes_empty():
    values = np.array([[1.0, 2.0], [np.nan, np.nan]])
    figure = class_heatmap(values, rows=["a", "b"], framed=(1, 0))
    heatmap = figure.data[0]
    assert (heatmap.zmin, heatmap.zmax) == (1.0, 2.0)
    assert np.isnan(values_of(heatmap.z)[1]).all()
    assert figure.layout.yaxis.labelalias == {"0": "a", "1": "b"}
    assert (figure.layout.shapes[0].x0, figure.layout.shapes[0].y0) == (-0.5, 0.5)


def test_what_is_within_chance_is_gray_and_the_hover_is_of_the_value_below():
    values = np.arange(12.0).reshape(3, 4)
    chance = np.stack([values - 1, values + 1])
    heatmap, gray = class_heatmap(values, chance=chance, within=values == 6).data
    assert_array_equal(values_of(heatmap.customdata)[1, 2], chance[:, 1, 2])
    assert "by chance" in heatmap.hovertemplate
    assert np.argwhere(np.isfinite(values_of(gray.z))).tolist() == [[1, 2]]
    assert gray.hoverinfo == "skip"


def test_a_distribution_says_zeros_in_words_and_draws_the_rest():
    bounds = np.array([[-0.5, 0, 0.5, 1.0], [-0.25, 0, 1.0, 2.0]], "f4")
    own, others = np.array([0, 6, 1, 3]), np.array([2, 5, 3, 0])
    spreads = [Spread("class <b>", own, "selected"), Spread("all", others, "others")]
    figure = checked(distribution_figure(spreads, bounds, span=(-0.5, 2.0), theme=LIGHT))
    assert figure.data[0].name == "class &lt;b&gt;"
    assert key(spreads, bounds, LIGHT) == [
        ("class <b>: 60.0% exactly zero", f"3px solid {LIGHT.accent}"),
        ("all: 50.0% exactly zero", f"1px dotted {LIGHT.text}"),
    ]
    assert [np.nansum(values_of(line.y)) for line in figure.data] == pytest.approx([0.4, 0.5])
    above = values_of(figure.data[0].x) > 1.0
    assert np.nansum(values_of(figure.data[0].y)[above]) == pytest.approx(0.3, abs=0.01)
    assert {line.line.dash for line in figure.data} == {None, "dot"}, "not by colour alone"


def test_no_axis_and_no_color_bar_has_letters_for_powers_of_ten():
    values = np.array([[2e-11, 3e-12]], "f4")
    heatmap = class_heatmap(values)
    assert heatmap.layout.xaxis.exponentformat == heatmap.layout.yaxis.exponentformat == "e"
    for figure in (heatmap, checked(kernel_figure(values[..., np.newaxis], theme=LIGHT))):
        assert figure.data[0].colorbar.exponentformat == "e"
    counts, bounds = np.array([[1, 3]]), np.array([[1e-12, 2e-12], [2e-12, 3e-12]], "f4")
    lines = [Spread("a", counts[0], "selected")]
    drawn = distribution_figure(lines, bounds, span=(1e-12, 3e-12), theme=LIGHT)
    assert drawn["layout"]["xaxis"]["exponentformat"] == "e"
    checked(drawn)


def test_a_constant_of_any_size_has_a_distribution():
    for value in (0.0, 1e-12, 3.0, 1e20):
        parts = shares(
            np.array([[4]]), np.full((2, 1), value, "f4"), span=(float(np.float32(value)),) * 2
        )
        assert (np.diff(parts.edges) > 0).all()
        assert parts.bins.sum() + parts.zeros.sum() == pytest.approx(1)


def test_names_are_shown_as_they_are():
    names = ["<b>a</b>", "a", "a"]
    probability = np.array([0.5, 0.3, 0.2], "f4")
    bars = checked(probability_figure(probability, class_names=names, label=1, theme=LIGHT))
    assert bars.layout.yaxis.ticktext == ("&lt;b&gt;a&lt;/b&gt;", "a", "a")
    assert len(set(bars.data[0].y)) == 3
    heatmap = class_heatmap(np.ones((3, 2)), rows=names)
    assert heatmap.layout.yaxis.labelalias["0"] == "&lt;b&gt;a&lt;/b&gt;"


def test_a_figure_that_cannot_be_drawn_says_why():
    figure = checked(empty_figure("no maps", theme=LIGHT))
    assert figure.layout.annotations[0].text == "no maps"


def test_only_the_theme_knows_colours():
    assert theme_for("dark") is DARK
    assert theme_for("light") is theme_for(None) is LIGHT


def drawn(rng: np.random.Generator) -> dict[str, Figure]:
    """A figure of each function of the package, with all that it may hold."""
    counts, bounds = rng.integers(1, 9, (3, 4)), np.array([[-1, 0, 1, 2], [-0.5, 0, 2, 3]], "f4")
    roles = ("selected", "against", "others")
    spreads = [Spread(role, one, role) for role, one in zip(roles, counts, strict=True)]
    parts = shares(counts, bounds, span=(-1.0, 3.0))
    names = ("a", "b", "all")
    certain = calibration(Probabilities(*rng.random((3, 40))), rng.random(40) < 0.5)
    cells = Cells(counts[:, :3], *rng.random((2, 3, 3)))
    groups = [GroupValues(name, rng.normal(size=9)) for name in "AB"]
    orders = ("cost", "l1", "random 0", "random 1")
    ranks = np.stack([rng.permutation(3) for _ in orders]).astype(np.int32)
    curve = Curve(orders, ranks, np.arange(4), rng.random((4, 4)), np.arange(9))
    return {
        "calibration_figure": calibration_figure(certain, theme=DARK),
        "confusion_figure": confusion_figure(cells, share="label", names=names, theme=LIGHT),
        "distribution_figure": distribution_figure(spreads, bounds, span=(-1.0, 3.0), theme=DARK),
        "empty_figure": empty_figure("none", theme=LIGHT),
        "feature_map_figure": feature_map_figure(
            rng.normal(size=(3, 4)).astype("f4"), span=(-1, 1), theme=LIGHT, signed=True
        ),
        "groups_figure": groups_figure(groups, (-3.0, 3.0), title="mean", theme=DARK),
        "heatmap_figure": heatmap_figure(
            np.where(rng.random((4, 3)) < 0.2, np.nan, rng.normal(size=(4, 3))),
            rows=list("abcd"),
            columns=["x", "", "z"],
            axes=("class", "filter"),
            span=(-1.0, 1.0),
            neutral=0.0,
            title="B − A",
            hover="%{y} %{x}",
            chance=rng.random((2, 4, 3)),
            within=rng.random((4, 3)) < 0.5,
            framed=(None, 2),
            numbered=True,
            margin={"l": 60, "r": 10, "t": 10, "b": 40},
            theme=DARK,
        ),
        "histogram_figure": histogram_figure(parts, names=names, front=1, is_log=True, theme=LIGHT),
        "kernel_figure": kernel_figure(rng.normal(size=(3, 3, 5)).astype("f4"), theme=DARK),
        "probability_figure": probability_figure(
            rng.random(12).astype("f4"), class_names=list("abcdefghijkl"), label=2, theme=DARK
        ),
        "removal_figure": removal_figure(
            curve, {"cost": "least costly first"}, title="accuracy", is_share=True, theme=LIGHT
        ),
    }


def test_plotly_finds_nothing_wrong_in_any_figure():
    figures = drawn(np.random.default_rng(2))
    modules = Path(dashboard.figures.__file__).parent.glob("*.py")
    written = {name for one in modules for name in _MADE.findall(one.read_text(encoding="utf-8"))}
    assert set(figures) == written - {"base_figure"}, "each function that makes a figure"
    for figure in figures.values():
        checked(figure)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(-3, 3),
        np.arange(300).reshape(2, 150),
        np.array([1 << 20, -5]),
        np.array([1 << 40, 0]),
        np.array([0.5, np.nan, np.inf], "f4"),
        np.arange(6.0).reshape(3, 2).T,
        np.arange(6, dtype="u1").reshape(1, 2, 3),
        np.array([True, False]),
        np.array(["a", "<b>"]),
        np.array([0.5], "f2"),
        np.zeros((0, 4), "f4"),
        np.array([0.5], ">f4"),
    ],
    ids=lambda one: f"{one.dtype} {one.shape}",
)
def test_an_array_travels_as_plotly_would_send_it(values):
    sent = go.Figure(go.Scatter(customdata=values)).to_dict()["data"][0].get("customdata", [])
    assert typed(values) == (sent.tolist() if isinstance(sent, np.ndarray) else sent)
