"""Many calls by one RTP port, against SIPp and baresip: each callee gets its own sound whole."""

from collections.abc import Callable

import pytest

from autodialer.model import Disposition
from tests.peers import gateways
from tests.peers.capture import Capture
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


def test_simultaneous_calls_to_one_address_are_never_mixed(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.answered(), calls=4, timeout_s=40, rtp_echo=True)
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
        assert len(stream) == 50
