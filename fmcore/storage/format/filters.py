"""HDF5's own filters as functions of bytes, and the codecs that are made of them.

To add a codec is to add an entry to `CODECS`: the trial of a layer's first samples weighs it, and
writing, reading and the checks of a file follow. The checksum that ends every chunk is no part of
it, see `fmcore.storage.chunks.codec`.

Measured on ReLU maps: ISA-L's deflate at level 1 without shuffle is about ten times as fast as
zlib and no larger, and any HDF5 reads it back without a plugin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from isal import isal_zlib
from numcodecs import Shuffle
from numpy.typing import NDArray

# The bytes of a chunk, or its values.
Data = bytes | memoryview | NDArray[Any]

DEFLATE_LEVEL = 1
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


_DEFLATE = Filter(
    "deflate",
    1,
    (DEFLATE_LEVEL,),
    lambda data, _: isal_zlib.compress(data, DEFLATE_LEVEL),
    _inflate,
)
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
        worth: a layer gets this codec if it leaves less than this share of what the best codec
            before it in `CODECS` leaves, since it costs more at every read. So a codec that does
            not make anything smaller is never chosen.
    """

    filters: tuple[Filter, ...]
    worth: float

    @property
    def name(self) -> str:
        """The names of its filters, such as `shuffle+deflate`; `none` without any."""
        return "+".join(step.name for step in self.filters) or "none"

    @property
    def content_encoding(self) -> str | None:
        """HTTP's name for a chunk as it is stored, empty for plain values; None if it has none."""
        return {(): "", ("deflate",): "deflate"}.get(tuple(step.name for step in self.filters))


NONE = Codec((), 1.0)
# Deflate that leaves nearly everything is not worth inflating again at every read.
DEFLATE = Codec((_DEFLATE,), 0.95)
# Shuffle costs a pass at every read, and the browser cannot undo it.
SHUFFLE_DEFLATE = Codec((_SHUFFLE, _DEFLATE), 0.9)
# The cheapest to read first.
CODECS = (NONE, DEFLATE, SHUFFLE_DEFLATE)
