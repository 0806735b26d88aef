"""Which places of the order of the samples a group has, at random or all there are.

If samples of two groups are exchanged, any places are as probable as any others, whatever a filter
is: all filters share the draws.
"""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
from numpy.typing import NDArray

# Places that are sorted at once, which stay in a core's cache.
SORTED_PLACES = 1 << 16


def every_draw(n: int, length: int) -> NDArray[np.int32]:
    """All subsets of `length` of `n` places, <int32>[draw, length]."""
    flat = chain.from_iterable(combinations(range(n), length))
    return np.fromiter(flat, np.int32).reshape(-1, length)


def random_draws(
    n: int, length: int, n_draws: int, numbers: np.random.Generator
) -> NDArray[np.int32]:
    """Places without repetition, in random order, <int32>[draw, length].

    So the first ones of each row are such draws too. Places are drawn with repetition, and each
    that equals one before it in its row is drawn again, as if one was drawn after the other.

    Args:
        n: the number of places.
        length: how many are drawn, at most `n`.
        n_draws: the number of rows.
        numbers: random numbers.
    """
    places = numbers.integers(n, size=(n_draws, length), dtype=np.int32)
    rows = np.arange(n_draws)
    step = max(1, SORTED_PLACES // max(1, length))
    while len(rows):
        parts = [_repeated(places, rows[at : at + step], n) for at in range(0, len(rows), step)]
        again, column = (np.concatenate(part) for part in zip(*parts, strict=True))
        places[again, column] = numbers.integers(n, size=len(again), dtype=np.int32)
        rows = np.unique(again)
    return places


def _repeated(
    places: NDArray[np.int32], rows: NDArray[np.intp], n: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """In which of some rows, and where, a place equals one before it."""
    length = places.shape[1]
    bits = max(1, (length - 1).bit_length())
    kind = np.int32 if n << bits < 1 << 31 else np.int64
    keys: NDArray[np.signedinteger] = places[rows].astype(kind, copy=False)
    np.left_shift(keys, bits, out=keys)
    np.bitwise_or(keys, np.arange(length, dtype=kind), out=keys)
    keys.sort(axis=1)
    of_place = keys >> bits
    equal = np.zeros(keys.shape, np.bool_)
    np.equal(of_place[:, 1:], of_place[:, :-1], out=equal[:, 1:])
    at = np.flatnonzero(equal)
    return rows[at // length], keys.ravel()[at] & ((1 << bits) - 1)
