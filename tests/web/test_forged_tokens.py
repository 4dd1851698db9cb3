"""Access tokens that our key signed and our service did not write: every value of every part is refused, by 401."""

import json
import math
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from autodialer.config import Settings
from autodialer.web.signing_keys import SigningKey
from autodialer.web.tokens import REQUIRED
from tests.web.client import Client
from tests.web.conftest import PASSWORD

ME = "/srv1/users/me"
HEADER_FIELDS = ("alg", "typ", "kid", "crit", "b64", "jku", "jwk", "x5u", "x5c", "cty", "enc", "zip")
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from(
        [math.inf, -math.inf, math.nan, 1e308, 10**400, -(10**400), 2**53, 2**63, -1, 0, True, False, None]
    ),
)
TEXTS = st.one_of(
    st.text(max_size=40), st.sampled_from(["", "1", "\ud800", "\0", "none", "EdDSA", "1e400", "9" * 5000])
)
VALUES = st.recursive(
    st.one_of(NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)
TRIES = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Forger:
    """Has our key, and a token of a session that is alive."""

    def __init__(self, client: Client, key: SigningKey, token: str) -> None:
        self.client = client
        self.key = key
        self.header = jwt.get_unverified_header(token)
        self.claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})

    def status(self, header: str, payload: str) -> int:
        """What the API answers to a token of these two texts."""
        signed = f"{_encoded(header)}.{_encoded(payload)}"
        signature = jwt.utils.base64url_encode(self.key.private.sign(signed.encode())).decode()
        answer = Client(self.client.app, f"{signed}.{signature}").get(ME)
        if answer.status == 401:
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        return answer.status


def _encoded(text: str) -> str:
    return jwt.utils.base64url_encode(text.encode(errors="surrogatepass")).decode()


@pytest.fixture
def forger(client: Client, settings: Settings) -> Forger:
    """Signs what it likes."""
    return Forger(client, SigningKey.load(settings.keys), client.log_in("anna", PASSWORD).json()["access_token"])


def test_the_forger_can_write_a_token_that_is_taken(forger: Forger) -> None:
    assert forger.status(json.dumps(forger.header), json.dumps(forger.claims)) == 200


@pytest.mark.parametrize("claim", [*REQUIRED, "nbf"])
@TRIES
@example(value=10**400)
@example(value=math.inf)
@example(value="later")
@example(value=True)
@given(value=VALUES)
def test_a_claim_of_any_other_value_is_401(forger: Forger, claim: str, value: Any) -> None:
    known = forger.claims.get(claim)
    if type(value) is type(known) and value == known:
        return
    # A time within the life of a token, and an id of another token, are what we could have written.
    within = type(value) is int and claim in ("iat", "exp", "nbf") and 0 < value < 2**53
    status = forger.status(json.dumps(forger.header), json.dumps(forger.claims | {claim: value}))
    assert status == 401 or (within and status == 200)


@pytest.mark.parametrize("claim", REQUIRED)
def test_a_missing_claim_is_401(forger: Forger, claim: str) -> None:
    left = {name: value for name, value in forger.claims.items() if name != claim}
    assert forger.status(json.dumps(forger.header), json.dumps(left)) == 401


@pytest.mark.parametrize("name", HEADER_FIELDS)
@TRIES
@given(value=VALUES)
def test_a_header_field_of_any_other_value_is_401(forger: Forger, name: str, value: Any) -> None:
    if name in forger.header and value == forger.header[name]:
        return
    assert forger.status(json.dumps(forger.header | {name: value}), json.dumps(forger.claims)) == 401


@pytest.mark.parametrize("name", [*REQUIRED, "kid", "alg", "typ", "other"])
def test_a_name_that_is_there_twice_is_401(forger: Forger, name: str) -> None:
    for part in ("header", "claims"):
        texts = {"header": json.dumps(forger.header), "claims": json.dumps(forger.claims)}
        value = json.dumps((forger.header | forger.claims).get(name))
        texts[part] = texts[part].replace("{", f'{{"{name}": {value}, "{name}": {value}, ', 1)
        assert forger.status(texts["header"], texts["claims"]) == 401, part


@TRIES
@example(text="[" * 100_000)
@example(text='{"kid":' * 50_000)
@example(text="9" * 10_000)
@example(text="{}")
@example(text="null")
@example(text='["kid"]')
@example(text='{"exp": Infinity}')
@given(text=st.one_of(st.text(max_size=60), VALUES.map(json.dumps)))
def test_a_part_of_any_other_text_is_401(forger: Forger, text: str) -> None:
    assert forger.status(text, json.dumps(forger.claims)) == 401
    assert forger.status(json.dumps(forger.header), text) == 401


@TRIES
@given(text=st.text(st.characters(max_codepoint=255, blacklist_categories=["Cc"]), max_size=80))
def test_an_authorization_header_of_any_text_is_401(client: Client, text: str) -> None:
    header = text.strip() or "x"
    answer = client.get(ME, headers={"Authorization": header.encode("latin-1")})
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="dialer"')
