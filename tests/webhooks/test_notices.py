"""Notices: sentences for people, sent by a process that may touch nothing but the open internet."""

import json
import re
import socket
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from autodialer.commands.deliveries import _why_stalled
from autodialer.model import TrunkStatus
from autodialer.model.webhooks import EventKind
from autodialer.store import Notice, NoticeSettings, RejectedRow
from autodialer.webhooks.notifier import WAITS_S, Notifier
from autodialer.webhooks.sentences import LANGUAGES, STALLED, sample_sentence, sentence
from autodialer.webhooks.stalled import StalledCampaigns
from autodialer.webhooks.stranger import Task, Told, apart
from tests.store.world import World
from tests.webhooks.conftest import Hooks
from tests.webhooks.receiver import Receiver, scripted

EVENTS = ("campaign.state", "trunk.state", "import.ended", "ceiling.reached")
SETTINGS = NoticeSettings(name="Olga", url="json://crm.example/x", shown="JSON", events=EVENTS, language="en")
ROOT = Path(__file__).resolve().parents[2]
HERE = ("127.0.0.0/8",)


def made(world: World, **fields: Any) -> Notice:
    return world.store.notices.create(world.user.key, replace(SETTINGS, **fields))


def titles(world: World) -> list[str]:
    return [message.title for message in world.store.notices.due(100)]


def break_trunk(world: World, **status: Any) -> None:
    world.store.live.write_trunks([TrunkStatus(trunk_key=world.trunk.key, **status)])


def test_people_are_told_what_they_need_to_know_and_no_more(world: World, hooks: Hooks) -> None:
    made(world)
    campaign = world.running(1)
    world.store.campaigns.pause(campaign.id, None, by="pavel")
    world.store.campaigns.resume(campaign.id, None, by="pavel")
    world.store.campaigns.stop(campaign.id, None, hangup=False, by="pavel")
    break_trunk(world, breaker_state="resting", breaker_cause="5 times 503")
    break_trunk(world, breaker_state="probing")
    break_trunk(world, breaker_state="closed")
    hooks.fan_out()
    assert titles(world) == [
        "Campaign “campaign” is paused",
        "Campaign “campaign” was stopped",
        "Trunk “trunk” does not work",
        "Trunk “trunk” works again",
    ]


def test_an_import_is_told_if_it_has_rejects_or_fails_only(world: World, hooks: Hooks) -> None:
    made(world)
    world.callbase(1)
    hooks.fan_out()
    assert titles(world) == []
    rejected = world.store.callbases.create(world.user.key, name="people", region="GB")
    world.store.callbases.add_rejected(rejected.key, [RejectedRow(row=2, value="x", reason="not a number")])
    world.store.callbases.finish(rejected.key, rows=1)
    failed = world.store.callbases.create(world.user.key, name="other", region="GB")
    world.store.callbases.fail(failed.key, "The file is empty.")
    hooks.fan_out()
    assert titles(world) == ["Table “people” was imported in part", "Table “other” was not imported"]


def test_a_notice_in_russian_says_it_in_russian(world: World, hooks: Hooks) -> None:
    made(world, language="ru", events=("campaign.state",))
    campaign = world.running(1)
    world.store.campaigns.stop(campaign.id, None, hangup=False, by="olga")
    hooks.fan_out()
    (message,) = world.store.notices.due(10)
    assert message.title == "Кампания «campaign» остановлена"
    assert message.body.startswith("Кампанию остановили (olga), больше она не звонит.")


def test_another_users_notice_and_an_inactive_one_hear_nothing(world: World, hooks: Hooks) -> None:
    world.store.notices.create(world.other.key, SETTINGS)
    made(world, active=False)
    campaign = world.running(1)
    world.store.campaigns.stop(campaign.id, None, hangup=False)
    hooks.fan_out()
    assert titles(world) == []


