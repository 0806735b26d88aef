"""The chunk grid: which part of which chunk goes where, and values cut into chunks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmcore.selection import Picks

# The indices of an axis: a slice if possible, which is several times as fast as an array.
Index = slice | NDArray[np.int64]
# Where a chunk begins in its array, and the values of the whole chunk.
Block = tuple[tuple[int, ...], NDArray[Any]]
# Consecutive chunks: where the first begins in the array, and the values of each chunk.
Blocks = tuple[tuple[int, ...], list[NDArray[Any]]]


# A task for each chunk would take as long to hand over as to deflate. HDF5, which takes a run for
# one chunk, has room for sizes of at least 256 times the bytes of a chunk's values.
CHUNKS_PER_RUN = 64
RUN_BYTES = 4 << 20  # of values; a task holds them up to three times


class ChunkSlice(NamedTuple):
    """What one chunk contributes to a result along one axis.

    Attributes:
        chunk: the index of the chunk in the grid.
        in_chunk: indices of the values in the chunk.
        in_result: indices of the same values in the result.
    """

    chunk: int
    in_chunk: Index
    in_result: Index


def chunk_slices(picks: Picks, step: int) -> list[ChunkSlice]:
    """The chunks of an axis that hold the picked indices, each chunk once.

    Args:
        picks: the indices, in the order of the result.
        step: the length of a chunk along the axis.
    """
    if not len(picks):
        return []
    if isinstance(picks, range) and picks.step == 1:
        first, stop = picks.start, picks.stop
        return [
            ChunkSlice(
                chunk,
                slice(max(first - chunk * step, 0), min(stop - chunk * step, step)),
                slice(max(chunk * step - first, 0), min((chunk + 1) * step, stop) - first),
            )
            for chunk in range(first // step, (stop - 1) // step + 1)
        ]
    indices = np.asarray(picks, dtype=np.int64)
    chunks = indices // step
    order = np.argsort(chunks, kind="stable")
    starts = np.flatnonzero(np.diff(chunks[order], prepend=-1))
    return [
        ChunkSlice(
            chunk := int(chunks[rows[0]]), _index(indices[rows] - chunk * step), _index(rows)
        )
        for rows in np.split(order, starts[1:])
    ]


def _index(indices: NDArray[np.int64]) -> Index:
    first, step = int(indices[0]), int(indices[1] - indices[0]) if len(indices) > 1 else 1
    if step > 0 and (np.diff(indices) == step).all():
        return slice(first, int(indices[-1]) + 1, step)
    return indices


def copy_slice(
    out: NDArray[Any],
    in_result: tuple[Index, ...],
    chunk: NDArray[Any],
    in_chunk: tuple[Index, ...],
) -> None:
    """Copies a part of a chunk to its place in the result."""
    out[_outer_index(in_result, out.shape)] = chunk[_outer_index(in_chunk, chunk.shape)]


def _outer_index(indices: tuple[Index, ...], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """An index that numpy applies to each axis separately, even if several are arrays."""
    if not any(isinstance(index, np.ndarray) for index in indices):
        return indices
    return np.ix_(
        *(
            np.arange(size)[index] if isinstance(index, slice) else index
            for index, size in zip(indices, shape, strict=True)
        )
    )


def blocks(values: NDArray[Any], chunk: tuple[int, ...], start: int) -> Iterator[Block]:
    """Cuts values into whole chunks, not copied; the last is padded with zeros, as HDF5 does.

    Args:
        values: [sample, …], cut along the first and the last axis.
        chunk: the shape of a chunk of the array that gets the values.
        start: the row of the array that gets the first value, on the boundary of a chunk.
    """
    last = range(0, values.shape[-1], chunk[-1]) if values.ndim > 1 else range(1)
    for row in range(0, len(values), chunk[0]):
        for first in last:
            block = values[row : row + chunk[0]]
            corner: tuple[int, ...] = (start + row,)
            if values.ndim > 1:
                block = block[..., first : first + chunk[-1]]
                corner = (start + row, *[0] * (values.ndim - 2), first)
            if block.shape != chunk:
                padded = np.zeros(chunk, dtype=values.dtype)
                padded[tuple(map(slice, block.shape))] = block
                block = padded
            yield corner, block


def block_runs(
    values: NDArray[Any], chunk: tuple[int, ...], start: int, most: int
) -> Iterator[Blocks]:
    """Cuts values into whole chunks as `blocks` does, many chunks at a time.

    Args:
        values: [sample, …], cut along the first and the last axis.
        chunk: the shape of a chunk of the array that gets the values.
        start: the row of the array that gets the first value, on the boundary of a chunk.
        most: the largest number of chunks at a time.
    """
    if chunk == (1, *values.shape[1:]):  # one row a chunk: there are thousands
        for first in range(0, len(values), most):
            yield (start + first, *[0] * (values.ndim - 1)), list(values[first : first + most])
        return
    cut = blocks(values, chunk, start)
    while run := list(itertools.islice(cut, most)):
        yield run[0][0], [block for _, block in run]


def run_length(chunk_bytes: int) -> int:
    """How many chunks HDF5 gets as one.

    Args:
        chunk_bytes: bytes of the values of a chunk.
    """
    return max(1, min(CHUNKS_PER_RUN, RUN_BYTES // chunk_bytes))
