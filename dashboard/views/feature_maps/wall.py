"""What the script of the wall is told of a layer: once, and not again for each sample."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
from numpy.typing import NDArray

from dashboard import state
from dashboard.source import Snapshot
from fmcore.errors import MapsNotStoredError, StatisticNotFoundError
from fmcore.statistics import quantiles
from fmcore.storage import Layer

# Values of a sample up to which float32 travels; above, float16 does and hover asks for the exact.
EXACT_CELLS = 1 << 20
PERCENTILES = (0.01, 0.99)


def wall_facts(snapshot: Snapshot, layer: str) -> dict[str, Any]:
    """What wall.js has to know of a layer, as JSON.

    Keys: `store`, `digest`, `n_samples`, `layer`, `shape` (y, x, filter); `url` of a sample's maps
    but for the sample, `exact` the same in float32, and whether `url` is only `approximate`; `low`
    and `high` of each filter, `span` of the layer and its `percentiles`, all over the whole test
    set; whether some are below zero (`signed`) or not a number (`has_missing`); which filters are
    `dead`; `image`, the address of an image but for the sample, and its `image_shape` (y, x);
    `rows` and `columns`, the first and last one that a unit at each y and x sees, and `grid`, the
    pixels that the maps cover, both None where unknown; `message`, why there is no wall.
    """
    one = snapshot.layer(layer)
    asked = f"api/v1/stores/{quote(snapshot.name, safe='')}/maps?"
    ranges = np.nan_to_num(snapshot.filter_range(layer))
    span = [float(ranges[0].min()), float(ranges[1].max())]
    fields = one.receptive_fields()
    shape = snapshot.image_shape
    try:
        dtype, message = _travels(one, max(map(abs, span))), ""
    except MapsNotStoredError as error:
        dtype, message = "float32", str(error)
    exact = asked + urlencode({"layer": layer})
    stored = message or one.stored_dtype.name
    return {
        "store": snapshot.name,
        "digest": snapshot.digest,
        "n_samples": snapshot.catalog.n_samples,
        "layer": layer,
        "shape": list(one.shape),
        "url": exact if dtype == "float32" else f"{exact}&dtype={dtype}",
        "exact": exact,
        "approximate": dtype != "float32" and stored != dtype,
        "low": ranges[0].tolist(),
        "high": ranges[1].tolist(),
        "span": span,
        "percentiles": percentiles(one) or span,
        "signed": span[0] < 0,
        "has_missing": bool(one.statistic("n_nonfinite").any()),
        "dead": np.logical_not(ranges[1] > 0).tolist(),
        "image": f"api/v1/stores/{quote(snapshot.name, safe='')}/images/",
        "image_shape": list(shape),
        "rows": None if fields is None else fields[:, 0, [0, 2]].tolist(),
        "columns": None if fields is None else fields[0, :, [1, 3]].T.tolist(),
        "grid": None if fields is None else covered(fields, shape),
        "message": message,
    }


def _travels(layer: Layer, largest: float) -> str:
    """The dtype that a sample's maps travel in: as stored where they can, half where they must."""
    if layer.stored_dtype == np.float16:
        return "float16"
    too_large = int(np.prod(layer.shape)) > EXACT_CELLS
    return "float16" if too_large and largest <= np.finfo(np.float16).max else "float32"


def percentiles(layer: Layer) -> list[float] | None:
    """The values that 1 % and 99 % of a layer's activations are not above; None if not stored."""
    try:
        counts, _ = layer.histogram()
    except StatisticNotFoundError:
        return None
    low, high = layer.filter_range()
    ends = np.fmin.reduce(low), np.fmax.reduce(high)
    summed = counts.sum(axis=(0, 1))
    return [float(quantiles(summed, level, *ends)) for level in PERCENTILES]


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


def order_scores(snapshot: Snapshot, shown: state.State) -> tuple[list[float | None] | None, str]:
    """What the wall is ordered by, one number a filter, and what that is in words.

    None where the script knows it itself: filters by index, or by their mean in this sample.

    Raises:
        StatisticNotFoundError: if the store was captured without scores.
    """
    if shown.filter_order == "class":
        label = shown.class_index
        if label is None:
            label = int(snapshot.store.labels[shown.sample])
        scores = snapshot.statistic(shown.layer, "auc_mean")[label]
        name = snapshot.catalog.class_names[label]
        words = f"By ROC-AUC of the pooled mean for class {name}, largest first."
    elif shown.filter_order == "similar":
        scores = snapshot.statistic(shown.layer, "correlation_mean")[shown.filter_index]
        words = f"By correlation of the pooled mean with filter {shown.filter_index}."
    else:
        by_mean = "By mean activation in this sample, largest first."
        return None, by_mean if shown.filter_order == "mean" else ""
    return [float(one) if np.isfinite(one) else None for one in scores], words
