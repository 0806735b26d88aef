"""What one class and filter come to: numbers, distribution, top samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.figures.distribution import Spread
from dashboard.pages.chance import band_words, verdict
from dashboard.pages.state import State
from dashboard.stores.source import Snapshot
from fmcore.statistics import STATISTICS
from fmcore.storage import StoredArray


@dataclass(frozen=True, slots=True, eq=False)
class Spreads:
    """How the activations of a filter are spread.

    Attributes:
        of: whose; the selected class first.
        bounds: <float32>[bound, bin], the bins that hold anything.
        span: the smallest and largest activation of the filter over the whole test set.
    """

    of: list[Spread]
    bounds: NDArray[np.float32]
    span: tuple[float, float]


def compared(shown: State) -> int | None:
    """The class that the selected one is compared with; None without one, or with itself."""
    is_one = shown.class_index is not None and shown.against != shown.class_index
    return shown.against if is_one else None


def spreads(snapshot: Snapshot, shown: State) -> Spreads:
    """The distributions to be drawn.

    Raises:
        StatisticNotFoundError: if the store has no histograms, with the reason.
    """
    column, against = shown.filter_index, compared(shown)
    stored, bounds = snapshot.layer(shown.layer).histogram()
    filled, totals = snapshot.derived(("histogram", shown.layer), lambda: _totals(stored))
    total = totals[column]

    def of_class(index: int, role: str) -> Spread:
        counts = stored[index, column][filled]
        return Spread(f"class {snapshot.catalog.class_names[index]}", counts, role)

    if shown.class_index is None:
        name = "all classes" if snapshot.catalog.has_classes else "all samples"
        found = [Spread(name, total, "selected")]
    elif against is None:
        own = of_class(shown.class_index, "selected")
        found = [own, Spread("all other classes", total - own.counts, "others")]
    else:
        found = [
            of_class(shown.class_index, "selected"),
            of_class(against, "against"),
            Spread("all classes", total, "others"),
        ]
    span = np.nan_to_num(snapshot.filter_range(shown.layer)[:, shown.filter_index])
    shown_bounds = bounds[...][:, filled]
    return Spreads([one for one in found if one.counts.any()], shown_bounds, (span[0], span[1]))


def _totals(stored: StoredArray) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """The bins that hold anything, <int>[bin], and all classes together, <int64>[filter, bin].

    Kept, a click reads the chunks of the classes that are compared, and not those of all.
    """
    total = stored[0]
    for index in range(1, stored.shape[0]):  # one after the other: of all at once 60 MB would be
        total += stored[index]
    filled = np.flatnonzero(total.any(axis=0))
    return filled, np.ascontiguousarray(total[:, filled])


SPREAD_NOTE = (
    "Shares of all finite values, pixel by pixel, in columns of equal width, on a logarithmic "
    "axis; exact zeros are left out of the lines."
)


def missing_spread(found: Spreads) -> str:
    """Why there is no distribution to draw; empty where there is one."""
    if not found.of or found.of[0].role != "selected":
        return "This class has no samples"
    if found.span == (0.0, 0.0):
        return "Every activation is exactly zero"
    return ""


def top_samples(snapshot: Snapshot, shown: State, *, most: int) -> list[tuple[int, float]]:
    """The samples of the class (or of all) that excite the filter most, and by how much.

    Raises:
        StatisticNotFoundError: if the store has none.
    """
    if shown.class_index is None:
        top = snapshot.top(shown.layer, shown.filter_index)
    else:
        rows = range(shown.class_index, shown.class_index + 1)
        top = snapshot.top(shown.layer, shown.filter_index, "class", rows)
    samples, values = top["sample"][0], top["value"][0]
    there = np.flatnonzero(samples >= 0)[:most]
    return list(zip(samples[there].tolist(), values[there].tolist(), strict=True))


def numbers(snapshot: Snapshot, shown: State) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table: every statistic of class and filter, and its chance level."""
    names, against = snapshot.catalog.class_names, compared(shown)
    if not snapshot.catalog.has_classes:
        values = {
            name: snapshot.statistic(shown.layer, name)[0, shown.filter_index]
            for name in snapshot.catalog.statistics
        }
        rows = [[STATISTICS[name].title, number_text(one)] for name, one in values.items()]
        return ["Statistic", "All samples"], rows
    head = ["Statistic"]
    if shown.class_index is not None:
        head += [f"Class {names[shown.class_index]}", "By chance (95%)", "Verdict"]
    if against is not None:
        head.append(f"Class {names[against]}")
    head += ["Smallest class", "Largest class"]
    rows = [_row(snapshot, shown, against, name) for name in snapshot.catalog.statistics]
    return head, rows


def _row(snapshot: Snapshot, shown: State, against: int | None, name: str) -> list[str]:
    across = snapshot.statistic(shown.layer, name)[:, shown.filter_index]
    row = [STATISTICS[name].title]
    if shown.class_index is not None:
        value, band = across[shown.class_index], snapshot.chance(shown.layer, name)
        row.append(number_text(value))
        if band is None:
            row += ["", ""]
        else:
            at = band[:, shown.class_index, shown.filter_index]
            two_sided = STATISTICS[name].two_sided
            row += [band_words(*at, two_sided=two_sided), verdict(value, *at, two_sided=two_sided)]
    if against is not None:
        row.append(number_text(across[against]))
    return [*row, number_text(np.fmin.reduce(across)), number_text(np.fmax.reduce(across))]


def number_text(value: Any) -> str:
    """A number of a statistic; a dash where there is none."""
    if value.dtype.kind == "f" and not np.isfinite(value):
        return "–"
    return f"{int(value):,}" if value.dtype.kind in "iu" else f"{float(value):.6g}"


def value_words(snapshot: Snapshot, shown: State) -> str:
    """The page's statistic of the cell, and of the class it is compared with, beside chance."""
    title = STATISTICS[shown.statistic].title
    values = snapshot.statistic(shown.layer, shown.statistic)[:, shown.filter_index]
    if not snapshot.catalog.has_classes:
        return f"{title}: {number_text(values[0])}."
    if shown.class_index is None:
        low, high = number_text(np.fmin.reduce(values)), number_text(np.fmax.reduce(values))
        return f"{title}: {low} to {high} over classes."
    value, said = values[shown.class_index], ""
    band = snapshot.chance(shown.layer, shown.statistic)
    if band is not None:
        at = band[:, shown.class_index, shown.filter_index]
        two_sided = STATISTICS[shown.statistic].two_sided
        words = verdict(value, *at, two_sided=two_sided)
        said = f", {words} ({band_words(*at, two_sided=two_sided)})" if words else ""
    against = compared(shown)
    other = "" if against is None else f"; of class {snapshot.catalog.class_names[against]}: "
    return f"{title}: {number_text(value)}{said}{other}" + (
        "." if against is None else f"{number_text(values[against])}."
    )


def sizes_words(snapshot: Snapshot, shown: State) -> str:
    """What is looked at, and of how many samples."""
    names, sizes = snapshot.catalog.class_names, snapshot.class_sizes

    def words(index: int) -> str:
        return f"class {names[index]} ({sizes[index]:,} samples)"

    what, against = f"Filter {shown.filter_index} of {shown.layer}", compared(shown)
    if not snapshot.catalog.has_classes:
        return f"{what}, all {sizes.sum():,} samples"
    if shown.class_index is None:
        return f"{what}, all classes ({sizes.sum():,} samples)"
    beside = "" if against is None else f" against {words(against)}"
    return f"{what}, {words(shown.class_index)}{beside}"
