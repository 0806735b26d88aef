"""What is wrong with the filters of a whole model, small enough to be kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.stores.snapshot import Snapshot
from fmcore.statistics import HEALTH_RULES, NO_EFFECT, Finding, HealthRule, LayerHealth

OK = "ok"
# In a cell, and what a table is searched for.
NO_EFFECT_TEXT = "no effect"
# What each finding means, and the words for filters that have it; the last only where costs were
# measured.
MEANINGS: Mapping[str, HealthRule | Finding] = {**HEALTH_RULES, NO_EFFECT.name: NO_EFFECT}


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """What is wrong with the filters of one layer.

    Attributes:
        flags: for each of `MEANINGS` by name, <bool>[filter], which filters have it; without the
            last of these where nobody knows it.
        words: for each of them by name, what its filters are called here, such as `dead`.
        codes: what is wrong with each filter, <int32>[filter], places in `texts`.
        texts: everything that is wrong with a filter of the layer, in words; `ok` for nothing.
    """

    flags: Mapping[str, NDArray[np.bool_]]
    words: Mapping[str, str]
    codes: NDArray[np.int32]
    texts: tuple[str, ...]

    @property
    def n_filters(self) -> int:
        """The number of filters."""
        return len(self.codes)


def findings_of(snapshot: Snapshot) -> Mapping[str, Findings]:
    """The findings of each layer by its path, in the model's order; kept.

    A layer's whole health has numbers for each class and filter, which for many classes are too
    many to keep those of all layers.
    """

    def make() -> dict[str, Findings]:
        names, findings = snapshot.catalog.class_names, {}
        for path in snapshot.catalog.n_filters:
            health = snapshot.held(("health", path)) or snapshot.layer(path).health()
            words = {name: health.words(name) for name in health.findings}
            flags, no_effect = dict(health.findings), no_effect_of(snapshot, path)
            if no_effect is not None:
                flags[NO_EFFECT.name], words[NO_EFFECT.name] = no_effect, NO_EFFECT.words
            of_filters = np.array(health_words(health, names, no_effect), dtype=object)
            texts, codes = np.unique(of_filters, return_inverse=True)
            findings[path] = Findings(flags, words, codes.astype(np.int32), tuple(texts.tolist()))
        return findings

    return snapshot.derived_once(("findings",), make)


def no_effect_of(snapshot: Snapshot, path: str) -> NDArray[np.bool_] | None:
    """Which filters of a layer have no effect, <bool>[filter]; None where that is not known."""
    if not snapshot.ablations.measured or snapshot.why_no_costs(path):
        return None
    return snapshot.layer_costs(path).no_effect


def health_words(
    health: LayerHealth, class_names: Sequence[str], no_effect: NDArray[np.bool_] | None = None
) -> list[str]:
    """What is wrong with each filter, <str>[filter]; `ok` for nothing.

    Args:
        health: of the layer.
        class_names: the names of the classes.
        no_effect: as `no_effect_of` gives it.
    """
    words: list[list[str]] = [[] for _ in range(health.n_filters)]
    for finding in health.findings:
        for index in health.filters_of(finding):
            words[index].append(health.detail(finding, index, class_names).short)
    if no_effect is not None:
        for index in np.flatnonzero(no_effect).tolist():
            words[index].append(NO_EFFECT_TEXT)
    return [", ".join(texts) or OK for texts in words]
