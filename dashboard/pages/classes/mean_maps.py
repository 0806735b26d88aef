"""Mean maps of a filter for two classes, in the same colors, and their difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output
from numpy.typing import NDArray

from dashboard.components.graph import NONE, Drawn, graph
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.figures import box
from dashboard.figures.feature_map import LONGEST, empty_figure, small_map
from dashboard.figures.theme import Figure, Theme, about_zero, plain, span_of
from dashboard.pages.classes.distribution import compared
from dashboard.pages.page import Panel
from dashboard.pages.state import State
from dashboard.stores.snapshot import Snapshot

MAPS = ("selected", "against", "difference")


@dataclass(frozen=True, slots=True, eq=False)
class MeanMaps:
    """Mean maps of a filter; None where there is none.

    Attributes:
        selected: <float32>[y, x], of the selected class.
        against: <float32>[y, x], of the class it is compared with.
    """

    selected: NDArray[np.float32] | None
    against: NDArray[np.float32] | None

    @property
    def difference(self) -> NDArray[np.float32] | None:
        """Selected minus the other, <float32>[y, x]."""
        if self.selected is None or self.against is None:
            return None
        return self.selected - self.against

    @property
    def span(self) -> tuple[float, float]:
        """The smallest and largest value of both, so that one color means one value."""
        return span_of((self.selected, self.against))


def mean_maps(snapshot: Snapshot, state: State) -> MeanMaps:
    """Mean maps of the selected class and of the one it is compared with."""

    def of_class(index: int | None) -> NDArray[np.float32] | None:
        if index is None or not snapshot.class_sizes[index]:
            return None
        return snapshot.layer(state.layer).mean_map(index, state.filter_index)

    return MeanMaps(of_class(_row(snapshot, state)), of_class(compared(state)))


def _row(snapshot: Snapshot, state: State) -> int | None:
    """The row of the selected class; where there are no classes, that of all samples."""
    return state.class_index if snapshot.catalog.has_classes else 0


def map_figures(
    snapshot: Snapshot, state: State, maps: MeanMaps, *, theme: Theme
) -> tuple[Drawn, Drawn, Drawn]:
    """The mean map of the selected class, of the other one, and the difference."""
    selected, against = _row(snapshot, state), compared(state)
    names, has_classes = snapshot.catalog.class_names, snapshot.catalog.has_classes

    def of_class(values: NDArray[np.float32] | None, index: int) -> Drawn:
        title = f"class {plain(names[index])}" if has_classes else "all samples"
        if values is not None and np.isfinite(values).any():
            return _drawing(values, maps.span, title, "mean activation", theme)
        figure = empty_figure(_missing(snapshot, state, index), theme=theme)
        return _titled(figure, title), box.MAP.fixed((1, 2), longest=LONGEST)

    if selected is None:
        return NONE, NONE, NONE
    first = of_class(maps.selected, selected)
    if against is None:
        return first, NONE, NONE
    second = of_class(maps.against, against)
    if maps.difference is None:
        return first, second, NONE
    title = f"{plain(names[selected])} minus {plain(names[against])}"
    span = about_zero(maps.difference)
    return first, second, _drawing(maps.difference, span, title, "difference", theme)


def note(snapshot: Snapshot, state: State, maps: MeanMaps) -> str:
    """What is to be known of the mean maps, or done to see them."""
    if _row(snapshot, state) is None:
        return "Click a cell, or choose a class, to see its mean map."
    sentences = []
    policy = str(snapshot.layer(state.layer).attributes["class_maps"])
    if maps.selected is not None and policy != "full":
        height, width = maps.selected.shape
        sentences.append(f"Mean maps have {height}×{width} cells: {policy}.")
    if not snapshot.catalog.has_classes:
        return " ".join(sentences)
    if state.against == state.class_index:
        sentences.append("A class has no difference to itself: compare with another one.")
    elif state.against is None:
        sentences.append("Choose a class under “Compare with” for its mean map and the difference.")
    return " ".join(sentences)


def _missing(snapshot: Snapshot, state: State, class_index: int) -> str:
    """Why a class has no mean map."""
    why = snapshot.values(state.layer).why_none(state.filter_index, class_index)
    if why:
        return f"No mean map: {why}"
    policy = snapshot.layer(state.layer).attributes["class_maps"]
    return f"This store keeps no mean maps<br>({plain(str(policy))})"


def _drawing(
    values: NDArray[np.float32], span: tuple[float, float], title: str, bar: str, theme: Theme
) -> Drawn:
    figure, style = small_map(values, span=span, theme=theme, title=bar)
    return _titled(figure, title), style


def _titled(figure: Figure, words: str) -> Figure:
    title = {"text": words, "font": {"size": 13}, "x": 0.02, "y": 0.98}
    return figure | {"layout": figure["layout"] | {"title": title}}


def draw(snapshot: Snapshot, state: State, theme: Theme) -> tuple[tuple[Drawn, ...], str]:
    """Figure and style of each map, for the browser to share out, and a sentence."""
    maps = mean_maps(snapshot, state)
    return map_figures(snapshot, state, maps, theme=theme), note(snapshot, state, maps)


def register(app: Dash) -> None:
    """Shares out the maps in the browser: to name six properties in a request is half of it."""
    graphs = [f"classes-mean-maps-{which}" for which in MAPS]
    app.clientside_callback(
        ClientsideFunction("panels", "drawings"),
        [Output(graph_id, prop) for graph_id in graphs for prop in ("figure", "style")],
        Input("classes-mean-maps-drawings", "data"),
        prevent_initial_call=True,
    )


def body() -> list[Node]:
    """What the panel fills, within that of the cell."""
    graphs = [graph(f"classes-mean-maps-{which}", f"Mean map: {which}") for which in MAPS]
    return [
        dcc.Store(id="classes-mean-maps-drawings"),
        html.Div(graphs, className="classes-maps"),
        dmc.Text(id="classes-mean-maps-note", size="sm", c="dimmed"),
    ]


PANEL = Panel(
    "mean-maps",
    draw,
    needs=("layer", "filter_index", "class_index", "against"),
    fills=(("-drawings", "data"), ("-note", "children")),
    themed=True,
)
