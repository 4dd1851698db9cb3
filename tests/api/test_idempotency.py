"""Idempotency-Key: whatever fails on the way, the client's second try leaves one object and one audit row.

Each creating operation of swagger.yaml is done with a database that refuses its first statement, then its second, and
so on to the last; the client repeats the request each time. What is in the tables afterwards is what one request that
met no fault makes.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from autodialer.store import Store
from tests.web.client import Answer, Client, wav

HEADER = "#/parameters/idempotency_key"
HOOK = "https://example.com/hook"
NUMBERS = b"+79160000011\n+79160000012\n"
Objects = dict[str, Any]
Request = Callable[[Client, Objects, dict[str, str]], Answer]


def _create_user(client: Client, _objects: Objects, headers: dict[str, str]) -> Answer:
    user = {"login": f"user-{headers['Idempotency-Key']}", "password": "four quiet paper boats"}
    return client.post("/srv1/users", json=user, headers=headers)


def _add_user(client: Client, _objects: Objects, headers: dict[str, str]) -> Answer:
    user = {"login": f"user-{headers['Idempotency-Key']}", "password": "four quiet paper boats"}
    return client.post("/srv1/admin/adduser", json=user, headers=headers)


def _create_api_key(client: Client, _objects: Objects, headers: dict[str, str]) -> Answer:
    return client.post("/srv1/api-keys", json={"name": "program", "scopes": ["read"]}, headers=headers)


def _create_trunk(client: Client, _objects: Objects, headers: dict[str, str]) -> Answer:
    return client.post("/srv1/trunks", json={"name": "second", "host": "127.0.0.1"}, headers=headers)


def _create_sound(client: Client, _objects: Objects, headers: dict[str, str]) -> Answer:
    return client.post("/srv1/sounds", files={"file": ("hello.wav", wav())}, headers=headers)


def _create_callbase(client: Client, _objects: Objects, headers: dict[str, str]) -> Answer:
    files = {"file": ("base.csv", NUMBERS)}
    return client.post("/srv1/callbases", files=files, data={"region": "RU"}, headers=headers)


def _create_subscriber(client: Client, objects: Objects, headers: dict[str, str]) -> Answer:
    path = f"/srv1/callbases/{objects['callbase']['id']}/subscribers"
    return client.post(path, json={"number": f"+7916100{_turn(headers):04}"}, headers=headers)


def _create_campaign(client: Client, objects: Objects, headers: dict[str, str]) -> Answer:
    return client.post("/srv1/campaigns", json=objects["fields"], headers=headers)


def _clone_campaign(client: Client, objects: Objects, headers: dict[str, str]) -> Answer:
    return client.post(f"/srv1/campaigns/{objects['campaign']['id']}/clone", json={}, headers=headers)


def _create_sample_call(client: Client, objects: Objects, headers: dict[str, str]) -> Answer:
    fields = {"trunk_id": objects["trunk"]["id"], "sound_id": objects["sound"]["id"], "number": "+79160000021"}
    return client.post("/srv1/call/sample", json=fields, headers=headers)


def _create_webhook(client: Client, _objects: Objects, headers: dict[str, str]) -> Answer:
    return client.post("/srv1/webhooks", json={"url": HOOK, "events": ["call.ended"]}, headers=headers)


def _create_notice(client: Client, _objects: Objects, headers: dict[str, str]) -> Answer:
    return client.post("/srv1/notices", json={"name": "Anna", "url": "tgram://123456789:abc/1234"}, headers=headers)


def _create_call(client: Client, objects: Objects, headers: dict[str, str]) -> Answer:
    fields = {"sound_id": objects["sound"]["id"], "number": "+79160000022", "name": "Anna"}
    return client.post("/srv1/calls", json=fields | {"trunk_id": objects["trunk"]["id"]}, headers=headers)


def _import_dnc(client: Client, _objects: Objects, headers: dict[str, str]) -> Answer:
    numbers = f"+7916200{_turn(headers):04}\n+7916300{_turn(headers):04}\n".encode()
    return client.post("/srv1/dnc/import", files={"file": ("dnc.csv", numbers)}, data={"region": "RU"}, headers=headers)


def _turn(headers: dict[str, str]) -> int:
    """The number at the end of the key: what must be new each time is made of it."""
    return int(headers["Idempotency-Key"].rpartition("-")[2])


REQUESTS: dict[str, Request] = {
    "create_user": _create_user,
    "add_user": _add_user,
    "create_api_key": _create_api_key,
    "create_trunk": _create_trunk,
    "create_sound": _create_sound,
    "create_callbase": _create_callbase,
    "create_subscriber": _create_subscriber,
    "create_campaign": _create_campaign,
    "clone_campaign": _clone_campaign,
    "create_sample_call": _create_sample_call,
    "create_webhook": _create_webhook,
    "create_notice": _create_notice,
    "create_call": _create_call,
    "import_dnc": _import_dnc,
}


class FaultyDatabase:
    """A database that refuses one statement, or one commit, counted from when it is told so."""

    def __init__(self, store: Store) -> None:
        self._engine = store._database._engine
        self._left = 0
        self.broke = False
        event.listen(self._engine, "before_cursor_execute", self._on_statement)
        event.listen(self._engine, "commit", self._on_commit)

    def close(self) -> None:
        """No longer listen."""
        event.remove(self._engine, "before_cursor_execute", self._on_statement)
        event.remove(self._engine, "commit", self._on_commit)

    def break_at(self, step: int) -> None:
        """Refuse the statement or commit number `step` from now on; 0: none."""
        self._left, self.broke = step, False

    def _on_statement(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self._count(statement)

    def _on_commit(self, _connection: Any) -> None:
        self._count("COMMIT")

    def _count(self, statement: str) -> None:
        self._left -= 1
        if self._left == 0:
            self.broke = True
            raise OperationalError(statement, {}, sqlite3.OperationalError("disk I/O error"))


@contextmanager
def faulty(store: Store) -> Iterator[FaultyDatabase]:
    """The store's database, made to fail on demand."""
    database = FaultyDatabase(store)
    try:
        yield database
    finally:
        database.close()


