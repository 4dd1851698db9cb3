"""Logging in and out: the token endpoint, sessions, access tokens, roles, the brake on guessing."""

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from autodialer.config import Settings
from autodialer.model import Role
from autodialer.store import Store
from autodialer.web.app import App
from autodialer.web.signing_keys import SigningKey
from tests.web.client import Client
from tests.web.conftest import PASSWORD, StandingClock

TOKEN = "/srv1/auth/token"
ME = "/srv1/users/me"


def password_form(login: str = "anna", **more: str) -> dict[str, str]:
    return {"grant_type": "password", "username": login, "password": PASSWORD, **more}


def refresh_form(token: str, **more: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": token, **more}


def test_a_password_gives_a_bearer_token_that_lets_its_user_in(client: Client) -> None:
    answer = client.post(TOKEN, data=password_form())
    value = answer.json()
    assert answer.status == 200
    assert value["token_type"] == "Bearer"
    assert value["expires_in"] == 600
    assert value["scope"] == "read dial"
    assert value["refresh_token"]
    assert answer.headers["cache-control"] == "no-store"
    client.token = value["access_token"]
    assert client.get(ME).json()["login"] == "anna"


def test_an_access_token_says_what_rfc_9068_asks_for(client: Client, settings: Settings) -> None:
    token = client.log_in("admin", PASSWORD).json()["access_token"]
    assert jwt.get_unverified_header(token) == {
        "alg": "EdDSA",
        "typ": "at+jwt",
        "kid": SigningKey.load(settings.keys).kid,
    }
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["iss"] == settings.base_url
    assert claims["aud"] == "dialer"
    assert claims["exp"] - claims["iat"] == 600
    assert claims["scope"] == "read dial admin"
    assert {"sub", "jti", "client_id", "fam"} <= claims.keys()


def test_the_signing_key_is_private_and_survives_a_restart(app: App, settings: Settings) -> None:
    path = settings.keys / "access-tokens.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert SigningKey.load(settings.keys).kid == SigningKey.load(settings.keys).kid
    assert [file.name for file in settings.keys.iterdir() if "tmp" in file.name] == []


def test_a_russian_login_and_password_get_in(client: Client, store: Store) -> None:
    store.users.create(login="мария", password="пароль ёж №1")
    assert client.log_in("мария", "пароль ёж №1").status == 200
    assert client.get(ME).json()["login"] == "мария"
    raw = "grant_type=password&username=мария&password=пароль ёж №1".replace(" ", "+").encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}
    assert client.post(TOKEN, data=raw, headers=headers).status == 200


def test_an_empty_basic_header_is_no_client_and_an_empty_scope_is_all(client: Client) -> None:
    headers = {"Authorization": "Basic " + base64.b64encode(b":").decode()}
    answer = client.post(TOKEN, data=password_form("admin", scope="", client_id="", client_secret=""), headers=headers)
    assert answer.status == 200
    assert answer.json()["scope"] == "read dial admin"


@pytest.mark.parametrize(
    ("login", "asked", "given"),
    [
        ("admin", "read", "read"),
        ("admin", "dial read", "read dial"),
        ("admin", "read dial admin", "read dial admin"),
        ("anna", "read read", "read"),
        ("anna", "read admin", "read"),
        ("anna", "admin dial read", "read dial"),
    ],
)
def test_a_narrower_scope_is_answered_with_what_was_given(client: Client, login: str, asked: str, given: str) -> None:
    value = client.post(TOKEN, data=password_form(login, scope=asked)).json()
    assert value["scope"] == given
    assert jwt.decode(value["access_token"], options={"verify_signature": False})["scope"] == given


def test_a_narrow_session_stays_narrow_and_one_access_token_may_be_narrower(client: Client) -> None:
    def renewed(**scope: str) -> dict[str, Any]:
        nonlocal refresh
        value: dict[str, Any] = client.post(TOKEN, data=refresh_form(refresh, **scope)).json()
        refresh = value.get("refresh_token", refresh)
        return value

    refresh = client.post(TOKEN, data=password_form("admin", scope="read dial")).json()["refresh_token"]
    assert renewed()["scope"] == "read dial"
    assert renewed(scope="read")["scope"] == "read"
    assert renewed(scope="admin")["error"] == "invalid_scope"
    assert renewed(scope="read admin")["error"] == "invalid_scope"
    assert renewed(scope="everything")["error"] == "invalid_scope"
    assert renewed()["scope"] == "read dial", "a wrong scope has not used the token up"


