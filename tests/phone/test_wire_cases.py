"""More of what a call meets, against SIPp with the wire captured: cancelled by us, odd answers, requests to us."""

import gc
import itertools
import weakref
from collections.abc import Callable, Sequence

import pytest

from autodialer.model import Cause, Disposition
from autodialer.phone.plan import Progress
from tests.peers import callers, gateways, session_gateways
from tests.peers import scenario as s
from tests.peers.capture import Capture, before_silence
from tests.peers.ports import wait_until
from tests.peers.scenario import ANSWER_SDP, TO_TAG, Scenario
from tests.peers.sipp import SippCaller, SippGateway
from tests.phone.desk import Desk
from tests.phone.test_wire_calls import answers, check_every_message, named
from tests.phone.test_wire_media import check_stream

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "tshark")]

Gateways = Callable[..., SippGateway]
Captures = Callable[..., Capture]
Desks = Callable[..., Desk]

SESSION = ("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 [sink_host]", "t=0 0")
ODD_BUT_LEGAL = {
    "te96": (*SESSION, "m=audio [sink_port] RTP/AVP 8 96", "a=rtpmap:96 telephone-event/8000", "a=fmtp:96 0-16"),
    "ptime30": (*SESSION, "m=audio [sink_port] RTP/AVP 8", "a=rtpmap:8 PCMA/8000", "a=ptime:30"),
    "comfort_noise": (*SESSION, "m=audio [sink_port] RTP/AVP 8 13", "a=rtpmap:13 CN/8000"),
    "video_refused": (*SESSION, "m=audio [sink_port] RTP/AVP 8", "m=video 0 RTP/AVP 31"),
    "unknown_lines": (*SESSION, "b=AS:64", "k=prompt", "m=audio [sink_port] RTP/AVP 8", "i=x", "a=whatever:1", "y=2"),
    "no_rtpmap": (*SESSION, "m=audio [sink_port] RTP/AVP 8"),
    "avpf": (*SESSION, "m=audio [sink_port] RTP/AVPF 8", "a=rtpmap:8 PCMA/8000"),
}


def test_a_call_that_an_operator_ends_while_it_rings_is_cancelled(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.rings_for_ever(), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address)
    call = phone.call()
    wait_until(lambda: any(event.progress is Progress.RANG for event in phone.events), what="the phone to ring")
    call.hangup()
    outcome = phone.outcome(call)
    gateway.expect_success()
    messages = wire.sip()
    assert (outcome.disposition, outcome.sip_code, outcome.cause) == (Disposition.CANCELLED, 487, None)
    (invite,), (cancel,), (ack,) = (named(messages, method) for method in ("INVITE", "CANCEL", "ACK"))
    assert (cancel.branch, cancel.cseq, cancel.request_uri) == (invite.branch, invite.cseq, invite.request_uri)
    assert ack.to_tag == answers(messages, 487)[0].to_tag
    check_every_message(messages)


def test_a_cancel_that_is_answered_while_the_invite_never_is_gives_up_after_64_t1(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    body = s.sequence(
        s.receive_invite(),
        s.respond(180),
        s.receive_logged("CANCEL", timeout_ms=30_000),
        s.send("SIP/2.0 200 OK", s.LAST_HEADERS),
        s.linger(1000),
    )
    gateway = sipp_gateway(Scenario(name="cancel_no_487", body=body), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address)
    outcome = phone.outcome(phone.call(ring_timeout_s=1.0), timeout_s=45)
    assert (outcome.disposition, outcome.sip_code) == (Disposition.NO_ANSWER, None)
    assert 33.0 <= outcome.duration_s < 34.0
    assert [len(named(wire.sip(), method)) for method in ("INVITE", "CANCEL", "ACK", "BYE")] == [1, 1, 0, 0]


def test_a_challenge_that_wants_the_body_hashed_is_acknowledged_and_given_up(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.challenges(gateways.challenge(401, qop="auth-int")), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert (outcome.disposition, outcome.cause, outcome.sip_code) == (Disposition.FAILED, Cause.AUTH_FAILED, 401)
    assert (len(named(wire.sip(), "INVITE")), len(named(wire.sip(), "ACK"))) == (1, 1)


def test_a_redirection_is_recorded_and_not_followed(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    elsewhere = "Contact: <sip:elsewhere@127.0.0.1:9>"
    gateway = sipp_gateway(gateways.final(302, extra=[elsewhere]), timeout_s=30)
    wire = capture_wire(gateway.address[1], 9)
    phone = desk(gateway.address)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert (outcome.disposition, outcome.cause, outcome.sip_code) == (Disposition.FAILED, Cause.REDIRECTED, 302)
    assert len(named(wire.sip(), "INVITE")) == 1


@pytest.mark.parametrize("oddity", ODD_BUT_LEGAL)
def test_an_odd_but_legal_answer_gets_the_sound(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, oddity: str
) -> None:
    gateway = sipp_gateway(gateways.answered(sdp=ODD_BUT_LEGAL[oddity]), timeout_s=30)
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1]])
    phone = desk(gateway.address, sound_s=0.4)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert (outcome.disposition, outcome.played_share) == (Disposition.ANSWERED, 1.0)
    # A callee that hears nothing back is told apart: SIPp takes the sound in and sends none.
    assert outcome.rtp is not None and outcome.rtp.one_way_audio
    packets = wire.rtp(destination=gateway.media)
    check_stream(packets, 8)
    assert len(before_silence(packets)) == 20


