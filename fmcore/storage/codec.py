"""How the bytes of a chunk are made and read: shuffle, deflate, Fletcher32, as HDF5's own filters.

Measured on ReLU maps: ISA-L's deflate at level 1 without shuffle is about ten times as fast as
zlib and no larger, and any HDF5 reads it back without a plugin. Other outputs (GELU, BatchNorm) are
not ReLU maps, so what a layer gets is tried on its first samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from isal import isal_zlib
from numcodecs import Fletcher32, Shuffle
from numpy.typing import NDArray

from fmcore.storage.checksum import fletcher32

DEFLATE_LEVEL = 1
CHECKSUM_BYTES = 4
# Inflating in one call takes half the time of a stream that stops at a limit, but has no limit.
# Deflate makes at most 1,032 bytes of one: this much can become 66 MB and no more.
ONE_CALL_BYTES = 64 << 10
# Deflate that saves less than this is not worth inflating again at every read.
LARGEST_RATIO = 0.95
# Shuffle costs a pass at every read, and the browser cannot undo it: it must save this much.
SHUFFLE_GAIN = 0.9
_CHECKSUM = Fletcher32()


@dataclass(frozen=True, slots=True)
class Codec:
    """Which filters the chunks of an array pass, before the checksum that all of them bear.

    Attributes:
        shuffle: the bytes of all values are sorted by their place in the value.
        deflate: a zlib stream.
    """

    shuffle: bool = False
    deflate: bool = True

    @property
    def name(self) -> str:
        """`none`, `deflate` or `shuffle+deflate`."""
        return "+".join([*["shuffle"] * self.shuffle, *["deflate"] * self.deflate]) or "none"


DEFLATE = Codec()
NONE = Codec(deflate=False)
SHUFFLE_DEFLATE = Codec(shuffle=True)


def encode(blocks: Sequence[NDArray[Any]], codec: Codec = DEFLATE) -> list[bytes]:
    """The stored bytes of chunks: what the filters make of each, and four bytes of checksum.

    Args:
        blocks: the values of each whole chunk, contiguous.
        codec: their filters.
    """
    filtered = [_filtered(block, codec) for block in blocks]
    sums = fletcher32(filtered).tobytes()
    ends = range(0, len(sums), CHECKSUM_BYTES)
    return [one + sums[at : at + CHECKSUM_BYTES] for one, at in zip(filtered, ends, strict=True)]


def decode(
    data: bytes, dtype: np.dtype[Any], shape: Sequence[int], codec: Codec = DEFLATE
) -> NDArray[Any]:
    """The values of one chunk, its checksum verified.

    Raises:
        ValueError: if the bytes are not those of a chunk of this type and shape.
    """
    return unfiltered(verified(data), dtype, shape, codec)


def unfiltered(
    data: bytes | memoryview, dtype: np.dtype[Any], shape: Sequence[int], codec: Codec
) -> NDArray[Any]:
    """The same of bytes whose checksum is verified and stripped.

    Raises:
        ValueError: as `decode`.
    """
    size = math.prod(shape) * dtype.itemsize
    if codec.deflate:
        data = _inflated(data, size)
    if len(data) != size:
        raise ValueError(f"the chunk holds {len(data):,} bytes, expected {size:,}")
    if codec.shuffle:
        data = Shuffle(dtype.itemsize).decode(data)
    return np.frombuffer(data, dtype).reshape(shape)


def _inflated(data: bytes | memoryview, size: int) -> bytes:
    """What a zlib stream holds; more than `size` bytes only where that is known to be harmless."""
    try:
        if len(data) <= ONE_CALL_BYTES:
            return bytes(isal_zlib.decompress(data, bufsize=size + 1))
        return bytes(isal_zlib.decompressobj().decompress(data, size + 1))
    except isal_zlib.error as error:  # type: ignore[misc]
        raise ValueError(f"no zlib stream: {error}") from error


def first_damaged(chunks: Sequence[bytes | memoryview]) -> int | None:
    """Which of some chunks does not fit the checksum at its end, all seen at once; None for none.

    Args:
        chunks: at least one, each with its checksum and longer than that.
    """
    sums = fletcher32([chunk[:-CHECKSUM_BYTES] for chunk in chunks])
    stated = np.frombuffer(b"".join(chunk[-CHECKSUM_BYTES:] for chunk in chunks), sums.dtype)
    damaged = np.flatnonzero(sums != stated)
    return int(damaged[0]) if len(damaged) else None


def verified(data: bytes) -> bytes:
    """The bytes of a chunk without their checksum.

    Raises:
        ValueError: if the checksum does not fit.
    """
    try:
        return bytes(_CHECKSUM.decode(data))
    except RuntimeError as error:
        raise ValueError(f"its checksum does not fit: {error}") from error


def creation_properties(chunk: tuple[int, ...], codec: Codec = DEFLATE) -> h5py.h5p.PropDCID:
    """The properties of an array whose chunks are made by `encode`, or by HDF5 in the same way."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk(chunk)
    if codec.shuffle:
        properties.set_shuffle()
    if codec.deflate:
        properties.set_deflate(DEFLATE_LEVEL)
    properties.set_fletcher32()  # last: the checksum covers the bytes on the disk
    properties.set_obj_track_times(False)
    return properties


def codec_of(array: h5py.Dataset) -> Codec | None:
    """The codec of an array in a file, or None where it has other filters than ours."""
    properties = array.id.get_create_plist()
    filters = [properties.get_filter(index)[0] for index in range(properties.get_nfilters())]
    for codec in (DEFLATE, NONE, SHUFFLE_DEFLATE):
        expected = [h5py.h5z.FILTER_SHUFFLE] * codec.shuffle
        expected += [h5py.h5z.FILTER_DEFLATE] * codec.deflate
        if filters == [*expected, h5py.h5z.FILTER_FLETCHER32]:
            return codec
    return None


def choose(blocks: Sequence[NDArray[Any]]) -> tuple[Codec, float]:
    """Tries the codecs on the first chunks of a layer.

    Returns:
        The codec, and its bytes as a share of the values' own.
    """
    raw = sum(block.nbytes for block in blocks)
    ratios = {
        codec: sum(len(_filtered(block, codec)) for block in blocks) / raw
        for codec in (DEFLATE, SHUFFLE_DEFLATE)
    }
    best = SHUFFLE_DEFLATE if ratios[SHUFFLE_DEFLATE] < SHUFFLE_GAIN * ratios[DEFLATE] else DEFLATE
    return (best, ratios[best]) if ratios[best] <= LARGEST_RATIO else (NONE, 1.0)


def _filtered(block: NDArray[Any], codec: Codec) -> bytes:
    data = Shuffle(block.dtype.itemsize).encode(block) if codec.shuffle else block
    return isal_zlib.compress(data, DEFLATE_LEVEL) if codec.deflate else bytes(data)
