"""TCP and TLS under the transactions (RFC 3261 section 17, 18), and long requests (section 18.1.1)."""

import pytest

from autodialer.sip.events import CallFailed, FailureKind
from autodialer.sip.hop import TCP, TLS, UDP, Hop
from autodialer.sip.outgoing import LARGEST_DATAGRAM
from tests.sip.stepping import ANSWER, GATEWAY, Sent, Steps, in_dialog, response

OVER_TCP, OVER_TLS = Hop(*GATEWAY, TCP), Hop(*GATEWAY, TLS)
LONG = (("X-Padding", "x" * 1000),)


@pytest.fixture
def steps() -> Steps:
    return Steps()


def reply(steps: Steps, request: Sent, status: str, **options: object) -> list[Sent]:
    """The gateway answers on the connection."""
    return steps.receive(response(request, status, **options), request.hop)  # type: ignore[arg-type]


@pytest.mark.parametrize("hop", [OVER_TCP, OVER_TLS], ids=["tcp", "tls"])
def test_the_transport_is_named_in_via_and_contact_and_nothing_is_sent_twice(steps: Steps, hop: Hop) -> None:
    invite = steps.invite(next_hop=hop)
    assert invite.hop == hop
    assert invite["Via"].startswith(f"SIP/2.0/{hop.transport} 192.0.2.1:5060;rport;branch=z9hG4bK")
    assert invite["Contact"] == f"<sip:192.0.2.1:5060;transport={hop.transport.lower()}>"
    assert steps.advance(31.9) == []
    steps.advance(0.2)
    assert isinstance(steps.last, CallFailed) and steps.last.kind is FailureKind.TIMEOUT
    steps.finish()


def test_timer_d_is_zero_and_the_call_is_forgotten_at_once(steps: Steps) -> None:
    invite = steps.invite(next_hop=OVER_TCP)
    (ack,) = reply(steps, invite, "486 Busy Here")
    assert ack.hop == OVER_TCP and ack["Via"] == invite["Via"]
    steps.advance(0.0)
    assert steps.core.remembered == 1  # the timer of the keep-alive
    assert reply(steps, invite, "486 Busy Here") == []


def test_timers_k_and_j_are_zero_and_timer_e_does_not_run(steps: Steps) -> None:
    invite = steps.invite(next_hop=OVER_TCP)
    (ack,) = reply(steps, invite, "200 OK", body=ANSWER, contact="<sip:callee@192.0.2.9:5060;transport=tcp>")
    assert (ack.method, ack.hop) == ("ACK", OVER_TCP)
    (pong,) = steps.receive(in_dialog(ack, "OPTIONS").replace("/UDP", "/TCP"), OVER_TCP)
    assert (pong.code, pong.hop) == (200, OVER_TCP)
    steps.advance(0.0)
    # A copy is a new request: its transaction is gone.
    (late,) = steps.receive(in_dialog(ack, "OPTIONS", 0).replace("/UDP", "/TCP"), OVER_TCP)
    assert late.code == 500
    steps.core.bye("call-1", steps.now)
    bye = steps.take_one()
    assert bye.hop == OVER_TCP and steps.advance(31.0) == []
    reply(steps, bye, "200 OK")
    steps.finish()


def test_timer_i_is_zero_and_timer_g_does_not_run(steps: Steps) -> None:
    steps.core.know_host("192.0.2.77")
    stranger = Hop("192.0.2.77", 40000, TCP)
    dialog = steps.invite(call_id="other")
    request = in_dialog(dialog, "INVITE").replace("/UDP", "/TCP").replace("Call-ID: other", "Call-ID: theirs")
    (declined,) = steps.receive(request.replace(";tag=" + dialog.from_tag, ""), stranger)
    assert (declined.code, declined.hop) == (480, stranger)
    assert [sent for sent in steps.advance(20.0) if sent.hop == stranger] == []


@pytest.mark.parametrize("method", ["INVITE", "BYE", "CANCEL"])
def test_a_connection_lost_before_the_first_response_sends_the_request_once_more(steps: Steps, method: str) -> None:
    request = steps.invite(next_hop=OVER_TCP)
    if method == "CANCEL":
        reply(steps, request, "180 Ringing")
        steps.core.cancel("call-1", steps.now)
        request = steps.take_one()
    elif method == "BYE":
        reply(steps, request, "200 OK", body=ANSWER, contact=None)
        steps.core.bye("call-1", steps.now)
        request = steps.take_one()
    assert request.method == method
    steps.core.connection_lost(OVER_TCP, steps.now)
    again = [sent for sent in steps.take() if sent.method == method]
    assert [(sent.data, sent.hop) for sent in again] == [(request.data, OVER_TCP)]
    steps.core.connection_lost(OVER_TCP, steps.now)
    assert [sent for sent in steps.take() if sent.method == method] == []
    if method == "INVITE":
        assert isinstance(steps.last, CallFailed) and steps.last.kind is FailureKind.TRANSPORT
    steps.finish()


