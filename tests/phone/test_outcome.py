"""What the record says of a call, from the events it met."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from autodialer.media.shell import SessionStats
from autodialer.model import CallOutcome, Cause, DigitTime, DigitVia, Disposition, EndedBy
from autodialer.phone.keys import PressedKeys
from autodialer.phone.outcome import CallTimes, make_outcome
from autodialer.sip import events
from autodialer.sip.events import CallAnswered, CallEnded, CallFailed, FailureKind
from autodialer.sip.sdp import AnswerFault, UnusableAnswer

T0 = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
FAILED = CallFailed(
    call_id="c",
    at=105.0,
    kind=FailureKind.FINAL,
    code=486,
    reason="Busy Here",
    cancelled=False,
    saw_18x=True,
    reason_cause=17,
    retry_after_s=None,
    message=None,
)
ANSWER = CallAnswered(call_id="c", at=103.0, code=200, reason="OK", sdp=b"")
ENDED = CallEnded(call_id="c", at=113.0, by=events.EndedBy.CALLEE, reason_cause=16)
STATS = SessionStats(sent=400, received=390, lost=3, jitter_ms=1.5, played_frames=400)


def outcome(**changes: Any) -> CallOutcome:
    values: dict[str, Any] = {
        "event": FAILED,
        "times": CallTimes(invited=100.0, invited_at=T0, rang=101.5),
        "answer": None,
        "unusable": None,
        "stats": None,
        "sound_s": 9.0,
        "keys": PressedKeys(),
        "media_died": False,
        "broken": False,
    }
    return make_outcome(**(values | changes))


def answered(**changes: Any) -> CallOutcome:
    times = CallTimes(invited=100.0, invited_at=T0, rang=101.5, answered=103.0)
    return outcome(**({"event": ENDED, "times": times, "answer": ANSWER, "stats": STATS} | changes))


def test_a_busy_call_keeps_code_reason_cause_and_times() -> None:
    result = outcome()
    assert result.disposition is Disposition.BUSY
    assert (result.sip_code, result.sip_reason, result.q850_cause) == (486, "Busy Here", 17)
    assert result.ringing_at == T0 + timedelta(seconds=1.5)
    assert (result.pdd_s, result.duration_s, result.billsec_s) == (1.5, 5.0, 0.0)
    assert result.answered_at is None
    assert result.ended_by is None
    assert result.rtp is None


def test_an_answered_call_says_how_much_was_heard_and_who_hung_up() -> None:
    keys = PressedKeys()
    keys.take("1", 104.5, DigitVia.RTP)
    result = answered(keys=keys)
    assert result.disposition is Disposition.ANSWERED
    assert (result.played_s, result.played_share) == (8.0, 0.8889)
    assert (result.duration_s, result.billsec_s) == (13.0, 10.0)
    assert result.ended_by is EndedBy.CALLEE
    assert result.digits == "1"
    assert result.digit_times == (DigitTime(digit="1", at_s=1.5, via=DigitVia.RTP),)
    assert result.sip_code == 200
    assert result.rtp is not None
    assert (result.rtp.sent, result.rtp.lost, result.rtp.one_way_audio) == (400, 3, False)


def test_the_padding_of_the_last_packet_does_not_count_as_played() -> None:
    result = answered(stats=replace(STATS, played_frames=451))
    assert (result.played_s, result.played_share) == (9.0, 1.0)


def test_an_answered_call_without_any_packet_back_is_flagged() -> None:
    result = answered(stats=replace(STATS, received=0, lost=None, jitter_ms=None))
    assert result.rtp is not None
    assert result.rtp.one_way_audio
    assert result.rtp.lost is None


@pytest.mark.parametrize(
    ("kind", "code", "disposition", "cause"),
    [
        (FailureKind.AUTH, 407, Disposition.FAILED, Cause.AUTH_FAILED),
        (FailureKind.TIMEOUT, None, Disposition.FAILED, Cause.NO_RESPONSE),
        (FailureKind.TRANSPORT, None, Disposition.FAILED, Cause.TRANSPORT_ERROR),
        (FailureKind.RING_TIMEOUT, 487, Disposition.NO_ANSWER, None),
        (FailureKind.RING_TIMEOUT, 200, Disposition.NO_ANSWER, None),
        (FailureKind.CANCELLED, 487, Disposition.CANCELLED, None),
        (FailureKind.CANCELLED, 200, Disposition.CANCELLED, None),
        (FailureKind.FINAL, 487, Disposition.FAILED, None),
        (FailureKind.FINAL, 503, Disposition.CONGESTION, None),
    ],
)
def test_the_disposition_follows_why_the_call_ended(
    kind: FailureKind, code: int | None, disposition: Disposition, cause: Cause | None
) -> None:
    result = outcome(event=replace(FAILED, kind=kind, code=code, reason_cause=None))
    assert (result.disposition, result.cause) == (disposition, cause)


@pytest.mark.parametrize(
    ("code", "q850_cause", "cause"),
    [(503, 34, Cause.TRUNK_LIMIT), (503, 44, Cause.TRUNK_LIMIT), (503, 41, None), (503, None, None), (486, 34, None)],
)
def test_a_gateway_without_a_free_channel_says_so_by_its_q850_cause(
    code: int, q850_cause: int | None, cause: Cause | None
) -> None:
    assert outcome(event=replace(FAILED, code=code, reason_cause=q850_cause)).cause is cause


def test_an_answer_without_usable_media_failed_though_the_phone_was_picked_up() -> None:
    fault = UnusableAnswer(reason=AnswerFault.REFUSED, message="the callee refused the audio stream (port 0)")
    result = answered(unusable=fault, stats=SessionStats())
    assert (result.disposition, result.cause) == (Disposition.FAILED, Cause.MEDIA_FAILED)
    assert result.answered_at is not None
    assert result.message == fault.message
    assert result.rtp is None


def test_a_call_whose_media_process_died_stays_answered_with_what_was_played_so_far() -> None:
    result = answered(media_died=True, stats=SessionStats(sent=100, played_frames=100))
    assert (result.disposition, result.cause) == (Disposition.ANSWERED, Cause.MEDIA_FAILED)
    assert result.played_s == 2.0


def test_a_call_that_an_error_of_ours_ended_says_so_whatever_the_peer_said_to_it() -> None:
    for result in (outcome(broken=True), answered(broken=True)):
        assert (result.disposition, result.cause) == (Disposition.FAILED, Cause.INTERNAL_ERROR)
        assert result.message is not None and "the log" in result.message
    assert answered(broken=True).answered_at is not None
