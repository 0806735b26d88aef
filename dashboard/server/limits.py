"""What every request passes: a check of the host's name, and limits on number and size."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.server.headers import is_file
from dashboard.server.problem import problem

BODY_LIMIT_BYTES = 1 << 20
BODY_TIMEOUT_SECONDS = 15.0
# Requests that are answered at the same time by one worker: of everybody, and of one person.
MOST_AT_ONCE, MOST_OF_ONE = 128, 48


class KnownHosts:
    """Refuses names of this server that nobody allowed, as in DNS rebinding, and says how to."""

    def __init__(self, app: ASGIApp, *, allowed_hosts: Sequence[str]) -> None:
        self._app = app
        self._check = TrustedHostMiddleware(_accept, allowed_hosts=list(allowed_hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 400 itself, else hands the request on."""
        answers: list[Message] = []

        async def keep(message: Message) -> None:
            answers.append(message)

        await self._check(scope, receive, keep)
        if not answers:
            await self._app(scope, receive, send)
        elif answers[0].get("status") == 400:
            await _refuse(400, _unknown_host(scope))(scope, receive, send)
        else:  # to the same address with www
            for message in answers:
                await send(message)


async def _accept(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Answers nothing: the host is known."""


def _unknown_host(scope: Scope) -> str:
    header = Headers(scope=scope).get("host", "")
    name = re.sub(r":\d+$", "", header)
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,253}", name):
        return "Invalid host header: it names no host of this server"
    return (
        f"Invalid host header: this server does not know the name {name}. Whoever runs it can "
        f"allow the name with `fmdash serve … --allow-host {name}`"
    )


class BodyLimit:
    """Reads a request's body, bounded in size and time, before a thread is spent on it.

    Without it, twenty bodies that never end hold all callback threads.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 413 or 408 itself, else hands the whole body on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return
                    body += message.get("body", b"")
                    if len(body) > BODY_LIMIT_BYTES:
                        await _refuse(413, "the request is too large")(scope, receive, send)
                        return
                    more = message.get("more_body", False)
        except TimeoutError:
            await _refuse(408, "the request took too long to arrive")(scope, receive, send)
            return
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, replay, send)


class Busy:
    """Limits concurrent requests: 429 per person, 503 per worker.

    A worker never holds more than its memory takes, and says when to come again.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._n = 0
        self._of: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Counts a request as long as it is being answered.

        `/healthz` is always answered, and a script too: a page would stay blank without it.
        """
        if scope["type"] != "http" or scope["path"].endswith("/healthz") or is_file(scope):
            await self._app(scope, receive, send)
            return
        person = scope.get("state", {}).get("person")
        who = person.name if person else ""
        if who and self._of[who] >= MOST_OF_ONE:
            detail = f"{who} has {self._of[who]} requests under way already"
            await problem(429, detail, headers={"retry-after": "1"})(scope, receive, send)
            return
        if self._n >= MOST_AT_ONCE:
            detail = "the server has all it can do; try again"
            await problem(503, detail, headers={"retry-after": "2"})(scope, receive, send)
            return
        self._n += 1
        self._of[who] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._n -= 1
            self._of[who] -= 1
            if not self._of[who]:
                del self._of[who]


def _refuse(status: int, reason: str) -> PlainTextResponse:
    return PlainTextResponse(reason, status_code=status, headers={"connection": "close"})
