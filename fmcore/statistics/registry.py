"""Every statistic, and its definition in words, which the docs page and the dashboard show.

A statistic is one array of numbers, and names the function that makes it. To add one is to add an
entry here: captures compute and store it, and schema, estimate, tables and pages follow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.records import Target
from fmcore.statistics import similarity
from fmcore.statistics.scores import per_class, per_filter
from fmcore.statistics.scores.block import BASES, CELL_SAMPLES, MOST_BINS, ClassSums, Ranks
from fmcore.statistics.scores.chance import BOUND_RANK, LEVEL, PERMUTATIONS, SEED
from fmcore.statistics.scores.numbers import NumberBlock, pearson_score, spearman_score
from fmcore.statistics.similarity import RowTable
from fmcore.statistics.streaming.histogram import FINEST, Bins, Histogram, quantiles
from fmcore.statistics.streaming.moments import Moments
from fmcore.statistics.weights import Weights, l1_norms, l2_norms

CLASS_FILTER = ("class", "filter")
TARGET_FILTER = ("target", "filter")
# The pooled tables that scores are computed on.
POOLINGS = ("mean", "max")


@dataclass(frozen=True, slots=True)
class Undefined:
    """One reason why a statistic has no finite value; what all scores share needs none.

    Attributes:
        words: the reason, for the tables.
        where: computes which filters or values it holds for, <bool>[…, filter], from the
            statistic's values and those of `needs`; only values that are not finite are explained.
        needs: the names of other statistics that `where` looks at.
    """

    words: str
    where: Callable[..., NDArray[np.bool_]]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Statistic:
    """One statistic.

    Attributes:
        name: its name in the store, on the command line and in a link.
        title: its name for people.
        symbol: its symbol in papers.
        definition: one sentence or more that define it.
        source: the paper or library that defines it.
        low: the smallest value it can have.
        high: the largest value it can have.
        axes: the names of its axes.
        larger_is_more: whether a larger value means more of what it is named for; None if neither
            direction means more.
        pooling: the pooled table it is computed from, `mean` or `max`; empty for none.
        chance: how its chance level is computed; empty if it has none.
        two_sided: whether a value below its chance band is a finding, as one above it is; else only
            a large value says anything, and the band begins at the smallest possible value.
        dtype: `float64`, `float32`, or `int64` for a count.
        neutral: the value that means no effect, the middle of a diverging color scale; None if it
            has no such value.
        level: for a quantile, the share of values at or below it (it is read from the histogram);
            None for any other statistic.
        target: the kind of labels that it needs; `class` also where it needs none.
        basis: the class of what it is computed from: an accumulator for what streams by, else one
            of `BASES` for a score, `NumberBlock`, `RowTable` of each layer, or `Weights`.
        compute: makes it of its basis. A score comes as [filter] or [filter, present] with its
            chance band; a quantile is made of counts and their bins, see `quantiles`.
        short: its name where room is scarce, such as `AUC`; empty if its title is short enough.
        same_order_as: the family of the statistic that puts filters in the same order, beside
            which a table of filters leaves it out; empty for none.
        undefined_where: why it can be undefined, beyond what all scores share.
    """

    name: str
    title: str
    symbol: str
    definition: str
    source: str
    low: float = -math.inf
    high: float = math.inf
    axes: tuple[str, ...] = CLASS_FILTER
    larger_is_more: bool | None = True
    pooling: str = ""
    chance: str = ""
    two_sided: bool = True
    dtype: str = "float64"
    neutral: float | None = None
    level: float | None = None
    target: Target = Target.CLASS
    basis: type[Any] = field(kw_only=True)
    compute: Callable[..., Any] = field(kw_only=True)
    short: str = ""
    same_order_as: str = ""
    undefined_where: tuple[Undefined, ...] = ()

    @property
    def streams(self) -> bool:
        """Whether it is computed from all activations as they stream by."""
        return self.basis not in (*BASES, NumberBlock, RowTable, Weights)

    @property
    def tells_classes(self) -> bool:
        """Whether it says how a filter tells classes: without classes it has no value."""
        return self.target == Target.CLASS and self.basis in BASES

    @property
    def origin(self) -> str:
        """`capture` if it streams, `kernel` if it is of weights, else `pooled`: of those tables."""
        if self.basis is Weights:
            return "kernel"
        return "capture" if self.streams else "pooled"

    @property
    def chance_name(self) -> str:
        """The name of the array of its chance level."""
        return f"{self.name}_chance"

    @property
    def family(self) -> str:
        """Its name without the pooled table: `auc` for `auc_mean`."""
        return self.name.removesuffix(f"_{self.pooling}") if self.pooling else self.name

    @property
    def is_stored(self) -> bool:
        """Whether the store has an array of it; others are made of `made_of` when they are read.

        Norms are not stored: the kernel is, of any version, and all it takes is to read it once.
        """
        return not self.made_of

    @property
    def made_of(self) -> str:
        """The array of the store that it is made of when it is read; empty if it is stored."""
        if self.basis is Weights:
            return "kernel"
        return "" if self.level is None else "histogram"

    @property
    def caption(self) -> str:
        """Its name for people where room is scarce."""
        return self.short or self.title


def _any_negative(_: NDArray[Any], low: NDArray[np.float64]) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        return np.asarray((low < 0).any(axis=0))


_NO_VARIANCE = Undefined("infinite: no variance within classes", np.isinf)

_OVER = "over all pixels of the feature maps of all samples of the class"
_BASIC = "elementary"
_ENDS = ("", "second ", "third ", "fourth ", "fifth ", "sixth ")
_TWO_SIDED = (
    f"{LEVEL:.0%} band of {PERMUTATIONS} permutations of the {{}} (seed {SEED}): "
    f"{_ENDS[BOUND_RANK - 1]}smallest to {_ENDS[BOUND_RANK - 1]}largest score"
)
_PERMUTED = _TWO_SIDED.format("labels")
_PERMUTED_SAMPLES = _TWO_SIDED.format("samples")
_UP_TO = (
    f"{LEVEL:.0%} band of {PERMUTATIONS} permutations of the labels (seed {SEED}): up to the "
    f"{_ENDS[2 * BOUND_RANK - 1]}largest score; only a large one says anything"
)

_CAPTURE_STATISTICS = (
    Statistic(
        "mean",
        "Mean",
        "µ",
        f"Mean of the finite activations {_OVER}.",
        _BASIC,
        basis=Moments,
        compute=Moments.means,
    ),
    Statistic(
        "std",
        "Standard deviation",
        "σ",
        f"Population standard deviation of the finite activations {_OVER}.",
        _BASIC,
        0,
        basis=Moments,
        compute=Moments.deviations,
    ),
    Statistic(
        "min",
        "Minimum",
        "min",
        f"Smallest finite activation {_OVER}.",
        _BASIC,
        basis=Moments,
        compute=Moments.minima,
    ),
    Statistic(
        "max",
        "Maximum",
        "max",
        f"Largest finite activation {_OVER}.",
        _BASIC,
        basis=Moments,
        compute=Moments.maxima,
    ),
    Statistic(
        "zero_fraction",
        "Zero fraction",
        "P(a = 0)",
        f"Share of all activations, finite or not, that are exactly zero, {_OVER}; after a ReLU, "
        "how often the filter is inactive.",
        _BASIC,
        0,
        1,
        larger_is_more=False,
        basis=Moments,
        compute=Moments.zero_fractions,
    ),
    Statistic(
        "n_values",
        "Values",
        "n",
        f"Number of finite activations {_OVER}.",
        _BASIC,
        0,
        larger_is_more=None,
        dtype="int64",
        basis=Moments,
        compute=attrgetter("n_values"),
    ),
    Statistic(
        "n_nonfinite",
        "Non-finite values",
        "n(NaN, ∞)",
        f"Number of activations that are NaN or infinite, {_OVER}. Mean, standard deviation, "
        "minimum, maximum, quantiles and pooled values leave them out, and so do scores, as long "
        "as each map has a finite value.",
        _BASIC,
        0,
        larger_is_more=None,
        dtype="int64",
        basis=Moments,
        compute=attrgetter("n_nonfinite"),
    ),
    *(
        Statistic(
            f"q{round(100 * level):02}",
            f"Quantile {level:.0%}" if level != 0.5 else "Median",
            f"Q({level:g})",
            f"The smallest activation that at least {level:.0%} of all finite activations do not "
            f"exceed, {_OVER}. Read from the histogram as the middle of a bin: within "
            f"{Bins(FINEST).relative_error:.3%} of it, or of 1.2e-38 where that is smaller; where "
            "bins are wider, within what the store states.",
            "NumPy's quantile, method inverted_cdf; bins follow the bits of a float32",
            level=level,
            basis=Histogram,
            compute=partial(quantiles, level=level),
        )
        for level in (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
    ),
    Statistic(
        "apoz",
        "Average percentage of zeros",
        "APoZ",
        "Share of all activations that are exactly zero, over all pixels and samples. After a "
        "ReLU, a high value suggests that the filter is redundant rather than important.",
        "Hu et al. 2016, Network Trimming",
        0,
        1,
        axes=("filter",),
        larger_is_more=False,
        basis=Moments,
        compute=Moments.zero_share,
        short="APoZ",
    ),
)

_NORM = (
    "over its pixels and the input planes that it reads, without its bias (of a separable "
    "convolution its pointwise weights alone)"
)
_NOT_FINITE = Undefined("a weight is NaN or infinite", lambda values: ~np.isfinite(values))
_KERNEL_STATISTICS = (
    Statistic(
        "l1_norm",
        "L1 norm of the kernel",
        "‖w‖₁",
        f"Sum of the absolute weights of the filter, {_NORM}. Beside others of its layer, a filter "
        "with a small one tends to put out small values.",
        "Li et al. 2017, Pruning Filters for Efficient ConvNets",
        0,
        axes=("filter",),
        basis=Weights,
        compute=l1_norms,
        short="L1",
        undefined_where=(_NOT_FINITE,),
    ),
    Statistic(
        "l2_norm",
        "L2 norm of the kernel",
        "‖w‖₂",
        f"Square root of the sum of the squared weights of the filter, {_NORM}.",
        "elementary; as NumPy's linalg.norm",
        0,
        axes=("filter",),
        basis=Weights,
        compute=l2_norms,
        short="L2",
        undefined_where=(_NOT_FINITE,),
    ),
)

_HAS_LABEL = (
    "the filter's pooled {pooling} separates the samples that have the label from all others"
)
_ONE_SIDED = Undefined("all samples have this label, or none has", lambda values: np.isnan(values))
_SEPARATES = "the filter's pooled {pooling} separates the class from all other samples"
_POOLED_STATISTICS = (
    Statistic(
        "auc",
        "ROC-AUC",
        "AUC",
        f"How well {_SEPARATES}: over all pairs of a sample of the class and another sample, the "
        "share in which the sample of the class has the larger value; ties count one half. 0.5 is "
        "no better than chance; below 0.5, the filter responds less to the class than to others.",
        "Mann-Whitney U; recommended for single units by Gale et al. 2020",
        0,
        1,
        chance=_PERMUTED,
        neutral=0.5,
        basis=Ranks,
        compute=per_class.roc_auc_score,
        short="AUC",
    ),
    Statistic(
        "ap",
        "Average precision",
        "AP",
        f"How well {_SEPARATES}: the mean of the precision at each threshold, weighted by the "
        "increase in recall. A worthless filter scores about the share of the class among all "
        "samples.",
        "as scikit-learn's average_precision_score",
        0,
        1,
        chance=_PERMUTED,
        basis=Ranks,
        compute=per_class.average_precision_score,
        short="AP",
    ),
    Statistic(
        "dprime",
        "d′",
        "d′",
        f"How far {_SEPARATES}: the difference of the two means, divided by the square root of the "
        "mean of the two population variances. It assumes roughly normal values, and is unreliable "
        "where most are zero.",
        "signal detection theory",
        chance=_PERMUTED,
        neutral=0,
        basis=ClassSums,
        compute=per_class.d_prime_score,
        short="d′",
        undefined_where=(_NO_VARIANCE,),
    ),
    Statistic(
        "eta2",
        "η²",
        "η²",
        "Effect size of the class: the share of the variance of the pooled {pooling} that lies "
        "between classes, SSB / SST.",
        "Fisher 1925, one-way analysis of variance",
        0,
        1,
        axes=("filter",),
        chance=_UP_TO,
        two_sided=False,
        basis=ClassSums,
        compute=per_filter.eta_squared_score,
        short="η²",
    ),
    Statistic(
        "f",
        "F",
        "F",
        "Variance of the pooled {pooling} between classes, divided by its variance within classes "
        "(mean squares: each sum of squares divided by its degrees of freedom).",
        "Fisher 1925; as SciPy's f_oneway",
        0,
        axes=("filter",),
        chance=_UP_TO,
        two_sided=False,
        basis=ClassSums,
        compute=per_filter.f_score,
        short="F",
        same_order_as="eta2",
        undefined_where=(_NO_VARIANCE,),
    ),
    Statistic(
        "csi",
        "Class selectivity index",
        "CSI",
        "(µmax - µother) / (µmax + µother), where µmax is the largest class mean of the pooled "
        "{pooling} and µother is the mean of the other class means; only for filters without "
        "negative activations. A sparse filter can score high without being selective: compare "
        "with the chance level.",
        "Morcos et al. 2018",
        0,
        1,
        axes=("filter",),
        chance=_UP_TO,
        two_sided=False,
        basis=ClassSums,
        compute=per_filter.class_selectivity_score,
        short="CSI",
        undefined_where=(Undefined("some activations are negative", _any_negative, ("min",)),),
    ),
    Statistic(
        "mi",
        "Mutual information",
        "I(a; class)",
        "Information in bits that the pooled {pooling} carries about the class. Values are put "
        f"into at most {MOST_BINS} bins with equal numbers of samples, fewer if a bin would have "
        f"fewer than {CELL_SAMPLES} samples per class on average. Corrected for bias, so it can be "
        "slightly below 0.",
        "Shannon 1948; Miller-Madow bias correction (Miller 1955)",
        axes=("filter",),
        chance=_UP_TO,
        two_sided=False,
        basis=Ranks,
        compute=per_filter.mutual_information_score,
        short="MI",
    ),
    Statistic(
        "label_auc",
        "ROC-AUC of label",
        "AUC",
        f"How well {_HAS_LABEL}: as ROC-AUC for classes, between the samples that have the label "
        "and those that do not.",
        "Mann-Whitney U; recommended for single units by Gale et al. 2020",
        0,
        1,
        axes=TARGET_FILTER,
        chance=_PERMUTED,
        neutral=0.5,
        target=Target.LABELS,
        basis=Ranks,
        compute=per_class.roc_auc_score,
        short="AUC of label",
        undefined_where=(_ONE_SIDED,),
    ),
    Statistic(
        "label_ap",
        "Average precision of label",
        "AP",
        f"How well {_HAS_LABEL}: as average precision for classes. A worthless filter scores about "
        "the share of the samples that have the label.",
        "as scikit-learn's average_precision_score",
        0,
        1,
        axes=TARGET_FILTER,
        chance=_PERMUTED,
        target=Target.LABELS,
        basis=Ranks,
        compute=per_class.average_precision_score,
        short="AP of label",
        undefined_where=(_ONE_SIDED,),
    ),
    Statistic(
        "label_dprime",
        "d′ of label",
        "d′",
        f"How far {_HAS_LABEL}: as d′ for classes, between the samples that have the label and "
        "those that do not.",
        "signal detection theory",
        axes=TARGET_FILTER,
        chance=_PERMUTED,
        neutral=0,
        target=Target.LABELS,
        basis=ClassSums,
        compute=per_class.d_prime_score,
        short="d′ of label",
        undefined_where=(
            Undefined(
                "infinite: no variance among samples with the label, nor without",
                lambda values: np.isinf(values),
            ),
            _ONE_SIDED,
        ),
    ),
    Statistic(
        "pearson",
        "Pearson's correlation with the target",
        "r",
        "Pearson's correlation between the pooled {pooling} and the number that is true of each "
        "sample: 1 or -1 if one is a linear function of the other.",
        "Pearson 1895",
        -1,
        1,
        axes=TARGET_FILTER,
        chance=_PERMUTED_SAMPLES,
        neutral=0,
        target=Target.NUMBER,
        basis=NumberBlock,
        compute=pearson_score,
        short="r with target",
    ),
    Statistic(
        "spearman",
        "Spearman's correlation with the target",
        "ρ",
        "Spearman's correlation between the pooled {pooling} and the number that is true of each "
        "sample, Pearson's of their ranks: 1 or -1 if one only grows or falls with the other.",
        "Spearman 1904",
        -1,
        1,
        axes=TARGET_FILTER,
        chance=_PERMUTED_SAMPLES,
        neutral=0,
        target=Target.NUMBER,
        basis=NumberBlock,
        compute=spearman_score,
        short="ρ with target",
    ),
    Statistic(
        "correlation",
        "Correlation of filters",
        "r",
        "Pearson correlation between the pooled {pooling} of two filters, over all samples.",
        "Pearson 1895",
        -1,
        1,
        neutral=0,
        axes=("filter", "other_filter"),
        dtype="float32",
        basis=RowTable,
        compute=similarity.correlations,
    ),
    Statistic(
        "effective_rank",
        "Effective rank",
        "erank",
        "Effective number of independent directions in which the pooled {pooling} of the layer's "
        "filters varies: exp of the entropy of the normalized singular values of the table of "
        "samples and filters, with centered columns. Filters without a value for every sample are "
        "left out.",
        "Roy and Vetterli 2007, of centered columns",
        1,
        axes=("layer",),
        basis=RowTable,
        compute=similarity.effective_ranks,
    ),
    Statistic(
        "cka",
        "Linear CKA of layers",
        "CKA",
        "Similarity of the representations of two layers (centered kernel alignment of their "
        "pooled {pooling}): 1 if they agree up to rotation and scale. Few samples or a few "
        "outliers make it large.",
        "Kornblith et al. 2019; caution: Davari et al. 2022",
        0,
        1,
        axes=("layer", "other_layer"),
        basis=RowTable,
        compute=similarity.cka,
    ),
)


def _with_pooling(statistic: Statistic, pooling: str) -> Statistic:
    """The statistic computed from one pooled table."""
    return replace(
        statistic,
        name=f"{statistic.name}_{pooling}",
        title=f"{statistic.title} of pooled {pooling}",
        definition=statistic.definition.format(pooling=pooling),
        pooling=pooling,
    )


STATISTICS: dict[str, Statistic] = {
    statistic.name: statistic
    for statistic in (
        *_CAPTURE_STATISTICS,
        *_KERNEL_STATISTICS,
        *(
            _with_pooling(statistic, pooling)
            for statistic in _POOLED_STATISTICS
            for pooling in POOLINGS
        ),
    )
}


def score_families(axes: tuple[str, ...]) -> dict[str, Statistic]:
    """The scores with some axes by their families, each on the first of the pooled tables."""
    return {
        statistic.family: statistic
        for statistic in STATISTICS.values()
        if statistic.axes == axes and statistic.pooling == POOLINGS[0]
    }


def unpooled_statistics(axes: tuple[str, ...]) -> dict[str, Statistic]:
    """The statistics with some axes that are computed from all activations, by name."""
    return {
        name: statistic
        for name, statistic in STATISTICS.items()
        if statistic.axes == axes and not statistic.pooling
    }
