"""A person, as a request's login says; imports nothing that not every installation has."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.server.roles import Role
from fmcore import FmcoreError

# How long a token holds unless somebody says otherwise.
TOKEN_DAYS = 90


class PeopleError(FmcoreError, ValueError):
    """There is no such person or token, or one of that name already."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who was let in.

    Attributes:
        name: unique.
        role: what they may do.
        how: `session`, `token` or `proxy`; empty for who did not log in.
    """

    name: str
    role: Role
    how: str = ""
