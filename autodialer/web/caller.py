"""The caller of the API."""

from dataclasses import dataclass
from uuid import UUID

from autodialer.model import Role, User


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The user who sent a valid access token, and where it came from."""

    user: User
    family_id: UUID
    """The session."""
    address: str | None
    """IP address of the client."""

    @property
    def owner_key(self) -> int | None:
        """The owner whose objects the caller sees: the caller; None (everybody's) for an admin."""
        return None if self.user.role is Role.ADMIN else self.user.key
