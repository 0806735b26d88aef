"""How well a filter tells classes, each number beside what chance would give; no components."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.pages.chance import verdict
from dashboard.stores.source import Snapshot
from fmcore.statistics import (
    CLASS_FILTER,
    POOLINGS,
    STATISTICS,
    WHY_UNDEFINED,
    Defined,
    score_families,
    unpooled_statistics,
)

OF_CLASS = score_families(CLASS_FILTER)
OF_FILTER = score_families(("filter",))
NOT_POOLED = unpooled_statistics(("filter",))
_ABOUT = OF_CLASS | OF_FILTER | NOT_POOLED
# Classes that are shown beside the selected one: those that the filter tells best.
BEST = 3


@dataclass(frozen=True, slots=True)
class Score:
    """A number and the band in which chance would put it.

    Attributes:
        value: NaN where it is undefined.
        low: the lower end of the band, NaN where there is none.
        high: the upper end.
        two_sided: whether a value below the band is a finding.
    """

    value: float
    low: float = float("nan")
    high: float = float("nan")
    two_sided: bool = True

    @property
    def verdict(self) -> str:
        """Beside chance, in words."""
        if not math.isfinite(self.value):
            return "undefined"
        if not self.has_band:
            return "no chance level"
        return verdict(self.value, self.low, self.high, two_sided=self.two_sided)

    @property
    def has_band(self) -> bool:
        """Whether there is a chance level; its ends may be infinite, as those of d′."""
        return not (math.isnan(self.low) or math.isnan(self.high))


@dataclass(frozen=True, slots=True)
class ClassScores:
    """The scores of one class, by the names of statistics.

    Attributes:
        class_index: the class.
        n: its samples.
        why: why it is shown.
        scores: by name.
    """

    class_index: int
    n: int
    why: str
    scores: dict[str, Score]


def undefined_reasons(snapshot: Snapshot, layer: str, filter_index: int) -> list[str]:
    """Why the filter has no scores, a sentence for each pooled table of which it has none.

    Raises:
        StatisticNotFoundError: if the store has no scores at all.
    """
    codes = {name: int(snapshot.undefined(layer, name)[filter_index]) for name in POOLINGS}
    return [
        f"Scores of pooled {pooling} are undefined: the filter is {WHY_UNDEFINED[Defined(code)]}."
        for pooling, code in codes.items()
        if code != Defined.YES
    ]


def of_class(
    snapshot: Snapshot, layer: str, filter_index: int, class_index: int | None
) -> list[ClassScores]:
    """The selected class, and those that the filter tells best by ROC-AUC.

    Raises:
        StatisticNotFoundError: if the store has no scores, with the reason.
    """
    names = _stored(snapshot, layer, OF_CLASS)
    values = {name: snapshot.statistic(layer, name)[:, filter_index] for name in names}
    bands = {name: snapshot.chance(layer, name) for name in names}
    best = best_classes(np.stack([values[f"auc_{pooling}"] for pooling in POOLINGS]), BEST)
    shown = {index: f"no. {place} by ROC-AUC" for place, index in enumerate(best, 1)}
    if class_index is not None:
        shown = {class_index: _selected(shown.get(class_index))} | {
            index: why for index, why in shown.items() if index != class_index
        }

    def score(name: str, index: int) -> Score:
        band = bands[name]
        ends = None if band is None else band[:, index, filter_index]
        return _score(name, values[name][index], ends)

    return [
        ClassScores(
            index,
            int(snapshot.class_sizes[index]),
            why,
            {name: score(name, index) for name in names},
        )
        for index, why in shown.items()
    ]


def _selected(why: str | None) -> str:
    return "selected" if why is None else f"selected, {why}"


def best_classes(auc: NDArray[np.float64], most: int) -> list[int]:
    """Classes by the larger of their ROC-AUCs, <float64>[pooling, class]; undefined ones never."""
    larger = np.fmax.reduce(auc)
    order = np.argsort(-np.nan_to_num(larger, nan=-1.0), kind="stable")[:most]
    return [int(index) for index in order if np.isfinite(larger[index])]


def of_filter(snapshot: Snapshot, layer: str, filter_index: int) -> dict[str, Score]:
    """The scores over all classes, by the names of statistics.

    Raises:
        StatisticNotFoundError: if the store has no scores, with the reason.
    """
    names = _stored(snapshot, layer, OF_FILTER)
    return _scores(snapshot, layer, filter_index, (*names, *NOT_POOLED))


def _stored(snapshot: Snapshot, layer: str, families: Iterable[str]) -> list[str]:
    """The scores of a store on each pooled table; all of the families where it has none of them.

    A store may be older than a score.
    """
    names = [f"{family}_{pooling}" for family in families for pooling in POOLINGS]
    there = snapshot.statistics(layer)
    return [name for name in names if name in there] or names


def not_pooled(snapshot: Snapshot, layer: str, filter_index: int) -> dict[str, Score]:
    """What is known of the filter that has nothing to do with classes, by name."""
    return _scores(snapshot, layer, filter_index, NOT_POOLED)


def _scores(
    snapshot: Snapshot, layer: str, filter_index: int, names: Iterable[str]
) -> dict[str, Score]:
    def score(name: str) -> Score:
        band = snapshot.chance(layer, name)
        ends = None if band is None else band[:, filter_index]
        return _score(name, snapshot.statistic(layer, name)[filter_index], ends)

    return {name: score(name) for name in names}


def _score(name: str, value: np.generic, ends: NDArray[np.float64] | None) -> Score:
    low, high = (math.nan, math.nan) if ends is None else ends.tolist()
    return Score(float(value), low, high, STATISTICS[name].two_sided)


def title(family: str) -> str:
    """What a person reads for a statistic, without its pooled table."""
    return _ABOUT[family].title.removesuffix(f" of pooled {POOLINGS[0]}")


def meaning(family: str) -> str:
    """Its definition, for the pooled mean where it is of one."""
    return _ABOUT[family].definition
