"""An error of ours in the handling of one call: it is hung up and ends once, and no other call notices."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from autodialer.sip import call as sip_call
from autodialer.sip.auth import Authenticator
from autodialer.sip.call import Call
from autodialer.sip.events import CallEnded, CallFailed
from autodialer.sip.hop import Hop
from autodialer.sip.offer_answer import LocalMedia
from autodialer.sip.session import Session
from autodialer.sip.transaction import InviteClient
from tests.sip.stepping import ANSWER, GATEWAY, Steps, in_dialog


class Oops(Exception):
    """What nobody expected."""


def failing(times: int = 1, *, then: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """Raises so many times, and does what it should afterwards."""
    left = [times]

    def fail(*args: Any, **options: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise Oops
        return then(*args, **options) if then is not None else None

    return fail


@pytest.fixture
def steps() -> Steps:
    return Steps()


def test_an_error_in_taking_a_provisional_response_cancels_the_call(
    steps: Steps, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sip_call, "extract_sdp", failing(then=sip_call.extract_sdp))
    invite = steps.invite()
    (cancel,) = steps.reply(invite, "180 Ringing")
    assert cancel.method == "CANCEL"
    steps.reply(cancel, "200 OK")
    steps.reply(invite, "487 Request Terminated")
    assert steps.names == ["CallBroken", "CallFailed"]
    assert [record.levelno for record in caplog.records if "call-1" in record.getMessage()][:1] == [logging.ERROR]
    steps.finish()


def test_an_error_in_taking_the_answer_hangs_up(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalMedia, "take_answer", failing(then=LocalMedia.take_answer))
    sent = steps.reply(steps.invite(), "200 OK", body=ANSWER)
    assert [one.method for one in sent] == ["ACK", "BYE"]
    assert steps.names == ["CallAnswered", "CallBroken", "CallEnded"]
    steps.reply(sent[1], "200 OK")
    steps.finish()


def test_an_error_in_answering_a_challenge_ends_the_call(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Authenticator, "learn", failing(then=Authenticator.learn))
    steps.reply(steps.invite(), "401 Unauthorized")
    assert steps.names == ["CallBroken", "CallFailed"]  # no response can come now
    steps.finish()


def test_an_error_in_a_request_of_the_callee_hangs_up(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    ack = steps.answer(steps.invite())
    monkeypatch.setattr(Session, "reply_to", failing())
    refusal, bye = steps.receive(in_dialog(ack, "UPDATE"), ("192.0.2.77", 5070))
    assert refusal.code == 500 and bye.method == "BYE"
    assert steps.names == ["CallAnswered", "CallBroken", "CallEnded"]
    steps.reply(bye, "200 OK")
    steps.finish()


def test_an_error_in_a_timer_ends_its_call_and_the_others_keep_theirs(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = steps.invite(ring_timeout_s=5.0)
    second = steps.invite(ring_timeout_s=5.0, call_id="call-2")
    for invite in (first, second):
        steps.reply(invite, "180 Ringing")
    monkeypatch.setattr(sip_call, "NonInviteClient", failing(then=sip_call.NonInviteClient))
    cancels = steps.advance(5.0)
    assert [cancel["Call-ID"] for cancel in cancels] == ["call-2"]
    steps.advance(40.0)  # 64*T1: neither is answered
    ends = {event.call_id: event for event in steps.events if isinstance(event, CallFailed)}
    assert set(ends) == {"call-1", "call-2"}
    assert [event.call_id for event in steps.events if type(event).__name__ == "CallBroken"] == ["call-1"]


def test_an_error_at_an_unreachable_host_ends_its_call_and_the_others_are_told_too(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps.invite()
    steps.invite(call_id="call-2")
    real = Call.on_no_response
    monkeypatch.setattr(Call, "on_no_response", failing(then=real))
    steps.core.transport_error(Hop(*GATEWAY), steps.now)
    steps.take()
    assert "call-2" in {event.call_id for event in steps.events if isinstance(event, CallFailed)}
    steps.core.break_off("call-1", steps.now)
    steps.take()
    assert {event.call_id for event in steps.events if isinstance(event, CallFailed)} == {"call-1", "call-2"}


def test_an_error_in_hanging_up_too_ends_the_call_without_the_peer(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    ack = steps.answer(steps.invite())
    monkeypatch.setattr(Session, "reply_to", failing())
    monkeypatch.setattr(sip_call, "NonInviteClient", failing(5))
    steps.receive(in_dialog(ack, "UPDATE"), ("192.0.2.77", 5070))
    assert steps.names == ["CallAnswered", "CallBroken", "CallEnded"]
    assert isinstance(steps.last, CallEnded) and steps.core.live_calls == 0
    steps.advance(100.0)
    assert steps.names == ["CallAnswered", "CallBroken", "CallEnded"] and steps.core.remembered == 0


def test_a_second_error_ends_the_call_at_once(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sip_call, "extract_sdp", failing(2))
    invite = steps.invite()
    steps.reply(invite, "180 Ringing")
    steps.reply(invite, "183 Session Progress")
    assert steps.names == ["CallBroken", "CallFailed"] and steps.core.live_calls == 0
    assert not steps.core.has_packets
    steps.advance(100.0)
    assert steps.names == ["CallBroken", "CallFailed"]


def test_an_error_in_sending_the_invite_reaches_the_owner_and_leaves_nothing_behind(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InviteClient, "begin", failing())
    with pytest.raises(Oops):
        steps.invite()
    steps.core.drop("call-1", steps.now)
    steps.take()
    assert steps.names == ["CallFailed"] and steps.core.remembered == 0
