"""One subscriber read, changed and deleted, and what becomes of it in campaigns."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from autodialer.model import SECOND_NUMBER, Disposition, JobState, NextStep, SubscriberState
from autodialer.model.admission import WINDOW, Wait
from autodialer.store import Store
from autodialer.store.queue.frequency import PutOff, put_off
from tests.web.client import Client
from tests.web.conftest import StandingClock
from tests.web.dialing import DONE, again, answered, claim, failed, record

ANNA, NEW = "+79160000001", "+79160000009"
SECOND = "+79160000005"


def people(client: Client, callbase_id: str) -> dict[str, Any]:
    items = client.get(f"/srv1/callbases/{callbase_id}/subscribers?limit=1000").json()["items"]
    return {item["number"]: item for item in items}


@pytest.fixture
def running(anna: Client, objects: dict[str, Any]) -> dict[str, Any]:
    """The campaign of three numbers, started."""
    assert anna.post(f"/srv1/campaigns/{objects['campaign']['id']}/start").status == 200
    return objects


@pytest.fixture
def person(anna: Client, objects: dict[str, Any]) -> str:
    """The path of the first of the three."""
    return f"/srv1/subscribers/{people(anna, objects['callbase']['id'])[ANNA]['id']}"


def counts(client: Client, objects: dict[str, Any]) -> dict[str, int]:
    read = client.get(f"/srv1/campaigns/{objects['campaign']['id']}").json()["counts"]
    return {state: read[state] for state in ("total", "pending", "in_progress", "reached", "exhausted", "excluded")}


def reasons(store: Store, objects: dict[str, Any]) -> set[str]:
    campaign = store.campaigns.get(UUID(objects["campaign"]["id"]), None)
    return {reason for _, reason in store.waiting_lists.reasons(campaign.key)}


def test_a_subscriber_is_read_with_the_callbase_it_stands_in(
    anna: Client, objects: dict[str, Any], person: str
) -> None:
    read = anna.get(person).json()
    assert (read["number"], read["callbase_id"]) == (ANNA, objects["callbase"]["id"])


def test_what_is_not_sent_stays_and_null_clears(anna: Client, person: str) -> None:
    anna.put(person, json={"name": "Anna", "comment": "at noon", "extra": {"flat": "2"}})
    read = anna.put(person, json={"comment": None, "second_number": "8 916 000 00 05"}).json()
    said = {name: read[name] for name in ("number", "second_number", "name", "comment", "extra")}
    assert said == {
        "number": ANNA,
        "second_number": SECOND,
        "name": "Anna",
        "comment": None,
        "extra": {"flat": "2"},
    }


@pytest.mark.parametrize(
    ("sent", "status", "field"),
    [
        ({"number": "12"}, 422, "number"),
        ({"number": " "}, 422, "number"),
        ({"second_number": "12"}, 422, "second_number"),
        ({"timezone": "Moscow"}, 422, "timezone"),
        ({"number": "+79160000002"}, 409, "number"),
        ({"number": None}, 400, "number"),
        ({"callbase_id": "x"}, 400, "callbase_id"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    anna: Client, person: str, sent: dict[str, Any], status: int, field: str
) -> None:
    before = anna.get(person).json()
    answer = anna.put(person, json={"name": "Other", **sent})
    assert (answer.status, answer.fields) == (status, [field])
    assert anna.get(person).json() == before


def test_a_changed_one_is_what_an_added_one_with_the_same_fields_is(anna: Client, objects: dict[str, Any]) -> None:
    """The same cleaning: numbers, doubts, second numbers, whichever way they come."""
    path = f"/srv1/callbases/{objects['callbase']['id']}/subscribers"
    for turn, sent in enumerate(
        [
            {"number": "8 (916) 123-45-67"},
            {"number": "+7 916 123 45 68", "second_number": "+79161234568"},
            {"number": "+7 000 123 45 67", "second_number": "+79161234569"},
            {"number": "+7 000 123 45 68"},
            {"number": "+79161234570", "timezone": "Asia/Omsk"},
        ]
    ):
        added = anna.post(path, json=sent).json()
        assert anna.delete(f"/srv1/subscribers/{added['id']}").status == 204
        other = anna.post(path, json={"number": f"+791655500{turn:02}"}).json()
        changed = anna.put(f"/srv1/subscribers/{other['id']}", json=sent).json()
        left = ("id", "callbase_id")
        assert {k: v for k, v in changed.items() if k not in left} == {k: v for k, v in added.items() if k not in left}


def test_the_counts_of_the_callbase_follow(anna: Client, objects: dict[str, Any], store: Store, person: str) -> None:
    callbase = store.callbases.get(UUID(objects["callbase"]["id"]), None)

    def found() -> tuple[int, dict[str | None, int]]:
        zones = {zone.zone: zone.subscribers for zone in store.callbases.zones(callbase.key)}
        return anna.get(f"/srv1/callbases/{callbase.id}").json()["doubtful"], zones

    anna.put(person, json={"timezone": "Asia/Omsk"})
    assert sum(found()[1].values()) == 3
    assert found()[1]["Asia/Omsk"] == 1
    anna.put(person, json={"timezone": None, "number": "+70001234567"})
    assert found()[0] == 1
    assert "Asia/Omsk" not in found()[1]
    anna.delete(person)
    assert (found()[0], sum(found()[1].values())) == (0, 2)


def test_another_users_subscriber_is_not_there(boris: Client, admin: Client, person: str) -> None:
    assert [boris.call(method, person, json={}).status for method in ("GET", "PUT", "DELETE")] == [404] * 3
    assert admin.get(person).status == 200


def test_a_waiting_subscriber_is_called_at_the_new_number(
    anna: Client, running: dict[str, Any], store: Store, clock: StandingClock, person: str
) -> None:
    store.queue.enqueue_due(clock.now)
    anna.put(person, json={"number": NEW})
    assert {job.number for job in claim(store, clock.now)} == {NEW, "+79160000002", "+79160000003"}


def test_a_retry_goes_to_the_new_number_and_the_attempts_so_far_count(
    anna: Client, running: dict[str, Any], store: Store, clock: StandingClock, person: str
) -> None:
    jobs = {job.number: job for job in claim(store, clock.now)}
    record(store, clock.now, jobs[ANNA], failed(clock.now, Disposition.BUSY, 486), again(clock.now))
    anna.put(person, json={"number": NEW})
    [job] = claim(store, clock.now)
    assert (job.number, job.attempt) == (NEW, 2)
    calls = anna.get(f"/srv1/campaigns/{running['campaign']['id']}/calls").json()["items"]
    assert [call["number"] for call in calls] == [ANNA], "the history says which number was called"


def test_a_wait_for_the_hours_of_the_old_zone_is_decided_again(
    anna: Client, running: dict[str, Any], store: Store, clock: StandingClock, person: str
) -> None:
    store.queue.enqueue_due(clock.now)
    subscriber, _ = store.subscribers.with_callbase(UUID(person.rpartition("/")[2]), None)
    campaign = store.campaigns.get(UUID(running["campaign"]["id"]), None)
    later = clock.now + timedelta(hours=9)
    with store._database.write() as connection:
        key = connection.execute(
            text("SELECT key FROM call_jobs WHERE subscriber_key = :key"), {"key": subscriber.key}
        ).scalar_one()
        put_off(connection, [PutOff(key, campaign.key, subscriber.key, Wait(until=later, rule=WINDOW))])
    assert ANNA not in {job.number for job in claim(store, clock.now)}
    anna.put(person, json={"timezone": "Asia/Vladivostok"})
    assert [job.number for job in claim(store, clock.now)] == [ANNA]


def test_a_second_number_that_is_removed_ends_the_attempts(
    anna: Client, running: dict[str, Any], store: Store, clock: StandingClock, person: str
) -> None:
    anna.put(person, json={"second_number": SECOND})
    jobs = {job.number: job for job in claim(store, clock.now)}
    to_second = NextStep(
        job_state=JobState.QUEUED,
        subscriber_state=SubscriberState.IN_PROGRESS,
        not_before=clock.now,
        rule=SECOND_NUMBER,
        uses_budget=True,
    )
    record(store, clock.now, jobs[ANNA], failed(clock.now, Disposition.BUSY, 486), to_second)
    anna.put(person, json={"second_number": None})
    assert claim(store, clock.now) == []
    assert counts(anna, running)["exhausted"] == 1
    assert reasons(store, running) == {"number_removed"}


def test_a_deleted_one_is_gone_from_every_list_and_can_be_added_anew(
    anna: Client, objects: dict[str, Any], person: str
) -> None:
    assert anna.delete(person).status == 204
    assert anna.get(person).status == anna.put(person, json={}).status == anna.delete(person).status == 404
    callbase = f"/srv1/callbases/{objects['callbase']['id']}/subscribers"
    for path in (callbase, "/srv1/subscribers", "/srv1/abon/all"):
        assert (
            ANNA not in {item["number"] for item in anna.get(path).json()["items"]}
            and len(anna.get(path).json()["items"]) == 2
        )
    assert anna.post(callbase, json={"number": ANNA}).status == 201


@pytest.mark.parametrize("walked", [False, True])
def test_a_deleted_one_is_not_dialled_and_is_excluded_with_the_reason(
    anna: Client, running: dict[str, Any], store: Store, clock: StandingClock, person: str, walked: bool
) -> None:
    if walked:
        store.queue.enqueue_due(clock.now)
    anna.delete(person)
    assert {job.number for job in claim(store, clock.now)} == {"+79160000002", "+79160000003"}
    assert counts(anna, running) == {
        "total": 3,
        "pending": 0,
        "in_progress": 2,
        "reached": 0,
        "exhausted": 0,
        "excluded": 1,
    }
    assert reasons(store, running) == {"deleted"}


def test_deleted_during_a_call_the_call_is_recorded_with_its_number_and_is_the_last(
    anna: Client, running: dict[str, Any], store: Store, clock: StandingClock, person: str
) -> None:
    jobs = {job.number: job for job in claim(store, clock.now)}
    anna.delete(person)
    record(store, clock.now, jobs[ANNA], failed(clock.now, Disposition.BUSY, 486), again(clock.now))
    assert claim(store, clock.now) == []
    [call] = anna.get(f"/srv1/campaigns/{running['campaign']['id']}/calls").json()["items"]
    assert (call["number"], call["disposition"], call["next_attempt"]["rule"]) == (ANNA, "busy", "deleted")
    assert anna.get(f"/srv1/calls/{call['id']}").json()["number"] == ANNA


def test_the_history_of_a_deleted_one_stays(
    anna: Client, running: dict[str, Any], store: Store, clock: StandingClock, person: str
) -> None:
    for job in claim(store, clock.now):
        record(store, clock.now, job, answered(clock.now, digits="1"), DONE)
    report = anna.get(f"/srv1/campaigns/{running['campaign']['id']}/report").json()
    anna.delete(person)
    calls = anna.get(f"/srv1/campaigns/{running['campaign']['id']}/calls").json()["items"]
    assert (ANNA, "1") in {(call["number"], call["digits"]) for call in calls}
    assert anna.get(f"/srv1/campaigns/{running['campaign']['id']}/report").json() == report
    assert counts(anna, running)["reached"] == 3


def test_a_deleted_person_can_still_be_erased_from_the_calls(
    anna: Client, running: dict[str, Any], store: Store, clock: StandingClock, person: str
) -> None:
    for job in claim(store, clock.now):
        record(store, clock.now, job, answered(clock.now, digits="1"), DONE)
    anna.delete(person)
    erased = anna.post(f"{person}/erase", json={"dnc": True}).json()
    assert erased["calls"] == 1
    calls = anna.get(f"/srv1/campaigns/{running['campaign']['id']}/calls").json()["items"]
    assert ANNA not in {call["number"] for call in calls}
    assert anna.get("/srv1/dnc/%2B79160000001").status == 200
    assert anna.post(f"{person}/erase", json={}).json()["calls"] == 0


def test_a_person_is_found_over_all_of_ones_callbases(
    anna: Client, boris: Client, admin: Client, objects: dict[str, Any]
) -> None:
    def upload(client: Client, rows: bytes, region: str, **said: str) -> str:
        files = {"file": ("base.csv", rows)}
        return str(client.post("/srv1/callbases", files=files, data={"region": region, **said}).json()["id"])

    raw = upload(anna, b"79160000001\n102\n", "raw")
    second = upload(anna, b"a,b\n+79167000000,+79160000001\n", "RU", columns='{"number": "a", "second_number": "b"}')
    strangers = upload(boris, b"+79160000001\n", "RU")

    def found(client: Client, query: str) -> set[str]:
        answer = client.get(f"/srv1/subscribers?{query}")
        assert answer.status == 200, answer.body
        return {item["callbase_id"] for item in answer.json()["items"]}

    own = objects["callbase"]["id"]
    assert found(anna, "number=%2B79160000001") == {own, raw, second}
    assert found(anna, "number=8+916+000-00-01&region=RU") == {own, raw, second}
    assert found(anna, "number=102") == {raw}
    assert found(boris, "number=%2B79160000001") == {strangers}
    assert found(admin, "number=%2B79160000001") == {own, raw, second, strangers}
    assert found(anna, "number=%2B79990000000") == set()
    assert anna.get("/srv1/subscribers?number=xyz").status == 422
    pages, after = [], ""
    while after is not None:
        page = anna.get(f"/srv1/subscribers?number=%2B79160000001&limit=1{after and '&after=' + after}").json()
        pages += [item["callbase_id"] for item in page["items"]]
        after = page["next"]
    assert sorted(pages) == sorted([own, raw, second])
