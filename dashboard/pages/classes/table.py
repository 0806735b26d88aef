"""The table of a layer's filters: its columns, its rows, and what it comes to in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dashboard.components.table import Column
from dashboard.pages.chance import verdict, verdicts
from dashboard.pages.classes.arrange import finite
from dashboard.pages.state import State
from dashboard.stores.source import Snapshot
from fmcore.export import no_formula
from fmcore.statistics import (
    CLASS_FILTER,
    HEALTH_RULES,
    STATISTICS,
    LayerHealth,
    score_families,
    unpooled_statistics,
)

# Scores of class and filter, and of the filter alone, each on the pooled table in question.
OF_CLASS = score_families(CLASS_FILTER)
OF_FILTER = [family for family, one in score_families(("filter",)).items() if not one.same_order_as]
NOT_POOLED = unpooled_statistics(("filter",))


def columns(snapshot: Snapshot, shown: State) -> list[Column]:
    """Everything that is known of each filter of a layer, and of the selected class's share."""
    n_filters = snapshot.catalog.n_filters[shown.layer]
    words = health_words(snapshot.health(shown.layer), snapshot.catalog.class_names)
    found = [
        Column("filter", "Filter", np.arange(n_filters)),
        Column("health", "Health", words, HEALTH_TIP),
    ]
    if shown.class_index is not None:
        found += _of_class(snapshot, shown, shown.class_index)
    return [*found, *_of_filter(snapshot, shown)]


def _of_class(snapshot: Snapshot, shown: State, row: int) -> list[Column]:
    """The page's statistic and the scores of one class, each with its verdict."""
    name = snapshot.catalog.class_names[row]
    pooling = pooling_of(shown.statistic)
    scores = [f"{family}_{pooling}" for family in OF_CLASS]
    found = []
    for statistic in dict.fromkeys([shown.statistic, *scores]):
        if statistic not in snapshot.catalog.statistics:
            continue
        about, band = STATISTICS[statistic], snapshot.chance(shown.layer, statistic)
        values = snapshot.statistic(shown.layer, statistic)[row]
        beside = f"{statistic}_verdict" if band is not None else ""
        found.append(
            Column(statistic, f"{about.caption} for {name}", values, about.definition, beside)
        )
        if band is not None:
            said = verdicts(values, band[:, row], two_sided=about.two_sided).tolist()
            hidden = statistic != scores[0]
            header = f"{about.caption}'s verdict"
            found.append(Column(beside, header, said, about.chance, hidden=hidden))
    return found


def _of_filter(snapshot: Snapshot, shown: State) -> list[Column]:
    """The class that a filter tells best, and the scores of the filter over all classes."""
    names, there = snapshot.catalog.class_names, set(snapshot.statistics(shown.layer))
    pooling, found = pooling_of(shown.statistic), []
    if not snapshot.catalog.has_classes:  # what tells classes has no value
        there &= NOT_POOLED.keys()
    auc = f"auc_{pooling}"
    if auc in there:
        best, largest = best_classes(snapshot.statistic(shown.layer, auc))
        said = ["" if index < 0 else no_formula(names[index]) for index in best.tolist()]
        found += [
            Column("best_class", "Best class", said, "The class with the largest ROC-AUC."),
            Column("best_auc", "Its AUC", largest, STATISTICS[auc].definition),
        ]
    for statistic in (*(f"{family}_{pooling}" for family in OF_FILTER), *NOT_POOLED):
        if statistic in there:
            about = STATISTICS[statistic]
            values, tip = snapshot.statistic(shown.layer, statistic), about.definition
            found.append(Column(statistic, about.caption, values, f"{about.title}. {tip}"))
    return found


def pooling_of(statistic: str) -> str:
    """The pooled table that scores are taken of, beside a statistic: its own, else the mean."""
    return STATISTICS[statistic].pooling or "mean"


def best_classes(values: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The class with the largest value of each filter, -1 for none; and that value.

    Args:
        values: <float64>[class, filter], NaN where there is none.
    """
    known = finite(values)
    none = ~np.isfinite(known).any(axis=0)
    best = np.where(np.isnan(known), -np.inf, known).argmax(axis=0)
    return np.where(none, -1, best), np.fmax.reduce(known)


def strongest(snapshot: Snapshot, shown: State) -> tuple[str, int, float] | None:
    """The statistic, filter and value of the strongest filter for the class; None without any.

    By ROC-AUC, which says how well a class is told from all others; in a store without scores by
    the page's statistic.
    """
    if shown.class_index is None:
        return None
    auc = f"auc_{pooling_of(shown.statistic)}"
    name = auc if auc in snapshot.catalog.statistics else shown.statistic
    values = finite(snapshot.statistic(shown.layer, name)[shown.class_index])
    if not np.isfinite(values).any():
        return None
    best = int(np.nanargmax(values))
    return name, best, float(values[best])


def strongest_words(snapshot: Snapshot, shown: State) -> str:
    """The same in words; empty where there is none."""
    best = strongest(snapshot, shown)
    if best is None or shown.class_index is None:
        return ""
    name, index, value = best
    of = snapshot.catalog.class_names[shown.class_index]
    band, at = snapshot.chance(shown.layer, name), (shown.class_index, index)
    about = STATISTICS[name]
    words = "" if band is None else verdict(value, *band[:, *at], two_sided=about.two_sided)
    beside = f", {words}" if words else ""
    return f"Strongest for class {of}: filter {index} ({about.title} {value:.3f}{beside})"


HEALTH_TIP = "; ".join(f"{rule.words}: {rule.definition}" for rule in HEALTH_RULES.values())
OK = "ok"


def health_words(health: LayerHealth, class_names: Sequence[str]) -> list[str]:
    """What is wrong with each filter, <str>[filter]; `ok` for nothing."""
    words: list[list[str]] = [[] for _ in range(health.n_filters)]
    for finding in health.findings:
        for index in health.filters_of(finding):
            words[index].append(health.detail(finding, index, class_names).short)
    return [", ".join(said) or OK for said in words]


def health_summary(health: LayerHealth, *, most: int = 8) -> str:
    """How many filters have each finding, and which; never more than `most` numbers of each."""
    n_filters, said = health.n_filters, []
    for finding in health.findings:
        which = health.filters_of(finding)
        if which:
            more = f" and {len(which) - most:,} more" if len(which) > most else ""
            listed = ", ".join(map(str, which[:most])) + more
            many = "" if len(which) == 1 else "s"
            said.append(f"{len(which):,} {HEALTH_RULES[finding].words} (filter{many} {listed})")
    if not said:
        return f"Nothing is wrong with any of the {n_filters:,} filters."
    return f"Of {n_filters:,} filters: {'; '.join(said)}."


def scores_missing(snapshot: Snapshot, shown: State) -> str:
    """What to do where the store has no scores; empty where it has them."""
    if not snapshot.catalog.has_classes or any(
        STATISTICS[name].origin == "pooled" for name in snapshot.statistics(shown.layer)
    ):
        return ""
    return (
        "This store was captured without scores, so there is no AUC and no best class; "
        f"`fmcore stats {snapshot.file_name} --recompute` computes them."
    )


def downloads_as(snapshot: Snapshot, shown: State) -> str:
    """The name of the CSV."""
    layer = snapshot.layer(shown.layer).group
    of = "" if shown.class_index is None else f"-class{shown.class_index}"
    return f"{snapshot.name}-{layer}-filters{of}.csv"
