"""What the operations of every subject stand on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from autodialer.api.brakes import Brake
from autodialer.api.idempotency import Once
from autodialer.clock import Clock
from autodialer.config import Settings
from autodialer.errors import Invalid, NotFound
from autodialer.store import Store
from autodialer.web.caller import Caller
from autodialer.web.tokens import refused

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Context:
    """One store and one data folder."""

    settings: Settings
    store: Store
    clock: Clock
    once: Once
    sample_calls: Brake = field(default_factory=lambda: Brake(most=10, span_s=60.0, what="sample calls"))
    checks: Brake = field(default_factory=lambda: Brake(most=10, span_s=60.0, what="checks of trunks"))

    def record(self, caller: Caller, action: str, object_id: UUID, **details: object) -> None:
        """Write to the audit what the caller does, in the transaction that does it.

        Raises Unauthorized for a caller who has been deleted since the request came: what a long upload makes then
        would be nobody's.
        """
        if self.store.users.is_deleted(caller.user.key):
            raise refused()
        kind = action.partition(".")[0]
        if caller.key_id is not None:
            details["api_key"] = str(caller.key_id)
        self.store.audit.append(
            caller.user.key, action, object_kind=kind, object_id=object_id, details=details, address=caller.address
        )


def owned(get: Callable[[UUID, int | None], T], object_id: UUID, caller: Caller, field: str) -> T:
    """An object that a field names. Raises Invalid, not NotFound: the path of the request does exist."""
    try:
        return get(object_id, caller.owner_key)
    except NotFound as exc:
        raise Invalid(f"{field}: there is no {object_id}, or it is not yours.", field=field) from exc
