"""Kamailio and baresip, called by SIPp."""

import hashlib
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.peers import callers, gateways, sox
from tests.peers.baresip import Baresip
from tests.peers.fixtures import StartCaller, StartCapture, StartGateway
from tests.peers.kamailio import Kamailio
from tests.timing import at_most

pytestmark = [pytest.mark.loopback]

NUMBER = "79161234567"


@pytest.mark.peer("sipp", "kamailio", "baresip", "tshark", "sox")
def test_a_sound_sent_through_a_proxy_with_password_is_recorded_by_the_callee(
    sipp_caller: StartCaller,
    capture_wire: StartCapture,
    kamailio: Callable[..., Kamailio],
    baresip: Callable[..., Baresip],
    tmp_path: Path,
) -> None:
    sweep = sox.make_sweep(tmp_path / "sweep.wav", seconds=2)
    alaw = sox.to_alaw(sweep, tmp_path / "sweep.al")
    callee = baresip()
    proxy = kamailio(callee.address, callee_user="callee", password="password")
    wire = capture_wire(proxy.address[1], callee.address[1], rtp_ports=[(callee.rtp_ports[0], callee.rtp_ports[-1])])
    caller = sipp_caller(
        callers.calls_with_password(code=407, talk_ms=2500, plays=alaw), proxy.address, numbers=[NUMBER], timeout_s=15
    )
    caller.expect_success()
    callee.wait_closed()
    assert [(entry.event, entry.method) for entry in proxy.events if entry.event != "received"] == [
        ("challenged", "INVITE"),
        ("authenticated", "INVITE"),
        ("relayed", "INVITE"),
        ("loose_route", "ACK"),
        ("loose_route", "BYE"),
    ]
    assert callee.established == 1
    heard = sox.compare(sweep, callee.recordings[0])
    assert heard.snr_db > 30
    assert heard.missing_s < 0.1
    packets = [packet for packet in wire.rtp() if packet.destination[1] in callee.rtp_ports]
    assert len(packets) == callee.received_packets[0]
    assert {(packet.payload_type, len(packet.payload)) for packet in packets} == {(8, 160)}
    decoded = sox.from_g711([packet.payload for packet in packets], "PCMA", tmp_path / "wire.wav")
    assert sox.compare(sweep, decoded).snr_db > 30


@pytest.mark.peer("sipp", "kamailio")
def test_a_proxy_without_password_routes_the_callees_bye_to_the_caller(
    sipp_gateway: StartGateway, sipp_caller: StartCaller, kamailio: Callable[..., Kamailio]
) -> None:
    gateway = sipp_gateway(gateways.callee_bye(after_ms=50), timeout_s=10)
    proxy = kamailio(gateway.address)
    sipp_caller(callers.calls_and_waits_for_bye(), proxy.address, numbers=[NUMBER]).expect_success()
    gateway.expect_success()
    assert gateway.invites_by_number == {NUMBER: 1}
    assert (proxy.count("loose_route", "ACK"), proxy.count("loose_route", "BYE")) == (1, 1)


@pytest.mark.peer("sipp", "kamailio")
def test_a_cancel_through_the_proxy_reaches_the_gateway(
    sipp_gateway: StartGateway, sipp_caller: StartCaller, kamailio: Callable[..., Kamailio]
) -> None:
    gateway = sipp_gateway(gateways.rings_for_ever(), timeout_s=10)
    proxy = kamailio(gateway.address)
    sipp_caller(callers.calls_and_cancels(ring_ms=20), proxy.address, numbers=[NUMBER]).expect_success()
    gateway.expect_success()
    assert proxy.count("cancel_matched", "CANCEL") == 1


@pytest.mark.peer("kamailio")
@pytest.mark.parametrize("password", ["right", "wrong"])
def test_a_sha256_digest_is_verified_by_the_proxy(kamailio: Callable[..., Kamailio], password: str) -> None:
    """No other peer here can make a SHA-256 digest: this one is made by hand from RFC 7616 section 3.4.1."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as callee,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller,
    ):
        for end in (callee, caller):
            end.bind(("127.0.0.1", 0))
            end.settimeout(at_most(5))
        proxy = kamailio(callee.getsockname(), username="user", password="right", code=401, algorithm="SHA-256")
        uri = f"sip:{NUMBER}@127.0.0.1:{proxy.address[1]}"
        caller.sendto(_invite(uri, 1, caller.getsockname()[1], ""), proxy.address)
        asked = caller.recv(4096).decode()
        assert "algorithm=SHA-256" in asked
        nonce = re.findall('nonce="(.*?)"', asked)[0]
        secret, request = _sha256(f"user:kamailio:{password}"), _sha256(f"INVITE:{uri}")
        response = _sha256(f"{secret}:{nonce}:00000001:abcd:auth:{request}")
        digest = (
            f'Authorization: Digest username="user", realm="kamailio", nonce="{nonce}", uri="{uri}", '
            f'response="{response}", algorithm=SHA-256, qop=auth, nc=00000001, cnonce="abcd"\r\n'
        )
        caller.sendto(_invite(uri, 2, caller.getsockname()[1], digest), proxy.address)
        proxy.wait_for(
            "authenticated" if password == "right" else "challenged", "INVITE", count=1 if password == "right" else 2
        )
        assert proxy.count("authenticated", "INVITE") == (password == "right")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _invite(uri: str, cseq: int, port: int, digest: str) -> bytes:
    return (
        f"INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{cseq}\r\nMax-Forwards: 70\r\n"
        f"From: <sip:a@127.0.0.1>;tag=1\r\nTo: <{uri}>\r\nCall-ID: sha256\r\nCSeq: {cseq} INVITE\r\n{digest}"
        f"Contact: <sip:a@127.0.0.1:{port}>\r\nContent-Length: 0\r\n\r\n"
    ).encode()
