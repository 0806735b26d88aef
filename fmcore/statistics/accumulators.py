"""The accumulators of one layer, which can be merged, saved and restored."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.registry import STATISTICS
from fmcore.statistics.streaming.batch import Accumulator, Batch, Extent
from fmcore.statistics.streaming.class_maps import ClassMaps
from fmcore.statistics.streaming.duplicates import Duplicates
from fmcore.statistics.streaming.moments import Moments
from fmcore.statistics.streaming.rounding import Rounding

A = TypeVar("A")

# Those that statistics are read from, and those whose arrays are no statistics.
ACCUMULATORS: tuple[type[Accumulator], ...] = tuple(
    dict.fromkeys(
        [
            *(statistic.basis for statistic in STATISTICS.values() if statistic.streams),
            ClassMaps,
            Duplicates,
            Rounding,
        ]
    )
)


@dataclass(slots=True)
class LayerAccumulators:
    """The accumulators of one layer.

    Attributes:
        by_kind: the accumulators that the extent does not leave out, by their class.
    """

    by_kind: dict[type[Any], Any]

    @classmethod
    def empty(cls, extent: Extent) -> Self:
        """Accumulators that have seen nothing."""
        kinds = {kind: kind.empty(extent) for kind in ACCUMULATORS}
        return cls({kind: empty for kind, empty in kinds.items() if empty is not None})

    def get(self, kind: type[A]) -> A | None:
        """The accumulator of a class; None if the layer has none."""
        accumulator: A | None = self.by_kind.get(kind)
        return accumulator

    @property
    def moments(self) -> Moments:
        """The moments, which every layer has."""
        moments: Moments = self.by_kind[Moments]
        return moments

    def add(self, batch: Batch) -> None:
        """Adds a batch in place."""
        for kind, accumulator in self.by_kind.items():
            self.by_kind[kind] = accumulator.add(batch)

    def merge(self, other: Self) -> Self:
        """The accumulators of both sets of samples together; both must have the same kinds."""
        return type(self)({kind: mine.merge(other.by_kind[kind]) for kind, mine in self._items()})

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays that a store keeps of the layer, by their names in the schema."""
        arrays = {
            name: statistic.compute(self.by_kind[statistic.basis])
            for name, statistic in STATISTICS.items()
            if statistic.streams and statistic.is_stored
        }
        for _, accumulator in self._items():
            arrays |= accumulator.arrays()
        return arrays

    def state(self) -> dict[str, NDArray[Any]]:
        """All values, by `Accumulator.field`; `restored` reads them back without loss."""
        return {
            f"{kind.__name__}.{field.name}": np.asarray(value)
            for kind, accumulator in self._items()
            for field, value in zip(
                dataclasses.fields(accumulator), _values(accumulator), strict=True
            )
        }

    def restored(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Accumulators of the same kinds as these, with a saved `state`."""
        return type(self)(
            {
                kind: kind(
                    *(
                        state[f"{kind.__name__}.{field.name}"]
                        for field in dataclasses.fields(accumulator)
                    )
                )
                for kind, accumulator in self._items()
            }
        )

    def _items(self) -> list[tuple[type[Any], Any]]:
        return list(self.by_kind.items())


def _values(accumulator: Any) -> list[NDArray[Any]]:
    """The arrays of an accumulator, in the order of its fields."""
    return [getattr(accumulator, field.name) for field in dataclasses.fields(accumulator)]
