"""One number of each captured layer, by which the network is colored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from dashboard.stores.all_filters import AUC, best_classes
from dashboard.stores.findings import findings_of
from dashboard.stores.snapshot import Snapshot
from fmcore.errors import StatisticNotFoundError
from fmcore.files import size_text
from fmcore.numbers import fraction_text, number_text, share_text
from fmcore.storage import Layer

RANK = "effective_rank_mean"


@dataclass(frozen=True, slots=True)
class LayerValue:
    """A layer's number, or why it has none.

    Attributes:
        value: what the layer is colored by; None where it is not known.
        text: the number in words, or the reason.
    """

    value: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Measure:
    """What the captured layers of a network can be colored by.

    Attributes:
        title: in the choice of it, and above the color bar.
        definition: one sentence.
        value: the value of a layer.
        text: a number of it in words.
        low: what the colors begin with.
    """

    title: str
    definition: str
    value: Callable[[Snapshot, Layer], LayerValue]
    text: Callable[[float], str]
    low: float = 0.0


def _dead(snapshot: Snapshot, layer: Layer) -> LayerValue:
    findings = findings_of(snapshot)[layer.path]
    n_dead = int(findings.flags["dead"].sum())
    share = n_dead / layer.n_filters
    words = f"{n_dead:,} of {layer.n_filters:,} filters {findings.words['dead']}"
    return LayerValue(share, f"{words} ({share_text(share)})")


def _zeros(_: Snapshot, layer: Layer) -> LayerValue:
    n_values = layer.statistic("n_values") + layer.statistic("n_nonfinite")
    n_zeros = np.nan_to_num(layer.statistic("zero_fraction")) * n_values
    share = float(n_zeros.sum() / max(n_values.sum(), 1))
    return LayerValue(share, f"{share_text(share)} exact zeros")


def _rank(snapshot: Snapshot, layer: Layer) -> LayerValue:
    rank = float(snapshot.store.similarity(RANK)[layer.index])
    if not np.isfinite(rank):
        return LayerValue(None, "no effective rank: no filter varies, or none is finite")
    share = rank / layer.n_filters
    words = f"rank {number_text(rank, digits=4)} of {layer.n_filters:,} filters"
    return LayerValue(share, f"{words} ({share_text(share)})")


def _auc(snapshot: Snapshot, layer: Layer) -> LayerValue:
    if not snapshot.catalog.has_classes:
        return LayerValue(None, "no AUC: samples are not told apart by class")
    classes, values = best_classes(layer.statistic(AUC))
    if not np.isfinite(values).any():
        return LayerValue(None, "no AUC: it is undefined for every filter and class")
    best = int(np.nanargmax(values))
    name = snapshot.catalog.class_names[classes[best]]
    words = f"best AUC {fraction_text(values[best])}: filter {best} for class {name}"
    return LayerValue(float(values[best]), words)


def _bytes(_: Snapshot, layer: Layer) -> LayerValue:
    if not layer.has_maps:
        return LayerValue(None, "no maps stored, tables and statistics only")
    return LayerValue(float(layer.stored_bytes), f"{size_text(layer.stored_bytes)} of maps")


# By the values of `State.network_color`.
MEASURES: Mapping[str, Measure] = {
    "dead": Measure(
        "Dead filters",
        "Share of the layer's filters that are dead: the same for every pixel and sample.",
        _dead,
        share_text,
    ),
    "zeros": Measure(
        "Exact zeros",
        "Share of the layer's activations over all samples that are exactly zero.",
        _zeros,
        share_text,
    ),
    "rank": Measure(
        "Effective rank",
        "Effective rank of the layer's pooled means, as a share of the number of its filters; with "
        "fewer samples than filters it cannot reach 100%.",
        _rank,
        share_text,
    ),
    "auc": Measure(
        "Best AUC",
        "The largest ROC-AUC of a filter's pooled mean for one class; 0.5 is chance for one filter "
        "that was not picked as the best of many.",
        _auc,
        fraction_text,
        low=0.5,
    ),
    "bytes": Measure(
        "Stored size",
        "Bytes that the layer's maps take in the file.",
        _bytes,
        lambda n_bytes: size_text(int(n_bytes)),
    ),
}


def values_of(snapshot: Snapshot, name: str) -> Mapping[str, LayerValue]:
    """The value of each captured layer by its path, of one of `MEASURES`; kept."""

    def value(layer: Layer) -> LayerValue:
        try:
            return MEASURES[name].value(snapshot, layer)
        except StatisticNotFoundError as error:
            return LayerValue(None, str(error))

    def make() -> dict[str, LayerValue]:
        return {path: value(snapshot.layer(path)) for path in snapshot.catalog.n_filters}

    return snapshot.derived(("layer values", name), make)


def span_of(measure: Measure, values: Mapping[str, LayerValue]) -> tuple[float, float] | None:
    """What the colors span: from where the measure begins, or below, to the largest value.

    To 1 where all values are the least; None where there is none.
    """
    numbers = [value.value for value in values.values() if value.value is not None]
    if not numbers:
        return None
    low, high = min(measure.low, *numbers), max(numbers)
    return low, high if high > low else 1.0
