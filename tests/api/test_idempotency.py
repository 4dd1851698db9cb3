"""Idempotency-Key: whatever fails within a creating request, its repetition leaves exactly one object."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from sqlalchemy import event, text

from autodialer.config import Settings
from autodialer.store import Store
from autodialer.web.contract import operations
from tests.web.client import Answer, Client, wav

Request = Callable[[Client, dict[str, Any], int, dict[str, str]], Answer]


class Broken(Exception):
    """The database fails here."""


@dataclass
class Breaking:
    """Lets one statement, or one commit, of the store fail."""

    at: int
    seen: int = 0
    statements: list[str] = field(default_factory=list)

    @property
    def broke(self) -> bool:
        return self.seen >= self.at

    def step(self, what: str) -> None:
        self.seen += 1
        self.statements.append(what)
        if self.seen == self.at:
            raise Broken(what)


@contextmanager
def breaking(store: Store, at: int) -> Iterator[Breaking]:
    engine, state = store._database._engine, Breaking(at)

    def on_statement(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        state.step(statement)

    def on_commit(_connection: Any) -> None:
        state.step("COMMIT")

    event.listen(engine, "before_cursor_execute", on_statement)
    event.listen(engine, "commit", on_commit)
    try:
        yield state
    finally:
        event.remove(engine, "before_cursor_execute", on_statement)
        event.remove(engine, "commit", on_commit)


def rows(store: Store, query: str) -> int:
    with store._database.read() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {query}")).scalar_one())


def user(client: Client, _objects: dict[str, Any], turn: int, headers: dict[str, str]) -> Answer:
    fields = {"login": f"new{turn}", "password": "long enough"}
    return client.post("/srv1/users", json=fields, headers=headers)


def trunk(client: Client, _objects: dict[str, Any], turn: int, headers: dict[str, str]) -> Answer:
    return client.post("/srv1/trunks", json={"name": f"t{turn}", "host": "127.0.0.1"}, headers=headers)


def sound(client: Client, _objects: dict[str, Any], _turn: int, headers: dict[str, str]) -> Answer:
    return client.post("/srv1/sounds", files={"file": ("hello.wav", wav())}, headers=headers)


def callbase(client: Client, _objects: dict[str, Any], _turn: int, headers: dict[str, str]) -> Answer:
    file = ("base.csv", b"+79160000001\n+79160000002\n")
    return client.post("/srv1/callbases", files={"file": file}, data={"region": "RU"}, headers=headers)


def subscriber(client: Client, objects: dict[str, Any], turn: int, headers: dict[str, str]) -> Answer:
    path = f"/srv1/callbases/{objects['callbase']['id']}/subscribers"
    return client.post(path, json={"number": f"+7916111{turn:04}"}, headers=headers)


def campaign(client: Client, objects: dict[str, Any], _turn: int, headers: dict[str, str]) -> Answer:
    return client.post("/srv1/campaigns", json=objects["fields"], headers=headers)


def clone(client: Client, objects: dict[str, Any], _turn: int, headers: dict[str, str]) -> Answer:
    return client.post(f"/srv1/campaigns/{objects['campaign']['id']}/clone", json={}, headers=headers)


def sample(client: Client, objects: dict[str, Any], _turn: int, headers: dict[str, str]) -> Answer:
    ids = {"trunk_id": objects["trunk"]["id"], "sound_id": objects["sound"]["id"]}
    return client.post("/srv1/call/sample", json={**ids, "number": "+79160000009"}, headers=headers)


def dnc(client: Client, _objects: dict[str, Any], _turn: int, headers: dict[str, str]) -> Answer:
    file = ("stop.csv", b"+79160000001\n+79160000002\n")
    return client.post("/srv1/dnc/import", files={"file": file}, data={"region": "RU"}, headers=headers)


# What each makes, as the rows that may be there once: an object that was refused after all is marked as deleted.
CREATING = {
    "create_user": (user, "users", "users.create"),
    "create_trunk": (trunk, "trunks", "trunks.create"),
    "create_sound": (sound, "sounds", "sounds.create"),
    "create_callbase": (callbase, "callbases WHERE deleted_at IS NULL AND NOT hidden", "callbases.create"),
    "create_subscriber": (subscriber, "subscribers", "subscribers.create"),
    "create_campaign": (campaign, "campaigns", "campaigns.create"),
    "clone_campaign": (clone, "campaigns", "campaigns.clone"),
    "create_sample_call": (sample, "call_jobs", "calls.sample"),
    "import_dnc": (dnc, "dnc_imports", "dnc.import"),
}
REFUSED_LATER = ("create_callbase", "import_dnc")
"""Their first step may be undone after its commit; the audit keeps that it was tried."""


@pytest.mark.parametrize("operation", CREATING)
def test_after_a_failure_at_any_statement_the_repeated_request_makes_one_object(
    operation: str, admin: Client, store: Store, settings: Settings, anna: Client, objects: dict[str, Any]
) -> None:
    request, table, action = CREATING[operation]
    audited = f"audit WHERE action = '{action}'"
    for turn in count(1):
        before, told = rows(store, table), rows(store, audited)
        files = len(list(settings.sounds.iterdir()))
        headers = {"Idempotency-Key": f"{operation}-{turn}"}
        with breaking(store, turn) as state:
            request(admin, objects, turn, headers)
        answer = request(admin, objects, turn, headers)
        assert answer.status in (201, 202), state.statements
        assert request(admin, objects, turn, headers).json() == answer.json()
        assert rows(store, table) == before + 1, state.statements
        assert rows(store, audited) == told + 1 or operation in REFUSED_LATER, state.statements
        own_files = list(settings.sounds.glob(f"{answer.json()['id']}.*"))
        assert len(list(settings.sounds.iterdir())) == files + len(own_files), state.statements
        if not state.broke:
            break
    assert turn > 8, "the request makes more statements than that"


def test_every_operation_that_takes_a_key_is_among_them() -> None:
    taking = {
        operation["operationId"]
        for _, _, operation in operations()
        if any("idempotency" in str(parameter).casefold() for parameter in operation.get("parameters", []))
    }
    assert taking == set(CREATING)
