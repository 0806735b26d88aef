"""Numbers about activations, mergeable over any split of the samples, and scores made of them."""

from fmcore.statistics.across import Matches, cka_between, matched
from fmcore.statistics.chance import PERMUTATIONS, SEED, Permutations
from fmcore.statistics.class_maps import ClassMaps, class_maps_bytes, map_size
from fmcore.statistics.classes import Classes
from fmcore.statistics.from_pooled import from_pooled
from fmcore.statistics.health import FINDINGS, LayerHealth, layer_health
from fmcore.statistics.histogram import (
    COARSEST,
    FINEST,
    Bins,
    Histogram,
    histogram_bytes,
    quantiles,
)
from fmcore.statistics.layer_sums import LayerSums
from fmcore.statistics.moments import Moments
from fmcore.statistics.pooled import POOLED, Pooled
from fmcore.statistics.registry import CLASS_FILTER, STATISTICS, Statistic
from fmcore.statistics.rounding import Rounding
from fmcore.statistics.scores import POOLINGS, WHY_UNDEFINED, Defined, Filters, PooledTables
from fmcore.statistics.similarity import centred_covariance, correlation
from fmcore.statistics.top import BANDS, TOP, class_top

__all__ = [
    "BANDS",
    "CLASS_FILTER",
    "COARSEST",
    "FINDINGS",
    "FINEST",
    "PERMUTATIONS",
    "POOLED",
    "POOLINGS",
    "SEED",
    "STATISTICS",
    "TOP",
    "WHY_UNDEFINED",
    "Bins",
    "ClassMaps",
    "Classes",
    "Defined",
    "Filters",
    "Histogram",
    "LayerHealth",
    "LayerSums",
    "Matches",
    "Moments",
    "Permutations",
    "Pooled",
    "PooledTables",
    "Rounding",
    "Statistic",
    "centred_covariance",
    "cka_between",
    "class_maps_bytes",
    "class_top",
    "correlation",
    "from_pooled",
    "histogram_bytes",
    "layer_health",
    "map_size",
    "matched",
    "quantiles",
]
