"""The bytes of a chunk: HDF5's own filters, codecs made of them, and the checksum at the end.

To add a codec is to add an entry to `CODECS`: the trial of a layer's first samples weighs it, and
writing, reading and the checks of a file follow.

Measured on ReLU maps: ISA-L's deflate at level 1 without shuffle is about ten times as fast as
zlib and no larger, and any HDF5 reads it back without a plugin. Values without zeros hardly
deflate, so the codec of a layer is chosen by a trial on its first samples.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from isal import isal_zlib
from numcodecs import Fletcher32, Shuffle
from numpy.typing import NDArray

from fmcore.records import Compression
from fmcore.statistics.streaming.kernels import compiled
from fmcore.storage.kernels import set_checksums

# The bytes of a chunk, or its values.
Data = bytes | memoryview | NDArray[Any]

CHECKSUM_BYTES = 4
_CHECKSUM = Fletcher32()

# Checksums of many chunks at once: one at a time they are small calls that hold Python's lock, and
# cost the capture 0.2 s for 20,000 chunks, where a matrix product for many costs 0.05 s outside it.
# Data are summed in rows of this many bytes, two words of 16 bits as one number of 32: the sums of
# a row stay far below 2**53.
_ROW = 1024
_NUMBERS, _WORDS = _ROW // 4, _ROW // 2
_ZEROS = bytes(_ROW)
_ROWS = 128  # in one product: 256 KiB in float64, and too little for BLAS to start threads
# Smaller pieces are copied to lie together; of larger ones only what is left of the last row.
_LARGE = 64 << 10
# A word counts once in the first sum; in the second, once for itself and for each word after it.
# The upper word of a number counts once less than the lower one.
_WEIGHTS = np.stack([np.ones(_NUMBERS), _WORDS - 2.0 * np.arange(_NUMBERS)], axis=1)

DEFLATE_LEVEL = 1
# Of 120 processes that deflated 86 small chunks, 6 made another stream of one of 32 to 192 bytes:
# of so few ISA-L does not always make the same. zlib does, and is as quick.
LEAST_ISAL_BYTES = 4 << 10
# Inflating in one call takes half the time of a stream that stops at a limit, but has no limit.
# Deflate makes at most 1,032 bytes of one: a chunk of this size inflates to 66 MB at most.
ONE_CALL_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter of HDF5.

    Attributes:
        name: its name.
        number: its number in HDF5's registry of filters.
        settings: what HDF5 needs to know to undo it.
        apply: filters the bytes of a chunk; gets the bytes, and those of one value.
        undo: gets the filtered bytes, those of one value, and the size of the chunk, which it must
            not exceed by much. Raises ValueError if the bytes are not what `apply` makes.
    """

    name: str
    number: int
    settings: tuple[int, ...]
    apply: Callable[[Data, int], bytes]
    undo: Callable[[bytes | memoryview, int, int], bytes]


def _inflate(data: bytes | memoryview, _: int, size: int) -> bytes:
    """Inflates a zlib stream; to more than `size` bytes only if the stream is short."""
    try:
        if len(data) <= ONE_CALL_BYTES:
            return bytes(isal_zlib.decompress(data, bufsize=size + 1))
        return bytes(isal_zlib.decompressobj().decompress(data, size + 1))
    except isal_zlib.error as error:  # type: ignore[misc]
        raise ValueError(f"it is not a zlib stream: {error}") from error


def deflate(data: Data) -> bytes:
    """Deflates bytes to a zlib stream, without Python's lock; the same bytes to the same stream."""
    size = len(data) if isinstance(data, bytes) else data.nbytes
    if size < LEAST_ISAL_BYTES:
        return zlib.compress(data if isinstance(data, bytes) else data.tobytes(), DEFLATE_LEVEL)
    return bytes(isal_zlib.compress(data, DEFLATE_LEVEL))


