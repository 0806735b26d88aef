"""What the callbacks of the page hang on, and what a panel shows where a store is gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from dash import Input

from dashboard.pages import ids
from dashboard.pages.compare.about import said
from dashboard.pages.compare.pair import Pair, open_pair
from dashboard.pages.state import state_for
from dashboard.stores.source import Source
from fmcore import FmcoreError

T = TypeVar("T")
CONTROLS = {
    "with_store": (ids.COMPARE_WITH, "value"),
    "layer": (ids.COMPARE_LAYER, "value"),
    "other": (ids.COMPARE_OTHER, "value"),
    "filter_index": (ids.COMPARE_FILTER, "value"),
    "other_filter": (ids.COMPARE_OTHER_FILTER, "value"),
    "pairing": (ids.COMPARE_PAIRING, "value"),
    "sample": (ids.COMPARE_SAMPLE, "value"),
    "statistic": (ids.COMPARE_STATISTIC, "value"),
}
ALL_CONTROLS = {name: Input(*one) for name, one in CONTROLS.items()}


def controls(*names: str) -> dict[str, Input]:
    """Those that a panel hangs on, beside the two stores and their layers."""
    return {name: ALL_CONTROLS[name] for name in ("with_store", "layer", "other", *names)}


def say(source: Source, error: FmcoreError) -> str:
    """An error as a sentence, without where the stores lie on the server."""
    return said(error, *{path.parent for path in source.files.values()})


def try_pair(
    source: Source,
    values: Mapping[str, object],
    make: Callable[[Pair], T],
    nothing: Callable[[str], T],
) -> T:
    """What a panel makes of the two stores; where one is gone or broken, what says so."""
    try:
        return make(open_pair(source, state_for(source.snapshot().catalog, **values))[0])
    except FmcoreError as error:
        return nothing(say(source, error))
