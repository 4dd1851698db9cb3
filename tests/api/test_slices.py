"""Follow-up campaigns for a slice, as clients ask for them."""

from typing import Any

import pytest

from autodialer.api import slices
from autodialer.model import Disposition
from autodialer.store import Store
from tests.web.client import Client
from tests.web.conftest import StandingClock
from tests.web.dialing import DONE, EXHAUSTED, answered, claim, failed, record


@pytest.fixture
def path(anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock) -> str:
    """A stopped campaign: the first person pressed 1 and heard half, the second was busy, the third was not called."""
    made = f"/srv1/campaigns/{objects['campaign']['id']}"
    anna.post(f"{made}/start")
    first, second = claim(store, clock.now, 2)
    record(store, clock.now, first, answered(clock.now, digits="1", played_share=0.5), DONE)
    record(store, clock.now, second, failed(clock.now, Disposition.BUSY, 486), EXHAUSTED)
    anna.post(f"{made}/stop")
    return made


@pytest.mark.parametrize(
    ("only", "people"),
    [
        ("all", 3),
        ("unreached", 2),
        ({"dispositions": ["busy"]}, 1),
        ({"dispositions": ["busy", "answered"]}, 2),
        ({"keys": ["1"]}, 1),
        ({"heard_below": 0.5}, 1),
        ({"heard_above": 0.5}, 1),
        ({"heard_above": 0.0, "heard_below": 1.0}, 2),
        ({"never_called": True}, 1),
        ({"dispositions": ["busy"], "never_called": True}, 2),
    ],
)
def test_a_slice_is_counted_before_it_is_called(anna: Client, path: str, only: Any, people: int) -> None:
    before = len(anna.get("/srv1/campaigns").json()["items"])
    counted = anna.post(f"{path}/slice", json={"only": only})
    assert (counted.status, counted.json()) == (200, {"only": only, "people": people, "total": 3})
    assert len(anna.get("/srv1/campaigns").json()["items"]) == before, "nothing was made"
    made = anna.post(f"{path}/clone", json={"only": only})
    assert made.status == 201
    if isinstance(only, dict):
        assert made.json()["slice"] == {
            "from_campaign_id": path.rpartition("/")[2],
            "only": only,
            "people": people,
            "complete": True,
        }
        assert made.json()["counts"]["total"] == people
    else:
        assert made.json()["slice"] is None


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("some", "only takes all, unreached or an object of conditions, not 'some'."),
        (5, "only takes all, unreached or an object of conditions."),
        (None, "only takes"),
        ({}, "only has no condition: say at least one of dispositions, keys"),
        ({"never_called": False}, "only has no condition"),
        ({"dispositions": ["asleep"]}, "dispositions.0"),
        ({"keys": ["12"]}, "keys.0"),
        ({"heard_below": 50}, "heard_below"),
        ({"heard_below": 0.2, "heard_above": 0.8}, "only: nobody hears heard_above or more and less than heard_below"),
        ({"heared": 1}, "heared"),
    ],
)
def test_what_names_no_people_is_refused_everywhere_and_told(
    anna: Client, path: str, objects: dict[str, Any], only: Any, message: str
) -> None:
    fields = {name: objects["fields"][name] for name in ("name", "trunk_ids", "sound_id")}
    new = {**fields, "from_campaign_id": path.rpartition("/")[2], "only": only}
    for answer in (
        anna.post(f"{path}/slice", json={"only": only}),
        anna.post(f"{path}/clone", json={"only": only}),
        anna.post("/srv1/campaigns", json=new),
    ):
        assert answer.status == 422
        assert message in answer.json()["message"]


def test_a_new_campaign_takes_the_callbase_of_the_campaign_that_it_follows(
    anna: Client, boris: Client, path: str, objects: dict[str, Any]
) -> None:
    fields = {name: objects["fields"][name] for name in ("name", "trunk_ids", "sound_id")}
    follow = {**fields, "from_campaign_id": path.rpartition("/")[2], "only": {"keys": ["1"]}}
    made = anna.post("/srv1/campaigns", json=follow)
    assert made.status == 201
    assert made.json()["callbase_id"] == objects["callbase"]["id"]
    assert made.json()["slice"]["people"] == 1
    everybody = anna.post("/srv1/campaigns", json={**fields, "from_campaign_id": follow["from_campaign_id"]})
    assert (everybody.status, everybody.json()["slice"]) == (201, None)
    for wrong, field in (
        ({**fields, "only": "all", "callbase_id": objects["callbase"]["id"]}, "only"),
        ({**follow, "callbase_id": path.rpartition("/")[2]}, "callbase_id"),
        ({**follow, "from_campaign_id": objects["callbase"]["id"]}, "from_campaign_id"),
    ):
        refused = anna.post("/srv1/campaigns", json=wrong)
        assert refused.status == 422
        assert refused.json()["message"].startswith(field)
    assert boris.post(f"{path}/slice", json={"only": "all"}).status == 404


def test_an_idempotency_key_tells_one_slice_from_another(anna: Client, path: str) -> None:
    headers = {"Idempotency-Key": "a"}
    first = anna.post(f"{path}/clone", json={"only": {"keys": ["1"]}}, headers=headers)
    again = anna.post(f"{path}/clone", json={"only": {"keys": ["1"]}}, headers=headers)
    other = anna.post(f"{path}/clone", json={"only": {"keys": ["2"]}}, headers=headers)
    assert first.json()["id"] == again.json()["id"]
    assert other.status == 409


def test_only_one_large_campaign_is_looked_through_at_a_time(
    anna: Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "SMALL", 2)
    monkeypatch.setattr(slices.threading.BoundedSemaphore, "acquire", lambda self, blocking=True: False)
    assert anna.post(f"{path}/slice", json={"only": "all"}).status == 429
    made = anna.post(f"{path}/clone", json={"only": {"heard_below": 1}})
    assert made.status == 201, "it is made even so, and the housekeeping finds the people that are left"
