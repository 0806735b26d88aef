"""The accumulators of one layer, which can be merged, saved and restored."""

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
    """Rounding errors of float16 values against the float32 values they were made from.

    Attributes:
        largest_error: <float64>[], the largest |float16 - float32| of values that stayed finite.
        n_overflow: <int64>[], the number of finite values beyond 65,504, which became infinite.
    """

    largest_error: NDArray[np.float64]
    n_overflow: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Self:
        """An accumulator that has seen nothing."""
        return cls(np.zeros(()), np.zeros((), dtype=np.int64))

    @classmethod
    def of(cls, values: NDArray[np.float32], rounded: NDArray[np.float16]) -> Self:
        """The errors of one batch, given as float32 and as float16, both [sample, y, x, filter]."""
        with np.errstate(invalid="ignore"):
            error = np.abs(rounded.astype(np.float32) - values)
        overflow = np.count_nonzero(np.isinf(error) & np.isfinite(values))
        finite = error[np.isfinite(error)]
        largest = finite.max() if finite.size else 0.0
        return cls(np.asarray(largest, dtype=np.float64), np.asarray(overflow, dtype=np.int64))

    def merge(self, other: Self) -> Self:
        """The errors of both sets of values together; associative."""
        return type(self)(
            np.maximum(self.largest_error, other.largest_error),
            np.asarray(self.n_overflow + other.n_overflow),
        )


@dataclass(slots=True)
class LayerAccumulators:
    """The accumulators of one layer.

    Attributes:
        moments: the moments of each class and filter.
        maps: the mean map and standard deviation map of each class and filter; None if they would
            not fit in memory.
        histogram: the histogram of each class and filter; None if histograms would not fit in
            memory or are off.
        rounding: the rounding errors of storing as float16; None if float16 is not stored.
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
        """Accumulators that have seen nothing.

        Args:
            n_classes: the number of classes.
            shape: (y, x, filter) of one sample.
            factors: pixels (y, x) that the class maps average into one; None for no class maps.
            bits: the resolution of the histograms, see `Bins`; None for no histograms.
            rounded: whether float16 is stored.
        """
        maps = ClassMaps.empty(n_classes, shape, factors=factors) if factors else None
        histogram = Histogram.empty(n_classes, shape[2], bits=bits) if bits is not None else None
        rounding = Rounding.empty() if rounded else None
        return cls(Moments.empty(n_classes, shape[2]), maps, histogram, rounding)

    def add(self, values: NDArray[np.float32], labels: NDArray[np.int64], pooled: Pooled) -> None:
        """Adds a batch in place.

        Args:
            values: <float32>[sample, y, x, filter].
            labels: <int64>[sample], each in `range(n_classes)`.
            pooled: the reduction of `values`.
        """
        n_classes = len(self.moments.mean)
        self.moments = self.moments.merge(Moments.from_pooled(pooled, labels, n_classes=n_classes))
        if self.maps is not None:
            self.maps.add(values, labels)
        if self.histogram is not None:
            self.histogram.add(values, labels, pooled)

    def merge(self, other: Self) -> Self:
        """The accumulators of both sets of samples together; both must have the same kinds."""
        merged = {
            name: accumulator.merge(getattr(other, name))
            for name, accumulator in self._accumulators().items()
        }
        fields: dict[str, Any] = dict.fromkeys(_names(self)) | merged
        return type(self)(**fields)

    def scatter(self, empty: Self, present: NDArray[np.int64]) -> Self:
        """Expands accumulators of some classes to all classes; the others have seen nothing.

        Args:
            empty: accumulators of all classes that have seen nothing.
            present: <int64>[class], the classes of these accumulators, in order.
        """
        expanded: dict[str, Any] = dict.fromkeys(_names(self))
        for name, accumulator in self._accumulators().items():
            fields = {}
            for field in dataclasses.fields(accumulator):
                value = getattr(accumulator, field.name)
                all_classes = getattr(getattr(empty, name), field.name)
                if np.shape(value) != np.shape(all_classes):  # equal shapes have no class axis
                    all_classes = all_classes.copy()
                    all_classes[present] = value
                    value = all_classes
                fields[field.name] = value
            expanded[name] = type(accumulator)(**fields)
        return type(self)(**expanded)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays that a store keeps, by path in the layer's group."""
        moments = self.moments.read_out()
        arrays = {f"class/{name}": array for name, array in moments.items()}
        arrays["filters/apoz"] = self.moments.zero_share()
        if self.maps is not None:
            arrays |= {f"class/{name}": array for name, array in self.maps.read_out().items()}
        if self.histogram is not None:
            arrays["class/histogram"] = self.histogram.counts
            arrays["bin_bounds"] = Bins.numbering(self.histogram.counts.shape[2]).bounds
        return arrays

    def state(self) -> dict[str, NDArray[Any]]:
        """All values, by `accumulator/field`; `restored` reads them back without loss."""
        return {
            f"{name}/{field.name}": np.asarray(getattr(accumulator, field.name))
            for name, accumulator in self._accumulators().items()
            for field in dataclasses.fields(accumulator)
        }

    def restored(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Accumulators of the same kinds as these, with a saved `state`."""
        accumulators: dict[str, Any] = dict.fromkeys(_names(self))
        for name, accumulator in self._accumulators().items():
            kind = type(accumulator)
            fields = [field.name for field in dataclasses.fields(kind)]
            accumulators[name] = kind(**{field: state[f"{name}/{field}"] for field in fields})
        return type(self)(**accumulators)

    def _accumulators(self) -> dict[str, Any]:
        """The accumulators that are not None, by name."""
        fields = {name: getattr(self, name) for name in _names(self)}
        return {name: value for name, value in fields.items() if value is not None}


def _names(accumulators: LayerAccumulators) -> list[str]:
    return [field.name for field in dataclasses.fields(accumulators)]
