"""The selected filter: how it tells the groups apart, and how its values are spread over both."""

from __future__ import annotations

import numpy as np

from dashboard.components.graph import NO_GRAPH, NOTHING, graph
from dashboard.components.nodes import Node, dcc, html
from dashboard.figures.theme import Theme
from dashboard.figures.two_groups import GroupValues, border_of, groups_figure, span_of_groups
from dashboard.pages.contrast.subject import Groups, query
from dashboard.pages.page import Panel
from dashboard.pages.state import State
from dashboard.stores.snapshot import Snapshot
from fmcore.numbers import fraction_text, number_text
from fmcore.statistics.contrast.record import TABLES

HEIGHT = "260px"
# What each of `POOLED` is, on the axis.
AXES = {
    "mean": "mean of the map",
    "max": "largest value of the map",
    "zeros": "share of the map that is exactly zero",
}
# Pages that have more of a filter.
PAGES = {"maps": "Feature maps", "filter": "Filter", "classes": "Classes"}


def values_of(groups: Groups, state: State) -> list[GroupValues]:
    """The number of each sample of both groups."""
    table = groups.snapshot.layer(state.layer).pooled(TABLES[state.pooled])
    column = np.asarray(table[:, state.filter_index])
    return [
        GroupValues(side.letter, column[samples])
        for side, samples in zip(groups.sides, groups.samples, strict=True)
    ]


def draw(
    groups: Groups, state: State, theme: Theme
) -> tuple[list[Node] | str, object, dict[str, str], list[Node] | str]:
    """Heading and links, the figure with its style, and what each line is."""
    if groups.contrast is None:
        return "", NOTHING, NO_GRAPH, ""
    values = values_of(groups, state)
    span = span_of_groups(values)
    heading = _heading(groups, state)
    if span is None:
        words = "Every sample of both groups has the same value."
        if not any(group.finite.size for group in values):
            words = "No sample of either group has a finite value."
        return heading, NOTHING, NO_GRAPH, words
    figure = groups_figure(values, span, title=AXES[state.pooled], theme=theme)
    key = [
        html.Span(_words(group), style={"--line": border_of(at, theme)})
        for at, group in enumerate(values)
    ]
    return heading, figure, {"height": HEIGHT}, key


def _heading(groups: Groups, state: State) -> list[Node]:
    links: list[Node] = [
        dcc.Link(title, href=f"{page}{query(groups, state, state.layer, state.filter_index)}")
        for page, title in PAGES.items()
    ]
    return [
        html.H2(f"Filter {state.filter_index} of {state.layer}", className="contrast-title"),
        html.P(sentence(groups, state)),
        html.Div(links, className="contrast-links"),
    ]


def sentence(groups: Groups, state: State) -> str:
    """What its AUC says, beside chance."""
    contrast = groups.contrast
    assert contrast is not None  # noqa: S101 (the caller asked)
    row = groups.row(state.layer, state.filter_index)
    auc, q = float(contrast.auc[row]), float(contrast.q[row])
    if why := contrast.reason(row):
        return f"It tells nothing: {why}."
    n_scored = int(np.isfinite(contrast.auc).sum())
    place = int(np.flatnonzero(contrast.order() == row)[0]) + 1
    higher, lower = ("A", "B") if auc >= 0.5 else ("B", "A")
    share = fraction_text(max(auc, 1 - auc), decimals=3)
    low, high = contrast.chance[:, row].tolist()
    band = f"{fraction_text(low, decimals=3)} to {fraction_text(high, decimals=3)}"
    what = AXES[state.pooled]
    return (
        f"The {what} is larger in a sample of {higher} than in one of {lower} with probability "
        f"{share}: AUC {fraction_text(auc, decimals=3)}, by chance {band}; q "
        f"{number_text(q, digits=2)}. Place {place:,} of {n_scored:,}."
    )


def _words(group: GroupValues) -> str:
    finite = group.finite
    n = f"{len(finite):,} sample{'' if len(finite) == 1 else 's'}"
    left_out = len(group.values) - len(finite)
    rest = f", {left_out:,} not finite" if left_out else ""
    if not len(finite):
        return f"{group.name}: {n}{rest}"
    mean = number_text(finite.mean(), digits=4)
    return f"{group.name}: {n}, mean {mean}{rest}"


def _body(_: Snapshot, __: State) -> list[Node]:
    return [
        html.Div(id="contrast-distribution-heading", className="contrast-heading"),
        graph("contrast-distribution", "How both groups are spread", height=HEIGHT),
        html.Div(id="contrast-distribution-note", className="contrast-key"),
    ]


PANEL = Panel(
    "distribution",
    draw,
    needs=("focus", "layer", "filter_index"),
    fills=(
        ("-heading", "children"),
        ("", "figure"),
        ("", "style"),
        ("-note", "children"),
    ),
    body=_body,
    themed=True,
)
