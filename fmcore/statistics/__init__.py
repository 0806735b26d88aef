"""Numbers about activations, mergeable over any split of the samples; numpy only."""

from fmcore.statistics.class_maps import ClassMaps, class_maps_bytes
from fmcore.statistics.moments import Moments
from fmcore.statistics.pooled import POOLED, Pooled
from fmcore.statistics.registry import STATISTICS, Statistic

__all__ = [
    "POOLED",
    "STATISTICS",
    "ClassMaps",
    "Moments",
    "Pooled",
    "Statistic",
    "class_maps_bytes",
]
