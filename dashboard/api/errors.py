"""Every error of a route as a problem, with the parameter that caused it."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from dashboard.api.limits import TooLargeError
from dashboard.server.problem import problem
from dashboard.stores.source import StoreNotFoundError
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
