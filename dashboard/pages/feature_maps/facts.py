"""What the scripts have to know of a layer: once, and not again for each sample."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from dashboard.figures.feature_map import enlarged_style, figure_template
from dashboard.figures.theme import DARK, LIGHT, Figure
from dashboard.pages.words import is_bound, not_as_computed, not_exact
from dashboard.stores.snapshot import Snapshot
from fmcore.errors import StatisticNotFoundError
from fmcore.statistics import FilterValues, dead_filters, quantiles
from fmcore.storage import Layer

# Values of a sample up to which all of them travel; of more, what a screen shows, and hover asks.
EXACT_CELLS = 1 << 20
PERCENTILES = (0.01, 0.99)
# CSS pixels of the longer side of the enlarged map.
LONGEST = 270
NO_MAPS = (
    "This store keeps no maps of {layer}: it was captured with the policy pooled, tables "
    "and statistics only. Classes and Filter show those."
)


@dataclass(frozen=True, slots=True, eq=False)
class WallFacts:
    """What assets/feature_maps/ has to know of a layer; a test holds both ends.

    Attributes:
        store: the store's name in links.
        digest: what tells the store from every other.
        layer: the layer's path.
        shape: of one sample's maps, (y, x, filter).
        url: the address of a sample's maps but for the sample, relative to a page.
        exact: the same address in float32.
        windows: the address of windows of maps that are too large to travel whole, else None.
        low: the smallest activation of each filter over the whole test set, for its colors; 0
            where none is finite.
        high: the largest one.
        whole: the range of each filter over the whole test set, in words.
        span: the smallest and the largest of the layer.
        percentiles: the values that 1 % and 99 % of the layer's activations are not above.
        signed: whether some activations are below zero.
        dead: for each filter, whether it is dead.
        image: what stands before and after the sample in the address of its image.
        image_shape: pixels of an image, (y, x).
        rows: the first and last row that a unit at each y sees; None where unknown.
        columns: the first and last column that a unit at each x sees; None where unknown.
        boxes: what each unit sees, [y][x] of (first y, first x, last y, last x), where rows and
            columns do not tell it; else None.
        grid: the pixels of the input that the maps cover; None where unknown.
        field_note: how exact the boxes are, in words.
        at_most: whether units may see less than their boxes.
        figures: the figure of one map but for its values, by color scheme.
        figure_style: the style of its graph.
        value_note: what to know of the values, in words; empty for nothing.
        message: why there is no wall; empty where there is one.
    """

    store: str
    digest: str
    layer: str
    shape: list[int]
    url: str
    exact: str
    windows: str | None
    low: list[float]
    high: list[float]
    whole: list[str]
    span: list[float]
    percentiles: list[float]
    signed: bool
    dead: list[bool]
    image: list[str]
    image_shape: list[int]
    rows: list[list[int]] | None
    columns: list[list[int]] | None
    boxes: list[list[list[int]]] | None
    grid: dict[str, float] | None
    field_note: str
    at_most: bool
    figures: dict[str, Figure]
    figure_style: dict[str, str]
    value_note: str
    message: str

    def as_json(self) -> dict[str, Any]:
        """The facts by name, as JSON takes them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def wall_facts(snapshot: Snapshot, path: str) -> WallFacts:
    """The facts of a layer; kept, since they are read from all of its histograms.

    Raises:
        LayerNotFoundError: if there is no such layer.
    """
    return snapshot.derived(("wall", path), lambda: _read_facts(snapshot, path))


