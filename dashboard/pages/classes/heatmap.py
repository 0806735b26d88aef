"""A statistic of every class and filter, in an order, with what of it is within chance.

The server draws it for a layer, a statistic and an order. Which cell is selected it is not told: a
click is turned into class and filter in the browser, and frames are drawn there; see
assets/panels.js.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output
from dash import State as DashState
from numpy.typing import NDArray

from dashboard.chance import within_chance
from dashboard.components.graph import graph
from dashboard.components.nodes import Node, dcc, html
from dashboard.figures.heatmap import ALL_NAMED, chance_color, heatmap_figure, heatmap_height
from dashboard.figures.theme import Theme, span_of
from dashboard.pages import ids
from dashboard.pages.page import Panel
from dashboard.pages.state import State, state_for
from dashboard.stores.measures import COST, COSTS, MEASURES, MOVED, within_noise
from dashboard.stores.snapshot import Snapshot
from fmcore.numbers import number_text
from fmcore.statistics import COST_LEVEL, Costs

# The best order of leaves takes 0.4 s for 1,000 rows, and grows with their square.
MOST_ORDERED = 2048
GRAPH, DRAWING = "classes-heatmap", "classes-heatmap-drawing"
# The class that columns are ordered by; empty where they are ordered by something else.
ORDER_CLASS = "classes-heatmap-order-class"


@dataclass(frozen=True, slots=True, eq=False)
class Arrangement:
    """An order of a heatmap.

    Attributes:
        classes: <int>[row], the class that each row shows.
        filters: <int>[column], the filter that each column shows.
        words: how they are ordered, a sentence.
    """

    classes: NDArray[np.intp]
    filters: NDArray[np.intp]
    words: str


def arranged(
    values: NDArray[np.generic], how: str, *, class_index: int | None, class_name: str = ""
) -> Arrangement:
    """The order of a statistic's heatmap.

    Args:
        values: [class, filter].
        how: one of `ARRANGEMENTS`.
        class_index: the selected class, or None.
        class_name: its name.
    """
    table = finite(values)
    classes, filters = (np.arange(size) for size in table.shape)
    alone = len(classes) == 1  # one row has no order
    what = "Filters" if alone else "Classes and filters"
    if how == "value":
        if class_index is None:
            over = "their value" if alone else "their largest value over classes"
            by, words = np.fmax.reduce(table), over
        else:
            by, words = table[class_index], f"their value for class {class_name}"
        order = by_value(by)
        rest = "" if alone else "; classes by index"
        return Arrangement(classes, order, f"Filters by {words}, largest first{rest}.")
    if how == "cluster":
        return Arrangement(
            by_similarity(table),
            by_similarity(table.T),
            f"{what} with similar values side by side (average linkage of Euclidean distances, "
            "optimal leaf order).",
        )
    return Arrangement(classes, filters, f"{what} by index.")


def by_value(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices of <float64>[n] from the largest value to the smallest; ties by index, NaN last."""
    return np.argsort(-values, kind="stable")  # numpy sorts NaN last


