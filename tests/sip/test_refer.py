"""Transfers: REFER in an answered call and what NOTIFY tells of it, with a clock that the test moves."""

import itertools

import pytest

from autodialer.sip.events import CallEnded, EndedBy, TransferEnd, TransferEnded
from autodialer.sip.refer import GIVE_UP_S
from tests.sip.stepping import Sent, Steps, early, in_dialog

TARGET = "sip:74951234567@192.0.2.9"
CHALLENGE = ('WWW-Authenticate: Digest realm="r", nonce="n1", algorithm=MD5, qop="auth"',)
NUMBERS = itertools.count(10)


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def ack(steps: Steps) -> Sent:
    return steps.answer(steps.invite(credentials=("user", "secret")))


def refer(steps: Steps) -> Sent:
    steps.core.refer("call-1", TARGET, steps.now)
    return steps.take_one()


def notify(ack: Sent, status: str | None, *, event: str = "refer", state: str = "active;expires=60") -> str:
    number = next(NUMBERS)
    body = f"SIP/2.0 {status}\r\n" if status else ""
    headers = (
        f"Event: {event}",
        f"Subscription-State: {state}",
        "Contact: <sip:c@192.0.2.77:5070>",
        *(("Content-Type: message/sipfrag;version=2.0",) if body else ()),
    )
    text = in_dialog(ack, "NOTIFY", number, branch=f"z9hG4bKnotify{number}", headers=headers)
    return text.replace("Content-Length: 0", f"Content-Length: {len(body)}") + body


def ends(steps: Steps) -> list[tuple[TransferEnd, int | None]]:
    return [(event.how, event.code) for event in steps.events if isinstance(event, TransferEnded)]


def code_of(steps: Steps, message: str) -> int:
    (answer,) = steps.receive(message)
    return answer.code


def test_a_refer_names_whom_to_call_and_who_wants_it(steps: Steps, ack: Sent) -> None:
    sent = refer(steps)
    assert (sent.method, sent.uri, sent.to) == ("REFER", "sip:callee@192.0.2.77:5070", ("192.0.2.77", 5070))
    assert (sent["Refer-To"], sent["Referred-By"]) == (f"<{TARGET}>", "<sip:100@192.0.2.1>")
    assert (sent["From"], sent["To"], sent["Call-ID"]) == (ack["From"], ack["To"], ack["Call-ID"])
    assert int(sent["CSeq"].split()[0]) == int(ack["CSeq"].split()[0]) + 1
    assert sent["Contact"] == "<sip:192.0.2.1:5060>"
    assert sent["Content-Length"] == "0"


def test_an_accepted_transfer_is_told_once_and_what_comes_after_gets_481(steps: Steps, ack: Sent) -> None:
    sent = refer(steps)
    assert steps.reply(sent, "202 Accepted") == []
    assert code_of(steps, notify(ack, "100 Trying")) == 200
    assert code_of(steps, notify(ack, "180 Ringing")) == 200
    assert ends(steps) == []
    assert code_of(steps, notify(ack, "200 OK", state="terminated;reason=noresource")) == 200
    assert code_of(steps, notify(ack, "200 OK", state="terminated;reason=noresource")) == 481
    assert ends(steps) == [(TransferEnd.ACCEPTED, 200)]
    assert "CallEnded" not in steps.names
    steps.core.bye("call-1", steps.now)
    assert steps.take_one().method == "BYE"
    steps.finish()
    assert ends(steps) == [(TransferEnd.ACCEPTED, 200)]


@pytest.mark.parametrize("status", ["400 Bad Request", "405 Method Not Allowed", "503 No", "603 Decline", "302 Moved"])
def test_a_refer_that_is_refused_leaves_the_call_up(steps: Steps, ack: Sent, status: str) -> None:
    steps.reply(refer(steps), status)
    assert ends(steps) == [(TransferEnd.REFUSED, int(status[:3]))]
    assert "CallEnded" not in steps.names
    assert code_of(steps, notify(ack, "200 OK")) == 481
    # and the next one may fare better
    steps.reply(refer(steps), "202 Accepted")
    assert code_of(steps, notify(ack, "200 OK")) == 200
    assert ends(steps)[1:] == [(TransferEnd.ACCEPTED, 200)]


@pytest.mark.parametrize("status", ["486 Busy Here", "300 Multiple Choices", "603 Decline"])
def test_a_transfer_that_nobody_answers_is_refused(steps: Steps, ack: Sent, status: str) -> None:
    steps.reply(refer(steps), "202 Accepted")
    assert code_of(steps, notify(ack, status, state="terminated;reason=noresource")) == 200
    assert ends(steps) == [(TransferEnd.REFUSED, int(status[:3]))]


def test_a_silent_peer_has_a_minute(steps: Steps, ack: Sent) -> None:
    steps.reply(refer(steps), "202 Accepted")
    code_of(steps, notify(ack, "180 Ringing"))
    steps.advance(GIVE_UP_S - 0.1)
    assert ends(steps) == []
    steps.advance(0.2)
    assert ends(steps) == [(TransferEnd.TIMEOUT, 180)]
    assert code_of(steps, notify(ack, "200 OK")) == 481


def test_a_refer_without_an_answer_is_sent_again_and_times_out_without_a_code(steps: Steps, ack: Sent) -> None:
    first = refer(steps)
    assert [sent.data for sent in steps.advance(4.0)] == [first.data] * 3
    steps.advance(32.0)
    assert ends(steps) == [(TransferEnd.TIMEOUT, None)]


