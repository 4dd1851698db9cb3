"""A campaign made from each of the example tables dials what a person would expect of it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from autodialer.store import Store
from tests.web.client import Client
from tests.web.conftest import StandingClock
from tests.web.dialing import claim

EXAMPLES = Path(__file__).resolve().parents[2] / "docs/examples"
DIALLED = {
    "clients-excel.csv": ["+12015550100", "+12015550101", "+12015550102", "+12015550103"],
    "clients.xlsx": ["+12015550110", "+12015550111", "+12015550112"],
    "title-rows.xlsx": ["+12025550120", "+12025550121", "+12025550122"],
    "two-phones.csv": ["+12025550131", "+12025550132", "+12025550133"],
}
BLOCKED = ["+12015550101", "+12025550121", "+12025550122", "+12025550131"]


def upload(anna: Client, path: str, name: str) -> dict[str, Any]:
    answer = anna.post(f"/srv1/{path}", files={"file": (name, (EXAMPLES / name).read_bytes())}, data={"region": "US"})
    assert answer.status == 201, answer.json()
    return dict(answer.json())


def dialled(anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock, name: str) -> list[str]:
    callbase = upload(anna, "callbases", name)
    fields = {**objects["fields"], "callbase_id": callbase["id"], "cps": 50, "max_channels": 50}
    campaign = anna.post("/srv1/campaigns", json=fields).json()
    assert anna.post(f"/srv1/campaigns/{campaign['id']}/start").status == 200
    return sorted(job.number for job in claim(store, clock.now + timedelta(seconds=1)))


@pytest.mark.parametrize("name", DIALLED)
@pytest.mark.slow
def test_an_example_dials_what_a_person_would_expect(
    anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock, name: str
) -> None:
    assert dialled(anna, objects, store, clock, name) == DIALLED[name]


@pytest.mark.parametrize("name", DIALLED)
def test_the_example_of_a_stop_list_keeps_its_people_from_being_called(
    anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock, name: str
) -> None:
    made = upload(anna, "dnc/import", "stop-list.csv")
    assert (made["state"], made["imported"], made["rejected"]) == ("ready_with_rejects", 4, 1)
    assert sorted(entry["number"] for entry in anna.get("/srv1/dnc").json()["items"]) == BLOCKED
    # Nobody is called at another number either.
    assert dialled(anna, objects, store, clock, name) == [number for number in DIALLED[name] if number not in BLOCKED]


def test_the_examples_say_what_they_are_said_to_say(anna: Client) -> None:
    made = {name: upload(anna, "callbases", name) for name in DIALLED}
    taken = {name: made[name]["columns"]["number"] for name in DIALLED}
    assert taken == {
        "clients-excel.csv": "Моб. тел.",
        "clients.xlsx": "Телефон",
        "title-rows.xlsx": "Сот. тел.",
        "two-phones.csv": "Моб. тел.",
    }
    assert [made[name]["rejected"] for name in DIALLED] == [1, 0, 2, 0]
    assert made["clients-excel.csv"]["table"]["encoding"] == "cp1251"
    assert made["clients.xlsx"]["table"]["sheets_not_read"] == ["Памятка"]
    assert made["title-rows.xlsx"]["table"]["header_row"] == 4
    assert {path.name for path in EXAMPLES.iterdir()} == {*DIALLED, "stop-list.csv", "n8n-webhook.json", "README.md"}
