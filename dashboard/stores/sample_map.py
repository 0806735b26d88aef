"""The map of a store's samples: where they lie, what is near, what lies apart; kept once made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.stores.snapshot import Snapshot
from fmcore.records import Target
from fmcore.statistics import Outliers, SampleSpace, outliers
from fmcore.storage import Layer, SampleTable, sample_space

# Of several labels or numbers so many have columns; a page colors by one of them.
MOST_TARGETS = 32


@dataclass(frozen=True, slots=True, eq=False)
class SampleColumn:
    """A number of each sample, by which points are colored.

    Attributes:
        name: of the column; what a page keeps in its link.
        header: the column in a word or two.
        values: <int32, float32 or uint8>[sample]; NaN, or -1 of texts, where there is none.
        texts: what whole numbers are places in; empty for numbers.
    """

    name: str
    header: str
    values: NDArray[Any]
    texts: tuple[str, ...] = ()


def space_of(snapshot: Snapshot, table: SampleTable, *, is_kept: bool = True) -> SampleSpace:
    """The samples as points; which columns and samples count is kept, the table is not.

    Args:
        snapshot: the store.
        table: one of its tables.
        is_kept: as `fmcore.storage.sample_space` takes it.

    Raises:
        StatisticNotFoundError, StoreError: as `fmcore.storage.sample_space`.
    """
    key = ("center", *table.key)
    center = snapshot.held(key)
    space = sample_space(snapshot.store, table, center, is_kept=is_kept)
    snapshot.derived(key, lambda: space.center)
    return space


def outliers_of(snapshot: Snapshot, table: SampleTable, k: int) -> Outliers:
    """How far each sample lies from others; kept.

    Raises:
        StatisticNotFoundError, StoreError: as `fmcore.storage.sample_space`.
    """
    return snapshot.derived_once(
        ("outliers", str(k), *table.key), lambda: outliers(space_of(snapshot, table), k)
    )


def columns(snapshot: Snapshot) -> list[SampleColumn]:
    """What is known of each sample: `label`, `prediction`, `right` and `confidence`.

    Of several labels or numbers instead what is true of each and what the model gives, the first
    `MOST_TARGETS` of them: `true_NAME` and `predicted_NAME`. What nobody knows has no column.
    """
    store, names = snapshot.store, snapshot.catalog.class_names
    rows: list[SampleColumn] = []
    if store.has_classes:
        labels = snapshot.labels.astype(np.int32)
        rows.append(SampleColumn("label", "label", labels, names))
    if snapshot.predictions is not None:
        predictions = snapshot.predictions.astype(np.int32)
        rows.append(SampleColumn("prediction", "prediction", predictions, names))
        if store.has_outcomes:
            is_right = (snapshot.labels == snapshot.predictions).astype(np.uint8)
            rows.append(SampleColumn("right", "right or wrong", is_right))
        rows.append(SampleColumn("confidence", "confidence", snapshot.confidence))
    if store.target in (Target.LABELS, Target.NUMBER):
        for kind, values in (("true", store.truth), ("predicted", store.answers)):
            if values is not None:
                rows += [
                    SampleColumn(f"{kind}_{name}", f"{kind} {name}", _of_target(values[:, at]))
                    for at, name in enumerate(store.target_names[:MOST_TARGETS])
                ]
    return rows


def _of_target(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.uint8 if values.dtype == np.bool_ else np.float32)


def filter_column(layer: Layer, filter_index: int, by: str) -> SampleColumn:
    """The pooled activation of one filter in each sample.

    Args:
        layer: a layer of the store.
        filter_index: a filter that it has.
        by: `mean` or `max`.

    Raises:
        StatisticNotFoundError: if the store has no such pooled table.
    """
    values = np.ascontiguousarray(layer.pooled(by)[:, filter_index], np.float32)
    return SampleColumn("filter", f"{by} activation of {layer.path}[{filter_index}]", values)