def test_a_session_of_which_the_role_allows_nothing_any_more_is_not_renewed(client: Client, admin: Client) -> None:
    fields = {"login": "second", "password": PASSWORD, "role": "admin"}
    second = admin.post("/srv1/users", json=fields).json()
    refresh = client.post(TOKEN, data=password_form("second", scope="admin")).json()["refresh_token"]
    assert admin.put(f"/srv1/users/{second['id']}", json={"role": "user"}).status == 200
    assert client.post(TOKEN, data=refresh_form(refresh)).error == "invalid_grant"


def test_a_session_of_all_scopes_follows_the_role(client: Client, admin: Client, store: Store) -> None:
    anna = store.users.by_login("anna")
    assert anna is not None
    refresh = client.post(TOKEN, data=password_form("anna")).json()["refresh_token"]
    for role, more, scope in (
        ("admin", {}, "read dial admin"),
        ("viewer", {"works_for": "boris"}, "read"),
        ("user", {}, "read dial"),
    ):
        assert admin.put(f"/srv1/users/{anna.id}", json={"role": role, **more}).status == 200
        value = client.post(TOKEN, data=refresh_form(refresh)).json()
        assert value["scope"] == scope
        refresh = value["refresh_token"]


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        (password_form() | {"password": "wrong"}, 400, "invalid_grant"),
        (password_form("nobody"), 400, "invalid_grant"),
        (password_form(scope="everything"), 400, "invalid_scope"),
        (password_form(scope="read everything"), 400, "invalid_scope"),
        (password_form(scope="admin"), 400, "invalid_scope"),
        ({"username": "anna", "password": PASSWORD}, 400, "invalid_request"),
        ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "anna"}, 400, "invalid_request"),
        ({"grant_type": "refresh_token"}, 400, "invalid_request"),
        (refresh_form("unknown"), 400, "invalid_grant"),
        ([*password_form().items(), ("username", "boris")], 400, "invalid_request"),
        (password_form(session="x", user="y", scope="z"), 400, "invalid_scope"),
    ],
)
def test_the_token_endpoint_answers_errors_as_rfc_6749_says(client: Client, form: Any, status: int, error: str) -> None:
    answer = client.post(TOKEN, data=form)
    assert (answer.status, answer.error) == (status, error)
    assert answer.json()["error_description"] == answer.json()["message"]


def test_a_client_that_authenticates_is_unknown(client: Client) -> None:
    headers = {"Authorization": "Basic " + base64.b64encode(b"app:secret").decode()}
    answer = client.post(TOKEN, data=password_form(), headers=headers)
    assert (answer.status, answer.error) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith(("Basic", "Bearer"))


def test_a_token_request_that_is_no_form_is_an_invalid_request(client: Client) -> None:
    assert client.post(TOKEN, json=password_form()).error == "invalid_request"
    assert client.post(TOKEN, data=b"\xff", headers={"Content-Type": "application/x-www-form-urlencoded"}).status == 400
    assert client.post(TOKEN).error == "invalid_request"


