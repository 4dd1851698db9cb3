"""GET /srv1/calls/{id}/trace: the SIP messages that the dialer wrote, as text, for the owner of the call."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

import main
from autodialer.api import traces
from autodialer.commands.trace import show_trace
from autodialer.errors import NotFound
from autodialer.sip.hop import Hop
from autodialer.sip.trace import RECEIVED, SENT, pack
from autodialer.store import Store
from tests.sip.test_trace import BEGAN_AT, INVITE, PEER, RINGING
from tests.web.client import Client
from tests.web.conftest import StandingClock
from tests.web.dialing import DONE, answered, claim, record

PACKED = pack(5.0, BEGAN_AT, [(5.0, SENT, INVITE, PEER), (5.1, RECEIVED, RINGING, Hop("192.0.2.9", 5060))], 0)


@pytest.fixture
def call_id(anna: Client, store: Store, clock: StandingClock, objects: dict[str, Any]) -> UUID:
    """A finished call of Anna's, the dialer gone."""
    anna.post(f"/srv1/campaigns/{objects['campaign']['id']}/start")
    [job, *_] = claim(store, clock.utcnow())
    record(store, clock.utcnow(), job, answered(clock.utcnow()), DONE)
    return job.call_id


def keep(store: Store, call_id: UUID, packed: bytes = PACKED) -> None:
    store.traces.write({call_id: packed}, keep=10, longest=timedelta(days=7))


def test_the_trace_of_a_finished_call_is_plain_text(anna: Client, store: Store, call_id: UUID) -> None:
    keep(store, call_id)
    answer = anna.get(f"/srv1/calls/{call_id}/trace")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    text = answer.body.decode()
    assert text.startswith(f"SIP messages of call {call_id} to +79160000001\n+0.000 is 2026-03-02 09:00:00.123 UTC\n")
    assert "|-- INVITE sip:79161234567@192.0.2.9 --->| 192.0.2.9:5060 UDP" in text
    assert "\n---- 2: +0.100 s, received from" in text


def test_others_calls_and_unknown_ones_are_404_and_an_admin_sees_all(
    boris: Client, admin: Client, store: Store, call_id: UUID
) -> None:
    keep(store, call_id)
    assert boris.get(f"/srv1/calls/{call_id}/trace").status == 404
    assert boris.get(f"/srv1/calls/{uuid4()}/trace").error == "not_found"
    assert admin.get(f"/srv1/calls/{call_id}/trace").status == 200
    assert Client(admin.app).get(f"/srv1/calls/{call_id}/trace").status == 401


def test_a_trace_that_is_not_kept_says_which_settings_decide(anna: Client, call_id: UUID) -> None:
    answer = anna.get(f"/srv1/calls/{call_id}/trace")
    assert (answer.status, answer.error) == (404, "not_found")
    assert "DIALER_TRACE_CALLS" in answer.json()["message"]


def test_a_call_that_waits_in_the_queue_has_no_trace_yet(anna: Client, store: Store, objects: dict[str, Any]) -> None:
    wanted = {"trunk_id": objects["trunk"]["id"], "sound_id": objects["sound"]["id"], "number": "+79160000009"}
    queued = anna.post("/srv1/call/sample", json=wanted).json()["id"]
    answer = anna.get(f"/srv1/calls/{queued}/trace")
    assert answer.status == 404
    assert "has not been made yet" in answer.json()["message"]


def test_a_trace_of_another_version_is_no_error_of_ours(anna: Client, store: Store, call_id: UUID) -> None:
    keep(store, call_id, b"9unknown")
    assert anna.get(f"/srv1/calls/{call_id}/trace").status == 404


def test_a_call_under_way_asks_the_dialer_and_shows_what_was_kept_when_it_is_silent(
    anna: Client, store: Store, clock: StandingClock, objects: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "WAIT_S", 0.0)
    anna.post(f"/srv1/campaigns/{objects['campaign']['id']}/start")
    [job, *_] = claim(store, clock.utcnow())
    keep(store, job.call_id)
    store.live.heartbeat("test", 1)
    assert anna.get(f"/srv1/calls/{job.call_id}/trace").status == 200
    assert [(each.kind, each.call_id) for each in store.commands.new()] == [("trace_call", job.call_id)]


def test_the_console_prints_the_same_without_a_login(
    anna: Client, store: Store, settings: Any, call_id: UUID, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(store, call_id)
    assert show_trace(settings, str(call_id)) == 0
    assert capsys.readouterr().out == anna.get(f"/srv1/calls/{call_id}/trace").body.decode()
    with pytest.raises(NotFound, match="no call with the id"):
        show_trace(settings, str(uuid4()))


def test_the_command_line_takes_an_id(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(["trace"])
    assert "ID" in capsys.readouterr().err
