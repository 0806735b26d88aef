"""The samples with the largest values for a filter, overall and by class, and typical samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.scores.labels import LabelGroups
from fmcore.statistics.scores.ranking import Ranking

TOP = 25
# Percentiles that bands of samples are centered on.
BANDS = (50, 75, 90)
# The table of all classes and filters is kept below this, with fewer samples each.
CLASS_TOP_BYTES = 64 << 20
NO_SAMPLE = -1
# The axes of each kind of top samples, by the prefix of their arrays' names.
AXES = {
    "": ("filter", "k"),
    "class_": ("class", "filter", "class_k"),
    "band_": ("band", "filter", "k"),
}
# What is kept of each top sample.
COLUMNS = ("sample", "value", "y", "x")


def class_top(n_classes: int, n_filters: int) -> int:
    """The number of top samples kept for each class and filter: 25, or what fits, at least 1."""
    return max(1, min(TOP, CLASS_TOP_BYTES // (16 * n_classes * n_filters)))


def top_arrays(
    ranking: Ranking,
    classes: LabelGroups,
    table: NDArray[np.float32],
    positions: dict[str, NDArray[np.int32]],
    k: int,
) -> dict[str, NDArray[np.generic]]:
    """The arrays that a store keeps of top samples: their indices, values and positions in the map.

    Args:
        ranking: the ranking of the samples by `table`.
        classes: the samples grouped by label.
        table: <float32>[filter, sample], the largest value of each map.
        positions: the row `y` and the column `x` of the largest value, <int32>[filter, sample].
        k: the number of samples kept for each class.

    Returns:
        `top_sample`, `top_value`, `top_y`, `top_x` as [filter, k]; `top_class_sample` … as
        [present, filter, class_k]; `top_band_sample` … as [band, filter, k]. Where there are fewer
        samples: sample -1, value NaN.
    """
    arrays: dict[str, NDArray[np.generic]] = {}
    for prefix, samples in (
        ("", top_samples(ranking)),
        ("class_", class_top_samples(ranking, classes, k)),
        ("band_", band_samples(ranking)),
    ):
        rows = np.arange(len(table))[:, np.newaxis]
        values = table[rows, samples]
        missing = (samples == NO_SAMPLE) | ~np.isfinite(values)
        arrays[f"top_{prefix}sample"] = np.where(missing, NO_SAMPLE, samples)
        arrays[f"top_{prefix}value"] = np.where(missing, np.nan, values).astype(np.float32)
        for axis, position in positions.items():
            arrays[f"top_{prefix}{axis}"] = np.where(missing, -1, position[rows, samples])
    return arrays


def top_samples(ranking: Ranking) -> NDArray[np.int32]:
    """Samples of the largest values, ties by index, <int32>[filter, k]; -1 where none is left."""
    return _pad(ranking.order[:, :TOP])


def class_top_samples(ranking: Ranking, classes: LabelGroups, k: int) -> NDArray[np.int32]:
    """Samples of the largest values in each class that has samples, <int32>[present, filter, k].

    Ties are ordered by index; -1 where a class has no more samples.
    """
    n_filters = len(ranking.order)
    samples = np.full((len(classes.present), n_filters, k), NO_SAMPLE, dtype=np.int32)
    for index, (start, size) in enumerate(zip(classes.starts, classes.sizes, strict=True)):
        ranks = ranking.by_class[:, start : start + min(k, size)]
        samples[index, :, : ranks.shape[1]] = np.take_along_axis(ranking.order, ranks, axis=1)
    return samples


def band_samples(ranking: Ranking) -> NDArray[np.int32]:
    """Samples around each percentile of `BANDS` by rank, <int32>[band, filter, k], largest first.

    Band p is centered on the sample whose value p percent of the other samples do not exceed.
    """
    n = ranking.order.shape[1]
    size = min(TOP, n)
    bands = []
    for percentile in BANDS:
        center = round((1 - percentile / 100) * (n - 1))
        start = min(max(center - size // 2, 0), n - size)
        bands.append(_pad(ranking.order[:, start : start + size]))
    return np.stack(bands)


def _pad(samples: NDArray[np.int32]) -> NDArray[np.int32]:
    """Pads the last axis to `TOP` samples."""
    return np.pad(samples, ((0, 0), (0, TOP - samples.shape[1])), constant_values=NO_SAMPLE)
