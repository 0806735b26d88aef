"""Chunks: pure arithmetic on shapes and arrays, no HDF5."""

from __future__ import annotations

import math
from collections.abc import Sequence

# The dashboard's main read is all filters of one sample. Under 8 KiB a sample the overhead of a
# chunk outweighs it, so several share one; over 256 KiB a reader of one filter inflates too much.
SMALL_SAMPLE_BYTES = 8 << 10
LARGE_SAMPLE_BYTES = 256 << 10
TABLE_CHUNK_BYTES = 32 << 10


def activation_chunk(
    n_samples: int, shape: tuple[int, int, int], *, itemsize: int = 4
) -> tuple[int, int, int, int]:
    """The chunk of an activation array, (samples, y, x, filters).

    Args:
        n_samples: length of the sample axis, at least 1.
        shape: (y, x, filter) of one sample.
        itemsize: bytes of one value.
    """
    height, width, filters = shape
    map_bytes = height * width * itemsize
    sample_bytes = map_bytes * filters
    if sample_bytes < SMALL_SAMPLE_BYTES:
        rows = _power_of_two(-(-SMALL_SAMPLE_BYTES // sample_bytes))
        return min(n_samples, rows), height, width, filters
    if sample_bytes > LARGE_SAMPLE_BYTES:
        return 1, height, width, min(filters, max(1, LARGE_SAMPLE_BYTES // map_bytes))
    return 1, height, width, filters


def table_chunk(shape: Sequence[int], *, itemsize: int) -> tuple[int, ...]:
    """The chunk of any other array: whole rows, at least half of `TABLE_CHUNK_BYTES` of them."""
    fitting = max(1, TABLE_CHUNK_BYTES // (itemsize * math.prod(shape[1:])))
    rows = fitting if fitting == _power_of_two(fitting) else _power_of_two(fitting) // 2
    return min(shape[0], rows), *shape[1:]


def shard_rows(wanted: int, chunk_rows: Sequence[int], batch_size: int) -> int:
    """Samples of a shard: about as many as wanted, and whole batches and whole chunks of them.

    So that shards are joined chunk by chunk, and batches are the same with shards and without.
    """
    step = math.lcm(batch_size, *chunk_rows)
    return max(1, wanted // step) * step


def _power_of_two(number: int) -> int:
    """The smallest power of two that is not below a number; chunks of such rows end together."""
    return 1 << (number - 1).bit_length()


# A map of 4096 x 4096 values is 64 MiB; what inflates to more than this is no chunk of ours.
LARGEST_CHUNK_BYTES = 256 << 20
