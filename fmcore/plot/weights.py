"""The kernels of a layer: what each filter looks for in its input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import SelectionError
from fmcore.plot.look import COLORS, COLUMNS, INCHES_PER_TILE, Look
from fmcore.plot.subjects import kernel_of

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure

    from fmcore.storage import Store

NORM = "norm"


def kernels(
    store_or_model: Store | keras.Model,
    *,
    layer: str | None = None,
    plane: int | str | None = None,
    columns: int = COLUMNS,
    cmap: str = COLORS,
    size: float | tuple[float, float] = INCHES_PER_TILE,
    dpi: float | None = None,
    color_range: str | tuple[float, float] = "map",
    color_bar: bool = False,
    labels: bool = False,
    title: str | None = None,
) -> Figure:
    """Draws the kernel of each filter of one layer.

    >>> fmcore.plot.kernels(store, layer="conv1", cmap="RdBu_r")     # doctest: +SKIP

    Args:
        store_or_model: an open store, or a Keras model.
        layer: the layer's path; it may be left out where there is one.
        plane: the index of the input plane whose weights are drawn; or `norm` for the L2 norm over
            all planes. Where left out, the only plane, or else the norm; the title says which.
        columns: the number of kernels in a line.
        cmap: the name of matplotlib's colors.
        size: inches of a kernel's place each way; or (width, height) of the whole figure.
        dpi: pixels an inch; matplotlib's own setting where left out.
        color_range: what colors span: `map` for each kernel's own weights, `layer` for those of all
            kernels of the figure, or (low, high).
        color_bar: whether there is a color bar; all kernels must share their range.
        labels: whether the filter's index stands above each kernel.
        title: above all kernels; `Kernels: conv1` where left out, none where empty.

    Returns:
        A figure of matplotlib, not of pyplot. All kernels are in `figure.axes[0].images`.

    Raises:
        LayerNotFoundError, SelectionError: if there is no such layer or plane, or an option has no
            such value.
        StatisticNotFoundError, ModelError: if the layer has no kernel.
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

    path, kernel = kernel_of(store_or_model, layer)
    weights, words = _weights_of(kernel, plane)
    return tiles_figure(
        [Tile(weights[:, :, index], str(index)) for index in range(weights.shape[2])],
        look,
        title=f"Kernels: {path}{words}",
        span=look.span_of(weights),
        bar_label="weight" if "norm" not in words else "L2 norm",
    )


def _weights_of(
    kernel: NDArray[np.float32], plane: int | str | None
) -> tuple[NDArray[np.float32], str]:
    """The weights to draw, <float32>[kernel_y, kernel_x, filter], and which these are."""
    n_planes = kernel.shape[2]
    if plane == NORM or (plane is None and n_planes > 1):
        norm = np.sqrt(np.square(kernel, dtype=np.float64).sum(axis=2)).astype(np.float32)
        return norm, f", L2 norm over {n_planes} input planes"
    index = 0 if plane is None else plane
    if not isinstance(index, int | np.integer) or isinstance(index, bool):
        raise SelectionError(
            f"plane {plane!r}; expected the index of an input plane, or {NORM!r}", field="plane"
        )
    if not 0 <= index < n_planes:
        raise SelectionError(
            f"no input plane {index}; the kernels have 0 to {n_planes - 1}", field="plane"
        )
    return kernel[:, :, index], f", input plane {index}" if n_planes > 1 else ""
