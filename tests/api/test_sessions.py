"""Sessions: listed with what tells them apart, and ended one by one."""

from typing import Any

import pytest

from autodialer.errors import Unavailable
from autodialer.store import Store
from tests.web.client import Client
from tests.web.conftest import PASSWORD, StandingClock

MINE = "/srv1/users/me/sessions"
TOKEN = "/srv1/auth/token"


def log_in(client: Client, login: str, program: str) -> Client:
    """Another client of this user, which calls itself that."""
    form = {"grant_type": "password", "username": login, "password": PASSWORD}
    value = client.post(TOKEN, data=form, headers={"User-Agent": program.encode()}).json()
    return Client(client.app, value["access_token"])


def items(client: Client, path: str = MINE) -> list[dict[str, Any]]:
    """The sessions that a list tells."""
    answer = client.get(path)
    assert answer.status == 200
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def id_of(client: Client) -> str:
    """The session that the client is in."""
    return next(str(item["id"]) for item in items(client) if item["current"])


def test_a_user_sees_its_sessions_newest_first_and_which_one_asks(client: Client, clock: StandingClock) -> None:
    first = log_in(client, "anna", "Mozilla/5.0 (X11)")
    clock.move(60)
    second = log_in(client, "anna", "клиент\t1")
    log_in(client, "boris", "other")
    found = items(second)
    assert [(one["client"], one["current"]) for one in found] == [("клиент 1", True), ("Mozilla/5.0 (X11)", False)]
    assert [one["since"] for one in found] == ["2026-03-01T12:01:00.000Z", "2026-03-01T12:00:00.000Z"]
    assert found[0]["address"] == "192.0.2.1"
    assert [one["current"] for one in items(first)] == [False, True]


def test_the_last_use_is_written_once_a_minute(client: Client, clock: StandingClock, store: Store) -> None:
    anna = log_in(client, "anna", "x")
    written = []
    write = store.sessions.write_use

    def count(*arguments: Any) -> None:
        written.append(clock.now)
        write(*arguments)

    store.sessions.write_use = count  # type: ignore[method-assign]
    for _ in range(60):
        clock.move(5)
        anna.get("/srv1/users/me")
    assert len(written) == 5
    assert items(anna)[0]["last_used_at"] == written[-1].strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_a_use_that_cannot_be_written_keeps_nobody_out(
    client: Client, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    anna = log_in(client, "anna", "x")

    def locked(*_: Any) -> None:
        raise Unavailable

    monkeypatch.setattr(store.sessions, "write_use", locked)
    assert anna.get("/srv1/users/me").status == 200
    assert "could not be written down" in caplog.text


def test_a_clock_set_back_does_not_stop_the_writing(client: Client, clock: StandingClock) -> None:
    anna = log_in(client, "anna", "x")
    anna.get("/srv1/users/me")
    clock.move(-3000)
    anna.get("/srv1/users/me")
    assert items(anna)[0]["last_used_at"] == "2026-03-01T11:10:00.000Z"


def test_one_session_is_ended_and_the_others_go_on(client: Client) -> None:
    form = {"grant_type": "password", "username": "anna", "password": PASSWORD}
    tokens = client.post(TOKEN, data=form).json()
    lost, here = Client(client.app, tokens["access_token"]), log_in(client, "anna", "x")
    path = f"{MINE}/{id_of(lost)}"
    assert here.delete(path).status == 204
    assert lost.get("/srv1/users/me").status == 401
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert client.post(TOKEN, data=refresh).error == "invalid_grant"
    assert here.get("/srv1/users/me").status == 200
    assert here.delete(path).status == 404
    assert len(items(here)) == 1
    assert here.delete(f"{MINE}/{id_of(here)}").status == 204
    assert here.get("/srv1/users/me").status == 401


def test_a_user_does_not_end_the_session_of_another_and_an_admin_does(
    anna: Client, boris: Client, admin: Client
) -> None:
    session, user = id_of(boris), boris.get("/srv1/users/me").json()["id"]
    mine = anna.get("/srv1/users/me").json()["id"]
    assert anna.delete(f"{MINE}/{session}").status == 404
    assert anna.get(f"/srv1/users/{user}/sessions").status == 403
    assert admin.delete(f"/srv1/users/{mine}/sessions/{session}").status == 404, "it is not anna's"
    assert [one["id"] for one in items(admin, f"/srv1/users/{user}/sessions")] == [session]
    assert not items(admin, f"/srv1/users/{user}/sessions")[0]["current"]
    assert admin.delete(f"/srv1/users/{user}/sessions/{session}").status == 204
    assert boris.get("/srv1/users/me").status == 401
    done = admin.get("/srv1/audit", params={"action": "sessions.end"}).json()["items"]
    assert [(row["login"], row["details"]["login"]) for row in done] == [("admin", "boris")]


def test_sessions_that_have_run_out_are_not_listed_and_pages_go_on(client: Client, clock: StandingClock) -> None:
    log_in(client, "anna", "old")
    clock.move(31 * 86_400)
    for name in ("1", "2", "3"):
        anna = log_in(client, "anna", name)
    first = anna.get(MINE, params={"limit": "2"}).json()
    rest = anna.get(MINE, params={"limit": "2", "after": first["next"]}).json()
    assert [one["client"] for one in (*first["items"], *rest["items"])] == ["3", "2", "1"]
    assert rest["next"] is None


def test_what_a_client_calls_itself_is_shortened_and_has_no_control_characters(client: Client) -> None:
    anna = log_in(client, "anna", "\x1b[31m" + "x" * 1000)
    [session] = items(anna)
    assert len(session["client"]) == 200
    assert session["client"].isprintable()
