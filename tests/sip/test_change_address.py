"""Our stream moves in the middle of a call: a re-INVITE with an offer of ours (RFC 3261 section 14.1)."""

import pytest

from autodialer.sip.events import CallEnded, MediaChanged
from tests.sip.stepping import ANSWER, Sent, Steps
from tests.sip.test_session import OFFER, ask, lines, sdp


@pytest.fixture
def steps() -> Steps:
    return Steps(chance=255)


@pytest.fixture
def ack(steps: Steps) -> Sent:
    return steps.answer(steps.invite(sdp=OFFER))


def move(steps: Steps, *, host: str | None = None, port: int = 31_000) -> list[Sent]:
    steps.core.change_address("call-1", host, port, steps.now)
    return steps.take()


def test_the_new_port_is_offered_within_the_dialog_and_its_200_is_acknowledged(steps: Steps, ack: Sent) -> None:
    (invite,) = move(steps)
    assert (invite.method, invite["CSeq"], invite.to) == ("INVITE", "2 INVITE", ("192.0.2.77", 5070))
    assert (invite["From"], invite["To"], invite["Call-ID"]) == (ack["From"], ack["To"], ack["Call-ID"])
    assert invite["Contact"] == "<sip:192.0.2.1:5060>"
    assert {"m=audio 31000 RTP/AVP 8 0 101", "o=- 7 8 IN IP4 192.0.2.1", "c=IN IP4 192.0.2.1"} <= set(lines(invite))
    assert "Session-Expires" not in invite.data.decode()
    (acknowledged,) = steps.reply(invite, "200 OK", body=ANSWER)
    assert (acknowledged.method, acknowledged["CSeq"]) == ("ACK", "2 ACK")
    assert steps.advance(100.0) == []
    assert steps.names == ["CallAnswered"]


def test_a_mapped_address_is_offered_as_it_is_seen_outside(steps: Steps, ack: Sent) -> None:
    (invite,) = move(steps, host="198.51.100.7", port=4242)
    assert {"m=audio 4242 RTP/AVP 8 0 101", "c=IN IP4 198.51.100.7"} <= set(lines(invite))


def test_an_answer_that_names_another_place_is_followed(steps: Steps, ack: Sent) -> None:
    (invite,) = move(steps)
    steps.reply(invite, "200 OK", body=sdp(host="192.0.2.55"))
    assert [event.media.host for event in steps.events if isinstance(event, MediaChanged)] == ["192.0.2.55"]


@pytest.mark.parametrize("status", ["488 Not Acceptable Here", "403 Forbidden", "500 No", "603 Decline"])
def test_a_refusal_changes_nothing_and_the_call_goes_on(steps: Steps, ack: Sent, status: str) -> None:
    (invite,) = move(steps)
    (acknowledged,) = steps.reply(invite, status)
    assert (acknowledged.method, acknowledged.branch) == ("ACK", invite.branch)
    assert steps.advance(100.0) == []
    assert steps.names == ["CallAnswered"]


def test_an_answer_that_refuses_the_stream_changes_nothing_and_the_call_goes_on(steps: Steps, ack: Sent) -> None:
    (invite,) = move(steps)
    (acknowledged,) = steps.reply(invite, "200 OK", body=sdp("m=audio 0 RTP/AVP 8\r\n"))
    assert acknowledged.method == "ACK"
    assert steps.names == ["CallAnswered"]


def test_nobody_answers_the_offer_and_the_call_goes_on(steps: Steps, ack: Sent) -> None:
    move(steps)
    assert {sent.method for sent in steps.advance(100.0)} == {"INVITE"}
    assert steps.names == ["CallAnswered"]


@pytest.mark.parametrize("status", ["481 Gone", "408 Request Timeout"])
def test_a_dialog_that_is_gone_ends_the_call(steps: Steps, ack: Sent, status: str) -> None:
    (invite,) = move(steps)
    assert [sent.method for sent in steps.reply(invite, status)] == ["ACK", "BYE"]
    assert isinstance(steps.last, CallEnded)


