"""A layer's part of a batch, and what every accumulator can do with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.streaming.reduction import Pooled


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The activations of one layer for some samples.

    Attributes:
        values: <float32>[sample, y, x, filter], the activations.
        labels: <int>[sample], the class of each sample, in `range(n_classes)`.
        pooled: the reduction of `values`.
        stored: <float32 or float16>[sample, y, x, filter], the activations as the store keeps them.
    """

    values: NDArray[np.float32]
    labels: NDArray[np.integer]
    pooled: Pooled
    stored: NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Extent:
    """What a layer's accumulators hold, and how finely, as far as memory allows.

    Attributes:
        n_classes: the number of classes.
        shape: (y, x, filter) of one sample.
        map_factors: pixels (y, x) that class maps average into one; None for no class maps.
        bin_bits: the resolution of histograms, see `Bins`; None for no histograms.
        float16: whether activations are stored as float16, so that rounding errors are counted.
    """

    n_classes: int
    shape: tuple[int, int, int]
    map_factors: tuple[int, int] | None = (1, 1)
    bin_bits: int | None = None
    float16: bool = False


class Accumulator(Protocol):
    """Sums over samples: those of any split of the samples merge to those of the whole.

    An accumulator is a dataclass whose fields are arrays, which checkpoints keep.
    """

    @classmethod
    def empty(cls, extent: Extent) -> Self | None:
        """An accumulator that has seen nothing; None if the extent leaves it out."""

    def add(self, batch: Batch) -> Self:
        """The sums with those of a batch; may change and return this accumulator."""

    def merge(self, other: Self) -> Self:
        """The sums of both sets of samples together; associative."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a store keeps of it beside its `STATISTICS`, by the names in the schema."""
