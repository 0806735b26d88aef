"""What the page says of an enlarged map, and what its colours span: pure functions of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

RANGE_WORDS = {
    "layer": "Colours span the layer's activations over the whole test set.",
    "filter": "Colours span each filter's activations over the whole test set.",
    "map": "Colours span each map's own values: brightness does not compare between maps.",
    "percentile": "Colours span 1 % to 99 % of the layer's activations over the whole test set.",
}


def color_range(
    values: NDArray[np.float32], *, kind: str, facts: dict[str, Any], filter_index: int
) -> tuple[float, float]:
    """What the colours of one map span, as on the wall.

    Args:
        values: <float32>[y, x], the map.
        kind: one of `state.RANGES`.
        facts: of the layer, see `wall_facts`.
        filter_index: which filter.
    """
    if kind == "map":
        finite = values[np.isfinite(values)]
        return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if kind == "filter":
        return facts["low"][filter_index], facts["high"][filter_index]
    low, high = facts["percentiles" if kind == "percentile" else "span"]
    return low, high


def filter_facts(values: NDArray[Any], whole_set: tuple[float, float]) -> dict[str, str]:
    """What is said beside an enlarged map, of its finite values.

    Args:
        values: <float32>[y, x], the map.
        whole_set: smallest and largest activation of the filter.
    """
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
