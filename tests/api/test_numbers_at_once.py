"""Numbers handed to a campaign as JSON: a campaign without a file."""

from typing import Any

import pytest

from autodialer.store import Store
from tests.web.client import Client
from tests.web.conftest import StandingClock
from tests.web.dialing import DONE, answered, claim, record


@pytest.fixture
def own(anna: Client, objects: dict[str, Any]) -> str:
    """The path of a draft without a file."""
    fields = {name: value for name, value in objects["fields"].items() if name != "callbase_id"}
    made = anna.post("/srv1/campaigns", json=fields | {"name": "from a CRM"})
    assert made.status == 201, made.body
    return f"/srv1/campaigns/{made.json()['id']}"


def add(client: Client, path: str, *numbers: Any, **more: Any) -> Any:
    answer = client.post(f"{path}/subscribers", json={"numbers": list(numbers), **more})
    assert answer.status == 200, answer.body
    return answer.json()


def test_a_campaign_without_a_file_has_a_callbase_of_its_own(anna: Client, own: str) -> None:
    campaign = anna.get(own).json()
    callbase = anna.get(f"/srv1/callbases/{campaign['callbase_id']}").json()
    assert (callbase["name"], callbase["state"], callbase["imported"]) == ("from a CRM", "ready", 0)
    refused = anna.post(f"{own}/start")
    assert (refused.status, refused.fields) == (409, ["callbase_id"])
    assert add(anna, own, "+79160000001")["imported"] == 1
    assert anna.post(f"{own}/start").status == 200


def test_the_answer_says_what_became_of_each_number(anna: Client, own: str) -> None:
    answer = add(
        anna,
        own,
        "+79160000001",
        {"number": "8 (916) 000-00-02", "name": "Ольга", "comment": "", "extra": {"flat": "2"}},
        "89160000001",
        "12",
        {"name": "nobody"},
        {"number": "+79160000003", "timezone": "Moscow"},
        {"number": "+79160000004", "age": 7},
        79160000005,
        {"number": "12", "second_number": "+79160000006"},
        region="RU",
    )
    assert (answer["imported"], answer["duplicates"], answer["rejected"]) == (3, 1, 5)
    rejected = {(one["place"], one["value"], one["field"]) for one in answer["rejected_numbers"]}
    assert rejected == {
        (4, "12", "number"),
        (5, '{"name": "nobody"}', "number"),
        (6, "+79160000003", "timezone"),
        (7, "+79160000004", "age"),
        (8, "79160000005", None),
    }
    assert all(one["reason"] for one in answer["rejected_numbers"])
    callbase = anna.get(own).json()["callbase_id"]
    people = {one["number"]: one for one in anna.get(f"/srv1/callbases/{callbase}/subscribers").json()["items"]}
    assert people.keys() == {"+79160000001", "+79160000002", "+79160000006"}
    assert people["+79160000002"]["name"] == "Ольга"
    assert people["+79160000002"]["comment"] is None
    assert people["+79160000002"]["extra"] == {"flat": "2"}
    again = add(anna, own, "+79160000001", "+79160000007")
    assert (again["imported"], again["duplicates"]) == (1, 1)


def test_it_is_the_same_as_an_upload_of_these_numbers(anna: Client, own: str) -> None:
    numbers = ["+79161234567", "8 916 123 45 68", "+70001234567", "916-123-45-69", "12", "8(495)1234567", "x"]
    answer = add(anna, own, *numbers, region="RU")
    files = {"file": ("base.csv", ("phone\n" + "\n".join(numbers) + "\n").encode())}
    uploaded = anna.post("/srv1/callbases", files=files, data={"region": "RU"}).json()
    own_callbase = anna.get(own).json()["callbase_id"]
    left = ("id",)

    def people(callbase: str) -> list[Any]:
        items = anna.get(f"/srv1/callbases/{callbase}/subscribers").json()["items"]
        return [{name: value for name, value in item.items() if name not in left} for item in items]

    assert people(own_callbase) == people(uploaded["id"])
    assert (answer["imported"], answer["rejected"]) == (uploaded["imported"], uploaded["rejected"])
    rejected = anna.get(f"/srv1/callbases/{uploaded['id']}/rejected").json()["items"]
    assert [one["reason"] for one in answer["rejected_numbers"]] == [one["reason"] for one in rejected]
    assert anna.get(f"/srv1/callbases/{own_callbase}").json()["doubtful"] == uploaded["doubtful"]


def test_a_running_campaign_calls_them_at_its_next_look(
    anna: Client, own: str, store: Store, clock: StandingClock
) -> None:
    add(anna, own, "+79160000001")
    anna.post(f"{own}/start")
    assert [job.number for job in claim(store, clock.now)] == ["+79160000001"]
    add(anna, own, *(f"+7916123{turn:04}" for turn in range(1200)))
    assert anna.get(own).json()["counts"]["total"] == 1201
    assert len(claim(store, clock.now, limit=1000)) > 100


def test_an_ended_campaign_a_strangers_and_a_shared_callbase_are_refused(
    anna: Client, boris: Client, own: str, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    body = {"numbers": ["+79160000001"]}
    assert boris.post(f"{own}/subscribers", json=body).status == 404
    add(anna, own, "+79160000001")
    anna.post(f"{own}/start")
    for job in claim(store, clock.now):
        record(store, clock.now, job, answered(clock.now), DONE)
    store.queue.finish_campaigns(clock.now)
    refused = anna.post(f"{own}/subscribers", json=body)
    assert (refused.status, "clone" in refused.json()["message"]) == (409, True)
    # Two campaigns on one callbase: what is meant for the one would be called by the other.
    first = f"/srv1/campaigns/{objects['campaign']['id']}"
    second = f"/srv1/campaigns/{anna.post('/srv1/campaigns', json=objects['fields']).json()['id']}"
    assert add(anna, second, "+79160000021")["imported"] == 1
    anna.post(f"{first}/start")
    refused = anna.post(f"{second}/subscribers", json=body)
    assert (refused.status, refused.fields) == (409, ["callbase_id"])
    assert add(anna, first, "+79160000022")["imported"] == 1


@pytest.mark.parametrize(
    "body", [{}, {"numbers": []}, {"numbers": "+79160000001"}, {"numbers": ["+79160000001"] * 10_001}]
)
def test_what_is_no_list_of_numbers_is_refused(anna: Client, own: str, body: dict[str, Any]) -> None:
    assert anna.post(f"{own}/subscribers", json=body).status == 400


def test_a_region_belongs_to_one_callbase(anna: Client, objects: dict[str, Any]) -> None:
    refused = anna.post("/srv1/campaigns", json=objects["fields"] | {"region": "RU"})
    assert (refused.status, refused.fields) == (422, ["region"])
    fields = {name: value for name, value in objects["fields"].items() if name != "callbase_id"}
    made = anna.post("/srv1/campaigns", json=fields | {"region": "Россия"}).json()
    assert anna.get(f"/srv1/callbases/{made['callbase_id']}").json()["region"] == "RU"
    assert add(anna, f"/srv1/campaigns/{made['id']}", "89160000001")["imported"] == 1
