"""The breaker: rests a trunk that cannot dial, so that a dead gateway does not burn a base of numbers."""

from dataclasses import dataclass, field
from enum import StrEnum

from autodialer.model import CallOutcome, Cause, Disposition

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


def is_trunk_side(outcome: CallOutcome) -> bool:
    """Whether the trunk, not the callee, made the call fail. Busy and no answer never count."""
    if outcome.disposition is Disposition.CONGESTION:
        return True
    if outcome.disposition is Disposition.NO_ANSWER:
        return outcome.sip_code == REQUEST_TIMEOUT and outcome.ringing_at is None
    if outcome.disposition is not Disposition.FAILED or outcome.answered_at is not None:
        return False
    trunk_causes = (Cause.AUTH_FAILED, Cause.FORBIDDEN, Cause.NO_RESPONSE, Cause.TRANSPORT_ERROR)
    return outcome.cause in trunk_causes or outcome.sip_code == PAYMENT_REQUIRED


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
    most five calls in doubt, and a proved one that falls silent gets no new calls.
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
        if self.state is BreakerState.RESTING or (self.probe is not None and call != self.probe):
            return False
        return self._close()

    def ended(self, call: object, outcome: CallOutcome, now: float) -> bool:
        """Count a finished call. Returns whether the state changed."""
        self.in_doubt.pop(call, None)
        self.heard(call)
        is_probe = self.probe is not None and call == self.probe
        if outcome.disposition is Disposition.CANCELLED:
            self.forget(call)
            return False
        if self.state is not BreakerState.CLOSED and not is_probe:
            return False
        if not is_trunk_side(outcome):
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
        if call == self.probe:
            self.probe = None

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
