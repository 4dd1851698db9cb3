"""The keys of the access tokens: two believed, rotated by age or by command, published as a JWK set."""

import json
from datetime import timedelta
from typing import Any

import jwt
import pytest

from autodialer.commands.rotation import rotate_key
from autodialer.config import Settings
from autodialer.store import Store
from autodialer.web import signing_keys
from autodialer.web.signing_keys import BELIEVED_FOR, LONGEST_AGE, SigningKey, SigningKeys, rotate
from tests.web.client import Client
from tests.web.conftest import PASSWORD, StandingClock

ME = "/srv1/users/me"
KEYS = "/.well-known/jwks.json"


def kid_of(client: Client) -> Any:
    """The key that signed the client's token."""
    return jwt.get_unverified_header(client.token or "")["kid"]


def published(client: Client) -> list[str]:
    """The ids of the keys in the JWK set."""
    return [key["kid"] for key in client.get(KEYS).json()["keys"]]


def test_a_running_service_signs_by_a_rotated_key_and_believes_the_old_one_until_its_tokens_end(
    client: Client, settings: Settings, clock: StandingClock
) -> None:
    client.log_in("anna", PASSWORD)
    old = kid_of(client)
    new = rotate(settings.keys, clock.utcnow()).kid
    other = Client(client.app)
    other.log_in("boris", PASSWORD)
    assert kid_of(other) == new != old
    assert client.get(ME).status == 200
    assert published(client) == [new, old]
    clock.move(599)
    assert client.get(ME).status == 200
    clock.move(BELIEVED_FOR.total_seconds())
    assert client.get(ME).status == 401
    assert published(client) == [new]


def test_a_token_of_a_key_that_another_process_has_just_made_is_taken(
    client: Client, settings: Settings, clock: StandingClock
) -> None:
    client.log_in("anna", PASSWORD)
    claims = jwt.decode(client.token or "", options={"verify_signature": False})
    key = rotate(settings.keys, clock.utcnow())
    headers = {"kid": key.kid, "typ": "at+jwt"}
    client.token = jwt.encode(claims, key.private, algorithm="EdDSA", headers=headers)
    assert client.get(ME).status == 200


def test_a_forgotten_key_is_refused_at_once(client: Client, settings: Settings, clock: StandingClock) -> None:
    client.log_in("anna", PASSWORD)
    rotate(settings.keys, clock.utcnow())
    rotate(settings.keys, clock.utcnow(), forget=True)
    assert client.log_in("boris", PASSWORD).status == 200
    assert len(published(client)) == 1
    rotate(settings.keys, clock.utcnow(), forget=True)
    assert client.get(ME).status == 401


def test_a_token_that_was_in_use_is_refused_as_well_once_its_key_is_forgotten(
    client: Client, settings: Settings, clock: StandingClock
) -> None:
    client.log_in("anna", PASSWORD)
    assert client.get(ME).status == client.get(ME).status == 200, "its signature is known from here on"
    rotate(settings.keys, clock.utcnow(), forget=True)
    assert client.get(ME).status == 401


def test_a_key_of_ninety_days_is_rotated_by_itself_and_keeps_nobody_out(
    client: Client, settings: Settings, clock: StandingClock
) -> None:
    rotate(settings.keys, clock.utcnow())
    client.log_in("anna", PASSWORD)
    first = kid_of(client)
    clock.move((LONGEST_AGE - timedelta(seconds=1)).total_seconds())
    client.log_in("anna", PASSWORD)
    assert kid_of(client) == first
    clock.move(1)
    other = Client(client.app)
    other.log_in("anna", PASSWORD)
    assert kid_of(other) != first
    assert client.get(ME).status == other.get(ME).status == 200
    other.log_in("anna", PASSWORD)
    assert published(client) == [kid_of(other), first], "once is enough"


def test_an_old_key_that_cannot_be_rotated_goes_on_signing(
    settings: Settings, clock: StandingClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rotate(settings.keys, clock.utcnow())
    keys = SigningKeys(settings.keys, clock)
    clock.move(LONGEST_AGE.total_seconds())

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(signing_keys, "replace_key_file", full)
    assert keys.current().kid == SigningKey.load(settings.keys).kid
    assert "cannot be rotated" in caplog.text


@pytest.mark.parametrize("step", [0, 1])
def test_a_crash_within_a_rotation_leaves_a_key_that_all_tokens_are_verified_by(
    settings: Settings, clock: StandingClock, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    before = SigningKey.load(settings.keys)
    write, written = signing_keys.replace_key_file, []

    def crash(*arguments: Any) -> None:
        if len(written) == step:
            raise KeyboardInterrupt
        written.append(arguments)
        write(*arguments)

    monkeypatch.setattr(signing_keys, "replace_key_file", crash)
    with pytest.raises(KeyboardInterrupt):
        rotate(settings.keys, clock.utcnow())
    keys = SigningKeys(settings.keys, clock)
    assert keys.current().kid == before.kid
    assert keys.known_as(before.kid) is not None


def test_the_key_files_are_private(settings: Settings, clock: StandingClock) -> None:
    rotate(settings.keys, clock.utcnow())
    assert {path.name: path.stat().st_mode & 0o777 for path in settings.keys.glob("access-tokens*")} == {
        "access-tokens.pem": 0o600,
        "access-tokens-before.pem": 0o600,
    }


def test_the_command_rotates_and_says_so_in_the_audit(
    settings: Settings, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    before = SigningKey.load(settings.keys).kid
    assert rotate_key(settings, forget=False) == 0
    key = SigningKey.load(settings.keys).kid
    assert key != before
    assert key in capsys.readouterr().out
    assert rotate_key(settings, forget=True) == 0
    assert not (settings.keys / "access-tokens-before.pem").exists()
    assert [entry.action for entry in store.audit.page()[0]] == ["keys.rotate"] * 2


def test_a_library_verifies_a_token_by_the_published_key(client: Client, settings: Settings) -> None:
    client.log_in("anna", PASSWORD)
    found = jwt.PyJWKSet.from_dict(client.get(KEYS).json())
    claims = jwt.decode(
        client.token or "",
        found[kid_of(client)].key,
        algorithms=["EdDSA"],
        audience="dialer",
        issuer=settings.base_url,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["client_id"] == "dialer"
    text = client.get(KEYS).body.decode()
    assert '"d"' not in text, "the private half stays here"


def test_the_metadata_says_only_what_is_true(client: Client, settings: Settings) -> None:
    answer = client.get("/.well-known/oauth-authorization-server")
    found = answer.json()
    assert answer.headers["cache-control"].startswith("public")
    assert found["issuer"] == settings.base_url
    local = {
        name: found[name].removeprefix(settings.base_url) for name in found if name.endswith(("_endpoint", "_uri"))
    }
    assert client.get(local["jwks_uri"]).status == 200
    assert client.post(local["revocation_endpoint"], data={"token": "unknown"}).status == 200
    scope = " ".join(found["scopes_supported"])
    assert client.post(local["token_endpoint"], data={"grant_type": "other"}).error == "unsupported_grant_type"
    for grant in found["grant_types_supported"]:
        assert client.post(local["token_endpoint"], data={"grant_type": grant}).error != "unsupported_grant_type"
    form = {"grant_type": "password", "username": "admin", "password": PASSWORD, "scope": scope}
    assert client.post(local["token_endpoint"], data=form).json()["scope"] == scope
    assert client.get(found["service_documentation"].removeprefix(settings.base_url)).status in (200, 302, 308)
    assert "authorization_endpoint" not in json.dumps(found), "nobody logs in by a page"
