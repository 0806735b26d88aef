"""How the activations of a filter are spread, for a class beside another and beside all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.components.graph import graph
from dashboard.components.nodes import Node, html
from dashboard.figures.feature_map import empty_figure
from dashboard.figures.histogram import Spread, distribution_figure, key
from dashboard.figures.theme import Theme
from dashboard.pages.page import GRAPH, Panel
from dashboard.pages.state import State
from dashboard.stores.snapshot import Snapshot
from fmcore.storage import StoredArray

HEIGHT = "270px"
# Of a graph that only says why there is none.
LOW = "110px"
NOTE = (
    "Shares of all finite values, pixel by pixel, in columns of equal width, on a logarithmic "
    "axis; exact zeros are left out of the lines."
)


@dataclass(frozen=True, slots=True, eq=False)
class Spreads:
    """How the activations of a filter are spread.

    Attributes:
        lines: whose; the selected class first.
        bounds: <float32>[bound, bin], the bins that hold anything.
        span: the smallest and largest activation of the filter over the whole test set.
        why_none: why what is selected has no finite value; empty where it has some.
    """

    lines: list[Spread]
    bounds: NDArray[np.float32]
    span: tuple[float, float]
    why_none: str

    @property
    def missing(self) -> str:
        """Why there is no distribution to draw; empty where there is one."""
        if self.why_none:
            return f"No distribution: {self.why_none}"
        is_zero = self.span == (0.0, 0.0)
        return "Every finite activation is exactly zero" if is_zero else ""


def compared(state: State) -> int | None:
    """The class that the selected one is compared with; None without one, or with itself."""
    has_other = state.class_index is not None and state.against != state.class_index
    return state.against if has_other else None


def spreads(snapshot: Snapshot, state: State) -> Spreads:
    """The distributions to be drawn.

    Raises:
        StatisticNotFoundError: if the store has no histograms, with the reason.
    """
    column, against = state.filter_index, compared(state)
    stored, bounds = snapshot.layer(state.layer).histogram()
    filled, totals = snapshot.derived(("histogram", state.layer), lambda: _totals(stored))
    total = totals[column]

    def of_class(index: int, role: str) -> Spread:
        counts = stored[index, column][filled]
        return Spread(f"class {snapshot.catalog.class_names[index]}", counts, role)

    if state.class_index is None:
        name = "all classes" if snapshot.catalog.has_classes else "all samples"
        lines = [Spread(name, total, "selected")]
    else:
        own = of_class(state.class_index, "selected")
        if against is None:
            lines = [own, Spread("all other classes", total - own.counts, "others")]
        else:
            all_classes = Spread("all classes", total, "others")
            lines = [own, of_class(against, "against"), all_classes]
    values = snapshot.values(state.layer)
    filled_lines = [line for line in lines if line.counts.any()]
    return Spreads(
        filled_lines,
        bounds[...][:, filled],
        (float(values.low[column]), float(values.high[column])),
        values.why_none(column, state.class_index),
    )


def _totals(stored: StoredArray) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """The bins that hold anything, <int>[bin], and all classes together, <int64>[filter, bin].

    Kept, a click reads the chunks of the classes that are compared, and not those of all.
    """
    total = stored[0]
    for index in range(1, stored.shape[0]):  # one after the other: of all at once 60 MB would be
        total += stored[index]
    filled = np.flatnonzero(total.any(axis=0))
    return filled, np.ascontiguousarray(total[:, filled])


def draw(
    snapshot: Snapshot, state: State, theme: Theme
) -> tuple[object, dict[str, str], list[Node] | str]:
    """The lines, and what each of them is."""
    spread = spreads(snapshot, state)
    if spread.missing:
        return empty_figure(spread.missing, theme=theme), {"height": LOW}, ""
    figure = distribution_figure(spread.lines, spread.bounds, span=spread.span, theme=theme)
    lines = key(spread.lines, spread.bounds, theme)
    entries = [html.Span(name, style={"--line": border}) for name, border in lines]
    return figure, {"height": HEIGHT}, entries


def body() -> list[Node]:
    """What the panel fills, within that of the cell."""
    return [
        graph("classes-distribution", "How often the filter has each activation", height=HEIGHT),
        html.Div(id="classes-distribution-note", className="classes-key"),
        html.Div(NOTE, className="classes-note"),
    ]


PANEL = Panel(
    "distribution",
    draw,
    needs=("layer", "filter_index", "class_index", "against"),
    fills=GRAPH,
    themed=True,
)
