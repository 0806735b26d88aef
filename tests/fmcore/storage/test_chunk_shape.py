"""Chunks cover every element once and stay within bounds; group names are safe and unique."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmcore.storage.chunks import grid
from fmcore.storage.format import chunk_shape

SHAPES = [
    (26, 26, 16),
    (11, 11, 32),
    (14, 14, 512),
    (4, 4, 7),
    (224, 224, 64),
    (1, 1, 1000),
    (600, 600, 3),
    (1, 1, 1),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n_samples", [1, 5, 1000])
def test_a_chunk_holds_one_sample_unless_samples_are_small_or_large(shape, n_samples):
    rows, height, width, filters = chunk_shape.activation_chunk(n_samples, shape)
    assert (height, width) == shape[:2]
    sample_bytes = 4 * int(np.prod(shape))
    chunk_bytes = 4 * rows * height * width * filters
    assert 1 <= rows <= n_samples
    assert 1 <= filters <= shape[2]
    if sample_bytes < chunk_shape.SMALL_SAMPLE_BYTES:
        assert chunk_bytes >= chunk_shape.SMALL_SAMPLE_BYTES or rows == n_samples
        assert chunk_bytes < 2 * chunk_shape.SMALL_SAMPLE_BYTES
    elif sample_bytes > chunk_shape.LARGE_SAMPLE_BYTES:
        assert chunk_bytes <= chunk_shape.LARGE_SAMPLE_BYTES or filters == 1
    else:
        assert (rows, filters) == (1, shape[2])


@given(
    n_samples=st.integers(1, 5000),
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300), st.integers(1, 2000)),
    itemsize=st.sampled_from([2, 4]),
)
def test_every_chunk_is_large_enough_and_not_too_large(n_samples, shape, itemsize):
    check_bounds(n_samples, shape, itemsize)


@pytest.mark.parametrize("itemsize", [2, 4])
@pytest.mark.parametrize("n_samples", [1, 3, 10_000])
@pytest.mark.parametrize("shape", SHAPES)
def test_chunks_of_well_known_layers_are_within_bounds(shape, n_samples, itemsize):
    check_bounds(n_samples, shape, itemsize)


def check_bounds(n_samples, shape, itemsize):
    """Says nothing of the exact rows: how the planner rounds them is its own matter."""
    chunk = chunk_shape.activation_chunk(n_samples, shape, itemsize=itemsize)
    rows, height, width, filters = chunk
    assert (height, width) == shape[:2]
    assert 1 <= rows <= n_samples
    assert 1 <= filters <= shape[2]
    map_bytes, chunk_bytes = height * width * itemsize, int(np.prod(chunk)) * itemsize
    if map_bytes > chunk_shape.LARGE_SAMPLE_BYTES:
        assert (rows, filters) == (1, 1)
    else:
        assert chunk_bytes <= chunk_shape.LARGE_SAMPLE_BYTES
    assert chunk_bytes >= chunk_shape.SMALL_SAMPLE_BYTES or rows == n_samples
    n_blocks = -(-shape[2] // filters)
    assert n_blocks * filters - shape[2] < n_blocks  # less than one filter of a block is padding


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n_samples", [1, 2, 11])
def test_chunks_of_the_planner_cover_well_known_layers_once(shape, n_samples):
    rng = np.random.default_rng(0)
    values = rng.integers(1, 1000, (n_samples, *shape)).astype(np.float32)
    chunk = chunk_shape.activation_chunk(n_samples, shape)
    seen = np.zeros(values.shape, dtype=np.uint8)
    for corner, block in grid.blocks(values, chunk, 0):
        assert block.shape == chunk
        region = tuple(slice(at, at + size) for at, size in zip(corner, chunk, strict=True))
        inside = tuple(map(slice, values[region].shape))
        np.testing.assert_array_equal(block[inside], values[region])
        assert np.count_nonzero(block) == values[region].size  # what is beyond the end is zero
        seen[region] += 1
    assert (seen == 1).all()


@given(
    n=st.integers(1, 9),
    shape=st.tuples(*(st.integers(1, 4) for _ in range(3))),
    rows=st.integers(1, 4),
    step=st.integers(1, 4),
)
def test_blocks_cover_every_element_once(n, shape, rows, step):
    values = np.arange(n * np.prod(shape), dtype=np.float32).reshape(n, *shape) + 1
    chunk = (rows, shape[0], shape[1], min(step, shape[2]))
    padded = np.zeros((n + rows, *shape[:2], shape[2] + step), dtype=np.float32)
    for (row, _, _, first), block in grid.blocks(values, chunk, 0):
        assert block.shape == chunk
        region = padded[row : row + rows, :, :, first : first + chunk[3]]
        assert not region.any()
        region += block[: len(region), :, :, : region.shape[3]]
    np.testing.assert_array_equal(padded[:n, :, :, : shape[2]], values)
    assert padded.sum() == values.sum()