_DEFLATE = Filter("deflate", 1, (DEFLATE_LEVEL,), lambda data, _: deflate(data), _inflate)
_SHUFFLE = Filter(
    "shuffle",
    2,
    (),
    lambda data, itemsize: Shuffle(itemsize).encode(data),
    lambda data, itemsize, _: Shuffle(itemsize).decode(data),
)


@dataclass(frozen=True, slots=True)
class Codec:
    """The filters of an array's chunks, before the checksum that all chunks have.

    Two codecs of the same filters with the same settings cannot be told apart in a file.

    Attributes:
        filters: in the order in which they are applied.
        worth: of those that compress, a layer gets this codec if it leaves less than this share
            of what the best one before it in `CODECS` leaves, since it costs more at every read.
    """

    filters: tuple[Filter, ...]
    worth: float = 1.0

    @property
    def name(self) -> str:
        """The names of its filters, such as `shuffle+deflate`; `none` without any."""
        return "+".join(step.name for step in self.filters) or "none"

    @property
    def content_encoding(self) -> str | None:
        """HTTP's name for a chunk as it is stored, empty for plain values; None if it has none."""
        return {(): "", ("deflate",): "deflate"}.get(tuple(step.name for step in self.filters))

    def __reduce__(self) -> tuple[Callable[[str], Codec], tuple[str]]:
        return _codec_of, (self.name,)  # a worker has the functions of the filters itself


NONE = Codec(())
DEFLATE = Codec((_DEFLATE,))
# Shuffle costs a pass at every read, and the browser cannot undo it.
SHUFFLE_DEFLATE = Codec((_SHUFFLE, _DEFLATE), 0.9)
# The cheapest to read first.
CODECS = (NONE, DEFLATE, SHUFFLE_DEFLATE)


def _codec_of(name: str) -> Codec:
    return next(codec for codec in CODECS if codec.name == name)


# What must be left at most for a layer to be compressed unless a person says so. To deflate 1 GB
# of maps takes 1.2 to 3 s of one core, to inflate it 2 to 3 s at every read; the disks that were
# measured write 1 GB in 2.6 to 3.5 s. On two cores a capture gains nothing above two thirds.
WORTHWHILE = 2 / 3


def encode(blocks: Sequence[NDArray[Any]], codec: Codec = DEFLATE) -> list[bytes]:
    """Encodes chunks: the filtered bytes of each, followed by four bytes of checksum.

    Args:
        blocks: the values of each whole chunk.
        codec: the filters.
    """
    data, sizes = encode_together(blocks, codec)
    ends = itertools.accumulate(sizes)
    return [bytes(data[end - size : end]) for end, size in zip(ends, sizes, strict=True)]


def encode_together(
    blocks: Sequence[NDArray[Any]], codec: Codec = DEFLATE
) -> tuple[memoryview, list[int]]:
    """Encodes chunks as they lie in the file back to back; values without filters are copied once.

    Args:
        blocks: the values of each whole chunk, at least one.
        codec: the filters.

    Returns:
        The filtered bytes of each chunk with its checksum, and how many these are.

    Raises:
        MissingLibraryError: if numba is not installed.
    """
    pieces: Sequence[bytes | NDArray[Any]] = blocks
    if codec.filters:
        pieces = [apply_filters(block, codec) for block in blocks]
    sizes = [
        CHECKSUM_BYTES + (len(piece) if isinstance(piece, bytes) else piece.nbytes)
        for piece in pieces
    ]
    ends = np.cumsum(sizes)
    data = np.empty(ends[-1], np.uint8)
    for piece, size, end in zip(pieces, sizes, ends.tolist(), strict=True):
        chunk = data[end - size : end - CHECKSUM_BYTES].data
        if isinstance(piece, bytes):
            chunk[:] = piece
        else:  # it may be cut out of a larger array: NumPy copies it without Python's lock
            np.ndarray(piece.shape, piece.dtype, buffer=chunk)[...] = piece
    compiled(set_checksums)(data, ends)
    return data.data, sizes


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


