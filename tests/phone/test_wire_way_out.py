"""The way out on the wire: outbound proxy, caller ID, long requests, keep-alives, the way of the sound."""

import itertools
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from autodialer.errors import Invalid
from autodialer.model import Cause, Disposition
from autodialer.phone.plan import CallPlan
from autodialer.sip.hop import TCP
from tests.peers import gateways
from tests.peers import scenario as s
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture, WireMessage, before_silence
from tests.peers.kamailio import Kamailio
from tests.peers.ports import LOCALHOST, free_port, wait_until
from tests.peers.scenario import Scenario
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk
from tests.phone.test_wire_calls import answers, check_every_message, named

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "kamailio", "baresip", "tshark")]

Gateways = Callable[..., SippGateway]
Captures = Callable[..., Capture]
Desks = Callable[..., Desk]
DOMAIN = "provider.example.test"


# An outbound proxy


def through(proxy: Kamailio) -> dict[str, str]:
    host, port = proxy.address
    return {"domain": DOMAIN, "outbound_proxy": f"sip:{host}:{port};lr"}


def test_a_call_through_an_outbound_proxy_names_the_domain_and_takes_the_proxys_way(
    kamailio: Callable[..., Kamailio], baresip: Callable[..., Baresip], capture_wire: Captures, desk: Desks
) -> None:
    callee = baresip()
    proxy = kamailio(callee.address, callee_user="callee", password="secret")
    wire = capture_wire(proxy.address[1])
    phone = desk(proxy.address, sound_s=1.0, register=True, **through(proxy))
    phone.wait_ready()
    outcome = phone.outcome(phone.call())
    callee.wait_closed()
    assert (outcome.disposition, outcome.played_share) == (Disposition.ANSWERED, 1.0)
    messages = wire.sip()
    ours = [message for message in messages if message.source == phone.phone.sip.loop.local_address]
    preloaded = f"<sip:127.0.0.1:{proxy.address[1]};lr>"
    for register in named(ours, "REGISTER"):
        assert (register.request_uri, register.headers("Route")) == (f"sip:{DOMAIN}", [preloaded])
    for invite in named(ours, "INVITE"):
        assert (invite.request_uri, invite.headers("Route")) == (f"sip:79160000000@{DOMAIN}", [preloaded])
        assert invite.header("To") == f"<sip:79160000000@{DOMAIN}>"
        assert (invite.header("From") or "").startswith(f"<sip:74950000000@{DOMAIN}>;tag=")
    refused, answered = named(ours, "ACK")
    assert refused.headers("Route") == [preloaded] and refused.request_uri == f"sip:79160000000@{DOMAIN}"
    assert answered.request_uri == (named(ours, "BYE")[0].request_uri or "").strip()
    assert all(message.destination == proxy.address for message in ours)
    assert proxy.count("loose_route", "BYE") == 1 and proxy.count("registered", "REGISTER") == 1


def rings_behind_a_proxy() -> Scenario:
    """Rings until the CANCEL; the 487 goes back by both Vias of the INVITE."""
    second = '      <ereg regexp=".*" search_in="hdr" header="Via:" occurrence="2" check_it="true" assign_to="caller"/>'
    headers = (s.INVITE_HEADERS[0], "Via:[$caller]", *s.INVITE_HEADERS[1:])
    body = s.sequence(
        s.receive_invite(second),
        s.respond(180),
        s.receive_logged("CANCEL", timeout_ms=20_000),
        s.send("SIP/2.0 200 OK", s.LAST_HEADERS),
        s.respond(487, headers=headers, retransmit_ms=500),
        s.receive_logged("ACK"),
    )
    return Scenario(name="rings_behind_a_proxy", body=body)


