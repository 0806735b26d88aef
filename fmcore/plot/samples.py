"""The samples that a filter responds to most, with what its strongest unit sees in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fmcore.dataset import as_pixels
from fmcore.errors import SelectionError, StatisticNotFoundError
from fmcore.numbers import number_text
from fmcore.plot.look import COLUMNS, INCHES_PER_TILE, Look
from fmcore.plot.subjects import layer_of
from fmcore.selection import parse_classes
from fmcore.statistics import TOP
from fmcore.storage import Layer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fmcore.storage import Store

_NUMBERS = ("sample", "value", "y", "x")


def top_samples(
    store: Store,
    *,
    layer: str | None = None,
    filter: int,
    class_: str | int | None = None,
    n: int | None = None,
    boxes: bool = True,
    columns: int = COLUMNS,
    size: float | tuple[float, float] = INCHES_PER_TILE,
    dpi: float | None = None,
    labels: bool = True,
    title: str | None = None,
) -> Figure:
    """Draws the images that a filter responds to most, strongest first.

    >>> fmcore.plot.top_samples(store, layer="conv2", filter=5)      # doctest: +SKIP

    The frame in an image is the receptive field of the unit with the largest activation; where
    the field is only known to be at most that, or unknown, the title says so.

    Args:
        store: an open store.
        layer: the layer's path; it may be left out where there is one.
        filter: the filter's index.
        class_: the name or index of a class, for the strongest samples with that label; of all
            samples where left out.
        n: the number of samples; all that the store keeps, 25 at most, where left out.
        boxes: whether receptive fields are framed.
        columns: the number of images in a line.
        size: inches of an image's place each way; or (width, height) of the whole figure.
        dpi: pixels an inch; matplotlib's own setting where left out.
        labels: whether index, label and activation stand above each image.
        title: above all images; layer and filter where left out, none where empty.

    Returns:
        A figure of matplotlib, not of pyplot; all images are in `figure.axes[0].images`.

    Raises:
        LayerNotFoundError, SelectionError: if there is no such layer, filter or class, or an option
            has no such value; or no sample has a finite activation.
        StatisticNotFoundError: if the store keeps no strongest samples of classes.
        MissingLibraryError: if matplotlib is not installed, saying how to install it.
    """
    look = Look(columns=columns, size=size, dpi=dpi, labels=labels, cmap="gray", title=title)
    place = layer_of(store, layer)
    if isinstance(filter, bool) or not isinstance(filter, int | np.integer):
        raise SelectionError(f"filter {filter!r}; expected the index of a filter", field="filter")
    place.check_filter(int(filter))
    of_class = None if class_ is None else parse_classes(str(class_), store.class_names)[0]
    top = _strongest(store, place, int(filter), of_class)
    if n is not None:
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or not 1 <= n <= len(top):
            raise SelectionError(
                f"n {n!r}; expected 1 to {len(top)}, the strongest samples that are kept of filter "
                f"{filter} of {place.path}",
                field="n",
            )
        top = top[: int(n)]
    words = f"Layer: {place.path}, filter {filter}"
    if of_class is not None:
        words += f", class {store.class_names[of_class]}"
    fields = place.receptive_fields() if boxes else None
    if boxes and place.field_words != "exact":
        words += f" (receptive field: {place.field_words.partition(':')[0]})"
    return _draw(store, top, fields, look, words)


def _draw(
    store: Store,
    top: list[tuple[int, float, int, int]],
    fields: NDArray[np.int64] | None,
    look: Look,
    words: str,
) -> Figure:
    from fmcore.plot.tiles import Tile, tiles_figure

    labels = store.labels if store.has_labels else None
    tiles = []
    for sample, value, y, x in top:
        name = "" if labels is None else f" ({store.class_names[labels[sample]]})"
        box = None if fields is None or fields[y, x].min() < 0 else tuple(fields[y, x].tolist())
        label = f"{sample}{name}\n{number_text(value, digits=4)}"
        tiles.append(Tile(as_pixels(store.image(sample)), label, box))
    return tiles_figure(tiles, look, title=words, span=(0.0, 255.0))


def _strongest(
    store: Store, layer: Layer, filter_index: int, class_index: int | None
) -> list[tuple[int, float, int, int]]:
    """Sample, value, y and x of the strongest samples; from the pooled table if none are kept."""
    place = (filter_index,) if class_index is None else (class_index, filter_index)
    prefix = "" if class_index is None else "class_"
    try:
        arrays = [np.asarray(layer.top(prefix + name)[place]) for name in _NUMBERS]
    except StatisticNotFoundError:
        if class_index is not None:
            raise
        strongest = layer.strongest(filter_index, most=TOP)
        arrays = [strongest[name] for name in _NUMBERS]
    rows = zip(*(array.tolist() for array in arrays), strict=True)
    top = [
        (int(sample), float(value), int(y), int(x)) for sample, value, y, x in rows if sample >= 0
    ]
    if not top:
        raise SelectionError(
            f"filter {filter_index} of {layer.path} has no finite activation in "
            f"{'any sample' if class_index is None else store.class_names[class_index]}; there is "
            "nothing to draw",
            field="filter",
        )
    return top