def test_refresh_tokens_rotate_and_the_old_access_token_goes_on(client: Client) -> None:
    first = client.log_in("anna", PASSWORD).json()
    second = client.post(TOKEN, data=refresh_form(first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert client.get(ME).status == 200
    client.token = second["access_token"]
    assert client.get(ME).status == 200


def test_a_reused_refresh_token_ends_the_session_at_once(client: Client) -> None:
    first = client.log_in("anna", PASSWORD).json()
    second = client.post(TOKEN, data=refresh_form(first["refresh_token"])).json()
    assert client.post(TOKEN, data=refresh_form(first["refresh_token"])).error == "invalid_grant"
    assert client.post(TOKEN, data=refresh_form(second["refresh_token"])).error == "invalid_grant"
    assert client.get(ME).status == 401
    assert Client(client.app, second["access_token"]).get(ME).status == 401


def test_a_wrong_scope_does_not_use_the_refresh_token_up(client: Client) -> None:
    token = client.log_in("anna", PASSWORD).json()["refresh_token"]
    assert client.post(TOKEN, data=refresh_form(token, scope="everything")).error == "invalid_scope"
    assert client.post(TOKEN, data=refresh_form(token)).status == 200


def test_an_access_token_expires_after_ten_minutes(client: Client, clock: StandingClock) -> None:
    client.log_in("anna", PASSWORD)
    clock.move(599)
    assert client.get(ME).status == 200
    clock.move(1)
    answer = client.get(ME)
    assert (answer.status, answer.error) == (401, "unauthorized")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_revoking_either_token_ends_the_session_at_once(client: Client, kind: str) -> None:
    tokens = client.log_in("anna", PASSWORD).json()
    assert client.post("/srv1/auth/revoke", data={"token": tokens[kind]}).status == 200
    assert client.get(ME).status == 401
    assert client.post(TOKEN, data=refresh_form(tokens["refresh_token"])).error == "invalid_grant"


def test_revoking_an_unknown_token_is_no_error_and_none_is(client: Client) -> None:
    assert client.post("/srv1/auth/revoke", data={"token": "unknown"}).status == 200
    assert client.post("/srv1/auth/revoke", data={"x": "y"}).error == "invalid_request"


def test_a_changed_password_ends_all_sessions(client: Client, anna: Client) -> None:
    other = client.log_in("anna", PASSWORD).json()
    change = {"password": PASSWORD, "new_password": "four quiet paper boats"}
    wrong = anna.put("/srv1/users/me/password", json=change | {"password": "wrong"})
    assert (wrong.status, wrong.fields) == (422, ["password"])
    assert anna.put("/srv1/users/me/password", json=change).status == 204
    assert anna.get(ME).status == 401
    assert client.get(ME).status == 401
    assert client.post(TOKEN, data=refresh_form(other["refresh_token"])).error == "invalid_grant"
    assert client.log_in("anna", PASSWORD).error == "invalid_grant"
    assert client.log_in("anna", "four quiet paper boats").status == 200


def test_a_missing_token_is_401_and_says_where_to_get_one(client: Client) -> None:
    answer = client.get(ME)
    assert (answer.status, answer.error) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == 'Bearer realm="dialer"'
    assert TOKEN in answer.json()["message"]


def forged(token: str, key: Any, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token like `token`, signed again with some claims changed (None: taken out)."""
    payload = jwt.decode(token, options={"verify_signature": False}) | claims
    payload = {name: value for name, value in payload.items() if value is not None}
    headers = jwt.get_unverified_header(token) | (header or {})
    return jwt.PyJWS().encode(json.dumps(payload).encode(), key, algorithm="EdDSA", headers=headers)


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "http://elsewhere"},
        {"aud": "other"},
        {"exp": None},
        {"fam": None},
        {"fam": "no uuid"},
        {"fam": "00000000-0000-4000-8000-000000000000"},
        {"sub": "00000000-0000-4000-8000-000000000000"},
        {"sub": "no uuid"},
        {"exp": "later"},
        {"scope": None},
        {"scope": "dialer admin"},
        {"scope": ["read"]},
        {"header": {"typ": "JWT"}},
        {"header": {"kid": "other"}},
    ],
)
def test_a_token_of_our_key_with_a_wrong_claim_is_refused(
    client: Client, settings: Settings, change: dict[str, Any]
) -> None:
    token = client.log_in("anna", PASSWORD).json()["access_token"]
    key = SigningKey.load(settings.keys).private
    assert Client(client.app, forged(token, key)).get(ME).status == 200
    answer = Client(client.app, forged(token, key, **change)).get(ME)
    assert (answer.status, answer.error) == (401, "unauthorized")


def test_a_token_signed_by_another_key_or_by_none_is_refused(client: Client) -> None:
    token = client.log_in("anna", PASSWORD).json()["access_token"]
    assert Client(client.app, forged(token, Ed25519PrivateKey.generate())).get(ME).status == 401
    header, payload, _signature = token.split(".")
    none = base64.urlsafe_b64encode(json.dumps(jwt.get_unverified_header(token) | {"alg": "none"}).encode())
    for text in (f"{none.decode().rstrip('=')}.{payload}.", f"{header}.{payload}.", "rubbish", "a.b.c", "é"):
        assert Client(client.app, text).get(ME).status == 401


def test_a_clock_that_is_set_by_an_hour_locks_nobody_out(client: Client, clock: StandingClock) -> None:
    refresh = client.log_in("anna", PASSWORD).json()["refresh_token"]
    clock.now -= timedelta(hours=1)
    assert client.get(ME).status == 200, "a token of the future is still ours"
    clock.now += timedelta(hours=2)
    assert client.get(ME).status == 401
    answer = client.post(TOKEN, data=refresh_form(refresh))
    assert Client(client.app, answer.json()["access_token"]).get(ME).status == 200


def test_guessing_a_password_is_slowed_down_and_the_right_one_resets_it(client: Client, clock: StandingClock) -> None:
    for _ in range(5):
        assert client.log_in("anna", "wrong").status == 400
    answer = client.log_in("anna", PASSWORD)
    assert (answer.status, answer.error) == (429, "too_many_requests")
    assert int(answer.headers["retry-after"]) >= 1
    assert client.log_in("boris", PASSWORD).status == 200
    clock.move(int(answer.headers["retry-after"]))
    assert client.log_in("anna", PASSWORD).status == 200
    assert client.log_in("anna", "wrong").status == 400


def test_each_further_wrong_password_doubles_the_wait(client: Client, clock: StandingClock) -> None:
    waits = []
    for _ in range(9):
        client.log_in("anna", "wrong")
        blocked = client.log_in("anna", "wrong")
        if blocked.status == 429:
            waits.append(int(blocked.headers["retry-after"]))
            clock.move(waits[-1])
    assert waits == sorted(waits)
    assert waits[-1] >= 8 * waits[0] / 2


def test_the_prototypes_login_answers_200_whatever_happens(client: Client) -> None:
    good = client.post("/srv1/auth/login", json={"login": "anna", "password": PASSWORD})
    assert good.json()["status"] == "success"
    assert isinstance(good.json()["expired"], float)
    assert Client(client.app, good.json()["acc_token"]).get(ME).json()["login"] == "anna"
    bad = [
        client.post("/srv1/auth/login", json={"login": "anna", "password": "wrong"}),
        client.post("/srv1/auth/login", json={"login": "anna"}),
        client.post("/srv1/auth/login", data=b"{", headers={"Content-Type": "application/json"}),
        client.post("/srv1/auth/login", data={"login": "anna"}),
        *[client.post("/srv1/auth/login", json={"login": "anna", "password": "wrong"}) for _ in range(6)],
    ]
    for answer in bad:
        assert answer.status == 200
        assert answer.json()["status"] == "fail"
        assert answer.json()["text"]
        assert answer.json()["acc_token"] is None


def test_logins_and_refusals_are_in_the_audit(client: Client, admin: Client) -> None:
    client.log_in("anna", "wrong")
    client.log_in("anna", PASSWORD)
    entries = admin.get("/srv1/audit").json()["items"]
    assert [entry["action"] for entry in entries[:2]] == ["auth.login", "auth.refused"]
    assert entries[1]["details"] == {"login": "anna"}
    assert entries[0]["address"] == "192.0.2.1"
    assert PASSWORD not in json.dumps(entries)


@pytest.mark.parametrize("path", ["/srv1/users", "/srv1/audit", "/srv1/users/00000000-0000-4000-8000-000000000000"])
def test_a_user_is_not_an_admin(anna: Client, path: str) -> None:
    answer = anna.get(path)
    assert (answer.status, answer.error) == (403, "forbidden")


def test_an_admins_role_is_looked_up_on_every_request(admin: Client, store: Store) -> None:
    other = store.users.create(login="second", password=PASSWORD, role=Role.ADMIN)
    second = Client(admin.app)
    second.log_in("second", PASSWORD)
    assert second.get("/srv1/users").status == 200
    admin.put(f"/srv1/users/{other.id}", json={"role": "user"})
    assert second.get("/srv1/users").status == 403
