"""Lists narrowed down, and pages that stay right while rows come and go."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from autodialer.model import Disposition
from autodialer.store import Store
from autodialer.store.calls.tables import calls
from autodialer.store.sql import filtering
from tests.web.client import Client, wav
from tests.web.conftest import StandingClock
from tests.web.dialing import DONE, EXHAUSTED, answered, claim, failed, record

NAMES = ["Ёлка Весна", "ёлка лето", "Reminder 50%", "reminder_51", "ПЛАТЁЖ", "cafe\u0301"]


def names(client: Client, path: str) -> list[str]:
    answer = client.get(path)
    assert answer.status == 200, answer.body
    return [item["name"] for item in answer.json()["items"]]


def named(anna: Client, objects: dict[str, Any], kind: str, name: str) -> None:
    """One more object of that kind, with the name."""
    made = {
        "trunks": lambda: anna.post("/srv1/trunks", json={"name": name, "host": "127.0.0.1"}),
        "sounds": lambda: anna.post("/srv1/sounds", files={"file": ("a.wav", wav())}, data={"name": name}),
        "callbases": lambda: anna.post(
            "/srv1/callbases", files={"file": ("a.csv", b"+79160000001\n")}, data={"region": "RU", "name": name}
        ),
        "campaigns": lambda: anna.post("/srv1/campaigns", json=objects["fields"] | {"name": name}),
    }[kind]()
    assert made.status == 201, made.body


KINDS = ["trunks", "sounds", "callbases", "campaigns"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_of_a_name_is_found_in_capitals_or_not_in_any_alphabet(
    anna: Client, objects: dict[str, Any], kind: str
) -> None:
    for name in NAMES:
        named(anna, objects, kind, name)
    for part, expected in [
        ("ЁЛКА", NAMES[:2]),
        ("remINDer", NAMES[2:4]),
        ("0%", [NAMES[2]]),
        ("r_5", [NAMES[3]]),
        ("платёж", [NAMES[4]]),
        ("café", [NAMES[5]]),
        ("nobody", []),
    ]:
        assert names(anna, f"/srv1/{kind}?q={quote(part)}") == expected, part


@pytest.mark.parametrize("kind", KINDS)
def test_objects_are_found_by_when_they_were_made(
    anna: Client, objects: dict[str, Any], clock: StandingClock, kind: str
) -> None:
    first = names(anna, f"/srv1/{kind}")
    clock.move(300)
    moment = clock.now.isoformat()
    named(anna, objects, kind, "later")
    assert names(anna, f"/srv1/{kind}?from={quote(moment)}") == ["later"]
    assert names(anna, f"/srv1/{kind}?to={quote(moment)}") == first
    past = (clock.now - timedelta(hours=1)).isoformat()
    assert names(anna, f"/srv1/{kind}?from={quote(past)}&to={quote(moment)}") == first
    refused = anna.get(f"/srv1/{kind}?from={quote(moment)}&to={quote(past)}")
    assert (refused.status, refused.fields) == (422, ["to"])
    for wrong in ("yesterday", "2027-01-01T00:00:00"):
        refused = anna.get(f"/srv1/{kind}?from={wrong}")
        assert (refused.status, refused.fields) == (422, ["from"])


def test_objects_are_found_by_their_state(anna: Client, objects: dict[str, Any]) -> None:
    named(anna, objects, "campaigns", "running")
    running = next(one for one in anna.get("/srv1/campaigns").json()["items"] if one["name"] == "running")
    anna.post(f"/srv1/campaigns/{running['id']}/start")
    assert names(anna, "/srv1/campaigns?state=running") == ["running"]
    assert names(anna, "/srv1/campaigns?state=draft") == ["campaign"]
    assert names(anna, "/srv1/callbases?state=importing") == []
    assert len(names(anna, "/srv1/callbases?state=ready")) == 1
    assert anna.get("/srv1/campaigns?state=odd").status == 400


def test_a_filter_shows_nothing_of_another_user(boris: Client, objects: dict[str, Any]) -> None:
    assert [names(boris, f"/srv1/{kind}?q=a") for kind in KINDS] == [[]] * 4


def test_users_and_the_audit(admin: Client, anna: Client, objects: dict[str, Any], clock: StandingClock) -> None:
    assert [user["login"] for user in admin.get("/srv1/users?q=NN").json()["items"]] == ["anna"]
    before = clock.now
    clock.move(60)
    anna.post(f"/srv1/campaigns/{objects['campaign']['id']}/start")

    def actions(query: str) -> set[tuple[str, str | None]]:
        items = admin.get(f"/srv1/audit?{query}").json()["items"]
        return {(item["action"], item["login"]) for item in items}

    assert actions("action=campaigns.start") == {("campaigns.start", "anna")}
    assert actions("action=campaigns.start&login=admin") == set()
    assert {login for _, login in actions("login=anna")} == {"anna"}
    assert actions(f"from={quote(clock.now.isoformat())}&login=anna") == {("campaigns.start", "anna")}
    assert ("campaigns.start", "anna") not in actions(f"to={quote(before.isoformat())}")


def test_subscribers_by_number_and_by_a_part(anna: Client, objects: dict[str, Any]) -> None:
    path = f"/srv1/callbases/{objects['callbase']['id']}/subscribers"
    anna.post(path, json={"number": "+79160000007", "name": "Ольга", "second_number": "+79160000008"})

    def found(query: str) -> list[str]:
        return [item["number"][-1] for item in anna.get(f"{path}?{query}").json()["items"]]

    assert found("number=8%20916%20000-00-02") == ["2"]
    assert found("number=%2B79160000008") == ["7"], "by the second number"
    assert found(f"q={quote('оЛЬг')}") == ["7"]
    assert found("q=0000008") == ["7"]
    assert found("q=000000") == ["1", "2", "3", "7"]


@pytest.fixture
def called(anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock) -> dict[str, Any]:
    """Three calls, a minute apart: answered, busy, rejected; then one of another campaign."""
    anna.post(f"/srv1/campaigns/{objects['campaign']['id']}/start")
    outcomes = [
        answered(clock.now),
        failed(clock.now + timedelta(minutes=1), Disposition.BUSY, 486),
        failed(clock.now + timedelta(minutes=2), Disposition.REJECTED, 603),
    ]
    for job, outcome in zip(sorted(claim(store, clock.now), key=lambda job: job.number), outcomes, strict=True):
        record(store, clock.now, job, outcome, DONE if outcome is outcomes[0] else EXHAUSTED)
    second = anna.post("/srv1/campaigns", json=objects["fields"] | {"name": "second"}).json()
    anna.post(f"/srv1/campaigns/{second['id']}/start")
    job, *others = claim(store, clock.now)
    store.queue.release(others, clock.now)
    record(store, clock.now, job, answered(clock.now + timedelta(minutes=3)), DONE)
    return objects


CALLS = [
    ("", "123"),
    ("disposition=busy", "2"),
    ("disposition=busy,rejected", "23"),
    ("number=%2B79160000003", "3"),
    ("q=0000002", "2"),
    ("from=2026-03-01T12:01:00Z", "23"),
    ("to=2026-03-01T15:01:00%2B03:00", "1"),
    ("from=2026-03-01T12:01:00Z&to=2026-03-01T12:02:00Z", "2"),
    ("from=2026-03-01T12:00:00Z&disposition=answered", "1"),
    ("from=2027-01-01T00:00:00Z", ""),
]


@pytest.mark.parametrize(("query", "expected"), CALLS)
def test_calls_of_a_campaign(anna: Client, called: dict[str, Any], query: str, expected: str) -> None:
    items = anna.get(f"/srv1/campaigns/{called['campaign']['id']}/calls?{query}").json()["items"]
    assert "".join(item["number"][-1] for item in items) == expected


@pytest.mark.parametrize(("query", "expected"), CALLS)
def test_calls_over_all_campaigns_newest_first(
    anna: Client, boris: Client, admin: Client, called: dict[str, Any], query: str, expected: str
) -> None:
    of_second = "" if "busy" in query or "2026-03-01T12:02" in query or "T15:01" in query or "2027" in query else "1"
    if "number" in query or "q=" in query:
        of_second = ""
    for client in (anna, admin):
        items = client.get(f"/srv1/calls?{query}").json()["items"]
        assert "".join(item["number"][-1] for item in items) == of_second + expected[::-1]
    assert boris.get(f"/srv1/calls?{query}").json()["items"] == []


def test_a_cursor_of_another_list_is_refused(anna: Client, called: dict[str, Any]) -> None:
    for wrong in ("x", "a.b", "azE.azE.azE", "azk5OTk5OTk5OTk5OTk5OTk5.azE", "\u00e4"):
        assert anna.get(f"/srv1/calls?after={quote(wrong)}").status in (200, 422), wrong


def test_a_campaign_that_goes_to_another_user_takes_its_calls_along(
    boris: Client, called: dict[str, Any], store: Store
) -> None:
    from sqlalchemy import text

    with store._database.write() as connection:
        key = connection.execute(text("SELECT key FROM users WHERE login = 'boris'")).scalar_one()
        connection.execute(text("UPDATE campaigns SET owner_key = :key"), {"key": key})
    assert len(boris.get("/srv1/calls").json()["items"]) == 4


def walk(client: Client, path: str, limits: list[int], between: Callable[[int], None]) -> list[str]:
    """The ids of all pages, with something done between the pages."""
    seen: list[str] = []
    after: str | None = ""
    turn = 0
    while after is not None:
        join = "&" if "?" in path else "?"
        more = f"&after={quote(after)}" if after else ""
        answer = client.get(f"{path}{join}limit={limits[turn % len(limits)]}{more}")
        assert answer.status == 200, answer.body
        seen += [item["id"] for item in answer.json()["items"]]
        after = answer.json()["next"]
        between(turn)
        turn += 1
        assert turn < 200
    return seen


class Rows:
    """Rows of a list that come and go."""

    def __init__(self, anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock) -> None:
        self.anna, self.objects, self.store, self.clock = anna, objects, store, clock
        self._turn = 0

    def add(self, kind: str) -> str:
        self._turn += 1
        if kind == "subscribers":
            path = f"/srv1/callbases/{self.objects['callbase']['id']}/subscribers"
            return str(self.anna.post(path, json={"number": f"+7916111{self._turn:04}", "name": "x"}).json()["id"])
        if kind == "calls":
            self.clock.move(1)
            sample = {"trunk_id": self.objects["trunk"]["id"], "sound_id": self.objects["sound"]["id"]}
            call = self.anna.post("/srv1/call/sample", json=sample | {"number": "+79161110000"}).json()
            [job] = claim(self.store, self.clock.now)
            record(self.store, self.clock.now, job, answered(self.clock.now), DONE)
            return str(call["id"])
        return str(self.anna.post("/srv1/trunks", json={"name": f"x{self._turn}", "host": "127.0.0.1"}).json()["id"])

    def remove(self, kind: str, row: str) -> None:
        if kind == "calls":  # as retention does
            with self.store._database.write() as connection:
                connection.execute(delete(calls).where(calls.c.id == UUID(row)))
        else:
            assert self.anna.delete(f"/srv1/{kind}/{row}").status == 204


LISTS = [
    ("trunks", "/srv1/trunks"),
    ("trunks", "/srv1/trunks?q=x"),
    ("subscribers", "/srv1/callbases/{callbase}/subscribers"),
    ("subscribers", "/srv1/callbases/{callbase}/subscribers?q=X"),
    ("subscribers", "/srv1/subscribers"),
    ("calls", "/srv1/calls"),
    ("calls", "/srv1/calls?q=1110000"),
    ("calls", "/srv1/calls?disposition=answered,busy"),
    ("calls", "/srv1/calls?number=%2B79161110000"),
]


@pytest.mark.usefixtures("unbraked")
@pytest.mark.parametrize(("kind", "path"), LISTS)
@given(
    limits=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    deeds=st.lists(st.sampled_from(["add", "remove", "both"]), min_size=1, max_size=6),
    choose=st.randoms(use_true_random=False),
)
@settings(
    phases=[Phase.generate],
    max_examples=3,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_row_that_is_there_all_the_time_is_on_exactly_one_page(
    anna: Client,
    objects: dict[str, Any],
    store: Store,
    clock: StandingClock,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    path: str,
    limits: list[int],
    deeds: list[str],
    choose: Any,
) -> None:
    from autodialer.store.calls import listing

    monkeypatch.setattr(filtering, "ROWS_A_PAGE", 3)
    monkeypatch.setattr(listing, "ROWS_A_PAGE", 3)
    rows = Rows(anna, objects, store, clock)
    rows._turn = len(store.subscribers.page(UUID(objects["callbase"]["id"]), None, limit=1000)[0]) + 1000
    rows._turn += choose.randrange(8000)
    old = {rows.add(kind) for _ in range(7)}
    there = set(old)

    def between(turn: int) -> None:
        deed = deeds[turn % len(deeds)] if turn < 12 else ""
        if deed in ("add", "both"):
            there.add(rows.add(kind))
        if deed in ("remove", "both") and there:
            gone = choose.choice(sorted(there))
            there.discard(gone)
            rows.remove(kind, gone)

    seen = walk(anna, path.format(callbase=objects["callbase"]["id"]), limits, between)
    assert len(seen) == len(set(seen)), "no row twice"
    assert old & there <= set(seen), "each of the old rows"
    for row in there:
        rows.remove(kind, row)
