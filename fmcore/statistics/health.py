"""Which filters are dead, redundant or broken, by definitions on what a store keeps.

Every definition is over the whole test set, so it says nothing about samples outside it. A filter
with NaN or infinite activations is reported as non-finite and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A filter is nearly dead if it is active in less than this share of the samples.
NEARLY_DEAD = 0.001
# A filter is always on if at least this share of its activations is above zero, none below.
ALWAYS_ON = 0.999
# Filters are duplicates if the correlation of their pooled means is above this.
DUPLICATE = 0.99
# With fewer samples, unrelated filters correlate as strongly.
DUPLICATE_SAMPLES = 10

FINDINGS = {
    "dead": "no activation is above zero in the whole test set",
    "nearly_dead": f"not dead, but under {NEARLY_DEAD:.1%} of samples have activations above zero",
    "dead_for_class": "not dead, but for at least one class no activation is above zero",
    "always_on": f"no activation is below zero, and at least {ALWAYS_ON:.1%} are above zero",
    "duplicate": f"its pooled mean has a correlation above {DUPLICATE} with that of an earlier "
    "filter",
    "nonfinite": "at least one activation is NaN or infinite",
}


@dataclass(frozen=True, slots=True, eq=False)
class LayerHealth:
    """The findings of one layer.

    Attributes:
        findings: for each of `FINDINGS`, <bool>[filter], which filters have it.
        dead_classes: <bool>[class, filter], whether the filter is dead for the class.
        duplicate_of: <int64>[filter], the first earlier filter that it duplicates; -1 for none.
        signed: whether the layer has activations below zero: then `dead` may be harmless.
    """

    findings: dict[str, NDArray[np.bool_]]
    dead_classes: NDArray[np.bool_]
    duplicate_of: NDArray[np.int64]
    signed: bool

    def share(self, finding: str) -> float:
        """The share of the layer's filters that have a finding."""
        return float(self.findings[finding].mean())


def layer_health(
    *,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    zero_fraction: NDArray[np.float64],
    n_nonfinite: NDArray[np.int64],
    n_samples: NDArray[np.int64],
    pooled_max: NDArray[np.float32],
    correlation: NDArray[np.floating],
) -> LayerHealth:
    """Checks every filter of a layer.

    Args:
        low: <float64>[class, filter], the smallest finite activation; NaN where there is none.
        high: <float64>[class, filter], the largest finite activation; NaN where there is none.
        zero_fraction: <float64>[filter], the share of all activations that are exactly zero.
        n_nonfinite: <int64>[class, filter], the number of NaN and infinite activations.
        n_samples: <int64>[class], the number of samples.
        pooled_max: <float32>[sample, filter], the largest activation of each map.
        correlation: <float>[filter, other_filter], Pearson correlation of pooled means; NaN where
            one of them does not vary.
    """
    nonfinite: NDArray[np.bool_] = np.any(n_nonfinite > 0, axis=0)
    n_all = int(n_samples.sum())
    with np.errstate(invalid="ignore"):
        active = high > 0
        negative = (low < 0).any(axis=0)
        dead = ~active.any(axis=0) & ~nonfinite
        n_active = (pooled_max > 0).sum(axis=0)
        duplicates = np.tril(correlation > DUPLICATE, -1) & (n_all >= DUPLICATE_SAMPLES)
    duplicates[nonfinite] = duplicates[:, nonfinite] = False
    alive = ~dead & ~nonfinite
    dead_classes = ~active & alive & (n_samples > 0)[:, np.newaxis]
    duplicate_of = np.where(duplicates.any(axis=1), duplicates.argmax(axis=1), -1)
    findings = {
        "dead": dead,
        "nearly_dead": alive & (n_active < NEARLY_DEAD * n_all),
        "dead_for_class": dead_classes.any(axis=0),
        "always_on": alive & ~negative & (1 - zero_fraction >= ALWAYS_ON),
        "duplicate": duplicate_of >= 0,
        "nonfinite": nonfinite,
    }
    ordered = {name: findings[name] for name in FINDINGS}
    return LayerHealth(ordered, dead_classes, duplicate_of, bool(negative.any()))
