"""Checksums as HDF5 has them, of many pieces of data at once: pure arithmetic on bytes.

One at a time they are small calls that hold Python's lock: of 20,000 chunks they cost the capture
0.2 s, where one matrix product for many chunks costs 0.05 s outside the lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Data are summed in pieces of so many bytes: a product of 256 words stays far below 2**53.
_PIECE = 512
_WORDS = _PIECE // 2
_ZEROS = bytes(_PIECE)
_ROWS = 512  # pieces in one product: 1 MiB in float64, and too little for BLAS to start threads
# A word counts once in the first sum, and once for itself and each word behind it in the second.
_WEIGHTS = np.stack([np.ones(_WORDS), _WORDS - np.arange(_WORDS)], axis=1)


def fletcher32(pieces: Sequence[bytes | memoryview]) -> NDArray[np.uint32]:
    """The checksum of HDF5's Fletcher32 filter of each piece, <uint32, little-endian>[piece].

    Fletcher 1982, "An arithmetic checksum for serial transmissions", over big-endian words of 16
    bits, sums modulo 65535. A chunk on the disk ends with its four bytes.

    Args:
        pieces: at least one, none of them empty, each below 256 MiB.
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
    # Folded before the sum too, which would pass 2**63 for a piece of 32 MiB.
    high, low = (
        _folded(np.add.reduceat(_folded(each), starts)) for each in (second + first * behind, first)
    )
    return (high << 16 | low).astype("<u4")


def _folded(sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """Modulo 65535 as HDF5 does it: what is divisible and not zero comes out as 65535."""
    return np.where(sums > 0, (sums - 1) % 65535 + 1, 0)


def lookup3(keys: Sequence[bytes]) -> list[bytes]:
    """The checksum that HDF5 puts behind its metadata, of each key: four bytes, as on the disk.

    Jenkins 2006, "lookup3.c", `hashlittle` with the initial value 0. All keys take their steps at
    the same time, a shorter one later, so that many cost little more than the longest.

    Args:
        keys: at least one, none of them empty.
    """
    order = sorted(range(len(keys)), key=lambda index: -len(keys[index]))
    lengths = np.array([len(keys[index]) for index in order])
    whole = np.maximum(0, (lengths - 1) // 12)  # the last 1 to 12 bytes are mixed in another way
    n_steps = int(whole.max())
    words = np.zeros((len(keys), n_steps + 1, 3), "<u4")
    for index, steps, row in zip(order, whole, words, strict=True):
        row.reshape(-1).view(np.uint8)[12 * (n_steps - steps) :][: len(keys[index])] = (
            np.frombuffer(keys[index], np.uint8)
        )
    sums = [(lengths + 0xDEADBEEF).astype(np.uint32) for _ in range(3)]
    n_taking = np.searchsorted(-whole, np.arange(n_steps) - n_steps, side="right")
    for n, step in zip(n_taking, words[:, :n_steps].transpose(1, 2, 0).copy(), strict=True):
        a, b, c = (each[:n] for each in sums)
        a += step[0, :n]
        b += step[1, :n]
        c += step[2, :n]
        for turn in ((4, 6, 8), (16, 19, 4)):
            a -= c
            a ^= _rotated(c, turn[0])
            c += b
            b -= a
            b ^= _rotated(a, turn[1])
            a += c
            c -= b
            c ^= _rotated(b, turn[2])
            b += a
    a, b, c = (each + last for each, last in zip(sums, words[:, n_steps].T, strict=True))
    c = (c ^ b) - _rotated(b, 14)
    a = (a ^ c) - _rotated(c, 11)
    b = (b ^ a) - _rotated(a, 25)
    c = (c ^ b) - _rotated(b, 16)
    a = (a ^ c) - _rotated(c, 4)
    b = (b ^ a) - _rotated(a, 14)
    c = (c ^ b) - _rotated(b, 24)
    found = dict(zip(order, c.astype("<u4"), strict=True))
    return [found[index].tobytes() for index in range(len(keys))]


def _rotated(words: NDArray[np.uint32], by: int) -> Any:
    return words << np.uint32(by) | words >> np.uint32(32 - by)
