"""API keys: made, shown once, used, limited, ended."""

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from autodialer.errors import Unavailable
from autodialer.store import Store
from autodialer.store.accounts.api_keys import MARK, MOST_KEYS, ApiKeys, is_well_formed, new_text
from autodialer.web.app import App
from tests.web.client import Client, wav
from tests.web.conftest import PASSWORD, StandingClock

KEYS = "/srv1/api-keys"
TRUNKS = "/srv1/trunks"
END = "2026-03-01T13:00:00Z"


def make(client: Client, *scopes: str, **fields: Any) -> dict[str, Any]:
    answer = client.post(KEYS, json={"name": "program", "scopes": scopes or ["read", "dial"], **fields})
    assert answer.status == 201, answer.body
    return dict(answer.json())


def test_a_key_is_shown_once_and_lets_a_program_in(anna: Client, app: App) -> None:
    made = make(anna)
    key = made.pop("key")
    assert key.startswith(MARK)
    assert key.startswith(made["prefix"])
    assert (made["login"], made["scopes"], made["last_used_at"]) == ("anna", ["read", "dial"], None)
    assert anna.get(f"{KEYS}/{made['id']}").json() == made == anna.get(KEYS).json()["items"][0]
    program = Client(app, key)
    assert program.post(TRUNKS, json={"name": "trunk", "host": "127.0.0.1"}).status == 201
    assert [trunk["name"] for trunk in program.get(TRUNKS).json()["items"]] == ["trunk"]


def test_the_database_and_the_audit_do_not_have_the_key(anna: Client, admin: Client, store: Store) -> None:
    key = make(anna)["key"]
    Client(anna.app, key).post(TRUNKS, json={"name": "trunk", "host": "127.0.0.1"})
    with store._database.read() as connection:
        rows = connection.execute(text("SELECT * FROM api_keys")).all()
    audit = json.dumps(admin.get("/srv1/audit").json())
    for secret in (key, key.removeprefix(MARK)[8:20]):
        assert secret not in f"{rows} {audit}"


def test_what_a_key_does_is_in_the_audit_with_its_id(anna: Client, admin: Client) -> None:
    made = make(anna)
    Client(anna.app, made["key"]).post(TRUNKS, json={"name": "trunk", "host": "127.0.0.1"})
    entry = admin.get("/srv1/audit").json()["items"][0]
    assert (entry["login"], entry["action"]) == ("anna", "trunks.create")
    assert entry["details"]["api_key"] == made["id"]


def test_a_repeated_request_makes_one_key_and_does_not_show_it_again(anna: Client) -> None:
    first, again = (
        anna.post(KEYS, json={"name": "x", "scopes": ["read"]}, headers={"Idempotency-Key": "k"}).json() for _ in "12"
    )
    assert first.pop("key")
    assert again.pop("key") is None
    assert first == again
    assert len(anna.get(KEYS).json()["items"]) == 1


def _revoke(admin: Client, store: Store, clock: StandingClock, key: dict[str, Any]) -> None:
    assert admin.delete(f"{KEYS}/{key['id']}").status == 204


def _run_out(admin: Client, store: Store, clock: StandingClock, key: dict[str, Any]) -> None:
    clock.move(3600)


def _lower_the_role(admin: Client, store: Store, clock: StandingClock, key: dict[str, Any]) -> None:
    assert admin.put(f"/srv1/users/{key['user_id']}", json={"role": "viewer", "works_for": "boris"}).status == 200


def _take_the_password_away(admin: Client, store: Store, clock: StandingClock, key: dict[str, Any]) -> None:
    with store._database.write() as connection:
        connection.execute(text("UPDATE users SET password_hash = NULL WHERE login = 'anna'"))


@pytest.mark.parametrize("end", [_revoke, _run_out, _lower_the_role, _take_the_password_away])
def test_a_key_ends_at_once(
    anna: Client,
    log_in: Callable[[str], Client],
    store: Store,
    clock: StandingClock,
    end: Callable[[Client, Store, StandingClock, dict[str, Any]], None],
) -> None:
    made = make(anna, "read", expires_at=END)
    program = Client(anna.app, made["key"])
    assert program.get(TRUNKS).status == 200
    end(log_in("admin"), store, clock, made)
    answer = program.get(TRUNKS)
    assert (answer.status, answer.error) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == 'Bearer realm="dialer", error="invalid_token"'


def test_a_higher_role_leaves_the_keys_as_they_are(anna: Client, admin: Client) -> None:
    made = make(anna, "read")
    assert admin.put(f"/srv1/users/{made['user_id']}", json={"role": "admin"}).status == 200
    program = Client(anna.app, made["key"])
    assert program.get(TRUNKS).status == 200
    assert program.get("/srv1/audit").error == "insufficient_scope"


def test_another_user_to_work_for_ends_the_keys(admin: Client, app: App) -> None:
    fields = {"login": "vera", "password": PASSWORD, "role": "operator", "works_for": "anna"}
    vera = admin.post("/srv1/users", json=fields).json()
    client = Client(app)
    client.log_in("vera", PASSWORD)
    program = Client(app, make(client, "read")["key"])
    for change, status in (({"name": "Vera"}, 200), ({"works_for": "anna"}, 200), ({"works_for": "boris"}, 401)):
        assert admin.put(f"/srv1/users/{vera['id']}", json=change).status == 200
        assert program.get(TRUNKS).status == status, change


