"""The tutorial's picture: all feature maps of a layer for one image, 8 in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmcore.plot.look import COLORS, COLUMNS, INCHES_PER_TILE, Look
from fmcore.plot.subjects import maps_of

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure

    from fmcore.storage import Store


def feature_maps(
    store_or_model: Store | keras.Model,
    image: Any,
    *,
    layer: str | None = None,
    columns: int = COLUMNS,
    cmap: str = COLORS,
    size: float | tuple[float, float] = INCHES_PER_TILE,
    dpi: float | None = None,
    color_range: str | tuple[float, float] = "map",
    color_bar: bool = False,
    labels: bool = False,
    title: str | None = None,
) -> Figure:
    """Draws all feature maps of one layer for one image, as the tutorial does.

    >>> fmcore.plot.feature_maps(store, 7, layer="conv1")            # doctest: +SKIP
    >>> fmcore.plot.feature_maps(model, x_test[7], layer="conv1")    # doctest: +SKIP

    A figure shows one layer, as in the tutorial. Maps with NaN or infinite values are crossed
    there, and the title says so.

    Args:
        store_or_model: an open store, or a Keras model, which is run on the image.
        image: the sample's index in the store; for a model one image as it takes it, (y, x,
            channel), also as a batch of one.
        layer: the layer's path; it may be left out where there is one.
        columns: the number of maps in a line.
        cmap: the name of matplotlib's colors.
        size: inches of a map's place each way; or (width, height) of the whole figure.
        dpi: pixels an inch; matplotlib's own setting where left out.
        color_range: what colors span: `map` for each map's own values, `layer` for those of all
            maps of the figure, or (low, high).
        color_bar: whether there is a color bar; all maps must share their range.
        labels: whether the filter's index stands above each map.
        title: above all maps; `Layer: conv1` where left out, none where empty.

    Returns:
        A figure of matplotlib, not of pyplot: no window opens, and nothing needs to be closed. All
        maps are in `figure.axes[0].images`.

    Raises:
        SampleNotFoundError, LayerNotFoundError, SelectionError: if there is no such sample or
            layer, or an option has no such value.
        DatasetError, ModelError: if it is no image that the model takes, or no such model.
        MapsNotStoredError: if the store keeps no maps of the layer.
        MissingLibraryError: if matplotlib is not installed, or Keras where a model is drawn.
    """
    look = Look(
        columns=columns,
        cmap=cmap,
        size=size,
        dpi=dpi,
        color_range=color_range,
        color_bar=color_bar,
        labels=labels,
        title=title,
    )
    from fmcore.plot.tiles import Tile, tiles_figure

    path, maps = maps_of(store_or_model, image, layer)
    return tiles_figure(
        [Tile(maps[:, :, index], str(index)) for index in range(maps.shape[2])],
        look,
        title=f"Layer: {path}",
        span=look.span_of(maps),
        bar_label="activation",
    )
