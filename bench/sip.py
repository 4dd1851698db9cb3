"""Call set-up and tear-down: a campaign of short calls against SIPp, which answers and waits for the BYE."""

from pathlib import Path

from bench.processes import child_named, cpu_s
from tests.dialer.world import World
from tests.peers import gateways
from tests.peers.sipp import SippGateway

CALLS = 3000
CPS = 200
WARM_UP = 200


def measure(folder: Path) -> dict[str, float]:
    """CPU ms a call of dialer, media and SIPp, after a warm-up, and the rate reached."""
    world = World.make(folder / "data", sound_s=0.02)
    numbers = [f"7000{number:07d}" for number in range(CALLS)]
    with SippGateway(gateways.answered(ring_ms=0), calls=CALLS, timeout_s=120) as gateway:
        campaign = world.campaign(gateway.address, numbers, cps=CPS, max_channels=250)
        with world.dialer() as dialer:
            gateway.wait_for("INVITE", count=WARM_UP, timeout_s=60)
            pids = [dialer.running.pid, child_named(dialer.running.pid, "media.shell")]
            pids.append(child_named(gateway.process.pid, "sipp") if gateway.process else 0)
            first, before = gateway.count("INVITE"), [cpu_s(pid) for pid in pids]
            gateway.wait_for("INVITE", count=CALLS - WARM_UP, timeout_s=100)
            calls = gateway.count("INVITE") - first
            used = [(cpu_s(pid) - start) * 1000 / calls for pid, start in zip(pids, before, strict=True)]
            world.wait_finished(campaign, timeout_s=60)
    records = [record for of_number in world.records(campaign).values() for record in of_number]
    invited = sorted(record.outcome.invited_at for record in records if record.outcome)
    return {
        "sip.cpu_ms_per_call": used[0],
        "sip.media_cpu_ms_per_call": used[1],
        "sip.sipp_cpu_ms_per_call": used[2],
        "sip.cps": (len(invited) - 1) / (invited[-1] - invited[0]).total_seconds(),
    }
