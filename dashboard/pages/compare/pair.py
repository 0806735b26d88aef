"""Which two stores and layers are beside each other, and whether they hold the same samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.pages.state import State
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source
from fmcore import FmcoreError
from fmcore.statistics import cka_between

# What stands beside each other, in the ids of components.
SIDES = ("a", "b", "difference")
# Of pooled tables that are held while layers are compared; more samples are thinned out evenly.
CKA_BYTES = 32 << 20


class NothingToCompareError(FmcoreError):
    """There is no other store."""


@dataclass(frozen=True, slots=True)
class Alike:
    """What the samples of two stores have in common.

    Attributes:
        same: whether sample by sample they stand for the same.
        words: how this is known, or what differs; a sentence.
    """

    same: bool
    words: str


def alike(first: Snapshot, second: Snapshot) -> Alike:
    """Compares the samples of two stores; kept, since it reads the ids of both."""
    return first.derived(("alike", second.digest), lambda: _alike(first, second))


def _alike(first: Snapshot, second: Snapshot) -> Alike:
    """Compared not by fingerprints alone: clean and corrupted images of a test set have two."""
    n_samples, n_second = first.catalog.n_samples, second.catalog.n_samples
    prints = _fingerprint(first), _fingerprint(second)
    labels, other_labels = _labels(first), _labels(second)
    if n_samples != n_second:
        return _unlike(f"A has {n_samples:,}, B {n_second:,}.")
    if prints[0] and prints[0] == prints[1]:
        return Alike(True, f"Both are of the same {n_samples:,} images, in the same order.")
    if labels is None or other_labels is None:
        return Alike(
            False,
            "Whether the samples are the same nobody can tell: the images differ, and not both "
            "stores have labels.",
        )
    if labels.shape != other_labels.shape:
        return _unlike("A has labels of another kind than B.")
    n_others = int(np.count_nonzero((labels != other_labels).any(axis=1)))
    if n_others:
        return _unlike(f"{n_others:,} of {n_samples:,} have another label in B.")
    n_others = sum(a != b for a, b in zip(first.store.ids, second.store.ids, strict=True))
    if n_others:
        return _unlike(f"{n_others:,} of {n_samples:,} have another id in B.")
    return Alike(
        True,
        f"The {n_samples:,} samples are the same by number, label and id, but not the images: if "
        "these are not of one test set, as clean and corrupted ones are, differences mean nothing.",
    )


def _unlike(words: str) -> Alike:
    return Alike(False, f"The samples are not the same: {words}")


def _labels(snapshot: Snapshot) -> NDArray[Any] | None:
    """What is true of each sample, its class, labels or numbers, [sample, n]; None if unknown."""
    if snapshot.store.has_labels:
        return snapshot.labels[:, np.newaxis]
    return snapshot.store.truth


def _fingerprint(snapshot: Snapshot) -> str:
    """The digest of images and labels in their order; empty where the store has none."""
    return str(snapshot.about()["dataset"].get("fingerprint", ""))


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two stores, a layer of each.

    Attributes:
        first: the store of the page, A.
        second: the other one, B.
        state: what the page shows; its `other` is a layer of the second.
        alike: whether their samples are the same.
    """

    first: Snapshot
    second: Snapshot
    state: State
    alike: Alike

    @property
    def layers(self) -> tuple[str, str]:
        """The layer of each."""
        return self.state.layer, self.state.other

    @property
    def pairing(self) -> str:
        """Which filters go together, a key of `PAIRINGS` that is not `fit`.

        What fits is the number where both layers are the same of one model, or where there are no
        matches for want of the same samples; else the match.
        """
        if not self.alike.same:
            return "number"
        if self.state.pairing != "fit":
            return self.state.pairing
        return "number" if self.same_layer else "match"

    @property
    def by_number(self) -> bool:
        """Whether filters go together that have the same number."""
        return self.pairing == "number"

    @property
    def same_layer(self) -> bool:
        """Whether both layers are the same of one model, so that filters are by their numbers."""
        return self.same_model and self.state.layer == self.state.other

    @property
    def same_architecture(self) -> bool:
        """Whether both models are of one architecture, which says so of some layer."""
        configs = [
            snapshot.derived(("architecture",), snapshot.store.architecture)
            for snapshot in (self.first, self.second)
        ]
        return configs[0] == configs[1] and bool(configs[0].get("config"))

    @property
    def same_model(self) -> bool:
        """Whether both are of one architecture with the same weights."""
        digests = [store.about()["model"].get("digest", "") for store in (self.first, self.second)]
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