def test_a_notify_may_overtake_the_202(steps: Steps, ack: Sent) -> None:
    sent = refer(steps)
    assert code_of(steps, notify(ack, "200 OK", state="terminated")) == 200
    assert ends(steps) == [(TransferEnd.ACCEPTED, 200)]
    assert steps.reply(sent, "202 Accepted") == []
    assert len(ends(steps)) == 1


def test_a_challenged_refer_is_sent_again_with_credentials(steps: Steps, ack: Sent) -> None:
    first = refer(steps)
    (second,) = steps.reply(first, "401 Unauthorized", headers=CHALLENGE)
    assert second["Authorization"].startswith('Digest username="user"')
    assert int(second["CSeq"].split()[0]) == int(first["CSeq"].split()[0]) + 1
    steps.reply(second, "202 Accepted")
    assert code_of(steps, notify(ack, "200 OK", event=f"refer;id={second['CSeq'].split()[0]}")) == 200
    assert ends(steps) == [(TransferEnd.ACCEPTED, 200)]


def test_a_challenge_that_does_not_end_is_a_refusal(steps: Steps, ack: Sent) -> None:
    (second,) = steps.reply(refer(steps), "401 Unauthorized", headers=CHALLENGE)
    assert steps.reply(second, "401 Unauthorized", headers=CHALLENGE) == []
    assert ends(steps) == [(TransferEnd.REFUSED, 401)]


def test_the_subscription_of_another_refer_is_unknown(steps: Steps, ack: Sent) -> None:
    steps.reply(refer(steps), "202 Accepted")
    assert code_of(steps, notify(ack, "200 OK", event="refer;id=4711")) == 481
    assert ends(steps) == []


def test_a_subscription_that_ends_without_a_result_ends_the_transfer_unknown(steps: Steps, ack: Sent) -> None:
    steps.reply(refer(steps), "202 Accepted")
    assert code_of(steps, notify(ack, None, state="terminated;reason=giveup")) == 200
    assert ends(steps) == [(TransferEnd.UNKNOWN, 202)]


@pytest.mark.parametrize("told", [(), ("100 Trying",), ("100 Trying", "180 Ringing")])
def test_a_callee_that_hangs_up_after_its_202_has_taken_the_transfer(
    steps: Steps, ack: Sent, told: tuple[str, ...]
) -> None:
    steps.reply(refer(steps), "202 Accepted")
    for status in told:
        assert code_of(steps, notify(ack, status)) == 200
    assert code_of(steps, in_dialog(ack, "BYE", 999)) == 200
    last = int(told[-1][:3]) if told else 202
    assert ends(steps) == [(TransferEnd.ACCEPTED, last)]
    assert isinstance(steps.last, CallEnded) and steps.last.by is EndedBy.CALLEE
    assert code_of(steps, notify(ack, "200 OK")) == 481
    steps.finish()


@pytest.mark.parametrize("told", ["486 Busy Here", "603 Decline"])
def test_a_callee_that_hangs_up_after_a_failure_was_told_has_taken_none(steps: Steps, ack: Sent, told: str) -> None:
    steps.reply(refer(steps), "202 Accepted")
    assert code_of(steps, notify(ack, told)) == 200
    assert code_of(steps, in_dialog(ack, "BYE", 999)) == 200
    assert ends(steps) == [(TransferEnd.REFUSED, int(told[:3]))]


def test_a_callee_that_hangs_up_before_its_202_ends_the_transfer_unknown_and_then_the_call(
    steps: Steps, ack: Sent
) -> None:
    refer(steps)
    assert code_of(steps, in_dialog(ack, "BYE", 999)) == 200
    assert ends(steps) == [(TransferEnd.UNKNOWN, None)]
    assert isinstance(steps.last, CallEnded) and steps.last.by is EndedBy.CALLEE
    assert code_of(steps, notify(ack, "200 OK")) == 481
    steps.finish()


def test_a_peer_that_knows_no_such_call_any_more_is_hung_up(steps: Steps, ack: Sent) -> None:
    (bye,) = steps.reply(refer(steps), "481 Call/Transaction Does Not Exist")
    assert bye.method == "BYE"
    assert ends(steps) == [(TransferEnd.REFUSED, 481)]
    steps.finish()


def test_there_is_one_transfer_at_a_time_and_none_before_the_answer(steps: Steps) -> None:
    invite = steps.invite()
    steps.core.refer("call-1", TARGET, steps.now)
    steps.core.refer("no-such-call", TARGET, steps.now)
    assert steps.take() == []
    steps.reply(invite, "180 Ringing")
    assert code_of(steps, notify(early(invite, "callee"), "200 OK")) == 481
    steps.answer(invite)
    refer(steps)
    steps.core.refer("call-1", TARGET, steps.now)
    assert steps.take() == []
    steps.core.bye("call-1", steps.now)
    steps.core.refer("call-1", TARGET, steps.now)
    assert [sent.method for sent in steps.take()] == ["BYE"]
    steps.finish()


@pytest.mark.parametrize("event", ["keep-alive", "", "REFERENCES"])
def test_a_notify_of_another_package_gets_its_200(steps: Steps, ack: Sent, event: str) -> None:
    assert code_of(steps, notify(ack, None, event=event)) == 200


@pytest.mark.parametrize(
    "body", ["", "SIP/2.0", "SIP/2.0 abc OK", "SIP/2.0 2000 OK", "HTTP/1.1 200 OK", "\0\0", "SIP/2.0 999 X"]
)
def test_a_body_that_is_no_status_changes_nothing(steps: Steps, ack: Sent, body: str) -> None:
    steps.reply(refer(steps), "202 Accepted")
    text = notify(ack, None).replace("Content-Length: 0", f"Content-Length: {len(body)}") + body
    assert code_of(steps, text) == 200
    assert ends(steps) == []
