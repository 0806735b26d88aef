"""What every request passes: a check of the host's name, and limits on number and size."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.server.bounds import BOUNDS, Bounds
from dashboard.server.headers import is_file
from dashboard.server.problem import problem

# Headers that decide who may what: the first of two would count here, and the second elsewhere.
_DECIDING = (b"host", b"origin", b"sec-fetch-site", b"authorization", b"x-proxy-secret")
# A name or an address, IPv6 in brackets, and perhaps a port (RFC 9110, 7.2).
_HOST = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?", re.ASCII)


class KnownHosts:
    """Refuses names of this server that nobody allowed, as in DNS rebinding, and says how to."""

    def __init__(self, app: ASGIApp, *, allowed_hosts: Sequence[str]) -> None:
        """Stands before an application.

        Args:
            app: what is guarded.
            allowed_hosts: names and addresses; `*.example.org` for all that end so, `*` for all.
        """
        self._app = app
        names = [name.lower() for name in allowed_hosts]
        self._names = {f"[{name}]" if ":" in name else name for name in names}
        self._endings = tuple(name[1:] for name in names if name.startswith("*"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 400 itself, else hands the request on."""
        answer = self._answer(scope) if scope["type"] == "http" else None
        await (answer or self._app)(scope, receive, send)

    def _answer(self, scope: Scope) -> Response | None:
        lines = Counter(name for name, _ in scope["headers"] if name in _DECIDING)
        for name, n in lines.items():
            if n > 1:
                return refusal(400, f"{n} lines of the header {name.decode()}; one may be sent")
        matched = _HOST.fullmatch(Headers(scope=scope).get("host", ""))
        if matched is None:
            return refusal(400, "Invalid host header: it names no host of this server")
        host = matched[1].lower()
        if host in self._names or host.endswith(self._endings):
            return None
        if f"www.{host}" in self._names:
            query = scope["query_string"].decode("latin-1")
            path = scope.get("raw_path", b"/").decode("latin-1") + (f"?{query}" if query else "")
            return RedirectResponse(f"//www.{matched[0]}{path}")
        return refusal(
            400,
            f"Invalid host header: this server does not know the name {matched[1]}. Whoever runs "
            f"it can allow the name with `fmdash serve … --allow-host {matched[1]}`",
        )


class BodyLimit:
    """Reads a request's body, bounded in size and time, before a thread is spent on it.

    Without it, twenty bodies that never end hold all callback threads.
    """

    def __init__(self, app: ASGIApp, *, bounds: Bounds = BOUNDS) -> None:
        self._app = app
        self._bounds = bounds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 413 or 408 itself, else hands the whole body on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body: bytes | Response | None = b""
        # Such a request is counted nowhere, and so none may bring a body.
        if not is_always_answered(scope):
            try:
                async with asyncio.timeout(self._bounds.body_seconds):
                    body = await _body(receive, self._bounds.body_bytes)
            except TimeoutError:
                body = _too_slow()
        await _hand_on(self._app, body, scope, receive, send)


