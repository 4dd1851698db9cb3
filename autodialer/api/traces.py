"""The SIP messages of a call as people read them: what is kept, and of a call under way what the dialer has so far."""

import threading
import time
from datetime import datetime, timedelta

from autodialer.clock import Clock
from autodialer.errors import NotFound, TooManyRequests
from autodialer.model import CallRecord, JobState
from autodialer.sip.ladder import render
from autodialer.sip.trace import unpack
from autodialer.store import Store
from autodialer.store.calls.traces import KeptTrace

WAIT_S = 2.0
"""For the dialer's answer."""
LOOK_S = 0.05
WAITING_REQUESTS = 4
"""Requests that wait at the same time: the others of the API must not starve."""
SETTLES = timedelta(seconds=10)
"""After its end a call may still have messages that are not written."""


class CallTraces:
    """Reads traces; asks the dialer for those that are not complete."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._free = threading.BoundedSemaphore(WAITING_REQUESTS)

    def read(self, call: CallRecord) -> str:
        """The ladder of a call and its messages. Raises NotFound when they are not kept, or TooManyRequests."""
        if call.state is JobState.QUEUED:
            raise NotFound("The call has not been made yet, so there are no SIP messages.")
        kept = self._store.traces.read(call.id)
        if self._may_have_more(call):
            kept = self._ask_dialer(call, kept)
        if kept is None:
            raise NotFound(
                "The SIP messages of this call are not kept: DIALER_TRACE_CALLS and DIALER_TRACE_DAYS say of how many "
                "calls they are, and how long; a call that sent none, or that a crash cut off, has none."
            )
        try:
            trace = unpack(kept.packed)
        except ValueError as exc:
            raise NotFound("The SIP messages of this call were kept by another version and cannot be read.") from exc
        return render(trace, title=f"SIP messages of call {call.id} to {call.number}")

    def _may_have_more(self, call: CallRecord) -> bool:
        ended_at: datetime | None = call.outcome.ended_at if call.outcome else None
        under_way = ended_at is None or self._clock.utcnow() - ended_at < SETTLES
        return under_way and self._store.live.dialer() is not None

    def _ask_dialer(self, call: CallRecord, kept: KeptTrace | None) -> KeptTrace | None:
        """What the dialer writes when it is asked; what was kept before when it has nothing newer."""
        if not self._free.acquire(blocking=False):
            raise TooManyRequests("Others wait for the SIP messages of calls under way; try again in a moment.")
        try:
            self._store.commands.add("trace_call", call_id=call.id)
            deadline = time.monotonic() + WAIT_S
            while time.monotonic() < deadline:
                time.sleep(LOOK_S)
                now_kept = self._store.traces.read(call.id)
                if now_kept != kept:
                    return now_kept
        finally:
            self._free.release()
        return kept
