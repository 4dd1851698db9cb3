"""Rights: which scopes a role allows, and whose objects a user works with."""

from collections.abc import Mapping
from enum import StrEnum

from autodialer.model.states import Role


class Scope(StrEnum):
    """What an access token or an API key may be used for (RFC 6749 section 3.3)."""

    READ = "read"
    """To look at objects."""
    DIAL = "dial"
    """To change objects and to place calls, as far as the role of the user goes."""
    ADMIN = "admin"
    """To act as an admin: with everybody's objects, and with the users."""


SCOPES_OF: Mapping[Role, tuple[Scope, ...]] = {
    Role.ADMIN: (Scope.READ, Scope.DIAL, Scope.ADMIN),
    Role.USER: (Scope.READ, Scope.DIAL),
    Role.OPERATOR: (Scope.READ, Scope.DIAL),
    Role.VIEWER: (Scope.READ,),
}
"""All that a role allows."""

OWNING = frozenset({Role.ADMIN, Role.USER})
"""Roles with objects of their own. A user of any other role works with the objects of one user of these."""


def rank_of(role: Role) -> int:
    """0 allows the least. A user whose role gets a lower rank has lost rights."""
    return (Role.VIEWER, Role.OPERATOR, Role.USER, Role.ADMIN).index(role)


def parse_scopes(text: str) -> frozenset[Scope] | None:
    """The scopes of a list with spaces between; None where a word is no scope."""
    try:
        return frozenset(Scope(word) for word in text.split())
    except ValueError:
        return None


def in_words(scopes: frozenset[Scope]) -> str:
    """The scopes with spaces between, always in the same order."""
    return " ".join(scope for scope in Scope if scope in scopes)
