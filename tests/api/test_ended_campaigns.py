"""What becomes of campaigns that are over: they say what they are, are archived, and deleted."""

import re
from typing import Any

import pytest

import main
from autodialer.store import Store
from tests.web.client import Client
from tests.web.conftest import StandingClock
from tests.web.dialing import DONE, answered, claim, record


@pytest.fixture
def ended(anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock) -> dict[str, str]:
    """The ids of a finished campaign and of a call, as the paths call them."""
    campaign = objects["campaign"]["id"]
    anna.post(f"/srv1/campaigns/{campaign}/start")
    jobs = claim(store, clock.now)
    for job in jobs:
        record(store, clock.now, job, answered(clock.now), DONE)
    store.queue.finish_campaigns(clock.now)
    return {"campaign_id": campaign, "call_id": str(jobs[0].call_id)}


def test_no_operation_answers_of_a_deleted_campaign_or_its_calls(ended: dict[str, str], anna: Client) -> None:
    hook = {"url": "https://example.com/hook", "events": ["call.ended"], "campaign_id": ended["campaign_id"]}
    assert anna.post("/srv1/webhooks", json=hook).status == 201
    assert anna.get("/srv1/calls").json()["items"]
    assert anna.delete(f"/srv1/campaigns/{ended['campaign_id']}").status == 204
    asked = set()
    for route in main.ROUTES:
        if "<campaign_id>" not in route.path and "<call_id>" not in route.path:
            continue
        path = re.sub("<(.*?)>", lambda found: ended[found[1]], route.path)
        needed: dict[str, Any] = {
            "digits": {"digits": "1"},
            "slice": {"only": "all"},
            "subscribers": {"numbers": ["1"]},
        }
        body = needed.get(path.rpartition("/")[2], {"cps": 1} if route.method == "PUT" else None)
        answer = anna.call(route.method, f"/srv1{path}", json=body)
        assert (answer.status, answer.json()["error"]) == (404, "not_found"), (route.method, route.path)
        asked.add((route.method, route.path))
    assert len(asked) > 15
    for path in ("/srv1/campaigns?archived=true", "/srv1/calls", "/srv1/webhooks"):
        assert anna.get(path).json()["items"] == [], path


def test_a_finished_campaign_says_what_it_is_and_the_way_out(ended: dict[str, str], anna: Client) -> None:
    path = f"/srv1/campaigns/{ended['campaign_id']}"
    refusals = [anna.post(f"{path}/{deed}") for deed in ("start", "pause", "resume", "stop")]
    refusals.append(anna.put(path, json={"cps": 1}))
    for answer in refusals:
        assert answer.status == 409
        assert re.match(r"The campaign finished at \d{4}-.* UTC; .* cannot be .*Clone it", answer.json()["message"])


def test_a_stopped_campaign_says_who_stopped_it(anna: Client, objects: dict[str, Any]) -> None:
    path = f"/srv1/campaigns/{objects['campaign']['id']}"
    for deed in ("start", "stop"):
        assert anna.post(f"{path}/{deed}").status == 200
    message = anna.post(f"{path}/resume").json()["message"]
    assert re.match(r"The campaign was stopped for good by anna at .* cannot be resumed\. Clone it", message)


def test_archived_campaigns_are_left_out_of_the_list_unless_asked_for(
    anna: Client, boris: Client, objects: dict[str, Any]
) -> None:
    path = f"/srv1/campaigns/{objects['campaign']['id']}"
    assert boris.post(f"{path}/archive").status == 404
    assert anna.post(f"{path}/archive").json()["archived_at"] is not None
    assert anna.get("/srv1/campaigns").json()["items"] == []
    assert anna.get("/srv1/campaigns?archived=false").json()["items"] == []
    assert [each["id"] for each in anna.get("/srv1/campaigns?archived=true").json()["items"]] == [
        objects["campaign"]["id"]
    ]
    assert anna.get(path).status == 200
    assert anna.post(f"{path}/unarchive").json()["archived_at"] is None
    assert len(anna.get("/srv1/campaigns").json()["items"]) == 1


def test_a_running_campaign_is_neither_archived_nor_deleted_and_says_what_to_do(
    anna: Client, objects: dict[str, Any]
) -> None:
    path = f"/srv1/campaigns/{objects['campaign']['id']}"
    anna.post(f"{path}/start")
    for answer in (anna.delete(path), anna.post(f"{path}/archive")):
        assert answer.status == 409
        assert "stop it first" in answer.json()["message"]
