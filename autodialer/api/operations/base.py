"""What all operations stand on."""

from typing import Any
from uuid import UUID

from autodialer.clock import Clock
from autodialer.config import Settings
from autodialer.store import Store
from autodialer.web.caller import Caller
from autodialer.web.idempotency import Once
from autodialer.web.sound_files import SoundFiles

Json = dict[str, Any]


class Operations:
    """Operations on one store and one data folder."""

    def __init__(self, settings: Settings, store: Store, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or Clock()
        self._sound_files = SoundFiles(settings, store)
        self._once = Once(store).make

    def _audit(self, caller: Caller, action: str, object_id: UUID, **details: object) -> None:
        kind = action.partition(".")[0]
        self._store.audit.append(
            caller.user.key, action, object_kind=kind, object_id=object_id, details=details, address=caller.address
        )
