"""Mean maps of a filter for two classes, in the same colours, and their difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.components.graph import NONE, Drawn
from dashboard.figures import box
from dashboard.figures.feature_map import empty_figure, feature_map_figure
from dashboard.figures.span import about_zero, span_of
from dashboard.figures.theme import Figure, Theme, plain
from dashboard.pages.classes.cell import compared
from dashboard.pages.state import State
from dashboard.stores.source import Snapshot

LONGEST = 170  # pixels of a map: three fit beside each other in a window of 1280


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
        """The smallest and largest value of both, so that one colour means one value."""
        return span_of((self.selected, self.against))


def mean_maps(snapshot: Snapshot, shown: State) -> MeanMaps:
    """Mean maps of the selected class and of the one it is compared with."""

    def one(index: int | None) -> NDArray[np.float32] | None:
        if index is None or not snapshot.class_sizes[index]:
            return None
        return snapshot.layer(shown.layer).mean_map(index, shown.filter_index)

    return MeanMaps(one(_row(snapshot, shown)), one(compared(shown)))


def _row(snapshot: Snapshot, shown: State) -> int | None:
    """The row of the selected class; where there are no classes, that of all samples."""
    return shown.class_index if snapshot.catalog.has_classes else 0


def map_figures(
    snapshot: Snapshot, shown: State, found: MeanMaps, *, theme: Theme
) -> tuple[Drawn, Drawn, Drawn]:
    """The mean map of the selected class, of the other one, and the difference."""
    selected, against = _row(snapshot, shown), compared(shown)
    names, has_classes = snapshot.catalog.class_names, snapshot.catalog.has_classes

    def of_class(values: NDArray[np.float32] | None, index: int) -> Drawn:
        title = f"class {plain(names[index])}" if has_classes else "all samples"
        if values is not None:
            return _drawn(values, found.span, title, "mean activation", theme)
        figure = empty_figure(_missing(snapshot, shown.layer, index), theme=theme)
        return _titled(figure, title), box.MAP.fixed((1, 2), longest=LONGEST)

    if selected is None:
        return NONE, NONE, NONE
    first = of_class(found.selected, selected)
    if against is None:
        return first, NONE, NONE
    second = of_class(found.against, against)
    if found.difference is None:
        return first, second, NONE
    title = f"{plain(names[selected])} minus {plain(names[against])}"
    span = about_zero(found.difference)
    return first, second, _drawn(found.difference, span, title, "difference", theme)


def maps_note(snapshot: Snapshot, shown: State, found: MeanMaps) -> str:
    """What is to be known of the mean maps, or done to see them."""
    if _row(snapshot, shown) is None:
        return "Click a cell, or choose a class, to see its mean map."
    said = []
    kept = str(snapshot.layer(shown.layer).attributes["class_maps"])
    if found.selected is not None and kept != "full":
        height, width = found.selected.shape
        said.append(f"Mean maps have {height}×{width} cells: {kept}.")
    if not snapshot.catalog.has_classes:
        return " ".join(said)
    if shown.against == shown.class_index:
        said.append("A class has no difference to itself: compare with another one.")
    elif shown.against is None:
        said.append("Choose a class under “Compare with” for its mean map and the difference.")
    return " ".join(said)


def _missing(snapshot: Snapshot, layer: str, class_index: int) -> str:
    """Why a class has no mean map."""
    if not snapshot.class_sizes[class_index]:
        return "This class has no samples"
    kept = snapshot.layer(layer).attributes["class_maps"]
    return f"This store keeps no mean maps<br>({plain(str(kept))})"


def _drawn(
    values: NDArray[np.float32],
    span: tuple[float, float],
    title: str,
    bar: str,
    theme: Theme,
) -> Drawn:
    figure = feature_map_figure(values, span=span, theme=theme, title=bar)
    height, width = values.shape
    return _titled(figure, title), box.MAP.fixed((height, width), longest=LONGEST)


def _titled(figure: Figure, words: str) -> Figure:
    title = {"text": words, "font": {"size": 13}, "x": 0.02, "y": 0.98}
    return figure | {"layout": figure["layout"] | {"title": title}}