def test_a_connection_lost_after_a_provisional_response_changes_nothing(steps: Steps) -> None:
    invite = steps.invite(next_hop=OVER_TCP)
    reply(steps, invite, "100 Trying", tag=None)
    steps.core.connection_lost(OVER_TCP, steps.now)
    assert steps.take() == [] and steps.names == []
    # The answer may come by a connection that the peer makes.
    (ack,) = steps.receive(response(invite, "200 OK", body=ANSWER, contact=None), Hop("192.0.2.9", 40000, TCP))
    assert (ack.method, ack.hop) == ("ACK", OVER_TCP)


def test_a_connection_lost_with_another_peer_changes_nothing(steps: Steps) -> None:
    steps.invite(next_hop=OVER_TCP)
    steps.core.connection_lost(Hop("192.0.2.9", 5061, TCP), steps.now)
    steps.core.transport_error(Hop(*GATEWAY, UDP), steps.now)
    assert steps.take() == [] and steps.names == []


def test_an_unreachable_peer_fails_the_call_with_what_the_system_says_until_a_connection_is_made(steps: Steps) -> None:
    steps.invite(next_hop=OVER_TCP)
    steps.core.transport_error(OVER_TCP, steps.now, "Nothing listens there.")
    steps.take()
    assert isinstance(steps.last, CallFailed)
    assert (steps.last.kind, steps.last.message) == (FailureKind.TRANSPORT, "Nothing listens there.")
    steps.invite(next_hop=OVER_TCP, call_id="call-2")
    steps.core.connection_made(OVER_TCP, ("192.0.2.1", 5060))
    steps.core.transport_error(OVER_TCP, steps.now)
    steps.take()
    assert isinstance(steps.last, CallFailed) and steps.last.message != "Nothing listens there."


def test_what_was_said_of_so_many_peers_is_remembered_and_no_more(steps: Steps) -> None:
    hops = [Hop("192.0.2.20", 10000 + number, TCP) for number in range(300)]
    for hop in hops:
        steps.core.transport_error(hop, steps.now, "Nothing listens there.")
    said = []
    for hop in (hops[0], hops[-1]):
        steps.invite(next_hop=hop, call_id=f"call-{hop.port}")
        steps.core.transport_error(hop, steps.now)
        steps.take()
        assert isinstance(steps.last, CallFailed)
        said.append(steps.last.message == "Nothing listens there.")
    assert said == [False, True]


def test_a_connection_made_from_another_port_stands_in_the_next_contact(steps: Steps) -> None:
    steps.core.connection_made(OVER_TCP, ("192.0.2.1", 39999))
    assert steps.invite(next_hop=OVER_TCP)["Contact"] == "<sip:192.0.2.1:39999;transport=tcp>"


# Where requests of a dialog go.


@pytest.mark.parametrize(
    ("flow", "contact", "expected"),
    [
        (OVER_TCP, "<sip:c@192.0.2.77:5070;transport=tcp>", Hop("192.0.2.77", 5070, TCP)),
        (OVER_TCP, "<sip:c@192.0.2.77:5070>", Hop("192.0.2.77", 5070, UDP)),
        (OVER_TCP, "<sip:c@192.0.2.9:5060>", OVER_TCP),
        (OVER_TCP, "<sip:c@192.0.2.9:5060;transport=udp>", Hop(*GATEWAY, UDP)),
        (OVER_TLS, "<sip:c@192.0.2.77:5071;transport=tls>", Hop("192.0.2.77", 5071, TLS)),
        (OVER_TLS, "<sips:c@192.0.2.77>", Hop("192.0.2.77", 5061, TLS)),
        (OVER_TLS, "<sip:c@192.0.2.77:5070>", OVER_TLS),
        (OVER_TLS, "<sip:c@192.0.2.77:5070;transport=tcp>", OVER_TLS),
        (OVER_TLS, "<sip:c@callee.example>", OVER_TLS),
    ],
)
def test_the_ack_goes_by_the_transport_of_the_contact_and_never_from_tls_to_clear(
    steps: Steps, flow: Hop, contact: str, expected: Hop
) -> None:
    (ack,) = reply(steps, steps.invite(next_hop=flow), "200 OK", body=ANSWER, contact=contact)
    assert ack.hop == expected
    assert ack["Via"].startswith(f"SIP/2.0/{expected.transport} ")


# Long requests.


