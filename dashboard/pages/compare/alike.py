"""Whether two stores hold the same samples: only then do differences and matches mean anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.stores.source import Snapshot


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
    """Not by fingerprints alone: clean and corrupted images of the same test set have two."""
    sizes = [one.catalog.n_samples for one in (first, second)]
    if sizes[0] != sizes[1]:
        return Alike(False, f"The samples are not the same: A has {sizes[0]:,}, B {sizes[1]:,}.")
    n_samples, prints = sizes[0], [_fingerprint(one) for one in (first, second)]
    if prints[0] and prints[0] == prints[1]:
        return Alike(True, f"Both are of the same {n_samples:,} images, in the same order.")
    labels = [_labels(one) for one in (first, second)]
    if labels[0] is None or labels[1] is None:
        return Alike(
            False,
            "Whether the samples are the same nobody can tell: the images differ, and not both "
            "stores have labels.",
        )
    if labels[0].shape != labels[1].shape:
        return Alike(False, "The samples are not the same: A has labels of another kind than B.")
    others = int(np.count_nonzero((labels[0] != labels[1]).any(axis=1)))
    if others:
        return Alike(
            False,
            f"The samples are not the same: {others:,} of {n_samples:,} have another label in B.",
        )
    others = sum(a != b for a, b in zip(first.store.ids, second.store.ids, strict=True))
    if others:
        return Alike(
            False,
            f"The samples are not the same: {others:,} of {n_samples:,} have another id in B.",
        )
    return Alike(
        True,
        f"The {n_samples:,} samples are the same by number, label and id, but not the images: if "
        "these are not of one test set, as clean and corrupted ones are, differences mean nothing.",
    )


def _labels(snapshot: Snapshot) -> NDArray[Any] | None:
    """What is true of each sample, its class, labels or numbers, [sample, n]; None if unknown."""
    if snapshot.store.has_labels:
        return snapshot.labels[:, np.newaxis]
    return snapshot.store.truth


def _fingerprint(snapshot: Snapshot) -> str:
    """Of images and labels in their order; empty where the store has none."""
    return str(snapshot.about()["dataset"].get("fingerprint", ""))
