"""Which filter of B goes with each filter of A."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.pages.compare.pair import Pair
from fmcore.numbers import fraction_text
from fmcore.statistics import Matches, match_filters

NONE = -1


def matches(pair: Pair) -> Matches:
    """Filters of A beside those of B by the correlation of their pooled means; kept."""
    paths = pair.layers

    def make() -> Matches:
        return match_filters(
            pair.first.layer(paths[0]).pooled("mean")[...],
            pair.second.layer(paths[1]).pooled("mean")[...],
        )

    return pair.first.derived(("matches", pair.second.digest, *paths), make)


def partners(pair: Pair) -> NDArray[np.int64]:
    """The filter of B that goes with each filter of A, <int64>[filter]; -1 for none."""
    if not pair.by_number:
        matched = matches(pair)
        return matched.one_to_one if pair.pairing == "one" else matched.best
    sizes = _sizes(pair)
    numbers = np.arange(sizes[0])
    return np.where(numbers < sizes[1], numbers, NONE)


def of_partners(values: NDArray[Any], filters: NDArray[np.int64]) -> NDArray[np.float64]:
    """The values of filters of B, [..., filter], in the order of their partners; NaN for none."""
    return np.where(filters < 0, np.nan, values[..., np.maximum(filters, 0)])


def partner(pair: Pair) -> int | None:
    """The filter of B beside that of A: what a person selected, else the one that goes with it."""
    if pair.state.other_filter is not None:
        return pair.state.other_filter
    number = int(partners(pair)[pair.state.filter_index])
    return None if number == NONE else number


def partner_words(pair: Pair) -> str:
    """How B's filter was found, or why there is none; a sentence."""
    index, number = pair.state.filter_index, partner(pair)
    words = ""
    if pair.alike.same and number is not None:
        r = float(matches(pair).correlation[index, number])
        words = (
            f"r = {fraction_text(r, decimals=3)}"
            if np.isfinite(r)
            else _why_no_r(pair, index, number)
        )
    if pair.state.other_filter is not None:
        return f"Chosen: filter {number} of B{f' ({words})' if words else ''}."
    if number is None:
        return _why_none(pair, index)
    if not pair.alike.same:
        return "The filter of the same number: without the same samples there are no matches."
    if pair.by_number:
        fits = pair.state.pairing == "fit"
        why = "By number, since both are the same layer of one model" if fits else "By number"
        return f"{why}: filter {number} of B ({words})."
    if pair.pairing == "one":
        return f"One to one, filter {number} of B goes with filter {index} of A ({words})."
    return f"The match of filter {index} of A is filter {number} of B ({words})."


def _why_no_r(pair: Pair, *filters: int) -> str:
    """Why two filters have no correlation."""
    for letter, snapshot, layer, index in zip(
        "AB", (pair.first, pair.second), pair.layers, filters, strict=True
    ):
        if why := snapshot.values(layer).why_none(index):
            return f"that of {letter} has {why}, so no r"
    return "one of both does not vary, so no r"


def _why_none(pair: Pair, index: int) -> str:
    """Why no filter of B goes with one of A."""
    if pair.by_number:
        return f"B's layer has only {_sizes(pair)[1]:,} filters, so none has the number {index}."
    if matches(pair).best[index] == NONE:
        return (
            f"Nothing matches filter {index} of A: it is the same for every sample, as a dead "
            "filter is, or not finite. Choose a filter of B yourself."
        )
    return f"One to one, no filter of B is left for filter {index} of A."


def _sizes(pair: Pair) -> tuple[int, int]:
    first, second = pair.layers
    return pair.first.catalog.n_filters[first], pair.second.catalog.n_filters[second]
