"""What a dialer that died left up at the far side is hung up by the next one, beside its own calls."""

import logging
from collections import deque
from datetime import timedelta
from uuid import UUID

from autodialer.clock import Clock
from autodialer.phone.pool import PhonePool
from autodialer.phone.pyvoip.phone import Phone
from autodialer.sip.dialog_state import DialogState
from autodialer.sip.events import FarewellEnded
from autodialer.store import KeptDialog, Store

logger = logging.getLogger(__name__)

LATE_S = 180.0
"""How long a phone goes on ringing after its caller died: the shortest that RFC 3261 section 16.6 allows timer C."""


class Farewells:
    """Sends BYE in each kept dialog, and to callees who still answer a call that was cut off."""

    def __init__(self, store: Store, phones: PhonePool, clock: Clock) -> None:
        self._store = store
        self._phones = phones
        self._clock = clock
        self._dialogs: dict[int, list[DialogState]] = {}
        """By trunk: those whose BYE has not left."""
        self._cut_off: dict[int, list[UUID]] = {}
        """By trunk: calls whose answer may yet come, until its phones know them."""
        self._wanted: set[int] = set()
        self._until = 0.0
        self._over: deque[FarewellEnded] = deque()
        """From the phones' threads."""
        self._to_forget: list[UUID] = []

    def begin(self) -> None:
        """Read what was left; after the books were closed. Raises Unavailable."""
        self._until = self._clock.monotonic() + LATE_S
        self._cut_off = self._store.dialogs.cut_off_since(self._clock.utcnow() - timedelta(seconds=LATE_S))
        for kept in self._store.dialogs.all():
            self._add(kept)
        self._wanted = {*self._cut_off, *self._dialogs}
        if count := sum(map(len, self._dialogs.values())):
            logger.warning("%d answered calls of an earlier dialer are hung up", count)

    def _add(self, kept: KeptDialog) -> None:
        try:
            self._dialogs.setdefault(kept.trunk_key, []).append(DialogState.unpack(kept.dialog))
        except ValueError:
            logger.error("call %s cannot be hung up: its dialog cannot be read", kept.call_id)
            self._to_forget.append(kept.call_id)

    @property
    def trunk_keys(self) -> set[int]:
        """Trunks whose phones are needed for this."""
        return self._wanted

    def step(self, now: float) -> None:
        """Say what can be said now, and forget what is over. Raises Unavailable."""
        if not self._wanted and not self._to_forget:
            return
        for key in self._wanted:
            if phones := self._phones.ready_phones(key):
                self._hand_over(key, phones)
        while self._over:
            event = self._over.popleft()
            logger.info("call %s of an earlier dialer: BYE: %s", event.call_id, event.message)
            self._to_forget.append(UUID(event.call_id))
        if now >= self._until:
            self._give_up()
        if self._to_forget:
            self._store.dialogs.forget(self._to_forget)
            self._to_forget.clear()

    def _hand_over(self, key: int, phones: list[Phone]) -> None:
        dialogs, cut_off = self._dialogs.pop(key, []), self._cut_off.pop(key, [])
        if not dialogs and not cut_off:
            return
        call_ids = [str(call_id) for call_id in cut_off]
        span_s = self._until - self._clock.monotonic()
        # Any phone may hang up any call: a dialog is known by its tags, not by the address that its INVITE came from.
        for number, phone in enumerate(phones):
            phone.clean_up(dialogs[number :: len(phones)], call_ids, span_s=span_s, on_ended=self._over.append)

    def _give_up(self) -> None:
        for dialog in (dialog for dialogs in self._dialogs.values() for dialog in dialogs):
            logger.error("call %s of an earlier dialer is not hung up: its trunk was not to be reached", dialog.call_id)
            self._to_forget.append(UUID(dialog.call_id))
        self._dialogs.clear()
        self._cut_off.clear()
        self._wanted = set()
