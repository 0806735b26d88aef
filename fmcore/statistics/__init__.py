"""Statistics of activations, mergeable over any split of the samples, and scores of filters."""

from fmcore.statistics.accumulators import LayerAccumulators
from fmcore.statistics.compute import (
    WHY_UNDEFINED,
    Defined,
    PooledTables,
    compute_label_scores,
    compute_number_scores,
    compute_scores,
)
from fmcore.statistics.health import (
    HEALTH_RULES,
    Detail,
    HealthInputs,
    HealthRule,
    LayerHealth,
    dead_filters,
    layer_health,
)
from fmcore.statistics.health_changes import (
    HEALTH_CHANGES,
    LOST_CLASS,
    ClassAucs,
    LayerChanges,
    health_changes,
)
from fmcore.statistics.registry import (
    CLASS_FILTER,
    POOLINGS,
    STATISTICS,
    Statistic,
    score_families,
    unpooled_statistics,
)
from fmcore.statistics.scores import top
from fmcore.statistics.scores.block import Filters
from fmcore.statistics.scores.chance import PERMUTATIONS, SEED, Permutations
from fmcore.statistics.scores.labels import LabelGroups
from fmcore.statistics.scores.top import BANDS, TOP, class_top
from fmcore.statistics.similarity import (
    MATRIX_FILTERS,
    SIMILAR,
    SIMILAR_ARRAYS,
    Matches,
    RowTable,
    cka_between,
    correlation_matrix,
    correlation_rows,
    match_filters,
    most_similar,
)
from fmcore.statistics.streaming.batch import Accumulator, Batch, Extent
from fmcore.statistics.streaming.class_maps import ClassMaps, class_maps_bytes, map_size
from fmcore.statistics.streaming.duplicates import (
    DUPLICATE,
    DUPLICATE_ARRAYS,
    DUPLICATE_VALUES,
    Duplicates,
    duplicate_arrays,
)
from fmcore.statistics.streaming.histogram import (
    COARSEST,
    FINEST,
    Bins,
    Histogram,
    histogram_bytes,
    planned_bins,
    quantiles,
)
from fmcore.statistics.streaming.moments import Moments
from fmcore.statistics.streaming.reduction import POOLED, Pooled
from fmcore.statistics.streaming.rounding import Rounding

__all__ = [
    "BANDS",
    "CLASS_FILTER",
    "COARSEST",
    "DUPLICATE",
    "DUPLICATE_ARRAYS",
    "DUPLICATE_VALUES",
    "FINEST",
    "HEALTH_CHANGES",
    "HEALTH_RULES",
    "LOST_CLASS",
    "MATRIX_FILTERS",
    "PERMUTATIONS",
    "POOLED",
    "POOLINGS",
    "SEED",
    "SIMILAR",
    "SIMILAR_ARRAYS",
    "STATISTICS",
    "TOP",
    "WHY_UNDEFINED",
    "Accumulator",
    "Batch",
    "Bins",
    "ClassAucs",
    "ClassMaps",
    "Defined",
    "Detail",
    "Duplicates",
    "Extent",
    "Filters",
    "HealthInputs",
    "HealthRule",
    "Histogram",
    "LabelGroups",
    "LayerAccumulators",
    "LayerChanges",
    "LayerHealth",
    "Matches",
    "Moments",
    "Permutations",
    "Pooled",
    "PooledTables",
    "Rounding",
    "RowTable",
    "Statistic",
    "cka_between",
    "class_maps_bytes",
    "class_top",
    "compute_label_scores",
    "compute_number_scores",
    "compute_scores",
    "correlation_matrix",
    "correlation_rows",
    "dead_filters",
    "duplicate_arrays",
    "health_changes",
    "histogram_bytes",
    "layer_health",
    "map_size",
    "match_filters",
    "most_similar",
    "planned_bins",
    "quantiles",
    "score_families",
    "top",
    "unpooled_statistics",
]
