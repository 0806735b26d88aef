"""What a contrast of two groups of samples says about every filter."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmcore.optional import import_optional

if TYPE_CHECKING:
    import pandas

# What a map is pooled to, and the name of its table in a store.
TABLES = {"mean": "mean", "max": "max", "zeros": "zero_fraction"}
BY = tuple(TABLES)
# A filter is taken to tell the groups apart where q is below it.
Q_LEVEL = 0.05


class Uncontrasted(IntEnum):
    """Whether a filter can be contrasted, and if not, why."""

    NO = 0
    CONSTANT = 1
    NONFINITE = 2


WHY_UNCONTRASTED = {
    Uncontrasted.NO: "",
    Uncontrasted.CONSTANT: "constant: the same pooled value for every sample of both groups",
    Uncontrasted.NONFINITE: "non-finite: NaN or infinite pooled values in the groups",
}


class PSource(IntEnum):
    """How p was computed."""

    NONE = 0
    GAMMA = 1
    PERMUTATIONS = 2
    BOUND = 3
    EXACT = 4


P_SOURCE_WORDS = {
    PSource.NONE: "",
    PSource.GAMMA: "gamma law",
    PSource.PERMUTATIONS: "permutations",
    PSource.BOUND: "bound",
    PSource.EXACT: "exact",
}


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """How each filter of some layers tells the samples of group A from those of group B.

    A row is a filter: those of the first layer, then those of the next.

    Attributes:
        by: the pooled value that was compared: `mean`, `max`, or `zeros` for the share of exact
            zeros.
        layers: the paths of the layers.
        layer: <int32>[row], the place of its layer in `layers`.
        filter: <int32>[row], its index in its layer.
        auc: <float64>[row], the probability that a sample of A has a larger value than one of B,
            ties one half; NaN where there is none, as in all below.
        chance: <float64>[bound, row], the band that holds 95% of the AUCs if samples of both
            groups are exchanged.
        p: <float64>[row], two-sided, of the Mann-Whitney test.
        q: <float64>[row], p after Benjamini and Hochberg over all filters that have one.
        effect: <float64>[row], Cliff's delta, the rank-biserial correlation: 2 AUC - 1.
        mean_a: <float64>[row], the mean of the pooled values of A.
        mean_b: <float64>[row], the mean of those of B.
        undefined: <uint8>[row], codes of `Uncontrasted`.
        p_source: <uint8>[row], codes of `PSource`.
        n_a: the number of samples of A.
        n_b: the number of samples of B.
        notes: what else to know, a sentence each.
    """

    by: str
    layers: tuple[str, ...]
    layer: NDArray[np.int32]
    filter: NDArray[np.int32]
    auc: NDArray[np.float64]
    chance: NDArray[np.float64]
    p: NDArray[np.float64]
    q: NDArray[np.float64]
    effect: NDArray[np.float64]
    mean_a: NDArray[np.float64]
    mean_b: NDArray[np.float64]
    undefined: NDArray[np.uint8]
    p_source: NDArray[np.uint8]
    n_a: int
    n_b: int
    notes: tuple[str, ...] = ()

    @property
    def n_filters(self) -> int:
        """The number of rows."""
        return len(self.layer)

    @property
    def n_tests(self) -> int:
        """Over how many filters q holds: those with a p."""
        return int(np.isfinite(self.p).sum())

    @property
    def n_apart(self) -> int:
        """The number of filters with q below 0.05."""
        return int((self.q < Q_LEVEL).sum())

    def order(self) -> NDArray[np.intp]:
        """The rows from the filter that tells the groups best, <int>[row].

        By the distance of AUC from 0.5, equal ones as in the model; those without one come last.
        """
        return np.argsort(np.where(np.isnan(self.auc), 1, -np.abs(self.auc - 0.5)), kind="stable")

    def reason(self, row: int) -> str:
        """Why a row has no numbers; empty where it has some."""
        return WHY_UNCONTRASTED[Uncontrasted(self.undefined[row])]

    def columns(self) -> dict[str, NDArray[Any]]:
        """All columns by name, [row], as tables have them."""
        paths = np.array(self.layers, dtype=object)
        reasons = np.array(list(WHY_UNCONTRASTED.values()), dtype=object)
        sources = np.array(list(P_SOURCE_WORDS.values()), dtype=object)
        return {
            "layer": paths[self.layer],
            "filter": self.filter,
            "auc": self.auc,
            "chance_low": self.chance[0],
            "chance_high": self.chance[1],
            "effect": self.effect,
            "p": self.p,
            "q": self.q,
            "mean_a": self.mean_a,
            "mean_b": self.mean_b,
            "n_a": np.full(self.n_filters, self.n_a),
            "n_b": np.full(self.n_filters, self.n_b),
            "p_source": sources[self.p_source],
            "reason": reasons[self.undefined],
        }

    def to_frame(self) -> pandas.DataFrame:
        """One row a filter, the one that tells the groups best first.

        Raises:
            MissingLibraryError: if pandas is not installed.
        """
        pd = import_optional("pandas", extra="xarray", purpose="a table of filters")
        order = self.order()
        rows = {name: values[order] for name, values in self.columns().items()}
        return pd.DataFrame(rows)
