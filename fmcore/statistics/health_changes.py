"""What became worse in the filters of a layer since an earlier capture of the same layer.

`HEALTH_CHANGES` is all of it: command, JSON and docs take names, words and definitions from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.health import HEALTH_RULES, LayerHealth

# The AUC of a filter for its class counts as known if it lies so many times as far above 0.5 as the
# 95% band does: about five standard deviations, of which chance alone makes one in two million.
KNOWN = 2.5
NO_CLASS = -1


@dataclass(frozen=True, slots=True)
class HealthChange:
    """One thing that can become worse in a filter.

    Attributes:
        name: its name in Python, in JSON and for `--fail-on`.
        words: its name for people, which completes "filters are".
        definition: when a filter has it.
        needs_scores: whether both stores must hold scores of classes.
    """

    name: str
    words: str
    definition: str
    needs_scores: bool = False


LOST_CLASS = HealthChange(
    "lost_class",
    "without their class",
    "in the baseline, the filter's largest AUC for a class, of pooled mean and max, lay at least "
    f"{KNOWN:g} times as far above 0.5 as the 95% band of chance reaches; now, for the same class, "
    "neither that of the pooled mean nor that of the pooled max is above its band",
    needs_scores=True,
)
HEALTH_CHANGES: dict[str, HealthChange] = {
    change.name: change
    for change in (
        *(
            HealthChange(
                f"new_{name}",
                f"newly {rule.words}",
                f"{rule.words}, and not so in the baseline",
            )
            for name, rule in HEALTH_RULES.items()
        ),
        LOST_CLASS,
    )
}


@dataclass(frozen=True, slots=True, eq=False)
class ClassAucs:
    """How well the filters of a layer tell each class from the others.

    Attributes:
        auc: <float64>[pooling, class, filter], the AUC of each pooled table; NaN where undefined.
        high: <float64>[pooling, class, filter], the high end of its chance band.
    """

    auc: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LayerChanges:
    """What became worse in one layer.

    Attributes:
        changes: for those of `HEALTH_CHANGES` that could be looked for, by name, <bool>[filter],
            which filters have it.
        lost_class: <int64>[filter], the class that each filter has lost; -1 for none.
    """

    changes: dict[str, NDArray[np.bool_]]
    lost_class: NDArray[np.int64]

    @property
    def n_filters(self) -> int:
        """The number of filters."""
        return len(self.lost_class)

    def share(self, change: str) -> float:
        """The share of the layer's filters that have a change."""
        return float(self.changes[change].mean())

    def filters_of(self, change: str) -> list[int]:
        """The indices of the filters that have a change."""
        return [int(index) for index in np.flatnonzero(self.changes[change])]

    def as_json(self, class_names: Sequence[str]) -> dict[str, Any]:
        """All changes with the indices of the filters, for programs."""
        lost = np.flatnonzero(self.lost_class >= 0).tolist()
        return {
            "filters": self.n_filters,
            "changes": {
                change: {"filters": self.filters_of(change), "share": self.share(change)}
                for change in self.changes
            },
            "lost_class": [
                {"filter": index, "class": class_names[self.lost_class[index]]} for index in lost
            ],
        }


def health_changes(
    before: LayerHealth,
    after: LayerHealth,
    aucs_before: ClassAucs | None = None,
    aucs_after: ClassAucs | None = None,
) -> LayerChanges:
    """What became worse in a layer.

    Args:
        before: its health in the baseline.
        after: its health now, of as many filters.
        aucs_before: its AUCs in the baseline; None where there are none, then no class is lost.
        aucs_after: its AUCs now, for the same classes.
    """
    changes = {
        f"new_{name}": after.findings[name] & ~before.findings[name] for name in HEALTH_RULES
    }
    lost = np.full(after.n_filters, NO_CLASS)
    if aucs_before is not None and aucs_after is not None:
        lost = lost_classes(aucs_before, aucs_after)
        changes[LOST_CLASS.name] = lost >= 0
    return LayerChanges(changes, lost)


def lost_classes(before: ClassAucs, after: ClassAucs) -> NDArray[np.int64]:
    """The class that each filter knew and does not know any more, <int64>[filter]; -1 for none.

    Of hundreds of filters and classes many scores lie a little above their band by chance, and the
    largest of each filter is selected. So what was known must be far beyond it (`LOST_CLASS` says
    how far), and what is lost must be inside. Where a class has so few samples that no AUC can lie
    that far above 0.5, no filter can lose it.
    """
    _, n_classes, n_filters = before.auc.shape
    flat = np.where(np.isnan(before.auc), -np.inf, before.auc).reshape(-1, n_filters)
    best, filters = flat.argmax(axis=0), np.arange(n_filters)
    auc, high = flat[best, filters], before.high.reshape(-1, n_filters)[best, filters]
    label = best % n_classes
    with np.errstate(invalid="ignore"):
        was_known = (auc - 0.5 >= KNOWN * (high - 0.5)) & (high > 0.5)
        is_known = (after.auc > after.high)[:, label, filters].any(axis=0)
    return np.where(was_known & ~is_known, label, NO_CLASS)
