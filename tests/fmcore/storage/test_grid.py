"""An array cut into chunks and put together again is the array; numpy says what a part of it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from fmcore.storage.chunks.grid import (
    CHUNKS_PER_RUN,
    RUN_BYTES,
    block_runs,
    blocks,
    chunk_slices,
    copy_slice,
    run_length,
)


@st.composite
def picked(draw, size: int):
    """Indices of an axis in any order, or evenly spaced ones."""
    if draw(st.booleans()):
        start, stop = draw(st.integers(0, size)), draw(st.integers(0, size))
        return range(start, stop, draw(st.integers(1, 4)))
    return np.array(draw(st.lists(st.integers(0, size - 1), max_size=12)), dtype=np.int64)


@given(st.data())
def test_parts_of_chunks_make_what_numpy_picks(data):
    size, step = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 15))
    picks = data.draw(picked(size))
    values = np.arange(size) + 100
    out = np.full(len(picks), -1)
    slices = chunk_slices(picks, step)
    for chunk, in_chunk, in_result in slices:
        whole = np.full(step, -2)  # beyond the end of the array nothing is picked
        part = values[chunk * step : (chunk + 1) * step]
        whole[: len(part)] = part
        copy_slice(out, (in_result,), whole, (in_chunk,))
    assert_array_equal(out, values[np.asarray(picks, dtype=np.int64)])
    # Each chunk is read once, and only if something of it is picked.
    assert [chunk for chunk, *_ in slices] == sorted({int(pick) // step for pick in picks})


@given(st.data())
def test_evenly_spaced_indices_are_slices(data):
    start, n, stride = (data.draw(st.integers(low, 9)) for low in (0, 1, 1))
    picks = range(start, start + n * stride, stride)
    for pick in (picks, np.array(picks)):
        for _, in_chunk, in_result in chunk_slices(pick, data.draw(st.integers(1, 9))):
            assert isinstance(in_chunk, slice)
            assert isinstance(in_result, slice)


@pytest.mark.parametrize("indices", [[3, 2, 1], [1, 1], [0, 1, 3]])
def test_what_is_not_evenly_spaced_or_does_not_ascend_is_an_array(indices):
    ((_, in_chunk, in_result),) = chunk_slices(np.array(indices), 10)
    assert_array_equal(in_chunk, indices)
    assert in_result == slice(0, len(indices), 1)


def test_each_axis_is_picked_by_itself():
    chunk, out = np.arange(24).reshape(4, 6), np.zeros((3, 2), int)
    rows, columns = np.array([3, 0, 0]), np.array([5, 1])
    copy_slice(out, (slice(0, 3), slice(0, 2)), chunk, (rows, columns))
    assert_array_equal(out, chunk[rows][:, columns])
    out = np.zeros((3, 4), int)
    copy_slice(out, (np.array([2, 0]), slice(1, 4, 2)), chunk, (slice(0, 2), np.array([4, 1])))
    assert_array_equal(out, [[0, 10, 0, 7], [0] * 4, [0, 4, 0, 1]])


@given(st.data())
def test_blocks_are_whole_chunks_padded_with_zeros_and_make_the_array(data):
    n_axes = data.draw(st.integers(1, 4))
    shape = tuple(data.draw(st.integers(1, 7)) for _ in range(n_axes))
    rows, last = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    chunk = (rows, *shape[1:-1], last) if n_axes > 1 else (rows,)
    start = data.draw(st.integers(0, 3)) * rows
    values = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)
    grown = [-(-size // step) * step for size, step in zip(shape, chunk, strict=True)]
    expected = np.zeros(grown, np.float32)
    expected[tuple(map(slice, shape))] = values
    out = np.full(grown, -1, np.float32)
    for corner, block in blocks(values, chunk, start):
        assert block.shape == chunk
        where = (corner[0] - start, *corner[1:])
        out[tuple(slice(at, at + step) for at, step in zip(where, chunk, strict=True))] = block
    assert_array_equal(out, expected)


def test_rows_that_are_chunks_are_not_copied():
    values = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    runs = list(block_runs(values, (1, 2, 3), 7, 3))
    assert [(corner, len(parts)) for corner, parts in runs] == [((7, 0, 0), 3), ((10, 0, 0), 1)]
    assert all(np.shares_memory(part, values) for _, parts in runs for part in parts)
    # Nor are blocks of filters: the thread that runs the model leaves that to those that encode.
    (_, parts), *_ = block_runs(values[..., :2], (1, 2, 1), 0, 9)
    assert len(parts) == 8
    assert all(np.shares_memory(part, values) for part in parts)


@pytest.mark.parametrize(
    ("chunk_bytes", "n"),
    [(1, CHUNKS_PER_RUN), (RUN_BYTES // CHUNKS_PER_RUN, CHUNKS_PER_RUN), (RUN_BYTES, 1),
     (RUN_BYTES // CHUNKS_PER_RUN + 1, CHUNKS_PER_RUN - 1), (RUN_BYTES // 2, 2), (1 << 40, 1)],
)  # fmt: skip
def test_a_run_holds_64_chunks_or_what_fits_4_mib(chunk_bytes, n):
    assert (CHUNKS_PER_RUN, RUN_BYTES) == (64, 4 << 20)
    assert run_length(chunk_bytes) == n
