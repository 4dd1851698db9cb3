"""Keys of a campaign through the API: said, checked, read back, told of calls, reported and downloaded."""

import csv
import io
from typing import Any

import pytest

from autodialer.campaign.admission import admit
from autodialer.model import JobResult, KeyAction, KeyEffect, KeyResult
from autodialer.store import Store
from tests.web.client import Client
from tests.web.conftest import StandingClock
from tests.web.dialing import DONE, answered, claim

KEYS = {"1": "confirm", "9": "opt_out", "0": "repeat", "5": "transfer"}


def make(anna: Client, objects: dict[str, Any], **fields: Any) -> Any:
    return anna.post("/srv1/campaigns", json=objects["fields"] | fields)


def test_a_campaign_without_keys_says_so(objects: dict[str, Any]) -> None:
    campaign = objects["campaign"]
    assert (campaign["keys"], campaign["transfer_to"], campaign["key_wait_s"]) == ({}, None, 0)


def test_keys_are_kept_with_a_wait_of_five_seconds_and_the_number_in_its_stored_spelling(
    anna: Client, objects: dict[str, Any]
) -> None:
    made = make(anna, objects, keys=KEYS, transfer_to="+7 (495) 123-45-67")
    assert made.status == 201
    assert {name: made.json()[name] for name in ("keys", "transfer_to", "key_wait_s")} == {
        "keys": KEYS,
        "transfer_to": "+74951234567",
        "key_wait_s": 5,
    }
    copy = anna.post(f"/srv1/campaigns/{made.json()['id']}/clone").json()
    assert (copy["keys"], copy["transfer_to"]) == (KEYS, "+74951234567")
    assert copy["after_failed_transfer"] == "continue"
    assert make(anna, objects, keys={"1": "confirm"}, key_wait_s=0).json()["key_wait_s"] == 0


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"keys": {"5": "transfer"}}, 422, "transfer_to"),
        ({"keys": {"5": "transfer"}, "transfer_to": None}, 422, "transfer_to"),
        ({"keys": {"5": "transfer"}, "transfer_to": "the boss"}, 422, "transfer_to"),
        ({"transfer_to": "+7"}, 422, "transfer_to"),
        ({"keys": {"A": "confirm"}}, 422, "keys"),
        ({"keys": {"10": "confirm"}}, 422, "keys"),
        ({"keys": {"1": "sing"}}, 400, "keys.1"),
        ({"keys": {}, "key_wait_s": 61}, 400, "key_wait_s"),
    ],
)
def test_keys_that_cannot_work_are_refused_by_the_name_of_the_field(
    anna: Client, objects: dict[str, Any], fields: dict[str, Any], status: int, field: str
) -> None:
    answer = make(anna, objects, **fields)
    assert (answer.status, answer.fields) == (status, [field]), answer.json()


def test_keys_change_as_the_campaign_s_state_lets_them(anna: Client, objects: dict[str, Any]) -> None:
    path = f"/srv1/campaigns/{make(anna, objects, keys=KEYS, transfer_to='+74951234567').json()['id']}"
    assert anna.put(path, json={"transfer_to": None}).fields == ["transfer_to"]
    assert anna.put(path, json={"keys": {"5": "transfer", "1": "confirm"}}).status == 200
    anna.post(f"{path}/start")
    more = {"5": "transfer", "1": "confirm", "9": "opt_out"}
    assert anna.put(path, json={"keys": more, "transfer_to": "+74951234568", "key_wait_s": 2}).json()["keys"] == more
    for keys in ({}, {**more, "1": "repeat"}):
        refused = anna.put(path, json={"keys": keys})
        assert (refused.status, refused.fields) == (409, ["keys"])
    read = anna.get(path).json()
    assert (read["keys"], read["transfer_to"], read["key_wait_s"]) == (more, "+74951234568", 2)


def result(digit: str, action: KeyAction, effect: KeyEffect, code: int | None = None) -> KeyResult:
    return KeyResult(digit=digit, action=action, at_s=2.5, effect=effect, code=code)


def test_what_keys_did_stands_in_the_call_the_report_and_the_table(
    anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    path = f"/srv1/campaigns/{make(anna, objects, keys=KEYS, transfer_to='+74951234567').json()['id']}"
    anna.post(f"{path}/start")
    first, second, third = claim(store, clock.now)
    transfer, confirm = KeyAction.TRANSFER, KeyAction.CONFIRM
    pressed = {
        first.call_id: (
            result("5", transfer, KeyEffect.REFUSED, 603),
            result("5", transfer, KeyEffect.ACCEPTED, 200),
            result("1", confirm, KeyEffect.DONE),
            result("1", confirm, KeyEffect.AGAIN),
        ),
        second.call_id: (result("1", confirm, KeyEffect.DONE), result("5", transfer, KeyEffect.REFUSED, 603)),
        third.call_id: (),
    }
    for job in (first, second, third):
        outcome = answered(clock.now)
        done = JobResult(job=job, outcome=outcome, next_step=DONE, key_results=pressed[job.call_id])
        store.queue.record([done], clock.now, admit)
    call = anna.get(f"/srv1/calls/{second.call_id}").json()
    assert call["key_results"] == [
        {"digit": "1", "action": "confirm", "at_s": 2.5, "effect": "done", "code": None},
        {"digit": "5", "action": "transfer", "at_s": 2.5, "effect": "refused", "code": 603},
    ]
    assert anna.get(f"/srv1/calls/{third.call_id}").json()["key_results"] == []
    assert anna.get(f"{path}/report").json()["keys"] == {
        "1": {"action": "confirm", "calls": 2, "effects": {"done": 2}},
        "5": {"action": "transfer", "calls": 2, "effects": {"accepted": 1, "refused": 1}},
    }
    table = csv.DictReader(io.StringIO(anna.get(f"{path}/calls.csv").body.decode("utf-8-sig")))
    assert {row["id"]: row["key_results"] for row in table} == {
        str(first.call_id): "5 transfer refused 603; 5 transfer accepted 200; 1 confirm done; 1 confirm again",
        str(second.call_id): "1 confirm done; 5 transfer refused 603",
        str(third.call_id): "",
    }


def test_an_erased_person_s_keys_are_gone_and_stay_in_the_statistics(
    anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    path = f"/srv1/campaigns/{make(anna, objects, keys=KEYS, transfer_to='+74951234567').json()['id']}"
    anna.post(f"{path}/start")
    (job, *_) = claim(store, clock.now)
    pressed = (result("1", KeyAction.CONFIRM, KeyEffect.DONE),)
    store.queue.record(
        [JobResult(job=job, outcome=answered(clock.now, digits="1"), next_step=DONE, key_results=pressed)],
        clock.now,
        admit,
    )
    call = anna.get(f"/srv1/calls/{job.call_id}").json()
    assert anna.post(f"/srv1/subscribers/{call['subscriber_id']}/erase").status == 200
    erased = anna.get(f"/srv1/calls/{job.call_id}").json()
    assert (erased["number"], erased["digits"], erased["key_results"]) == ("", "", [])
    assert anna.get(f"{path}/report").json()["keys"]["1"]["calls"] == 1
