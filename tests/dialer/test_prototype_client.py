"""The prototype's console client, unchanged, as a process against the running service, which calls SIPp."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autodialer.config import Settings
from autodialer.store import NewSubscriber
from tests.dialer.test_service import listens
from tests.dialer.world import ROOT, DialerProcess, World
from tests.peers.gateways import asks_password
from tests.peers.ports import free_ports, wait_until
from tests.peers.sipp import SippGateway
from tests.takeover.prototypes import make_prototype
from tests.timing import at_most

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp"), pytest.mark.timeout(180)]

CLIENT = ROOT / "tests/peers/prototype_client.py"
KEY = "twelve bytes"
PASSWORD = "correct horse"
NUMBER = "89160000001"


def run_client(service: DialerProcess, gateway: SippGateway, password: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit status of the client, and what the service answered at each step."""
    wait_until(lambda: listens(service.http), what="the API", timeout_s=60, poll_s=0.1)
    address = f"{gateway.address[0]}:{gateway.address[1]}"
    command = [sys.executable, str(CLIENT), f"http://{service.http}", KEY, "admin", password, address, NUMBER]
    done = subprocess.run(command, capture_output=True, text=True, timeout=at_most(90), check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_it_logs_in_adds_a_user_reads_the_subscribers_and_makes_a_phone_ring(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data")
    base = world.store.callbases.create(world.owner, name="base", region="raw")
    world.store.callbases.finish(base.key, rows=0)
    world.store.subscribers.add(base.id, world.owner, NewSubscriber(number="101", name="Анна"))
    settings = {"JWT_KEY": KEY, "DIALER_ADMIN_PASSWORD": PASSWORD}
    with world.service(**settings) as service, SippGateway(asks_password("100", "secret")) as gateway:
        status, said = run_client(service, gateway, PASSWORD)
        assert (status, [each["step"] for each in said]) == (0, ["login", "adduser", "abon", "sample"]), said
        assert said[2]["all_abon"] == {"1": {"name": "Анна", "number": "101", "comment": None}}
        gateway.expect_success(timeout_s=60)
        assert set(gateway.invites_by_number) == {NUMBER}
        assert gateway.digests_verified == 1
    new = world.store.users.verify("new", "123")
    assert new is not None
    assert (new.name, new.comment) == ("New User", "added by the client")


def test_without_the_key_it_is_told_what_is_missing(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data")
    with (
        world.service(DIALER_ADMIN_PASSWORD=PASSWORD, JWT_KEY="") as service,
        SippGateway(asks_password("100", "secret")) as gateway,
    ):
        status, said = run_client(service, gateway, PASSWORD)
    assert (status, [each["step"] for each in said]) == (1, ["login", "adduser"])
    assert "JWT_KEY" in said[1]["text"]


def test_with_the_prototypes_database_in_place_its_users_log_in_and_its_subscribers_are_told(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    settings.data.mkdir()
    make_prototype(settings.data / "db.sqlite3")
    service = DialerProcess(settings, "main.py", {"JWT_KEY": KEY})
    with service, SippGateway(asks_password("100", "secret")) as gateway:
        status, said = run_client(service, gateway, "the old password")
        assert (status, [each["step"] for each in said]) == (0, ["login", "adduser", "abon", "sample"]), said
        assert said[2]["all_abon"] == {
            "1": {"name": "Борис", "number": "+79160000001", "comment": "flat 1"},
            "2": {"name": "Вера", "number": "89160000002", "comment": None},
        }
        gateway.wait_for("INVITE", timeout_s=30)
        log = service.log.read_text()
    assert log.count("The prototype's database was taken over: 2 users") == 1
    assert (settings.data / "db-prototype.sqlite3").exists()


@pytest.mark.parametrize("program", ["dialer.py", "main.py"])
def test_a_damaged_prototypes_database_ends_the_start_with_one_clear_line(tmp_path: Path, program: str) -> None:
    path = make_prototype(tmp_path / "db.sqlite3")
    path.write_bytes(path.read_bytes()[:8192] + bytes(4096))
    environment = {**os.environ, "DIALER_DATA": str(tmp_path), "DIALER_HTTP": f"127.0.0.1:{free_ports(1)[0]}"}
    done = subprocess.run(
        [sys.executable, str(ROOT / program)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=at_most(60),
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert str(path) in done.stderr.splitlines()[-1]
