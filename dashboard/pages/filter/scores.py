"""How well a filter tells classes, each number beside what chance would give."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.chance import band_words, verdict
from dashboard.components.controls import empty
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.table import Cell, table
from dashboard.figures.theme import Theme
from dashboard.pages.page import Panel
from dashboard.pages.state import State, query_for
from dashboard.pages.words import why_no_classes
from dashboard.stores.snapshot import Snapshot
from fmcore.numbers import number_text
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
        why: why the value is undefined, as far as is known.
    """

    value: float
    low: float = float("nan")
    high: float = float("nan")
    two_sided: bool = True
    why: str = ""

    @property
    def verdict(self) -> str:
        """The value beside chance, in words."""
        if not math.isfinite(self.value):
            return self.why or "undefined"
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
    reasons = {index: f"no. {place} by ROC-AUC" for place, index in enumerate(best, 1)}
    if class_index is not None:
        why = ", ".join(filter(None, ("selected", reasons.pop(class_index, ""))))
        reasons = {class_index: why} | reasons

    def score(name: str, index: int) -> Score:
        band = bands[name]
        ends = None if band is None else band[:, index, filter_index]
        why = snapshot.why_none(layer, name, index, filter_index)
        return _score(name, values[name][index], ends, why)

    return [
        ClassScores(
            index,
            int(snapshot.class_sizes[index]),
            why,
            {name: score(name, index) for name in names},
        )
        for index, why in reasons.items()
    ]


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
    stored = snapshot.statistics(layer)
    return [name for name in names if name in stored] or names


def not_pooled(snapshot: Snapshot, layer: str, filter_index: int) -> dict[str, Score]:
    """The numbers of the filter that have nothing to do with classes, by name."""
    return _scores(snapshot, layer, filter_index, NOT_POOLED)


def _scores(
    snapshot: Snapshot, layer: str, filter_index: int, names: Iterable[str]
) -> dict[str, Score]:
    def score(name: str) -> Score:
        if STATISTICS[name].made_of == "kernel" and name not in snapshot.statistics(layer):
            return _score(name, np.float64(math.nan), None, snapshot.layer(layer).why_no_kernel)
        band = snapshot.chance(layer, name)
        ends = None if band is None else band[:, filter_index]
        why = snapshot.why_none(layer, name, filter_index)
        return _score(name, snapshot.statistic(layer, name)[filter_index], ends, why)

    return {name: score(name) for name in names}


def _score(name: str, value: np.generic, ends: NDArray[np.float64] | None, why: str) -> Score:
    low, high = (math.nan, math.nan) if ends is None else ends.tolist()
    return Score(float(value), low, high, STATISTICS[name].two_sided, why)


def draw(snapshot: Snapshot, state: State, _: Theme) -> list[Node]:
    """Both tables of scores, and before them why there are none."""
    where = (snapshot, state.layer, state.filter_index)
    n_samples, n_classes = snapshot.catalog.n_samples, len(snapshot.catalog.class_names)
    if not snapshot.catalog.has_classes:
        words = f"Scores say how well a filter tells classes. {why_no_classes(snapshot)}"
        numbers = not_pooled(*where)
        body = [[name, value, f"{n_samples:,}"] for name, value in _not_pooled_cells(numbers)]
        return [
            empty(words, title="No classes"),
            table("Scores over all samples", ["Over all samples", "Value", "n"], body),
        ]
    classes = of_class(*where, state.class_index)  # says best why there are none
    alerts = [
        dmc.Alert(reason, color="yellow", variant="light") for reason in undefined_reasons(*where)
    ]
    words = (
        f"{len(classes)} of {n_classes:,} classes: the selected one, and those that the filter "
        "tells best. Below each value lies the band in which chance would put 95% of filters that "
        "know nothing of the class. What is within it is gray, and says nothing; below it, the "
        "filter responds less to the class than to others."
    )
    return [
        *alerts,
        dmc.Text(words, size="sm", c="dimmed"),
        _class_table(snapshot, state, classes),
        _filter_table(of_filter(*where), n_samples),
    ]


def _class_table(snapshot: Snapshot, state: State, classes: Sequence[ClassScores]) -> Node:
    """How well each of some classes, a column each, is told from all others; a name selects it."""
    head: list[Cell] = [[html.Span("Class"), html.Small("against all others")]]
    for column in classes:
        query = query_for(
            snapshot.catalog,
            layer=state.layer,
            filter_index=state.filter_index,
            class_index=column.class_index,
        )
        name = dcc.Link(snapshot.catalog.class_names[column.class_index], href=f"filter{query}")
        head.append([name, html.Small(f"n = {column.n:,}"), html.Small(column.why)])
    body: list[list[Cell]] = [
        [
            [_title(family), html.Small(f"pooled {pooling}")],
            *(score_cell(column.scores[f"{family}_{pooling}"]) for column in classes),
        ]
        for family in OF_CLASS
        for pooling in POOLINGS
    ]
    return table("Scores of classes", head, body)


def _filter_table(scores: dict[str, Score], n_samples: int) -> Node:
    """The scores over all classes, a row each."""
    body: list[list[Cell]] = [
        [
            [_title(family)],
            *(score_cell(scores[f"{family}_{pooling}"]) for pooling in POOLINGS),
            f"{n_samples:,}",
        ]
        for family in OF_FILTER
    ]
    body += [[name, value, "", f"{n_samples:,}"] for name, value in _not_pooled_cells(scores)]
    head: list[Cell] = ["Over all classes", *(f"Pooled {name}" for name in POOLINGS), "n"]
    return table("Scores over all classes", head, body)


def _not_pooled_cells(scores: dict[str, Score]) -> list[tuple[Cell, Cell]]:
    """Name and value of each number that is made of all values."""
    return [
        ([_title(name)], [*score_cell(scores[name])[:1], html.Small(_basis(name))])
        for name in NOT_POOLED
    ]


def _basis(name: str) -> str:
    """What a statistic is of that has nothing to do with a pooled table."""
    return "of its weights" if STATISTICS[name].origin == "kernel" else "of all values, not pooled"


def _title(family: str) -> Node:
    """A statistic's title without its pooled table, and its definition as a tool tip."""
    about = _ABOUT[family]
    title = about.title.removesuffix(f" of pooled {POOLINGS[0]}")
    return html.Span(title, title=about.definition)


def score_cell(score: Score) -> list[Node]:
    """The value; below it what chance would give, and in words whether it is beyond."""
    words = score.verdict
    if not math.isfinite(score.value):
        text = number_text(score.value) if math.isinf(score.value) else "–"
        return [html.B(text), html.Small(words)]
    value = number_text(score.value, digits=4)
    beyond = words in ("above chance", "below chance")
    if score.has_band:
        words += f": {band_words(score.low, score.high, two_sided=score.two_sided, digits=3)}"
    return [html.B(value) if beyond else html.Span(value, className="dim"), html.Small(words)]


PANEL = Panel(
    "scores",
    draw,
    needs=("layer", "filter_index", "class_index"),
    title="Scores, beside what chance gives",
)
