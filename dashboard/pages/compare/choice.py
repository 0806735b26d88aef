"""What the controls of the page hold after a choice; pure but for the stores it opens."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dashboard.pages.compare.pair import Pair, chosen_store, open_pair, other_stores
from dashboard.pages.state import State
from dashboard.stores.source import Source
from fmcore import FmcoreError

# What a person changed: then what hung on the choice before is forgotten.
STORE, LAYER, OTHER = "store", "layer", "other"


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Two stores, or why there are none.

    Attributes:
        pair: the stores; None where B cannot be shown.
        problem: why; empty where it can.
        notes: what a link asked for and there is not.
        names: the stores to choose from.
        name: the one that is B; empty for none.
    """

    pair: Pair | None
    problem: str = ""
    notes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    name: str = ""


def forgotten(shown: State, changed: str) -> State:
    """The state without what hung on what was changed: another layer has other filters."""
    if changed not in (STORE, LAYER, OTHER):
        return shown
    layer = shown.other if changed == OTHER else ""
    return replace(shown, other=layer, other_filter=None)


def choose(source: Source, shown: State) -> Choice:
    """The two stores that a state asks for; whatever is wrong is said, never raised."""
    name = shown.with_store
    names: tuple[str, ...] = ()
    try:
        first = source.snapshot()
        names = other_stores(source, first)
        name, note = chosen_store(source, first, shown.with_store)
        pair, more = open_pair(source, replace(shown, with_store=name))
    except FmcoreError as error:
        return Choice(None, str(error), names=names, name=name if name in names else "")
    return Choice(pair, notes=tuple(one for one in (note, more) if one), names=names, name=name)
