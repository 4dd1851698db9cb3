"""The breaker: rests a trunk that cannot dial, so that a dead gateway does not burn a base of numbers."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from autodialer.model import CallOutcome, Cause, Disposition
from autodialer.q850 import UNREACHED

TRIP_AFTER = 5
"""Trunk-side results in a row."""
FIRST_REST_S = 30.0
LONGEST_REST_S = 600.0
LONGEST_ASKED_S = 3600.0
"""A Retry-After is believed up to this: a provider that asks for days means something else, or is broken."""
SILENCE_S = 3.0
"""A call unanswered for so long has been re-sent three times; five of them mean that the gateway fell silent."""

PAYMENT_REQUIRED = 402
REQUEST_TIMEOUT = 408
SENTENCES = {
    Cause.AUTH_FAILED: "The provider refuses the login or password of this trunk.",
    Cause.FORBIDDEN: "The provider forbids calls on this trunk.",
    Cause.NO_RESPONSE: "The provider's gateway does not answer.",
    Cause.TRANSPORT_ERROR: "The provider's gateway cannot be reached: nothing listens at its address and port.",
}


class BreakerState(StrEnum):
    """closed: calls flow; resting: none is claimed; probing: one call tries whether the trunk is back."""

    CLOSED = "closed"
    RESTING = "resting"
    PROBING = "probing"


class HowItEnded(Protocol):
    """As much of a finished call as tells whose fault its end is; a row of the store has it too."""

    @property
    def disposition(self) -> str:
        """A word of Disposition."""

    @property
    def cause(self) -> str | None:
        """A word of Cause."""

    @property
    def sip_code(self) -> int | None:
        """Of the final response."""

    @property
    def q850_cause(self) -> int | None:
        """Beside that code."""

    @property
    def ringing_at(self) -> datetime | None:
        """Of the first 18x."""

    @property
    def answered_at(self) -> datetime | None:
        """Of the 2xx."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A call that failed on the trunk's side: no phone rang."""

    of_number: bool
    """The trunk has put enough others through since then that the number is to blame; congestion always has a rule."""


def is_trunk_side(call: HowItEnded) -> bool:
    """Whether the trunk, not the callee, made the call fail. Busy and no answer never count."""
    # By value: a row of the store has plain words.
    if call.disposition == Disposition.CONGESTION:
        return True
    if call.disposition == Disposition.NO_ANSWER:
        # With one of these causes the 408 is the word of the callee's exchange, not of a gateway that lost its way.
        reached = call.ringing_at is not None or call.q850_cause in UNREACHED
        return call.sip_code == REQUEST_TIMEOUT and not reached
    if call.disposition != Disposition.FAILED or call.answered_at is not None:
        return False
    trunk_causes = (Cause.AUTH_FAILED, Cause.FORBIDDEN, Cause.NO_RESPONSE, Cause.TRANSPORT_ERROR)
    return call.cause in trunk_causes or call.sip_code == PAYMENT_REQUIRED


def describe(outcome: CallOutcome) -> str:
    """Why the trunk rests, one sentence for a person."""
    if outcome.message:
        return outcome.message
    if outcome.sip_code is not None:
        said = f"{outcome.sip_code} {outcome.sip_reason or ''}".strip()
        lead = SENTENCES.get(outcome.cause, "The provider does not accept calls.") if outcome.cause else None
        return f"{lead or 'The provider does not accept calls.'} It said: {said}."
    return SENTENCES.get(outcome.cause, "The trunk failed.") if outcome.cause else "The trunk failed."


