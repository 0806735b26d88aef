"""The samples that a filter responds to most, over all and in each class, and its usual ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics.scores.labels import LabelGroups
from fmcore.statistics.scores.ranking import Ranking

TOP = 25
# Percentiles of the samples about which bands lie.
BANDS = (50, 75, 90)
# A table of each class and filter is kept within this, by fewer samples.
CLASS_TOP_BYTES = 64 << 20
NOBODY = -1


def class_top(n_classes: int, n_filters: int) -> int:
    """Samples that are kept for each class and filter: 25, or as many as fit, at least 1."""
    return max(1, min(TOP, CLASS_TOP_BYTES // (16 * n_classes * n_filters)))


def top_arrays(
    ranking: Ranking,
    classes: LabelGroups,
    table: NDArray[np.float32],
    places: dict[str, NDArray[np.int32]],
    most: int,
) -> dict[str, NDArray[np.generic]]:
    """All that a store keeps under `top/`: samples, their values, and where in the map they lie.

    Args:
        ranking: of the table.
        classes: of the samples.
        table: <float32>[filter, sample], the largest value of each map.
        places: its row `y` and column `x`, <int32>[filter, sample].
        most: samples that are kept for each class.

    Returns:
        `sample`, `value`, `y`, `x` as [filter, k]; `class_sample` … as [present, filter, k];
        `band_sample` … as [band, filter, k]. Sample -1, value NaN where there are no more.
    """
    found: dict[str, NDArray[np.generic]] = {}
    for prefix, samples in (
        ("", top_samples(ranking)),
        ("class_", top_of_classes(ranking, classes, most)),
        ("band_", band_samples(ranking)),
    ):
        rows = np.arange(len(table))[:, np.newaxis]
        values = table[rows, samples]
        nobody = (samples == NOBODY) | ~np.isfinite(values)
        found[f"top/{prefix}sample"] = np.where(nobody, NOBODY, samples)
        found[f"top/{prefix}value"] = np.where(nobody, np.nan, values).astype(np.float32)
        for axis, place in places.items():
            found[f"top/{prefix}{axis}"] = np.where(nobody, -1, place[rows, samples])
    return found


def top_samples(ranking: Ranking) -> NDArray[np.int32]:
    """Samples of the largest values, ties by index, <int32>[filter, k]; -1 where none is left."""
    return _filled(ranking.order[:, :TOP])


def top_of_classes(ranking: Ranking, classes: LabelGroups, most: int) -> NDArray[np.int32]:
    """The same of each class that is present, <int32>[present, filter, k]."""
    n_filters = len(ranking.order)
    found = np.full((len(classes.present), n_filters, most), NOBODY, dtype=np.int32)
    for place, (start, size) in enumerate(zip(classes.starts, classes.sizes, strict=True)):
        ranks = ranking.by_class[:, start : start + min(most, size)]
        found[place, :, : ranks.shape[1]] = np.take_along_axis(ranking.order, ranks, axis=1)
    return found


def band_samples(ranking: Ranking) -> NDArray[np.int32]:
    """Samples next to each percentile of `BANDS` by rank, <int32>[band, filter, k], largest first.

    Band p is centred on the sample that p percent of the others are not above.
    """
    n = ranking.order.shape[1]
    size = min(TOP, n)
    found = []
    for percentile in BANDS:
        centre = round((1 - percentile / 100) * (n - 1))
        start = min(max(centre - size // 2, 0), n - size)
        found.append(_filled(ranking.order[:, start : start + size]))
    return np.stack(found)


def _filled(samples: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.pad(samples, ((0, 0), (0, TOP - samples.shape[1])), constant_values=NOBODY)
