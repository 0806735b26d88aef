"""What there is to choose from in a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fmcore.records import Target


@dataclass(frozen=True, slots=True)
class Catalog:
    """What there is to choose from.

    Attributes:
        n_filters: for each layer's path, how many filters it has; at least one layer.
        n_samples: how many samples, at least 1.
        class_names: the name of each class.
        statistics: the names of the statistics.
        has_classes: whether samples are told apart by class.
        has_predictions: whether the model predicts one.
        has_outcomes: whether a prediction is correct or wrong.
        target: what kind of answer the model gives.
        measured: what was measured of each class and filter, the name of one of `MEASURES`; empty
            for nothing.
    """

    n_filters: Mapping[str, int]
    n_samples: int
    class_names: tuple[str, ...]
    statistics: tuple[str, ...]
    has_classes: bool = True
    has_predictions: bool = True
    has_outcomes: bool = True
    target: Target = Target.CLASS
    measured: str = ""

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of all that Classes shows of each class and filter: statistics, and costs."""
        return (*self.statistics, self.measured) if self.measured else self.statistics

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that samples are told apart by; none where all are in one."""
        return self.class_names if self.has_classes else ()

    @property
    def row_names(self) -> tuple[str, ...]:
        """What each row of a statistic of classes stands for."""
        return self.classes or ("all samples",)
