"""Which pixels of the input a unit can see: bounding boxes, carried from each layer to the next.

A box is the hull of the boxes of the units below that lie within their map, so borders, dilation
and branches come out exactly; the closed formula (Araujo, Norris, Sim 2019, "Computing receptive
fields of convolutional neural networks", Distill) is too large at borders.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# <int32>[y, x, (first row, first column, last row, last column)]; a unit that sees nothing but
# padding has -1 for all four.
Boxes = NDArray[np.int32]
# Boxes of the values of a tensor while they are computed, <int32>[*axis, (first row, first column,
# -last row, -last column)]: the hull of two boxes is their elementwise minimum, and an empty box is
# larger than any other. An axis has length 1 where all along it is alike.
Hulls = NDArray[np.int32]
NOTHING = np.int32(1 << 30)


def input_hulls(height: int, width: int) -> Hulls:
    """The hulls of an input's pixels, <int32>[y, x, 4]: each pixel sees itself."""
    hulls = np.empty((height, width, 4), dtype=np.int32)
    hulls[..., 0] = np.arange(height)[:, np.newaxis]
    hulls[..., 1] = np.arange(width)
    hulls[..., 2:] = -hulls[..., :2]
    return hulls


def boxes(hulls: Hulls) -> Boxes:
    """Hulls as boxes in pixels; -1 for units that see padding only."""
    boxes = hulls.copy()
    boxes[..., 2:] *= -1
    boxes[hulls[..., 0] == NOTHING] = -1
    return boxes


def moved(hulls: Sequence[Hulls], places: NDArray[np.int64]) -> Hulls:
    """The hulls of values that were moved.

    Args:
        hulls: <int32>[*axis, 4] of each tensor below, with all axes at full length.
        places: <int64>[*axis], the place of each value among those of all tensors, one after the
            other; -1 for a constant.
    """
    flat = [one.reshape(-1, 4) for one in hulls]
    return np.concatenate([*flat, np.full((1, 4), NOTHING)])[places]  # -1 takes the last one


def thinned(hulls: Hulls) -> Hulls:
    """Hulls whose first or last axis has length 1 if all along it is alike."""
    for axis in {0, hulls.ndim - 2} if hulls.ndim > 1 else ():
        first = hulls.take([0], axis)
        if hulls.shape[axis] > 1 and (hulls == first).all():
            hulls = first
    return hulls


def through_windows(hulls: Hulls, taps_y: NDArray[np.intp], taps_x: NDArray[np.intp]) -> Hulls:
    """The hulls of units that each see a window of units below.

    Args:
        hulls: hulls of the units below.
        taps_y: <intp>[y, tap], the rows below that each row sees; -1 is padding.
        taps_x: <intp>[x, tap], the columns below that each column sees; -1 is padding.
    """
    return _along(_along(hulls, 0, taps_y), 1, taps_x)


def over_axes(hulls: Hulls, axes: Sequence[int]) -> Hulls:
    """The hulls of units that see all along some axes, which get length 1."""
    return hulls.min(axis=tuple(axes), keepdims=True) if axes else hulls


def merge(branches: Sequence[Hulls]) -> Hulls:
    """The hulls of units that see their own place in several tensors, which broadcast."""
    hulls, *others = branches
    for other in others:
        hulls = np.minimum(hulls, other)
    return hulls


def window_taps(
    size: int, out: int, *, kernel: int, stride: int = 1, dilation: int = 1, before: int = 0
) -> NDArray[np.intp]:
    """The taps of a convolution or pooling along one axis, <intp>[out, tap], -1 for padding.

    Args:
        size: units below.
        out: units above.
        kernel: taps of a window.
        stride: from one window to the next.
        dilation: from one tap to the next.
        before: padding before the first unit.
    """
    first = np.arange(out)[:, np.newaxis] * stride - before
    taps = first + np.arange(kernel) * dilation
    return np.where((taps >= 0) & (taps < size), taps, -1)


def transposed_taps(
    size: int, out: int, *, kernel: int, stride: int, dilation: int = 1, before: int = 0
) -> NDArray[np.intp]:
    """The taps of a transposed convolution along one axis: its windows seen from their other end.

    Args:
        size: units below.
        out: units above.
        kernel: taps of a window.
        stride: from one window to the next, in units above.
        dilation: from one tap to the next, in units above.
        before: units cut off before the first unit above.
    """
    steps = np.arange(out)[:, np.newaxis] + before - np.arange(kernel) * dilation
    taps = steps // stride
    return np.where((steps % stride == 0) & (taps >= 0) & (taps < size), taps, -1)


def same_padding(size: int, *, kernel: int, stride: int, dilation: int = 1) -> int:
    """The padding before the first unit under Keras' `same`: the smaller half, as in TensorFlow."""
    windows = -(-size // stride)
    return max((windows - 1) * stride + (kernel - 1) * dilation + 1 - size, 0) // 2


def _along(hulls: Hulls, axis: int, taps: NDArray[np.intp]) -> Hulls:
    padded = np.concatenate([hulls, np.full_like(hulls.take([0], axis), NOTHING)], axis)
    return padded.take(taps, axis).min(axis=axis + 1)  # -1 takes the last one, which is empty
