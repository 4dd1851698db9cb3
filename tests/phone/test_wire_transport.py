"""Calls over TCP and TLS: framing, connections kept and lost, certificates. SIPp, Kamailio and baresip judge."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from autodialer.model import Cause, Disposition, EndedBy
from autodialer.sip.hop import TCP, TLS
from autodialer.sip.shell import TlsSettings
from tests.peers import gateways, sox
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture
from tests.peers.certificates import issue
from tests.peers.kamailio import Kamailio
from tests.peers.ports import LOCALHOST, free_port
from tests.peers.rechunk import Rechunk
from tests.peers.scenario import Scenario
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk
from tests.phone.test_wire_calls import check_every_message, named
from tests.timing import at_most

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "kamailio", "kamailio-tls", "baresip", "tshark", "sox")]

Gateways = Callable[..., SippGateway]
Captures = Callable[..., Capture]
Desks = Callable[..., Desk]
BY_TCP = ("-t", "t1")


# TCP


@pytest.mark.parametrize("scenario", [gateways.answered(), gateways.callee_bye()], ids=["our_bye", "callees_bye"])
def test_a_call_over_tcp_is_answered_played_and_ended(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, scenario: Scenario
) -> None:
    gateway = sipp_gateway(scenario, timeout_s=30, extra=BY_TCP)
    wire = capture_wire(tcp_ports=[gateway.address[1]])
    phone = desk(gateway.address, transport=TCP, sound_s=3.0)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert outcome.disposition is Disposition.ANSWERED
    messages = wire.sip()
    check_every_message(messages)
    ours = [message for message in messages if message.is_request and message.destination == gateway.address]
    assert all((message.header("Via") or "").startswith("SIP/2.0/TCP 127.0.0.1:") for message in ours)
    (invite,) = named(messages, "INVITE")
    port = phone.phone.sip.myPort
    assert invite.header("Contact") == f"<sip:user@127.0.0.1:{port};transport=tcp>"
    # From the port that we listen on, so that a peer that connects to our Contact comes to us.
    assert wire.connections(gateway.address[1]) == [(LOCALHOST, port)]
    assert [len(named(messages, method)) for method in ("INVITE", "ACK", "BYE")] == [1, 1, 1]


def test_a_gateway_whose_tcp_port_takes_connections_and_never_answers_gets_a_long_invite_by_udp(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.answered(), timeout_s=30)
    wire = capture_wire(gateway.address[1], tcp_ports=[gateway.address[1]])
    phone = desk(gateway.address, sound_s=0.3, domain=f"{'a' * 60}.{'b' * 60}.{'c' * 60}.example", caller_id="9" * 400)
    with socket.create_server(gateway.address):
        outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert outcome.disposition is Disposition.ANSWERED
    by_tcp, by_udp = named(wire.sip(), "INVITE")
    assert len(by_tcp.raw) > 1300 and by_tcp.branch == by_udp.branch
    assert [(invite.header("Via") or "")[:11] for invite in (by_tcp, by_udp)] == ["SIP/2.0/TCP", "SIP/2.0/UDP"]
    assert 1.9 <= by_udp.at - by_tcp.at <= at_most(2.3)


def test_a_ringing_call_is_cancelled_over_its_connection(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.rings_for_ever(), timeout_s=30, extra=BY_TCP)
    wire = capture_wire(tcp_ports=[gateway.address[1]])
    phone = desk(gateway.address, transport=TCP)
    outcome = phone.outcome(phone.call(ring_timeout_s=1.0))
    gateway.expect_success()
    assert (outcome.disposition, outcome.sip_code) == (Disposition.NO_ANSWER, 487)
    assert len(wire.connections(gateway.address[1])) == 1


def test_all_calls_of_a_trunk_share_one_connection(sipp_gateway: Gateways, capture_wire: Captures, desk: Desks) -> None:
    gateway = sipp_gateway(gateways.answered(), calls=20, timeout_s=40, extra=BY_TCP)
    wire = capture_wire(tcp_ports=[gateway.address[1]])
    phone = desk(gateway.address, transport=TCP, sound_s=0.5)
    calls = [phone.call(f"7916000{number:04}") for number in range(20)]
    outcomes = [phone.outcome(call) for call in calls]
    gateway.expect_success()
    assert {outcome.disposition for outcome in outcomes} == {Disposition.ANSWERED}
    assert len(wire.connections(gateway.address[1])) == 1


@pytest.mark.parametrize(("octets", "hold_s"), [(1, 0.0), (7, 0.0), (100, 0.0), (100_000, 0.25)])
def test_responses_split_and_merged_by_the_network_are_understood(
    sipp_gateway: Gateways, desk: Desks, octets: int, hold_s: float
) -> None:
    # With the pause 100, 180 and 200 come in one piece.
    scenario = gateways.answered(ring_ms=0)
    gateway = sipp_gateway(scenario, timeout_s=40, extra=BY_TCP)
    with Rechunk(gateway.address, octets=octets, hold_s=hold_s) as relay:
        phone = desk(relay.address, transport=TCP, sound_s=0.5)
        outcome = phone.outcome(phone.call())
        gateway.expect_success()
    assert (outcome.disposition, outcome.played_share) == (Disposition.ANSWERED, 1.0)
    assert gateway.errors == ""


def test_a_connection_that_the_peer_closes_during_a_call_costs_nothing_and_our_bye_takes_a_new_one(
    kamailio: Callable[..., Kamailio], baresip: Callable[..., Baresip], capture_wire: Captures, desk: Desks
) -> None:
    callee = baresip()
    proxy = kamailio(callee.address, callee_user="callee", tcp=True, tcp_lifetime_s=1)
    wire = capture_wire(tcp_ports=[proxy.address[1]])
    phone = desk(proxy.address, transport=TCP, sound_s=13.0)
    outcome = phone.outcome(phone.call())
    callee.wait_closed()
    assert (outcome.disposition, outcome.ended_by, outcome.played_share) == (Disposition.ANSWERED, EndedBy.US, 1.0)
    assert proxy.count("loose_route", "BYE") == 1
    assert len(wire.connections(proxy.address[1])) == 2
    assert len(named(wire.sip(), "INVITE")) == len(named(wire.sip(), "BYE")) == 1


def test_the_callees_bye_over_a_connection_of_its_own_is_answered_there(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.answered(), timeout_s=30, extra=BY_TCP)
    phone = desk(gateway.address, transport=TCP, sound_s=20.0)
    wire = capture_wire(tcp_ports=[phone.phone.sip.myPort])
    call = phone.call()
    gateway.wait_for("ACK")
    ack = next(message for message in gateway.messages if not message.sent and message.start_line.startswith("ACK"))
    with socket.create_connection((LOCALHOST, phone.phone.sip.myPort), timeout=at_most(5)) as callee:
        callee.sendall(bye_of_callee(ack.header, callee.getsockname()))
        answer = callee.recv(65_536)
    assert answer.startswith(b"SIP/2.0 200 ")
    outcome = phone.outcome(call)
    assert (outcome.disposition, outcome.ended_by) == (Disposition.ANSWERED, EndedBy.CALLEE)
    (ok,) = [message for message in wire.sip() if message.code == 200 and message.cseq_method == "BYE"]
    assert ok.source == (LOCALHOST, phone.phone.sip.myPort)
    gateway.stop()


def bye_of_callee(header: Callable[[str], str | None], address: tuple[str, int]) -> bytes:
    """The callee's BYE in the dialog of an ACK, in two halves that TCP may cut anywhere."""
    lines = [
        "BYE sip:user@127.0.0.1 SIP/2.0",
        f"Via: SIP/2.0/TCP {address[0]}:{address[1]};branch=z9hG4bKcallee1",
        "Max-Forwards: 70",
        f"From: {header('To')}",
        f"To: {header('From')}",
        f"Call-ID: {header('Call-ID')}",
        "CSeq: 1 BYE",
        "Content-Length: 0",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def test_a_ping_on_a_connection_gets_its_pong_and_noise_is_ignored(desk: Desks) -> None:
    phone = desk((LOCALHOST, 9), transport=TCP)
    with socket.create_connection((LOCALHOST, phone.phone.sip.myPort), timeout=at_most(5)) as peer:
        peer.sendall(b"\r\n\r\n")
        assert peer.recv(100) == b"\r\n"
        peer.sendall(b"\r\n\r\n" * 3)
        pongs = b""
        while len(pongs) < 6:
            pongs += peer.recv(100)
        assert pongs == b"\r\n" * 3
        peer.sendall(b"Content-Length: -1\r\n\r\n")
        assert peer.recv(100) == b""


def test_nothing_listens_on_the_tcp_port_and_the_call_fails_at_once_with_a_sentence(desk: Desks) -> None:
    phone = desk((LOCALHOST, free_port()), transport=TCP)
    outcome = phone.outcome(phone.call(), timeout_s=5)
    assert (outcome.disposition, outcome.cause) == (Disposition.FAILED, Cause.TRANSPORT_ERROR)
    assert "nothing listens there" in (outcome.message or "")


def test_a_call_over_tcp_goes_through_kamailio_to_baresip_by_tcp_and_back(
    kamailio: Callable[..., Kamailio], baresip: Callable[..., Baresip], capture_wire: Captures, desk: Desks
) -> None:
    callee = baresip()
    proxy = kamailio(callee.address, callee_user="callee", callee_transport="tcp", password="secret", tcp=True)
    wire = capture_wire(tcp_ports=[proxy.address[1], callee.address[1]])
    phone = desk(proxy.address, transport=TCP, sound_s=2.0)
    outcome = phone.outcome(phone.call())
    callee.wait_closed()
    assert (outcome.disposition, outcome.ended_by, outcome.played_share) == (Disposition.ANSWERED, EndedBy.US, 1.0)
    assert proxy.count("loose_route", "BYE") == 1 and proxy.count("no_route", "ACK") == 0
    assert all(event.detail.startswith("proto=tcp") for event in proxy.events if event.event == "received")
    assert callee.established == 1
    ours = [message for message in wire.sip() if message.destination == proxy.address]
    check_every_message([message for message in ours if message.source[1] == phone.phone.sip.myPort])
    (recording,) = callee.recordings
    assert sox.compare(phone.stem.with_suffix(".wav"), recording).missing_s < 0.1


# TLS


def secured(
    kamailio: Callable[..., Kamailio],
    baresip: Callable[..., Baresip],
    folder: Path,
    name: str = LOCALHOST,
    days: int = 1,
) -> tuple[Kamailio, Baresip, str]:
    """Kamailio behind TLS with a certificate for `name`, its callee, and the issuer's certificate."""
    issued = issue(folder, name, days=days)
    callee = baresip()
    tls = (issued.certificate, issued.key)
    return kamailio(callee.address, callee_user="callee", password="secret", tls=tls), callee, issued.ca_pem


@pytest.mark.parametrize("name", [LOCALHOST, "sip.example.test"])
def test_a_call_over_tls_is_heard_and_nothing_of_it_is_to_be_read_on_the_way(
    kamailio: Callable[..., Kamailio],
    baresip: Callable[..., Baresip],
    capture_wire: Captures,
    desk: Desks,
    tmp_path: Path,
    name: str,
) -> None:
    proxy, callee, ca_pem = secured(kamailio, baresip, tmp_path, name)
    port = proxy.address[1]
    tls = TlsSettings(server_name=name, ca_pem=ca_pem)
    wire = capture_wire(port, tcp_ports=[port])
    phone = desk(proxy.address, transport=TLS, tls=tls, sound_s=2.0, domain=name, register=True)
    phone.wait_ready()
    outcome = phone.outcome(phone.call())
    callee.wait_closed()
    phone.phone.stop()
    proxy.wait_for("registered", "REGISTER", count=2)
    assert (outcome.disposition, outcome.ended_by, outcome.played_share) == (Disposition.ANSWERED, EndedBy.US, 1.0)
    received = [event for event in proxy.events if event.event == "received"]
    assert {event.method for event in received} == {"REGISTER", "INVITE", "ACK", "BYE"}
    assert all(event.detail.startswith("proto=tls") for event in received)
    assert proxy.count("loose_route", "ACK") >= 1 and proxy.count("loose_route", "BYE") == 1
    assert proxy.count("registered", "REGISTER") == 2
    (recording,) = callee.recordings
    assert sox.compare(phone.stem.with_suffix(".wav"), recording).missing_s < 0.1
    assert wire.sip() == []
    assert not wire.contains(b"SIP/2.0") and not wire.contains(b"79160000000")
    assert len(wire.connections(port)) == 1


@pytest.mark.parametrize(
    ("asked", "days", "trusted", "words"),
    [
        (LOCALHOST, 1, False, "unable to get local issuer certificate"),
        ("other.example.test", 1, True, "Hostname mismatch"),
        ("127.0.0.2", 1, True, "IP address mismatch"),
        (LOCALHOST, -1, True, "certificate has expired"),
    ],
    ids=["unknown_issuer", "other_name", "other_address", "expired"],
)
def test_a_certificate_that_does_not_fit_ends_the_call_before_anything_is_sent(
    kamailio: Callable[..., Kamailio],
    baresip: Callable[..., Baresip],
    capture_wire: Captures,
    desk: Desks,
    tmp_path: Path,
    asked: str,
    days: int,
    trusted: bool,
    words: str,
) -> None:
    proxy, _, ca_pem = secured(kamailio, baresip, tmp_path, days=days)
    port = proxy.address[1]
    wire = capture_wire(port, tcp_ports=[port])
    tls = TlsSettings(server_name=asked, ca_pem=ca_pem if trusted else issue(tmp_path, "stranger").ca_pem)
    phone = desk(proxy.address, transport=TLS, tls=tls)
    outcome = phone.outcome(phone.call(), timeout_s=10)
    assert (outcome.disposition, outcome.cause, outcome.sip_code) == (Disposition.FAILED, Cause.TRANSPORT_ERROR, None)
    assert words in (outcome.message or "") and "ca_file" in (outcome.message or "")
    assert proxy.events == []
    assert not wire.contains(b"SIP/2.0")


def test_a_port_that_speaks_no_tls_ends_the_call_with_a_sentence(sipp_gateway: Gateways, desk: Desks) -> None:
    gateway = sipp_gateway(gateways.answered(), timeout_s=20, extra=BY_TCP)
    phone = desk(gateway.address, transport=TLS, tls=TlsSettings(server_name=LOCALHOST))
    outcome = phone.outcome(phone.call(), timeout_s=15)
    assert (outcome.disposition, outcome.cause) == (Disposition.FAILED, Cause.TRANSPORT_ERROR)
    assert "No TLS connection" in (outcome.message or "")
    gateway.stop()
    assert gateway.requests == []
