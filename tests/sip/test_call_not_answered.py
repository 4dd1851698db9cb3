"""Calls that are not answered: finals, silence, ring timeout, CANCEL and its races."""

import pytest

from autodialer.sip.events import CallFailed, FailureKind
from tests.sip.stepping import ANSWER, GATEWAY, Steps, in_dialog


@pytest.fixture
def steps() -> Steps:
    return Steps()


def failure(steps: Steps) -> CallFailed:
    assert isinstance(steps.last, CallFailed)
    return steps.last


@pytest.mark.parametrize("rings", [False, True])
@pytest.mark.parametrize("code", [300, 302, 402, 403, 404, 408, 480, 484, 486, 488, 500, 503, 600, 603, 604, 606, 607])
def test_every_final_gets_one_ack_a_copy_on_the_same_branch(steps: Steps, code: int, rings: bool) -> None:
    invite = steps.invite()
    if rings:
        steps.reply(invite, "180 Ringing")
    (ack,) = steps.reply(invite, f"{code} No", contact="<sip:else@192.0.2.50>")
    assert ack.start_line == f"ACK {invite.uri} SIP/2.0"
    assert ack["Via"] == invite["Via"]
    assert ack["To"] == invite["To"] + ";tag=callee"
    assert (ack["From"], ack["CSeq"], ack["Max-Forwards"], ack.to) == (invite["From"], "1 ACK", "70", GATEWAY)
    assert ack["Content-Length"] == "0" and not ack.body
    steps.advance(31.0)
    (again,) = steps.reply(invite, f"{code} No", contact="<sip:else@192.0.2.50>")
    assert again.data == ack.data
    assert failure(steps).kind is FailureKind.FINAL
    assert (failure(steps).code, failure(steps).reason, failure(steps).saw_18x) == (code, "No", rings)
    assert not failure(steps).cancelled
    assert steps.advance(60.0) == []
    steps.finish()


def test_reason_and_retry_after_are_read(steps: Steps) -> None:
    headers = ('Reason: Q.850 ;cause=34;text="no circuit, sorry"', "Retry-After: 5 (soon);duration=3600")
    steps.reply(steps.invite(), "503 Full", headers=headers)
    assert (failure(steps).reason_cause, failure(steps).retry_after_s) == (34, 5.0)


def test_a_lost_invite_is_sent_again_byte_for_byte(steps: Steps) -> None:
    invite = steps.invite()
    again = steps.advance(2.0)
    assert [(sent.at - 100, sent.data, sent.to) for sent in again] == [
        (0.5, invite.data, GATEWAY),
        (1.5, invite.data, GATEWAY),
    ]
    assert steps.reply(invite, "100 Trying", tag=None) == []
    assert steps.advance(20.0) == []


def test_a_silent_gateway_is_retried_with_doubling_interval_then_times_out(steps: Steps) -> None:
    steps.invite()
    assert [sent.at - 100 for sent in steps.advance(100.0)] == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert failure(steps).kind is FailureKind.TIMEOUT and failure(steps).at == 132.0
    assert failure(steps).code is None and failure(steps).message
    steps.finish()


def test_an_unreachable_port_fails_at_once_unless_something_came_from_there(steps: Steps) -> None:
    steps.invite()
    ringing = steps.invite(call_id="ringing")
    steps.reply(ringing, "100 Trying")
    elsewhere = steps.invite(call_id="elsewhere", next_hop=("192.0.2.9", 5999))
    assert elsewhere.to == ("192.0.2.9", 5999)
    steps.core.transport_error(GATEWAY, steps.now)
    assert steps.take() == []
    assert failure(steps).call_id == "call-1" and failure(steps).kind is FailureKind.TRANSPORT
    assert steps.names == ["HopFailed", "CallFailed"]


def cancelled_after(steps: Steps, seconds: float) -> None:
    """Assert that the CANCEL leaves exactly `seconds` from now."""
    assert steps.advance(seconds - 0.001) == []
    (cancel,) = steps.advance(0.001)
    assert cancel.method == "CANCEL"


def test_the_ring_timeout_counts_from_the_first_18x(steps: Steps) -> None:
    invite = steps.invite()
    steps.reply(invite, "100 Trying", tag=None)
    steps.advance(30.0)
    steps.reply(invite, "183 Session Progress")
    steps.advance(20.0)
    steps.reply(invite, "180 Ringing")
    cancelled_after(steps, 20.0)


def test_without_an_18x_the_ring_timeout_counts_from_the_100(steps: Steps) -> None:
    invite = steps.invite()
    steps.advance(1.0)
    invite_again = steps.reply(invite, "100 Trying", tag=None)
    assert invite_again == []
    steps.advance(5.0)
    steps.reply(invite, "100 Trying", tag=None)
    cancelled_after(steps, 35.0)


def test_a_ringing_call_is_not_ended_by_timer_b(steps: Steps) -> None:
    invite = steps.invite(ring_timeout_s=300.0)
    steps.reply(invite, "180 Ringing")
    assert steps.advance(299.0) == []
    steps.answer(invite)
    assert steps.names == ["CallAnswered"]


