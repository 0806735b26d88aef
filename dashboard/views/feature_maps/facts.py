"""What the page says and chooses, as pure functions of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard import state
from dashboard.figures.montage import shrink_step
from dashboard.source import Snapshot


def as_count(clicks: object) -> int:
    """A number of clicks; 0 for a button that was not clicked yet."""
    return clicks if isinstance(clicks, int) else 0


def neighbour(matching: NDArray[Any], sample: int, steps: int) -> int | None:
    """The sample that is some steps on in a selection; from outside it, the nearest one onwards.

    Args:
        matching: <int64>[n], the selection, ascending.
        sample: where to start from.
        steps: 1 for the next, -1 for the previous, 0 to stay where that is possible.

    Returns:
        A sample of the selection, round the end where need be; None where it is empty.
    """
    if not len(matching):
        return None
    place = int(np.searchsorted(matching, sample))
    inside = place < len(matching) and matching[place] == sample
    if steps > 0 and not inside:
        steps -= 1  # onwards from outside is already a step
    return int(matching[(place + steps) % len(matching)])


def position_text(matching: NDArray[Any], sample: int, n_samples: int) -> str:
    """Where a sample stands in a selection, in words."""
    if not len(matching):
        return f"0 of {n_samples:,} samples match; choose another class or prediction."
    place = int(np.searchsorted(matching, sample))
    if len(matching) == n_samples:
        return f"{n_samples:,} samples; the arrow keys step through them."
    if place < len(matching) and matching[place] == sample:
        return f"{place + 1:,} of {len(matching):,} that match, of {n_samples:,} samples"
    return f"Not among the {len(matching):,} that match, of {n_samples:,} samples"


def shown_maps(
    snapshot: Snapshot, **controls: object
) -> tuple[state.State, NDArray[np.float32], NDArray[Any]]:
    """What the controls ask for, its maps <float32>[y, x, filter], and what their colours span."""
    shown = snapshot.state(**controls)
    maps = snapshot.layer(shown.layer).feature_maps(shown.sample)
    return shown, maps, color_ranges(snapshot, shown, maps)


def color_ranges(snapshot: Snapshot, shown: state.State, maps: NDArray[Any]) -> NDArray[Any]:
    """What the colours of each filter span, <float64>[2, filter]."""
    if shown.color_range == "map":
        finite = np.where(np.isfinite(maps), maps, np.nan).astype(np.float64)
        ends = [np.fmin.reduce(finite, axis=(0, 1)), np.fmax.reduce(finite, axis=(0, 1))]
        return np.nan_to_num(np.stack(ends))  # a map without a finite value spans nothing
    whole_set = snapshot.filter_range(shown.layer)
    if shown.color_range == "filter":
        return np.nan_to_num(whole_set)
    low, high = np.nan_to_num([np.fmin.reduce(whole_set[0]), np.fmax.reduce(whole_set[1])])
    return np.stack([np.full(maps.shape[2], low), np.full(maps.shape[2], high)])


def montage_note(shape: tuple[int, ...], color_range: str) -> str:
    """What is shown, of how much, and what the colours mean."""
    height, width, filters = shape
    step = shrink_step((height, width, filters))
    shown = f"All {filters} of {filters} filters, {height}×{width} each. "
    if step > 1:
        shown += f"Each cell is the largest of {step}×{step} values; one filter is shown exactly. "
    return (
        shown
        + {
            "layer": "Colours span the layer's activations over the whole test set.",
            "filter": "Colours span each filter's activations over the whole test set.",
            "map": "Colours span each map's own values: brightness does not compare between maps.",
        }[color_range]
        + " Drag to zoom, double-click to go back, click to enlarge."
    )


def filter_facts(values: NDArray[Any], whole_set: NDArray[Any]) -> dict[str, str]:
    """What is said beside an enlarged map, of its finite values."""
    finite = values[np.isfinite(values)]
    facts = {"Largest here": "all zero", "Mean here": "no finite value"}
    if finite.size:
        facts["Mean here"] = f"{finite.mean(dtype=np.float64):.6g}"
    if values.any() and finite.size:
        y, x = np.argwhere(values == finite.max())[0]
        facts["Largest here"] = f"{finite.max():.6g} at y {y}, x {x}"
    facts["Exactly zero here"] = f"{np.count_nonzero(values == 0):,} of {values.size:,}"
    if finite.size < values.size:
        facts["Not finite here"] = f"{values.size - finite.size:,} of {values.size:,}"
    return facts | {"Whole test set": f"{whole_set[0]:.6g} to {whole_set[1]:.6g}"}