def _read_facts(snapshot: Snapshot, path: str) -> WallFacts:
    layer = snapshot.layer(path)
    values = snapshot.values(path)
    n_nonfinite, is_finite = values.n_nonfinite, np.isfinite(values.low)
    span = [0.0, 0.0]
    if is_finite.any():
        span = [float(np.nanmin(values.low)), float(np.nanmax(values.high))]
    signed = span[0] < 0
    query = urlencode({"layer": path})
    half = layer.has_maps and layer.activation.stored_dtype == np.float16
    return WallFacts(
        store=snapshot.name,
        digest=snapshot.digest,
        layer=path,
        shape=list(layer.shape),
        url=f"{snapshot.api}/maps?{query}{'&dtype=float16' if half else ''}",
        exact=f"{snapshot.api}/maps?{query}",
        windows=f"{snapshot.api}/windows?{query}" if is_large(layer) else None,
        low=np.where(is_finite, values.low, 0).tolist(),
        high=np.where(is_finite, values.high, 0).tolist(),
        whole=[values.range_words(index) for index in range(layer.n_filters)],
        span=span,
        percentiles=(percentiles(layer) if is_finite.any() else None) or span,
        signed=signed,
        dead=dead_filters(layer.statistic("min"), layer.statistic("max"), n_nonfinite).tolist(),
        image=list(snapshot.image_url_parts()),
        image_shape=list(snapshot.image_shape),
        **boxes(snapshot.receptive_fields(path), snapshot.image_shape),
        field_note=not_exact(layer) or "Hover a map: the box is what that value sees.",
        at_most=is_bound(layer),
        figures={
            scheme: figure_template(layer.shape[:2], theme=theme, signed=signed)
            for scheme, theme in (("light", LIGHT), ("dark", DARK))
        },
        figure_style=enlarged_style(layer.shape[:2], longest=LONGEST),
        value_note=_value_note(layer, values),
        message="" if layer.has_maps else NO_MAPS.format(layer=path),
    )


def _value_note(layer: Layer, values: FilterValues) -> str:
    n_bad, n_good = int(values.n_nonfinite.sum()), int(values.n_finite.sum())
    words = ""
    if n_bad:
        which = int(values.n_nonfinite.any(axis=0).sum())
        words = (
            f"{n_bad:,} of {n_bad + n_good:,} values of the whole test set are NaN or infinite, in "
            f"{which:,} of {layer.n_filters:,} filters."
        )
    if n_bad and not n_good:
        words = (
            f"All {n_bad:,} values of the whole test set are NaN or infinite: no color is a value."
        )
    return " ".join(filter(None, (words, not_as_computed(layer))))


def is_large(layer: Layer) -> bool:
    """Whether the maps of one sample are too large to travel whole."""
    return math.prod(layer.shape) > EXACT_CELLS


def percentiles(layer: Layer) -> list[float] | None:
    """The values that 1 % and 99 % of a layer's activations are not above; None if not stored."""
    try:
        counts, bounds = layer.histogram()
    except StatisticNotFoundError:
        return None
    low, high = layer.filter_range()
    ends = np.fmin.reduce(low), np.fmax.reduce(high)
    summed = counts[...].sum(axis=(0, 1))
    return [float(quantiles(summed, bounds[...], *ends, level=level)) for level in PERCENTILES]


def boxes(fields: NDArray[np.int64] | None, image: tuple[int, ...]) -> dict[str, Any]:
    """The fields `rows`, `columns`, `boxes` and `grid` of `WallFacts`: few numbers where they do.

    Args:
        fields: <int64>[y, x, (first y, first x, last y, last x)]; None where it is unknown.
        image: pixels of the input, (y, x).
    """
    unknown: dict[str, Any] = {"rows": None, "columns": None, "boxes": None, "grid": None}
    if fields is None:
        return unknown
    rows, columns = fields[:, :1, [0, 2]], fields[:1, :, [1, 3]]
    if not ((fields[..., [0, 2]] == rows).all() and (fields[..., [1, 3]] == columns).all()):
        return unknown | {"boxes": fields.tolist()}
    return unknown | {
        "rows": rows[:, 0].tolist(),
        "columns": columns[0].tolist(),
        "grid": covered(fields, image),
    }


def covered(fields: NDArray[np.int64], image: tuple[int, ...]) -> dict[str, float] | None:
    """The pixels of the input that a layer's maps cover, each value about its receptive field.

    From the fields that no border clips; where there are too few of them the maps are taken to
    cover the whole image.

    Args:
        fields: <int64>[y, x, (first y, first x, last y, last x)].
        image: pixels of the input, (y, x).
    """
    top, height = _extent(fields[:, 0, 0], fields[:, 0, 2], image[0])
    left, width = _extent(fields[0, :, 1], fields[0, :, 3], image[1])
    return {"top": top, "left": left, "height": height, "width": width}


def _extent(first: NDArray[Any], last: NDArray[Any], pixels: int) -> tuple[float, float]:
    sizes = last - first
    clear = np.flatnonzero((sizes == sizes.max()) & (first > 0) & (last < pixels - 1))
    if len(clear) < 2:
        return 0.0, float(pixels)
    middle = (first + last + 1) / 2
    step = (middle[clear[-1]] - middle[clear[0]]) / (clear[-1] - clear[0])
    start = middle[clear[0]] - (clear[0] + 0.5) * step
    return float(start), float(step * len(first))
