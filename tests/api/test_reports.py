"""Reports: the funnel, hours, quality and caller IDs of a campaign, and of all of a user's in a period."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from autodialer.model import Disposition
from autodialer.store import Store
from tests.web.client import Client
from tests.web.conftest import StandingClock
from tests.web.dialing import DONE, EXHAUSTED, again, answered, claim, failed, record

PERIOD = "/srv1/reports/period"
STEPS = ("called", "rang", "answered", "heard_25", "heard_50", "heard_75", "heard_95")


def report_of(anna: Client, objects: dict[str, Any]) -> Any:
    return anna.get(f"/srv1/campaigns/{objects['campaign']['id']}/report").json()


def call_all(
    anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock, at: datetime | None = None
) -> None:
    """The first number answers, the second is busy, the third does not exist: now, or at that time."""
    at = at or clock.now
    anna.post(f"/srv1/campaigns/{objects['campaign']['id']}/start")
    first, second, third = claim(store, clock.now)
    record(store, clock.now, first, answered(at), DONE)
    record(store, clock.now, second, failed(at, Disposition.BUSY, 486), again(clock.now + timedelta(300)))
    record(store, clock.now, third, failed(at, Disposition.INVALID_NUMBER, 404), EXHAUSTED)


def test_the_report_of_a_campaign_has_the_funnel_hours_quality_and_caller_ids(
    anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    call_all(anna, objects, store, clock)
    report = report_of(anna, objects)
    funnel = {step["step"]: (step["people"], step["calls"]) for step in report["funnel"]}
    assert funnel["called"] == (3, 3)
    assert funnel["answered"] == funnel["heard_95"] == (1, 1)
    assert list(funnel)[:7] == list(STEPS)
    assert report["timezone"] == report["hours"]["fallback_timezone"] == "UTC"
    assert report["hours"]["by_weekday_and_hour"] == [
        {"weekday": "sun", "hour": 12, "calls": 2, "answered": 1, "answer_rate": 0.5}
    ]
    assert (report["hours"]["calls_by_own_zone"], report["hours"]["calls_by_fallback"]) == (0, 2)
    proposed = report["hours"]["proposed"]
    assert (proposed["enough"], proposed["calls"], proposed["hours"]) == (False, 2, [])
    assert report["callbase"] == {
        "callbase_id": objects["callbase"]["id"],
        "name": objects["callbase"]["name"],
        "rows": 3,
        "valid": 3,
        "doubtful": 0,
        "duplicates": 0,
        "rejected": 0,
        "called": 3,
        "dead_numbers": 1,
        "never_answered": 2,
    }
    [caller] = report["caller_ids"]
    assert (caller["caller_id"], caller["calls"], caller["answered"], caller["answer_rate"]) == (None, 2, 1, 0.5)
    assert [day["day"] for day in caller["days"]] == ["2026-03-01"]


def test_a_report_of_nothing_has_empty_figures(anna: Client, objects: dict[str, Any]) -> None:
    report = report_of(anna, objects)
    assert [step["calls"] for step in report["funnel"]] == [0] * 7
    assert report["hours"]["by_weekday_and_hour"] == report["caller_ids"] == []
    assert report["callbase"]["rows"] == 3


def test_a_period_adds_up_the_campaigns_of_its_user_and_compares(
    anna: Client, boris: Client, admin: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    call_all(anna, objects, store, clock, datetime(2026, 2, 28, 12, 0, tzinfo=UTC))
    period = {"from": "2026-02-28T00:00:00Z", "to": "2026-03-01T00:00:00Z"}
    found = anna.get(PERIOD, params=period).json()
    assert (found["from"], found["to"], found["timezone"]) == (
        "2026-02-28T00:00:00.000Z",
        "2026-03-01T00:00:00.000Z",
        "UTC",
    )
    assert (found["calls"], found["answered"], found["acd_s"]) == (3, 1, 10)
    assert found["dispositions"] == {"answered": 1, "busy": 1, "invalid_number": 1}
    assert [base["name"] for base in found["callbases"]] == [objects["callbase"]["name"]]
    assert found["before"]["to"] == found["from"]
    assert found["before"]["calls"] == 0
    assert found["change"] == {"calls": 3, "answered": 1, "asr": None, "acd_s": None}
    later = anna.get(PERIOD, params={"from": period["to"], "to": "2026-03-02T00:00:00Z"}).json()
    assert (later["calls"], later["callbases"], later["change"]["calls"]) == (0, [], -3)
    assert anna.get(PERIOD).json()["calls"] == admin.get(PERIOD).json()["calls"] == 3
    assert boris.get(PERIOD).json()["calls"] == 0


def test_the_days_of_a_period_are_those_of_its_time_zone(
    anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    call_all(anna, objects, store, clock, datetime(2026, 2, 27, 22, 30, tzinfo=UTC))
    [caller] = anna.get(PERIOD, params={"timezone": "Europe/Moscow"}).json()["caller_ids"]
    assert [day["day"] for day in caller["days"]] == ["2026-02-28"]


@pytest.mark.parametrize(
    ("asked", "since", "until"),
    [
        ({}, "2026-02-22T12:00:00.000Z", "2026-03-01T12:00:00.000Z"),
        ({"from": "", "to": ""}, "2026-02-22T12:00:00.000Z", "2026-03-01T12:00:00.000Z"),
        (
            {"from": "2026-02-01T10:07:31Z", "to": "2026-02-01T10:15:00.5Z"},
            "2026-02-01T10:00:00.000Z",
            "2026-02-01T10:30:00.000Z",
        ),
        (
            {"from": "2026-02-01T00:00:00+05:45", "to": "2026-02-02T00:00:00+05:45"},
            "2026-01-31T18:15:00.000Z",
            "2026-02-01T18:15:00.000Z",
        ),
    ],
)
def test_a_period_is_said_as_it_was_taken(anna: Client, asked: dict[str, str], since: str, until: str) -> None:
    found = anna.get(PERIOD, params=asked).json()
    assert (found["from"], found["to"]) == (since, until)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-02-01"}, "from"),
        ({"from": "2026-02-02T00:00:00Z", "to": "2026-02-01T00:00:00Z"}, "to"),
        ({"from": "2026-02-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}, "to"),
        ({"from": "2024-01-01T00:00:00Z"}, "from"),
        ({"from": "0001-01-01T00:00:00Z", "to": "0001-01-02T00:00:00Z"}, "from"),
        ({"to": "9999-12-31T23:59:59Z"}, "to"),
        ({"timezone": "Moscow"}, "timezone"),
        ({"timezone": "subscriber"}, "timezone"),
    ],
)
def test_a_period_that_cannot_be_meant_is_refused_by_its_field(anna: Client, asked: dict[str, str], field: str) -> None:
    answer = anna.get(PERIOD, params=asked)
    assert (answer.status, answer.fields) == (422, [field])


def test_a_deleted_campaign_is_in_no_period_and_deleted_people_and_calls_still_are(
    anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    call_all(anna, objects, store, clock)
    clock.move(60)
    path = f"/srv1/campaigns/{objects['campaign']['id']}"
    anna.post(f"{path}/stop", json={"hangup": False})
    before = report_of(anna, objects)
    people = anna.get(f"/srv1/callbases/{objects['callbase']['id']}/subscribers").json()["items"]
    for person in people:
        anna.post(f"/srv1/subscribers/{person['id']}/erase", json={})
    assert store.retention.delete_calls(clock.now + timedelta(days=400)) == 3
    assert report_of(anna, objects) == before | {"callbase": report_of(anna, objects)["callbase"]}
    assert anna.get(PERIOD).json()["calls"] == 3
    assert anna.delete(path).status == 204
    assert anna.get(PERIOD).json()["calls"] == 0
