"""Every filter of every layer of a store, in columns that all layers share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.chance import within_chance
from dashboard.stores.findings import MEANINGS, findings_of
from dashboard.stores.measures import COST, COST_HEADERS, COST_TIPS, COSTS, CostParts, cost_parts
from dashboard.stores.snapshot import Snapshot
from fmcore.statistics import (
    CLASS_FILTER,
    STATISTICS,
    Statistic,
    score_families,
    unpooled_statistics,
)
from fmcore.storage import Layer

# Scores of class and filter, and of the filter alone, each on the pooled table in question.
OF_CLASS = score_families(CLASS_FILTER)
OF_FILTER = [
    family for family, about in score_families(("filter",)).items() if not about.same_order_as
]
NOT_POOLED = unpooled_statistics(("filter",))
# The pooled table that scores are taken of, where nobody chose one.
POOLING = "mean"
AUC = f"auc_{POOLING}"
HEALTH_TIP = "; ".join(f"{rule.words}: {rule.definition}" for rule in MEANINGS.values())
BEST_CLASS_TIP = "The class with the largest ROC-AUC."
NO_VALUE = -1


@dataclass(frozen=True, slots=True, eq=False)
class FilterColumn:
    """One column of all filters: those of the first layer, then those of the next.

    Attributes:
        name: its name in links and programs.
        header: what a person reads above it.
        tip: what it means.
        values: <float64>[row], NaN where there is none; or <int32>[row], places in `texts`, -1 for
            none; without these, whole numbers.
        texts: what whole numbers stand for; empty for none.
        within: <bool>[row], whether the value is within chance; None where it has no chance level.
        bounds: <float64>[bound, row], the chance level; None as for `within`.
        is_two_sided: whether a value below the level is a finding too.
        is_hidden: whether only a CSV has it, and the tip of the column that it belongs to: of
            `cost` `cost_low`, `cost_high` and `cost_q`.
    """

    name: str
    header: str
    tip: str
    values: NDArray[Any]
    texts: tuple[str, ...] = ()
    within: NDArray[np.bool_] | None = None
    bounds: NDArray[np.float64] | None = None
    is_two_sided: bool = False
    is_hidden: bool = False


@dataclass(slots=True, eq=False)
class _Parts:
    """A column on its way, a part for each layer."""

    values: list[NDArray[Any]] = field(default_factory=list)
    bounds: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, values: NDArray[Any], bounds: NDArray[np.float64] | None = None) -> None:
        """Adds a layer's values, [filter], and their chance level, [bound, filter]."""
        self.values.append(values)
        none = np.full((2, len(values)), np.nan)
        self.bounds.append(none if bounds is None else bounds)

    def column(self, name: str, header: str, tip: str, *, is_two_sided: bool) -> FilterColumn:
        """The whole column."""
        values = np.concatenate(self.values, dtype=np.float64)
        bounds = np.concatenate(self.bounds, axis=1, dtype=np.float64)
        if np.isnan(bounds).all():
            return FilterColumn(name, header, tip, values)
        within = within_chance(values, bounds, two_sided=is_two_sided)
        return FilterColumn(name, header, tip, values, (), within, bounds, is_two_sided)


def filter_columns(snapshot: Snapshot) -> list[FilterColumn]:
    """What is known of each filter: where it is, its health, its best class, its scores.

    Scores are those that the page of Classes shows of a layer, on pooled means; a layer that lacks
    one has no value there.
    """
    sizes = list(snapshot.catalog.n_filters.values())
    return [
        FilterColumn(
            "layer",
            "Layer",
            "In the order of the model.",
            np.repeat(np.arange(len(sizes), dtype=np.int32), sizes),
            tuple(snapshot.catalog.n_filters),
        ),
        FilterColumn(
            "filter",
            "Filter",
            "Its index in the layer.",
            np.concatenate([np.arange(size, dtype=np.int32) for size in sizes]),
        ),
        health_column(snapshot),
        *_costs(snapshot),
        *_best_class(snapshot),
        *_scores(snapshot),
    ]


