"""The tutorial's figure: the feature maps of one sample, drawn with matplotlib."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fmcore.files import Kind, publish
from fmcore.optional import import_optional
from fmcore.selection import match_names
from fmcore.storage import Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BACKEND = "MPLBACKEND"
COLUMNS = 8
INCHES_PER_TILE = 1.5


def _is_figure(stream: BinaryIO) -> bool:
    head = stream.read(_HEAD_BYTES)
    return head.startswith(b"\x89PNG\r\n\x1a\n") and b"Software\0Matplotlib" in head


# What `--force` replaces: matplotlib signs its pictures in the first bytes.
_HEAD_BYTES = 4096
FIGURE_KIND = Kind("a figure that matplotlib has drawn", _is_figure)


def _import_matplotlib() -> None:
    """Imports matplotlib, also where the environment names a backend that is not installed.

    A notebook's kernel names its own, and hands the name on to `!fmcore figure`, which may run in
    another environment. No window is opened here, so any backend does.

    Raises:
        MissingLibraryError: if matplotlib is not installed, saying how to install it.
    """
    backend = os.environ.pop(BACKEND, None) if "matplotlib" not in sys.modules else None
    try:
        matplotlib = import_optional("matplotlib", extra="figures", purpose="drawing figures")
    finally:
        if backend is not None:
            os.environ[BACKEND] = backend
    if backend:
        with contextlib.suppress(ValueError):  # it knows no such backend
            matplotlib.rcParams["backend"] = backend


def feature_map_figure(maps: NDArray[np.float32], *, layer: str) -> Figure:
    """Draws a layer's maps in 8 columns, in viridis, without axes; each map has its own range.

    Args:
        maps: <float32>[y, x, filter].
        layer: the layer's path, for the title `Layer: conv1`.
    """
    _import_matplotlib()
    from matplotlib.figure import Figure  # not pyplot: it keeps global state and wants a display

    n_filters = maps.shape[2]
    rows = -(-n_filters // COLUMNS)
    # The title's height does not shrink with few rows, so it is added to the tiles' own.
    figure = Figure(figsize=(COLUMNS * INCHES_PER_TILE, rows * INCHES_PER_TILE + 0.6))
    figure.suptitle(f"Layer: {layer}", parse_math=False)  # a name is not a formula
    axes = figure.subplots(rows, COLUMNS, squeeze=False)
    for index, axis in enumerate(axes.flat):
        axis.axis("off")
        if index < n_filters:
            axis.imshow(maps[:, :, index], cmap="viridis")
    figure.tight_layout()
    return figure


def write_figures(
    store: Store, out: Path, *, sample: int, layers: str = "*", overwrite: bool = False
) -> list[Path]:
    """Writes a figure `<layer>_sample<n>.png` for each layer, and returns the paths.

    Raises:
        SampleNotFoundError, SelectionError: if there is no such sample or layer.
        OutputError: if a file exists and `overwrite` is false, or the disk refuses.
        MissingLibraryError: if matplotlib is not installed, saying how to install it.
    """
    _import_matplotlib()
    store.check_sample(sample)
    written = []
    for name in match_names(list(store.layers), layers, what=f"layer of {store.path.name}"):
        layer = store.layers[name]
        path = out / f"{layer.group}_sample{sample}.png"
        with publish(path, overwrite=overwrite, kind=FIGURE_KIND) as partial:
            feature_map_figure(layer.feature_maps(sample), layer=name).savefig(partial, dpi=120)
        written.append(path)
    return written
