"""The SIP messages of calls as the running service keeps and shows them."""

import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import requests

from autodialer.model import Campaign
from autodialer.store import new_id
from tests.dialer.world import ROOT, World
from tests.peers import gateways
from tests.peers.by_number import Behaviour, by_number
from tests.peers.ports import wait_until
from tests.peers.sipp import SippGateway
from tests.timing import at_most

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp")]

PASSWORD = "correct horse battery"
WAYS = [" INVITE ", " 401 ", " ACK ", " INVITE ", " 180 ", " 200 ", " ACK ", " BYE ", " 200 "]


def ladder(text: str) -> list[str]:
    """The lines of the ladder."""
    return [line for line in text.partition("\n---- 1:")[0].splitlines() if "|--" in line or "|<--" in line]


def call_ids(world: World, campaign: Campaign) -> list[UUID]:
    """The finished calls in the order of their end."""
    return [call.id for call in world.store.calls.page(campaign.key)[0]]


def listens(host: str, port: int) -> bool:
    """Whether a server takes connections."""
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def make_trace(world: World, call_id: object) -> tuple[int, str, str]:
    """`python main.py trace`: its exit status, output and complaint."""
    command = [sys.executable, str(ROOT / "main.py"), "trace", str(call_id)]
    ended = subprocess.run(
        command,
        cwd=world.settings.data,
        env={"DIALER_DATA": str(world.settings.data), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=at_most(60),
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


def test_a_finished_calls_trace_is_there_after_the_end_of_the_dialer_and_holds_no_credentials(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data")
    with SippGateway(gateways.asks_password("user", PASSWORD), calls=1, timeout_s=30) as gateway:
        campaign = world.campaign(gateway.address, ["70000000010"], password=PASSWORD)
        with world.dialer() as dialer:
            world.wait_finished(campaign, timeout_s=20)
            dialer.running.terminate()
            dialer.running.wait(at_most(20))
        digests = [str(each.header("Authorization")).partition('response="')[2][:32] for each in gateway.messages]
    [call_id] = call_ids(world, campaign)
    status, text, complaint = make_trace(world, call_id)
    assert status == 0, complaint
    found = ladder(text)
    assert all(way in line for way, line in zip(WAYS, found, strict=True)), text
    assert "to 70000000010\n" in text and f"Call-ID: {call_id}\n" in text
    secrets = [PASSWORD, *(digest for digest in digests if digest)]
    assert len(secrets) > 2
    assert not any(secret in text for secret in secrets)


def test_an_unknown_call_and_no_id_at_all_are_said_to_be_so(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data")
    unknown = new_id()
    status, text, complaint = make_trace(world, unknown)
    assert (status != 0, text) == (True, "")
    assert f"There is no call with the id {unknown}." in complaint
    status, text, complaint = make_trace(world, "79161234567")
    assert (status != 0, text) == (True, "")
    assert "'79161234567' is not the id of a call" in complaint
    assert "Traceback" not in complaint


def test_a_live_calls_trace_comes_through_the_api_and_grows_to_its_end(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=30.0)
    world.owner = world.store.users.create(login="anna", password=PASSWORD).key
    with SippGateway(by_number({"0": Behaviour.ANSWER}), calls=1, timeout_s=60) as gateway:
        campaign = world.campaign(gateway.address, ["70000000010"])
        with world.service() as service:
            gateway.wait_for("ACK", timeout_s=30)
            host, _, port = service.http.partition(":")
            wait_until(lambda: listens(host, int(port)), what="the API", timeout_s=30)
            api = f"http://{service.http}/srv1"
            form = {"grant_type": "password", "username": "anna", "password": PASSWORD}
            token = requests.post(f"{api}/auth/token", data=form, timeout=at_most(10)).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            [call] = world.store.calls.live(campaign.key)
            path = f"{api}/calls/{call.id}/trace"
            live = requests.get(path, headers=headers, timeout=at_most(10))
            assert (live.status_code, live.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
            assert " ACK " in ladder(live.text)[-1]
            assert [each.id for each in world.store.calls.live(campaign.key)] == [call.id], "told while the call lasted"
            world.store.commands.add("hangup_call", call_id=call.id)
            wait_until(lambda: bool(call_ids(world, campaign)), what="the end of the call", timeout_s=10)
            ended = requests.get(path, headers=headers, timeout=at_most(10))
            assert [" BYE " in line for line in ladder(ended.text)[-2:]] == [True, False]
            assert ended.text.splitlines()[:2] == live.text.splitlines()[:2]
            written = world.store.traces.read(call.id)
            assert written is not None
            wait_until(
                lambda: (now := world.store.traces.read(call.id)) is not None and now.written_at > written.written_at,
                what="the closed trace",
                timeout_s=15,
            )
            service.running.terminate()
            service.running.wait(at_most(30))


def test_only_the_latest_calls_are_kept_as_the_setting_says(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=0.3)
    numbers = [f"7000000{number:03d}0" for number in range(6)]
    with SippGateway(by_number({"0": Behaviour.ANSWER}), calls=6, timeout_s=40) as gateway:
        campaign = world.campaign(gateway.address, numbers, max_channels=1)
        with world.dialer(DIALER_TRACE_CALLS="2") as dialer:
            world.wait_finished(campaign, timeout_s=30)
            dialer.running.terminate()
            dialer.running.wait(at_most(20))
    kept = [world.store.traces.read(call_id) is not None for call_id in call_ids(world, campaign)]
    assert kept == [False] * 4 + [True] * 2
    status, _, complaint = make_trace(world, call_ids(world, campaign)[0])
    assert status != 0
    assert "DIALER_TRACE_CALLS" in complaint


def test_none_is_kept_where_the_setting_is_0(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=0.3)
    earlier = new_id()
    world.store.traces.write({earlier: b"packed"}, keep=10, longest=timedelta(days=7))
    with SippGateway(by_number({"0": Behaviour.ANSWER}), calls=1, timeout_s=40) as gateway:
        campaign = world.campaign(gateway.address, ["70000000010"])
        with world.dialer(DIALER_TRACE_CALLS="0") as dialer:
            world.wait_finished(campaign, timeout_s=30)
            dialer.running.terminate()
            dialer.running.wait(at_most(20))
    [call_id] = call_ids(world, campaign)
    assert [world.store.traces.read(each) for each in (earlier, call_id)] == [None, None]
