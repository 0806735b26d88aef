"""What the page says of a filter, looked up and put in words; no components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.figures.histogram import N_BINS, Shares, shares
from dashboard.stores.source import Snapshot
from fmcore.errors import StatisticNotFoundError
from fmcore.statistics import BANDS, HEALTH_RULES, TOP, LayerHealth

ALL = "all classes"
# Lines of the histogram beside that of all classes.
MOST_LINES = 12
PLACES = ("sample", "value", "y", "x")


@dataclass(frozen=True, slots=True)
class Response:
    """A sample that a filter responds to.

    Attributes:
        sample: its index.
        value: the largest activation of its map.
        y: the row of that.
        x: the column.
    """

    sample: int
    value: float
    y: int
    x: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a filter, or that nothing is.

    Attributes:
        text: in a few words.
        meaning: the definition.
        grave: whether it is more than worth knowing.
        other: the filter that it is about beside this one, or None.
    """

    text: str
    meaning: str
    grave: bool = True
    other: int | None = None


def responses(
    snapshot: Snapshot, layer: str, filter_index: int, of: str = "", rows: range = range(1)
) -> list[list[Response]]:
    """The strongest samples of a filter, a list for each row; see `Snapshot.top`.

    Those of all samples come from the pooled table where the store keeps no top samples.

    Raises:
        StatisticNotFoundError: if the store keeps none of classes or bands.
    """
    try:
        found = snapshot.top(layer, filter_index, of, rows)
    except StatisticNotFoundError:
        if of:
            raise
        found = _of_pooled(snapshot, layer, filter_index)
    columns = [found[name].tolist() for name in PLACES]
    return [
        [Response(*one) for one in zip(*row, strict=True) if one[0] >= 0]
        for row in zip(*columns, strict=True)
    ]


def _of_pooled(snapshot: Snapshot, layer: str, filter_index: int) -> dict[str, NDArray[np.generic]]:
    one = snapshot.layer(layer)
    value = one.pooled("max")[:, filter_index]
    order = np.argsort(-np.where(np.isfinite(value), value, -np.inf), kind="stable")[:TOP]
    order = order[np.isfinite(value[order])]
    places = {axis: one.pooled(f"max_{axis}")[order, filter_index] for axis in ("y", "x")}
    found: dict[str, NDArray[np.generic]] = {"sample": order, "value": value[order], **places}
    return {name: array[np.newaxis] for name, array in found.items()}


def band_titles() -> list[str]:
    """What each band is, in words."""
    return [
        f"About the {band}th percentile: stronger than {band}% of the samples" for band in BANDS
    ]


def findings(health: LayerHealth, filter_index: int, class_names: Sequence[str]) -> list[Finding]:
    """What is wrong with a filter; where nothing is, one that says so."""
    found = []
    for name, flags in health.findings.items():
        if flags[filter_index]:
            rule, detail = HEALTH_RULES[name], health.detail(name, filter_index, class_names)
            found.append(Finding(detail.text, rule.definition, rule.is_grave, detail.other))
    *words, last = (rule.words for rule in HEALTH_RULES.values())
    nothing = f"neither {', '.join(words)}, nor {last}"
    return found or [Finding("nothing found", nothing, grave=False)]


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """What the histogram draws.

    Attributes:
        shares: of each line; the last is that of all classes.
        names: of the lines.
        front: the line in front.
        note: which classes there are, of how many.
    """

    shares: Shares
    names: list[str]
    front: int
    note: str


def distribution(
    snapshot: Snapshot, layer: str, filter_index: int, class_index: int | None
) -> Distribution | None:
    """The histogram of a filter by class; None where no activation is finite and not zero.

    Raises:
        StatisticNotFoundError: if the store has no histograms, with the reason.
    """
    counts, bounds = snapshot.histogram(layer, filter_index)
    low, high = snapshot.filter_range(layer)[:, filter_index]
    if not np.isfinite([low, high]).all() or low == high == 0:
        return None
    there = np.flatnonzero((snapshot.class_sizes > 0) & snapshot.catalog.has_classes)
    chosen = there
    if len(there) > MOST_LINES:
        means = snapshot.statistic(layer, "mean")[there, filter_index]
        chosen = there[np.argsort(-np.nan_to_num(means, nan=-np.inf), kind="stable")[:MOST_LINES]]
        if class_index is not None and class_index in there and class_index not in chosen:
            chosen = np.append(chosen[:-1], class_index)
        chosen = np.sort(chosen)
    lines = np.concatenate([counts[chosen], counts.sum(axis=0, keepdims=True)])
    together = ALL if snapshot.catalog.has_classes else "all samples"
    names = [*(f"class {snapshot.catalog.class_names[index]}" for index in chosen), together]
    front = len(chosen)
    if class_index in chosen:
        front = int(np.flatnonzero(chosen == class_index)[0])
    found = shares(lines, bounds, span=(float(low), float(high)))
    return Distribution(found, names, front, _lines_note(snapshot, len(chosen), class_index))


def _lines_note(snapshot: Snapshot, n_lines: int, class_index: int | None) -> str:
    sizes, names = snapshot.class_sizes, snapshot.catalog.class_names
    bins = (
        f"in each of {N_BINS} bins of equal width, made of the finer ones in the store; exact "
        "zeros are counted apart, on the left."
    )
    if not snapshot.catalog.has_classes:
        return f"Share of the activations of all samples {bins}"
    which = f"{n_lines:,} of {len(names):,} classes"
    if n_lines < (sizes > 0).sum():
        which += ": those with the largest mean activation" + (
            ", and the selected" if class_index is not None else ""
        )
    elif (n_empty := int((sizes == 0).sum())) > 0:
        which += f"; {n_empty:,} without samples"
    if class_index is not None and not sizes[class_index]:
        which += f". Class {names[class_index]} has no samples"
    return (
        f"A line a class, {which}. Share of the activations of the class {bins} Hover names a line."
    )


def strongest_of(snapshot: Snapshot, layer: str, filters: Sequence[int]) -> dict[int, Response]:
    """The strongest sample of each of some filters that have one; none where the store has none."""
    try:
        tops = snapshot.tops(layer)
    except StatisticNotFoundError:
        return {}
    found = [tops[name][list(filters), 0].tolist() for name in PLACES]
    best = (Response(*each) for each in zip(*found, strict=True))
    return {index: each for index, each in zip(filters, best, strict=True) if each.sample >= 0}


def kernel_note(
    shape: tuple[int, int, int], bias: NDArray[np.float32] | None, filter_index: int
) -> str:
    """What the picture of a kernel [kernel_y, kernel_x, input] shows, and the bias."""
    height, width, n_inputs = shape
    said = "no bias is stored" if bias is None else f"bias {bias[filter_index]:.6g}"
    tiles = "one tile" if n_inputs == 1 else f"all {n_inputs} input planes, a tile each"
    return f"{height}×{width}, {tiles}, one range for all; {said}"
