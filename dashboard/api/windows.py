"""The route that answers with a window of one sample's maps, made smaller for a screen."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard.api import answers
from dashboard.api.limits import Limits
from dashboard.api.openapi import BINARY, VALUES, WHOLE, problems, store_parameter
from dashboard.figures.shrink import shrink
from dashboard.server import headers as caching
from dashboard.stores.source import Source
from fmcore.errors import SelectionError
from fmcore.selection import Picks, parse_numbers
from fmcore.storage import Layer

AXES = ("sample", "y", "x", "filter")
PARAMETERS = {
    "layer": "the path of one layer",
    "sample": "the index of one sample",
    "step": "how many values each way one cell stands for: the one farthest from zero (1)",
    "y": "first row and the row after the last, as 0:112 (all)",
    "x": "first column and the column after the last, as 0:112 (all)",
    "filter": "which filters, as 0:8 or 3,1,4 (all)",
}
# An answer is made whole; what a screen shows is far less. `maps` sends all values.
MOST_BYTES = 256 << 20
# Values of the maps that are inflated at the same time.
BLOCK_VALUES = 4 << 20
_WINDOW = re.compile(r"(\d{1,6}):(\d{1,6})", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)


def window_route(source: Source, limits: Limits) -> Route:
    """The route of windows."""

    def windows(request: Request) -> Response:
        snapshot = source.snapshot(request.path_params["store"])
        asked = answers.parameters(request)
        for name in asked:
            if name not in PARAMETERS:
                raise SelectionError(
                    f"no parameter {name!r} here; expected {', '.join(PARAMETERS)}", field=name
                )
        layer = snapshot.layer(asked.get("layer", ""))
        height, width, n_filters = layer.shape
        step = _whole(asked.get("step", "1"), "step") or 1
        sample = snapshot.store.check_sample(_whole(asked.get("sample", ""), "sample"))
        rows = _window(asked.get("y", ""), height, "y")
        columns = _window(asked.get("x", ""), width, "x")
        filters: Picks = range(n_filters)
        if asked.get("filter"):
            what = f"filter of {layer.path}"
            filters = parse_numbers(asked["filter"], n_filters, what=what, field="filter")
        shape = (1, -(-len(rows) // step), -(-len(columns) // step), len(filters))
        bounded = Limits(min(limits.array_bytes, MOST_BYTES), limits.text_bytes)
        bounded.check(math.prod(shape) * 4, is_text=False)
        tag = caching.etag(snapshot.digest, "windows", *(f"{k}={v}" for k, v in asked.items()))
        told = answers.headers_of(shape, np.dtype("<f4"), AXES, digest=snapshot.digest, tag=tag)
        if caching.is_known(request, tag):
            return caching.not_modified(told)
        body = window_of(layer, sample, rows, columns, filters, step).tobytes()
        return Response(body, 200, told, answers.RAW.media_type)

    return Route("/api/v1/stores/{store}/windows", windows)


def window_of(
    layer: Layer, sample: int, rows: range, columns: range, filters: Picks, step: int
) -> NDArray[np.float32]:
    """A window of one sample's maps, <float32>[cell_y, cell_x, filter].

    A cell shows the one of its values that is farthest from zero. Some filters at a time are
    inflated, so that a large layer takes little memory.
    """
    height, width, _ = layer.shape
    cells = (-(-len(rows) // step), -(-len(columns) // step), len(filters))
    found = np.empty(cells, np.float32)
    some = max(1, BLOCK_VALUES // (height * width))
    maps = layer.activation
    for first in range(0, len(filters), some):
        block = filters[first : first + some]
        values = maps.outer((range(sample, sample + 1), rows, columns, block))[0]
        found[:, :, first : first + some] = shrink(values.astype(np.float32, copy=False), step)
    return found


def _whole(text: str, name: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise SelectionError(f"{name} must be a whole number; found {text!r}", field=name)
    return int(text)


def _window(text: str, size: int, name: str) -> range:
    if not text:
        return range(size)
    found = _WINDOW.fullmatch(text)
    if not found or not int(found[1]) < int(found[2]) <= size:
        raise SelectionError(
            f"{name} must be a window such as 0:{size}, inside it; found {text!r}", field=name
        )
    return range(int(found[1]), int(found[2]))


def window_operation(source: Source) -> dict[str, Any]:
    """What OpenAPI says of the route."""
    layer = next(iter(source.snapshot(source.names[0]).catalog.n_filters))
    examples: dict[str, Any] = {"layer": layer, "sample": 0, "step": 2}
    return {
        "summary": "A window of one sample's maps, made smaller for a screen",
        "operationId": "windows",
        "tags": [VALUES],
        "parameters": [
            store_parameter(source),
            *(
                {
                    "name": name,
                    "in": "query",
                    "description": text,
                    "required": name in ("layer", "sample"),
                    "schema": WHOLE if name in ("sample", "step") else {"type": "string"},
                    **({"example": examples[name]} if name in examples else {}),
                }
                for name, text in PARAMETERS.items()
            ),
        ],
        "responses": {
            "200": {
                "description": "float32 [sample, y, x, filter], as `maps` sends it",
                "content": {answers.RAW.media_type: BINARY},
            },
            "304": {"description": "the client holds it already"},
            **{str(code): about for code, about in problems(404, 413, 422, 500, 503).items()},
        },
    }
