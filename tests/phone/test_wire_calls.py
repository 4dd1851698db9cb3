"""Single calls against SIPp, with the wire captured: what leaves, and what the record says."""

from collections.abc import Callable
from typing import Any

import pytest

from autodialer.model import Cause, Disposition, EndedBy
from tests.peers import gateways
from tests.peers.capture import Capture, WireMessage
from tests.peers.ports import LOCALHOST, free_port, silent_host
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "tshark")]

Gateways = Callable[..., SippGateway]
Captures = Callable[..., Capture]
Desks = Callable[..., Desk]


def named(messages: list[WireMessage], method: str) -> list[WireMessage]:
    """Requests of a method, in order."""
    return [message for message in messages if message.method == method]


def answers(messages: list[WireMessage], code: int, method: str = "INVITE") -> list[WireMessage]:
    """Responses of a code to a method."""
    return [message for message in messages if message.code == code and message.cseq_method == method]


def check_every_message(messages: list[WireMessage]) -> None:
    """What holds on every call."""
    ours = [message for message in messages if message.is_request and message.source == messages[0].source]
    assert len({message.from_tag for message in ours}) == 1
    assert len({message.call_id for message in messages}) == 1
    assert all(message.branch.startswith("z9hG4bK") for message in ours)
    assert all(message.header("Max-Forwards") == "70" for message in ours)
    starts: dict[int, str] = {}
    for message in ours:
        if message.method not in ("ACK", "CANCEL"):
            assert starts.setdefault(message.cseq, message.branch) == message.branch
    assert list(starts) == sorted(starts)
    assert len(set(starts.values())) == len(starts)


def check_ack_to_2xx(messages: list[WireMessage]) -> None:
    """RFC 3261 section 13.2.2.4: Request-URI = Contact, To tag of the 2xx, a branch of its own, soon."""
    ok, (ack, *_) = answers(messages, 200)[0], named(messages, "ACK")
    invite = named(messages, "INVITE")[-1]
    contact = ok.header("Contact") or ""
    assert ack.request_uri == contact.strip().strip("<>").partition(">")[0]
    assert ack.to_tag == ok.to_tag
    assert ack.branch != invite.branch
    assert ack.cseq == invite.cseq
    assert ack.at - ok.at < 0.05


