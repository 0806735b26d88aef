"""The shapes of chunks: pure arithmetic, no HDF5."""

from __future__ import annotations

import math
from collections.abc import Sequence

# The dashboard mostly reads all filters of one sample. Below 8 KiB a sample costs less than the
# overhead of a chunk, so several share one; over 256 KiB a reader of one filter inflates too much.
SMALL_SAMPLE_BYTES = 8 << 10
LARGE_SAMPLE_BYTES = 256 << 10
TABLE_CHUNK_BYTES = 32 << 10
# A table of several arrays up to this size is one chunk: to inflate it takes half a millisecond.
SMALL_TABLE_BYTES = 128 << 10
# A map of 4096 x 4096 values is 64 MiB; the writer makes no chunk that inflates to more than this.
LARGEST_CHUNK_BYTES = 256 << 20


def activation_chunk(
    n_samples: int, shape: tuple[int, int, int], *, itemsize: int = 4
) -> tuple[int, int, int, int]:
    """The shape of a chunk of an activation array, (samples, y, x, filters).

    Args:
        n_samples: the length of the sample axis, at least 1.
        shape: the shape of one sample, (y, x, filter).
        itemsize: bytes of one value.
    """
    height, width, filters = shape
    map_bytes = height * width * itemsize
    sample_bytes = map_bytes * filters
    if sample_bytes < SMALL_SAMPLE_BYTES:
        rows = _power_of_two(-(-SMALL_SAMPLE_BYTES // sample_bytes))
        return min(n_samples, rows), height, width, filters
    if sample_bytes > LARGE_SAMPLE_BYTES:
        fitting = max(1, LARGE_SAMPLE_BYTES // map_bytes)
        n_blocks = -(-filters // fitting)
        # Blocks of equal width: HDF5 pads the last one of them to a whole chunk.
        return 1, height, width, -(-filters // n_blocks)
    return 1, height, width, filters


def table_chunk(shape: Sequence[int], *, itemsize: int, n_leading: int = 0) -> tuple[int, ...]:
    """The shape of a chunk of any other array: whole rows that fit in `TABLE_CHUNK_BYTES`.

    The number of rows is a power of two (or all rows), so such a chunk is at least half full.

    Args:
        shape: the shape of the array.
        itemsize: bytes of one value.
        n_leading: the number of axes along which a table holds several arrays: it is one chunk if
            it is small, else each array has chunks of its own.
    """
    if n_leading and itemsize * math.prod(shape) <= SMALL_TABLE_BYTES:
        return tuple(shape)
    shape = shape[n_leading:]
    limit = max(1, TABLE_CHUNK_BYTES // (itemsize * math.prod(shape[1:])))
    rows = limit if limit == _power_of_two(limit) else _power_of_two(limit) // 2
    return *(1 for _ in range(n_leading)), min(shape[0], rows), *shape[1:]


def _power_of_two(number: int) -> int:
    """The smallest power of two that is not below a number; chunks with such rows end together."""
    return 1 << (number - 1).bit_length()