def test_the_cancel_is_of_the_invites_transaction_and_the_487_is_acknowledged(steps: Steps) -> None:
    invite = steps.invite()
    steps.reply(invite, "180 Ringing")
    (cancel,) = steps.advance(40.0)
    assert cancel.start_line == f"CANCEL {invite.uri} SIP/2.0"
    assert cancel["Via"] == invite["Via"] and cancel["CSeq"] == "1 CANCEL"
    assert (cancel["From"], cancel["To"], cancel["Call-ID"]) == (invite["From"], invite["To"], invite["Call-ID"])
    assert cancel.to == GATEWAY and cancel["Max-Forwards"] == "70"
    assert steps.reply(cancel, "200 OK") == []
    assert steps.names == []
    (ack,) = steps.reply(invite, "487 Request Terminated")
    assert ack.method == "ACK" and ack.branch == invite.branch
    assert failure(steps).kind is FailureKind.RING_TIMEOUT and failure(steps).cancelled and failure(steps).saw_18x
    assert failure(steps).code == 487
    steps.finish()


def test_an_operators_cancel_says_so(steps: Steps) -> None:
    invite = steps.invite()
    steps.reply(invite, "180 Ringing")
    steps.core.cancel("call-1", steps.now, reason="the campaign was stopped")
    cancel = steps.take_one()
    steps.core.cancel("call-1", steps.now)
    assert steps.take() == []
    steps.reply(cancel, "200 OK")
    steps.reply(invite, "487 Request Terminated")
    assert failure(steps).kind is FailureKind.CANCELLED and failure(steps).message == "the campaign was stopped"
    steps.finish()


def test_no_cancel_leaves_before_a_provisional_response(steps: Steps) -> None:
    invite = steps.invite()
    steps.core.hang_up("call-1", steps.now)
    assert {sent.method for sent in steps.advance(3.0)} == {"INVITE"}
    (cancel,) = steps.reply(invite, "180 Ringing")
    assert cancel.method == "CANCEL"
    assert steps.reply(invite, "180 Ringing") == []
    steps.reply(cancel, "200 OK")
    steps.reply(invite, "487 Request Terminated")
    assert failure(steps).kind is FailureKind.CANCELLED and failure(steps).saw_18x
    steps.finish()


def test_a_wanted_cancel_of_a_silent_gateway_ends_with_timer_b(steps: Steps) -> None:
    steps.invite()
    steps.core.cancel("call-1", steps.now)
    assert {sent.method for sent in steps.advance(32.0)} == {"INVITE"}
    assert failure(steps).kind is FailureKind.CANCELLED and failure(steps).code is None
    steps.finish()


@pytest.mark.parametrize("status", ["486 Busy", "401 Unauthorized"])
def test_a_final_before_the_wanted_cancel_could_leave_ends_the_call(steps: Steps, status: str) -> None:
    invite = steps.invite(credentials=("u", "p"))
    steps.core.cancel("call-1", steps.now)
    challenge = ('WWW-Authenticate: Digest realm="r", nonce="n"',)
    (ack,) = steps.reply(invite, status, headers=challenge)
    assert ack.method == "ACK"
    assert failure(steps).kind is FailureKind.CANCELLED and failure(steps).code == int(status[:3])
    steps.finish()


@pytest.mark.parametrize("by_operator", [False, True])
def test_a_200_that_crosses_the_cancel_is_acknowledged_and_hung_up(steps: Steps, by_operator: bool) -> None:
    invite = steps.invite()
    steps.reply(invite, "180 Ringing")
    if by_operator:
        steps.core.cancel("call-1", steps.now)
        cancel = steps.take_one()
    else:
        (cancel,) = steps.advance(40.0)
    steps.reply(cancel, "200 OK")
    ack, bye = steps.reply(invite, "200 OK", body=ANSWER)
    assert (ack.method, bye.method) == ("ACK", "BYE")
    assert ack.uri == bye.uri == "sip:callee@192.0.2.77:5070"
    assert bye["CSeq"] == "2 BYE"
    assert failure(steps).kind is (FailureKind.CANCELLED if by_operator else FailureKind.RING_TIMEOUT)
    assert failure(steps).code == 200
    assert steps.reply(invite, "200 OK", body=ANSWER)[0].data == ack.data
    steps.reply(bye, "200 OK")
    assert steps.names == ["CallFailed"]
    steps.finish()


def test_a_200_before_the_wanted_cancel_could_leave_is_acknowledged_and_hung_up(steps: Steps) -> None:
    invite = steps.invite()
    steps.core.cancel("call-1", steps.now)
    ack, bye = steps.reply(invite, "200 OK", body=ANSWER)
    assert (ack.method, bye.method) == ("ACK", "BYE")
    steps.reply(bye, "200 OK")
    assert failure(steps).kind is FailureKind.CANCELLED
    steps.finish()


def test_an_invite_that_stays_open_after_the_cancel_is_given_up_after_64_t1(steps: Steps) -> None:
    invite = steps.invite()
    steps.reply(invite, "180 Ringing")
    (cancel,) = steps.advance(40.0)
    steps.reply(cancel, "200 OK")
    steps.advance(31.9)
    assert steps.names == []
    steps.advance(0.1)
    assert failure(steps).kind is FailureKind.RING_TIMEOUT and failure(steps).code is None
    steps.finish()


def test_a_cancel_after_the_answer_does_nothing_and_a_bye_before_it_neither(steps: Steps) -> None:
    invite = steps.invite()
    steps.core.bye("call-1", steps.now)
    assert steps.take() == []
    steps.answer(invite)
    steps.core.cancel("call-1", steps.now)
    assert steps.take() == []
    steps.core.hang_up("call-1", steps.now)
    assert steps.take_one().method == "BYE"


def test_after_a_failed_call_a_late_200_of_another_branch_is_stray(steps: Steps) -> None:
    invite = steps.invite()
    ack = steps.reply(invite, "486 Busy")[0]
    assert steps.reply(invite, "200 OK", body=ANSWER) == []
    assert steps.receive(in_dialog(ack, "BYE"))[0].code == 481
    steps.finish()
