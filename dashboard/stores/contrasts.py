"""A contrast of two groups in columns of filters, as the table of all filters has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.chance import within_chance
from dashboard.stores.all_filters import FilterColumn
from fmcore.statistics import Contrast
from fmcore.statistics.contrast.record import P_SOURCE_WORDS, WHY_UNCONTRASTED

AUC_TIP = (
    "The probability that a sample of A has a larger value than one of B, ties one half. 0.5 tells "
    "nothing, 1 and 0 tell the groups apart without a mistake."
)
EFFECT_TIP = "Cliff's delta, the rank-biserial correlation: 2 AUC - 1, from -1 to 1."
P_TIP = "Of the Mann-Whitney test, two-sided, for this filter alone."
Q_TIP = (
    "p after Benjamini and Hochberg over all filters of all layers: of the filters with a q below "
    "0.05, about one in twenty is expected to be there by chance."
)


def contrast_columns(contrast: Contrast) -> list[FilterColumn]:
    """All columns of a contrast, a row for each filter in the order of the model."""
    within = within_chance(contrast.auc, contrast.chance, two_sided=True)
    numbers = (
        ("effect", "Effect", EFFECT_TIP, contrast.effect),
        ("p", "p", P_TIP, contrast.p),
        ("q", "q", Q_TIP, contrast.q),
        ("mean_a", "Mean A", "The mean of the pooled values of group A.", contrast.mean_a),
        ("mean_b", "Mean B", "The mean of the pooled values of group B.", contrast.mean_b),
    )
    return [
        FilterColumn(
            "layer", "Layer", "In the order of the model.", contrast.layer, contrast.layers
        ),
        FilterColumn("filter", "Filter", "Its index in the layer.", contrast.filter),
        FilterColumn("auc", "AUC", AUC_TIP, contrast.auc, (), within, contrast.chance, True),
        *(FilterColumn(*column) for column in numbers),
        _coded("p_source", "p by", "How p was computed.", contrast.p_source, P_SOURCE_WORDS),
        _coded(
            "reason", "Reason", "Why there are no numbers.", contrast.undefined, WHY_UNCONTRASTED
        ),
    ]


def _coded(
    name: str, header: str, tip: str, codes: NDArray[np.uint8], words: Mapping[Any, str]
) -> FilterColumn:
    """A column of codes of which 0 stands for nothing."""
    return FilterColumn(name, header, tip, codes.astype(np.int32) - 1, tuple(words.values())[1:])
