"""What a dialer that died left at the far side is ended by the next one, beside its own calls."""

import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from autodialer.campaign.numbers import dial_string
from autodialer.clock import Clock
from autodialer.errors import Invalid
from autodialer.phone.plan import CutOffCall
from autodialer.phone.pool import PhonePool
from autodialer.phone.pyvoip.phone import Phone
from autodialer.sip.dialog_state import DialogState
from autodialer.sip.events import FarewellEnded
from autodialer.sip.left_invite import LeftInvite, unpack_left
from autodialer.store import CutOff, KeptDialog, Store

logger = logging.getLogger(__name__)

LATE_S = 180.0
"""How long a phone goes on ringing after its caller died: the shortest that RFC 3261 section 16.6 allows timer C."""


class Farewells:
    """Cancels what still rings, sends BYE in each kept dialog, and to callees who answer a call that was cut off."""

    def __init__(self, store: Store, phones: PhonePool, clock: Clock) -> None:
        self._store = store
        self._phones = phones
        self._clock = clock
        self._left: dict[int, list[DialogState | LeftInvite]] = {}
        """By trunk: dialogs and INVITEs for which no BYE or CANCEL has left."""
        self._cut_off: dict[int, list[CutOff]] = {}
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
        # Phones of trunks that no campaign uses are needed, too.
        self._wanted = {*self._cut_off, *self._left}
        left = [one for calls in self._left.values() for one in calls]
        if count := sum(isinstance(one, DialogState) for one in left):
            logger.warning("%d answered calls of an earlier dialer are hung up", count)
        if count := sum(isinstance(one, LeftInvite) for one in left):
            logger.warning("%d calls of an earlier dialer that may ring are cancelled", count)

    def _add(self, kept: KeptDialog) -> None:
        try:
            self._left.setdefault(kept.trunk_key, []).append(unpack_left(kept.dialog))
        except ValueError:
            logger.error("call %s cannot be ended: what it left cannot be read", kept.call_id)
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
            logger.info("call %s of an earlier dialer: %s: %s", event.call_id, event.method, event.message)
            self._to_forget.append(UUID(event.call_id))
        if now >= self._until:
            self._give_up()
        if self._to_forget:
            self._store.dialogs.forget(self._to_forget)
            self._to_forget.clear()

    def _hand_over(self, key: int, phones: list[Phone]) -> None:
        left, cut_off = self._left.pop(key, []), self._cut_off.pop(key, [])
        if not left and not cut_off:
            return
        call_ids = [str(call.call_id) for call in cut_off]
        unheard = self._unheard(key, left, cut_off)
        span_s = self._until - self._clock.monotonic()
        # Any phone may hang up any call: a dialog is known by its tags, not by the address that its INVITE came from.
        for number, phone in enumerate(phones):
            # Each phone has its own Via: only the one whose port the dead dialer's had can cancel an unheard call.
            own = left[number :: len(phones)]
            phone.clean_up(own, call_ids, unheard, span_s=span_s, on_ended=self._over.append)

    def _unheard(
        self, key: int, left: Sequence[DialogState | LeftInvite], cut_off: Sequence[CutOff]
    ) -> list[CutOffCall]:
        """Calls that were claimed so shortly before the end that nothing else of them was written down."""
        known = {one.call_id for one in left}
        unheard = [call for call in cut_off if str(call.call_id) not in known and call.number]
        trunk = self._store.trunks.by_keys([key]).get(key) if unheard else None
        if trunk is None:
            return []
        found = []
        for call in unheard:
            with suppress(Invalid):  # then it was never dialled
                number = dial_string(call.number or "", trunk.number_format)
                found.append(CutOffCall(call_id=str(call.call_id), number=number, caller_id=call.caller_id))
        return found

    def _give_up(self) -> None:
        for left in (left for calls in self._left.values() for left in calls):
            logger.error("call %s of an earlier dialer is not ended: its trunk was not to be reached", left.call_id)
            self._to_forget.append(UUID(left.call_id))
        self._left.clear()
        self._cut_off.clear()
        self._wanted = set()


def is_answered(kept: KeptDialog) -> bool:
    """Whether the callee had picked up: a call that cannot be read counts as picked up."""
    try:
        return isinstance(unpack_left(kept.dialog), DialogState)
    except ValueError:
        return True
