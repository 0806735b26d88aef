"""The operation that answers with a window of one sample's maps, made smaller for a screen."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray
from starlette.responses import Response

from dashboard.api import answers
from dashboard.api.answers import MAP_AXES, RAW, Call
from dashboard.api.errors import Limits
from dashboard.server import headers as caching
from fmcore.errors import SelectionError
from fmcore.selection import Picks, parse_numbers
from fmcore.storage import Layer

# An answer is made whole; what a screen shows is far less. `maps` sends all values.
MOST_BYTES = 256 << 20
# Values of the maps that are inflated at the same time.
BLOCK_VALUES = 4 << 20
_WINDOW = re.compile(r"(\d{1,6}):(\d{1,6})", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)


def windows(call: Call) -> Response:
    """A window of one sample's maps, as `maps` sends them."""
    snapshot = call.snapshot()
    layer = snapshot.layer(call.take("layer"))
    height, width, n_filters = layer.shape
    step = whole_number(call.take("step", "1"), "step") or 1
    sample = snapshot.store.check_sample(whole_number(call.take("sample"), "sample"))
    rows = _window(call.take("y"), height, "y")
    columns = _window(call.take("x"), width, "x")
    filters: Picks = range(n_filters)
    if text := call.take("filter"):
        what = f"filter of {layer.path}"
        filters = parse_numbers(text, n_filters, what=what, field="filter")
    call.refuse_rest()
    shape = (1, -(-len(rows) // step), -(-len(columns) // step), len(filters))
    bounded = Limits(min(call.limits.array_bytes, MOST_BYTES), call.limits.text_bytes)
    bounded.check(math.prod(shape) * 4, is_text=False)
    tag = call.tag(snapshot.digest, "windows")
    headers = answers.headers_of(shape, np.dtype("<f4"), MAP_AXES, digest=snapshot.digest, tag=tag)
    if caching.is_known(call.request, tag):
        return caching.not_modified(headers)
    body = window_of(layer, sample, rows, columns, filters, step).tobytes()
    return Response(body, 200, headers, RAW.media_type)


def window_of(
    layer: Layer, sample: int, rows: range, columns: range, filters: Picks, step: int
) -> NDArray[np.float32]:
    """A window of one sample's maps, <float32>[cell_y, cell_x, filter].

    A cell shows the one of its values that is farthest from zero. Some filters at a time are
    inflated, so that a large layer takes little memory.
    """
    height, width, _ = layer.shape
    shape = (-(-len(rows) // step), -(-len(columns) // step), len(filters))
    cells = np.empty(shape, np.float32)
    n_filters = max(1, BLOCK_VALUES // (height * width))
    maps = layer.activation
    for first in range(0, len(filters), n_filters):
        block = filters[first : first + n_filters]
        values = maps.outer((range(sample, sample + 1), rows, columns, block))[0]
        small = shrink(values.astype(np.float32, copy=False), step)
        cells[:, :, first : first + n_filters] = small
    return cells


def shrink(maps: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """The value farthest from zero of each block of step x step: sparse activity stays seen.

    NaN only where a block has nothing else.

    Args:
        maps: <float32>[y, x, filter].
        step: values each way; 1 gives the maps back.

    Returns:
        <float32>[cell_y, cell_x, filter]; blocks at the lower and right edge may be cut.
    """
    if step == 1:
        return maps
    high = _of_blocks(np.fmax, maps, step)
    if not maps.size or not np.fmin.reduce(maps, axis=None) < 0:
        return high
    low = _of_blocks(np.fmin, maps, step)
    return np.where(-low > high, low, high)


def _of_blocks(function: np.ufunc, maps: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    for axis in (0, 1):
        cuts = range(min(step, maps.shape[axis]))
        parts = [maps[(slice(None),) * axis + (slice(at, None, step),)] for at in cuts]
        whole = parts[0].copy()
        for part in parts[1:]:
            inner = whole[(slice(None),) * axis + (slice(part.shape[axis]),)]
            function(inner, part, out=inner)
        maps = whole
    return maps


def whole_number(text: str, name: str) -> int:
    """The number that a parameter says; raises `SelectionError` for any other text."""
    if not _NUMBER.fullmatch(text):
        raise SelectionError(f"{name} must be a whole number; found {text!r}", field=name)
    return int(text)


def _window(text: str, size: int, name: str) -> range:
    if not text:
        return range(size)
    ends = _WINDOW.fullmatch(text)
    if not ends or not int(ends[1]) < int(ends[2]) <= size:
        raise SelectionError(
            f"{name} must be a window such as 0:{size}, inside it; found {text!r}", field=name
        )
    return range(int(ends[1]), int(ends[2]))
