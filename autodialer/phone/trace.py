"""The SIP messages of a phone's calls, kept until each call is over and then handed on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from autodialer.clock import Clock
from autodialer.sip.hop import Hop
from autodialer.sip.trace import Noted, pack

CLOSES_S = 6.0
"""From a call's outcome to the end of its trace: the answer to our BYE comes after it, and so do re-sent messages."""
MOST_MESSAGES = 100
MOST_BYTES = 64 * 1024
"""Of one call, both."""


@dataclass(frozen=True, kw_only=True)
class CallTrace:
    """The messages of one call so far."""

    call_id: UUID
    packed: bytes
    """As `autodialer.sip.trace.unpack` reads it; credentials are masked."""


@dataclass(kw_only=True)
class _Open:
    """The messages of one call."""

    call_id: UUID
    began: float
    began_at: datetime
    room: int = MOST_BYTES
    noted: list[Noted] = field(default_factory=list)
    missed: int = 0


class TraceBook:
    """The open traces of one phone. Used in its loop thread, and by `close_all` once that has ended."""

    def __init__(self, clock: Clock, on_trace: Callable[[CallTrace], None]) -> None:
        self._clock = clock
        self._on_trace = on_trace
        self._open: dict[str, _Open] = {}

    def begin(self, call_id: UUID, now: float, utcnow: datetime) -> None:
        """The INVITE of a call is about to leave; its Call-ID is that id."""
        self._open[str(call_id)] = _Open(call_id=call_id, began=now, began_at=utcnow)

    def note(self, call_id: str, direction: str, data: bytes, hop: Hop) -> None:
        """A message came or went: the `Tracer` of the SIP core. Others' than our calls' are not kept.

        A full trace only counts what comes after: the beginning of a call says more than its hundredth re-sent message.
        """
        trace = self._open.get(call_id)
        if trace is None:
            return
        # Nothing more once a message was missed, even a shorter one: a trace with holes would be read as silence.
        if trace.missed or len(data) > trace.room or len(trace.noted) >= MOST_MESSAGES:
            trace.missed += 1
            return
        trace.room -= len(data)
        trace.noted.append((self._clock.monotonic(), direction, data, hop))

    def show(self, call_id: UUID) -> None:
        """Hand on what there is of a call so far, if it is one of these."""
        trace = self._open.get(str(call_id))
        if trace is not None and trace.noted:
            first = trace.noted[0][0]
            began_at = trace.began_at + timedelta(seconds=first - trace.began)
            packed = pack(first, began_at, trace.noted, trace.missed)
            self._on_trace(CallTrace(call_id=trace.call_id, packed=packed))

    def close(self, call_id: UUID) -> None:
        """Hand on the whole and forget it."""
        self.show(call_id)
        self._open.pop(str(call_id), None)

    def close_all(self) -> None:
        """The phone has ended."""
        for trace in list(self._open.values()):
            self.close(trace.call_id)