def by_similarity(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """The order of the rows of a table in which neighbors are alike, <int>[row].

    A missing value counts as the mean of its column; rows without any value come last, by index.

    Args:
        values: <float64>[row, column], NaN where there is none.
    """
    is_finite = np.isfinite(values)
    filled_rows = np.flatnonzero(is_finite.any(axis=1))
    rest = np.setdiff1d(np.arange(len(values)), filled_rows)
    if len(filled_rows) < 3:  # whatever the order, neighbors are the same
        return np.concatenate([filled_rows, rest])
    # Only here, because it takes 0.2 s and would make every start of the server wait.
    from scipy.cluster.hierarchy import leaves_list, linkage

    cells = np.ix_(filled_rows, is_finite.any(axis=0))
    table, is_finite = values[cells], is_finite[cells]
    means = np.where(is_finite, table, 0).sum(axis=0) / is_finite.sum(axis=0)
    table = np.where(is_finite, table, means)
    tree = linkage(table, method="average", optimal_ordering=len(table) <= MOST_ORDERED)
    return np.concatenate([filled_rows[leaves_list(tree)], rest])


def finite(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Values as <float64>, NaN where they are not finite."""
    wide = values.astype(np.float64)
    return np.where(np.isfinite(wide), wide, np.nan)


def chance_words(
    values: NDArray[np.generic],
    within: NDArray[np.bool_],
    level: str,
    reasons: Mapping[str, int] = MappingProxyType({}),
) -> str:
    """How many cells of a heatmap are gray, and how many have no value.

    Args:
        values: [class, filter].
        within: <bool>[class, filter].
        level: how the chance level is found; empty where there is none.
        reasons: how many cells have no value for each reason.
    """
    n_finite = int(np.isfinite(values.astype(np.float64)).sum())
    if not n_finite:
        return f"None of {values.size:,} cells has a value{_why(reasons)}."
    empty = values.size - n_finite
    missing = ""
    if empty:
        missing = f"{empty:,} of {values.size:,} cells have no value and stay empty{_why(reasons)}."
    if not level:
        whole = f"All {n_finite:,} cells have a value; this statistic has no chance level."
        return missing or whole
    inside = f"{int(within.sum()):,} of {n_finite:,} cells are within chance (95%)."
    return f"{inside} {missing}".strip()


def cost_hover(measured: Costs, name: str) -> tuple[str, NDArray[np.float64]]:
    """What the hover of a cost says, as Plotly's template, and its numbers, [fact, class, filter].

    Args:
        measured: the costs, by class.
        name: which cost.
    """
    if name == MOVED:
        return "<b>%{z:.4~g} %</b> of n = %{customdata[0]:,}", np.stack([measured.n])
    ends = (100 * measured.accuracy.low, 100 * measured.accuracy.high)
    counts = (measured.n_lost, measured.n_gained, measured.n)
    return (
        "<b>%{z:.4~g} points</b>, 95% interval %{customdata[0]:.3~g} to %{customdata[1]:.3~g}<br>"
        "%{customdata[3]:,} lost, %{customdata[4]:,} gained of n = %{customdata[5]:,}; "
        "q %{customdata[2]:.2~g}",
        np.stack([*ends, measured.q, *counts]),
    )


def cost_words(measured: Costs, name: str, reasons: Mapping[str, int]) -> str:
    """How many costs are apart from zero, and of how many samples they are.

    Args:
        measured: the costs, by class.
        name: which cost.
        reasons: how many cells have no value for each reason.
    """
    n = measured.n[:, 0]
    few, many = int(n.min()), int(n.max())
    of = f"{few:,}" if few == many else f"{few:,} to {many:,}"
    parts = [f"Each cell is of {of} samples."]
    if name == COST:
        within, n_finite = within_noise(measured, name), np.isfinite(measured.accuracy.value).sum()
        parts.append(
            f"{int(within.sum()):,} of {int(n_finite):,} costs are not apart from zero (exact "
            f"McNemar test, q of {COST_LEVEL:g} or more after Holm over all cells)."
        )
    if reasons:
        parts.append(f"{sum(reasons.values()):,} cells stay empty{_why(reasons)}.")
    return " ".join(parts)


def _why(reasons: Mapping[str, int]) -> str:
    if len(reasons) == 1:
        return f": {next(iter(reasons))}"
    return f": {', '.join(f'{words} ({n:,})' for words, n in reasons.items())}" * bool(reasons)


def order_of(snapshot: Snapshot, state: State) -> Arrangement:
    """The order of the heatmap; made once where it is clustered."""

    def make() -> Arrangement:
        index = state.class_index
        name = "" if index is None else snapshot.catalog.class_names[index]
        values = snapshot.statistic(state.layer, state.statistic)
        return arranged(values, state.arrangement, class_index=index, class_name=name)

    if state.arrangement != "cluster":
        return make()
    return snapshot.derived(("order", state.layer, state.statistic), make)


def draw(
    snapshot: Snapshot, state: State, theme: Theme, *, order_class: object
) -> tuple[dict[str, Any], dict[str, str], list[Node | str], str, str]:
    """The heatmap, its height, what of it is gray, how it is ordered, and what it shows in words.

    Args:
        snapshot: the store.
        state: what is shown; without a class, since the heatmap is not drawn again for each.
        theme: the colors.
        order_class: the class that columns are ordered by, as text; None for none.

    Returns:
        What the browser draws the heatmap and its frames from, with the keys `figure`, without
        frames; `axes`, which names what axes and colors of the page depend on; `classes`, that of
        each row, or None where there are none; `filters`, that of each column; `color`, of frames;
        `wide`, up to how many rows or columns cells are wide enough for a thick frame. And the
        style of the graph, the legend, a sentence, and words for people who do not see it.
    """
    fields = {name: getattr(state, name) for name in PANEL.needs}
    state = state_for(snapshot.catalog, **fields, class_index=order_class)
    order, about = order_of(snapshot, state), MEASURES[state.statistic]
    cells = np.ix_(order.classes, order.filters)
    values = snapshot.statistic(state.layer, state.statistic).astype(np.float64)[cells]
    chance = snapshot.chance(state.layer, state.statistic)
    if chance is not None:
        chance = chance[:, order.classes][:, :, order.filters]
    within = within_chance(values, chance, two_sided=about.two_sided)
    hover, facts = "<b>%{z:.9~g}</b>", None
    if state.statistic in COSTS:
        measured = snapshot.class_costs(state.layer)
        within = within_noise(measured, state.statistic)[cells]
        hover, facts = cost_hover(measured, state.statistic)
        facts = facts[:, order.classes][:, :, order.filters]
    has_classes, names = snapshot.catalog.has_classes, snapshot.catalog.row_names
    figure = heatmap_figure(
        values,
        rows=[names[index] for index in order.classes],
        columns=[str(index) for index in order.filters.tolist()],
        axes=("class" if has_classes else "", "filter"),
        span=span_of([values]),
        neutral=about.neutral,
        title=about.title,
        hover=f"{'class ' if has_classes else ''}%{{y}}, filter %{{x}}<br>{hover}",
        chance=chance,
        facts=facts,
        within=within,
        theme=theme,
    )
    drawing = {
        "figure": figure,
        "axes": f"{state.layer} {theme.accent} {_order_key(state)}",
        "classes": order.classes.tolist() if has_classes else None,
        "filters": order.filters.tolist(),
        "color": theme.accent,
        "wide": ALL_NAMED,
    }
    reasons: Mapping[str, int] = {}
    if not np.isfinite(values).all():
        reasons = snapshot.why_missing(state.layer, state.statistic).counts()
    words = chance_words(values, within, about.chance, reasons)
    if state.statistic in COSTS:
        words = cost_words(snapshot.class_costs(state.layer), state.statistic, reasons)
    legend: list[Node | str] = [words]
    if within.any():
        gray = {"backgroundColor": chance_color(span_of([values]), neutral=about.neutral)}
        legend = [html.Span(className="within-chance", style=gray), words]
    return drawing, {"height": _height(snapshot)}, legend, order.words, _words(snapshot, state)


def _words(snapshot: Snapshot, state: State) -> str:
    """What the heatmap shows, for people who do not see it."""
    table = finite(snapshot.statistic(state.layer, state.statistic))
    names = snapshot.catalog.class_names if snapshot.catalog.has_classes else ()

    def place_words(place: np.intp) -> str:
        row, column = np.unravel_index(place, table.shape)
        of_class = f"class {names[row]}, " if names else ""
        return f"{number_text(table[row, column], digits=3)} at {of_class}filter {column}"

    what = f"{MEASURES[state.statistic].title}, {state.layer}"
    if not np.isfinite(table).any():
        return f"{what}: no cell has a value"
    largest, smallest = map(place_words, (np.nanargmax(table), np.nanargmin(table)))
    return f"{what}: largest {largest}; smallest {smallest}"


def _order_key(state: State) -> str:
    """What the order of the heatmap depends on, beside the layer."""
    match state.arrangement:
        case "index":
            return "index"
        case "cluster":
            return f"cluster {state.statistic}"
        case _:
            return f"value {state.statistic} {state.class_index}"


def _height(snapshot: Snapshot) -> str:
    n_classes = len(snapshot.catalog.class_names)
    return heatmap_height(n_classes, row=26, smallest=250, largest=548)


def _body(snapshot: Snapshot, state: State) -> list[Node]:
    return [
        dcc.Store(id=DRAWING),
        dcc.Store(id=ORDER_CLASS, data=_order_class(state)),
        html.Div(
            [
                html.Span(html.Span(className="within-chance"), id=f"{GRAPH}-legend"),
                html.Span(id=f"{GRAPH}-order"),
                "Click a cell to open it; drag to zoom, double-click for all.",
            ],
            className="classes-words",
            role="status",
        ),
        html.Div(graph(GRAPH, "", height=_height(snapshot)), className="classes-heatmap"),
    ]


def _order_class(state: State) -> str | None:
    is_ordered = state.arrangement == "value" and state.class_index is not None
    return str(state.class_index) if is_ordered else None


def register(app: Dash) -> None:
    """Adds what selects and frames cells in the browser."""
    frames = (
        Input(ids.CLASSES_CLASS, "value"),
        Input(ids.CLASSES_FILTER, "value"),
        Input(ids.CLASSES_AGAINST, "value"),
    )
    app.clientside_callback(
        ClientsideFunction("panels", "framed"),
        Output(GRAPH, "figure"),
        Input(DRAWING, "data"),
        *frames,
        DashState(GRAPH, "figure"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("panels", "cell"),
        [
            Output(ids.CLASSES_CLASS, "value"),
            Output(ids.CLASSES_FILTER, "value", allow_duplicate=True),
        ],
        Input(GRAPH, "clickData"),
        DashState(DRAWING, "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("panels", "orderClass"),
        Output(ORDER_CLASS, "data"),
        Input(ids.CLASSES_ARRANGEMENT, "value"),
        Input(ids.CLASSES_CLASS, "value"),
        DashState(ORDER_CLASS, "data"),
        prevent_initial_call=True,
    )


PANEL = Panel(
    "heatmap",
    draw,
    needs=("layer", "statistic", "arrangement"),
    title=lambda catalog: "Every class and filter" if catalog.has_classes else "Every filter",
    fills=(
        ("-drawing", "data"),
        ("", "style"),
        ("-legend", "children"),
        ("-order", "children"),
        ("-words", "children"),
    ),
    body=_body,
    also={"order_class": Input(ORDER_CLASS, "data")},
    themed=True,
)