def stranger(method: str, cseq: int, from_tag: str) -> str:
    """A request that knows the Call-ID but not the callee's tag."""
    headers = (
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]",
        "Max-Forwards: 70",
        f"From:[$invite_to];tag={from_tag}",
        "To:[$invite_from]",
        "[last_Call-ID:]",
        f"CSeq: {cseq} {method}",
    )
    return s.send(f"{method} [next_url] SIP/2.0", headers, retransmit_ms=500)


def test_a_bye_with_a_wrong_tag_and_a_request_out_of_order_end_nothing(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    body = s.sequence(
        s.receive_invite(),
        s.respond(200, sdp=ANSWER_SDP, retransmit_ms=500),
        s.receive_logged("ACK"),
        stranger("BYE", 10, "somebody-else"),
        s.receive_response(481),
        session_gateways.request("OPTIONS", 20),
        s.receive_response(200),
        session_gateways.request("INFO", 19),
        s.receive_response(500),
        s.receive_logged("BYE", timeout_ms=20_000),
        s.answer_in_dialog(),
    )
    gateway = sipp_gateway(Scenario(name="bad_dialog", body=body), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert (outcome.disposition, outcome.played_share) == (Disposition.ANSWERED, 1.0)
    assert len(answers(wire.sip(), 481, "BYE")) == 1


def test_the_same_request_twice_gets_the_same_answer_twice(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    headers = (
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bKsame[call_number]",
        "Max-Forwards: 70",
        f"From:[$invite_to];tag={TO_TAG}",
        "To:[$invite_from]",
        "[last_Call-ID:]",
        "CSeq: 7 OPTIONS",
    )
    same = s.send("OPTIONS [next_url] SIP/2.0", headers)
    body = s.sequence(
        s.receive_invite(),
        s.respond(200, sdp=ANSWER_SDP),
        s.receive_logged("ACK"),
        same,
        s.receive_response(200),
        same,
        s.receive_response(200),
        s.receive_logged("BYE", timeout_ms=20_000),
        s.answer_in_dialog(),
    )
    gateway = sipp_gateway(Scenario(name="request_retransmit", body=body, retransmits=False), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address)
    assert phone.outcome(phone.call()).played_share == 1.0
    gateway.expect_success()
    first, second = answers(wire.sip(), 200, "OPTIONS")
    assert first.text == second.text


def out_of_dialog(method: str, code: int, *, sdp: Sequence[str] = ()) -> Scenario:
    """A request to us that belongs to nothing, and the answer expected."""
    to = "To: <sip:dialer@[remote_ip]:[remote_port]>"
    headers = (
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport",
        "Max-Forwards: 70",
        "From: <sip:provider@[local_ip]:[local_port]>;tag=[pid]x[call_number]",
        to,
        "Call-ID: [call_id]",
        f"CSeq: 1 {method}",
        "Contact: <sip:provider@[local_ip]:[local_port]>",
    )
    parts = [
        s.send(f"{method} sip:dialer@[remote_ip]:[remote_port] SIP/2.0", headers, body=sdp, retransmit_ms=500),
        s.receive_response(code),
    ]
    if method == "INVITE":
        parts.append(callers.ack_of_final(1).replace("[field0]", "dialer"))
    return Scenario(name=f"ooo_{method.lower()}", body=s.sequence(*parts))


@pytest.mark.parametrize(
    ("method", "code", "sdp"),
    [("OPTIONS", 200, ()), ("INVITE", 480, ANSWER_SDP), ("BYE", 481, ()), ("SUBSCRIBE", 405, ()), ("FOO", 501, ())],
)
def test_a_request_of_the_provider_outside_every_call_is_answered(
    desk: Desks, capture_wire: Captures, method: str, code: int, sdp: Sequence[str]
) -> None:
    numbers = itertools.repeat("dialer", 1)
    phone = desk(("127.0.0.1", 9))
    target = ("127.0.0.1", phone.phone.sip.myPort)
    with SippCaller(out_of_dialog(method, code, sdp=sdp), target, numbers=list(numbers), timeout_s=20) as provider:
        provider.expect_success()
        assert provider.calls == (1, 0)
    assert not phone.phone.calls


def test_a_finished_call_is_freed_without_the_garbage_collector(sipp_gateway: Gateways, desk: Desks) -> None:
    gateway = sipp_gateway(gateways.callee_bye(after_ms=200), timeout_s=30)
    phone = desk(gateway.address)
    gc.disable()
    try:
        call = phone.call()
        phone.outcome(call)
        freed = weakref.ref(call)
        del call
        wait_until(lambda: freed() is None, what="the call to be freed", timeout_s=10)
    finally:
        gc.enable()
