"""The breaker: what rests a trunk, for how long, and how it comes back."""

import pytest

from autodialer.campaign.breaker import Breaker, BreakerState, is_trunk_side
from autodialer.model import CallOutcome, Cause, Disposition
from tests.campaign.factories import NOW, outcome

CONGESTION = outcome(Disposition.CONGESTION, sip_code=503, sip_reason="Service Unavailable")
BUSY = outcome(Disposition.BUSY, sip_code=486)
AUTH_FAILED = outcome(Disposition.FAILED, cause=Cause.AUTH_FAILED, sip_code=403)


def tripped(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for call in range(5):
        breaker.started(call, now)
        breaker.ended(call, CONGESTION, now)
    return breaker


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (CONGESTION, True),
        (AUTH_FAILED, True),
        (outcome(Disposition.FAILED, cause=Cause.FORBIDDEN, sip_code=403), True),
        (outcome(Disposition.FAILED, cause=Cause.FORBIDDEN, sip_code=402), True),
        (outcome(Disposition.FAILED, cause=Cause.NO_RESPONSE), True),
        (outcome(Disposition.FAILED, cause=Cause.TRANSPORT_ERROR), True),
        (outcome(Disposition.NO_ANSWER, sip_code=408), True),
        (outcome(Disposition.NO_ANSWER, sip_code=408, ringing_at=NOW), False),
        (outcome(Disposition.NO_ANSWER, sip_code=408, q850_cause=102), True),
        (outcome(Disposition.NO_ANSWER, sip_code=408, q850_cause=18), False),
        (outcome(Disposition.NO_ANSWER, sip_code=408, q850_cause=20), False),
        (outcome(Disposition.REJECTED, sip_code=403, q850_cause=21), False),
        (outcome(Disposition.BUSY, sip_code=503, q850_cause=17, retry_after_s=30.0), False),
        (outcome(Disposition.CONGESTION, sip_code=480, q850_cause=34), True),
        (outcome(Disposition.NO_ANSWER, sip_code=487, ringing_at=NOW), False),
        (outcome(Disposition.NO_ANSWER, sip_code=480), False),
        (BUSY, False),
        (outcome(Disposition.FAILED, sip_code=400), False),
        (outcome(Disposition.FAILED, cause=Cause.MEDIA_FAILED, answered_at=NOW), False),
        (outcome(Disposition.ANSWERED, answered_at=NOW), False),
    ],
)
def test_only_the_trunks_own_failures_count(result: CallOutcome, expected: bool) -> None:
    assert is_trunk_side(result) is expected


def test_five_failures_in_a_row_rest_the_trunk_and_say_why() -> None:
    breaker = tripped(now=100.0)
    assert breaker.state is BreakerState.RESTING
    assert breaker.until == 130.0
    assert breaker.cause is not None
    assert "503 Service Unavailable" in breaker.cause
    assert breaker.allowed(129.0) == 0


def test_a_busy_callee_in_between_starts_the_row_anew() -> None:
    breaker = Breaker()
    for call, result in enumerate([CONGESTION] * 4 + [BUSY] + [CONGESTION] * 4):
        breaker.started(call, 0.0)
        breaker.ended(call, result, 0.0)
    assert breaker.state is BreakerState.CLOSED


def test_one_refused_password_rests_the_trunk_at_once() -> None:
    breaker = Breaker()
    breaker.started("a", 0.0)
    assert breaker.ended("a", AUTH_FAILED, 0.0)
    assert breaker.allowed(0.0) == 0
    assert breaker.cause is not None
    assert "password" in breaker.cause


def test_a_retry_after_of_days_is_obeyed_for_an_hour() -> None:
    breaker = Breaker()
    breaker.started("a", 0.0)
    breaker.ended("a", outcome(Disposition.CONGESTION, sip_code=503, retry_after_s=1e9), 10.0)
    assert breaker.allowed(3609.0) == 0
    assert breaker.allowed(3610.0) == 1


def test_retry_after_is_honoured_at_once_and_to_the_second() -> None:
    breaker = Breaker()
    breaker.started("a", 0.0)
    breaker.ended("a", outcome(Disposition.CONGESTION, sip_code=503, retry_after_s=5.0), 10.0)
    assert breaker.allowed(14.9) == 0
    assert breaker.allowed(15.0) == 1


def test_after_the_rest_one_probe_goes_out_and_its_failure_doubles_the_rest_up_to_ten_minutes() -> None:
    breaker, now = tripped(), 0.0
    for rest_s in (30, 60, 120, 240, 480, 600, 600):
        now += rest_s
        assert breaker.allowed(now) == 1
        breaker.started(f"probe {now}", now)
        assert breaker.allowed(now) == 0
        breaker.ended(f"probe {now}", CONGESTION, now)
        assert breaker.state is BreakerState.RESTING
    assert breaker.until == now + 600


def test_a_probe_that_rings_closes_the_breaker_without_waiting_for_its_end() -> None:
    breaker = tripped()
    breaker.allowed(30.0)
    breaker.started("probe", 30.0)
    assert breaker.rang("probe")
    assert breaker.state is BreakerState.CLOSED
    assert breaker.allowed(30.0) is None


@pytest.mark.parametrize(
    "result", [outcome(Disposition.CANCELLED), outcome(Disposition.FAILED, cause=Cause.INTERNAL_ERROR)]
)
def test_a_probe_that_ends_by_our_own_doing_says_nothing_and_another_may_go(result: CallOutcome) -> None:
    breaker = tripped()
    breaker.allowed(30.0)
    breaker.started("probe", 30.0)
    assert not breaker.ended("probe", result, 31.0)
    assert breaker.state is BreakerState.PROBING
    assert breaker.allowed(31.0) == 1


def test_an_old_call_that_ends_during_the_rest_changes_nothing() -> None:
    breaker = tripped()
    breaker.ended("old", BUSY, 1.0)
    assert breaker.state is BreakerState.RESTING


def test_a_trunk_that_has_not_proved_itself_has_at_most_five_calls_in_doubt() -> None:
    breaker = Breaker()
    for call in range(5):
        assert breaker.allowed(0.0) == 5 - call
        breaker.started(call, 0.0)
    assert breaker.allowed(0.0) == 0
    breaker.rang(2)
    assert breaker.allowed(0.0) is None


def test_a_proved_trunk_that_falls_silent_gets_no_new_calls() -> None:
    breaker = Breaker()
    breaker.started("first", 0.0)
    breaker.rang("first")
    for call in range(8):
        breaker.started(call, 10.0)
    assert breaker.allowed(12.0) is None
    assert breaker.allowed(13.5) == 0
    for call in range(4):
        breaker.heard(call)
    assert breaker.allowed(13.5) is None


def test_nothing_is_kept_of_calls_that_ended() -> None:
    breaker = tripped()
    assert not breaker.in_doubt
    assert not breaker.unheard