@dataclass(frozen=True, slots=True)
class Choice:
    """How the chunks of a layer are made.

    Attributes:
        codec: the filters.
        ratio: the share of the values' bytes that it leaves, by a trial.
        words: the name of the codec, and why it is this one.
    """

    codec: Codec
    ratio: float
    words: str


def choose(blocks: Sequence[NDArray[Any]], compression: Compression = Compression.AUTO) -> Choice:
    """Tries the codecs on some chunks of a layer; only their values count, so it can be repeated.

    Args:
        blocks: the values of whole chunks, at least one.
        compression: whether to compress: where it pays, always or never.
    """
    if compression == Compression.NONE:
        return Choice(NONE, 1.0, f"{NONE.name}, as asked for")
    raw = sum(block.nbytes for block in blocks)
    best, least = NONE, math.inf
    for codec in CODECS[1:]:
        ratio = sum(len(apply_filters(block, codec)) for block in blocks) / raw
        if ratio < codec.worth * least:
            best, least = codec, ratio
    if compression == Compression.DEFLATE:
        return Choice(best, least, f"{best.name}, as asked for; it leaves {least:.0%} of the bytes")
    if least > WORTHWHILE:
        words = f"{NONE.name}: {best.name} would leave {least:.0%} of the bytes"
        return Choice(NONE, 1.0, words)
    return Choice(best, least, f"{best.name}: it leaves {least:.0%} of the bytes")


def apply_filters(block: NDArray[Any], codec: Codec) -> bytes:
    """The filtered bytes of a chunk, without a checksum."""
    data: Data = np.ascontiguousarray(block)
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
    wholes = np.where(sizes >= _LARGE, sizes // _ROW, 0)  # rows that are not copied
    rests = [piece[whole * _ROW :] for piece, whole in zip(pieces, wholes.tolist(), strict=True)]
    padded = b"".join(part for rest in rests for part in (rest, _ZEROS[: -len(rest) % _ROW]))
    large = [
        np.frombuffer(piece, "<u4", whole * _NUMBERS)
        for piece, whole in zip(pieces, wholes.tolist(), strict=True)
        if whole
    ]
    rows = [each.reshape(-1, _NUMBERS) for each in (*large, np.frombuffer(padded, "<u4"))]
    first, second = np.concatenate([_row_sums(each) for each in rows]).T
    # Of each row: its piece, and its place in it.
    n_rests = -(-(sizes - wholes * _ROW) // _ROW)
    of_piece = np.concatenate([np.repeat(np.arange(len(sizes)), n) for n in (wholes, n_rests)])
    place = np.concatenate([_counts(wholes), _counts(n_rests) + np.repeat(wholes, n_rests)])
    behind = (-(-sizes // 2))[of_piece] - _WORDS * (place + 1)
    first = _modulo(first)
    high, low = (
        # Sums of numbers below 2**16, exact in float64.
        np.bincount(of_piece, _modulo(terms), len(sizes)).astype(np.int64)
        for terms in (second + first * behind, first)
    )
    # Swapping the bytes of all words multiplies their sum by 256, modulo 65535 (RFC 1071).
    high, low = (_modulo(256 * _modulo(sums)) for sums in (high, low))
    return (high << 16 | low).astype("<u4")


def _row_sums(rows: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Both sums of the words of each row, not reduced, <int64>[row, 2]: see `_WEIGHTS`."""
    sums = np.empty((len(rows), 2), np.int64)
    for start in range(0, len(rows), _ROWS):
        block = rows[start : start + _ROWS]
        part = sums[start : start + _ROWS]
        part[:] = block.astype(np.float64) @ _WEIGHTS
        part[:, 1] -= (block >> np.uint32(16)).sum(axis=1, dtype=np.uint32)
    return sums


def _counts(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, … for each size, one after the other."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def _modulo(sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums modulo 65535 as HDF5 takes it: a multiple of 65535, except 0, becomes 65535."""
    return np.where(sums > 0, (sums - 1) % 65535 + 1, 0)
