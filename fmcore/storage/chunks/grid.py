"""Which part of which chunk goes where, and values cut into chunks: pure arithmetic."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmcore.selection import Picks

# The same places in numpy's words: a slice where that is possible, which is several times as fast.
Index = slice | NDArray[np.int64]


# Where a chunk begins in its array, and the values of the whole chunk.
Block = tuple[tuple[int, ...], NDArray[Any]]
# The same of chunks that follow each other: where the first begins, and the values of each.
Blocks = tuple[tuple[int, ...], list[NDArray[Any]]]


class ChunkSlice(NamedTuple):
    """What one chunk contributes to a result along one axis.

    Attributes:
        chunk: the place of the chunk in the grid.
        in_chunk: indices of the values in the chunk.
        in_result: indices of the same values in the result.
    """

    chunk: int
    in_chunk: Index
    in_result: Index


def chunk_slices(picks: Picks, step: int) -> list[ChunkSlice]:
    """The chunks of an axis that hold some indices, each once.

    Args:
        picks: the indices, in the order in which they are wanted.
        step: of a chunk.
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
    wanted = np.asarray(picks, dtype=np.int64)
    places = wanted // step
    order = np.argsort(places, kind="stable")
    starts = np.flatnonzero(np.diff(places[order], prepend=-1))
    return [
        ChunkSlice(chunk := int(places[rows[0]]), _index(wanted[rows] - chunk * step), _index(rows))
        for rows in np.split(order, starts[1:])
    ]


def _index(numbers: NDArray[np.int64]) -> Index:
    first, step = int(numbers[0]), int(numbers[1] - numbers[0]) if len(numbers) > 1 else 1
    if step > 0 and (np.diff(numbers) == step).all():
        return slice(first, int(numbers[-1]) + 1, step)
    return numbers


def copy_slice(
    out: NDArray[Any],
    in_result: tuple[Index, ...],
    chunk: NDArray[Any],
    in_chunk: tuple[Index, ...],
) -> None:
    """Copies a part of a chunk to its place in the result."""
    out[_numpy(in_result, out.shape)] = chunk[_numpy(in_chunk, chunk.shape)]


def _numpy(indices: tuple[Index, ...], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Indices that numpy takes for each axis by itself, also where several are arrays."""
    if not any(isinstance(one, np.ndarray) for one in indices):
        return indices
    return np.ix_(
        *(
            np.arange(size)[one] if isinstance(one, slice) else one
            for one, size in zip(indices, shape, strict=True)
        )
    )


def blocks(values: NDArray[Any], chunk: tuple[int, ...], start: int) -> Iterator[Block]:
    """Cuts values into whole, contiguous chunks; the last is filled up with zeros, as HDF5 does.

    Args:
        values: [sample, …], cut along the first and the last axis.
        chunk: the chunk of the array they go to.
        start: the array's row of the first of them, on the boundary of a chunk.
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
                whole = np.zeros(chunk, dtype=values.dtype)
                whole[tuple(map(slice, block.shape))] = block
                block = whole
            yield corner, np.ascontiguousarray(block)


def block_runs(
    values: NDArray[Any], chunk: tuple[int, ...], start: int, most: int
) -> Iterator[Blocks]:
    """The same, many chunks at a time.

    Args:
        values: [sample, …].
        chunk: the chunk of the array they go to.
        start: the array's row of the first of them, on the boundary of a chunk.
        most: chunks at a time.
    """
    if chunk == (1, *values.shape[1:]):  # a row a chunk, of which there are thousands
        rows = np.ascontiguousarray(values)
        for first in range(0, len(rows), most):
            yield (start + first, *[0] * (values.ndim - 1)), list(rows[first : first + most])
        return
    cut = blocks(values, chunk, start)
    while some := list(itertools.islice(cut, most)):
        yield some[0][0], [block for _, block in some]
