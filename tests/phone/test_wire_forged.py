"""Forged SIP from a third host that knows everything about a call: it leads no sound away and ends nothing."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from autodialer.model import Disposition, EndedBy
from tests.peers import gateways
from tests.peers.capture import Capture
from tests.peers.ports import LOCALHOST, wait_until
from tests.peers.sipp import SippGateway, TracedMessage
from tests.phone.desk import Desk
from tests.timing import at_most

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "tshark")]

Gateways = Callable[..., SippGateway]
Captures = Callable[..., Capture]
Desks = Callable[..., Desk]
STRANGER = "127.0.0.66"


@contextmanager
def stranger() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind((STRANGER, 0))
        yield bound


def traced(gateway: SippGateway, method: str) -> TracedMessage:
    """What SIPp has received of that method."""

    def found() -> list[TracedMessage]:
        return [message for message in gateway.messages if message.start_line.startswith(f"{method} ")]

    wait_until(lambda: found() != [], what=f"the {method}")
    return found()[0]


def forged_200(invite: TracedMessage, media: tuple[str, int]) -> bytes:
    sdp = (
        f"v=0\r\no=- 9 9 IN IP4 {media[0]}\r\ns=-\r\nc=IN IP4 {media[0]}\r\nt=0 0\r\n"
        f"m=audio {media[1]} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
    )
    copied = [f"{name}: {invite.header(name)}" for name in ("Via", "From", "Call-ID", "CSeq")]
    lines = ["SIP/2.0 200 OK", *copied, f"To: {invite.header('To')};tag=forged", f"Contact: <sip:x@{STRANGER}:5060>"]
    return "\r\n".join((*lines, "Content-Type: application/sdp", f"Content-Length: {len(sdp)}", "", sdp)).encode()


def forged_bye(ack: TracedMessage, number: int) -> bytes:
    lines = (
        "BYE sip:x@127.0.0.1 SIP/2.0",
        f"Via: SIP/2.0/UDP {STRANGER}:5060;branch=z9hG4bKforged{number}",
        f"From: {ack.header('To')}",
        f"To: {ack.header('From')}",
        f"Call-ID: {ack.header('Call-ID')}",
        "CSeq: 900 BYE",
        "Max-Forwards: 70",
        "Content-Length: 0",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "off"])
def test_a_forged_200_with_the_right_branch_leads_the_sound_nowhere(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, *, strict: bool
) -> None:
    gateway = sipp_gateway(gateways.answered(ring_ms=1500), timeout_s=30)
    with stranger() as third, stranger() as ear:
        wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1], ear.getsockname()[1]])
        phone = desk(gateway.address, sound_s=1.0, strict_source=strict)
        call = phone.call()
        invite = traced(gateway, "INVITE")
        third.sendto(forged_200(invite, ear.getsockname()), (LOCALHOST, phone.phone.sip.myPort))
        if not strict:
            # The setting is what keeps the stranger out.
            ear.settimeout(at_most(5.0))
            assert len(ear.recv(2048)) == 172
            phone.phone.stop()
            return
        outcome = phone.outcome(call)
        assert wire.rtp(destination=ear.getsockname()) == []
    gateway.expect_success()
    assert (outcome.disposition, outcome.played_share, outcome.ended_by) == (Disposition.ANSWERED, 1.0, EndedBy.US)
    assert all(message.destination[0] != STRANGER for message in wire.sip())


def test_a_forged_bye_with_the_right_tags_ends_no_call(sipp_gateway: Gateways, desk: Desks) -> None:
    gateway = sipp_gateway(gateways.answered(), timeout_s=30)
    phone = desk(gateway.address, sound_s=2.0)
    call = phone.call()
    gateway.wait_for("ACK")
    ack = traced(gateway, "ACK")
    with stranger() as third:
        for number in range(20):
            third.sendto(forged_bye(ack, number), (LOCALHOST, phone.phone.sip.myPort))
        outcome = phone.outcome(call)
        third.setblocking(False)
        with pytest.raises(BlockingIOError):
            third.recv(4096)
    gateway.expect_success()
    assert (outcome.disposition, outcome.played_share, outcome.ended_by) == (Disposition.ANSWERED, 1.0, EndedBy.US)
