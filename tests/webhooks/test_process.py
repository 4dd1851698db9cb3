"""The process of the deliveries, as the supervisor runs it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from standardwebhooks import Webhook as Judge

from autodialer.config import Settings
from autodialer.store import Store, WebhookSettings
from autodialer.supervisor import EXIT_CONFIG
from autodialer.webhooks.signing import new_secret, shown_secret
from tests.dialer.world import World
from tests.peers import gateways
from tests.peers.sipp import SippGateway
from tests.timing import at_most
from tests.webhooks.receiver import Got, Receiver

pytestmark = [pytest.mark.process, pytest.mark.loopback]
ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "autodialer.commands.deliveries"]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[World]:
    made = World.make(tmp_path / "data")
    yield made
    made.store.close()


def environment(settings: Settings, networks: str = "127.0.0.0/8") -> dict[str, str]:
    return {**os.environ, "DIALER_DATA": str(settings.data), "DIALER_WEBHOOK_NETWORKS": networks}


@contextmanager
def deliveries(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(COMMAND, env=environment(settings), cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def want(folder: World, url: str) -> None:
    settings = WebhookSettings(url=url, events=["import.ended"])
    folder.store.webhooks.create(folder.owner, settings, secret=new_secret())


def import_table(store: Store, owner: int, name: str) -> None:
    made = store.callbases.create(owner, name=name, region="raw")
    store.callbases.finish(made.key, rows=0)


def test_what_happens_arrives_and_a_signal_ends_it(folder: World, there: Receiver) -> None:
    want(folder, there.url)
    with deliveries(folder.settings) as process:
        import_table(folder.store, folder.owner, "one")
        there.wait_for(1, within_s=30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(at_most(15)) == 0


def test_killed_at_any_time_it_loses_nothing(folder: World, there: Receiver) -> None:
    want(folder, there.url)
    for name in map(str, range(5)):
        import_table(folder.store, folder.owner, name)
    with deliveries(folder.settings) as process:
        killed: list[str] = []

        def kill_after_the_second(got: Got) -> tuple[int, dict[str, str]]:
            if len(there.got) == 1 and not killed:
                killed.append(got.headers["webhook-id"])
                process.kill()
            return 200, {}

        there.answer = kill_after_the_second  # type: ignore[assignment]
        there.wait_for(2, within_s=30)
        process.wait(at_most(15))
    with deliveries(folder.settings):
        there.wait_for(7, within_s=30)
    ids = [got.headers["webhook-id"] for got in there.got]
    assert len(set(ids)) == 5
    assert ids[:2] == ids[2:4], "what was sent and not written down is sent again, in its order"


def test_a_second_one_on_the_data_folder_ends_with_a_message(folder: World, there: Receiver) -> None:
    want(folder, there.url)
    with deliveries(folder.settings):
        import_table(folder.store, folder.owner, "one")
        there.wait_for(1, within_s=30)
        second = subprocess.run(COMMAND, env=environment(folder.settings), cwd=ROOT, capture_output=True, check=False)
    assert second.returncode == EXIT_CONFIG
    assert b"Another deliverer" in second.stderr


def test_a_wrong_setting_is_named(folder: World) -> None:
    done = subprocess.run(
        COMMAND, env=environment(folder.settings, "10.0.0.1/8"), cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == EXIT_CONFIG
    assert b"DIALER_WEBHOOK_NETWORKS takes networks in CIDR form" in done.stderr


@pytest.mark.peer("sipp")
@pytest.mark.timeout(120)
def test_the_service_tells_each_call_of_a_campaign_and_its_end(folder: World, there: Receiver) -> None:
    """`python main.py`, a campaign against SIPp, and a webhook of the campaign."""
    secret = new_secret()
    numbers = [f"7000000{number:04}" for number in range(10)]
    with SippGateway(gateways.answered(ring_ms=0), calls=len(numbers), timeout_s=90) as gateway:
        settings = WebhookSettings(url=there.url, events=["call.ended", "campaign.state"])
        folder.store.webhooks.create(folder.owner, settings, secret=secret)
        folder.campaign(gateway.address, numbers)
        with folder.service(DIALER_WEBHOOK_NETWORKS="127.0.0.0/8"):
            # The start of the campaign, its calls, its end.
            there.wait_for(len(numbers) + 2, within_s=60)
    judge = Judge(shown_secret(secret))
    told = [judge.verify(got.body, got.headers) for got in there.got]
    assert [each["data"]["state"] for each in (told[0], told[-1])] == ["running", "finished"]
    ended = [each["data"] for each in told if each["type"] == "call.ended"]
    assert sorted(call["number"] for call in ended) == numbers
    assert {call["disposition"] for call in ended} == {"answered"}
    assert [call["ended_at"] for call in ended] == sorted(call["ended_at"] for call in ended)