def health_column(snapshot: Snapshot) -> FilterColumn:
    """What is wrong with each filter."""
    findings = findings_of(snapshot)
    texts = sorted({text for layer in findings.values() for text in layer.texts})
    place = {text: at for at, text in enumerate(texts)}
    health = [
        np.array([place[text] for text in layer.texts], np.int32)[layer.codes]
        for layer in findings.values()
    ]
    return FilterColumn("health", "Health", HEALTH_TIP, np.concatenate(health), tuple(texts))


def _layers(snapshot: Snapshot) -> Iterator[tuple[Layer, frozenset[str]]]:
    """Each layer with the names of its statistics; without classes, of those that have a value."""
    for path in snapshot.catalog.n_filters:
        stored = frozenset(snapshot.statistics(path))
        if not snapshot.catalog.has_classes:
            stored &= NOT_POOLED.keys()
        yield snapshot.layer(path), stored


def _best_class(snapshot: Snapshot) -> list[FilterColumn]:
    """The class that each filter tells best, and its AUC; nothing where no layer has scores.

    The AUC is within chance where that of the class alone is: the best of several has better odds.
    """
    classes, parts = [], _Parts()
    for layer, stored in _layers(snapshot):
        nothing = np.full(layer.n_filters, np.nan)
        if AUC not in stored:
            classes.append(np.full(layer.n_filters, NO_VALUE))
            parts.add(nothing)
            continue
        best, values = best_classes(layer.statistic(AUC))
        band, every = layer.chance(AUC), np.arange(layer.n_filters)
        classes.append(best)
        parts.add(values, None if band is None else band[:, np.maximum(best, 0), every])
    codes = np.concatenate(classes).astype(np.int32)
    about = STATISTICS[AUC]
    auc = parts.column("best_auc", "Its AUC", about.definition, is_two_sided=about.two_sided)
    if np.isnan(auc.values).all():
        return []
    names = snapshot.catalog.class_names
    return [FilterColumn("best_class", "Best class", BEST_CLASS_TIP, codes, names), auc]


def _costs(snapshot: Snapshot) -> list[FilterColumn]:
    """What the model loses without each filter; nothing where that was not measured.

    Why it cannot be read, where a file of it is there, the panel of costs says.
    """
    name = snapshot.catalog.measured
    if not name:
        return []
    parts: list[CostParts] = []
    for path, n_filters in snapshot.catalog.n_filters.items():
        is_known = not snapshot.why_no_costs(path)
        measured = snapshot.layer_costs(path).costs if is_known else None
        parts.append(cost_parts(measured, name, n_filters))
    if all(np.isnan(part.values).all() for part in parts):
        return []
    about = COSTS[name]
    columns = {
        field: np.concatenate([getattr(part, field) for part in parts])
        for field in ("values", "low", "high", "q")
    }
    cost = FilterColumn(name, about.caption, COST_TIPS[name], columns.pop("values"))
    if name != COST:
        return [cost]
    beside = [
        FilterColumn(f"{name}_{end}", COST_HEADERS[end], "", values, is_hidden=True)
        for end, values in columns.items()
    ]
    return [cost, *beside]


def _scores(snapshot: Snapshot) -> list[FilterColumn]:
    """The scores of the filter over all classes, and what is computed of all its activations."""
    columns = []
    for name in (*(f"{family}_{POOLING}" for family in OF_FILTER), *NOT_POOLED):
        about, parts = STATISTICS[name], _Parts()
        for layer, stored in _layers(snapshot):
            if name in stored:
                parts.add(layer.statistic(name), layer.chance(name))
            else:
                parts.add(np.full(layer.n_filters, np.nan))
        if any(name in stored for _, stored in _layers(snapshot)):
            columns.append(_scored(about, parts))
    return columns


def _scored(about: Statistic, parts: _Parts) -> FilterColumn:
    tip = f"{about.title}. {about.definition}"
    return parts.column(about.name, about.caption, tip, is_two_sided=about.two_sided)


def best_classes(values: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The class with the largest value of each filter, -1 for none; and that value.

    Args:
        values: <float64>[class, filter], NaN or infinite where there is none.
    """
    table = np.where(np.isfinite(values), values, np.nan)
    none = np.isnan(table).all(axis=0)
    best = np.where(np.isnan(table), -np.inf, table).argmax(axis=0)
    return np.where(none, NO_VALUE, best), np.fmax.reduce(table)
