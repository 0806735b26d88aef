"""Encodes and decodes the bytes of a chunk: the filters of a codec, then the Fletcher32 checksum.

ReLU maps, GELU and BatchNorm compress differently, so the codec of a layer is chosen by a trial on
its first samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numcodecs import Fletcher32
from numpy.typing import NDArray

from fmcore.storage.chunks.grid import Blocks
from fmcore.storage.format.filters import CODECS, DEFLATE, NONE, Codec, Data

CHECKSUM_BYTES = 4
_CHECKSUM = Fletcher32()

# Checksums of many chunks at once: one at a time they are small calls that hold Python's lock, and
# cost the capture 0.2 s for 20,000 chunks, where a matrix product for many costs 0.05 s outside it.
# Data are summed in pieces of this many bytes: a product of 256 words stays far below 2**53.
_PIECE = 512
_WORDS = _PIECE // 2
_ZEROS = bytes(_PIECE)
_ROWS = 512  # pieces in one product: 1 MiB in float64, and too little for BLAS to start threads
# A word counts once in the first sum; in the second, once for itself and for each word after it.
_WEIGHTS = np.stack([np.ones(_WORDS), _WORDS - np.arange(_WORDS)], axis=1)


def encode(blocks: Sequence[NDArray[Any]], codec: Codec = DEFLATE) -> list[bytes]:
    """Encodes chunks: the filtered bytes of each, followed by four bytes of checksum.

    Args:
        blocks: the values of each whole chunk, contiguous.
        codec: the filters.
    """
    filtered = [_apply_filters(block, codec) for block in blocks]
    sums = fletcher32(filtered).tobytes()
    ends = range(0, len(sums), CHECKSUM_BYTES)
    return [data + sums[at : at + CHECKSUM_BYTES] for data, at in zip(filtered, ends, strict=True)]


def decode(
    data: bytes, dtype: np.dtype[Any], shape: Sequence[int], codec: Codec = DEFLATE
) -> NDArray[Any]:
    """Decodes the values of one chunk and verifies its checksum.

    Raises:
        ValueError: if the bytes are not a chunk of this type and shape.
    """
    return undo_filters(strip_checksum(data), dtype, shape, codec)


def undo_filters(
    data: bytes | memoryview, dtype: np.dtype[Any], shape: Sequence[int], codec: Codec
) -> NDArray[Any]:
    """Decodes the values of one chunk from its bytes without the checksum.

    Raises:
        ValueError: if the bytes are not a chunk of this type and shape.
    """
    size = math.prod(shape) * dtype.itemsize
    for step in reversed(codec.filters):
        data = step.undo(data, dtype.itemsize, size)
        _require_size(data, size)
    _require_size(data, size)
    return np.frombuffer(data, dtype).reshape(shape)


def _require_size(data: bytes | memoryview, size: int) -> None:
    if len(data) != size:
        raise ValueError(f"the chunk holds {len(data):,} bytes, expected {size:,}")


def first_damaged(chunks: Sequence[bytes | memoryview]) -> int | None:
    """The index of the first chunk that does not match its checksum; None if all match.

    Args:
        chunks: at least one chunk, each with the checksum at its end and longer than that.
    """
    sums = fletcher32([chunk[:-CHECKSUM_BYTES] for chunk in chunks])
    stated = np.frombuffer(b"".join(chunk[-CHECKSUM_BYTES:] for chunk in chunks), sums.dtype)
    damaged = np.flatnonzero(sums != stated)
    return int(damaged[0]) if len(damaged) else None


def strip_checksum(data: bytes) -> bytes:
    """Verifies the checksum of a chunk and returns the bytes before it.

    Raises:
        ValueError: if the checksum does not match.
    """
    try:
        return bytes(_CHECKSUM.decode(data))
    except RuntimeError as error:
        raise ValueError(f"its checksum does not match: {error}") from error


def choose(blocks: Sequence[NDArray[Any]]) -> tuple[Codec, float]:
    """Tries the codecs on the first chunks of a layer.

    Returns:
        The codec, and the share of the values' bytes that it leaves.
    """
    raw = sum(block.nbytes for block in blocks)
    best, least = NONE, 1.0
    for codec in CODECS[1:]:
        ratio = sum(len(_apply_filters(block, codec)) for block in blocks) / raw
        if ratio < codec.worth * least:
            best, least = codec, ratio
    return best, least


def _apply_filters(block: NDArray[Any], codec: Codec) -> bytes:
    data: Data = block
    for step in codec.filters:
        data = step.apply(data, block.dtype.itemsize)
    return data if isinstance(data, bytes) else bytes(data)


def fletcher32(pieces: Sequence[bytes | memoryview]) -> NDArray[np.uint32]:
    """The Fletcher32 checksum of each piece as HDF5 computes it, <uint32, little-endian>[piece].

    Fletcher 1982, "An arithmetic checksum for serial transmissions", over big-endian words of 16
    bits, sums modulo 65535. A chunk on the disk ends with its four bytes.

    Args:
        pieces: at least one, each of them not empty and below 256 MiB.
    """
    sizes = np.array([len(piece) for piece in pieces])
    padded = b"".join(part for piece in pieces for part in (piece, _ZEROS[: -len(piece) % _PIECE]))
    words = np.frombuffer(padded, ">u2").reshape(-1, _WORDS)
    sums = [
        words[start : start + _ROWS].astype(np.float64) @ _WEIGHTS
        for start in range(0, len(words), _ROWS)
    ]
    first, second = np.concatenate(sums).astype(np.int64).T
    n_rows = -(-sizes // _PIECE)
    starts = np.cumsum(n_rows) - n_rows
    row = np.arange(len(words)) - np.repeat(starts, n_rows)
    behind = np.repeat(-(-sizes // 2), n_rows) - _WORDS * (row + 1)
    # Reduced before the sum too, which would pass 2**63 for a piece of 32 MiB.
    high, low = (
        _modulo(np.add.reduceat(_modulo(terms), starts))
        for terms in (second + first * behind, first)
    )
    return (high << 16 | low).astype("<u4")


def _modulo(sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums modulo 65535 as HDF5 takes it: a multiple of 65535, except 0, becomes 65535."""
    return np.where(sums > 0, (sums - 1) % 65535 + 1, 0)


class ChunkRun(NamedTuple):
    """Consecutive chunks of one array, encoded as they will lie in the file.

    Attributes:
        corner: where the first chunk begins in the array.
        data: the bytes of the chunks, back to back.
        sizes: the number of bytes of each chunk.
    """

    corner: tuple[int, ...]
    data: bytes
    sizes: list[int]


def encode_run(blocks: Blocks, codec: Codec) -> ChunkRun:
    """Encodes consecutive chunks, at least one, as a run."""
    corner, values = blocks
    chunks = encode(values, codec)
    return ChunkRun(corner, b"".join(chunks), [len(chunk) for chunk in chunks])
