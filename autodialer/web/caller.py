"""Who asks."""

from dataclasses import dataclass
from uuid import UUID

from autodialer.model import Role, User


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Somebody who has shown a good access token, and from where."""

    user: User
    family_id: UUID
    """The session."""
    address: str | None
    """IP address of the client."""

    @property
    def owner_key(self) -> int | None:
        """Whose objects he sees: his own, or everybody's (None) for an admin."""
        return None if self.user.role is Role.ADMIN else self.user.key
