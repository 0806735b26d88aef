"""Pairs of groups that are ready to be contrasted: those that people ask about first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dashboard.stores.snapshot import Snapshot
from fmcore.selection.groups import quoted

# Pairs of classes that are most often taken for each other, and classes beside the rest.
MOST_CONFUSED, MOST_CLASSES = 20, 100


@dataclass(frozen=True, slots=True)
class Preset:
    """Two groups with a name.

    Attributes:
        kind: what sort of question it is.
        name: what a person reads.
        a: the expression of the first group.
        b: that of the second.
    """

    kind: str
    name: str
    a: str
    b: str


def presets(snapshot: Snapshot) -> tuple[Preset, ...]:
    """The pairs that a store has samples for, the most telling first; at least one."""
    return snapshot.derived(("contrast presets",), lambda: _made_of(snapshot))


def _made_of(snapshot: Snapshot) -> tuple[Preset, ...]:
    every = [*_confused(snapshot), *_outcomes(snapshot), *_classes(snapshot)]
    return tuple(every) or (_of_a_filter(snapshot),)


def _confused(snapshot: Snapshot) -> list[Preset]:
    """Samples of a class that are taken for another, beside those of it that are right."""
    if not snapshot.catalog.has_outcomes or snapshot.predictions is None:
        return []
    names = snapshot.catalog.class_names
    n_classes = len(names)
    pairs = snapshot.labels * n_classes + snapshot.predictions
    pairs = pairs[snapshot.labels != snapshot.predictions]
    codes, counts = np.unique(pairs, return_counts=True)
    right = np.bincount(
        snapshot.labels[snapshot.labels == snapshot.predictions], minlength=n_classes
    )
    order = np.argsort(-counts, kind="stable")
    pairs_of_groups = []
    for at in order.tolist():
        label, prediction = divmod(int(codes[at]), n_classes)
        if right[label]:
            a = f"label={quoted(names[label])} prediction={quoted(names[prediction])}"
            words = (
                f"{names[label]} predicted {names[prediction]} ({counts[at]:,}) / "
                f"{names[label]} predicted right ({right[label]:,})"
            )
            pairs_of_groups.append(
                Preset("confused", words, a, f"label={quoted(names[label])} correct")
            )
        if len(pairs_of_groups) == MOST_CONFUSED:
            break
    return pairs_of_groups


def _outcomes(snapshot: Snapshot) -> list[Preset]:
    if not snapshot.catalog.has_outcomes or snapshot.predictions is None:
        return []
    n_right = int((snapshot.labels == snapshot.predictions).sum())
    n_wrong = snapshot.catalog.n_samples - n_right
    if not n_right or not n_wrong:
        return []
    return [Preset("outcomes", f"Wrong ({n_wrong:,}) / correct ({n_right:,})", "wrong", "correct")]


def _classes(snapshot: Snapshot) -> list[Preset]:
    """Each class beside all others."""
    if not snapshot.catalog.has_classes:
        return []
    n_samples = snapshot.catalog.n_samples
    column = "label" if snapshot.store.has_labels else "prediction"
    return [
        Preset(
            "class",
            f"{name} ({size:,}) / the rest ({n_samples - size:,})",
            f"{column}={quoted(name)}",
            f"{column}!={quoted(name)}",
        )
        for name, size in zip(
            snapshot.catalog.class_names, snapshot.class_sizes.tolist(), strict=True
        )
        if 0 < size < n_samples
    ][:MOST_CLASSES]


def _of_a_filter(snapshot: Snapshot) -> Preset:
    """Where nobody knows a class: what the first filter answers most to, beside the rest."""
    path = next(iter(snapshot.catalog.n_filters))
    a = f"filter({quoted(path)},0)>0.75 quantile"
    return Preset("filter", f"Strongest quarter of filter 0 of {path} / the rest", a, rest_of(a))


def rest_of(text: str) -> str:
    """The expression of all samples that are not in a group."""
    return f"not ({text})"
