"""Typed columns in one body: a head in JSON, then arrays as a browser reads them without a copy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

# Arrays begin at multiples of it, as a browser wants them.
ALIGNED = 8
LAYOUT = (
    "Four bytes, a little-endian uint32: the length of a JSON object that follows. Then arrays, "
    "each little-endian and at the next multiple of 8 bytes from the start of the answer. "
)


def columns_bytes(head: Mapping[str, Any], arrays: Iterable[NDArray[Any]]) -> bytes:
    """A body as `LAYOUT` says.

    Args:
        head: what is said of the arrays, which must name each and its `dtype_text`.
        arrays: numbers, in the order of the head.
    """
    text = orjson.dumps(head)
    parts = [len(text).to_bytes(4, "little") + text]
    for array in arrays:
        parts.append(bytes(-len(parts[-1]) % ALIGNED))
        parts.append(np.ascontiguousarray(array, dtype_text(array)).tobytes())
    return b"".join(parts)


def dtype_text(array: NDArray[Any]) -> str:
    """The type of an array in a body, such as `<f4`."""
    return array.dtype.newbyteorder("<").str
