"""The two groups that Contrast is about, and the filter that its panels show."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dashboard.pages.state import State, query_for
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source
from fmcore.errors import SelectionError
from fmcore.statistics import Contrast

LETTERS = ("A", "B")


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of the two groups.

    Attributes:
        letter: A or B.
        text: its expression; empty where nobody wrote one.
        mask: <bool>[sample]; None where it cannot be looked up.
        problem: why it cannot; empty where it can.
    """

    letter: str
    text: str
    mask: NDArray[np.bool_] | None
    problem: str = ""

    @property
    def n(self) -> int:
        """How many samples it has."""
        return 0 if self.mask is None else int(np.count_nonzero(self.mask))


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """What panels are drawn from.

    Attributes:
        snapshot: the store.
        sides: A and B as they are written; an empty B is the rest.
        contrast: how each filter tells them apart; None where there is nothing to contrast.
        samples: <int64>[sample] of A and of B, ascending, that are compared: those of one group
            alone.
        problem: why there is nothing to contrast, though A is written; empty where there is.
    """

    snapshot: Snapshot
    sides: tuple[Side, Side]
    contrast: Contrast | None = None
    samples: tuple[NDArray[np.int64], ...] = ()
    problem: str = ""

    def best(self, most: int) -> list[tuple[str, int]]:
        """Layer and filter of some that have an AUC, from the one that tells the groups best."""
        contrast = self.contrast
        if contrast is None:
            return []
        rows = contrast.order()[: min(most, int(np.isfinite(contrast.auc).sum()))]
        places = zip(contrast.layer[rows].tolist(), contrast.filter[rows].tolist(), strict=True)
        return [(contrast.layers[layer], index) for layer, index in places]

    def row(self, layer: str, filter_index: int) -> int:
        """The row of the contrast that is about a filter."""
        sizes = self.snapshot.catalog.n_filters
        before = list(sizes).index(layer)
        return sum(list(sizes.values())[:before]) + filter_index


def sides_of(snapshot: Snapshot, a: str, b: str) -> tuple[Side, Side]:
    """Both groups by their expressions; whatever is wrong with one is in it, never raised."""
    first = _side(snapshot, "A", a)
    if b.strip() or first.mask is None:
        return first, _side(snapshot, "B", b)
    return first, Side("B", "", ~first.mask)


def _side(snapshot: Snapshot, letter: str, text: str) -> Side:
    if not text.strip():
        return Side(letter, "", None)
    try:
        return Side(letter, text, snapshot.group(text))
    except SelectionError as error:
        return Side(letter, text, None, str(error))


def subject_of(_: Source, snapshot: Snapshot, state: State) -> tuple[Groups, State]:
    """Both groups with their contrast, and the state with the filter that panels show.

    Raises:
        StatisticNotFoundError: if the store lacks the pooled table.
    """
    groups = groups_of(snapshot, state.group_a, state.group_b, state.pooled)
    if state.focus == "best" and (best := groups.best(1)):
        layer, filter_index = best[0]
        state = replace(state, layer=layer, filter_index=filter_index)
    return groups, state


def groups_of(snapshot: Snapshot, a: str, b: str, pooled: str) -> Groups:
    """Both groups with their contrast.

    Raises:
        StatisticNotFoundError: as `subject_of`.
    """
    sides = first, second = sides_of(snapshot, a, b)
    if first.mask is None or second.mask is None:
        return Groups(snapshot, sides)
    try:
        contrast = snapshot.contrast(first.text, second.text, pooled)
    except SelectionError as error:
        return Groups(snapshot, sides, problem=str(error))
    alone = first.mask & ~second.mask, second.mask & ~first.mask
    return Groups(snapshot, sides, contrast, tuple(map(np.flatnonzero, alone)))


def query(groups: Groups, state: State, layer: str, filter_index: int, **values: object) -> str:
    """The query of a link to a filter that keeps the groups."""
    return query_for(
        groups.snapshot.catalog,
        layer=layer,
        filter_index=filter_index,
        group_a=groups.sides[0].text,
        group_b=groups.sides[1].text,
        pooled=state.pooled,
        **values,
    )
