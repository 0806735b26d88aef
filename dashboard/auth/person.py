"""Who asks, and what that lets them do."""

from __future__ import annotations

from dataclasses import dataclass

from fmcore import FmcoreError

# Each may do what those before it may: look; take arrays home; see who does what.
ROLES = ("view", "export", "admin")
# How long a token holds unless somebody says otherwise.
TOKEN_DAYS = 90


class PeopleError(FmcoreError, ValueError):
    """There is no such person or token, or one of that name already."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who was let in.

    Attributes:
        name: unique.
        role: one of `ROLES`.
        how: `session`, `token` or `proxy`.
    """

    name: str
    role: str
    how: str = ""

    def may(self, role: str) -> bool:
        """Whether they may do what a role may."""
        return ROLES.index(self.role) >= ROLES.index(role)
