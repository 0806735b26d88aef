"""Who looks at the page that is being made, and what they may not take home."""

from __future__ import annotations

from typing import Any

from flask import has_request_context, request

from dashboard.server.roles import Role


def person_here() -> Any:
    """The `auth.person.Person` of this request; None where nobody has to log in."""
    scope = request.environ.get("asgi.scope", {}) if has_request_context() else {}
    return scope.get("state", {}).get("person")


def why_no_files() -> str:
    """Why this person may not take arrays and tables home, a sentence; empty where they may."""
    person = person_here()
    if person is None or person.role.includes(Role.EXPORT):
        return ""
    return (
        f"{person.name} has the role {person.role}: arrays and tables to take home need the role "
        f"{Role.EXPORT}."
    )
