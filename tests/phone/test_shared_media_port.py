"""Many calls by one RTP port, against SIPp and baresip: each callee gets its own sound whole."""

from collections.abc import Callable

import pytest

from autodialer.model import Disposition
from tests.peers import gateways, session_gateways
from tests.peers.capture import Capture, WireMessage, before_silence
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk
from tests.phone.test_wire_media import check_stream

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "tshark")]

Gateways = Callable[..., SippGateway]
Captures = Callable[..., Capture]
Desks = Callable[..., Desk]


def test_calls_to_one_address_at_a_time_share_the_port_and_are_heard_whole(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.answered(), calls=3, timeout_s=40, rtp_echo=True)
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1]])
    phone = desk(gateway.address, sound_s=0.5, shared_media_port=True)
    for number in range(3):
        outcome = phone.outcome(phone.call(f"7916000000{number}"))
        assert (outcome.disposition, outcome.played_share) == (Disposition.ANSWERED, 1.0)
        assert outcome.rtp is not None and not outcome.rtp.one_way_audio
    gateway.expect_success()
    packets = wire.rtp(destination=gateway.media)
    assert len({packet.source for packet in packets}) == 1
    for ssrc in {packet.ssrc for packet in packets}:
        check_stream([packet for packet in packets if packet.ssrc == ssrc], 8)


@pytest.mark.parametrize("codes", [(200,), (491, 200), (488,)], ids=["taken", "glare", "refused"])
def test_a_call_to_an_address_in_use_gets_a_port_of_its_own_and_the_callee_is_told(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, codes: tuple[int, ...]
) -> None:
    sound_s = 4.5 if 491 in codes else 1.0
    gateway = sipp_gateway(session_gateways.takes_offers(*codes), calls=2, timeout_s=40)
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1]])
    phone = desk(gateway.address, sound_s=sound_s, shared_media_port=True)
    calls = [phone.call(f"7916000000{number}") for number in range(2)]
    outcomes = [phone.outcome(call) for call in calls]
    gateway.expect_success()
    assert [outcome.played_share for outcome in outcomes] == [1.0] * 2
    offers = [one for one in wire.sip() if one.method == "INVITE" and one.to_tag is not None]
    assert len(offers) == len(codes)
    answers = [one.code for one in wire.sip() if one.cseq_method == "INVITE" and one.cseq > 1 and one.code]
    assert answers == list(codes)
    packets = wire.rtp(destination=gateway.media)
    streams = {packet.ssrc: [one for one in packets if one.ssrc == packet.ssrc] for packet in packets}
    sources = {stream[0].source[1] for stream in streams.values()}
    assert len(streams) == 2 == len(sources)
    for stream in streams.values():
        check_stream(stream, 8)
        assert len({packet.source for packet in stream}) == 1
        assert len(before_silence(stream)) == sound_s * 50
    first_offers = {offered_port(one) for one in wire.sip() if one.method == "INVITE" and one.to_tag is None}
    new_ports = {offered_port(one) for one in offers}
    assert len(first_offers) == len(new_ports) == 1
    assert sources == first_offers | new_ports
    assert all(port % 2 == 0 and 33000 <= port < 60000 for port in new_ports)
    check_start(wire, min(stream[0].at for stream in streams.values()))


def offered_port(invite: WireMessage) -> int:
    (line,) = [line for line in invite.body.decode().splitlines() if line.startswith("m=audio")]
    return int(line.split()[1])


def check_start(wire: Capture, first: float) -> None:
    """No sound waits for the re-INVITE."""
    acks = [one.at for one in wire.sip() if one.method == "ACK" and one.cseq == 1]
    assert first - min(acks) < 0.15


def test_simultaneous_calls_to_one_address_are_never_mixed(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(session_gateways.takes_offers(200), calls=4, timeout_s=40, rtp_echo=True)
    wire = capture_wire(gateway.address[1], rtp_ports=[gateway.media[1]])
    phone = desk(gateway.address, sound_s=1.0, shared_media_port=True)
    calls = [phone.call(f"7916000000{number}") for number in range(4)]
    outcomes = [phone.outcome(call) for call in calls]
    gateway.expect_success()
    assert [outcome.played_share for outcome in outcomes] == [1.0] * 4
    packets = wire.rtp(destination=gateway.media)
    streams = {packet.ssrc: [one for one in packets if one.ssrc == packet.ssrc] for packet in packets}
    assert len(streams) == 4 == len({packet.source for packet in packets})
    for stream in streams.values():
        check_stream(stream, 8)
        assert len(before_silence(stream)) == 50