@pytest.mark.parametrize(
    "scenario",
    [gateways.answered(), gateways.plain_200(), gateways.early_183()],
    ids=["100_180_200", "200_alone", "183_200"],
)
def test_an_answered_call_is_acknowledged_played_and_ended_by_our_bye(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, scenario: Any
) -> None:
    gateway = sipp_gateway(scenario, timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    messages = wire.sip()
    assert (outcome.disposition, outcome.cause, outcome.sip_code) == (Disposition.ANSWERED, None, 200)
    assert (outcome.ended_by, outcome.played_s, outcome.played_share) == (EndedBy.US, 1.0, 1.0)
    check_every_message(messages)
    check_ack_to_2xx(messages)
    (invite,), (ack,), (bye,) = named(messages, "INVITE"), named(messages, "ACK"), named(messages, "BYE")
    assert invite.request_uri == f"sip:79160000000@{LOCALHOST}"
    assert (bye.cseq, bye.request_uri, bye.to_tag) == (invite.cseq + 1, ack.request_uri, ack.to_tag)
    assert not wire.malformed()


def test_the_callees_bye_is_answered_with_its_own_tags(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.callee_bye(after_ms=600), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address, sound_s=5.0)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    messages = wire.sip()
    assert (outcome.disposition, outcome.ended_by) == (Disposition.ANSWERED, EndedBy.CALLEE)
    assert 0.5 <= outcome.played_s <= 0.7
    assert outcome.ringing_at is not None
    (bye,), (ok,) = named(messages, "BYE"), answers(messages, 200, "BYE")
    assert (ok.from_tag, ok.to_tag, ok.branch, ok.cseq) == (bye.from_tag, bye.to_tag, bye.branch, bye.cseq)
    check_ack_to_2xx(messages)


def test_a_call_that_lasts_too_long_is_hung_up(sipp_gateway: Gateways, desk: Desks) -> None:
    gateway = sipp_gateway(gateways.answered(), timeout_s=30)
    phone = desk(gateway.address, sound_s=20.0)
    outcome = phone.outcome(phone.call(max_call_s=2.0))
    gateway.expect_success()
    assert (outcome.disposition, outcome.ended_by) == (Disposition.ANSWERED, EndedBy.US)
    assert 2.0 <= outcome.billsec_s < 3.3
    assert outcome.played_s == pytest.approx(outcome.billsec_s, abs=0.5)


FINALS = {
    486: (Disposition.BUSY, None),
    480: (Disposition.NO_ANSWER, None),
    603: (Disposition.REJECTED, None),
    404: (Disposition.INVALID_NUMBER, None),
    484: (Disposition.INVALID_NUMBER, None),
    503: (Disposition.CONGESTION, None),
    500: (Disposition.CONGESTION, None),
    408: (Disposition.NO_ANSWER, None),
    403: (Disposition.FAILED, Cause.FORBIDDEN),
    402: (Disposition.FAILED, Cause.FORBIDDEN),
    488: (Disposition.FAILED, Cause.MEDIA_FAILED),
    302: (Disposition.FAILED, Cause.REDIRECTED),
    600: (Disposition.BUSY, None),
    604: (Disposition.INVALID_NUMBER, None),
    606: (Disposition.FAILED, Cause.MEDIA_FAILED),
    607: (Disposition.REJECTED, None),
}


@pytest.mark.parametrize("progress", [(), (100, 180)], ids=["alone", "after_180"])
@pytest.mark.parametrize("code", FINALS)
def test_a_refused_call_is_acknowledged_once_and_recorded_for_what_it_is(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, code: int, progress: tuple[int, ...]
) -> None:
    gateway = sipp_gateway(gateways.final(code, progress=progress), timeout_s=20)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    messages = wire.sip()
    assert (outcome.disposition, outcome.cause) == FINALS[code]
    assert outcome.sip_code == code
    assert (outcome.ringing_at is not None) is bool(progress)
    assert (outcome.played_s, outcome.billsec_s, outcome.ended_by, outcome.rtp) == (0, 0, None, None)
    (invite,), (ack,), (final,) = named(messages, "INVITE"), named(messages, "ACK"), answers(messages, code)
    assert (ack.branch, ack.cseq, ack.request_uri) == (invite.branch, invite.cseq, invite.request_uri)
    assert ack.to_tag == final.to_tag
    check_every_message(messages)


def test_nobody_answers_within_the_ring_timeout(sipp_gateway: Gateways, capture_wire: Captures, desk: Desks) -> None:
    gateway = sipp_gateway(gateways.rings_for_ever(), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address)
    outcome = phone.outcome(phone.call(ring_timeout_s=1.0))
    gateway.expect_success()
    messages = wire.sip()
    assert (outcome.disposition, outcome.sip_code) == (Disposition.NO_ANSWER, 487)
    assert 1.0 <= outcome.duration_s < 1.8
    (invite,), (cancel,), (ack,) = (named(messages, method) for method in ("INVITE", "CANCEL", "ACK"))
    for field in ("branch", "cseq", "request_uri", "from_tag", "call_id"):
        assert getattr(cancel, field) == getattr(invite, field)
    assert ack.to_tag == answers(messages, 487)[0].to_tag
    check_every_message(messages)


def test_no_cancel_leaves_before_the_first_provisional_response(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.cancel_before_1xx(silence_ms=1200), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address)
    call = phone.call()
    gateway.wait_for("INVITE")
    call.cancel()
    outcome = phone.outcome(call)
    gateway.expect_success()
    messages = wire.sip()
    assert outcome.disposition is Disposition.CANCELLED
    first_1xx = min(message.at for message in messages if message.code is not None and 100 <= message.code < 200)
    (cancel,) = named(messages, "CANCEL")
    assert cancel.at > first_1xx


def test_an_answer_that_crosses_our_cancel_is_acknowledged_and_hung_up(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.cancel_200_race(), timeout_s=30)
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1]])
    phone = desk(gateway.address)
    outcome = phone.outcome(phone.call(ring_timeout_s=0.6))
    gateway.expect_success()
    messages = wire.sip()
    assert outcome.disposition is Disposition.NO_ANSWER
    assert named(messages, "BYE")
    check_ack_to_2xx(messages)
    assert wire.rtp(destination=gateway.media) == []


