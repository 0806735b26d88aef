"""The operation that answers with all filters of all layers, as typed columns in one body."""

from __future__ import annotations

from starlette.responses import Response

from dashboard.api.answers import RAW, Call
from dashboard.api.filter_columns import VERSION, as_bytes
from dashboard.server import headers as caching
from dashboard.stores.all_filters import filter_columns


def filters(call: Call) -> Response:
    """All filters of all layers; made once, and kept as it is sent."""
    snapshot = call.snapshot()
    headers = call.headers(snapshot, "filters", VERSION)
    if caching.is_known(call.request, headers["etag"]):
        return caching.not_modified(headers)
    body = snapshot.derived_once(
        ("all filters", VERSION), lambda: as_bytes(filter_columns(snapshot))
    )
    return Response(body, 200, headers, RAW.media_type)
