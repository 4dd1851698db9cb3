"""The caller of the API."""

from dataclasses import dataclass
from uuid import UUID

from autodialer.model import OWNING, SCOPES_OF, Role, Scope, User


@dataclass(frozen=True, kw_only=True)
class Sender:
    """The client at the other end of a request, as far as it tells and the network does."""

    address: str | None
    """IP address."""
    program: str | None = None
    """What it calls itself, shortened: its own word, for people to recognise their sessions by."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The user who sent a valid access token or API key, what it may be used for, and where it came from."""

    user: User
    family_id: UUID | None
    """The session; None for an API key."""
    address: str | None
    """IP address of the client."""
    scopes: frozenset[Scope]
    """Never more than the role allows now."""
    key_id: UUID | None = None
    """The API key; None for an access token."""

    @property
    def is_admin(self) -> bool:
        """Whether the caller acts as an admin: the role alone is not enough, the scope must be there too."""
        return self.user.role is Role.ADMIN and Scope.ADMIN in self.scopes

    @property
    def has_all_scopes(self) -> bool:
        """Whether nothing that the role allows is left out."""
        return self.scopes == frozenset(SCOPES_OF[self.user.role])

    @property
    def owner_key(self) -> int | None:
        """The owner whose objects the caller sees; None (everybody's) for an admin.

        An operator or viewer for which nobody is named sees its own, of which there are none.
        """
        if self.is_admin:
            return None
        if self.user.role in OWNING or self.user.works_for_key is None:
            return self.user.key
        return self.user.works_for_key
