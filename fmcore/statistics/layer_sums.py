"""All that accumulates for one layer while the samples stream by, mergeable and saveable."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.class_maps import ClassMaps
from fmcore.statistics.moments import Moments
from fmcore.statistics.pooled import Pooled
from fmcore.statistics.rounding import Rounding

Accumulator = Moments | ClassMaps | Rounding


@dataclass(slots=True)
class LayerSums:
    """The accumulators of one layer.

    Attributes:
        moments: of each class and filter.
        maps: the mean and spread map of each class, or None where they would not fit in memory.
        rounding: what storing as float16 costs, or None where it is not done.
    """

    moments: Moments
    maps: ClassMaps | None
    rounding: Rounding | None

    @classmethod
    def empty(
        cls,
        n_classes: int,
        shape: tuple[int, int, int],
        *,
        factors: tuple[int, int] | None = (1, 1),
        rounded: bool = False,
    ) -> Self:
        """Nothing seen yet.

        Args:
            n_classes: classes of the model.
            shape: (y, x, filter) of one sample.
            factors: pixels (y, x) that the class maps average into one; None for no class maps.
            rounded: whether float16 is stored.
        """
        maps = ClassMaps.empty(n_classes, shape, factors=factors) if factors else None
        return cls(Moments.empty(n_classes, shape[2]), maps, Rounding.empty() if rounded else None)

    def add(self, values: NDArray[np.float32], labels: NDArray[np.int64], pooled: Pooled) -> None:
        """Takes in a batch, <float32>[sample, y, x, filter], and its own reduction."""
        n_classes = len(self.moments.mean)
        self.moments = self.moments.merge(Moments.from_pooled(pooled, labels, n_classes=n_classes))
        if self.maps is not None:
            self.maps.add(values, labels)

    def merge(self, other: Self) -> Self:
        """Both sets of samples together; the same accumulators must be there."""
        merged = {
            name: one.merge(getattr(other, name)) for name, one in self._accumulators().items()
        }
        return type(self)(merged["moments"], merged.get("maps"), merged.get("rounding"))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a store keeps under `class/`."""
        return self.moments.read_out() | (self.maps.read_out() if self.maps is not None else {})

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything, by `accumulator/field`; `restored` takes it back bit by bit."""
        return {
            f"{name}/{field.name}": np.asarray(getattr(one, field.name))
            for name, one in self._accumulators().items()
            for field in dataclasses.fields(one)
        }

    def restored(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Accumulators of the same kinds with a saved state."""
        fresh: dict[str, Any] = {"maps": None, "rounding": None}
        for name, one in self._accumulators().items():
            kind = type(one)
            fields = [field.name for field in dataclasses.fields(one)]
            fresh[name] = kind(**{field: state[f"{name}/{field}"] for field in fields})
        return type(self)(**fresh)

    def _accumulators(self) -> dict[str, Any]:
        every = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: one for name, one in every.items() if one is not None}
