"""The power goes in the middle of a campaign: at every instant, each person called is known to have been called."""

import os
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from autodialer.model import Disposition
from autodialer.store import Store
from tests.databases import cheap_secrets
from tests.dialer.power import PowerTrace
from tests.dialer.world import World
from tests.peers.by_number import Behaviour, by_number
from tests.peers.ports import free_ports
from tests.peers.sipp import SippGateway

pytestmark = [pytest.mark.peer("sipp", "strace"), pytest.mark.loopback, pytest.mark.timeout(200)]

NUMBERS = [f"7000000{index:03d}0" for index in range(300)]
CUTS = 60


def test_at_every_instant_the_disk_knows_who_was_called_and_the_campaign_goes_on_from_it(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=0.3)
    port = str(free_ports(2)[0])
    scenario = by_number({"0": Behaviour.ANSWER}, ring_ms=50, max_call_s=90)
    with SippGateway(scenario, calls=1000, timeout_s=180) as gateway:
        campaign = world.campaign(gateway.address, NUMBERS, cps=60, max_channels=80)
        dialer, trace = world.dialer(DIALER_SIP_PORT=port), PowerTrace(world.settings.data / "db.sqlite3", tmp_path)
        dialer.wrapped_in = trace.command
        with dialer:
            gateway.wait_for("INVITE", count=150, timeout_s=60)
            os.kill(dialer.descendants()[1], signal.SIGKILL)
            ended = time.time()
            dialer.running.wait()
        happenings = trace.happenings()
        invited = gateway.invited_at
        began = min(invited.values())
        for cut in range(CUTS):
            at = began + (ended - began) * cut / (CUTS - 1)
            path = trace.disk_at(at, tmp_path / f"cut{cut}", (0.0, 0.5, 1.0)[cut % 3], happenings)
            called = {number for number, when in invited.items() if when < at}
            assert called <= known_to_be_called(path), f"the power went {at - began:.3f} s after the first INVITE"
            shutil.rmtree(path.parent)
        go_on(world, trace.disk_at(ended, tmp_path / "disk", 0.0, happenings), port)
        world.store = Store(world.settings.url, secrets=cheap_secrets(world.settings.keys))
        with world.dialer(DIALER_SIP_PORT=port):
            world.wait_finished(campaign, timeout_s=60)
        invites = gateway.invites_by_number
    dispositions = world.dispositions(campaign)
    assert sorted(dispositions) == NUMBERS
    assert max(invites.values()) == 1
    interrupted = {number for number, how in dispositions.items() if how is Disposition.INTERRUPTED}
    assert 0 < len(interrupted) < 100
    assert {number for number in NUMBERS if number not in invites} <= interrupted
    world.store.close()


def go_on(world: World, disk: Path, port: str) -> None:
    """Put the disk's database in place of the database that the page cache still had."""
    world.store.close()
    database = world.settings.data / "db.sqlite3"
    for suffix in ("", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    for suffix in ("", "-wal"):
        shutil.copy(disk.with_name(disk.name + suffix), database.with_name(database.name + suffix))


def known_to_be_called(path: Path) -> set[str]:
    """Numbers that are being dialled or were, as the next dialer finds them."""
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    rows = database.execute(
        "SELECT number FROM call_jobs JOIN subscribers ON subscribers.key = subscriber_key"
        " WHERE call_jobs.state NOT IN ('queued', 'cancelled')"
    ).fetchall()
    database.close()
    return {number for (number,) in rows}
