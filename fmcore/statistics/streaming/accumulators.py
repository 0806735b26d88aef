"""All that accumulates for one layer while the samples stream by, mergeable and saveable."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.streaming.class_maps import ClassMaps
from fmcore.statistics.streaming.histogram import Bins, Histogram
from fmcore.statistics.streaming.moments import Moments
from fmcore.statistics.streaming.reduction import Pooled


@dataclass(frozen=True, slots=True, eq=False)
class Rounding:
    """Errors of float16 against the float32 it was made from.

    Attributes:
        largest_error: <float64>[], largest |float16 - float32| of finite values within range.
        n_overflow: <int64>[], finite values beyond 65,504 that became infinite.
    """

    largest_error: NDArray[np.float64]
    n_overflow: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Self:
        """Nothing seen yet."""
        return cls(np.zeros(()), np.zeros((), dtype=np.int64))

    @classmethod
    def of(cls, values: NDArray[np.float32], rounded: NDArray[np.float16]) -> Self:
        """The errors of one batch, both [sample, y, x, filter]."""
        with np.errstate(invalid="ignore"):
            error = np.abs(rounded.astype(np.float32) - values)
        overflow = np.count_nonzero(np.isinf(error) & np.isfinite(values))
        known = error[np.isfinite(error)]
        largest = known.max() if known.size else 0.0
        return cls(np.asarray(largest, dtype=np.float64), np.asarray(overflow, dtype=np.int64))

    def merge(self, other: Self) -> Self:
        """Both sets of values together; associative."""
        return type(self)(
            np.maximum(self.largest_error, other.largest_error),
            np.asarray(self.n_overflow + other.n_overflow),
        )


Accumulator = Moments | ClassMaps | Histogram | Rounding


@dataclass(slots=True)
class LayerAccumulators:
    """The accumulators of one layer.

    Attributes:
        moments: of each class and filter.
        maps: the mean and spread map of each class, or None where they would not fit in memory.
        histogram: of each class and filter, or None where it would not fit or is not asked for.
        rounding: what storing as float16 costs, or None where it is not done.
    """

    moments: Moments
    maps: ClassMaps | None
    histogram: Histogram | None
    rounding: Rounding | None

    @classmethod
    def empty(
        cls,
        n_classes: int,
        shape: tuple[int, int, int],
        *,
        factors: tuple[int, int] | None = (1, 1),
        bits: int | None = None,
        rounded: bool = False,
    ) -> Self:
        """Nothing seen yet.

        Args:
            n_classes: classes of the model.
            shape: (y, x, filter) of one sample.
            factors: pixels (y, x) that the class maps average into one; None for no class maps.
            bits: how fine histograms are, see `Bins`; None for none.
            rounded: whether float16 is stored.
        """
        maps = ClassMaps.empty(n_classes, shape, factors=factors) if factors else None
        histogram = Histogram.empty(n_classes, shape[2], bits=bits) if bits is not None else None
        rounding = Rounding.empty() if rounded else None
        return cls(Moments.empty(n_classes, shape[2]), maps, histogram, rounding)

    def add(self, values: NDArray[np.float32], labels: NDArray[np.int64], pooled: Pooled) -> None:
        """Takes in a batch, <float32>[sample, y, x, filter], and its own reduction."""
        n_classes = len(self.moments.mean)
        self.moments = self.moments.merge(Moments.from_pooled(pooled, labels, n_classes=n_classes))
        if self.maps is not None:
            self.maps.add(values, labels)
        if self.histogram is not None:
            self.histogram.add(values, labels, pooled)

    def merge(self, other: Self) -> Self:
        """Both sets of samples together; the same accumulators must be there."""
        merged = {
            name: one.merge(getattr(other, name)) for name, one in self._accumulators().items()
        }
        every: dict[str, Any] = dict.fromkeys(_names(self)) | merged
        return type(self)(**every)

    def scatter(self, empty: Self, present: NDArray[np.int64]) -> Self:
        """The same accumulators of more classes, of which some saw nothing.

        Args:
            empty: fresh ones, of all classes.
            present: <int64>[class], which of them these are of, in order.
        """
        every: dict[str, Any] = dict.fromkeys(_names(self))
        for name, one in self._accumulators().items():
            fields = {}
            for field in dataclasses.fields(one):
                few, all_of_them = (
                    getattr(one, field.name),
                    getattr(getattr(empty, name), field.name),
                )
                if np.shape(few) != np.shape(all_of_them):  # what is not of classes stays
                    all_of_them = all_of_them.copy()
                    all_of_them[present] = few
                    few = all_of_them
                fields[field.name] = few
            every[name] = type(one)(**fields)
        return type(self)(**every)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a store keeps, by path in the layer's group."""
        moments = self.moments.read_out()
        found = {f"class/{name}": array for name, array in moments.items()}
        found["filters/apoz"] = self.moments.zero_share()
        if self.maps is not None:
            found |= {f"class/{name}": array for name, array in self.maps.read_out().items()}
        if self.histogram is not None:
            found["class/histogram"] = self.histogram.counts
            found["bin_bounds"] = Bins.numbering(self.histogram.counts.shape[2]).bounds
        return found

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything, by `accumulator/field`; `restored` takes it back bit by bit."""
        return {
            f"{name}/{field.name}": np.asarray(getattr(one, field.name))
            for name, one in self._accumulators().items()
            for field in dataclasses.fields(one)
        }

    def restored(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Accumulators of the same kinds with a saved state."""
        fresh: dict[str, Any] = dict.fromkeys(_names(self))
        for name, one in self._accumulators().items():
            kind = type(one)
            fields = [field.name for field in dataclasses.fields(one)]
            fresh[name] = kind(**{field: state[f"{name}/{field}"] for field in fields})
        return type(self)(**fresh)

    def _accumulators(self) -> dict[str, Any]:
        every = {name: getattr(self, name) for name in _names(self)}
        return {name: one for name, one in every.items() if one is not None}


def _names(sums: LayerAccumulators) -> list[str]:
    return [field.name for field in dataclasses.fields(sums)]
