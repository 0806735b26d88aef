"""What the script of the wall is told of a layer: once, and not again for each sample."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from dashboard.pages import state
from dashboard.pages.words import is_bound, not_exact
from dashboard.stores.source import Snapshot
from fmcore.errors import StatisticNotFoundError
from fmcore.statistics import dead_filters, quantiles
from fmcore.storage import Layer

# Values of a sample up to which all of them travel; of more, what a screen shows, and hover asks.
EXACT_CELLS = 1 << 20
PERCENTILES = (0.01, 0.99)


def wall_facts(snapshot: Snapshot, layer: str) -> dict[str, Any]:
    """What wall.js has to know of a layer, as JSON.

    Keys: `store`, `digest`, `n_samples`, `layer`, `shape` (y, x, filter); `url` of a sample's maps
    but for the sample, `exact` the same in float32, and `windows` of them, where the maps are too
    large to travel whole, else None; `low` and `high` of each filter, `span` of the layer and its
    `percentiles`, all over the whole test set; whether some are below zero (`signed`) or not a
    number (`has_missing`); which filters are `dead`; `image`, the address of an image but for the
    sample, and its `image_shape` (y, x); `rows` and `columns`, the first and last one that a unit
    at each y and x sees, and `grid`, the pixels that the maps cover; `boxes`, what each unit sees,
    in place of these where rows and columns do not tell it; all None where unknown;
    `field_note`, which says so in words, and whether units may see less (`at_most`);
    `message`, why there is no wall.
    """
    one = snapshot.layer(layer)
    ranges = np.nan_to_num(snapshot.filter_range(layer))
    n_nonfinite = one.statistic("n_nonfinite")
    span = [float(ranges[0].min()), float(ranges[1].max())]
    fields = snapshot.receptive_fields(layer)
    shape = snapshot.image_shape
    about = urlencode({"layer": layer})
    message = ""
    if not one.has_maps:
        message = (
            f"This store keeps no maps of {layer}: it was captured with the policy pooled, tables "
            "and statistics only. Classes and Filter show those."
        )
    half = one.has_maps and one.activation.stored_dtype == np.float16
    return {
        "store": snapshot.name,
        "digest": snapshot.digest,
        "n_samples": snapshot.catalog.n_samples,
        "layer": layer,
        "shape": list(one.shape),
        "url": f"{snapshot.api}/maps?{about}{'&dtype=float16' if half else ''}",
        "exact": f"{snapshot.api}/maps?{about}",
        "windows": f"{snapshot.api}/windows?{about}" if is_large(one) else None,
        "low": ranges[0].tolist(),
        "high": ranges[1].tolist(),
        "span": span,
        "percentiles": percentiles(one) or span,
        "signed": span[0] < 0,
        "has_missing": bool(n_nonfinite.any()),
        "dead": dead_filters(one.statistic("min"), one.statistic("max"), n_nonfinite).tolist(),
        "image": f"{snapshot.api}/images/",
        "image_shape": list(shape),
        **boxes(fields, shape),
        "field_note": not_exact(one) or "Hover a map: the box is what that value sees.",
        "at_most": is_bound(one),
        "message": message,
    }


def described(snapshot: Snapshot, layer: str) -> dict[str, Any]:
    """What the wall is told of a layer; made once, since it reads all histograms."""
    return snapshot.derived(("wall", layer), lambda: wall_facts(snapshot, layer))


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
    """What each unit sees, for the script: in few numbers where rows and columns tell it.

    Args:
        fields: <int64>[y, x, (first y, first x, last y, last x)]; None where it is unknown.
        image: pixels of the input, (y, x).
    """
    unknown = {"rows": None, "columns": None, "boxes": None, "grid": None}
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


def order_scores(snapshot: Snapshot, shown: state.State) -> tuple[list[float | None] | None, str]:
    """What the wall is ordered by, one number a filter, and what that is in words.

    None where the script knows it itself: filters by index, or by their mean in a sample whose
    maps it has whole.

    Raises:
        StatisticNotFoundError: if the store was captured without scores.
    """
    if shown.filter_order == "class":
        label = shown.class_index
        if label is None:
            label = int(snapshot.labels[shown.sample])
        scores = snapshot.statistic(shown.layer, "auc_mean")[label]
        name = snapshot.catalog.class_names[label]
        words = f"By ROC-AUC of the pooled mean for class {name}, largest first."
    elif shown.filter_order == "similar":
        scores = snapshot.correlations(shown.layer, shown.filter_index)
        words = f"By correlation of the pooled mean with filter {shown.filter_index}."
    elif shown.filter_order == "mean":
        words = "By mean activation in this sample, largest first."
        layer = snapshot.layer(shown.layer)
        if not is_large(layer):
            return None, words
        scores = layer.pooled("mean")[shown.sample]
    else:
        return None, ""
    return [float(one) if np.isfinite(one) else None for one in scores], words
