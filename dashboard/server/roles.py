"""What people may do, and what a request needs them to."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """A role; whoever has it may do what all before it may."""

    ANYBODY = "anybody"  # not logged in: what a request may need, and nobody's own role
    VIEW = "view"  # looks at pages
    EXPORT = "export"  # takes arrays home
    ADMIN = "admin"  # sees who does what

    def includes(self, other: Role) -> bool:
        """Whether a person of this role may do what needs the other."""
        roles = list(Role)
        return roles.index(self) >= roles.index(other)


# The roles that people can have.
ROLES = tuple(role for role in Role if role is not Role.ANYBODY)
