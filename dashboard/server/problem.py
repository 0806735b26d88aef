"""Errors as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import http
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

MEDIA_TYPE = "application/problem+json"


def problem(
    status: int, detail: str, *, field: str = "", headers: Mapping[str, str] | None = None
) -> Response:
    """A problem as an answer.

    Args:
        status: of HTTP.
        detail: what, where, expected, found, what to do.
        field: the parameter of the query that caused it.
        headers: of the answer, beside those of every problem.
    """
    about: dict[str, Any] = {
        "type": "about:blank",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if field:
        about["field"] = field
    return JSONResponse(about, status, headers, MEDIA_TYPE)
