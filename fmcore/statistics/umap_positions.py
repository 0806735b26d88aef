"""The map of samples by UMAP: what is near stays near, and other distances say little.

McInnes, Healy and Melville 2018, "UMAP: uniform manifold approximation and projection". It takes
the library umap-learn, and seconds to minutes, so no request waits for it: see `fmcore project`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import SelectionError
from fmcore.optional import import_optional
from fmcore.statistics.sample_space import SampleSpace

LIBRARY = "umap-learn"
N_AXES = 2
# Fewer samples have too few neighbors for the first guess, the eigenvectors of their graph.
FEWEST_SAMPLES = 10
MOST_NEIGHBORS = 200
# The samples are in memory as float32, and the library's graph beside them.
MOST_BYTES = 4 << 30


@dataclass(frozen=True, slots=True)
class UmapOptions:
    """How a map by UMAP is made; the defaults are those of the library.

    Attributes:
        n_neighbors: samples that count as near to one, 2 to 200: few show what is close by, many
            how groups lie to each other.
        min_dist: the least distance of points on the map, 0 to 1: the smaller, the tighter groups.
        seed: of the random numbers; the same seed makes the same map with the same libraries on the
            same machine.
    """

    n_neighbors: int = 15
    min_dist: float = 0.1
    seed: int = 0

    def check(self) -> None:
        """Raises `SelectionError` for a value out of range."""
        for name, value, low, high in (
            ("n_neighbors", self.n_neighbors, 2, MOST_NEIGHBORS),
            ("min_dist", self.min_dist, 0, 1),
            ("seed", self.seed, 0, 2**32 - 1),
        ):
            if not low <= value <= high:
                raise SelectionError(f"{name} must be {low} to {high}; found {value}", field=name)


def umap_positions(space: SampleSpace, options: UmapOptions) -> tuple[NDArray[np.float32], str]:
    """Where samples lie, <float32>[sample, axis], NaN without a place; and the library's version.

    Args:
        space: the samples.
        options: how the map is made.

    Raises:
        MissingLibraryError: if umap-learn is not installed.
        SelectionError: if an option is out of range, or there are too few samples, or too many.
    """
    options.check()
    with _without_tensorflow():
        umap: Any = import_optional("umap", extra="umap", purpose="a map by UMAP")
    placed = np.flatnonzero(space.center.is_placed)
    n_columns = space.center.n_columns
    least = max(FEWEST_SAMPLES, options.n_neighbors + 1)
    if len(placed) < least or not n_columns:
        raise SelectionError(
            f"a map by UMAP with {options.n_neighbors} neighbors needs at least {least} samples "
            f"and a column; found {len(placed)} samples and {n_columns} columns whose values are "
            "finite"
        )
    if 4 * len(placed) * n_columns > MOST_BYTES:
        raise SelectionError(
            f"a map by UMAP of {len(placed):,} samples with {n_columns:,} columns would take more "
            f"than {MOST_BYTES >> 30} GiB; use principal components"
        )
    values = np.empty((len(placed), n_columns), np.float32)
    for rows, points in space.points():
        first, last = np.searchsorted(placed, (rows.start, rows.stop))
        values[first:last] = points[placed[first:last] - rows.start]
    model = umap.UMAP(
        n_components=N_AXES,
        n_neighbors=options.n_neighbors,
        min_dist=options.min_dist,
        random_state=options.seed,
        n_jobs=1,  # with a seed it takes one anyway, and says so
    )
    positions = np.full((space.table.n_samples, N_AXES), np.nan, np.float32)
    positions[placed] = model.fit_transform(values)
    return positions, f"{LIBRARY} {version(LIBRARY)}"


@contextmanager
def _without_tensorflow() -> Iterator[None]:
    """Keeps the library from importing TensorFlow, for a part of it that is not used here.

    That takes ten seconds and prints. `None` in the place of a module makes its import fail, as
    Python documents; a TensorFlow that was imported before stays.
    """
    modules: dict[str, Any] = sys.modules
    hidden = "tensorflow" not in modules
    if hidden:
        modules["tensorflow"] = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImportWarning)
            yield
    finally:
        if hidden:
            del modules["tensorflow"]
