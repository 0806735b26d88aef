"""The guard before every route, callback, asset and download: who asks, and may they?"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.auth.clients import address_of, network_of
from dashboard.auth.journal import Journal
from dashboard.auth.people import People
from dashboard.auth.person import PeopleFileError, Person
from dashboard.server.cookies import cookie
from dashboard.server.origin import SAFE_METHODS
from dashboard.server.problem import problem
from dashboard.server.roles import Role
from dashboard.server.routes import Guarded, required_role
from dashboard.urls import below_store

log = logging.getLogger(__name__)

COOKIE = "fmdash_session"
# Of what a proxy says who asks: an e-mail address has 254 at most (RFC 5321).
_LONGEST_PROXY_NAME = 256
# Of a page's address that a login leads back to; links of the pages have a few hundred. It is
# quoted in the address of the login, which must not be too long either.
_LONGEST_NEXT = 4096


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that says who asks, and proves that it is the proxy.

    Attributes:
        secret: what its header `X-Proxy-Secret` must hold; empty where only the proxy can reach
            this server, through a Unix socket: then every request came through it.
        header: the header with the person's name; empty where people log in here.
        role: of people that the file of people does not know; None to refuse them.
    """

    secret: str
    header: str = ""
    role: Role | None = None

    def sent(self, headers: Headers) -> bool:
        """Whether a request came through it."""
        if not self.secret:
            return True
        secrets = headers.getlist("x-proxy-secret")
        # As the bytes that were sent, for `compare_digest` takes no text beyond ASCII.
        return len(secrets) == 1 and hmac.compare_digest(
            secrets[0].encode("latin-1"), self.secret.encode()
        )


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

    def client(self, scope: Scope) -> str:
        """Where a request comes from; `socket` for a Unix socket, of which no proxy says more.

        The proxy's word counts for what came through it. Of several addresses, in one line or in
        several, the proxy has added the last; what is no address counts for nothing.
        """
        headers = Headers(scope=scope)
        host = scope["client"][0] if scope.get("client") else "socket"
        through_proxy = self.proxy is not None and self.proxy.sent(headers)
        lines = headers.getlist("x-forwarded-for") if through_proxy else []
        last = lines[-1].rpartition(",")[2] if lines else ""
        return address_of(last) or address_of(host) or host

    def network(self, scope: Scope) -> str:
        """What counts as one client with where a request comes from."""
        return network_of(self.client(scope))


class Guard:
    """Lets nobody in who is not known, and nobody further than their role."""

    def __init__(self, app: ASGIApp, routes: Sequence[Guarded], login: Login | None) -> None:
        """Stands before an application.

        Args:
            app: what is guarded.
            routes: those of the application, in its order; what none of them takes is refused.
            login: how people get in; None where everybody may who reaches the server.
        """
        self._app = app
        self._routes = routes
        self._login = login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands on with `scope["state"]["person"]`; else answers 401, 403, or with the login."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # no websocket is anybody's
        headers = Headers(scope=scope)
        if self._login is None:
            await self._app(scope, receive, send)
            return
        # Here, not in a thread: it takes 50 us, and to change to a thread and back ten times that.
        try:
            person = _who(self._login, headers)
        except PeopleFileError as error:
            await unreadable(error)(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        # A store's pages have the whole API below them; nothing there says who has which stores.
        within = below_store(path)
        needed = required_role(self._routes, {**scope, "path": within, "root_path": ""})
        if needed is Role.ANYBODY and within != path:
            needed = Role.VIEW
        if person is None and needed is not Role.ANYBODY:
            await _unknown(scope, headers, path)(scope, receive, send)
            return
        if needed is None:
            await problem(404, f"no route {path}")(scope, receive, send)
            return
        if person is not None and person.how != "token" and _lacks_origin(scope, headers):
            await problem(403, "a change needs an Origin or Sec-Fetch-Site of this site")(
                scope, receive, send
            )
            return
        if person is not None and not person.role.includes(needed):
            self._login.journal.write("refused", who=person.name, path=path, needs=needed)
            detail = f"{person.name} has the role {person.role}; this needs {needed}"
            await problem(403, detail)(scope, receive, send)
            return
        scope.setdefault("state", {})["person"] = person
        if person is not None and needed is Role.EXPORT:
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
    names = headers.getlist(proxy.header) if proxy.header else []
    if not any(names):
        return None
    name = names[0]
    is_clear = len(names) == 1 and len(name) <= _LONGEST_PROXY_NAME and name.isprintable()
    # Two lines are a proxy's that adds its own to what the client sent: nobody can tell which.
    if not is_clear or not proxy.sent(headers):
        who = name[:_LONGEST_PROXY_NAME]
        login.journal.write_seldom("forged", who=who, header=proxy.header, lines=len(names))
        return None
    person = login.people.get(name)
    role = proxy.role if person is None else person.role
    return None if role is None else Person(name, role, "proxy")


def cookie_of(headers: Mapping[str, str]) -> str:
    """The session of a request's cookies; empty where there is none."""
    return cookie(headers.get("cookie", ""), COOKIE)


def _lacks_origin(scope: Scope, headers: Headers) -> bool:
    is_named = "sec-fetch-site" in headers or "origin" in headers
    return scope["method"] not in SAFE_METHODS and not is_named


def unreadable(error: PeopleFileError) -> Response:
    """503 where nobody can say who may come in, and the reason in the log."""
    log.error("%s", error)
    detail = "the server cannot read now who may come in; try again"
    return problem(503, detail, headers={"retry-after": "2"})


def _unknown(scope: Scope, headers: Headers, path: str) -> Response:
    """The way to the login for a person at a page; 401 for everything else."""
    is_page = scope["method"] == "GET" and "text/html" in headers.get("accept", "")
    if not is_page or "/api/" in path or "/_dash" in path or "/assets/" in path:
        detail = "log in, or send a personal access token as `Authorization: Bearer …`"
        return problem(401, detail, headers={"www-authenticate": "Bearer"})
    root, query = scope.get("root_path", ""), scope["query_string"].decode("latin-1")
    address = quote(path) + (f"?{query}" if query else "")
    back = quote(address, safe="")
    query = f"?next={back}" if len(back) <= _LONGEST_NEXT else ""
    return RedirectResponse(f"{quote(root)}/login{query}", 303)
