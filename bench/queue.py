"""The queue: a campaign of 20 000 numbers against SIPp, which answers at once; calls of one second. And the ticks."""

import math
import time
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import select

from autodialer.store.calls.tables import calls
from autodialer.store.queue.tables import call_jobs
from autodialer.store.sql.engine import Database
from bench import ticks
from bench.hanging import hanging_receiver
from bench.processes import child_named, cpu_s
from tests.dialer.world import World
from tests.peers import gateways
from tests.peers.sipp import SippGateway

CALLS = 20_000
CPS = 250
CHANNELS = 500
TIMEOUT_S = 400
WARM_UP = 500


def measure(folder: Path) -> dict[str, float]:
    """Jobs a second, CPU ms a call, how long a claimed job waits for its INVITE, and a tick beside a million rows.

    The calls also beside a webhook that wants them all, and whose receiver hangs.
    """
    beside = _calls(folder / "webhook", webhook_hangs=True)
    return {
        **_calls(folder / "calls"),
        **{f"{name}_webhook_hangs": value for name, value in beside.items() if "sipp" not in name},
        **ticks.measure(folder / "ticks"),
    }


def _calls(folder: Path, *, webhook_hangs: bool = False) -> dict[str, float]:
    world = World.make(folder / "data", sound_s=1.0)
    numbers = [f"7000{number:07d}" for number in range(CALLS)]
    with ExitStack() as stack:
        gateway = stack.enter_context(SippGateway(gateways.answered(ring_ms=0), calls=CALLS, timeout_s=TIMEOUT_S))
        if webhook_hangs:
            stack.enter_context(hanging_receiver(world.settings, world.store, world.owner))
        campaign = world.campaign(gateway.address, numbers, cps=CPS, max_channels=CHANNELS)
        with world.dialer() as dialer:
            gateway.wait_for("INVITE", count=WARM_UP, timeout_s=60)
            pids = [dialer.running.pid, child_named(gateway.process.pid, "sipp") if gateway.process else 0]
            before, started = [cpu_s(pid) for pid in pids], time.monotonic()
            first = gateway.count("INVITE")
            gateway.wait_for("INVITE", count=CALLS - WARM_UP, timeout_s=TIMEOUT_S)
            count, seconds = gateway.count("INVITE") - first, time.monotonic() - started
            used = [(cpu_s(pid) - start) * 1000 / count for pid, start in zip(pids, before, strict=True)]
            world.wait_finished(campaign, timeout_s=60)
    waits = sorted(_claim_to_invite_ms(world.settings.url))
    world.store.close()
    assert len(waits) == CALLS
    return {
        "queue.jobs_per_s": count / seconds,
        "queue.cpu_ms_per_call": used[0],
        "queue.sipp_cpu_ms_per_call": used[1],
        "queue.claim_to_invite_p50_ms": waits[len(waits) // 2],
        "queue.claim_to_invite_p99_ms": waits[math.ceil(len(waits) * 0.99) - 1],
    }


def _claim_to_invite_ms(url: str) -> list[float]:
    """From the instant that a job's claim bears, before its commit, to the instant its INVITE was sent."""
    of_job = (calls.c.campaign_key == call_jobs.c.campaign_key) & (calls.c.subscriber_key == call_jobs.c.subscriber_key)
    query = select(call_jobs.c.claimed_at, calls.c.invited_at).join(calls, of_job)
    database = Database(url, synchronous="NORMAL", busy_timeout_s=10.0)
    try:
        with database.read() as connection:
            return [(row.invited_at - row.claimed_at).total_seconds() * 1000 for row in connection.execute(query)]
    finally:
        database.close()
