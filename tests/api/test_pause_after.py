"""Trying a campaign on a few people first."""

from typing import Any

from autodialer.store import Store
from tests.web.client import Client
from tests.web.conftest import StandingClock
from tests.web.dialing import DONE, answered, claim, record


def test_a_campaign_pauses_after_so_many_people_says_so_and_goes_on_when_it_is_told(
    anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    made = anna.post("/srv1/campaigns", json={**objects["fields"], "pause_after": 1}).json()
    path = f"/srv1/campaigns/{made['id']}"
    assert (made["pause_after"], made["people_called"]) == (1, 0)
    anna.post(f"{path}/start")
    [job] = claim(store, clock.now)
    record(store, clock.now, job, answered(clock.now), DONE)
    paused = anna.get(path).json()
    assert (paused["state"], paused["people_called"], paused["counts"]["reached"]) == ("paused", 1, 1)
    [why] = anna.get(f"{path}/why").json()["reasons"]
    assert why["code"] == "paused_after"
    assert why["message"].startswith("The campaign has called as many people (1) as its pause_after says, and paused.")
    assert anna.get(f"{path}/report").json()["answered"] == 1
    behind = anna.post(f"{path}/resume", json={"pause_after": 1})
    assert behind.status == 409
    assert "1 people have been called already" in behind.json()["message"]
    assert anna.get(path).json()["state"] == "paused", "a refused resume changes nothing"
    assert anna.post(f"{path}/resume", json={"pause_after": 2}).json()["pause_after"] == 2
    assert len(claim(store, clock.now)) == 1
    assert anna.get(path).json()["state"] == "paused"
    assert anna.post(f"{path}/resume").json()["pause_after"] is None
    assert len(claim(store, clock.now)) == 1


def test_a_pause_of_a_user_keeps_the_pause_to_come_unless_it_is_taken_away(
    anna: Client, objects: dict[str, Any]
) -> None:
    path = f"/srv1/campaigns/{objects['campaign']['id']}"
    assert anna.put(path, json={"pause_after": 2}).json()["pause_after"] == 2
    for deed in ("start", "pause"):
        anna.post(f"{path}/{deed}")
    assert anna.get(f"{path}/why").json()["reasons"][0]["code"] == "paused"
    assert anna.post(f"{path}/resume").json()["pause_after"] == 2
    anna.post(f"{path}/pause")
    assert anna.post(f"{path}/resume", json={"pause_after": None}).json()["pause_after"] is None
    assert anna.put(path, json={"pause_after": 0}).status == 400
