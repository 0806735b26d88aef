"""Every class and filter of a layer in one heatmap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import SelectionError
from fmcore.plot.look import COLORS, Look, Span, check_pixels
from fmcore.plot.subjects import layer_of, parse_choice
from fmcore.selection import near_matches
from fmcore.statistics import CLASS_FILTER, POOLINGS, STATISTICS
from fmcore.storage import Layer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fmcore.storage import Store

# Inches of a cell, of names and color bar beside all, of title and axis above and below.
_CELL, _BESIDE, _ABOVE = 0.22, 3.0, 1.3
_SMALLEST, _LARGEST = 4.0, 30.0
# Rows or columns that all have their name beside them; more have every so many.
_NAMED = 64


def classes(
    store: Store,
    *,
    layer: str | None = None,
    statistic: str = "mean",
    pooling: str = "mean",
    cmap: str = COLORS,
    size: tuple[float, float] | None = None,
    dpi: float | None = None,
    color_range: tuple[float, float] | None = None,
    color_bar: bool = True,
    title: str | None = None,
) -> Figure:
    """Draws a statistic of every class and filter of one layer as a heatmap.

    >>> fmcore.plot.classes(store, layer="conv2", statistic="auc")   # doctest: +SKIP

    What is undefined, such as the AUC of a dead filter, has a color of its own.

    Args:
        store: an open store.
        layer: the layer's path; it may be left out where there is one.
        statistic: the name of one of each class and filter, such as `mean`, `auc` or `auc_max`;
            `store.layers[layer].statistics` lists them.
        pooling: `mean` or `max`, the pooled table of a score whose name leaves it out.
        cmap: the name of matplotlib's colors.
        size: (width, height) in inches; by the number of classes and filters where left out.
        dpi: pixels an inch; matplotlib's own setting where left out.
        color_range: (low, high) of the colors; the smallest and largest value where left out.
        color_bar: whether there is a color bar.
        title: above all; layer and statistic where left out, none where empty.

    Returns:
        A figure of matplotlib, not of pyplot; the heatmap is `figure.axes[0].images[0]`.

    Raises:
        LayerNotFoundError, SelectionError: if there is no such layer, or an option has no such
            value, or the statistic is not of each class and filter.
        StatisticNotFoundError: if the store has no such statistic, with the reason.
        MissingLibraryError: if matplotlib is not installed, saying how to install it.
    """
    look = Look(
        cmap=cmap, size=size or 1.0, dpi=dpi, color_range=color_range or "layer", title=title
    )
    place = layer_of(store, layer)
    name = _of_class_and_filter(place, statistic, pooling)
    values = np.asarray(place.statistic(name), np.float64)
    span, words = look.span_of(values), f"Layer: {place.path}, {STATISTICS[name].title}"
    names = store.class_names if store.has_classes else ("all samples",)
    return _draw(values, names, look, span, words, bar=STATISTICS[name].title if color_bar else "")


def _of_class_and_filter(layer: Layer, statistic: str, pooling: str) -> str:
    """The full name of a statistic of each class and filter."""
    parse_choice(pooling, list(POOLINGS), "pooling")
    name = statistic if statistic in STATISTICS else f"{statistic}_{pooling}"
    if name in STATISTICS and STATISTICS[name].axes != CLASS_FILTER:
        fitting = [own for own in layer.statistics if STATISTICS[own].axes == CLASS_FILTER]
        raise SelectionError(
            f"statistic {statistic!r} is of each {' and '.join(STATISTICS[name].axes)}; expected "
            f"one of each class and filter: {', '.join(fitting)}{near_matches(statistic, fitting)}",
            field="statistic",
        )
    return name if name in STATISTICS else statistic


def _draw(
    values: NDArray[np.float64],
    names: tuple[str, ...],
    look: Look,
    span: Span | None,
    words: str,
    *,
    bar: str,
) -> Figure:
    import matplotlib as mpl
    from matplotlib.colors import Normalize

    from fmcore.plot.tiles import GROUND, Picture

    rows, columns = values.shape
    size = look.size if isinstance(look.size, tuple | list) else None
    width, height = size or (
        float(np.clip(columns * _CELL + _BESIDE, _SMALLEST, _LARGEST)),
        float(np.clip(rows * _CELL + _ABOVE, _SMALLEST / 2, _LARGEST)),
    )
    check_pixels(width, height, look.dpi)
    figure = Picture(figsize=(width, height), dpi=look.dpi, layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(
        np.ma.masked_invalid(values),
        cmap=mpl.colormaps[look.cmap].with_extremes(bad=GROUND),
        norm=Normalize(*(span or (None, None))),
        aspect="auto",
        interpolation="nearest",
    )
    axes.set_xticks(range(0, columns, -(-columns // _NAMED)))
    axes.tick_params(axis="x", labelsize=7)
    every = -(-rows // _NAMED)
    axes.set_yticks(range(0, rows, every), names[::every], fontsize=8, parse_math=False)
    axes.set_xlabel("filter")
    axes.set_ylabel("class" if len(names) > 1 else "")
    if bar:
        figure.colorbar(image, ax=axes, label=bar, fraction=0.05, pad=0.02)
    axes.set_title(words if look.title is None else look.title, fontsize=10, parse_math=False)
    return figure
