"""Consent to be called: read from the columns of a callbase, kept with subscriber and call, erased with the person."""

import csv
import io
import json
from typing import Any

import pytest

from autodialer.store import Store
from tests.web.client import Client
from tests.web.conftest import StandingClock
from tests.web.dialing import DONE, answered, claim, record

HEADER = "Телефон,ФИО,Источник согласия,Дата согласия,Текст согласия,Квартира"
CONSENT = {
    "consent_source": "сайт clinic.example",
    "consent_at": "01.02.2026 10:15",
    "consent_text": "Согласна на звонки о приёме",
}
NONE = dict.fromkeys(CONSENT)
TABLE = f"{HEADER}\n+79160000011,Анна,{','.join(CONSENT.values())},7\n+79160000012,Вера,,,,8\n"


def upload(anna: Client, text: str = TABLE, **more: str) -> Any:
    answer = anna.post("/srv1/callbases", files={"file": ("base.csv", text.encode())}, data={"region": "RU", **more})
    assert answer.status == 201, answer.body
    return answer.json()


def people_of(anna: Client, callbase: Any) -> list[Any]:
    found: list[Any] = anna.get(f"/srv1/callbases/{callbase['id']}/subscribers").json()["items"]
    return found


def consent_of(value: Any) -> dict[str, Any]:
    return {name: value[name] for name in CONSENT}


@pytest.fixture
def called(anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock) -> dict[str, Any]:
    """A campaign on a callbase with consents; both people answered."""
    callbase = upload(anna)
    fields = objects["fields"] | {"callbase_id": callbase["id"]}
    campaign = anna.post("/srv1/campaigns", json=fields).json()
    anna.post(f"/srv1/campaigns/{campaign['id']}/start")
    for job in claim(store, clock.now):
        record(store, clock.now, job, answered(clock.now), DONE)
    return {"callbase": callbase, "path": f"/srv1/campaigns/{campaign['id']}"}


def test_the_columns_are_found_told_and_kept_as_written(anna: Client) -> None:
    callbase = upload(anna)
    assert {name: callbase["columns"][name] for name in CONSENT} == {
        "consent_source": "Источник согласия",
        "consent_at": "Дата согласия",
        "consent_text": "Текст согласия",
    }
    first, second = people_of(anna, callbase)
    assert (consent_of(first), first["extra"]) == (CONSENT, {"Квартира": "7"})
    assert consent_of(second) == NONE


def test_the_columns_can_be_chosen_and_refused(anna: Client) -> None:
    table = "Phone,A,B,Consent\n+79160000011,web,2026,yes\n"
    chosen = upload(anna, table, columns=json.dumps({"consent_source": "A", "consent_at": "C", "consent_text": None}))
    [person] = people_of(anna, chosen)
    assert consent_of(person) == {"consent_source": "web", "consent_at": "2026", "consent_text": None}
    assert person["extra"] == {"Consent": "yes"}


def test_a_call_keeps_the_consent_that_its_subscriber_had(anna: Client, called: dict[str, Any]) -> None:
    person = people_of(anna, called["callbase"])[0]
    changed = anna.put(f"/srv1/subscribers/{person['id']}", json={"consent_text": "withdrawn", "consent_at": None})
    assert consent_of(changed.json()) == CONSENT | {"consent_text": "withdrawn", "consent_at": None}
    calls = anna.get(f"{called['path']}/calls").json()["items"]
    assert [consent_of(call) for call in calls] == [CONSENT, NONE]
    assert consent_of(anna.get(f"/srv1/calls/{calls[0]['id']}").json()) == CONSENT


def test_the_tables_have_the_consent(anna: Client, called: dict[str, Any]) -> None:
    for name in ("calls.csv", "subscribers.csv"):
        text = anna.get(f"{called['path']}/{name}").body.decode("utf-8-sig")
        first, second = csv.DictReader(io.StringIO(text))
        assert consent_of(first) == CONSENT, name
        assert consent_of(second) == dict.fromkeys(CONSENT, ""), name


@pytest.mark.parametrize("way", ["erase", "delete the callbase"])
def test_the_consent_goes_with_the_person(anna: Client, called: dict[str, Any], store: Store, way: str) -> None:
    person = people_of(anna, called["callbase"])[0]
    if way == "erase":
        anna.post(f"/srv1/subscribers/{person['id']}/erase", json={})
        [call, _] = anna.get(f"{called['path']}/calls").json()["items"]
        assert consent_of(call) == NONE
    else:
        anna.post(f"{called['path']}/stop", json={"hangup": False})
        assert anna.delete(f"/srv1/callbases/{called['callbase']['id']}").status == 204
        while store.callbases.clear_some():
            pass
    text = anna.get(f"{called['path']}/subscribers.csv").body.decode("utf-8-sig")
    assert CONSENT["consent_text"] not in text


def test_a_subscriber_is_added_with_consent(anna: Client, objects: dict[str, Any]) -> None:
    path = f"/srv1/callbases/{objects['callbase']['id']}/subscribers"
    added = anna.post(path, json={"number": "+79160000099", **CONSENT}).json()
    assert consent_of(added) == CONSENT
    renumbered = anna.put(f"/srv1/subscribers/{added['id']}", json={"number": "+79160000098"}).json()
    assert consent_of(renumbered) == CONSENT
