"""POST /calls: one call with its own sound."""

from typing import Any

import pytest

from autodialer.model import Disposition, JobState
from autodialer.store import Store
from tests.web.client import Client
from tests.web.conftest import StandingClock
from tests.web.dialing import EXHAUSTED, claim, failed, record

NUMBER = "+79160000022"


def call(client: Client, objects: dict[str, Any], **more: Any) -> Any:
    return client.post("/srv1/calls", json={"sound_id": objects["sound"]["id"], "number": NUMBER, **more})


def test_the_only_trunk_is_taken_and_the_answer_says_which_and_where_to_read_the_call(
    anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    answer = call(anna, objects, name="Ольга", caller_id="+74950000000")
    assert answer.status == 202, answer.body
    made = answer.json()
    assert made["trunk_id"] == objects["trunk"]["id"]
    assert anna.get(made["url"]).json()["state"] == "queued"
    [job] = claim(store, clock.now)
    campaign = store.campaigns.by_key(job.campaign_key)
    assert (job.number, campaign.caller_id, campaign.max_attempts) == (NUMBER, "+74950000000", 1)
    record(store, clock.now, job, failed(clock.now, Disposition.BUSY, 486), EXHAUSTED)
    read = anna.get(made["url"]).json()
    assert (read["disposition"], read["number"], read["next_attempt"]["at"]) == ("busy", NUMBER, None)
    [listed] = anna.get("/srv1/calls?q=%D0%BE%D0%BB%D1%8C%D0%B3%D0%B0").json()["items"]
    assert listed["id"] == made["id"], "found by the person's name"
    assert claim(store, clock.now) == []


def test_a_call_has_a_webhook_of_its_own_which_is_in_no_list(
    anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    key = {"Idempotency-Key": "order-4711"}
    fields = {"sound_id": objects["sound"]["id"], "number": NUMBER, "webhook_url": "https://example.com/hook"}
    made = anna.post("/srv1/calls", json=fields, headers=key).json()
    assert made["webhook_secret"].startswith("whsec_")
    assert anna.post("/srv1/calls", json=fields, headers=key).json() == made
    assert anna.get("/srv1/webhooks").json()["items"] == []
    [job] = claim(store, clock.now)
    record(store, clock.now, job, failed(clock.now, Disposition.BUSY, 486), EXHAUSTED)
    assert [event.kind for event in store.events.oldest(10)] == ["call.ended"]
    assert call(anna, objects).json()["webhook_secret"] is None
    refused = call(anna, objects, webhook_url="https://127.0.0.1/hook")
    assert (refused.status, refused.fields) == (422, ["webhook_url"])


def test_without_a_choice_there_must_be_just_one_trunk(anna: Client, boris: Client, objects: dict[str, Any]) -> None:
    second = anna.post("/srv1/trunks", json={"name": "second", "host": "127.0.0.1"}).json()
    refused = call(anna, objects)
    assert (refused.status, refused.fields) == (422, ["trunk_id"])
    assert call(anna, objects, trunk_id=second["id"]).json()["trunk_id"] == second["id"]
    refused = call(boris, objects)
    assert (refused.status, refused.fields) == (422, ["trunk_id"]), "boris has none"


@pytest.mark.parametrize(
    ("more", "status", "field"),
    [
        ({"number": "89160000022"}, 422, "number"),
        ({"number": "+70001234567"}, 422, "number"),
        ({"sound_id": "00000000-0000-0000-0000-000000000000"}, 422, "sound_id"),
        ({"trunk_id": "00000000-0000-0000-0000-000000000000"}, 422, "trunk_id"),
        ({"caller_id": "a b"}, 400, "caller_id"),
        ({"retry": {}}, 400, "retry"),
    ],
)
def test_what_cannot_be_called_is_refused(
    anna: Client, objects: dict[str, Any], more: dict[str, Any], status: int, field: str
) -> None:
    refused = call(anna, objects, **more)
    assert (refused.status, refused.fields) == (status, [field])
    assert anna.get("/srv1/calls").json()["items"] == []


def test_a_number_on_the_dnc_list_is_not_called(
    anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    anna.put("/srv1/dnc/%2B79160000022", json={})
    made = call(anna, objects).json()
    assert claim(store, clock.now) == []
    assert anna.get(made["url"]).json()["state"] == JobState.CANCELLED.value
