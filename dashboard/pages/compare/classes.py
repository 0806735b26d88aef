"""A statistic of class and filter in A, in B in the order of the partners, and the difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.components.graph import NO_GRAPH, NONE, Drawn
from dashboard.figures.compare import heatmap_figure, heatmap_height, margin_of
from dashboard.figures.span import about_zero, span_of
from dashboard.figures.theme import Theme
from dashboard.pages.classes.arrange import finite
from dashboard.pages.compare.pair import Pair
from dashboard.pages.compare.partners import partners
from dashboard.stores.catalog import Catalog
from dashboard.stores.source import Snapshot
from fmcore.statistics import STATISTICS

HOVER = "%{y}, filter %{x}<br><b>%{z:.6~g}</b>"


def statistic_of(snapshot: Snapshot, layer: str, name: str) -> NDArray[np.float64] | None:
    """A statistic, <float64>[class, filter]; None where the store has it not."""
    if name not in snapshot.catalog.statistics:
        return None
    return finite(snapshot.statistic(layer, name))


def in_order(values: NDArray[np.float64], filters: NDArray[np.int64]) -> NDArray[np.float64]:
    """The columns of some filters, <float64>[class, column]; NaN for none."""
    return np.where(filters < 0, np.nan, values[:, np.maximum(filters, 0)])


def why_no_difference(pair: Pair) -> str:
    """Why there is no difference of classes; empty where there is one."""
    if not pair.alike.same:
        return "No difference: the samples are not the same."
    if pair.first.catalog.has_classes != pair.second.catalog.has_classes:
        return "No difference: the samples of only one of both have classes."
    if pair.first.catalog.class_names != pair.second.catalog.class_names:
        return "No difference: the classes have other names in B."
    if pair.shown.statistic not in pair.second.catalog.statistics:
        return f"{pair.second.name} does not hold this statistic, so only A has it."
    return ""


def class_figures(pair: Pair, *, theme: Theme) -> tuple[tuple[Drawn, Drawn, Drawn], str]:
    """A, B and B minus A, and a sentence."""
    name, goes_with = pair.shown.statistic, partners(pair)
    first = statistic_of(pair.first, pair.shown.layer, name)
    found = statistic_of(pair.second, pair.shown.other, name)
    if first is None:
        return (NONE, NONE, NONE), "This store does not hold the statistic."
    second = None if found is None else in_order(found, goes_with)
    span = span_of((first, second))
    own = [str(index) for index in range(len(goes_with))]
    others = ["–" if index < 0 else str(index) for index in goes_with.tolist()]
    neutral, title = STATISTICS[name].neutral, STATISTICS[name].title
    catalogs = [one.catalog for one in (pair.first, pair.second)]
    margin = margin_of(*(one.row_names for one in catalogs), below=others)
    of: dict[str, Any] = {"span": span, "neutral": neutral, "title": title, "margin": margin}
    column = pair.shown.filter_index
    drawn = [_drawn(first, catalogs[0], own, "filter of A", of, column, theme)]
    why = why_no_difference(pair)
    if second is None:
        return (drawn[0], NONE, NONE), why
    drawn.append(_drawn(second, catalogs[1], others, "filter of B", of, column, theme))
    if why:
        return (drawn[0], drawn[1], NONE), why
    minus = second - first
    of |= {"span": about_zero(minus), "neutral": 0.0, "title": "B − A"}
    drawn.append(_drawn(minus, catalogs[1], own, "filter of A", of, column, theme))
    return (drawn[0], drawn[1], drawn[2]), ""


def _drawn(
    values: NDArray[np.float64],
    catalog: Catalog,
    columns: Sequence[str],
    title: str,
    scale: dict[str, Any],
    column: int,
    theme: Theme,
) -> Drawn:
    rows = catalog.row_names
    figure = heatmap_figure(
        values,
        rows=rows,
        columns=columns,
        axes=("class" if catalog.has_classes else "", title),
        hover=f"class {HOVER}" if catalog.has_classes else HOVER,
        framed=(None, column),
        theme=theme,
        **scale,
    )
    return figure, {"height": heatmap_height(len(rows), scale["margin"])}


def titles(pair: Pair, drawn: Sequence[Drawn]) -> tuple[str, str, str]:
    """What stands above each heatmap; nothing above one that is not there."""
    name = STATISTICS[pair.shown.statistic].title
    said = (
        f"A: {name}, {pair.shown.layer}",
        f"B: {name}, {pair.shown.other}; each column the filter that goes with the one above",
        "B − A: red is more in B, blue more in A",
    )
    first, second, third = (
        words if one[1] != NO_GRAPH else "" for words, one in zip(said, drawn, strict=True)
    )
    return first, second, third
