"""How the activations of a filter are spread, a line for each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dashboard.components.controls import segments
from dashboard.components.graph import NO_GRAPH, NOTHING, graph
from dashboard.components.nodes import Node, dmc, html
from dashboard.figures.histogram import N_BINS, Shares, histogram_figure, shares
from dashboard.figures.theme import Theme
from dashboard.pages import ids
from dashboard.pages.page import GRAPH, Panel
from dashboard.pages.state import SCALES, State
from dashboard.stores.snapshot import Snapshot

# Lines beside that of all classes.
MOST_LINES = 12
HEIGHT = "320px"


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """What the histogram draws.

    Attributes:
        shares: of each line; the last is that of all classes.
        names: of the lines.
        front: the line in front.
        note: which classes there are, of how many.
    """

    shares: Shares
    names: list[str]
    front: int
    note: str


def distribution(
    snapshot: Snapshot, layer: str, filter_index: int, class_index: int | None
) -> Distribution | None:
    """The histogram of a filter by class; None where no activation is finite and not zero.

    `why_nothing` then says why.

    Raises:
        StatisticNotFoundError: if the store has no histograms, with the reason.
    """
    counts, bounds = snapshot.histogram(layer, filter_index)
    low, high = snapshot.filter_range(layer)[:, filter_index]
    if not np.isfinite([low, high]).all() or low == high == 0:
        return None
    classes = np.flatnonzero((snapshot.class_sizes > 0) & snapshot.catalog.has_classes)
    lines = classes
    if len(classes) > MOST_LINES:
        means = np.nan_to_num(snapshot.statistic(layer, "mean")[classes, filter_index], nan=-np.inf)
        lines = classes[np.argsort(-means, kind="stable")[:MOST_LINES]]
        if class_index is not None and class_index in classes and class_index not in lines:
            lines = np.append(lines[:-1], class_index)
        lines = np.sort(lines)
    together = "all classes" if snapshot.catalog.has_classes else "all samples"
    names = [*(f"class {snapshot.catalog.class_names[index]}" for index in lines), together]
    front = len(lines)
    if class_index in lines:
        front = int(np.flatnonzero(lines == class_index)[0])
    of_lines = np.concatenate([counts[lines], counts.sum(axis=0, keepdims=True)])
    parts = shares(of_lines, bounds, span=(float(low), float(high)))
    return Distribution(parts, names, front, _note(snapshot, len(lines), class_index))


def _note(snapshot: Snapshot, n_lines: int, class_index: int | None) -> str:
    sizes, names = snapshot.class_sizes, snapshot.catalog.class_names
    bins = (
        f"in each of {N_BINS} bins of equal width, made of the finer ones in the store; exact "
        "zeros are counted apart, on the left."
    )
    if not snapshot.catalog.has_classes:
        return f"Share of the activations of all samples {bins}"
    which = f"{n_lines:,} of {len(names):,} classes"
    if n_lines < (sizes > 0).sum():
        which += ": those with the largest mean activation" + (
            ", and the selected" if class_index is not None else ""
        )
    elif (n_empty := int((sizes == 0).sum())) > 0:
        which += f"; {n_empty:,} without samples"
    if class_index is not None and not sizes[class_index]:
        which += f". Class {names[class_index]} has no samples"
    return (
        f"A line a class, {which}. Share of the activations of the class {bins} Hover names a line."
    )


def why_nothing(snapshot: Snapshot, layer: str, filter_index: int) -> str:
    """Why there is no histogram: a filter's values are none, or all zero."""
    values = snapshot.values(layer)
    words = values.range_words(filter_index)
    if values.why_none(filter_index):
        return f"There is nothing to draw: {words}, in the whole test set."
    which = "finite activation" if values.n_nonfinite[:, filter_index].any() else "activation"
    return f"Every {which} of this filter is exactly zero, in the whole test set."


def draw(snapshot: Snapshot, state: State, theme: Theme) -> tuple[object, object, str]:
    """The histogram, and which lines it has."""
    spread = distribution(snapshot, state.layer, state.filter_index, state.class_index)
    if spread is None:
        return NOTHING, NO_GRAPH, why_nothing(snapshot, state.layer, state.filter_index)
    figure = histogram_figure(
        spread.shares,
        names=spread.names,
        front=spread.front,
        is_log=state.scale == "log",
        theme=theme,
    )
    return figure, {"height": HEIGHT}, spread.note


def _body(_: Snapshot, state: State) -> list[Node]:
    axis = segments(ids.FILTER_SCALE, caption="Vertical axis", options=SCALES, value=state.scale)
    return [
        html.Div(axis, className="controls"),
        graph("filter-histogram", "How often the filter has each activation", height=HEIGHT),
        dmc.Text(id="filter-histogram-note", size="sm", c="dimmed"),
    ]


PANEL = Panel(
    "histogram",
    draw,
    needs=("layer", "filter_index", "class_index", "scale"),
    title=lambda catalog: "Activations by class" if catalog.has_classes else "Activations",
    fills=GRAPH,
    body=_body,
    themed=True,
)
