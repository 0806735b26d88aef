"""Errors as `application/problem+json` (RFC 9457), with the parameter that caused them."""

from __future__ import annotations

import http
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from dashboard.api.limits import TooLargeError
from dashboard.source import StoreNotFoundError
from fmcore.errors import (
    FmcoreError,
    InputFileError,
    LayerNotFoundError,
    MapsNotStoredError,
    SampleNotFoundError,
    SelectionError,
    StatisticNotFoundError,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
# The first that fits; what else goes wrong with a store is the server's fault.
_STATUS: tuple[tuple[type[FmcoreError], int], ...] = (
    (TooLargeError, 413),
    (SelectionError, 422),
    (LayerNotFoundError, 404),
    (SampleNotFoundError, 404),
    (StoreNotFoundError, 404),
    (StatisticNotFoundError, 404),
    (MapsNotStoredError, 404),
    (InputFileError, 503),
)


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


def answer_problems(app: FastAPI) -> None:
    """Gives every error of a route a status and one sentence."""

    @app.exception_handler(FmcoreError)
    async def known(_: Request, error: FmcoreError) -> Response:
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
        if status >= 500:
            log.error("%s", error)
        return problem(status, str(error), field=getattr(error, "field", ""))

    @app.exception_handler(HTTPException)
    async def of_http(_: Request, error: HTTPException) -> Response:
        return problem(error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> Response:
        log.exception("a request to %s failed", request.url.path, exc_info=error)
        return problem(500, "internal error; the server's log has it")
