"""Decides who may be called, and when: DNC list, doubts, countries, attempts, hours, caps; nothing else does. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from autodialer.campaign.breaker import is_trunk_side
from autodialer.campaign.destinations import refusal
from autodialer.campaign.numbers import destination_of
from autodialer.model import Cause, Disposition, SubscriberState
from autodialer.model.admission import (
    CAP_DAY,
    CAP_WEEK,
    EXCLUDED_CAP,
    EXCLUDED_DNC,
    EXCLUDED_DOUBTFUL,
    EXCLUDED_WINDOW,
    HUNG_UP,
    MAX_ATTEMPTS,
    NUMBER_REMOVED,
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
    ended_state,
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


def attempts_are_used_up(attempts: int, max_attempts: int) -> bool:
    """Whether no attempt is left after so many."""
    return attempts >= max_attempts


def counts_towards_caps(call: PastCall) -> bool:
    """Whether a finished call is an attempt at the person.

    A call by whose trunk's fault, or by our own, no phone rang has reached nobody, and neither has a call that stopping
    or the end of the service cancelled. A call that an operator hung up is an attempt: the phone may have rung.
    """
    if call.disposition == Disposition.CANCELLED:
        return call.next_rule == HUNG_UP
    if call.cause == Cause.INTERNAL_ERROR:
        return call.ringing_at is not None or call.answered_at is not None
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
        return _without_number(candidate)
    if candidate.on_dnc:
        return _turn_away(candidate, EXCLUDED_DNC)
    if candidate.doubtful and not candidate.dial_doubtful:
        return _turn_away(candidate, EXCLUDED_DOUBTFUL)
    refused = _refused(candidate, candidate.number)
    if refused is not None:
        return _turn_away(candidate, refused)
    is_open = hours.open_zones is None or candidate.zone in hours.open_zones
    if candidate.zone in hours.opens_at and hours.opens_at[candidate.zone] is None:
        return _turn_away(candidate, EXCLUDED_WINDOW)
    if attempts_are_used_up(candidate.attempts, candidate.max_attempts):
        # The campaign allows fewer attempts than when this one was queued.
        return End(reason=MAX_ATTEMPTS, state=ended_state(candidate.retries_used))
    if is_open:
        return CALL
    return Wait(until=hours.opens_at.get(candidate.zone) or now + UNKNOWN_ZONE, rule=WINDOW)


def _refused(candidate: Candidate, number: str) -> str | None:
    if not candidate.dial_rules:
        return None
    return refusal(candidate.destination or destination_of(number), candidate.dial_rules, number)


def _by_caps(candidate: Candidate, calls: NumberCalls, now: datetime) -> Verdict:
    wait = cap_wait(candidate.caps, calls, now)
    if wait is None:
        return CALL
    too_late = candidate.ends_at is not None and wait.until > candidate.ends_at
    return _turn_away(candidate, EXCLUDED_CAP) if too_late else wait


def _without_number(candidate: Candidate) -> Verdict:
    if candidate.no_number == NUMBER_REMOVED:
        # The person is still there, and the attempts at the first number are used up.
        return End(reason=NUMBER_REMOVED, state=ended_state(candidate.retries_used))
    return _turn_away(candidate, candidate.no_number)


def _turn_away(candidate: Candidate, reason: str) -> Verdict:
    """A person who has answered already, though too briefly, was reached; only the others are excluded."""
    state = ended_state(candidate.retries_used, unanswered=SubscriberState.EXCLUDED)
    return Exclude(reason=reason) if state is SubscriberState.EXCLUDED else End(reason=reason, state=state)
