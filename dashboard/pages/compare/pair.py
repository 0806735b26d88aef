"""Which two stores, and which of their layers, are beside each other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dashboard.pages.compare.alike import Alike, alike
from dashboard.pages.state import State
from dashboard.stores.source import Snapshot, Source
from fmcore import FmcoreError
from fmcore.statistics import cka_between

# Of pooled tables that are held while layers are compared; more samples are thinned out evenly.
CKA_BYTES = 32 << 20


class NothingToCompareError(FmcoreError):
    """There is no other store."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two stores, a layer of each.

    Attributes:
        first: the store of the page, A.
        second: the other one, B.
        shown: what the page shows; its `other` is a layer of the second.
        alike: whether their samples are the same.
    """

    first: Snapshot
    second: Snapshot
    shown: State
    alike: Alike

    @property
    def layers(self) -> tuple[str, str]:
        """The layer of each."""
        return self.shown.layer, self.shown.other

    @property
    def by_number(self) -> bool:
        """Whether filters go together that have the same number."""
        return self.shown.pairing == "number" or not self.alike.same

    @property
    def same_model(self) -> bool:
        """Whether both are of one architecture with the same weights."""
        digests = [one.about()["model"].get("digest", "") for one in (self.first, self.second)]
        return bool(digests[0]) and digests[0] == digests[1]


def other_stores(source: Source, first: Snapshot) -> tuple[str, ...]:
    """The names of all stores but the page's own.

    Raises:
        NothingToCompareError: if there is none.
    """
    names = tuple(name for name in source.names if name != first.name)
    if not names:
        raise NothingToCompareError(
            f"{first.name} is the only store here, so there is nothing to compare it with. Put "
            "captures of two models, two epochs, or clean and corrupted data into one folder, and "
            "serve it: fmdash serve FOLDER"
        )
    return names


def chosen_store(source: Source, first: Snapshot, asked: str) -> tuple[str, str]:
    """The store to set beside the first, and a sentence where the one asked for does not exist.

    Where none is asked for, the first with as many samples.
    """
    names = other_stores(source, first)
    if asked in names:
        return asked, ""
    opening = [one for one in source.summaries() if one.name in names and not one.problem]
    fitting = [one for one in opening if one.n_samples == first.catalog.n_samples]
    name = next((one.name for one in (*fitting, *opening)), names[0])
    own = "itself" if asked == first.name else repr(asked)
    note = f"There is no other store {own} here; showing {name!r}." if asked else ""
    return name, note


def open_pair(source: Source, shown: State) -> tuple[Pair, str]:
    """The two stores of a state, and a sentence where B has no such layer or filter.

    Raises:
        StoreNotFoundError, InputFileError, StoreError: if B is not there, or is no store.
    """
    first = source.snapshot()
    if not shown.with_store:
        shown = replace(shown, with_store=chosen_store(source, first, "")[0])
    second = source.snapshot(shown.with_store)
    pair = Pair(first, second, shown, alike(first, second))
    layers, notes = second.catalog.n_filters, []
    if shown.other not in layers:
        path = default_layer(pair)
        if shown.other:
            notes.append(f"There is no layer {shown.other!r} in {second.name}; showing {path!r}.")
        pair = replace(pair, shown=replace(shown, other=path))
    largest = layers[pair.shown.other] - 1
    number = pair.shown.other_filter
    if number is not None and number > largest:
        notes.append(
            f"There is no filter {number} in layer {pair.shown.other} of {second.name} "
            f"(0 to {largest}); showing {largest}."
        )
        pair = replace(pair, shown=replace(pair.shown, other_filter=largest))
    return pair, " ".join(notes)


def default_layer(pair: Pair) -> str:
    """The layer of B that goes with the layer of A: of the same path, else the most alike by CKA.

    Where the samples are not the same, the one with the same place in the model, or the last.
    """
    path, layers = pair.shown.layer, list(pair.second.catalog.n_filters)
    if path in layers:
        return path
    if not pair.alike.same:
        place = list(pair.first.catalog.n_filters).index(path)
        return layers[min(place, len(layers) - 1)]
    found = pair.first.derived(
        ("cka of", path, pair.second.digest), lambda: _cka(pair, [path], layers)[0]
    )[0]
    known = np.where(np.isfinite(found), found, -1)
    return layers[int(known.argmax())]


def cka_of_layers(pair: Pair) -> tuple[NDArray[np.float64], int]:
    """CKA of all layers of A and of B, <float64>[layer, other_layer], and of how many samples."""
    paths = [list(one.catalog.n_filters) for one in (pair.first, pair.second)]
    return pair.first.derived(("cka", pair.second.digest), lambda: _cka(pair, *paths))


def _cka(pair: Pair, first: list[str], second: list[str]) -> tuple[NDArray[np.float64], int]:
    n_filters = sum(
        snapshot.catalog.n_filters[path]
        for snapshot, paths in ((pair.first, first), (pair.second, second))
        for path in paths
    )
    rows = max(1, CKA_BYTES // (4 * n_filters))
    step = -(-pair.first.catalog.n_samples // rows)
    tables = [
        [np.ascontiguousarray(snapshot.layer(path).pooled("mean")[::step]) for path in paths]
        for snapshot, paths in ((pair.first, first), (pair.second, second))
    ]
    return cka_between(*tables), len(tables[0][0])
