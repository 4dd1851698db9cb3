"""A backup made in the middle of a campaign, and what a service does that starts from it; SIPp logs the calls."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from autodialer.model import CampaignState, Disposition
from autodialer.store import Store
from tests.databases import cheap_secrets
from tests.dialer.world import ROOT, World
from tests.peers.by_number import Behaviour, by_number
from tests.peers.ports import free_ports, wait_until
from tests.peers.sipp import SippGateway

pytestmark = [pytest.mark.peer("sipp"), pytest.mark.loopback, pytest.mark.timeout(300)]

NUMBERS = [f"7000000{index:04d}" for index in range(200)]
BEHAVIOURS = {"2": Behaviour.BUSY, "9": Behaviour.UNKNOWN}


def command(world: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python main.py ...` on that data folder."""
    environment = {**os.environ, "DIALER_DATA": str(world.settings.data)}
    call = [sys.executable, str(ROOT / "main.py"), *arguments]
    return subprocess.run(call, env=environment, capture_output=True, text=True, check=False)


def known_to(world: World) -> tuple[set[str], set[str]]:
    """Numbers of finished calls, and of those that are being dialled."""
    database = sqlite3.connect(world.settings.data / "db.sqlite3")
    ended = database.execute("SELECT DISTINCT number FROM calls").fetchall()
    dialling = database.execute(
        "SELECT number FROM call_jobs JOIN subscribers ON subscribers.key = subscriber_key"
        " WHERE call_jobs.state = 'dialing'"
    ).fetchall()
    database.close()
    return {number for (number,) in ended}, {number for (number,) in dialling}


def invited(gateway: SippGateway) -> list[str]:
    """The numbers of all INVITEs on the wire, repeated ones too."""
    lines = [message.start_line for message in gateway.messages if not message.sent]
    return [line.partition("sip:")[2].partition("@")[0] for line in lines if line.startswith("INVITE ")]


def test_nobody_is_called_twice_that_the_backup_knows_of(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=0.3)
    port, backup = str(free_ports(2)[0]), str(tmp_path / "backup.tar.gz")
    bears = ["-default_behaviors", "all,-abortunexp"]
    gateway = SippGateway(by_number(BEHAVIOURS, ring_ms=60, max_call_s=90), calls=1000, timeout_s=280, extra=bears)
    with gateway:
        # Slow, until the backup is made: on a busy machine that takes longer than fast calls to all of them.
        campaign = world.campaign(gateway.address, NUMBERS, cps=4, max_channels=20)
        with world.service(DIALER_SIP_PORT=port) as service:
            gateway.wait_for("INVITE", count=12, timeout_s=60)
            made = command(world, "backup", backup)
            assert made.returncode == 0, made.stderr
            world.store.campaigns.update(campaign.id, None, cps=25)
            gateway.wait_for("INVITE", count=gateway.count("INVITE") + 20, timeout_s=60)
            refused = command(world, "restore", "--force", backup)
            assert refused.returncode != 0 and "stop it first" in refused.stderr
            service.kill_all(5)
        world.store.close()
        restored = command(world, "restore", "--force", backup)
        assert restored.returncode == 0, restored.stderr
        assert "PEOPLE CALLED SINCE WOULD BE CALLED AGAIN" in restored.stdout
        world.store = Store(world.settings.url, secrets=cheap_secrets(world.settings.keys))
        ended, cut_off = known_to(world)
        assert ended and cut_off
        before = len(invited(gateway))
        with world.service(DIALER_SIP_PORT=port):
            wait_until(lambda: world.store.live.dialer() is not None, what="the dialer", timeout_s=30)
            wait_until(lambda: not known_to(world)[1], what="the cut-off calls to be recorded", timeout_s=30)
            assert world.store.campaigns.by_key(campaign.key).state is CampaignState.PAUSED
            assert len(invited(gateway)) == before, "it calls nobody by itself"
            records = world.records(campaign)
            interrupted = {
                number
                for number, calls in records.items()
                if calls[-1].outcome and calls[-1].outcome.disposition is Disposition.INTERRUPTED
            }
            assert interrupted == cut_off
            world.store.campaigns.update(campaign.id, None, cps=25)
            world.store.campaigns.resume(campaign.id, None)
            world.wait_finished(campaign, timeout_s=60)
        again = set(invited(gateway)[before:])
        assert not again & (ended | cut_off)
        assert again == set(NUMBERS) - ended - cut_off
        assert max(gateway.invites_by_number.values()) == 2, "a call that is made again has another Call-ID"
    world.store.close()