class Strangers:
    """Bounds what people hold who are not logged in, so that those who are do not feel it.

    Their bodies are read before they take a place, and the oldest of many makes way: whoever sends
    a login at once is not kept from it by others who never end theirs.
    """

    def __init__(
        self, app: ASGIApp, *, address: Callable[[Scope], str], bounds: Bounds = BOUNDS
    ) -> None:
        """Stands before an application, behind what finds out who asks.

        Args:
            app: what is guarded.
            address: where a request comes from.
            bounds: of the server.
        """
        self._app = app
        self._address = address
        self._bounds = bounds
        # What ends the wait for each body, the oldest first.
        self._waiting: dict[asyncio.Timeout, None] = {}
        self._places = _Places(bounds.stranger_requests, bounds.stranger_requests_of_address)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 408, 413 or 503 itself, else hands on."""
        if scope["type"] != "http" or is_always_answered(scope) or person_name(scope):
            await self._app(scope, receive, send)
            return
        await _hand_on(self._placed, await self._body(receive), scope, receive, send)

    async def _body(self, receive: Receive) -> bytes | Response | None:
        try:
            async with asyncio.timeout(self._bounds.body_seconds) as time:
                if len(self._waiting) >= self._bounds.stranger_bodies:
                    oldest = next(iter(self._waiting))
                    del self._waiting[oldest]
                    if not oldest.expired():
                        oldest.reschedule(0)
                self._waiting[time] = None
                try:
                    return await _body(receive, self._bounds.stranger_body_bytes)
                finally:
                    self._waiting.pop(time, None)
        except TimeoutError:
            return _too_slow()

    async def _placed(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = self._address(scope)
        if self._places.are_taken or self._places.are_taken_by(address):
            await _busy("too many people log in now; try again")(scope, receive, send)
            return
        with self._places.taken(address):
            await self._app(scope, receive, send)


class Busy:
    """Limits concurrent requests: 429 per person, 503 per worker.

    A worker never holds more than its memory takes, and says when to come again.
    """

    def __init__(self, app: ASGIApp, *, has_login: bool, bounds: Bounds = BOUNDS) -> None:
        """Stands before an application.

        Args:
            app: what is guarded.
            has_login: whether `Strangers` counts those who are not logged in.
            bounds: of the server.
        """
        self._app = app
        self._has_login = has_login
        self._places = _Places(bounds.requests, bounds.requests_of_person)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Counts a request as long as it is being answered."""
        person = person_name(scope)
        is_uncounted = scope["type"] != "http" or is_always_answered(scope)
        if is_uncounted or (self._has_login and not person):
            await self._app(scope, receive, send)
            return
        if person and self._places.are_taken_by(person):
            detail = f"{person} has {self._places.of(person)} requests under way already"
            await problem(429, detail, headers={"retry-after": "1"})(scope, receive, send)
            return
        if self._places.are_taken:
            await _busy("the server has all it can do; try again")(scope, receive, send)
            return
        with self._places.taken(person):
            await self._app(scope, receive, send)


class _Places:
    """Requests under way, of which there may be so many, and so many of one person."""

    def __init__(self, most: int, most_of: int) -> None:
        self._most, self._most_of = most, most_of
        self._of: Counter[str] = Counter()

    @property
    def are_taken(self) -> bool:
        return self._of.total() >= self._most

    def of(self, who: str) -> int:
        return self._of[who]

    def are_taken_by(self, who: str) -> bool:
        return self._of[who] >= self._most_of

    @contextlib.contextmanager
    def taken(self, who: str) -> Iterator[None]:
        self._of[who] += 1
        try:
            yield
        finally:
            self._of[who] -= 1
            if not self._of[who]:
                del self._of[who]


def is_always_answered(scope: Scope) -> bool:
    """Whether a request is answered however much there is to do, and counted nowhere.

    `/healthz` says that the server lives, and a page without its scripts would stay blank.
    """
    return scope["type"] == "http" and (scope["path"].endswith("/healthz") or is_file(scope))


def refusal(status: int, reason: str) -> PlainTextResponse:
    """An answer after which the connection ends: what else comes on it is not looked at."""
    return PlainTextResponse(reason, status_code=status, headers={"connection": "close"})


def person_name(scope: Mapping[str, Any]) -> str:
    """The name of who asks; empty for somebody who is not logged in."""
    person = scope.get("state", {}).get("person")
    return person.name if person else ""


def _busy(detail: str) -> Response:
    return problem(503, detail, headers={"retry-after": "2"})


def _too_slow() -> Response:
    return refusal(408, "the request took too long to arrive")


async def _body(receive: Receive, most: int) -> bytes | Response | None:
    """A body; the refusal of one that is too large; or None where the client has left."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > most:
            return refusal(413, "the request is too large")
        more = message.get("more_body", False)
    return bytes(body)


async def _hand_on(
    app: ASGIApp, body: bytes | Response | None, scope: Scope, receive: Receive, send: Send
) -> None:
    """Hands a body on as a whole; or answers with its refusal."""
    if isinstance(body, Response):
        await body(scope, receive, send)
        return
    if body is None:
        return
    whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return whole.pop() if whole else await receive()

    await app(scope, replay, send)
