"""The guard before every route, callback, asset and download: who asks, and may they?"""

from __future__ import annotations

import contextlib
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, quote, urlsplit

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.auth.journal import Journal
from dashboard.auth.people import People
from dashboard.auth.person import Person
from dashboard.server.problem import problem

COOKIE = "fmdash_session"
# What anybody may ask for: the door, and whether the server lives.
OPEN = ("/login", "/healthz")
_ADMINS = ("/api/v1/log", "/api/v1/people")
_SAFE = ("GET", "HEAD", "OPTIONS")
# What the pages draw, and what is sent where no format is named; all others, also those that are
# still to come, are files to take home.
_DRAWN = ("", "raw", "json")
_IN_STORE = re.compile(r"^/stores/[^/]+(?=/)")
_TAKEN = ("/maps", "/pooled", "/statistics", "/samples")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that says who asks, and proves that it is the proxy.

    Attributes:
        secret: what its header `X-Proxy-Secret` must hold; empty where only the proxy can reach
            this server, through a Unix socket.
        header: the header with the person's name; empty where people log in here.
        role: of people that the file of people does not know; empty to refuse them.
    """

    secret: str
    header: str = ""
    role: str = ""

    def sent(self, headers: Mapping[str, str]) -> bool:
        """Whether a request came through it."""
        return hmac.compare_digest(headers.get("x-proxy-secret", "").encode(), self.secret.encode())


@dataclass(frozen=True, slots=True)
class Login:
    """How people get in.

    Attributes:
        people: who there is.
        journal: where logins, exports and refusals are written.
        proxy: who may say in a header who asks, and from where; None for nobody.
        secure: whether the session's cookie goes through TLS alone.
    """

    people: People
    journal: Journal
    proxy: Proxy | None = None
    secure: bool = True

    def client(self, host: str, headers: Mapping[str, str]) -> str:
        """Where a request comes from: the proxy's word counts for what came through it."""
        said = headers.get("x-forwarded-for", "") if self.proxy and self.proxy.sent(headers) else ""
        return said.rpartition(",")[2].strip() or host


class Guard:
    """Lets nobody in who is not known, and nobody further than their role."""

    def __init__(self, app: ASGIApp, login: Login | None) -> None:
        """Stands before an application.

        Args:
            app: what is guarded.
            login: how people get in; None where everybody may who reaches the server: only changes
                that another site's page asks for are refused then.
        """
        self._app = app
        self._login = login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands on with `scope["state"]["person"]`; else answers 401, 403, or with the login."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # no websocket is anybody's
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        headers = Headers(scope=scope)
        if _is_foreign(scope, headers):
            await problem(403, "asked from another site's page")(scope, receive, send)
            return
        if self._login is None:
            await self._app(scope, receive, send)
            return
        # Here, not in a thread: it takes 50 us, and to change to a thread and back ten times that.
        person = _who(self._login, headers)
        if person is None and path not in OPEN:
            await _unknown(scope, headers, path)(scope, receive, send)
            return
        if person is not None and person.how != "token" and _lacks_origin(scope, headers):
            await problem(403, "a change needs an Origin or Sec-Fetch-Site of this site")(
                scope, receive, send
            )
            return
        needed = _needed(path, scope)
        if person is not None and not person.may(needed):
            self._login.journal.write("refused", who=person.name, path=path, needs=needed)
            detail = f"{person.name} has the role {person.role}; this needs {needed}"
            await problem(403, detail)(scope, receive, send)
            return
        scope.setdefault("state", {})["person"] = person
        if person is not None and needed == "export":
            await self._exported(self._login.journal, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _exported(self, journal: Journal, scope: Scope, receive: Receive, send: Send) -> None:
        person: Person = scope["state"]["person"]
        status, n_bytes, began = 0, 0, time.monotonic()

        async def counted(message: Message) -> None:
            nonlocal status, n_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                n_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            journal.write(
                "export",
                who=person.name,
                how=person.how,
                path=scope["path"],
                query=scope["query_string"].decode("latin-1"),
                status=status,
                bytes=n_bytes,
                seconds=round(time.monotonic() - began, 3),
            )


def _who(login: Login, headers: Headers) -> Person | None:
    """Whoever proves to be somebody; a token counts before a cookie, and that before a proxy."""
    kind, _, secret = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return login.people.with_token(secret.strip())
    signed = cookie_of(headers)
    person = login.people.in_session(signed) if signed else None
    return person or (_by_proxy(login, login.proxy, headers) if login.proxy else None)


def _by_proxy(login: Login, proxy: Proxy, headers: Headers) -> Person | None:
    name = headers.get(proxy.header, "") if proxy.header else ""
    if not name:
        return None
    if not proxy.sent(headers):
        login.journal.write("forged", who=name, header=proxy.header)
        return None
    known = login.people.get(name)
    if known is not None:
        return Person(name, known.role, "proxy")
    return Person(name, proxy.role, "proxy") if proxy.role else None


def cookie_of(headers: Mapping[str, str]) -> str:
    """The session of a request's cookies; empty where there is none."""
    cookies = SimpleCookie()
    with contextlib.suppress(CookieError):
        cookies.load(headers.get("cookie", ""))
    return cookies[COOKIE].value if COOKIE in cookies else ""


def _is_foreign(scope: Scope, headers: Headers) -> bool:
    """Whether a change is asked for by a page of another site, as its browser says."""
    if scope["method"] in _SAFE:
        return False
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def _lacks_origin(scope: Scope, headers: Headers) -> bool:
    told = "sec-fetch-site" in headers or "origin" in headers
    return scope["method"] not in _SAFE and not told


def _needed(path: str, scope: Scope) -> str:
    """The role that a request needs."""
    path = _IN_STORE.sub("", path)  # a store's pages have the whole API below them
    if path.startswith(_ADMINS):
        return "admin"
    if not path.startswith("/api/v1/stores/") or not path.endswith(_TAKEN):
        return "view"
    try:
        query = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=64)
    except ValueError:
        return "export"  # whatever that is, a page did not ask it
    form, sample = query.get("format", [""])[-1], query.get("sample", [""])[-1]
    if form not in _DRAWN:
        return "export"
    of_samples = path.endswith(("/maps", "/pooled"))
    return "export" if of_samples and not sample.isdecimal() else "view"


def _unknown(scope: Scope, headers: Headers, path: str) -> Response:
    """The way to the login for a person at a page; 401 for everything else."""
    is_page = scope["method"] == "GET" and "text/html" in headers.get("accept", "")
    if not is_page or "/api/" in path or "/_dash" in path or "/assets/" in path:
        detail = "log in, or send a personal access token as `Authorization: Bearer …`"
        return problem(401, detail, headers={"www-authenticate": "Bearer"})
    root, query = scope.get("root_path", ""), scope["query_string"].decode("latin-1")
    asked = quote(path) + (f"?{query}" if query else "")
    return RedirectResponse(f"{quote(root)}/login?next={quote(asked, safe='')}", 303)
