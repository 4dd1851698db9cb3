"""The wall clock is set by an hour, forward and back, under a dialer with live calls and a waiting retry."""

import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from autodialer.clock import Clock
from autodialer.model import Disposition, RetryRule
from autodialer.phone.pool import PhonePool
from autodialer.phone.trace_outbox import TraceOutbox
from dialer import Dialer
from tests.dialer.world import NO_RETRIES, World
from tests.peers.by_number import Behaviour, by_number
from tests.peers.ports import free_ports, wait_until
from tests.peers.sipp import SippGateway
from tests.timing import at_most

pytestmark = [pytest.mark.peer("sipp"), pytest.mark.loopback, pytest.mark.timeout(120)]

BUSY, TALKS, FRESH = "70000000002", "70000000010", "70000000020"
RETRY_S = 5.0


class SetClock(Clock):
    """The machine's clock, set by hand."""

    ahead = timedelta()

    def utcnow(self) -> datetime:
        return super().utcnow() + self.ahead


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_step_neither_hurries_nor_delays_a_retry_and_disturbs_no_call(tmp_path: Path, hours: int) -> None:
    world = World.make(tmp_path / "data", sound_s=8.0)
    clock = SetClock()
    low = 33000 + (free_ports(2)[0] % 1000) * 20
    phones = PhonePool(sip_address="127.0.0.1", sip_port=free_ports(2)[0], rtp_ports=(low, low + 200), clock=clock)
    traces = TraceOutbox(world.store.traces, keep=0, days=1)
    dialer = Dialer(world.store, phones, traces, sounds_folder=world.settings.data, drain_s=10, clock=clock)
    retry = {**NO_RETRIES, "busy": RetryRule(after_s=RETRY_S, times=1)}
    table = {"2": Behaviour.BUSY, "0": Behaviour.ANSWER}
    with SippGateway(by_number(table, ring_ms=50), calls=4, timeout_s=90) as gateway:
        campaign = world.campaign(gateway.address, [BUSY, TALKS], retry=retry)
        running = threading.Thread(target=dialer.run)
        running.start()
        try:
            # Before the first call, whose end may be seen late.
            since = time.monotonic()
            gateway.wait_for("ACK", count=2, timeout_s=30)
            wait_until(lambda: BUSY in world.records(campaign), what="the busy one recorded")
            clock.ahead = timedelta(hours=hours)
            world.add_subscriber(campaign, FRESH)
            gateway.wait_for("INVITE", count=3, timeout_s=10)
            assert gateway.invites_by_number[FRESH] == 1, "dialing goes on at once"
            gateway.wait_for("INVITE", count=4, timeout_s=20)
            assert time.monotonic() - since > RETRY_S - 1.0
            world.wait_finished(campaign, timeout_s=40)
        finally:
            dialer.drain()
            running.join(at_most(30))
            phones.stop()
    records = world.records(campaign)
    assert [call.outcome.disposition for call in records[BUSY] if call.outcome] == [Disposition.BUSY] * 2
    talked = records[TALKS][0].outcome
    assert talked is not None and talked.disposition is Disposition.ANSWERED
    assert talked.duration_s is not None and 7.5 < talked.duration_s < 12, "a call is timed by no wall clock"
    assert talked.played_share == 1.0
    world.store.close()