def test_the_cancel_goes_the_way_of_its_invite_through_an_outbound_proxy(
    kamailio: Callable[..., Kamailio], sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(rings_behind_a_proxy(), timeout_s=30)
    proxy = kamailio(gateway.address)
    wire = capture_wire(proxy.address[1])
    phone = desk(proxy.address, **through(proxy))
    outcome = phone.outcome(phone.call(ring_timeout_s=1.0))
    gateway.expect_success()
    assert (outcome.disposition, outcome.sip_code) == (Disposition.NO_ANSWER, 487)
    assert proxy.count("cancel_matched", "CANCEL") == 1
    messages = wire.sip()
    ours = [message for message in messages if message.source == phone.phone.sip.loop.local_address]
    # Acknowledged, so that the proxy sends it no second time.
    assert len([m for m in answers(messages, 487) if m.source == proxy.address]) == 1
    (invite,), (cancel,), (ack,) = (named(ours, method) for method in ("INVITE", "CANCEL", "ACK"))
    for message in (cancel, ack):
        assert message.headers("Route") == invite.headers("Route") != []
        assert (message.request_uri, message.branch) == (invite.request_uri, invite.branch)
    check_every_message(ours)


# Caller ID


@pytest.mark.parametrize(
    ("where", "from_user", "header", "value"),
    [
        ("from", "74950000000", None, None),
        ("p_asserted_identity", "user", "P-Asserted-Identity", "<sip:74950000000@127.0.0.1>"),
        ("p_preferred_identity", "user", "P-Preferred-Identity", "<sip:74950000000@127.0.0.1>"),
        (
            "remote_party_id",
            "user",
            "Remote-Party-ID",
            "<sip:74950000000@127.0.0.1>;party=calling;screen=yes;privacy=off",
        ),
    ],
)
def test_the_caller_id_stands_where_the_trunk_wants_it(
    sipp_gateway: Gateways,
    capture_wire: Captures,
    desk: Desks,
    where: str,
    from_user: str,
    header: str | None,
    value: str | None,
) -> None:
    gateway = sipp_gateway(gateways.answered(), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address, caller_id_header=where, sound_s=0.4)
    assert phone.outcome(phone.call()).disposition is Disposition.ANSWERED
    gateway.expect_success()
    (invite,) = named(wire.sip(), "INVITE")
    assert wire.field("sip.from.user", "sip.Method == INVITE") == [from_user]
    for name in ("P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID"):
        assert invite.headers(name) == ([value] if name == header else [])


HOSTILE = [
    *('7495"<sip:evil@x>', "7495>;tag=x", "7495@evil.example;x=", "7495 <1>,2", "74%0d%0a95", "+7 (495) #*", "é1"),
    *("7495\r\nEvil: 1", "7495\nEvil: 1", "7495\0", "7495\x7f"),
]


@pytest.mark.parametrize("where", ["from", "p_asserted_identity", "p_preferred_identity", "remote_party_id"])
def test_whatever_stands_in_a_number_or_a_caller_id_is_refused_or_stays_in_the_user_part(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, where: str
) -> None:
    gateway = sipp_gateway(gateways.final(486), calls=2 * len(HOSTILE), timeout_s=60)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address, caller_id_header=where)
    called, refused = 0, 0
    for text in HOSTILE:
        for number, caller_id in ((text, None), ("79160000000", text)):
            try:
                call = phone.phone.call(number, CallPlan(reference=called, caller_id=caller_id))
            except Invalid:
                refused += 1
                assert "," in text
                continue
            called += 1
            wait_until(lambda call=call: call.outcome is not None, what="the outcome")
            assert call.outcome and call.outcome.disposition is Disposition.BUSY
    invites = named(wire.sip(), "INVITE")
    gateway.stop()
    assert len(invites) == called == 2 * len(HOSTILE) - refused
    for invite in invites:
        check_one_of_each(invite)
    # tshark reads every user part as a telephone number, and complains about those that are not numbers.
    assert [line for line in wire.malformed() if "Country Code" not in line] == []


def check_one_of_each(invite: WireMessage) -> None:
    for name in ("From", "To", "Contact", "Call-ID", "CSeq", "Via"):
        assert len(invite.headers(name)) == 1, invite.text
    assert not [line for line in invite.text.splitlines() if line.startswith("Evil")]
    assert (invite.request_uri or "").endswith("@127.0.0.1")
    for name in ("From", "To", "P-Asserted-Identity", "Remote-Party-ID"):
        for value in invite.headers(name):
            uri = value.partition("<")[2].partition(">")[0]
            assert uri.startswith("sip:") and uri.count("@") == 1 and uri.endswith("@127.0.0.1"), value
            assert not set(uri) & set(' <>"'), value


