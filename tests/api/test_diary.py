"""The diary of a campaign as its owner reads it."""

from datetime import timedelta
from typing import Any

import pytest

from autodialer.api.diary import SENTENCES, present_line
from autodialer.model.diary import DiaryEvent, DiaryLine, DiaryNote
from autodialer.store import Store
from tests.store.world import NOW
from tests.web.client import Client
from tests.web.conftest import StandingClock
from tests.web.dialing import DONE, answered, claim, record


def test_the_owner_reads_in_plain_english_what_happened_and_nobody_else_does(
    anna: Client, boris: Client, admin: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    path = f"/srv1/campaigns/{objects['campaign']['id']}"
    anna.put(path, json={"cps": 2, "max_channels": 4})
    anna.put(path, json={"cps": 2.5, "pause_after": 3})
    anna.post(f"{path}/start")
    admin.post(f"{path}/pause")
    anna.post(f"{path}/resume")
    for job in claim(store, clock.now):
        record(store, clock.now, job, answered(clock.now), DONE)
    anna.post(f"{path}/resume")
    store.queue.finish_campaigns(clock.now)
    lines = anna.get(f"{path}/diary").json()["items"]
    assert [(line["event"], line["by"], line["message"]) for line in lines] == [
        ("created", "anna", "Made by anna."),
        ("changed", "anna", "Changed by anna: cps from none to 2.0; max_channels from none to 4."),
        ("changed", "anna", "Changed by anna: cps from 2.0 to 2.5; pause_after from none to 3."),
        ("started", "anna", "Started by anna."),
        ("paused", "admin", "Paused by admin."),
        ("resumed", "anna", "Resumed by anna."),
        ("paused", None, "Paused: as many people (3) as pause_after says have been called."),
        ("resumed", "anna", "Resumed by anna."),
        ("finished", None, "Finished: every subscriber has been dealt with."),
    ]
    assert lines[2]["details"] == {"changes": {"cps": [2.0, 2.5], "pause_after": [None, 3]}}
    assert admin.get(f"{path}/diary").json()["items"] == lines
    assert boris.get(f"{path}/diary").status == 404
    first = anna.get(f"{path}/diary?limit=4").json()
    rest = anna.get(f"{path}/diary?after={first['next']}").json()
    assert first["items"] + rest["items"] == lines
    assert rest["next"] is None


def test_merged_lines_say_how_often_and_until_when(
    anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    path = f"/srv1/campaigns/{objects['campaign']['id']}"
    key = store.campaigns.page(None)[0][0].key
    details = {"name": "provider", "trunk_id": objects["trunk"]["id"], "cause": "5 times 503"}
    for _ in range(3):
        for event in (DiaryEvent.TRUNK_RESTED, DiaryEvent.TRUNK_CAME_BACK):
            clock.move(60)
            store.diary.note([DiaryNote(campaign_key=key, event=event, subject="trunk 1", details=details)])
    rested = anna.get(f"{path}/diary").json()["items"][-2]
    assert rested["message"].startswith("Trunk provider rests: 5 times 503. It happened 3 times, last at ")
    assert rested["details"]["times"] == 3
    assert rested["details"]["last_at"] > rested["at"]


@pytest.mark.parametrize("event", list(DiaryEvent))
def test_every_event_has_a_sentence(event: DiaryEvent) -> None:
    details = {"changes": {"cps": [1, 2]}, "name": "t", "imported": 1, "rejected": 2, "error": "e", "cause": "c"}
    line = DiaryLine(at=NOW, event=event, by="anna", details=details, times=1, last_at=NOW + timedelta(hours=1))
    assert len(present_line(line)["message"]) > 8
    assert set(SENTENCES) == set(DiaryEvent)
