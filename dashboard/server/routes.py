"""Routes that know which role a request to them needs; there are no others in the application."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.server.roles import Role

# The role that every request to a route needs, or what says it of a request's query.
RoleOf = Role | Callable[[QueryParams], Role]


class GuardedRoute(Route):
    """A route, and the role that a request to it needs."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[[Request], object],
        *,
        role: RoleOf,
        methods: Sequence[str] = ("GET",),
    ) -> None:
        super().__init__(path, endpoint, methods=list(methods))
        self.role = role

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, and notes for those who watch requests which route it was."""
        scope.setdefault("state", {})["route"] = self.path
        await super().handle(scope, receive, send)


class GuardedMount(Mount):
    """All that lies below a path, and the role that a request to it needs."""

    def __init__(self, path: str, app: ASGIApp, *, role: RoleOf) -> None:
        super().__init__(path, app)
        self.role = role

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, and notes for those who watch requests which route it was."""
        scope.setdefault("state", {})["route"] = self.path
        await super().handle(scope, receive, send)


Guarded = GuardedRoute | GuardedMount


def guarded(routes: Iterable[BaseRoute]) -> list[Guarded]:
    """The routes, each of which has a role.

    Raises:
        TypeError: if one has none: nobody would have decided who may ask for it.
    """
    checked = []
    for route in routes:
        if not isinstance(route, Guarded):
            raise TypeError(
                f"the route {getattr(route, 'path', route)!r} has no role; make it a GuardedRoute "
                f"or a GuardedMount with one of {', '.join(Role)}"
            )
        checked.append(route)
    return checked


def required_role(routes: Iterable[Guarded], scope: Scope) -> Role | None:
    """The role that a request needs, by the route that a router would take; None without one."""
    for route in routes:
        if route.matches(scope)[0] is Match.FULL:
            if isinstance(route.role, Role):
                return route.role
            return route.role(QueryParams(scope["query_string"]))
    return None
