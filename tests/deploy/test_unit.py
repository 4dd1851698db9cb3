"""The systemd unit: as closed as it can be, as systemd judges, and not so closed that the service could not run."""

import configparser
import os
import re
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import requests

from tests.dialer.world import World
from tests.peers.by_number import Behaviour, by_number
from tests.peers.ports import free_ports, wait_until
from tests.peers.requirements import find_program
from tests.peers.sipp import SippGateway
from tests.timing import at_most

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "deploy" / "dialer.service"
MOST_EXPOSED = 3.0
OF_ROOT = {"fchown"}
"""SQLite gives its files to the database's owner if root runs it, as these tests may; the unit has a user."""
NUMBERS = [f"700000000{index}" for index in range(6)]


def analyze(*arguments: str) -> str:
    command = [find_program("systemd-analyze") or "", "--no-pager", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.peer("systemd-analyze")
def test_systemd_finds_it_well_closed() -> None:
    [found] = re.findall(
        r"Overall exposure level for dialer.service: ([\d.]+)", analyze("security", "--offline=true", str(UNIT))
    )
    assert float(found) < MOST_EXPOSED


@pytest.mark.peer("systemd-analyze")
def test_systemd_understands_each_line(tmp_path: Path) -> None:
    unit = tmp_path / "dialer.service"
    unit.write_text(UNIT.read_text().replace("/opt/dialer/.venv/bin/python", sys.executable))
    assert analyze("verify", str(unit)).strip() == ""
    unit.write_text(unit.read_text().replace("ProtectClock=true", "ProtectClok=true"))
    assert "ProtectClok" in analyze("verify", str(unit)), "it does look"


@cache
def group(name: str) -> frozenset[str]:
    """The system calls of one of systemd's groups."""
    found: set[str] = set()
    for line in analyze("syscall-filter", name).splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            found |= group(word)
        elif word and not word.startswith("#"):
            found.add(word)
    return frozenset(found)


def allowed() -> set[str]:
    """By the unit's lines, in their order."""
    calls: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", UNIT.read_text(), re.MULTILINE):
        named = {call for word in line.lstrip("~").split() for call in (group(word) if word[0] == "@" else {word})}
        calls = calls - named if line.startswith("~") else calls | named
    return calls


def is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=at_most(10)).ok
    except requests.ConnectionError:
        return False


@pytest.mark.loopback
@pytest.mark.peer("systemd-analyze", "strace", "sipp")
@pytest.mark.timeout(150)
def test_all_that_the_service_asks_of_the_kernel_is_allowed(tmp_path: Path) -> None:
    """strace counts the system calls of all its processes while it starts, calls, answers and drains."""
    world = World.make(tmp_path / "data", sound_s=0.3)
    counted = tmp_path / "calls"
    with SippGateway(by_number({"2": Behaviour.BUSY}, ring_ms=50, max_call_s=30), calls=100, timeout_s=120) as gateway:
        campaign = world.campaign(gateway.address, NUMBERS)
        service = world.service(DIALER_SIP_PORT=str(free_ports(2)[0]))
        service.wrapped_in = [find_program("strace") or "strace", "-f", "-qq", "-c", "-o", str(counted)]
        with service:
            world.wait_finished(campaign, timeout_s=90)
            url = f"http://{service.http}"
            wait_until(lambda: is_ready(url), what="the service", timeout_s=60, poll_s=0.2)
            assert "dialer_calls_total" in requests.get(f"{url}/metrics", timeout=at_most(10)).text
            os.kill(service.descendants()[1], signal.SIGTERM)
            service.running.wait(at_most(30))
    world.store.close()
    rows = [line.split() for line in counted.read_text().splitlines()]
    made = {row[-1] for row in rows if row and re.fullmatch(r"[\d.]+", row[0])} - {"total"}
    assert len(made) > 40
    assert made - allowed() - OF_ROOT == set()


def test_what_it_needs_of_the_machine_is_left_to_it() -> None:
    text = UNIT.read_text()
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    service = unit["Service"]
    assert service["LimitRTPRIO"] == "2" and "RestrictRealtime" not in service and "PrivateUsers" not in service
    assert int(service["LimitNOFILE"]) >= 2 * 5000
    assert {"AF_INET", "AF_INET6", "AF_UNIX"} <= set(service["RestrictAddressFamilies"].split())
    assert f"DIALER_DATA=/var/lib/{service['StateDirectory']}" in service["Environment"]
