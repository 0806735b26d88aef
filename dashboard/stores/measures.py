"""What pages show of each class and filter: statistics of a store, and costs measured beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmcore.records import Target
from fmcore.statistics import COST_LEVEL, STATISTICS, AnswerSums, Costs, Curve, Statistic, costs

COST, MOVED = "cost", "moved"
_PAIRED = "every sample is answered twice, by the whole model and without the filter"
COSTS: Mapping[str, Statistic] = {
    COST: Statistic(
        COST,
        "Cost in points",
        "Δ accuracy",
        "By how many points of accuracy the model is worse on samples of the class without the "
        f"filter: {_PAIRED}; below zero where it is better.",
        "McNemar 1947 (exact); Holm 1979; Newcombe 1998, method 10",
        -100,
        100,
        chance="an exact McNemar test of answers lost and gained; q is p after Holm over all "
        f"classes and filters of the layer, and costs with q of {COST_LEVEL:g} or more are gray",
        neutral=0.0,
        short="Cost",
        basis=AnswerSums,
        compute=costs,
    ),
    MOVED: Statistic(
        MOVED,
        "Change of the output",
        "Δ output",
        f"How far the model's outputs move without the filter, in % of their size: {_PAIRED}; the "
        "root of the sum of squared distances over that of squared outputs.",
        "relative error",
        0,
        short="Moved",
        basis=AnswerSums,
        compute=costs,
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class LayerCosts:
    """What the filters of a layer cost, small enough to be kept.

    Attributes:
        costs: axes [filter].
        no_effect: <bool>[filter], whether no answer changes without the filter.
        quality: the share of samples that the whole model has right; NaN where it predicts none.
        curve: how right the model is without many filters; None where that was not measured.
    """

    costs: Costs
    no_effect: NDArray[np.bool_]
    quality: float
    curve: Curve | None


# What tables of filters say of a cost, and of what belongs to it.
COST_TIPS: Mapping[str, str] = {
    COST: "By how many points of accuracy the model is worse without the filter, over all samples "
    "that were measured. Gray and slanted: not apart from zero, q of "
    f"{COST_LEVEL:g} or more (exact McNemar test, Holm over the filters of the layer).",
    MOVED: "How far the model's outputs move without the filter, in % of their size.",
}
COST_HEADERS: Mapping[str, str] = {"low": "Cost, low", "high": "Cost, high", "q": "q of cost"}


# All that Classes shows.
MEASURES: Mapping[str, Statistic] = {**STATISTICS, **COSTS}


def cost_measure(target: Target) -> str:
    """The name of the cost that says something of a model with a kind of answer."""
    return COST if target == Target.CLASS else MOVED


def cost_values(measured: Costs, name: str) -> NDArray[np.float64]:
    """A cost as pages show it: in points of accuracy, or in % of the output."""
    return 100 * (measured.accuracy.value if name == COST else measured.output)


@dataclass(frozen=True, slots=True, eq=False)
class CostParts:
    """What a table of filters says of costs, <float64>[filter] each; NaN where nobody knows.

    Attributes:
        values: the cost.
        low: the lower end of its 95 % interval.
        high: the upper end.
        q: p after Holm over the filters of the layer.
    """

    values: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    q: NDArray[np.float64]


def cost_parts(measured: Costs | None, name: str, n_filters: int) -> CostParts:
    """The costs of a layer's filters; of one that was not measured, nothing."""
    if measured is None:
        return CostParts(*(np.full(n_filters, np.nan) for _ in range(4)))
    ends = 100 * measured.accuracy.low, 100 * measured.accuracy.high
    return CostParts(cost_values(measured, name), *ends, measured.q)


def within_noise(measured: Costs, name: str) -> NDArray[np.bool_]:
    """Which costs are not apart from zero, <bool>[...]; nothing is where there is no test."""
    if name != COST:
        return np.zeros(measured.q.shape, np.bool_)
    return np.isfinite(measured.accuracy.value) & (measured.q >= COST_LEVEL)
