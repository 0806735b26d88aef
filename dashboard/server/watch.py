"""Watches every request: gives it an id, counts it, and has a line of it written."""

from __future__ import annotations

import random
import re
import time
from contextvars import ContextVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.server.access_log import Line
from dashboard.server.headers import is_file
from dashboard.server.ledger import Ledger
from dashboard.server.limits import person_name

# The id of the request at hand, for lines about what went wrong with it.
REQUEST_ID: ContextVar[str] = ContextVar("REQUEST_ID", default="")
# What a client or a proxy may call its request: nothing that could be taken for more in a log.
# nginx's `$request_id` has 32 characters, a UUID 36.
_PLAIN = re.compile(rb"[A-Za-z0-9_-]{8,64}")
# As nginx has it: the client left before there was an answer.
CLIENT_LEFT = 499
CALLBACK = "/_dash-update-component"
# In place of a route's path: a script or style; a page; refused before there was a route.
FILES, PAGES, NO_ROUTE = "files", "pages", "none"


class Watched:
    """Stands around the whole application.

    Attributes:
        ledger: where requests are written down.
    """

    def __init__(self, app: ASGIApp, ledger: Ledger) -> None:
        self._app = app
        self.ledger = ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands a request on, with its id in `REQUEST_ID` and in the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            if scope["type"] == "lifespan":  # the server has ended
                self.ledger.close()
            return
        began = time.perf_counter()
        name = _id_of(scope)
        REQUEST_ID.set(name)
        state = scope.setdefault("state", {})  # which all share who see this request
        header = (b"x-request-id", name.encode())
        status, n_bytes = 0, 0

        async def counted(message: Message) -> None:
            nonlocal status, n_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), header]
            else:
                n_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except Exception:
            status = status or 500  # as the server then answers
            raise
        finally:
            self.ledger.write(
                Line(
                    _route(scope, state.get("route")),
                    time.time(),
                    name,
                    person_name(scope),
                    scope["method"],
                    scope["path"],
                    status or CLIENT_LEFT,
                    n_bytes,
                    time.perf_counter() - began,
                )
            )


def _id_of(scope: Scope) -> str:
    """The client's own id where it is plain, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _PLAIN.fullmatch(value):
            text: str = value.decode()
            return text
    return f"{random.getrandbits(64):016x}"


def _route(scope: Scope, path: str | None) -> str:
    """A label of few: the route that answered; what is below `/` is told apart by what it is."""
    if path:
        return path
    if is_file(scope):
        return FILES
    if path is None:
        return NO_ROUTE
    return CALLBACK if scope["path"].endswith(CALLBACK) else PAGES
