"""The operation that answers with the weights of a layer's filters."""

from __future__ import annotations

import numpy as np
from starlette.responses import Response

from dashboard.api import answers
from dashboard.api.answers import RAW, Call
from dashboard.api.errors import Limits
from dashboard.server import headers as caching
from dashboard.stores.kernels import MOST_BYTES, Part, norms
from fmcore.errors import StatisticNotFoundError
from fmcore.selection import parse_numbers

AXES = ("kernel_y", "kernel_x", "kernel_input", "kernel_output")
# Norms over the input planes, by their names.
NORMS = {"l1": 1, "l2": 2}


def kernel(call: Call) -> Response:
    """The weights of a layer, some planes or filters of them, or a norm over the planes."""
    snapshot = call.snapshot()
    layer = snapshot.layer(call.take("layer"))
    part, norm = Part(call.take("part", Part.KERNEL)), call.take("norm")
    texts = {name: call.take(name) for name in ("plane", "filter")}
    call.refuse_rest()
    bounded = Limits(min(call.limits.array_bytes, MOST_BYTES), call.limits.text_bytes)
    bounded.check(layer.kernel_bytes, is_text=False)
    tag = call.tag(snapshot.digest, "kernel")
    if part is Part.KERNEL:
        weights = snapshot.kernel(layer.path)
    else:
        weights = snapshot.kernel_part(layer.path, part)
    if weights is None:
        raise StatisticNotFoundError(
            f"{snapshot.file_name} keeps no {part} of layer {layer.path}: {layer.why_no_kernel}"
            if part is Part.KERNEL
            else f"layer {layer.path} of {snapshot.file_name} has no depthwise part: it is no "
            "separable convolution, or was captured by an earlier version"
        )
    for axis, (name, text) in enumerate(texts.items(), start=2):
        if text:
            what = f"{name} of the {part} of {layer.path}"
            picks = parse_numbers(text, weights.shape[axis], what=what, field=name)
            weights = weights.take(np.asarray(picks), axis=axis)
    if norm:
        weights = norms(weights, NORMS[norm])[:, :, np.newaxis]
    headers = answers.headers_of(
        weights.shape, np.dtype("<f4"), AXES, digest=snapshot.digest, tag=tag
    )
    if caching.is_known(call.request, tag):
        return caching.not_modified(headers)
    return Response(weights.astype("<f4", copy=False).tobytes(), 200, headers, RAW.media_type)