COUNTS = {"total": 3, "pending": 0, "in_progress": 0, "reached": 2, "exhausted": 1, "excluded": 0}
DATA: dict[str, list[dict[str, Any]]] = {
    EventKind.CAMPAIGN_STATE: [
        {"campaign": "c", "state": state, "by": by, "counts": COUNTS}
        for state in ("running", "paused", "finished", "stopped")
        for by in (None, "olga")
    ],
    EventKind.TRUNK_STATE: [
        {"trunk": "t", "state": state, "cause": cause}
        for state in ("working", "resting", "not_registered")
        for cause in (None, "503")
    ],
    EventKind.IMPORT_ENDED: [
        {"name": "n", "state": state, "error": "why", "rows": 3, "imported": 2, "rejected": rejected}
        for state in ("ready", "failed")
        for rejected in (0, 1)
    ],
    EventKind.CEILING_REACHED: [
        {"name": "n", "of": of, "ceiling": ceiling, "calls": 3}
        for of in ("user", "trunk")
        for ceiling in ("max_calls_day", "max_minutes_day")
    ],
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_said_in_both_languages(language: str) -> None:
    for kind, cases in DATA.items():
        for data in cases:
            said, other = sentence(kind, data, language), sentence(kind, data, "en")
            assert (said is None) == (other is None), (kind, data)
            for text in said or ():
                assert text.strip() == text and "None" not in text and "{" not in text
                assert bool(re.search("[а-я]", text)) == (language == "ru")
    assert all(sample_sentence(language))


# -- campaigns that run and call nobody


def stalled(world: World) -> StalledCampaigns:
    return StalledCampaigns(world.store, partial(_why_stalled, world.store), world.clock)


def test_a_campaign_that_stops_dialing_is_told_once_and_again_after_it_has_dialled(world: World) -> None:
    made(world)
    made(world, language="ru")
    world.running(1)
    watch = stalled(world)
    resting = TrunkStatus(trunk_key=world.trunk.key, breaker_state="resting", breaker_cause="5 times 503")
    working = TrunkStatus(trunk_key=world.trunk.key, breaker_state="closed")
    told = []
    life = [(resting, 30), (resting, 29), (resting, 1), (resting, 600), (working, 30), (resting, 60), (resting, 60)]
    for status, seconds in life:
        world.store.live.heartbeat("dialer-1", 1)
        world.store.live.write_trunks([status])
        watch.look()
        told.append(len(titles(world)))
        world.clock.move(seconds=seconds)
    assert told == [0, 0, 0, 2, 2, 2, 4]
    assert titles(world)[:2] == ["Campaign “campaign” has stopped dialing", "Кампания «campaign» не звонит"]


def test_a_campaign_that_waits_for_its_hours_or_was_paused_is_no_news(world: World) -> None:
    made(world)
    world.store.live.heartbeat("dialer-1", 1)
    campaign = world.running(1, starts_at=world.clock.now + timedelta(days=1))
    paused = world.running(1)
    world.store.campaigns.pause(paused.id, None)
    watch = stalled(world)
    watch.look()
    world.clock.move(hours=1)
    world.store.live.heartbeat("dialer-1", 1)
    watch.look()
    assert campaign and titles(world) == []


def test_every_reason_that_stalls_is_one_of_the_report() -> None:
    contract = yaml.safe_load((ROOT / "swagger.yaml").read_text())
    codes = contract["definitions"]["Why"]["properties"]["reasons"]["items"]["properties"]["code"]["enum"]
    assert set(STALLED) <= set(codes)


# -- sending


def test_a_message_that_fails_is_tried_again_and_then_dropped_with_a_note(world: World) -> None:
    notice = made(world)
    tried: list[Task] = []

    def refuse(task: Task) -> Told:
        tried.append(task)
        return Told(shown="JSON", error="the service is down.")

    notifier = Notifier(world.store, (), world.clock, send=refuse)
    world.store.notices.send(notice.key, "title", "body")
    for wait in (*WAITS_S, 0):
        assert notifier.step() == 1
        assert notifier.step() == 0
        world.clock.move(seconds=wait)
    assert len(tried) == len(WAITS_S) + 1
    assert world.store.notices.get(notice.id, None).note == "The last message did not go out: the service is down."
    assert notifier.step() == 0
    world.store.notices.send(notice.key, "title", "body")
    Notifier(world.store, (), world.clock, send=lambda task: Told(shown="JSON", error=None)).step()
    after = world.store.notices.get(notice.id, None)
    assert (after.note, after.sent_at) == (None, world.clock.now)


def test_messages_that_nobody_takes_do_not_pile_up(world: World) -> None:
    notice = made(world)
    for index in range(250):
        world.store.notices.send(notice.key, str(index), "body")
    assert [message.title for message in world.store.notices.due(1000)] == [str(index) for index in range(150, 250)]


@pytest.mark.process
@pytest.mark.loopback
def test_a_message_goes_out_through_apprise(there: Receiver) -> None:
    url = there.url.replace("http://", "json://")
    assert apart(Task(url=url, title="Кампания", body="Обзвон закончен.", networks=HERE)) == Told(
        shown="JSON 127.0.0.1", error=None
    )
    (got,) = there.got
    assert (json.loads(got.body)["title"], json.loads(got.body)["message"]) == ("Кампания", "Обзвон закончен.")


@pytest.mark.process
@pytest.mark.loopback
def test_a_mail_goes_out_to_the_server_of_the_address() -> None:
    letters: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        lines = connection.makefile("rb")
        connection.sendall(b"220 mail\r\n")
        while line := lines.readline():
            verb = line[:4].upper().strip()
            if verb == b"DATA":
                connection.sendall(b"354 go on\r\n")
                letter = b""
                while (part := lines.readline()) != b".\r\n":
                    letter += part
                letters.append(letter)
            connection.sendall(b"221 bye\r\n" if verb == b"QUIT" else b"250 fine\r\n")

    with scripted(serve) as url:
        host = url.removeprefix("http://").removesuffix("/hook")
        address = f"mailto://{host}/?from=dialer@mail.example&to=anna@mail.example&mode=insecure"
        told = apart(Task(url=address, title="Title", body="Some text", networks=HERE))
    assert told.error is None, told
    assert b"Some text" in letters[0] or b"U29tZSB0ZXh0" in letters[0]


@pytest.mark.process
@pytest.mark.loopback
def test_an_address_inside_is_refused_at_the_connection(there: Receiver) -> None:
    told = apart(Task(url=there.url.replace("http://", "json://"), title="t", body="b", networks=("127.9.0.0/16",)))
    assert told.error is not None and "DIALER_WEBHOOK_NETWORKS" in told.error
    assert there.got == []


GUARDED: dict[str, tuple[str, str]] = {
    "a connection": ("import socket; socket.create_connection(('127.0.0.1', {port}), 2)", "open internet"),
    "a name": ("import socket; s = socket.socket(); s.connect(('localhost', {port}))", "this machine"),
    "a datagram": ("import socket; socket.socket(type=2).sendto(b'x', ('127.0.0.1', {port}))", "open internet"),
    "a local socket": ("import socket; socket.socket(1).connect('/run/x.sock')", "this machine"),
    "a file": ("open('/etc/passwd').read()", "files of this machine"),
    "a file of ours": ("open('{file}').read()", "files of this machine"),
    "a written file": ("open('{file}', 'w')", "files of this machine"),
    "a program": ("import subprocess; subprocess.run(['true'])", "this machine"),
    "a shell": ("import os; os.system('true')", "this machine"),
    "a file removed": ("import os; os.remove('{file}')", "this machine"),
}


@pytest.mark.process
@pytest.mark.loopback
@pytest.mark.parametrize("what", GUARDED)
def test_the_process_of_a_stranger_touches_nothing_of_this_machine(what: str, tmp_path: Path) -> None:
    """Whatever apprise is made to do: here in its place."""
    import subprocess
    import sys

    deed, refusal = GUARDED[what]
    file = tmp_path / "secret"
    file.write_text("kept")
    with socket.create_server(("127.0.0.1", 0)) as open_port:
        ready = deed.format(port=open_port.getsockname()[1], file=file)
        script = (
            "from autodialer.webhooks.stranger import _Guard\n"
            "guard = _Guard(())\nguard.install()\n"
            f"try:\n    {ready}\nexcept PermissionError:\n    print(guard.refused)\n"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert refusal in done.stdout, done
    assert file.read_text() == "kept"


@pytest.mark.process
@pytest.mark.parametrize("url", ["nonsense://x", "syslog://", "dbus://", "mailto://", "not an address"])
def test_an_address_of_no_service_is_told(url: str) -> None:
    assert apart(Task(url=url)).error is not None