def rows_of(store: Store) -> Counter[str]:
    """How many rows each table has; of callbases and such only those that are not deleted."""
    found: Counter[str] = Counter()
    with store._database.read() as connection:
        tables = [row[0] for row in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))]
        tables.remove("sqlite_sequence")
        for table in tables:
            columns = {row[1] for row in connection.execute(text(f"PRAGMA table_info({table})"))}
            living = " WHERE deleted_at IS NULL" if "deleted_at" in columns else ""
            found[table] = connection.execute(text(f"SELECT count(*) FROM {table}{living}")).scalar_one()
    return found


def change(before: Counter[str], after: Counter[str]) -> dict[str, int]:
    """By how many rows tables differ."""
    return {table: after[table] - before[table] for table in after if after[table] != before[table]}


def creating_operations() -> set[str]:
    """The operations of swagger.yaml that take an Idempotency-Key."""
    contract = yaml.safe_load((Path(__file__).parents[2] / "swagger.yaml").read_text())
    return {
        operation["operationId"]
        for methods in contract["paths"].values()
        for method, operation in methods.items()
        if method == "post" and {"$ref": HEADER} in operation.get("parameters", [])
    }


def test_the_table_has_every_creating_operation() -> None:
    assert REQUESTS.keys() == creating_operations()


@pytest.mark.usefixtures("unbraked")
@pytest.mark.parametrize("operation", REQUESTS)
@pytest.mark.slow
def test_a_request_repeated_after_a_fault_at_any_statement_makes_one_object(
    operation: str, store: Store, settings: Any, admin: Client, anna: Client, objects: Objects
) -> None:
    client, request = (admin if operation in ("create_user", "add_user") else anna), REQUESTS[operation]
    before = rows_of(store)
    assert request(client, objects, {"Idempotency-Key": "k-0"}).status in (201, 202)
    expected = change(before, rows_of(store))
    assert expected["audit"] == expected["idempotency_keys"] == 1
    with faulty(store) as database:
        for step in range(1, 200):
            before, files = rows_of(store), sound_files(settings)
            headers = {"Idempotency-Key": f"k-{step}"}
            database.break_at(step)
            first = request(client, objects, headers)
            broke = database.broke
            database.break_at(0)
            answer = request(client, objects, headers)
            assert answer.status in (201, 202), (step, answer.body)
            assert change(before, rows_of(store)) == expected, f"statement {step}"
            assert len(sound_files(settings) - files) == (4 if operation == "create_sound" else 0), f"statement {step}"
            if not broke:
                assert shown(first) == shown(answer)
                break
    assert step > 5
    assert not list((settings.data / "uploads").glob("*"))


def shown(answer: Answer) -> dict[str, Any]:
    """The object, without what is shown once."""
    return {name: value for name, value in answer.json().items() if name != "key"}


def sound_files(settings: Any) -> set[Path]:
    """The files of all sounds."""
    return set(settings.sounds.glob("*"))


@pytest.mark.parametrize("path", ["/srv1/callbases", "/srv1/dnc/import"])
def test_a_file_that_is_refused_leaves_neither_audit_row_nor_key(path: str, store: Store, anna: Client) -> None:
    before = rows_of(store)
    for _ in range(2):
        no_numbers = {"file": ("base.csv", b"phone\n12\n13\n")}
        answer = anna.post(path, files=no_numbers, data={"region": "RU"}, headers={"Idempotency-Key": "one"})
        assert answer.status == 422
    assert not change(before, rows_of(store))
