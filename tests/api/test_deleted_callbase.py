"""A deleted callbase is gone at once for the users, long before its rows are."""

import re
from typing import Any

import pytest

import main
from autodialer.store import Store
from tests.web.client import Client
from tests.web.conftest import StandingClock
from tests.web.dialing import DONE, answered, claim, record

PEOPLE = "phone;name;comment;street\n+79160000001;Bartholomew;gate 7;Elm\n+79160000072;Ermintrude;gate 8;Oak\n"
WORDS = ("Bartholomew", "Ermintrude", "gate 7", "gate 8", "Elm", "Oak", "79160000072", "street")
"""What tells of the people. The number of the one who was called stands in the record of that call."""
NOT_TOLD = {"/users/<user_id>", "/audit", "/users", "/api-keys/<key_id>"}
"""An admin's, or of keys; and the audit names the callbase, not its people."""


@pytest.fixture
def deleted(anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock) -> dict[str, str]:
    """The ids of a callbase that was just deleted, and of a stopped campaign on it; as the paths call them."""
    upload = {"file": ("base.csv", PEOPLE.encode())}
    callbase = anna.post("/srv1/callbases", files=upload, data={"region": "RU"}).json()
    people = anna.get(f"/srv1/callbases/{callbase['id']}/subscribers").json()["items"]
    campaign = anna.post("/srv1/campaigns", json=objects["fields"] | {"callbase_id": callbase["id"]}).json()
    anna.post(f"/srv1/campaigns/{campaign['id']}/start")
    [job] = claim(store, clock.now, 1)
    record(store, clock.now, job, answered(clock.now), DONE)
    anna.post(f"/srv1/campaigns/{campaign['id']}/stop", json={})
    webhook = anna.post("/srv1/webhooks", json={"url": "https://example.com/hook", "events": ["call.ended"]}).json()
    ids = {
        "callbase_id": callbase["id"],
        "campaign_id": campaign["id"],
        "call_id": str(job.call_id),
        "subscriber_id": people[1]["id"],
        "trunk_id": objects["trunk"]["id"],
        "sound_id": objects["sound"]["id"],
        "import_id": callbase["id"],
        "number": "+79160000072",
        "webhook_id": webhook["id"],
        "delivery_id": anna.post(f"/srv1/webhooks/{webhook['id']}/test").json()["id"],
        "notice_id": webhook["id"],
        "key_id": callbase["id"],
        "user_id": callbase["id"],
    }
    told = told_by(anna, ids)
    assert {word for word in WORDS if word in told} == set(WORDS), "all of it was told before"
    assert anna.delete(f"/srv1/callbases/{callbase['id']}").status == 204
    return ids


def told_by(client: Client, ids: dict[str, str]) -> str:
    """What all the reading operations answer."""
    told = []
    for route in main.ROUTES:
        if route.method == "GET" and route.path not in NOT_TOLD:
            path = re.sub("<(.*?)>", lambda found: ids[found[1]], route.path)
            answer = client.get(f"/srv1{path}", headers={"Accept": "*/*"})
            told.append(answer.body.decode(errors="replace"))
    return "\n".join(told)


@pytest.mark.slow
def test_nothing_tells_of_the_people_of_a_deleted_callbase(deleted: dict[str, str], anna: Client, store: Store) -> None:
    told = told_by(anna, deleted)
    assert [word for word in WORDS if word in told] == []
    store.callbases.purge_deleted()
    assert [word for word in WORDS if word in told_by(anna, deleted)] == [], "and no trace of it is left"


def test_no_new_campaign_takes_a_deleted_callbase(
    deleted: dict[str, str], objects: dict[str, Any], anna: Client
) -> None:
    path = f"/srv1/callbases/{deleted['callbase_id']}"
    made = anna.post("/srv1/campaigns", json=objects["fields"] | {"callbase_id": deleted["callbase_id"]})
    assert (made.status, made.fields) == (422, ["callbase_id"])
    cloned = anna.post(f"/srv1/campaigns/{deleted['campaign_id']}/clone", json={"only": "all"})
    assert (cloned.status, cloned.fields) == (409, ["callbase_id"])
    assert anna.post(f"{path}/subscribers", json={"number": "+79160000009"}).status == 404
    assert anna.delete(path).status == 404
