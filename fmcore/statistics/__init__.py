"""Numbers about activations, mergeable over any split of the samples; numpy only."""

from fmcore.statistics.class_maps import ClassMaps, class_maps_bytes, map_size
from fmcore.statistics.layer_sums import LayerSums
from fmcore.statistics.moments import Moments
from fmcore.statistics.pooled import POOLED, Pooled
from fmcore.statistics.registry import STATISTICS, Statistic
from fmcore.statistics.rounding import Rounding

__all__ = [
    "POOLED",
    "STATISTICS",
    "ClassMaps",
    "LayerSums",
    "Moments",
    "Pooled",
    "Rounding",
    "Statistic",
    "class_maps_bytes",
    "map_size",
]