def second_store(source: Source, first: Snapshot, wanted: str) -> tuple[str, str]:
    """The store to set beside the first, and a sentence where the wanted one does not exist.

    Where none is wanted, the first with as many samples.
    """
    names = other_stores(source, first)
    if wanted in names:
        return wanted, ""
    opening = [store for store in source.summaries() if store.name in names and not store.problem]
    fitting = [store for store in opening if store.n_samples == first.catalog.n_samples]
    name = next((store.name for store in (*fitting, *opening)), names[0])
    own = "itself" if wanted == first.name else repr(wanted)
    note = f"There is no other store {own} here; showing {name!r}." if wanted else ""
    return name, note


def open_pair(source: Source, first: Snapshot, state: State) -> tuple[Pair, str]:
    """The first store beside that of a state, and a sentence where B has no such layer or filter.

    Raises:
        StoreNotFoundError, InputFileError, StoreError: if B is not there, or is no store.
    """
    if not state.with_store:
        state = replace(state, with_store=second_store(source, first, "")[0])
    second = source.snapshot(state.with_store)
    pair = Pair(first, second, state, alike(first, second))
    layers, notes = second.catalog.n_filters, []
    if state.other not in layers:
        path = default_layer(pair)
        if state.other:
            notes.append(f"There is no layer {state.other!r} in {second.name}; showing {path!r}.")
        state = replace(state, other=path)
    largest, number = layers[state.other] - 1, state.other_filter
    if number is not None and number > largest:
        notes.append(
            f"There is no filter {number} in layer {state.other} of {second.name} "
            f"(0 to {largest}); showing {largest}."
        )
        state = replace(state, other_filter=largest)
    return replace(pair, state=state), " ".join(notes)


def default_layer(pair: Pair) -> str:
    """The layer of B that goes with the layer of A: of the same path, else the most alike by CKA.

    Where the samples are not the same, the one with the same place in the model, or the last.
    """
    path, layers = pair.state.layer, list(pair.second.catalog.n_filters)
    if path in layers:
        return path
    if not pair.alike.same:
        place = list(pair.first.catalog.n_filters).index(path)
        return layers[min(place, len(layers) - 1)]
    values = pair.first.derived(
        ("cka of", path, pair.second.digest), lambda: _cka(pair, [path], layers)[0]
    )[0]
    return layers[int(np.where(np.isfinite(values), values, -1).argmax())]


def cka_of_layers(pair: Pair) -> tuple[NDArray[np.float64], int]:
    """CKA of all layers of A and of B, <float64>[layer, other_layer], and of how many samples."""
    paths = [list(store.catalog.n_filters) for store in (pair.first, pair.second)]
    return pair.first.derived(("cka", pair.second.digest), lambda: _cka(pair, *paths))


def _cka(pair: Pair, first: list[str], second: list[str]) -> tuple[NDArray[np.float64], int]:
    n_filters = sum(
        snapshot.catalog.n_filters[path]
        for snapshot, paths in ((pair.first, first), (pair.second, second))
        for path in paths
    )
    tables = [
        thinned_means(snapshot, paths, n_filters=n_filters)
        for snapshot, paths in ((pair.first, first), (pair.second, second))
    ]
    return cka_between(*tables), len(tables[0][0])


def thinned_means(
    snapshot: Snapshot, paths: list[str], *, n_filters: int
) -> list[NDArray[np.float32]]:
    """Pooled means of layers, <float32>[sample, filter] each, of samples that are evenly spaced.

    Args:
        snapshot: the store.
        paths: of the layers.
        n_filters: of all tables that are held at the same time; it decides how many samples.
    """
    rows = max(1, CKA_BYTES // (4 * n_filters))
    step = -(-snapshot.catalog.n_samples // rows)
    return [np.ascontiguousarray(snapshot.layer(path).pooled("mean")[::step]) for path in paths]