# A nonce that is too old


def test_a_stale_nonce_gets_a_third_invite_with_the_new_one(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    first, second = gateways.challenge(401), gateways.challenge(401, nonce="6e6577", stale=True)
    gateway = sipp_gateway(gateways.challenges(first, second, then_answers=True), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address, sound_s=0.4)
    assert phone.outcome(phone.call()).disposition is Disposition.ANSWERED
    gateway.expect_success()
    messages = wire.sip()
    check_every_message(messages)
    invites = named(messages, "INVITE")
    digests = [invite.header("Authorization") or "" for invite in invites]
    assert [nonce in digest for nonce, digest in zip(("", "6e6f6e6365", "6e6577"), digests, strict=True)] == [True] * 3
    assert all("nc=00000001" in digest for digest in digests[1:])
    # One ACK for each challenge, on the branch of its INVITE, and the one for the answer.
    acks = named(messages, "ACK")
    assert [ack.branch for ack in acks[:2]] == [invite.branch for invite in invites[:2]] and len(acks) == 3


# Long requests

LONG = "a" * 60
LONG_DOMAIN = ".".join([LONG] * 3 + ["example"])
"""Stands in Request-URI, From, To and P-Asserted-Identity: the INVITE has over 1300 octets."""


def test_a_request_over_1300_octets_goes_by_tcp_where_the_peer_takes_it(
    kamailio: Callable[..., Kamailio], baresip: Callable[..., Baresip], capture_wire: Captures, desk: Desks
) -> None:
    callee = baresip()
    proxy = kamailio(callee.address, callee_user="callee", tcp=True)
    wire = capture_wire(proxy.address[1], tcp_ports=[proxy.address[1]])
    phone = desk(proxy.address, domain=LONG_DOMAIN, caller_id_header="p_asserted_identity", sound_s=1.0)
    outcome = phone.outcome(phone.call())
    callee.wait_closed()
    assert (outcome.disposition, outcome.played_share) == (Disposition.ANSWERED, 1.0)
    (invite,) = [message for message in named(wire.sip(), "INVITE") if message.destination == proxy.address]
    assert len(invite.raw) > 1300 and (invite.header("Via") or "").startswith("SIP/2.0/TCP ")
    received = {event.method: event.detail for event in proxy.events if event.event == "received"}
    assert received["INVITE"].startswith("proto=tcp")
    assert proxy.count("loose_route", "BYE") == 1 and callee.established == 1


def test_a_request_over_1300_octets_goes_by_udp_where_the_peer_takes_no_tcp(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.answered(), calls=2, timeout_s=30)
    port = gateway.address[1]
    wire = capture_wire(port, tcp_ports=[port])
    phone = desk(gateway.address, domain=LONG_DOMAIN, caller_id_header="p_asserted_identity", sound_s=0.4)
    for number in ("79160000001", "79160000002"):
        outcome = phone.outcome(phone.call(number))
        assert (outcome.disposition, outcome.played_share) == (Disposition.ANSWERED, 1.0)
    gateway.expect_success()
    first, second = named(wire.sip(), "INVITE")
    for invite in (first, second):
        assert len(invite.raw) > 1300 and (invite.header("Via") or "").startswith("SIP/2.0/UDP ")
    assert outcome.pdd_s is not None and outcome.pdd_s < 0.5
    # TCP is tried for the first call alone, and an attempt may be made from two ports.
    assert len(wire.connections(port)) <= 2
    assert all(begun < second.at for begun in wire.times(f"tcp.flags.syn==1 and tcp.dstport=={port}"))


# Keep-alives


def test_keep_alives_of_others_disturb_no_call(sipp_gateway: Gateways, desk: Desks) -> None:
    gateway = sipp_gateway(gateways.answered(), timeout_s=30)
    phone = desk(gateway.address, sound_s=2.0)
    call = phone.call()
    gateway.wait_for("ACK")
    rtp = int(media_port(gateway))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        for data in (b"\r\n\r\n", b"\r\n", b"\0\0\0\0", b"", b"\0"):
            for port in (phone.phone.sip.myPort, rtp):
                for _ in range(20):
                    peer.sendto(data, (LOCALHOST, port))
        peer.settimeout(0.5)
        with pytest.raises(TimeoutError):
            peer.recv(2048)
    outcome = phone.outcome(call)
    gateway.expect_success()
    assert (outcome.disposition, outcome.played_share) == (Disposition.ANSWERED, 1.0)
    assert outcome.rtp is not None and outcome.rtp.received == 0


def test_our_keep_alives_leave_every_15_s_for_as_long_as_a_call_lasts(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.answered(), timeout_s=60)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address, sound_s=16.5)
    assert phone.outcome(phone.call()).played_share == 1.0
    gateway.expect_success()
    threading.Event().wait(0.2)
    pings = wire.times(f"udp.dstport=={gateway.address[1]} and udp.payload == 0d:0a:0d:0a")
    invite = named(wire.sip(), "INVITE")[0]
    assert [ping - invite.at for ping in pings] == [pytest.approx(15.0, abs=2.0)]


