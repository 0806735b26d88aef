"""One row of numbers for each feature map: the reduction that pooled tables and moments share.

Samples are taken in blocks that stay in the cache, and maps are laid out with their pixels last,
because numpy reduces a contiguous last axis several times faster than the second-last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Values of one block. Alone 512 KiB are as fast, which stay in the second-level cache with their
# float64; beside threads that compress, fewer calls count for more: each may wait for the GIL.
BLOCK_BYTES = 2 << 20
# Where the spread is less than this share of the squares, their difference has lost digits: it is
# taken again from deviations. 0.01 leaves 13 of 15 digits.
CANCELLED = 0.01
# Bytes from the first to the last pixel that are transposed at a time, so that the lines read for
# one filter are still in the first-level cache for the next: 2.15 to 1.5 ms for 256 x 26x26x16
# values, 15 to 6.3 ms for 64 x 14x14x512.
TRANSPOSED_BYTES = 32 << 10

# Which of the attributes a store keeps for each sample and filter, and what they mean.
POOLED = {
    "mean": "mean over the pixels of the map",
    "max": "largest value of the map",
    "max_y": "row of the largest value (the first, where there are several)",
    "max_x": "column of the largest value (the first, where there are several)",
    "zero_fraction": "share of the pixels that are exactly zero",
}


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """What each feature map of a batch comes to, over its finite pixels.

    Attributes:
        n_pixels: pixels of one map.
        n_values: <int64>[sample, filter], pixels that are finite.
        n_zero: <int64>[sample, filter], pixels that are exactly zero.
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
            return _of_single_pixels(maps[:, 0])
        rows = min(n, max(1, BLOCK_BYTES // max(1, maps[:1].nbytes)))
        work = _Work.of_size((rows, filters, height * width), values.dtype)
        blocks = [_reduced(maps[start : start + rows], work) for start in range(0, n, rows)]
        joined = {name: np.concatenate([one[name] for one in blocks]) for name in blocks[0]}
        argmax = joined.pop("argmax")
        return cls(
            n_pixels=height * width,
            max_y=(argmax // width).astype(np.int32),
            max_x=(argmax % width).astype(np.int32),
            **joined,
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Pooled]) -> Pooled:
        """The rows of several batches of one layer, one after the other.

        Args:
            parts: at least one, of maps of one size.

        Raises:
            ValueError: there is none, or sizes differ.
        """
        if len({part.n_pixels for part in parts}) != 1:
            raise ValueError(
                "Pooled.concatenate: expected parts of one size of map, "
                f"found pixels {[part.n_pixels for part in parts]}"
            )
        names = [field.name for field in fields(cls) if field.name != "n_pixels"]
        joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return cls(n_pixels=parts[0].n_pixels, **joined)

    @property
    def zero_fraction(self) -> NDArray[np.float64]:
        """Share of all pixels that are exactly zero, <float64>[sample, filter]."""
        return self.n_zero / self.n_pixels

    def tables(self) -> dict[str, NDArray[np.generic]]:
        """The tables a store keeps, by their names in `POOLED`; NaN where no pixel is finite."""
        seen = self.n_values > 0
        return {
            "mean": np.where(seen, self.mean, np.nan).astype(np.float32),
            "max": np.where(seen, self.max, np.nan).astype(np.float32),
            "max_y": self.max_y,
            "max_x": self.max_x,
            "zero_fraction": self.zero_fraction.astype(np.float32),
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """Memory for one block, used again for the next, because fresh pages cost more than sums."""

    pixels: NDArray[np.floating]
    wide: NDArray[np.float64]
    zero: NDArray[np.floating]

    @classmethod
    def of_size(cls, shape: tuple[int, ...], dtype: np.dtype[Any]) -> _Work:
        return cls(np.empty(shape, dtype), np.empty(shape), np.empty(shape, np.float32))


def _transpose(maps: NDArray[np.floating], out: NDArray[np.floating]) -> None:
    """Copies [sample, pixel, filter] to [sample, filter, pixel], a few pixels at a time."""
    n_pixels, stride = maps.shape[1], max(64, maps.strides[1])
    step = max(16, TRANSPOSED_BYTES // stride)
    for start in range(0, n_pixels, step):
        few = slice(start, start + step)
        np.copyto(out[:, :, few], maps[:, few].swapaxes(1, 2))


def _reduced(maps: NDArray[np.floating], work: _Work) -> dict[str, NDArray[Any]]:
    """One block, [sample, pixel, filter]: each reduction, [sample, filter].

    Mean and m2 are in float64. Products with ones are faster than sums, and squares less the square
    of the sum faster than deviations, which are taken for the few maps where that cancels.
    """
    n, n_pixels, _ = maps.shape
    pixels, wide, zero = work.pixels[:n], work.wide[:n], work.zero[:n]
    _transpose(maps, pixels)
    np.copyto(zero, pixels == 0)
    n_zero = zero @ np.ones(n_pixels, dtype=np.float32)  # exact: maps are below 2**24 pixels
    np.copyto(wide, pixels)
    with np.errstate(invalid="ignore", over="ignore"):
        mean = wide @ np.full(n_pixels, 1 / n_pixels)
        squares = np.vecdot(wide, wide)
        m2 = squares - n_pixels * mean**2
    lost = m2 < CANCELLED * squares
    if lost.any():
        deviation = wide[lost] - mean[lost][:, np.newaxis]
        m2[lost] = np.vecdot(deviation, deviation)
    n_values = np.full(mean.shape, n_pixels, dtype=np.int64)
    low = high = pixels
    if not np.isfinite(m2).all():  # a value is not finite, or its square is not
        finite = np.isfinite(pixels)
        n_values = np.count_nonzero(finite, axis=2)
        low, high = np.where(finite, pixels, np.inf), np.where(finite, pixels, -np.inf)
        known = np.where(finite, pixels, 0).astype(np.float64)
        mean = known.sum(axis=2) / np.maximum(n_values, 1)
        deviation = np.where(finite, known - mean[:, :, np.newaxis], 0)
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


def _of_single_pixels(values: NDArray[np.floating]) -> Pooled:
    """Of a dense or globally pooled layer, <float>[sample, filter]: each value is its own map.

    0.75 ms for 256 x 1x1x1000 values, 7 ms when taken as maps.
    """
    finite = np.isfinite(values)
    first = np.zeros(values.shape, dtype=np.int32)
    return Pooled(
        n_pixels=1,
        n_values=finite.astype(np.int64),
        n_zero=(values == 0).astype(np.int64),
        mean=np.where(finite, values, 0).astype(np.float64),
        m2=np.zeros(values.shape),
        min=np.where(finite, values, np.inf).astype(values.dtype),
        max=np.where(finite, values, -np.inf).astype(values.dtype),
        max_y=first,
        max_x=first,
    )
