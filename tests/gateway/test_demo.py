"""The demo as a user runs it, and the fake carrier against a caller nobody here wrote."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from autodialer.gateway.behaviour import DISPOSITIONS, Kind, behaviour_of
from autodialer.gateway.demo import RECORDED, SUBSCRIBERS, numbers
from tests.dialer.world import ROOT
from tests.peers import callers, sox
from tests.peers.sipp import SippCaller
from tests.timing import at_most

pytestmark = pytest.mark.loopback


@pytest.mark.peer("sox")
def test_the_demo_calls_two_hundred_and_every_outcome_is_as_the_carrier_caused_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "main.py"), "demo", "--exit"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=at_most(150),
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{SUBSCRIBERS} of {SUBSCRIBERS} outcomes are as the carrier caused them" in done.stdout
    for disposition in set(DISPOSITIONS.values()):
        assert disposition in done.stdout
    heard = tmp_path / "demo" / "heard.wav"
    imported = next((tmp_path / "demo" / "data" / "sounds").glob("*.wav"))
    compared = sox.compare(imported, heard)
    assert compared.missing_s < 0.1
    assert compared.snr_db > 25
    assert "Traceback" not in (tmp_path / "demo" / "service.log").read_text()


def test_the_demo_shows_every_kind_of_call_and_records_one_who_listens() -> None:
    kinds = [behaviour_of(number).kind for number in numbers()]
    assert set(kinds) == set(Kind)
    assert behaviour_of(RECORDED).kind is Kind.LISTEN
    assert RECORDED in numbers()


def test_overloads_are_too_far_apart_to_rest_the_trunk() -> None:
    overloaded = [index for index, number in enumerate(numbers()) if behaviour_of(number).kind is Kind.OVERLOAD]
    assert all(after - before > 10 for before, after in pairwise(overloaded))


@pytest.mark.peer("sipp")
def test_sipp_calls_the_fake_carrier_and_hangs_up(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "autodialer.gateway.gateway"]
    carrier = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert carrier.stdin and carrier.stdout
    try:
        address = ("127.0.0.1", int(carrier.stdout.readline()))
        scenario = callers.calls_and_hangs_up()
        with SippCaller(scenario, address, numbers=["70000000001"] * 5, folder=tmp_path, timeout_s=30) as caller:
            caller.expect_success()
    finally:
        carrier.stdin.close()
        assert carrier.wait(at_most(5)) == 0
        carrier.stdout.close()
