"""Decides who may be called, and when, by the DNC list, doubts, attempts, hours and caps; nothing else does. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from autodialer.campaign.breaker import is_trunk_side
from autodialer.model import Disposition, SubscriberState
from autodialer.model.admission import (
    CAP_DAY,
    CAP_WEEK,
    EXCLUDED_CAP,
    EXCLUDED_DNC,
    EXCLUDED_DOUBTFUL,
    EXCLUDED_ERASED,
    EXCLUDED_WINDOW,
    HUNG_UP,
    MAX_ATTEMPTS,
    SHORT,
    WINDOW,
    Call,
    CallsOf,
    Candidate,
    End,
    Exclude,
    NumberCalls,
    OpenHours,
    PastCall,
    Verdict,
    Wait,
)

SPANS = {CAP_DAY: timedelta(days=1), CAP_WEEK: timedelta(days=7)}
UNKNOWN_ZONE = timedelta(seconds=10)
"""A zone that has just come with a new subscriber is looked at again after this."""
LOOK_AGAIN = timedelta(seconds=10)
"""A number whose last free attempt is in the air is looked at again after this: that call may turn out cancelled."""
CALL = Call()


def admit(candidates: Sequence[Candidate], hours: OpenHours, calls_of: CallsOf, now: datetime) -> list[Verdict]:
    """The decision on each of these candidates of one campaign, in their order.

    `calls_of` is asked at most once, and only for those candidates that only a cap can still refuse: counting calls is
    the only part of a claim that costs more than the rows themselves. A candidate that may be called counts as in the
    air for those after it, so that a person who is in a callbase twice is not called twice.
    """
    verdicts = [_before_caps(candidate, hours, now) for candidate in candidates]
    capped = [
        index
        for index, candidate in enumerate(candidates)
        if verdicts[index] is CALL and any(cap is not None for cap in candidate.caps.values())
    ]
    if not capped:
        return verdicts
    found = calls_of([candidates[index].number or "" for index in capped])
    for index in capped:
        candidate = candidates[index]
        calls = found[candidate.number or ""]
        verdicts[index] = _by_caps(candidate, calls, now)
        if verdicts[index] is CALL:
            calls.in_air += 1
    return verdicts


def ended_state(retries_used: Mapping[str, int], *, answered: bool = False) -> SubscriberState:
    """What a subscriber is who gets no further attempt: an answer, now or earlier, however short, is `reached`."""
    return SubscriberState.REACHED if answered or SHORT in retries_used else SubscriberState.EXHAUSTED


def attempts_are_used_up(attempts: int, max_attempts: int) -> bool:
    """Whether no attempt is left after so many."""
    return attempts >= max_attempts


def counts_towards_caps(call: PastCall) -> bool:
    """Whether a finished call is an attempt at the person.

    A call by whose trunk's fault no phone rang has reached nobody, and neither has one that stopping or the end of the
    service cancelled. One that an operator hung up is an attempt: the phone may have rung.
    """
    if call.disposition == Disposition.CANCELLED:
        return call.next_rule == HUNG_UP
    return not is_trunk_side(call)


def cap_wait(caps: Mapping[str, int | None], calls: NumberCalls, now: datetime) -> Wait | None:
    """What the caps say about another attempt now; None: it may be made.

    Where two caps forbid it, the answer names the cap that lasts longer.
    """
    at = [call.invited_at for call in calls.past if counts_towards_caps(call)]
    waits = [
        Wait(until=until, rule=rule)
        for rule, span in SPANS.items()
        if (cap := caps[rule]) is not None and (until := _until(cap, span, at, calls.in_air, now)) is not None
    ]
    return max(waits, key=lambda wait: wait.until, default=None)


def _until(cap: int, span: timedelta, at: Sequence[datetime], in_air: int, now: datetime) -> datetime | None:
    recent = sorted(moment for moment in at if moment > now - span)
    if len(recent) >= cap:
        # It takes so many of them to leave the span that one less than the cap is left.
        return recent[len(recent) - cap] + span
    return now + LOOK_AGAIN if len(recent) + in_air >= cap else None


def _before_caps(candidate: Candidate, hours: OpenHours, now: datetime) -> Verdict:
    if candidate.number is None:
        return Exclude(reason=EXCLUDED_ERASED)
    if candidate.on_dnc:
        return Exclude(reason=EXCLUDED_DNC)
    if candidate.doubtful and not candidate.dial_doubtful:
        return Exclude(reason=EXCLUDED_DOUBTFUL)
    is_open = hours.open_zones is None or candidate.zone in hours.open_zones
    if candidate.zone in hours.opens_at and hours.opens_at[candidate.zone] is None:
        return Exclude(reason=EXCLUDED_WINDOW)
    if attempts_are_used_up(candidate.attempts, candidate.max_attempts):
        # The campaign allows fewer attempts than when this one was queued.
        return End(reason=MAX_ATTEMPTS, state=ended_state(candidate.retries_used))
    if is_open:
        return CALL
    return Wait(until=hours.opens_at.get(candidate.zone) or now + UNKNOWN_ZONE, rule=WINDOW)


def _by_caps(candidate: Candidate, calls: NumberCalls, now: datetime) -> Verdict:
    wait = cap_wait(candidate.caps, calls, now)
    if wait is None:
        return CALL
    too_late = candidate.ends_at is not None and wait.until > candidate.ends_at
    return Exclude(reason=EXCLUDED_CAP) if too_late else wait
