"""The checksums of chunks that are written, compiled when first used.

The function is plain Python on arrays; `compiled` makes machine code of it. Only writers use it: a
reader needs no compiler, and takes six times as long with NumPy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Words whose sums are taken before they are reduced: these stay far below 2**64.
SUMMED_WORDS = 4096


def set_checksums(data: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
    """Sets the last four bytes of each chunk to the Fletcher32 checksum of the bytes before them.

    Fletcher 1982, "An arithmetic checksum for serial transmissions", as HDF5 computes it: over
    big-endian words of 16 bits, a last odd byte followed by a zero, sums modulo 65535, where a
    multiple of it, except 0, counts as 65535.

    Args:
        data: <uint8>[byte], chunks back to back, each at least four bytes long.
        ends: <int64>[chunk], one after the last byte of each.
    """
    modulus, unit = np.uint64(65535), np.uint64(1)
    swap, low_byte = np.uint64(256), np.uint64(255)
    start = 0
    for place in range(len(ends)):
        stop = ends[place] - 4
        simple, weighted = np.uint64(0), np.uint64(0)
        while start < stop:
            n_words = min(SUMMED_WORDS, (stop - start) // 2)
            total, moment = np.uint64(0), np.uint64(0)
            part = data[start : start + 2 * n_words]
            for index in range(n_words):
                high = np.uint64(part[2 * index + 1]) << np.uint64(8)
                word = np.uint64(part[2 * index]) | high
                total += word
                moment += word * np.uint64(n_words - index)
            weighted += simple * np.uint64(n_words) + moment
            simple += total
            start += 2 * n_words
            if start == stop - 1:
                simple += np.uint64(data[start])
                weighted += simple
                start = stop
            if simple > 0:
                simple = (simple - unit) % modulus + unit
                weighted = (weighted - unit) % modulus + unit
        # Swapping the bytes of all words multiplies their sums by 256, modulo 65535 (RFC 1071).
        if simple > 0:
            simple = (simple * swap - unit) % modulus + unit
            weighted = (weighted * swap - unit) % modulus + unit
        data[stop], data[stop + 1] = simple & low_byte, simple // swap
        data[stop + 2], data[stop + 3] = weighted & low_byte, weighted // swap
        start = ends[place]