def test_after_a_491_the_offer_is_made_again_in_2_to_4_seconds(steps: Steps, ack: Sent) -> None:
    (invite,) = move(steps)
    steps.reply(invite, "491 Request Pending")
    assert steps.advance(3.9) == []
    (again,) = steps.advance(0.2)
    assert (again.method, again["CSeq"]) == ("INVITE", "3 INVITE")
    assert again.body == invite.body
    steps.reply(again, "200 OK", body=ANSWER)
    assert steps.advance(100.0) == []


def test_glare_theirs_gets_491_and_ours_too_and_their_second_try_brings_them_the_new_port(
    steps: Steps, ack: Sent
) -> None:
    (invite,) = move(steps)
    assert steps.receive(ask(ack, "INVITE", 5, sdp()))[0].code == 491
    steps.reply(invite, "491 Request Pending")
    steps.advance(1.0)
    (ok,) = steps.receive(ask(ack, "INVITE", 6, sdp()))
    assert ok.code == 200 and "m=audio 31000 RTP/AVP 8 101" in lines(ok)
    steps.receive(ask(ack, "ACK", 6))
    later = steps.advance(100.0)
    assert [sent for sent in later if sent.start_line.startswith("INVITE")] == []


def test_while_a_re_invite_of_theirs_waits_for_its_ack_ours_waits_too(steps: Steps, ack: Sent) -> None:
    steps.receive(ask(ack, "INVITE", 5, sdp()))
    assert move(steps) == []
    steps.receive(ask(ack, "ACK", 5))
    assert [sent.method for sent in steps.advance(4.1)] == ["INVITE"]


def test_a_challenge_is_answered_and_the_offer_made_again(steps: Steps) -> None:
    steps.answer(steps.invite(sdp=OFFER, credentials=("u", "p")))
    (invite,) = move(steps)
    acknowledged, again = steps.reply(
        invite, "407 No", headers=('Proxy-Authenticate: Digest realm="r", nonce="n", qop="auth"',)
    )
    assert (acknowledged.method, again.method, again.body) == ("ACK", "INVITE", invite.body)
    assert 'uri="sip:callee@192.0.2.77:5070"' in again["Proxy-Authorization"]


def test_a_second_move_while_the_first_is_offered_is_offered_after_it(steps: Steps, ack: Sent) -> None:
    (first,) = move(steps)
    assert move(steps, port=32_000) == []
    acknowledged, second = steps.reply(first, "200 OK", body=ANSWER)
    assert (acknowledged.method, second.method) == ("ACK", "INVITE")
    assert "m=audio 32000 RTP/AVP 8 0 101" in lines(second)
    steps.reply(second, "200 OK", body=ANSWER)
    assert steps.advance(100.0) == []


def test_the_session_timer_goes_on_with_the_offer_and_waits_for_no_retry_of_it(steps: Steps) -> None:
    timed = ("Session-Expires: 90;refresher=uac", "Allow: UPDATE")
    steps.reply(steps.invite(sdp=OFFER), "200 OK", body=ANSWER, headers=timed)
    (invite,) = move(steps)
    assert (invite.method, invite["Session-Expires"]) == ("INVITE", "90;refresher=uac")
    steps.reply(invite, "200 OK", body=ANSWER, headers=timed)
    (refresh,) = steps.advance(45.0)
    assert refresh.method == "UPDATE"


def test_a_call_that_has_ended_offers_nothing_and_a_late_200_is_acknowledged(steps: Steps, ack: Sent) -> None:
    (invite,) = move(steps)
    steps.core.bye("call-1", steps.now)
    (bye,) = steps.take()
    assert [sent.method for sent in steps.reply(invite, "200 OK", body=ANSWER)] == ["ACK"]
    assert move(steps) == []
    steps.reply(bye, "200 OK")
    steps.finish()
