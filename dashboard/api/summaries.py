"""The operation that answers with one layer in one sample: a summary, and some filters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.responses import Response

from dashboard.api import answers
from dashboard.api.answers import RAW, Call
from dashboard.api.errors import Limits
from dashboard.api.windows import MOST_BYTES, shrink, whole_number
from dashboard.server import headers as caching
from dashboard.stores.snapshot import Snapshot
from fmcore.errors import SelectionError
from fmcore.statistics import N_COLORS, SMALL_MODEL, STRONGEST, ColorBasis, Summary
from fmcore.storage import Layer, layer_basis, layer_summary

# Of each map a row of the page shows far less; where it is more, a value stands for several.
LARGEST_SIDE = 512
# All that is said of so many fits into a header that every proxy takes.
MOST_FILTERS = SMALL_MODEL
AXES = ("plane", "y", "x")


def summaries(call: Call) -> Response:
    """One map for all filters of a layer in one sample, and maps of the filters that stand out."""
    snapshot = call.snapshot()
    layer = snapshot.layer(call.take("layer"))
    sample = snapshot.store.check_sample(whole_number(call.take("sample"), "sample"))
    by = Summary(call.take("by", Summary.MEAN))
    n_filters = whole_number(call.take("strongest", str(STRONGEST)), "strongest")
    if n_filters > MOST_FILTERS:
        raise SelectionError(
            f"strongest must be at most {MOST_FILTERS}; found {n_filters}", field="strongest"
        )
    call.refuse_rest()
    step = side_step(layer)
    cells = math.prod(-(-side // step) for side in layer.shape[:2])
    bounded = Limits(min(call.limits.array_bytes, MOST_BYTES), call.limits.text_bytes)
    bounded.check((N_COLORS + n_filters) * cells * 4, is_text=False)
    tag = call.tag(snapshot.digest, "summaries")
    if caching.is_known(call.request, tag):
        return caching.not_modified({"etag": tag, "x-store-digest": snapshot.digest})
    planes, about = snapshot.derived(
        ("summary", layer.path, str(sample), by, str(n_filters)),
        lambda: _answer(snapshot, layer, sample, by, n_filters),
    )
    headers = answers.headers_of(
        planes.shape, planes.dtype, AXES, digest=snapshot.digest, tag=tag
    ) | {"x-summary": about}
    return Response(planes.tobytes(), 200, headers, RAW.media_type)


def side_step(layer: Layer) -> int:
    """How many values each way one cell of a layer's maps stands for: the one farthest from 0."""
    return -(-max(layer.shape[:2]) // LARGEST_SIDE)


def _answer(
    snapshot: Snapshot, layer: Layer, sample: int, by: Summary, n_filters: int
) -> tuple[NDArray[np.float32], str]:
    """The planes of an answer, <float32>[plane, y, x], and what is said of them."""
    values, basis = snapshot.values(layer.path), None
    if by == Summary.PCA and layer.has_maps:
        basis = snapshot.derived(("basis", layer.path), lambda: layer_basis(layer))
    content = layer_summary(layer, sample, by, n_filters=n_filters, values=values, basis=basis)
    planes = np.zeros((0, *layer.shape[:2]), np.float32)
    if content.summary is not None and content.maps is not None:
        step = side_step(layer)
        parts = (shrink(maps, step) for maps in (content.summary, content.maps))
        planes = np.ascontiguousarray(np.concatenate(list(parts), axis=2).transpose(2, 0, 1))
    about = {
        "filters": content.filters.tolist(),
        "largest": _numbers(content.largest),
        "low": _numbers(values.low[content.filters]),
        "high": _numbers(values.high[content.filters]),
        "step": side_step(layer),
        "signed": bool((values.low < 0).any()),
        "n_nonfinite": int(values.n_nonfinite.sum()),
        "basis": _about_basis(basis),
    }
    return planes, orjson.dumps(about).decode()


def _about_basis(basis: ColorBasis | None) -> dict[str, Any] | None:
    if basis is None:
        return None
    return {
        "n_samples": basis.n_samples,
        "shares": _numbers(basis.shares),
        "low": _numbers(basis.low),
        "high": _numbers(basis.high),
    }


def _numbers(values: NDArray[Any]) -> list[float]:
    """Numbers in as few digits as tell a float32; None, as JSON says it, for what is not finite."""
    return [float(f"{value:.9g}") for value in values.tolist()]