@dataclass(kw_only=True)
class Breaker:
    """State of one trunk. Times are monotonic seconds.

    Five trunk-side results in a row trip it, one `auth_failed` or a Retry-After at once. It rests 30 s, doubling to
    10 min, then lets one probe call through, and closes as soon as the probe rings or ends by the callee's doing.
    So that a dead gateway costs no more numbers than it takes to trip, a trunk that has not yet proved itself has at
    most five calls in doubt, and a proved trunk that falls silent gets no new calls.
    """

    state: BreakerState = BreakerState.CLOSED
    until: float | None = None
    """End of the rest."""
    cause: str | None = None
    """Why it rests, a sentence for a person."""
    failures: int = 0
    """Trunk-side results in a row."""
    rest_s: float = FIRST_REST_S
    proved: bool = False
    """A call has got through to a callee since the last failure."""
    probe: object | None = None
    """The call that tries whether the trunk is back."""
    in_doubt: dict[object, float] = field(default_factory=dict)
    """Calls that have neither rung nor ended -> when they started."""
    unheard: dict[object, float] = field(default_factory=dict)
    """Calls without any response yet -> when they started."""
    got_through: int = 0
    """Calls so far that reached a callee: they rang, or ended by the callee's doing."""
    before_waking: set[object] = field(default_factory=set)
    """Calls that left before the trunk was woken, and so say nothing about its present state."""

    def allowed(self, now: float) -> int | None:
        """Most calls that may start now: 0 while resting, 1 for the probe, None where the breaker sets no limit."""
        if self.state is BreakerState.RESTING and self.until is not None and now >= self.until:
            self.state, self.probe = BreakerState.PROBING, None
        if self.state is BreakerState.RESTING:
            return 0
        if self.state is BreakerState.PROBING:
            return 1 if self.probe is None else 0
        if not self.proved:
            return max(0, TRIP_AFTER - self.failures - len(self.in_doubt))
        silent = sum(now - started_at > SILENCE_S for started_at in self.unheard.values())
        return 0 if silent >= TRIP_AFTER else None

    def started(self, call: object, now: float) -> None:
        """A call leaves; while probing it is the probe."""
        self.in_doubt[call] = self.unheard[call] = now
        if self.state is BreakerState.PROBING and self.probe is None:
            self.probe = call

    def heard(self, call: object) -> None:
        """The gateway answered something to the call."""
        self.unheard.pop(call, None)

    def rang(self, call: object) -> bool:
        """The call got through to the callee (18x or 2xx). Returns whether the state changed."""
        self.in_doubt.pop(call, None)
        self.heard(call)
        self.got_through += 1
        if self.state is BreakerState.RESTING or (self.probe is not None and call != self.probe):
            return False
        return self._close()

    def ended(self, call: object, outcome: CallOutcome, now: float) -> bool:
        """Count a finished call. Returns whether the state changed."""
        self.in_doubt.pop(call, None)
        self.heard(call)
        is_probe = self.probe is not None and call == self.probe
        says_nothing = outcome.disposition is Disposition.CANCELLED or outcome.cause is Cause.INTERNAL_ERROR
        if says_nothing or call in self.before_waking:
            self.forget(call)
            return False
        is_fault = is_trunk_side(outcome)
        self.got_through += not is_fault
        if self.state is not BreakerState.CLOSED and not is_probe:
            return False
        if not is_fault:
            return self._close()
        if is_probe:
            return self._rest(outcome, now, min(self.rest_s * 2, LONGEST_REST_S))
        self.failures += 1
        self.proved = False
        at_once = outcome.cause is Cause.AUTH_FAILED or outcome.retry_after_s is not None
        if at_once or self.failures >= TRIP_AFTER:
            return self._rest(outcome, now, FIRST_REST_S)
        return False

    def forget(self, call: object) -> None:
        """The call ended by our own doing and says nothing of the trunk."""
        self.in_doubt.pop(call, None)
        self.heard(call)
        self.before_waking.discard(call)
        if call == self.probe:
            self.probe = None

    def wake(self) -> bool:
        """The trunk may have been mended: its rest is over, and what it did before counts no more.

        Returns whether the state changed.
        """
        self.before_waking |= self.in_doubt.keys()
        self.in_doubt.clear()
        self.unheard.clear()
        changed = self._close()
        # It has to prove itself, so that a mend that mended nothing costs no more than five calls.
        self.proved = False
        return changed

    def _rest(self, outcome: CallOutcome, now: float, rest_s: float) -> bool:
        self.state, self.probe, self.rest_s = BreakerState.RESTING, None, rest_s
        self.until = now + (rest_s if outcome.retry_after_s is None else min(outcome.retry_after_s, LONGEST_ASKED_S))
        self.cause = describe(outcome)
        return True

    def _close(self) -> bool:
        was_closed = self.state is BreakerState.CLOSED
        self.state, self.until, self.cause, self.probe = BreakerState.CLOSED, None, None, None
        self.failures, self.rest_s, self.proved = 0, FIRST_REST_S, True
        return not was_closed
