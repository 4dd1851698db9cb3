"""What the records of a whole campaign say was played, against the wire, while the dialer is busy with all of it."""

from pathlib import Path

import pytest

from autodialer.model import EndedBy
from tests.dialer.world import World
from tests.peers import gateways
from tests.peers.capture import Capture, WireMessage
from tests.peers.sipp import SippGateway

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "tshark")]

CALLS = 60


def offered_port(invite: WireMessage) -> int:
    (line,) = [line for line in invite.body.decode().splitlines() if line.startswith("m=audio")]
    return int(line.split()[1])


def test_played_seconds_of_every_call_of_a_busy_dialer_are_those_on_the_wire_to_20_ms(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=5.0)
    numbers = [f"7000000{number:04d}" for number in range(CALLS)]
    scenario = gateways.callee_bye(after_ms=1234)
    with SippGateway(scenario, calls=CALLS, timeout_s=60) as gateway:
        sip, rtp = gateway.address[1], [gateway.media[1]]
        with Capture(tmp_path / "wire.pcap", sip_ports=[sip], rtp_ports=rtp) as wire:
            campaign = world.campaign(gateway.address, numbers, cps=50.0, max_channels=CALLS)
            with world.dialer():
                world.wait_finished(campaign, timeout_s=40)
            gateway.expect_success(timeout_s=10)
    messages, packets = wire.sip(), wire.rtp(destination=gateway.media)
    ports = {one.call_id: offered_port(one) for one in messages if one.method == "INVITE"}
    byes = {one.call_id: one.at for one in reversed(messages) if one.method == "BYE"}
    records = [record for calls in world.records(campaign).values() for record in calls]
    assert len(records) == CALLS == len(set(ports.values()))
    for record in records:
        assert record.outcome is not None and record.outcome.ended_by is EndedBy.CALLEE
        port, ended_at = ports[str(record.id)], byes[str(record.id)]
        before = sum(packet.source[1] == port and packet.at <= ended_at for packet in packets)
        assert record.outcome.played_s == pytest.approx(before * 0.02, abs=0.021)