@pytest.mark.parametrize("qop", ["auth", None])
@pytest.mark.parametrize("algorithm", ["MD5", None])
def test_a_digest_challenge_is_answered_and_verified_by_the_gateway(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, qop: str | None, algorithm: str | None
) -> None:
    gateway = sipp_gateway(gateways.asks_password("user", "secret", qop=qop, algorithm=algorithm), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert gateway.digests_verified >= 1
    assert outcome.disposition is Disposition.ANSWERED
    first, second = named(wire.sip(), "INVITE")
    assert (second.cseq, second.call_id, second.from_tag) == (first.cseq + 1, first.call_id, first.from_tag)
    assert second.branch != first.branch
    credentials = second.header("Authorization") or ""
    assert f'uri="{second.request_uri}"' in credentials
    assert ("nc=00000001" in credentials) is (qop is not None)
    assert "secret" not in second.text
    assert named(wire.sip(), "ACK")[0].branch == first.branch


def test_a_refused_password_is_tried_once_and_no_more(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.challenges(gateways.challenge(401), gateways.challenge(401)), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert (outcome.disposition, outcome.cause, outcome.sip_code) == (Disposition.FAILED, Cause.AUTH_FAILED, 401)
    assert len(named(wire.sip(), "INVITE")) == 2
    assert len(named(wire.sip(), "ACK")) == 2


def test_lost_invites_are_sent_again_byte_for_byte(sipp_gateway: Gateways, capture_wire: Captures, desk: Desks) -> None:
    gateway = sipp_gateway(gateways.ignores_invites(times=2), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert outcome.disposition is Disposition.ANSWERED
    invites = named(wire.sip(), "INVITE")
    assert len(invites) == 3
    assert len({invite.raw for invite in invites}) == 1
    assert [round(invite.at - invites[0].at, 1) for invite in invites] == [0, 0.5, 1.5]


@pytest.mark.parametrize(
    "again",
    [{}, {"via": "Via: SIP/2.0/UDP 198.51.100.9:5070;branch=z9hG4bKanother"}],
    ids=["as before", "with another Via"],
)
def test_a_200_that_comes_again_gets_the_same_ack_again(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, again: dict[str, str]
) -> None:
    gateway = sipp_gateway(gateways.lost_200(times=2, **again), timeout_s=30)  # type: ignore[arg-type]
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1]])
    phone = desk(gateway.address, sound_s=3.0)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert (outcome.disposition, outcome.played_share) == (Disposition.ANSWERED, 1.0)
    acks = named(wire.sip(), "ACK")
    assert len(acks) == 3
    assert len({ack.raw for ack in acks}) == 1
    assert len({packet.ssrc for packet in wire.rtp(destination=gateway.media)}) == 1


def test_a_486_that_comes_again_is_acknowledged_again(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.final_resent(486), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert outcome.disposition is Disposition.BUSY
    assert len(named(wire.sip(), "ACK")) == len(answers(wire.sip(), 486)) == 3


def test_a_lost_bye_is_sent_again(sipp_gateway: Gateways, capture_wire: Captures, desk: Desks) -> None:
    gateway = sipp_gateway(gateways.ignores_byes(times=2), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert outcome.disposition is Disposition.ANSWERED
    byes = named(wire.sip(), "BYE")
    assert [round(bye.at - byes[0].at, 1) for bye in byes] == [0, 0.5, 1.5]
    assert len({bye.raw for bye in byes}) == 1


def test_a_bye_answered_with_481_ends_the_call(sipp_gateway: Gateways, capture_wire: Captures, desk: Desks) -> None:
    gateway = sipp_gateway(gateways.answers_bye_with(481), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address)
    assert phone.outcome(phone.call()).disposition is Disposition.ANSWERED
    gateway.expect_success()
    assert len(named(wire.sip(), "BYE")) == 1


def test_a_closed_port_fails_at_once(desk: Desks) -> None:
    phone = desk((LOCALHOST, free_port()))
    outcome = phone.outcome(phone.call())
    assert (outcome.disposition, outcome.cause) == (Disposition.FAILED, Cause.TRANSPORT_ERROR)
    assert outcome.duration_s < 1


def test_a_silent_gateway_is_asked_seven_times_and_given_up_after_32_s(capture_wire: Captures, desk: Desks) -> None:
    with silent_host() as address:
        wire = capture_wire(address[1])
        phone = desk(address)
        outcome = phone.outcome(phone.call(), timeout_s=40)
        invites = named(wire.sip(), "INVITE")
    assert (outcome.disposition, outcome.cause, outcome.sip_code) == (Disposition.FAILED, Cause.NO_RESPONSE, None)
    assert [round(invite.at - invites[0].at, 1) for invite in invites] == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert 31.9 < outcome.duration_s < 33
