"""Statistics of activations, mergeable over any split of the samples, and scores of filters."""

from fmcore.statistics.health import (
    HEALTH_RULES,
    Detail,
    HealthRule,
    LayerHealth,
    dead_filters,
    layer_health,
)
from fmcore.statistics.registry import (
    CLASS_FILTER,
    STATISTICS,
    Statistic,
    score_families,
    unpooled_statistics,
)
from fmcore.statistics.scores.chance import PERMUTATIONS, SEED, Permutations
from fmcore.statistics.scores.compute import (
    POOLINGS,
    WHY_UNDEFINED,
    Defined,
    Filters,
    PooledTables,
    compute_scores,
)
from fmcore.statistics.scores.labels import LabelGroups
from fmcore.statistics.scores.top import BANDS, TOP, class_top
from fmcore.statistics.similarity import (
    Matches,
    centered_covariance,
    cka_between,
    correlation,
    match_filters,
)
from fmcore.statistics.streaming.accumulators import LayerAccumulators, Rounding
from fmcore.statistics.streaming.class_maps import ClassMaps, class_maps_bytes, map_size
from fmcore.statistics.streaming.histogram import (
    COARSEST,
    FINEST,
    Bins,
    Histogram,
    histogram_bytes,
    quantiles,
)
from fmcore.statistics.streaming.moments import Moments
from fmcore.statistics.streaming.reduction import POOLED, Pooled

__all__ = [
    "BANDS",
    "CLASS_FILTER",
    "COARSEST",
    "FINEST",
    "HEALTH_RULES",
    "PERMUTATIONS",
    "POOLED",
    "POOLINGS",
    "SEED",
    "STATISTICS",
    "TOP",
    "WHY_UNDEFINED",
    "Bins",
    "ClassMaps",
    "Defined",
    "Detail",
    "Filters",
    "HealthRule",
    "Histogram",
    "LabelGroups",
    "LayerAccumulators",
    "LayerHealth",
    "Matches",
    "Moments",
    "Permutations",
    "Pooled",
    "PooledTables",
    "Rounding",
    "Statistic",
    "centered_covariance",
    "cka_between",
    "class_maps_bytes",
    "class_top",
    "compute_scores",
    "correlation",
    "dead_filters",
    "histogram_bytes",
    "layer_health",
    "map_size",
    "match_filters",
    "quantiles",
    "score_families",
    "unpooled_statistics",
]
