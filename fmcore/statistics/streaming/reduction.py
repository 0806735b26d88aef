"""The reduction of each feature map to a few numbers, which pooled tables and moments share.

Samples are processed in blocks that stay in the cache, and maps are laid out with their pixels
last, because NumPy reduces a contiguous last axis several times faster than the second-last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Bytes of one block. Alone, 512 KiB, which stay in the second-level cache with their float64, are
# as fast; beside threads that compress, fewer calls matter more: each may wait for the GIL.
BLOCK_BYTES = 2 << 20
# If m2 is less than this share of the sum of squares, the difference that made it has lost digits,
# and it is recomputed from deviations. 0.01 leaves 13 of 15 digits.
CANCELLED = 0.01
# Bytes from the first to the last pixel that are transposed together, so that the cache lines read
# for one filter are still in the first-level cache for the next: from 2.15 to 1.5 ms for
# 256 x 26x26x16 values, from 15 to 6.3 ms for 64 x 14x14x512.
TRANSPOSED_BYTES = 32 << 10


@dataclass(frozen=True, slots=True)
class PooledTable:
    """A table with a number for each sample and filter.

    Attributes:
        meaning: one sentence.
        dtype: the type of its values.
    """

    meaning: str
    dtype: str = "float32"


# The pooled tables that a store keeps.
POOLED = {
    "mean": PooledTable("mean over the pixels of the map"),
    "max": PooledTable("largest value of the map"),
    "max_y": PooledTable("row of the largest value (the first, where there are several)", "int32"),
    "max_x": PooledTable(
        "column of the largest value (the first, where there are several)", "int32"
    ),
    "zero_fraction": PooledTable("share of the pixels that are exactly zero"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """Each feature map of a batch, reduced over its finite pixels.

    Attributes:
        n_pixels: the number of pixels of one map.
        n_values: <int64>[sample, filter], the number of finite pixels.
        n_zero: <int64>[sample, filter], the number of pixels that are exactly zero.
        mean: <float64>[sample, filter]; 0 where no pixel is finite.
        m2: <float64>[sample, filter], sum of squared deviations from the mean.
        min: <float32>[sample, filter]; +inf where no pixel is finite.
        max: <float32>[sample, filter]; -inf where no pixel is finite.
        max_y: <int32>[sample, filter], row of the largest value.
        max_x: <int32>[sample, filter], column of the largest value.
    """

    n_pixels: int
    n_values: NDArray[np.int64]
    n_zero: NDArray[np.int64]
    mean: NDArray[np.float64]
    m2: NDArray[np.float64]
    min: NDArray[np.floating]
    max: NDArray[np.floating]
    max_y: NDArray[np.int32]
    max_x: NDArray[np.int32]

    @classmethod
    def from_batch(cls, values: NDArray[np.floating]) -> Pooled:
        """Reduces the maps of one batch.

        Args:
            values: <float>[sample, y, x, filter].
        """
        n, height, width, filters = values.shape
        maps = values.reshape(n, height * width, filters)
        if maps.shape[1] == 1:
            return _reduce_single_pixels(maps[:, 0])
        rows = min(n, max(1, BLOCK_BYTES // maps[:1].nbytes))
        buffers = _Buffers.allocate((rows, filters, height * width), values.dtype)
        blocks = [_reduce_block(maps[start : start + rows], buffers) for start in range(0, n, rows)]
        joined = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
        argmax = joined.pop("argmax")
        return cls(
            n_pixels=height * width,
            max_y=(argmax // width).astype(np.int32),
            max_x=(argmax % width).astype(np.int32),
            **joined,
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Pooled]) -> Pooled:
        """Joins the rows of several batches of one layer.

        Args:
            parts: the reductions of one batch or more, whose maps have the same size.

        Raises:
            ValueError: if there is no part, or the sizes of the maps differ.
        """
        if len({part.n_pixels for part in parts}) != 1:
            raise ValueError(
                "Pooled.concatenate: expected at least one part, and maps of the same size, found "
                f"parts with maps of {[part.n_pixels for part in parts]} pixels"
            )
        names = [field.name for field in fields(cls) if field.name != "n_pixels"]
        joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return cls(n_pixels=parts[0].n_pixels, **joined)

    @property
    def zero_fraction(self) -> NDArray[np.float64]:
        """The share of pixels that are exactly zero, <float64>[sample, filter]."""
        return self.n_zero / self.n_pixels

    def tables(self) -> dict[str, NDArray[np.generic]]:
        """The tables a store keeps, by their names in `POOLED`; NaN where no pixel is finite."""
        defined = self.n_values > 0
        return {
            "mean": np.where(defined, self.mean, np.nan).astype(np.float32),
            "max": np.where(defined, self.max, np.nan).astype(np.float32),
            "max_y": self.max_y,
            "max_x": self.max_x,
            "zero_fraction": self.zero_fraction.astype(np.float32),
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Buffers:
    """Memory for one block, reused for the next, because fresh pages cost more than the sums.

    Attributes:
        pixels: <float>[sample, filter, pixel], the transposed maps.
        doubles: <float64>[sample, filter, pixel], the maps as float64.
        zeros: <float32>[sample, filter, pixel], 1 for a pixel that is exactly zero, else 0.
    """

    pixels: NDArray[np.floating]
    doubles: NDArray[np.float64]
    zeros: NDArray[np.floating]

    @classmethod
    def allocate(cls, shape: tuple[int, ...], dtype: np.dtype[Any]) -> _Buffers:
        return cls(np.empty(shape, dtype), np.empty(shape), np.empty(shape, np.float32))


def _transpose(maps: NDArray[np.floating], out: NDArray[np.floating]) -> None:
    """Copies [sample, pixel, filter] to [sample, filter, pixel], a few pixels at a time."""
    n_pixels, stride = maps.shape[1], max(64, maps.strides[1])
    step = max(16, TRANSPOSED_BYTES // stride)
    for start in range(0, n_pixels, step):
        block = slice(start, start + step)
        np.copyto(out[:, :, block], maps[:, block].swapaxes(1, 2))


def _reduce_block(maps: NDArray[np.floating], buffers: _Buffers) -> dict[str, NDArray[Any]]:
    """Reduces a block of maps [sample, pixel, filter] to arrays [sample, filter] by name.

    Mean and m2 are in float64. Products with ones are faster than sums. Squares minus the square of
    the sum are faster than deviations, which are used for the few maps where digits cancel.
    """
    n, n_pixels, _ = maps.shape
    pixels, doubles, zeros = buffers.pixels[:n], buffers.doubles[:n], buffers.zeros[:n]
    _transpose(maps, pixels)
    np.copyto(zeros, pixels == 0)
    n_zero = zeros @ np.ones(n_pixels, dtype=np.float32)  # exact: maps are below 2**24 pixels
    np.copyto(doubles, pixels)
    with np.errstate(invalid="ignore", over="ignore"):
        mean = doubles @ np.full(n_pixels, 1 / n_pixels)
        squares = np.vecdot(doubles, doubles)
        m2 = squares - n_pixels * mean**2
    inexact = m2 < CANCELLED * squares
    if inexact.any():
        deviation = doubles[inexact] - mean[inexact][:, np.newaxis]
        m2[inexact] = np.vecdot(deviation, deviation)
    n_values = np.full(mean.shape, n_pixels, dtype=np.int64)
    low = high = pixels
    if not np.isfinite(m2).all():  # a value is not finite, or its square is not
        finite = np.isfinite(pixels)
        n_values = np.count_nonzero(finite, axis=2)
        low, high = np.where(finite, pixels, np.inf), np.where(finite, pixels, -np.inf)
        finite_or_zero = np.where(finite, pixels, 0).astype(np.float64)
        mean = finite_or_zero.sum(axis=2) / np.maximum(n_values, 1)
        deviation = np.where(finite, finite_or_zero - mean[:, :, np.newaxis], 0)
        with np.errstate(over="ignore"):
            m2 = np.vecdot(deviation, deviation)
    argmax = high.argmax(axis=2)
    return {
        "n_values": n_values,
        "n_zero": n_zero.astype(np.int64),
        "mean": mean,
        "m2": m2,
        "min": low.min(axis=2),
        "max": np.take_along_axis(high, argmax[:, :, np.newaxis], axis=2)[:, :, 0],
        "argmax": argmax,
    }


def _reduce_single_pixels(values: NDArray[np.floating]) -> Pooled:
    """Reduces the maps of a dense or globally pooled layer, which have one pixel each.

    0.75 ms for 256 x 1x1x1000 values, 7 ms as maps.

    Args:
        values: <float>[sample, filter].
    """
    finite = np.isfinite(values)
    position = np.zeros(values.shape, dtype=np.int32)
    return Pooled(
        n_pixels=1,
        n_values=finite.astype(np.int64),
        n_zero=(values == 0).astype(np.int64),
        mean=np.where(finite, values, 0).astype(np.float64),
        m2=np.zeros(values.shape),
        min=np.where(finite, values, np.inf).astype(values.dtype),
        max=np.where(finite, values, -np.inf).astype(values.dtype),
        max_y=position,
        max_x=position,
    )
