"""The database is locked or its disk is full while calls are in the air: they go on, and so does the dialing after."""

import os
import re
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from autodialer.model import Disposition
from tests.dialer.world import World
from tests.peers.by_number import Behaviour, by_number
from tests.peers.mounts import fill, on_small_disk
from tests.peers.ports import wait_until
from tests.peers.sipp import SippGateway
from tests.timing import at_most

pytestmark = [pytest.mark.peer("sipp"), pytest.mark.loopback]

ANSWERS = {"0": Behaviour.ANSWER}


def numbers(count: int) -> list[str]:
    return [f"7000000{index:03d}0" for index in range(count)]


@contextmanager
def locked(world: World) -> Iterator[None]:
    """Another process's write lock, as a backup or a stuck tool would hold it."""
    with closing(sqlite3.connect(world.settings.data / "db.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.rollback()


@pytest.mark.parametrize("held_s", (30.0, 180.0) if "SOAK" in os.environ else (30.0,))
@pytest.mark.timeout(300)
def test_a_locked_database_loses_no_number_and_disturbs_no_call(tmp_path: Path, held_s: float) -> None:
    world = World.make(tmp_path / "data", sound_s=4.0)
    dialled = numbers(120)
    with SippGateway(by_number(ANSWERS, ring_ms=50, max_call_s=250), calls=500, timeout_s=280) as gateway:
        campaign = world.campaign(gateway.address, dialled, cps=20, max_channels=60)
        with world.dialer() as dialer:
            gateway.wait_for("ACK", count=20, timeout_s=30)
            with locked(world):
                time.sleep(1.0)
                before = gateway.count("INVITE")
                wait_until(
                    lambda: gateway.count("BYE") >= before, what="the calls in the air", timeout_s=20, poll_s=0.2
                )
                time.sleep(max(0.0, held_s - 8.0))
                assert gateway.count("INVITE") == before, "no INVITE leaves whose claim is not committed"
            world.wait_finished(campaign, timeout_s=60)
            log = dialer.log.read_text()
        invites = gateway.invites_by_number
    assert world.dispositions(campaign) == dict.fromkeys(dialled, Disposition.ANSWERED)
    assert invites == dict.fromkeys(dialled, 1)
    shares = [call.outcome.played_share for calls in world.records(campaign).values() for call in calls if call.outcome]
    assert min(share or 0 for share in shares) > 0.99, "everybody heard the whole sound"
    assert log.count("no new calls for now") == 1 and re.search(r"the database is back after \d+ s", log)


def ask_for_token(http: str) -> tuple[int, str]:
    form = b"grant_type=password&username=owner&password=correct-horse-battery"
    request = urllib.request.Request(f"http://{http}/srv1/auth/token", data=form)
    request.add_header("Content-Type", "application/x-www-form-urlencoded")
    try:
        with urllib.request.urlopen(request, timeout=at_most(30)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read().decode()
    except urllib.error.URLError:
        return 0, ""


@pytest.mark.peer("mount")
@pytest.mark.timeout(200)
def test_a_full_disk_loses_no_number_and_the_api_says_what_is_wrong(tmp_path: Path) -> None:
    on_small_disk(tmp_path / "data", 48, lambda: campaign_on_a_disk_that_fills_up(tmp_path))


def campaign_on_a_disk_that_fills_up(folder: Path) -> None:
    world = World.make(folder / "data", sound_s=3.0)
    world.store.users.set_password(world.owner, "correct-horse-battery")
    dialled = numbers(150)
    with SippGateway(by_number(ANSWERS, ring_ms=50, max_call_s=150), calls=500, timeout_s=180) as gateway:
        campaign = world.campaign(gateway.address, dialled, cps=15, max_channels=60)
        service = world.service()
        service.log = folder / "service.log"
        with service:
            wait_until(lambda: ask_for_token(service.http)[0] == 200, what="the API", timeout_s=30, poll_s=0.5)
            gateway.wait_for("ACK", count=10, timeout_s=30)
            fill(folder / "data" / "filler")
            wait_until(lambda: "no new calls for now" in service.log.read_text(), what="the full disk", timeout_s=30)
            status, text = ask_for_token(service.http)
            assert status == 503 and "disk is full" in text
            before = gateway.count("INVITE")
            gateway.wait_for("BYE", count=before, timeout_s=20)
            assert gateway.count("INVITE") == before < len(dialled)
            (folder / "data" / "filler").unlink()
            world.wait_finished(campaign, timeout_s=60)
            assert ask_for_token(service.http)[0] == 200
        invites = gateway.invites_by_number
    assert world.dispositions(campaign) == dict.fromkeys(dialled, Disposition.ANSWERED)
    assert invites == dict.fromkeys(dialled, 1)
    assert "the database is back" in service.log.read_text()
    world.store.close()
