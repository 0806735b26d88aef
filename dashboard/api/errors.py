"""What goes wrong with a request: answers that are too large, and every error as a problem."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from dashboard.server.problem import problem
from dashboard.server.watch import REQUEST_ID
from dashboard.stores.source import StoreNotFoundError, StoreNotOpenedError
from fmcore.errors import (
    FmcoreError,
    GraphNotStoredError,
    InputFileError,
    LayerNotFoundError,
    MapsNotStoredError,
    SampleNotFoundError,
    SelectionError,
    StatisticNotFoundError,
    UnexplainedError,
)

log = logging.getLogger(__name__)


class TooLargeError(FmcoreError, ValueError):
    """An answer would be larger than the server gives."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many bytes one answer may hold.

    Attributes:
        array_bytes: of arrays, which are sent as they are read.
        text_bytes: of CSV and JSON, about: making text is a hundred times as much work.
    """

    array_bytes: int = 16 << 30
    text_bytes: int = 64 << 20

    def check(self, n_bytes: int, *, is_text: bool) -> None:
        """Raises `TooLargeError` where an answer would be too large."""
        most = self.text_bytes if is_text else self.array_bytes
        if n_bytes > most:
            raise TooLargeError(
                f"the answer would take about {n_bytes / 1e6:,.1f} MB, this server sends "
                f"{most / 1e6:,.1f} MB{' of text' if is_text else ''} at most; choose fewer "
                f"samples or filters{', format=npy,' if is_text else ''} or use `fmcore export`"
            )


DEFAULT_LIMITS = Limits()
# The first that fits. A file that was refused as a whole is what somebody has put there; what else
# goes wrong with a store is the server's fault.
_STATUS: tuple[tuple[type[FmcoreError], int], ...] = (
    (TooLargeError, 413),
    (SelectionError, 422),
    (LayerNotFoundError, 404),
    (SampleNotFoundError, 404),
    (StoreNotFoundError, 404),
    (StoreNotOpenedError, 409),
    (StatisticNotFoundError, 404),
    (MapsNotStoredError, 404),
    (GraphNotStoredError, 404),
    (UnexplainedError, 404),
    (InputFileError, 503),
)


async def _of_fmcore(_: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    if status >= 500:
        log.error("request %s: %s", REQUEST_ID.get(), error)
    return problem(status, str(error), field=getattr(error, "field", ""))


async def _of_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (its handler)
    return problem(error.status_code, str(error.detail), headers=error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    name = REQUEST_ID.get()
    log.exception("request %s to %s failed", name, request.url.path, exc_info=error)
    return problem(500, f"internal error; the server's log has it as {name}")


# Every error of a route gets a status and one sentence.
HANDLERS: Mapping[type[Exception], ExceptionHandler] = {
    FmcoreError: _of_fmcore,
    HTTPException: _of_http,
    Exception: _unexpected,
}
