"""Every end of a call that is our own doing says why in a sentence."""

from collections.abc import Callable

import pytest

from autodialer.sip.events import CallEnded, CallFailed
from autodialer.sip.own_end import OwnEnd
from tests.sip.stepping import Sent, Steps
from tests.sip.test_session import OFFER, answered, ask, sdp

REFRESHED_BY_US = ("Session-Expires: 90;refresher=uac", "Allow: INVITE, UPDATE, BYE")
NO_SOUND = sdp("m=audio 0 RTP/AVP 8\r\n")


def refresh(steps: Steps) -> Sent:
    """The UPDATE that is due at half the interval."""
    answered(steps, *REFRESHED_BY_US)
    return steps.advance(45.0)[-1]


def not_refreshed(steps: Steps) -> None:
    answered(steps, "Session-Expires: 90;refresher=uas")
    steps.advance(90.0)


def refresh_refused(steps: Steps) -> None:
    (again,) = steps.reply(refresh(steps), "500 Server Internal Error")
    steps.reply(again, "500 Server Internal Error")
    steps.advance(20.0)


def refresh_unanswered(steps: Steps) -> None:
    refresh(steps)
    steps.advance(45.0)


def dialog_unknown(steps: Steps) -> None:
    steps.reply(refresh(steps), "481 No Such Call")


def dialog_unknown_to_a_transfer(steps: Steps) -> None:
    answered(steps)
    steps.core.refer("call-1", "sip:2@x", steps.now)
    refer = steps.take_one()
    steps.reply(refer, "481 No Such Call")


def not_acknowledged(steps: Steps) -> None:
    ack = answered(steps)
    steps.receive(ask(ack, "INVITE", 1, sdp()))
    steps.advance(40.0)


def media_unusable(steps: Steps) -> None:
    ack = answered(steps)
    steps.receive(ask(ack, "INVITE", 1))
    steps.receive(ask(ack, "ACK", 1, NO_SOUND))


def ring_timeout(steps: Steps) -> None:
    invite = steps.invite(sdp=OFFER, ring_timeout_s=20.0)
    steps.reply(invite, "180 Ringing")
    cancel = steps.advance(20.0)[-1]
    steps.reply(cancel, "200 OK")
    steps.reply(invite, "487 Request Terminated")


def shutdown_in_talk(steps: Steps) -> None:
    answered(steps)
    steps.core.shutdown(steps.now)
    steps.take()


def shutdown_before_the_answer(steps: Steps) -> None:
    invite = steps.invite(sdp=OFFER)
    steps.reply(invite, "180 Ringing")
    steps.core.shutdown(steps.now)
    steps.take()
    steps.reply(invite, "487 Request Terminated")


CASES: list[tuple[OwnEnd, Callable[[Steps], None], str]] = [
    (OwnEnd.NOT_REFRESHED, not_refreshed, ""),
    (OwnEnd.REFRESH_REFUSED, refresh_refused, "500 Server Internal Error"),
    (OwnEnd.REFRESH_UNANSWERED, refresh_unanswered, ""),
    (OwnEnd.DIALOG_UNKNOWN, dialog_unknown, "481 No Such Call"),
    (OwnEnd.DIALOG_UNKNOWN, dialog_unknown_to_a_transfer, "481 No Such Call"),
    (OwnEnd.NOT_ACKNOWLEDGED, not_acknowledged, ""),
    (OwnEnd.MEDIA_UNUSABLE, media_unusable, "the callee refused the audio stream (port 0)"),
    (OwnEnd.RING_TIMEOUT, ring_timeout, "20"),
    (OwnEnd.SHUTDOWN, shutdown_in_talk, ""),
    (OwnEnd.SHUTDOWN, shutdown_before_the_answer, ""),
]


@pytest.mark.parametrize(("reason", "happens", "said"), CASES, ids=[case[1].__name__ for case in CASES])
def test_our_own_end_says_why(reason: OwnEnd, happens: Callable[[Steps], None], said: str) -> None:
    steps = Steps()
    happens(steps)
    assert isinstance(steps.last, CallEnded | CallFailed)
    assert steps.last.message == reason.format(said)


def test_every_reason_of_the_core_is_met_above() -> None:
    assert {case[0] for case in CASES} == set(OwnEnd)


def test_the_first_reason_counts() -> None:
    steps = Steps()
    answered(steps)
    steps.core.bye("call-1", steps.now, reason="The first.")
    steps.core.bye("call-1", steps.now, reason="The second.")
    steps.take()
    assert isinstance(steps.last, CallEnded) and steps.last.message == "The first."


@pytest.mark.parametrize("status", ["500 Server Internal Error", "503 Service Unavailable", "488 Not Here", "403 No"])
def test_a_refused_refresh_is_tried_again_as_a_re_invite_and_then_by_re_invites(status: str) -> None:
    steps = Steps()
    update = refresh(steps)
    assert update.method == "UPDATE"
    (again,) = steps.reply(update, status)
    assert again.method == "INVITE" and again["Session-Expires"] == "90;refresher=uac" and again.body == OFFER
    (ack,) = steps.reply(again, "200 OK", body=sdp(), headers=("Session-Expires: 90;refresher=uac",))
    assert ack.method == "ACK"
    later = steps.advance(45.0)[-1]
    assert later.method == "INVITE" and later["CSeq"] == "4 INVITE"
    assert "CallEnded" not in steps.names


def test_a_re_invite_that_is_refused_for_now_is_tried_again_after_ten_seconds_and_after_a_retry_after() -> None:
    steps = Steps()
    (first,) = steps.reply(refresh(steps), "500 Server Internal Error")
    steps.reply(first, "500 Server Internal Error")
    second = steps.advance(10.0)[-1]
    assert (second.method, second.at - first.at) == ("INVITE", 10.0)
    steps.reply(second, "500 Server Internal Error", headers=("Retry-After: 3",))
    third = steps.advance(3.0)[-1]
    assert (third.method, third.at - second.at) == ("INVITE", 3.0)
    steps.reply(third, "200 OK", body=sdp(), headers=("Session-Expires: 90;refresher=uac",))
    steps.advance(30.0)
    assert "CallEnded" not in steps.names
