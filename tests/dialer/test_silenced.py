"""kill -9 of the dialer while phones ring: the next dialer silences them, whenever the kill came."""

import time
from datetime import datetime
from pathlib import Path

import pytest

from autodialer.model import Disposition
from tests.dialer.world import NO_RETRIES, World
from tests.peers.by_number import Behaviour, by_number
from tests.peers.ports import free_ports, wait_until
from tests.peers.sipp import SippGateway
from tests.timing import at_most

pytestmark = [pytest.mark.peer("sipp"), pytest.mark.loopback, pytest.mark.timeout(200)]

RING_S = 20
SILENT_WITHIN_S = 3.0


def speaks_at(log: Path, started_at: float) -> float:
    """When the dialer that was started then logs its first line: loading Python on a busy machine is not its doing."""

    def first() -> float | None:
        stamps = (line[:23] for line in log.read_text().splitlines() if line[:2] == "20")
        times = (datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S,%f").timestamp() for stamp in stamps)
        return next((at for at in times if at > started_at), None)

    wait_until(lambda: first() is not None, what="the dialer's first line", timeout_s=40)
    return first() or started_at


def kept(world: World) -> set[str]:
    """Call-IDs."""
    return {str(one.call_id) for one in world.store.dialogs.all()}


def test_no_phone_rings_later_than_three_seconds_after_the_restart_of_a_killed_dialer(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data")
    numbers = [f"7000000{number:03}3" for number in range(90)]
    port = str(free_ports(4)[0])
    rings = by_number({"3": Behaviour.UNAVAILABLE}, ring_ms=RING_S * 1000)
    with SippGateway(rings, calls=1000, timeout_s=150) as gateway:
        campaign = world.campaign(gateway.address, numbers, cps=20.0, max_channels=100, retry=NO_RETRIES)
        killed: set[str] = set()
        restarts: list[tuple[set[str], float]] = []
        # In the middle of dialing, so that some calls have just left and nothing of them is written down.
        for kill_at in (13, 40):
            started_at = time.time()
            with world.dialer(DIALER_SIP_PORT=port) as dialer:
                if killed:
                    restarts.append((set(killed), speaks_at(dialer.log, started_at)))
                wait_until(lambda: gateway.count("INVITE") >= kill_at, what="phones that ring", timeout_s=40)  # noqa: B023
                dialer.running.kill()
                dialer.running.wait()
            killed |= gateway.came_at("INVITE").keys()
        started_at = time.time()
        with world.dialer(DIALER_SIP_PORT=port) as dialer:
            restarts.append((set(killed), speaks_at(dialer.log, started_at)))
            wait_until(lambda: killed <= gateway.came_at("CANCEL").keys(), what="silence", timeout_s=RING_S)
            cancelled_at = gateway.came_at("CANCEL")
            gateway.wait_for("ACK", count=len(killed))
            wait_until(lambda: killed.isdisjoint(kept(world)), what="what was kept to be forgotten")
    for ringing, restarted_at in restarts:
        late = {call: cancelled_at[call] - restarted_at for call in ringing}
        late = {call: span for call, span in late.items() if span > at_most(SILENT_WITHIN_S)}
        assert late == {}
    records = [call for calls in world.records(campaign).values() for call in calls if str(call.id) in killed]
    assert len(records) == len(killed)
    assert {call.outcome.disposition for call in records if call.outcome} == {Disposition.INTERRUPTED}
