"""Which samples of a store have larger pooled values, kept small: any two groups are cut from it.

The ranks among two groups follow from the order of all samples by counting, so that no request
sorts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Values that are sorted at once; each takes about 30 bytes meanwhile.
SORTED_VALUES = 1 << 17


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """The samples in the order of their pooled values, for some filters.

    Attributes:
        order: <uint16 or uint32>[filter, rank], the samples, that of the smallest value first; 2
            bytes up to 65,536 samples. Those whose values are not finite come last.
        tied: <uint8>[filter, byte], a bit for each rank, as `np.packbits` makes them: whether its
            value equals that of the rank before. All that are not finite are equal.
        n_finite: <int64>[filter], how many values are finite.
        values: <float32>[sample, filter]; 0 where it is not finite.
    """

    order: NDArray[np.unsignedinteger]
    tied: NDArray[np.uint8]
    n_finite: NDArray[np.int64]
    values: NDArray[np.float32]

    @classmethod
    def of(cls, values: NDArray[np.floating]) -> Ranks:
        """Ranks the samples for each filter.

        Args:
            values: <float>[sample, filter], a pooled table; of float32 or less.
        """
        n_samples, n_filters = values.shape
        step = max(1, SORTED_VALUES // max(1, n_samples))
        starts = range(0, max(1, n_filters), step)
        return cls.join([cls._of_block(values[:, start : start + step]) for start in starts])

    @classmethod
    def _of_block(cls, values: NDArray[np.floating]) -> Ranks:
        columns = np.ascontiguousarray(values.T, dtype=np.float32)
        n_samples = columns.shape[1]
        finite = np.isfinite(columns)
        n_finite = np.count_nonzero(finite, axis=1)
        kept = values.astype(np.float32, copy=False)
        if (n_finite < n_samples).any():
            columns = np.where(finite, columns, np.inf)
            kept = np.where(finite.T, kept, 0)
        # Value and index in one integer, as in `scores.ranking`: several times as fast as argsort.
        bits = (columns + np.float32(0)).view(np.int32)  # + 0: -0.0 equals 0.0
        keys = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)
        keys <<= 32
        keys |= np.arange(n_samples, dtype=np.int64)
        keys.sort(axis=1)
        order = keys.astype(_code_type(n_samples))  # the lower bits
        keys >>= 32
        tied = np.zeros(columns.shape, np.bool_)
        np.equal(keys[:, 1:], keys[:, :-1], out=tied[:, 1:])
        return cls(order, np.packbits(tied, axis=1), n_finite, kept)

    def part(self, filters: slice) -> Ranks:
        """The ranks of some of the filters, not copied."""
        return Ranks(
            self.order[filters],
            self.tied[filters],
            self.n_finite[filters],
            self.values[:, filters],
        )

    @classmethod
    def join(cls, parts: Sequence[Ranks]) -> Ranks:
        """The ranks of the filters of some parts, one after the other."""
        order, tied, n_finite = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("order", "tied", "n_finite")
        )
        return cls(order, tied, n_finite, np.concatenate([part.values for part in parts], axis=1))


def ranks_bytes(n_samples: int, n_filters: int) -> int:
    """How many bytes ranks of so many filters take: 6 or 8 for each pooled value, and a bit."""
    return n_filters * (n_samples * (_code_type(n_samples).itemsize + 4) + n_samples // 8 + 9)


def _code_type(n_samples: int) -> np.dtype[np.unsignedinteger]:
    return np.dtype(np.uint16 if n_samples <= 1 << 16 else np.uint32)
