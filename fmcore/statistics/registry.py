"""Every statistic, and what it means in words: the docs page and the dashboard take them from here.

A statistic is one array of numbers. What is stored lies at `Statistic.path` in its layer's group.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from fmcore.statistics.scores.chance import LEVEL, PERMUTATIONS, SEED
from fmcore.statistics.scores.compute import POOLINGS
from fmcore.statistics.scores.per_filter import MOST_BINS, SAMPLES_OF_A_CELL

CLASS_FILTER = ("class", "filter")


@dataclass(frozen=True, slots=True)
class Statistic:
    """One statistic.

    Attributes:
        name: its name in the store, on the command line and in a link.
        title: what a person reads.
        symbol: what a paper writes.
        definition: what the number is.
        source: where it comes from, or where it is described.
        low: the smallest value it can have.
        high: the largest.
        axes: the names of its axes.
        origin: `capture` where it is taken from all activations as they stream by, `pooled` where
            it follows from the pooled tables, and can be computed again from any store.
        larger_is_more: whether a larger value means more of what it is named for; None where it is
            neither more nor less.
        pooling: the pooled table it is taken of, `mean` or `max`; empty for none.
        chance: how its chance level is found; empty where it has none.
        dtype: `float64`, `float32`, or `int64` for a count.
        neutral: the value that means nothing, in the middle of a colour scale; None where it is no
            such statistic.
        level: of a quantile, which share of values is not above it; it is read from the histogram.
    """

    name: str
    title: str
    symbol: str
    definition: str
    source: str
    low: float = -math.inf
    high: float = math.inf
    axes: tuple[str, ...] = CLASS_FILTER
    origin: str = "capture"
    larger_is_more: bool | None = True
    pooling: str = ""
    chance: str = ""
    dtype: str = "float64"
    neutral: float | None = None
    level: float | None = None

    @property
    def path(self) -> str:
        """Where it lies: in its layer's group, or for layers under the file's root."""
        if "layer" in self.axes:
            return f"similarity/{self.name}"
        return f"{'class' if self.axes[0] == 'class' else 'filters'}/{self.name}"

    @property
    def family(self) -> str:
        """Its name without the pooled table."""
        return self.name.removesuffix(f"_{self.pooling}") if self.pooling else self.name

    @property
    def is_stored(self) -> bool:
        """Whether the store has an array of it."""
        return self.level is None


_OVER = "over all pixels of the maps of all samples of the class"
_BASIC = "elementary"
_PERMUTED = (
    f"{LEVEL:.0%} band of {PERMUTATIONS} permutations of the labels (seed {SEED}), from the "
    "third smallest to the third largest"
)

_OF_CAPTURE = (
    Statistic("mean", "Mean", "µ", f"Mean activation {_OVER}.", _BASIC),
    Statistic(
        "std", "Standard deviation", "σ", f"Population standard deviation {_OVER}.", _BASIC, 0
    ),
    Statistic("min", "Minimum", "min", f"Smallest activation {_OVER}.", _BASIC),
    Statistic("max", "Maximum", "max", f"Largest activation {_OVER}.", _BASIC),
    Statistic(
        "zero_fraction",
        "Zero fraction",
        "P(a = 0)",
        f"Share of activations that are exactly zero {_OVER}; after a ReLU, how much of the time "
        "the filter is silent.",
        _BASIC,
        0,
        1,
        larger_is_more=False,
    ),
    Statistic(
        "n_values",
        "Values",
        "n",
        f"How many finite activations there are {_OVER}.",
        _BASIC,
        0,
        larger_is_more=None,
        dtype="int64",
    ),
    Statistic(
        "n_nonfinite",
        "Non-finite values",
        "n(NaN, ∞)",
        f"How many activations are NaN or infinite {_OVER}; they enter neither mean, spread nor "
        "range.",
        _BASIC,
        0,
        larger_is_more=None,
        dtype="int64",
    ),
    *(
        Statistic(
            f"q{round(100 * level):02}",
            f"Quantile {level:.0%}" if level != 0.5 else "Median",
            f"Q({level:g})",
            f"The activation that {level:.0%} of all are not above, {_OVER}: the middle of the "
            "bin of the histogram in which it lies, so within the relative error that the store "
            "states.",
            "numpy's quantile, method inverted_cdf; bins after the float's own bits",
            level=level,
        )
        for level in (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
    ),
    Statistic(
        "apoz",
        "Average percentage of zeros",
        "APoZ",
        "Share of activations that are exactly zero over all pixels and samples; a high one after "
        "a ReLU means a filter that is redundant, not one that is important.",
        "Hu et al. 2016, Network Trimming",
        0,
        1,
        axes=("filter",),
        larger_is_more=False,
    ),
)

_CLASS = "the samples of the class are told from all others by the pooled {pooling} of the filter"
_OF_POOLED = (
    Statistic(
        "auc",
        "ROC-AUC",
        "AUC",
        f"How well {_CLASS}: the share of pairs in which the sample of the class has the larger "
        "value, ties counting one half. 0.5 tells nothing, below 0.5 the filter is quieter for "
        "the class.",
        "Mann-Whitney U; recommended for single units by Gale et al. 2020",
        0,
        1,
        chance="95% band of Mann-Whitney's U, normal approximation with ties",
        neutral=0.5,
    ),
    Statistic(
        "ap",
        "Average precision",
        "AP",
        f"How well {_CLASS}: precision at each threshold, weighted by the recall it adds. Of no "
        "worth it is about the share of the class among all samples.",
        "as scikit-learn's average_precision_score",
        0,
        1,
        chance=_PERMUTED,
    ),
    Statistic(
        "dprime",
        "d′",
        "d′",
        f"How far {_CLASS}: difference of the two means over the root of the mean of both "
        "population variances. Assumes values that are about normal; poor where most are zero.",
        "signal detection theory",
        chance=_PERMUTED,
        neutral=0,
    ),
    Statistic(
        "eta2",
        "η²",
        "η²",
        "Share of the variance of the pooled {pooling} that lies between classes, SSB / SST.",
        "Fisher 1925, one-way analysis of variance",
        0,
        1,
        axes=("filter",),
        chance="95% band that follows from that of F",
    ),
    Statistic(
        "f",
        "F",
        "F",
        "Variance of the pooled {pooling} between classes over that within them, each by its "
        "degrees of freedom.",
        "Fisher 1925; as scipy's f_oneway",
        0,
        axes=("filter",),
        chance="95% band of Fisher's F distribution",
    ),
    Statistic(
        "csi",
        "Class selectivity index",
        "CSI",
        "(largest class mean - mean of the others) / (their sum), of the pooled {pooling}; only "
        "where no activation is negative. Sparse filters have a large one without telling any "
        "class: see its chance level.",
        "Morcos et al. 2018",
        0,
        1,
        axes=("filter",),
        chance=_PERMUTED,
    ),
    Statistic(
        "mi",
        "Mutual information",
        "I(a; class)",
        f"Bits that the pooled {{pooling}}, in at most {MOST_BINS} bins of equal counts (fewer "
        f"where a bin and class would have under {SAMPLES_OF_A_CELL} samples on average), "
        "tells of the class; corrected for its bias, so it may be a little below 0.",
        "Shannon 1948; correction by Miller 1955 and Madow",
        axes=("filter",),
        chance="95% band of chi-squared for 2 N I ln 2 (Wilks 1938) where every bin "
        f"and class expects {SAMPLES_OF_A_CELL} samples, else a {_PERMUTED}",
    ),
    Statistic(
        "correlation",
        "Correlation of filters",
        "r",
        "Pearson's correlation of the pooled {pooling} of two filters over all samples.",
        "Pearson 1895",
        -1,
        1,
        neutral=0,
        axes=("filter", "other_filter"),
        dtype="float32",
    ),
    Statistic(
        "effective_rank",
        "Effective rank",
        "erank",
        "How many independent directions the pooled {pooling} of a layer's filters takes: exp of "
        "the entropy of the shares of its singular values.",
        "Roy and Vetterli 2007",
        1,
        axes=("layer",),
    ),
    Statistic(
        "cka",
        "Linear CKA of layers",
        "CKA",
        "How alike the pooled {pooling} of two layers arranges the samples: 1 up to rotation and "
        "scale. Few samples, or some extreme ones, make it large.",
        "Kornblith et al. 2019; caution: Davari et al. 2022",
        0,
        1,
        axes=("layer", "other_layer"),
    ),
)


def _of_pooling(statistic: Statistic, pooling: str) -> Statistic:
    return replace(
        statistic,
        name=f"{statistic.name}_{pooling}",
        title=f"{statistic.title} of pooled {pooling}",
        definition=statistic.definition.format(pooling=pooling),
        origin="pooled",
        pooling=pooling,
    )


STATISTICS: dict[str, Statistic] = {
    statistic.name: statistic
    for statistic in (
        *_OF_CAPTURE,
        *(_of_pooling(each, pooling) for each in _OF_POOLED for pooling in POOLINGS),
    )
}
