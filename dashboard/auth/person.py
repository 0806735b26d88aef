"""A person, as a request's login says; imports nothing that not every installation has."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.server.roles import Role
from fmcore import FmcoreError

# How long a token holds unless somebody says otherwise, and at most.
TOKEN_DAYS, MOST_TOKEN_DAYS = 90, 3650


class PeopleError(FmcoreError, ValueError):
    """There is no such person or token, or one of that name already."""


class PeopleFileError(PeopleError, OSError):
    """The file of people cannot be read or written now: a full disk, or somebody who holds it."""


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
