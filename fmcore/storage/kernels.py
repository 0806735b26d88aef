"""The checksum of chunks that are stored as they are, compiled when first used.

The function is plain Python on arrays; `compiled` makes machine code of it. Only writers use it: a
reader needs no compiler, and takes five times as long with NumPy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Words whose sums are taken before they are reduced: these stay far below 2**64.
SUMMED_WORDS = 4096


def append_checksum(words: NDArray[np.uint16]) -> None:
    """Sets the last two words to the Fletcher32 checksum of the others, as HDF5 computes it.

    Fletcher 1982, "An arithmetic checksum for serial transmissions", over big-endian words of 16
    bits, sums modulo 65535, where a multiple of it, except 0, counts as 65535.

    Args:
        words: <uint16, little-endian>[word], at least two.
    """
    modulus, unit = np.uint64(65535), np.uint64(1)
    n_words = len(words) - 2
    simple, weighted = np.uint64(0), np.uint64(0)
    for start in range(0, n_words, SUMMED_WORDS):
        part = words[start : min(start + SUMMED_WORDS, n_words)]
        total, moment = np.uint64(0), np.uint64(0)
        for index in range(len(part)):
            word = np.uint64(part[index])
            total += word
            moment += word * np.uint64(len(part) - index)
        weighted += simple * np.uint64(len(part)) + moment
        simple += total
        if simple > 0:
            simple, weighted = (simple - unit) % modulus + unit, (weighted - unit) % modulus + unit
    # Swapping the bytes of all words multiplies their sums by 256, modulo 65535 (RFC 1071).
    if simple > 0:
        swap = np.uint64(256)
        simple, weighted = (simple * swap - unit) % modulus + unit, weighted * swap
        weighted = (weighted - unit) % modulus + unit
    words[n_words], words[n_words + 1] = simple, weighted