def test_a_changed_password_leaves_the_keys_as_they_are(anna: Client) -> None:
    program = Client(anna.app, make(anna, "read")["key"])
    fields = {"password": PASSWORD, "new_password": "four quiet paper boats"}
    assert anna.put("/srv1/users/me/password", json=fields).status == 204
    assert program.get(TRUNKS).status == 200


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"scopes": ["admin"]}, 422, "scopes"),
        ({"scopes": ["read", "admin"]}, 422, "scopes"),
        ({"scopes": []}, 400, "scopes"),
        ({"scopes": ["everything"]}, 400, "scopes.0"),
        ({"expires_at": "2026-03-01T12:00:00Z"}, 422, "expires_at"),
        ({"expires_at": "tomorrow"}, 422, "expires_at"),
        ({"expires_at": "2026-04-01T12:00:00"}, 422, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-14:00"}, 422, "expires_at"),
        ({"name": " "}, 400, "name"),
    ],
)
def test_a_key_that_cannot_be_is_refused_with_the_field(
    anna: Client, fields: dict[str, Any], status: int, field: str
) -> None:
    answer = anna.post(KEYS, json={"name": "program", "scopes": ["read"], **fields})
    assert (answer.status, answer.fields) == (status, [field])


def test_a_user_has_a_limited_number_of_keys(anna: Client, store: Store) -> None:
    anna_key = store.users.by_login("anna")
    assert anna_key is not None
    for _ in range(MOST_KEYS):
        store.api_keys.create(anna_key.key, name="x", scopes=frozenset(), expires_at=None)
    answer = anna.post(KEYS, json={"name": "one more", "scopes": ["read"]})
    assert (answer.status, answer.error) == (409, "conflict")


def test_keys_are_seen_by_their_user_and_by_admins(anna: Client, boris: Client, admin: Client, app: App) -> None:
    made = make(anna)
    path = f"{KEYS}/{made['id']}"
    assert boris.get(path).status == boris.delete(path).status == 404
    assert boris.get(KEYS).json()["items"] == []
    assert admin.get(path).json()["login"] == "anna"
    viewer = {"login": "vera", "password": PASSWORD, "role": "viewer", "works_for": "anna"}
    assert admin.post("/srv1/users", json=viewer).status == 201
    vera = Client(app)
    vera.log_in("vera", PASSWORD)
    assert vera.get(path).status == 404, "who works for anna has not her keys"
    assert make(vera, "read")["login"] == "vera"


def test_the_use_of_a_key_is_written_at_most_once_a_minute(
    anna: Client, clock: StandingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(anna)
    program, written = Client(anna.app, made["key"]), []
    write = ApiKeys.write_use
    monkeypatch.setattr(ApiKeys, "write_use", lambda keys, key_id: (written.append(clock.now), write(keys, key_id)))
    began = clock.now
    for _ in range(13):
        assert program.get(TRUNKS).status == 200
        clock.move(10)
    assert written == [began, began + timedelta(minutes=1), began + timedelta(minutes=2)]
    assert anna.get(f"{KEYS}/{made['id']}").json()["last_used_at"] == "2026-03-01T12:02:00.000Z"


def test_a_use_that_cannot_be_written_is_logged_and_refuses_nothing(
    anna: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def locked(*_: Any) -> None:
        raise Unavailable

    program = Client(anna.app, make(anna)["key"])
    monkeypatch.setattr(ApiKeys, "write_use", locked)
    with caplog.at_level(logging.WARNING):
        assert program.get(TRUNKS).status == 200
    assert "could not be written down" in caplog.text


def test_a_mistyped_key_is_refused_without_the_database(
    anna: Client, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, asked = make(anna)["key"], []
    find = ApiKeys.holder
    monkeypatch.setattr(ApiKeys, "holder", lambda keys, text: (asked.append(text), find(keys, text))[1])
    wrong = [
        key[:-1],
        key + "0",
        key.upper(),
        key.replace(key[20], "~"),
        MARK,
        MARK + "é" * 51,
        key[:20] + "ж" + key[21:],
    ]
    for text_sent in wrong:
        assert not is_well_formed(text_sent)
        assert Client(app).get(TRUNKS, headers={"Authorization": f"Bearer {text_sent}".encode()}).status == 401
    assert asked == []
    assert Client(app, new_text()).get(TRUNKS).status == 401
    assert len(asked) == 1


def test_an_upload_takes_a_key_before_its_body_is_read(anna: Client, app: App) -> None:
    key = make(anna)["key"]
    app.check_credentials(f"Bearer {key}")
    assert Client(app, key).post("/srv1/sounds", files={"file": ("hello.wav", wav())}).status == 201


def test_a_key_is_no_token_for_logging_out_or_for_renewal(anna: Client, client: Client) -> None:
    key = make(anna)["key"]
    assert client.post("/srv1/auth/revoke", data={"token": key}).status == 200
    assert Client(anna.app, key).get(TRUNKS).status == 200
    form = {"grant_type": "refresh_token", "refresh_token": key}
    assert client.post("/srv1/auth/token", data=form).error == "invalid_grant"
