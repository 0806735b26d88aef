"""All layers of a sample in one picture: a summary of each, and its strongest filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import SelectionError
from fmcore.numbers import number_text
from fmcore.plot.look import COLORS, COLUMNS, INCHES_PER_TILE, check_pixels, import_matplotlib
from fmcore.plot.subjects import check_sample, parse_choice
from fmcore.selection import match_names
from fmcore.statistics import SUMMARY_WORDS, ColorBasis, Summary, n_shown, summary_colors
from fmcore.storage import LayerSummary, Store, layer_basis, layer_summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In tiles: from line to line, above each layer for its name, above all for the title, around all.
_LINE, _HEADING, _TITLE, _MARGIN = 1.12, 0.3, 0.4, 0.15
# Where filters begin, right of the map for all of them.
_FIRST = 1.3
# How many times as long as wide a map is drawn at most, and as wide as long.
_LONGEST = 4


def layers(
    store: Store,
    *,
    sample: int,
    by: str = Summary.MEAN,
    layers: str = "*",
    size: float = INCHES_PER_TILE,
    dpi: float | None = None,
) -> Figure:
    """Draws one sample in several layers: of each a map for all filters, then some of the filters.

    >>> fmcore.plot.layers(store, sample=7, by="pca")                # doctest: +SKIP

    Of a model with few filters these are all, else those whose largest activation here comes
    nearest the top of their own range over the test set, which their colors span.

    Args:
        store: an open one.
        sample: the sample's index.
        by: what the map for all filters is made of: `mean`, `abs` (the mean of absolute values),
            `max`, or `pca` (principal components as colors).
        layers: globs over layer paths, such as `conv1,block?_*`; all where left out.
        size: inches of a map's place each way.
        dpi: pixels an inch; matplotlib's own setting where left out.

    Returns:
        A figure of matplotlib, not of pyplot, with an Axes for each layer.

    Raises:
        SampleNotFoundError, SelectionError: if there is no such sample or layer, an option has no
            such value, or the layers are too many for one picture.
        MissingLibraryError: if matplotlib is not installed, saying how to install it.
    """
    import_matplotlib()
    from fmcore.plot.tiles import Picture

    sample, by = check_sample(store, sample), Summary(parse_choice(by, list(Summary), "by"))
    names = match_names(list(store.layers), layers, what=f"layer of {store.path.name}")
    most = n_shown(layer.n_filters for layer in store.layers.values())
    n_lines = [-(-min(store.layers[name].n_filters, most) // COLUMNS) for name in names]
    wide = _FIRST + COLUMNS + 2 * _MARGIN
    high = _TITLE + sum(_HEADING + _LINE * n for n in n_lines) + _MARGIN
    try:
        check_pixels(wide * size, high * size, dpi)
    except SelectionError as error:
        raise SelectionError(
            f"{len(names)} layers are {sum(n_lines)} lines of maps, too many for one picture: "
            f"{error}, or some of the layers",
            field="layer",
        ) from error
    figure = Picture(figsize=(wide * size, high * size), dpi=dpi)
    title = _title(store, sample, by)
    figure.text(0.5, 1 - _TITLE / 2 / high, title, ha="center", fontsize=12, parse_math=False)
    top = _TITLE
    for name, n in zip(names, n_lines, strict=True):
        bottom = top + _HEADING + _LINE * n
        axis = figure.add_axes(
            (_MARGIN / wide, 1 - bottom / high, 1 - 2 * _MARGIN / wide, (bottom - top) / high)
        )
        top = bottom
        layer = store.layers[name]
        basis = layer_basis(layer) if by == Summary.PCA and layer.has_maps else None
        values = layer.filter_values()
        summary = layer_summary(layer, sample, by, n_filters=most, values=values, basis=basis)
        _draw_layer(axis, summary, basis, np.stack([values.low, values.high]))
        axis.text(0, -_HEADING / 3, f"Layer: {name}", fontsize=10, parse_math=False)
        axis.axis("off")
        axis.set(xlim=(0, _FIRST + COLUMNS), ylim=(_LINE * n, -_HEADING), aspect="equal")
    return figure


def _title(store: Store, sample: int, by: Summary) -> str:
    names, words = store.class_names, [f"Sample {sample}"]
    if store.has_labels:
        words.append(f"label {names[store.labels[sample]]}")
    if store.has_predictions:
        words.append(f"predicted {names[store.predictions[sample]]}")
    return f"{', '.join(words)}. Left: {SUMMARY_WORDS[by]}"


def _draw_layer(
    axis: Axes,
    content: LayerSummary,
    basis: ColorBasis | None,
    ranges: NDArray[np.float64],
) -> None:
    """Draws the tiles of a layer; its lines are `_LINE` apart, and a tile is 1 by 1."""
    if content.summary is None or content.maps is None:
        listed = zip(content.filters, content.largest, strict=True)
        words = ", ".join(f"{index}: {number_text(value, digits=3)}" for index, value in listed)
        text = "The store keeps no maps. Largest value of filters: "
        axis.text(0, 0.3, f"{text}{words or 'none varies'}", fontsize=8, parse_math=False)
        return
    summary = summary_colors(content.summary, basis) if basis else content.summary[:, :, 0]
    _draw_map(axis, summary, (0, 0), None)
    for place, index in enumerate(content.filters):
        x, y = _FIRST + place % COLUMNS, _LINE * (place // COLUMNS)
        _draw_map(axis, content.maps[:, :, place], (x, y), ranges[:, index])
        axis.text(x, y + 0.96, str(index), fontsize=7, va="top")


def _draw_map(
    axis: Axes,
    values: NDArray[np.float32],
    corner: tuple[float, float],
    span: NDArray[np.float64] | None,
) -> None:
    """Draws a map, or colors, in a tile; what is not finite has the color of the ground."""
    from matplotlib.patches import Rectangle

    from fmcore.plot.tiles import GROUND

    height, width = values.shape[:2]
    ratio = min(max(width / height, 1 / _LONGEST), _LONGEST)
    across, down = 0.94 * min(1, ratio), 0.94 * min(1, 1 / ratio)
    x, y = corner
    is_known = np.isfinite(values) if values.ndim == 2 else np.isfinite(values).all(axis=2)
    if not is_known.all():
        axis.add_patch(
            Rectangle((x, y), across, down, facecolor=GROUND, edgecolor="white", hatch="xxxx")
        )
    low, high = (None, None) if span is None or not np.isfinite(span).all() else span
    image = np.dstack([np.nan_to_num(values), is_known]) if values.ndim == 3 else values
    extent = (x, x + across, y + down, y)
    axis.imshow(image, cmap=COLORS, vmin=low, vmax=high, extent=extent, aspect="auto")
