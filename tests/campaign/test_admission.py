"""The rules that say who may be called: each alone, and in the order in which they decide."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from autodialer.campaign.admission import CALL, LOOK_AGAIN, UNKNOWN_ZONE, admit, cap_wait, counts_towards_caps
from autodialer.model import Cause, Disposition, SubscriberState
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
    Candidate,
    End,
    Exclude,
    NumberCalls,
    OpenHours,
    PastCall,
    Verdict,
    Wait,
)
from tests.campaign.factories import NOW

DAY, WEEK = timedelta(days=1), timedelta(days=7)
ALWAYS = OpenHours()


def caps(day: int | None, week: int | None = None) -> dict[str, int | None]:
    return {CAP_DAY: day, CAP_WEEK: week}


def past(hours_ago: float = 0.0, disposition: Disposition = Disposition.BUSY, **known: Any) -> PastCall:
    values: dict[str, Any] = {
        "cause": None,
        "sip_code": None,
        "q850_cause": None,
        "ringing_at": None,
        "answered_at": None,
    }
    values |= {"next_rule": disposition.value, **known}
    return PastCall(invited_at=NOW - timedelta(hours=hours_ago), disposition=disposition.value, **values)


def ago(*hours: float) -> NumberCalls:
    return NumberCalls(past=[past(each) for each in hours])


def candidate(**changes: Any) -> Candidate:
    values: dict[str, Any] = {
        "number": "+70000000001",
        "on_dnc": False,
        "zone": "Europe/Moscow",
        "attempts": 0,
        "retries_used": {},
        "max_attempts": 3,
        "caps": caps(None),
        "ends_at": None,
    }
    return Candidate(**(values | changes))


def decide(*candidates: Candidate, hours: OpenHours = ALWAYS, calls: NumberCalls | None = None) -> Sequence[Verdict]:
    found = calls or NumberCalls()

    def calls_of(numbers: Sequence[str]) -> Mapping[str, NumberCalls]:
        return dict.fromkeys(numbers, found)

    return admit(candidates, hours, calls_of, NOW)


@pytest.mark.parametrize(
    ("caps_", "calls", "expected"),
    [
        (caps(None), ago(0, 0, 0, 0), None),
        (caps(1), ago(), None),
        (caps(1), ago(24), None),
        (caps(1), ago(23), Wait(until=NOW + timedelta(hours=1), rule=CAP_DAY)),
        (caps(2), ago(20, 30), None),
        (caps(2), ago(5, 20), Wait(until=NOW + timedelta(hours=4), rule=CAP_DAY)),
        (caps(2), ago(1, 2, 3), Wait(until=NOW + timedelta(hours=22), rule=CAP_DAY)),
        (caps(None, 2), ago(25, 50), Wait(until=NOW - timedelta(hours=50) + WEEK, rule=CAP_WEEK)),
        (caps(1, 2), ago(1, 167.5), Wait(until=NOW + timedelta(hours=23), rule=CAP_DAY)),
        (caps(2, 2), ago(1, 100), Wait(until=NOW + timedelta(hours=68), rule=CAP_WEEK)),
        (caps(1), NumberCalls(in_air=1), Wait(until=NOW + LOOK_AGAIN, rule=CAP_DAY)),
        (caps(2), NumberCalls(past=[past(1)], in_air=1), Wait(until=NOW + LOOK_AGAIN, rule=CAP_DAY)),
        (caps(3), NumberCalls(past=[past(1)], in_air=1), None),
    ],
)
def test_a_cap_lets_the_next_attempt_start_when_one_less_than_it_is_left(
    caps_: dict[str, int | None], calls: NumberCalls, expected: Wait | None
) -> None:
    assert cap_wait(caps_, calls, NOW) == expected


@pytest.mark.parametrize(
    ("call", "counts"),
    [
        (past(), True),
        (past(disposition=Disposition.ANSWERED, answered_at=NOW), True),
        (past(disposition=Disposition.INTERRUPTED), True),
        (past(disposition=Disposition.CANCELLED), False),
        (past(disposition=Disposition.CANCELLED, next_rule=HUNG_UP), True),
        (past(disposition=Disposition.CONGESTION, sip_code=503), False),
        (past(disposition=Disposition.FAILED, cause=Cause.TRANSPORT_ERROR.value), False),
        (past(disposition=Disposition.FAILED, cause=Cause.AUTH_FAILED.value, sip_code=401), False),
        (past(disposition=Disposition.FAILED, cause=Cause.MEDIA_FAILED.value, sip_code=200, answered_at=NOW), True),
        (past(disposition=Disposition.FAILED, cause=Cause.INTERNAL_ERROR.value), False),
        (past(disposition=Disposition.FAILED, cause=Cause.INTERNAL_ERROR.value, ringing_at=NOW), True),
        (past(disposition=Disposition.NO_ANSWER, sip_code=408), False),
        (past(disposition=Disposition.NO_ANSWER, sip_code=408, ringing_at=NOW), True),
    ],
)
def test_a_cap_counts_what_may_have_reached_the_person_and_not_the_trunks_fault(call: PastCall, counts: bool) -> None:
    assert counts_towards_caps(call) is counts


@pytest.mark.parametrize(
    ("changes", "hours", "expected"),
    [
        ({}, OpenHours(), CALL),
        ({"number": None, "on_dnc": True}, OpenHours(), Exclude(reason=EXCLUDED_ERASED)),
        ({"on_dnc": True, "attempts": 3}, OpenHours(), Exclude(reason=EXCLUDED_DNC)),
        ({"attempts": 3}, OpenHours(), End(reason=MAX_ATTEMPTS, state=SubscriberState.EXHAUSTED)),
        (
            {"attempts": 3, "retries_used": {SHORT: 1}},
            OpenHours(),
            End(reason=MAX_ATTEMPTS, state=SubscriberState.REACHED),
        ),
        ({}, OpenHours(frozenset({"Europe/Moscow"})), CALL),
        ({}, OpenHours(frozenset(), {"Europe/Moscow": NOW + DAY}), Wait(until=NOW + DAY, rule=WINDOW)),
        ({}, OpenHours(frozenset(), {"Europe/Moscow": None}), Exclude(reason=EXCLUDED_WINDOW)),
        ({"zone": "Asia/Omsk"}, OpenHours(frozenset()), Wait(until=NOW + UNKNOWN_ZONE, rule=WINDOW)),
    ],
)
def test_each_rule_decides(changes: dict[str, Any], hours: OpenHours, expected: Verdict) -> None:
    assert decide(candidate(**changes), hours=hours) == [expected]


def test_a_cap_that_lasts_longer_than_the_campaign_excludes() -> None:
    capped = candidate(caps=caps(1), ends_at=NOW + timedelta(hours=2))
    assert decide(capped, calls=ago(1)) == [Exclude(reason=EXCLUDED_CAP)]
    assert decide(capped, calls=ago(23)) == [Wait(until=NOW + timedelta(hours=1), rule=CAP_DAY)]


def test_the_same_number_twice_among_the_candidates_is_called_once_by_a_cap_of_one() -> None:
    verdicts = decide(candidate(caps=caps(1)), candidate(caps=caps(1)))
    assert verdicts == [CALL, Wait(until=NOW + LOOK_AGAIN, rule=CAP_DAY)]


def test_calls_are_counted_once_and_only_for_those_on_whom_a_cap_decides() -> None:
    asked: list[Sequence[str]] = []

    def calls_of(numbers: Sequence[str]) -> Mapping[str, NumberCalls]:
        asked.append(list(numbers))
        return {number: NumberCalls() for number in numbers}

    admit([candidate(), candidate(on_dnc=True)], OpenHours(), calls_of, NOW)
    assert asked == []
    both = [candidate(caps=caps(1), on_dnc=True), candidate(caps=caps(1), number="+7"), candidate(caps=caps(1))]
    admit(both, OpenHours(), calls_of, NOW)
    assert asked == [["+7", "+70000000001"]]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"doubtful": True}, Exclude(reason=EXCLUDED_DOUBTFUL)),
        ({"doubtful": True, "dial_doubtful": True}, CALL),
        ({"doubtful": False}, CALL),
        ({"doubtful": True, "on_dnc": True}, Exclude(reason=EXCLUDED_DNC)),
        ({"doubtful": True, "attempts": 3}, Exclude(reason=EXCLUDED_DOUBTFUL)),
    ],
)
def test_a_doubtful_number_is_called_only_by_a_campaign_that_says_so(changes: Any, verdict: Verdict) -> None:
    assert decide(candidate(**changes)) == [verdict]
