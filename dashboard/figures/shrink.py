"""Maps made smaller for a screen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def shrink(maps: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """The value farthest from zero in each block of step x step: sparse activity stays seen.

    NaN only where a block has nothing else.

    Args:
        maps: <float32>[y, x, filter].
        step: values each way; 1 gives the maps back.

    Returns:
        <float32>[cell_y, cell_x, filter]; blocks at the lower and right edge may be cut.
    """
    if step == 1:
        return maps
    high = _of_blocks(np.fmax, maps, step)
    if not maps.size or not np.fmin.reduce(maps, axis=None) < 0:
        return high
    low = _of_blocks(np.fmin, maps, step)
    return np.where(-low > high, low, high)


def _of_blocks(function: np.ufunc, maps: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    for axis in (0, 1):
        cuts = range(min(step, maps.shape[axis]))
        parts = [maps[(slice(None),) * axis + (slice(at, None, step),)] for at in cuts]
        block = parts[0].copy()
        for part in parts[1:]:
            inner = block[(slice(None),) * axis + (slice(part.shape[axis]),)]
            function(inner, part, out=inner)
        maps = block
    return maps
