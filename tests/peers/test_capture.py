"""Captures, of calls between SIPp and SIPp."""

import socket
from pathlib import Path

import pytest

from tests.peers import callers, gateways, ports, sox
from tests.peers.fixtures import StartCaller, StartCapture, StartGateway

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "tshark")]


def test_a_capture_holds_every_message_of_a_call_as_values(
    sipp_gateway: StartGateway, sipp_caller: StartCaller, capture_wire: StartCapture
) -> None:
    gateway = sipp_gateway(gateways.asks_password("user", "password"), timeout_s=10)
    wire = capture_wire(gateway.address[1])
    caller = sipp_caller(callers.calls_with_password(talk_ms=10), gateway.address, numbers=["79161234567"])
    gateway.expect_success()
    messages = wire.sip()
    assert [message.method or message.code for message in messages] == [
        "INVITE", 401, "ACK", "INVITE", 180, 200, "ACK", "BYE", 200,
    ]  # fmt: skip
    first, challenge, ack, second = messages[:4]
    assert first.request_uri == f"sip:79161234567@127.0.0.1:{gateway.address[1]}"
    assert (first.source, first.destination) == (caller.address, gateway.address)
    assert first.branch == challenge.branch == ack.branch != second.branch
    assert first.branch.startswith("z9hG4bK")
    assert first.to_tag is None
    assert challenge.to_tag == ack.to_tag
    assert len({message.from_tag for message in messages}) == 1
    assert [(m.cseq, m.cseq_method) for m in (first, ack, second, messages[7])] == [
        (1, "INVITE"), (1, "ACK"), (2, "INVITE"), (3, "BYE"),
    ]  # fmt: skip
    assert first.body.startswith(b"v=0\r\n")
    assert "username=" in (second.header("authorization") or "")
    assert wire.sip(call_id="another") == []
    assert wire.malformed() == []
    assert sorted(messages, key=lambda message: message.at) == messages


@pytest.mark.peer("sox")
def test_rtp_that_a_gateway_sends_back_is_read_packet_by_packet(
    sipp_gateway: StartGateway, sipp_caller: StartCaller, capture_wire: StartCapture, tmp_path: Path
) -> None:
    sound = sox.to_alaw(sox.make_sweep(tmp_path / "sweep.wav", seconds=0.5), tmp_path / "sweep.al")
    gateway = sipp_gateway(gateways.answered(ring_ms=10), rtp_echo=True, timeout_s=10)
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1]])
    caller = callers.calls_and_hangs_up(talk_ms=700, plays=sound)
    sipp_caller(caller, gateway.address, numbers=["79161234567"]).expect_success()
    gateway.expect_success()
    there, back = wire.rtp(destination=gateway.media), wire.rtp(source=gateway.media)
    assert b"".join(packet.payload for packet in there) == sound.read_bytes()
    assert [packet.payload for packet in back] == [packet.payload for packet in there]
    first = there[0]
    steps = [(packet.sequence - first.sequence, packet.timestamp - first.timestamp) for packet in there]
    assert steps == [(index, 160 * index) for index in range(25)]
    assert {(packet.ssrc, packet.payload_type) for packet in there} == {(first.ssrc, 8)}


def test_a_capture_holds_only_the_ports_it_was_asked_for(capture_wire: StartCapture) -> None:
    wanted = ports.free_port()
    wire = capture_wire(wanted)
    message = b"OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nCall-ID: %d\r\n\r\n"
    with ports.silent_host() as other, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(message % 1, other)
        sender.sendto(message % 2, ("127.0.0.1", wanted))
    assert [found.call_id for found in wire.sip()] == ["2"]