def test_a_request_of_1300_octets_goes_by_udp_and_one_more_octet_by_tcp(steps: Steps) -> None:
    short = steps.invite()
    spare = LARGEST_DATAGRAM - len(short.data) - len("Y: \r\n")
    longest = steps.invite(call_id="call-2", headers=(("Y", "x" * spare),))
    assert (len(longest.data), longest.hop) == (1300, Hop(*GATEWAY, UDP))
    longer = steps.invite(call_id="call-3", headers=(("Y", "x" * (spare + 1)),))
    assert (len(longer.data), longer.hop) == (1301, OVER_TCP)
    assert longer["Via"].startswith("SIP/2.0/TCP ")


def test_a_long_invite_with_its_ack_and_cancel_goes_by_tcp(steps: Steps) -> None:
    invite = steps.invite(headers=LONG)
    assert steps.advance(1.9) == []
    reply(steps, invite, "180 Ringing")
    steps.core.cancel("call-1", steps.now)
    cancel = steps.take_one()
    assert (cancel.method, cancel.hop, cancel["Via"]) == ("CANCEL", OVER_TCP, invite["Via"])
    (ack,) = reply(steps, invite, "487 Request Terminated")
    assert (ack.method, ack.hop) == ("ACK", OVER_TCP)


def test_a_peer_without_tcp_gets_the_long_request_by_udp_with_its_branch_and_no_other_by_tcp(steps: Steps) -> None:
    invite = steps.invite(headers=LONG)
    steps.core.transport_error(OVER_TCP, steps.now, "Nothing listens there.")
    datagram = steps.take_one()
    assert (datagram.hop, datagram.branch) == (Hop(*GATEWAY, UDP), invite.branch)
    assert datagram.data.replace(b"SIP/2.0/UDP ", b"SIP/2.0/TCP ") == invite.data
    assert [sent.data for sent in steps.advance(2.0)] == [datagram.data] * 2
    assert steps.answer(datagram).method == "ACK" and steps.names == ["CallAnswered"]
    second = steps.invite(headers=LONG, call_id="call-2")
    assert second.hop == Hop(*GATEWAY, UDP)


def test_so_many_peers_without_tcp_are_remembered_and_no_more(steps: Steps) -> None:
    hops = [Hop("192.0.2.20", 10000 + number) for number in range(300)]
    for hop in hops:
        steps.invite(headers=LONG, next_hop=hop, call_id=f"call-{hop.port}")
        steps.core.transport_error(hop._replace(transport=TCP), steps.now)
        steps.take()
    tried = [steps.invite(headers=LONG, next_hop=hop, call_id=f"again-{hop.port}").hop for hop in (hops[0], hops[-1])]
    assert tried == [hops[0]._replace(transport=TCP), hops[-1]]


@pytest.mark.parametrize("method", ["INVITE", "REFER"])
def test_a_peer_that_takes_the_connection_and_stays_silent_gets_the_long_request_by_udp_after_2_s(
    steps: Steps, method: str
) -> None:
    if method == "INVITE":
        request = steps.invite(headers=LONG)
    else:
        steps.answer(steps.invite(), contact=None)
        steps.core.refer("call-1", "sip:" + "9" * 1400 + "@192.0.2.9", steps.now)
        request = steps.take_one()
    assert (request.method, request.hop) == (method, OVER_TCP)
    steps.core.connection_made(OVER_TCP, ("192.0.2.1", 5060))
    assert steps.advance(1.9) == []
    datagram = steps.advance(0.2)[0]
    assert (datagram.hop, datagram.branch, datagram.at) == (Hop(*GATEWAY, UDP), request.branch, request.at + 2.0)
    # The answer to what TCP had carried after all is taken too.
    reply(steps, request, "100 Trying" if method == "INVITE" else "202 Accepted")
    assert all(sent.method != method for sent in steps.advance(5.0))


def test_a_peer_that_says_trying_by_tcp_in_time_is_waited_for(steps: Steps) -> None:
    invite = steps.invite(headers=LONG)
    reply(steps, invite, "100 Trying", tag=None)
    assert steps.advance(30.0) == []


def test_a_peer_that_takes_neither_fails_the_call_once(steps: Steps) -> None:
    steps.invite(headers=LONG)
    steps.core.transport_error(OVER_TCP, steps.now)
    assert steps.take_one().hop == Hop(*GATEWAY, UDP)
    steps.core.transport_error(Hop(*GATEWAY, UDP), steps.now)
    steps.take()
    assert steps.names == ["HopFailed", "CallFailed"]
    steps.finish()


def test_a_tcp_error_after_a_response_does_not_start_the_request_anew(steps: Steps) -> None:
    invite = steps.invite(headers=LONG)
    reply(steps, invite, "100 Trying", tag=None)
    steps.core.transport_error(OVER_TCP, steps.now)
    assert steps.take() == []
