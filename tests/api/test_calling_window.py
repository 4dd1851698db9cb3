"""The hours of a campaign through the API."""

from typing import Any

import pytest

from tests.web.client import Client

WINDOW = {"start": "09:00", "end": "21:00", "days": ["mon", "fri"], "timezone": "Europe/Moscow"}


def make(anna: Client, objects: dict[str, Any], **hours: Any) -> Any:
    return anna.post("/srv1/campaigns", json={**objects["fields"], **hours})


def test_the_hours_of_a_campaign_are_kept_and_changed_while_it_runs(anna: Client, objects: dict[str, Any]) -> None:
    made = make(
        anna,
        objects,
        window=WINDOW,
        holidays=["2027-01-02", "2027-01-01"],
        starts_at="2027-01-01T09:00:00+03:00",
        ends_at="2027-02-01T00:00:00Z",
    ).json()
    assert made["window"] == {**WINDOW, "fallback_timezone": None}
    assert made["holidays"] == ["2027-01-01", "2027-01-02"]
    assert (made["starts_at"], made["ends_at"]) == ("2027-01-01T06:00:00.000Z", "2027-02-01T00:00:00.000Z")
    path = f"/srv1/campaigns/{made['id']}"
    changed = anna.put(path, json={"window": {**WINDOW, "end": "20:00"}, "ends_at": None}).json()
    assert (changed["window"]["end"], changed["ends_at"]) == ("20:00", None)
    without = anna.put(path, json={"window": None, "holidays": []}).json()
    assert (without["window"], without["holidays"]) == (None, [])


def test_a_campaign_whose_end_has_passed_is_not_started_but_told_to_change_it(
    anna: Client, objects: dict[str, Any]
) -> None:
    path = f"/srv1/campaigns/{make(anna, objects, ends_at='2026-01-01T00:00:00Z').json()['id']}"
    refused = anna.post(f"{path}/start")
    assert (refused.status, refused.fields) == (409, ["ends_at"])
    assert anna.get(path).json()["state"] == "draft"
    anna.put(path, json={"ends_at": None})
    assert anna.post(f"{path}/start").json()["state"] == "running"


REFUSED = [
    ({"window": {**WINDOW, "start": "25:00"}}, "window.start"),
    ({"window": {**WINDOW, "timezone": "Mars/Olympus"}}, "window.timezone"),
    ({"window": {**WINDOW, "timezone": "subscriber"}}, "window.fallback_timezone"),
    ({"window": {**WINDOW, "timezone": "subscriber", "fallback_timezone": "x"}}, "window.fallback_timezone"),
    ({"window": WINDOW, "holidays": ["1.1.2027"]}, "holidays"),
    ({"holidays": ["2027-01-01"]}, "holidays"),
    ({"starts_at": "tomorrow"}, "starts_at"),
    ({"starts_at": "2027-01-01T09:00:00"}, "starts_at"),
    ({"starts_at": "2027-01-02T09:00:00Z", "ends_at": "2027-01-01T09:00:00Z"}, "ends_at"),
]


@pytest.mark.parametrize(("hours", "field"), REFUSED)
def test_hours_that_make_no_sense_are_refused_by_name(
    anna: Client, objects: dict[str, Any], hours: dict[str, Any], field: str
) -> None:
    refused = make(anna, objects, **hours)
    assert refused.status == 422
    assert refused.json()["details"][0]["field"] == field
    path = f"/srv1/campaigns/{objects['campaign']['id']}"
    assert anna.put(path, json=hours).status == 422


def test_the_preview_tells_how_many_may_be_called_at_a_time(anna: Client, objects: dict[str, Any]) -> None:
    made = make(anna, objects, window={**WINDOW, "days": ["mon"]}).json()
    path = f"/srv1/campaigns/{made['id']}/callable"
    monday = anna.get(path, params={"at": "2027-01-11T10:00:00+03:00"}).json()
    assert (monday["callable"], monday["subscribers"]) == (3, 3)
    assert [(zone["found_by"], zone["subscribers"]) for zone in monday["zones"]] == [("campaign", 3)]
    sunday = anna.get(path, params={"at": "2027-01-10T10:00:00+03:00"}).json()
    assert sunday["callable"] == 0
    assert {zone["opens_at"] for zone in sunday["zones"]} == {"2027-01-11T06:00:00.000Z"}
    assert anna.get(path, params={"at": "noon"}).status == 422
    always = anna.get(f"/srv1/campaigns/{objects['campaign']['id']}/callable").json()
    assert always["callable"] == 3
