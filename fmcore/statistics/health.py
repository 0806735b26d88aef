"""Which filters are dead, useless or broken: plain definitions on what a store keeps.

Every definition is over the whole test set, so it says nothing of samples that are not in it. Of a
filter with activations that are not finite, only that is said.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A filter is nearly dead where it is active in less than this share of the samples.
NEARLY_DEAD = 0.001
# A filter is always on where at least this share of its activations is above zero, and none below.
ALWAYS_ON = 0.999
# Filters are duplicates where their pooled means correlate by more than this.
DUPLICATE = 0.99
# Of fewer samples, filters that have nothing in common correlate as much.
DUPLICATE_SAMPLES = 10

FINDINGS = {
    "dead": "no activation is above zero in the whole test set",
    "nearly_dead": f"not dead, but active (above zero somewhere) in under {NEARLY_DEAD:.1%} of "
    "samples",
    "dead_for_class": "not dead, but no activation is above zero in all samples of some class",
    "always_on": f"no activation is below zero, and at least {ALWAYS_ON:.1%} are above it",
    "duplicate": f"its pooled mean correlates by over {DUPLICATE} with that of an earlier filter",
    "nonfinite": "some activation is NaN or infinite",
}


@dataclass(frozen=True, slots=True, eq=False)
class LayerHealth:
    """What was found in one layer.

    Attributes:
        found: for each of `FINDINGS`, <bool>[filter].
        dead_classes: <bool>[class, filter], dead for the class.
        duplicate_of: <int64>[filter], the first earlier filter that is alike; -1 for none.
        signed: whether the layer has activations below zero: then `dead` may be harmless.
    """

    found: dict[str, NDArray[np.bool_]]
    dead_classes: NDArray[np.bool_]
    duplicate_of: NDArray[np.int64]
    signed: bool

    def share(self, finding: str) -> float:
        """The share of the layer's filters that have a finding."""
        return float(self.found[finding].mean())


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
    """Looks at every filter of a layer.

    Args:
        low: <float64>[class, filter], the smallest finite activation; NaN where there is none.
        high: <float64>[class, filter], the largest.
        zero_fraction: <float64>[filter], the share of all activations that are exactly zero.
        n_nonfinite: <int64>[class, filter].
        n_samples: <int64>[class].
        pooled_max: <float32>[sample, filter].
        correlation: <float>[filter, other_filter] of pooled means; NaN takes no part.
    """
    nonfinite: NDArray[np.bool_] = np.any(n_nonfinite > 0, axis=0)
    n_all = int(n_samples.sum())
    with np.errstate(invalid="ignore"):
        active = high > 0
        below = (low < 0).any(axis=0)
        dead = ~active.any(axis=0) & ~nonfinite
        n_active = (pooled_max > 0).sum(axis=0)
        alike = np.tril(correlation > DUPLICATE, -1) & (n_all >= DUPLICATE_SAMPLES)
    alike[nonfinite] = alike[:, nonfinite] = False
    alive = ~dead & ~nonfinite
    dead_classes = ~active & alive & (n_samples > 0)[:, np.newaxis]
    duplicate_of = np.where(alike.any(axis=1), alike.argmax(axis=1), -1)
    found = {
        "dead": dead,
        "nearly_dead": alive & (n_active < NEARLY_DEAD * n_all),
        "dead_for_class": dead_classes.any(axis=0),
        "always_on": alive & ~below & (1 - zero_fraction >= ALWAYS_ON),
        "duplicate": duplicate_of >= 0,
        "nonfinite": nonfinite,
    }
    ordered = {name: found[name] for name in FINDINGS}
    return LayerHealth(ordered, dead_classes, duplicate_of, bool(below.any()))
