"""The quickest answer: a chunk as it lies in the file is the body, and nothing inflates it here.

A chunk that lies in the file as plain values is deflated for clients that take this, if it pays.
"""

from __future__ import annotations

import math
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from dashboard.api import answers
from dashboard.api.limits import Limits
from dashboard.server import headers as caching
from dashboard.stores.source import Snapshot
from fmcore.selection import Query, parse_numbers, parse_samples
from fmcore.storage import deflate

AXES = ("sample", "y", "x", "filter")
# Plain values are deflated on their way where no more than this is left of them.
WORTH_SENDING = 0.95


def stored_chunk(
    request: Request, snapshot: Snapshot, query: Query, limits: Limits, *, wait: bool
) -> Response | None:
    """The answer out of one stored chunk.

    None where what is asked for is not exactly one chunk, or must be sent in another form; and
    where the disk would have to be waited for, or values deflated, unless `wait`.
    """
    headers = request.headers
    if query.class_ or query.layer not in snapshot.catalog.n_filters or "range" in headers:
        return None
    layer = snapshot.layer(query.layer)
    terms = parse_samples(query.sample, files=False)
    if not terms.numbers or terms.outcome or terms.top or query.statistic or not layer.has_maps:
        return None
    maps = layer.activation
    if not (wait or maps.is_indexed):
        return None
    takes_deflate = _takes_deflate(headers.get("accept-encoding", ""))
    if maps.is_deflated and not takes_deflate:
        return None
    is_plain = takes_deflate and not maps.is_deflated
    if maps.stored_dtype != query.dtype:
        return None
    size = snapshot.catalog.n_samples
    samples = parse_numbers(terms.numbers, size, what="sample", field="sample")
    filters: Any = range(layer.n_filters)
    if query.filter:
        what = f"filter of {layer.path}"
        filters = parse_numbers(query.filter, layer.n_filters, what=what, field="filter")
    position = maps.only_chunk((samples, *map(range, layer.shape[:2]), filters))
    if position is None:
        return None
    shape = (len(samples), *layer.shape[:2], len(filters))
    limits.check(math.prod(shape) * maps.stored_dtype.itemsize, is_text=False)
    # The same bytes have one tag: plain values differ from what is sent to those who take deflate.
    form = "deflate if it pays" if is_plain else "stored"
    tag = caching.etag(snapshot.digest, "maps", layer.path, str(position), form)
    told = answers.headers_of(shape, maps.stored_dtype, AXES, digest=snapshot.digest, tag=tag)
    if maps.is_deflated:
        told["content-encoding"] = "deflate"
    if caching.is_known(request, tag):
        return caching.not_modified(told)
    if is_plain and not wait:
        return None
    data = maps.raw_chunk_now(position)
    if data is None:
        if not wait:
            return None
        data = maps.raw_chunk(position).data
    if is_plain and len(smaller := deflate(data)) < WORTH_SENDING * len(data):
        data, told["content-encoding"] = smaller, "deflate"
    return Response(data, 200, told, answers.RAW.media_type)


def _takes_deflate(accepted: str) -> bool:
    """Whether a client names deflate, and not with a weight of 0 (RFC 9110, 12.5.3)."""
    for part in accepted.split(","):
        name, _, weight = part.lower().replace(" ", "").partition(";")
        if name == "deflate":
            return weight.partition(";")[0].rstrip("0.") != "q="
    return False
