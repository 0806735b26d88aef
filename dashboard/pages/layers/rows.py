"""What assets/layers/ has to know of the layers: once, and not again for each sample."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import urlencode

from dashboard.pages.feature_maps.facts import EXACT_CELLS, boxes
from dashboard.stores.snapshot import Snapshot
from fmcore.statistics import SUMMARY_WORDS, n_shown


def layer_facts(snapshot: Snapshot) -> dict[str, Any]:
    """The facts of all layers as JSON; kept, since receptive fields are read for them.

    Keys: `digest`, what tells the store from every other; `image`, what stands before and after
    the sample in the address of its image; `image_shape`, its pixels, (y, x); `words`, what each
    summary is; `shown`, how many filters of each layer are asked for; `is_large`, whether the maps
    of a sample are many, so that they are not asked for while samples fly by; `rows`, a record for
    each layer, see `_row`.
    """
    return snapshot.derived(("layers",), lambda: _read(snapshot))


def _read(snapshot: Snapshot) -> dict[str, Any]:
    layers = snapshot.store.layers
    most = n_shown(layer.n_filters for layer in layers.values())
    return {
        "digest": snapshot.digest,
        "image": list(snapshot.image_url_parts()),
        "image_shape": list(snapshot.image_shape),
        "words": {by.value: words for by, words in SUMMARY_WORDS.items()},
        "shown": most,
        "is_large": sum(math.prod(layer.shape) for layer in layers.values()) > EXACT_CELLS,
        "rows": [_row(snapshot, path, most) for path in layers],
    }


def _row(snapshot: Snapshot, path: str, most: int) -> dict[str, Any]:
    """The facts of a layer.

    Keys: `layer`, its path; `shape`, of a sample's maps, (y, x, filter); `has_maps`; `grid`, the
    pixels of the input that the maps cover, None where unknown; `url`, the address of its summaries
    but for sample and kind, relative to a page.
    """
    layer = snapshot.layer(path)
    query = urlencode({"layer": path, "strongest": most})
    return {
        "layer": path,
        "shape": list(layer.shape),
        "has_maps": layer.has_maps,
        "grid": boxes(snapshot.receptive_fields(path), snapshot.image_shape)["grid"],
        "url": f"{snapshot.api}/summaries?{query}",
    }