# The way of the sound


def media_port(gateway: SippGateway) -> str:
    """The port of our session description."""
    invite = next(m for m in gateway.messages if not m.sent and m.start_line.startswith("INVITE"))
    return next(line for line in invite.text.splitlines() if line.startswith("m=audio")).split()[1]


def rtp_packets(ssrc: int) -> Iterator[bytes]:
    """PCMA silence."""
    for number in itertools.count():
        yield struct.pack("!BBHII", 0x80, 8, number & 0xFFFF, number * 160, ssrc) + b"\xd5" * 160


@pytest.mark.parametrize("symmetric", [True, False])
def test_the_sound_follows_the_callees_where_the_trunk_says_so(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, symmetric: bool
) -> None:
    gateway = sipp_gateway(gateways.answered(), timeout_s=30)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as behind_nat:
        behind_nat.bind((LOCALHOST, free_port()))
        elsewhere = behind_nat.getsockname()
        wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1], elsewhere[1]])
        phone = desk(gateway.address, sound_s=3.0, symmetric_rtp=symmetric)
        call = phone.call()
        gateway.wait_for("ACK")
        ours = (LOCALHOST, int(media_port(gateway)))
        packets = rtp_packets(random.getrandbits(32))
        for _ in range(50):
            behind_nat.sendto(next(packets), ours)
            threading.Event().wait(0.02)
        outcome = phone.outcome(call)
        gateway.expect_success()
    assert (outcome.disposition, outcome.played_share) == (Disposition.ANSWERED, 1.0)
    promised, followed = wire.rtp(destination=gateway.media), before_silence(wire.rtp(destination=elsewhere))
    if not symmetric:
        promised = before_silence(promised)
        assert (len(promised), followed) == (150, [])
        return
    assert len(promised) + len(followed) == 150 and len(followed) > 100
    # One stream: it goes on where it stood.
    both = [*promised, *followed]
    assert len({packet.ssrc for packet in both}) == 1
    assert [packet.sequence for packet in both] == [(both[0].sequence + n) & 0xFFFF for n in range(150)]


# What cannot be reached


def test_a_port_that_closes_during_a_call_ends_it_after_its_bye(sipp_gateway: Gateways, desk: Desks) -> None:
    gateway = sipp_gateway(gateways.answered(), timeout_s=30)
    phone = desk(gateway.address, sound_s=1.5)
    call = phone.call()
    gateway.wait_for("ACK")
    gateway.stop()
    outcome = phone.outcome(call)
    assert (outcome.disposition, outcome.played_share) == (Disposition.ANSWERED, 1.0)


@pytest.mark.parametrize("transport", ["UDP", TCP])
def test_an_address_without_a_route_fails_the_call_at_once(desk: Desks, transport: str) -> None:
    # 127.0.0.1 cannot send to an address of the documentation's network.
    phone = desk(("192.0.2.1", 5060), transport=transport)
    wait_until(lambda: phone.phone.ready, what="the phone", timeout_s=10)
    outcome = phone.outcome(phone.call(), timeout_s=10)
    assert (outcome.disposition, outcome.cause) == (Disposition.FAILED, Cause.TRANSPORT_ERROR)
    assert outcome.message
