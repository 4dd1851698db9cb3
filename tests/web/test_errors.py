"""Errors have one form everywhere, never HTML, never an exception's text."""

import json
import logging
import re
from typing import Any
from uuid import UUID

import pytest

from autodialer.errors import Unavailable
from autodialer.store import Store
from autodialer.web.contract import BASE_PATH, METHODS, load_contract, operations
from autodialer.web.errors import answer_for
from tests.web.client import Client

TRUNKS = "/srv1/trunks"
JSON = {"Content-Type": "application/json"}


def test_an_unknown_path_is_404_in_json(client: Client) -> None:
    for path in ("/nothing", "/srv1/nothing", "/srv1/trunks/", "/api/doc/nothing.js", "/srv1/%FF%FE"):
        answer = client.get(path)
        assert (answer.status, answer.error) == (404, "not_found")


def test_a_wrong_method_is_405_and_says_which_are_taken(client: Client) -> None:
    answer = client.call("PATCH", TRUNKS)
    assert (answer.status, answer.error) == (405, "method_not_allowed")
    assert set(answer.headers["allow"].split(",")) == {"GET", "POST"}


def test_every_path_refuses_the_methods_that_the_contract_does_not_give_it(anna: Client) -> None:
    for path, item in load_contract()["paths"].items():
        taken = {method.upper() for method in METHODS if method in item}
        url = BASE_PATH + re.sub(r"{\w+}", str(UUID(int=0)), path)
        for method in {"GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY"} - taken:
            answer = anna.call(method, url)
            assert (answer.status, set(answer.headers["allow"].split(","))) == (405, taken), (method, path)


def test_a_body_of_null_is_none_that_was_left_out(anna: Client) -> None:
    for method, path, operation in operations():
        bodies = [one for one in operation.get("parameters", ()) if one.get("in") == "body"]
        if bodies and not path.startswith(("/auth/", "/admin/", "/call/")):
            answer = anna.call(method, BASE_PATH + re.sub(r"{\w+}", str(UUID(int=0)), path), data=b"null", headers=JSON)
            assert answer.status in (400, 403), (method, path)


def test_every_operation_may_answer_with_an_error_in_json() -> None:
    for method, path, operation in operations():
        assert "application/json" in operation.get("produces", load_contract()["produces"]), (method, path)


@pytest.mark.parametrize(
    "text",
    [b"{", b"", b"null", b"[]", b'"x"', b"{'name': 1}", b'{"name": NaN}', b'{"cps": 1e999}', b"\xff", b"[" * 100_000],
)
def test_malformed_json_is_400(anna: Client, text: bytes) -> None:
    answer = anna.post(TRUNKS, data=text, headers=JSON)
    assert (answer.status, answer.error) == (400, "bad_request")


def test_malformed_json_is_told_where(anna: Client) -> None:
    assert "line 2, column 1" in anna.post(TRUNKS, data=b'{"name":\n}', headers=JSON).json()["message"]


def test_a_body_of_another_type_is_415(anna: Client) -> None:
    answer = anna.post(TRUNKS, data={"name": "x"})
    assert (answer.status, answer.error) == (415, "unsupported_content")
    assert "application/json" in answer.json()["message"]


def test_a_body_over_the_limit_is_413(anna: Client) -> None:
    answer = anna.post(TRUNKS, data=b" " * 1_000_001, headers=JSON)
    assert (answer.status, answer.error) == (413, "too_large")


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"registrar": "x"}, "registrar", "taken are allowed_countries, allowed_special, auth_username"),
        ({"name": None}, "name", "a string, not null"),
        ({"name": ""}, "name", "at least 1"),
        ({"name": " "}, "name", "cannot be"),
        ({"port": "5060"}, "port", "an integer"),
        ({"port": 0}, "port", "at least 1"),
        ({"port": 65536}, "port", "at most 65535"),
        ({"port": True}, "port", "an integer"),
        ({"transport": "sctp"}, "transport", "one of udp, tcp, tls"),
        ({"codecs": ["G722"]}, "codecs.0", "one of PCMA, PCMU"),
        ({"codecs": []}, "codecs", "at least 1 items"),
        ({"codecs": ["PCMA", "PCMA"]}, "codecs", "twice"),
        (
            {"caller_id_header": "x"},
            "caller_id_header",
            "one of from, p_asserted_identity, p_preferred_identity, remote_party_id",
        ),
        ({"max_channels": 0}, "max_channels", "at least 1"),
        ({"cps": 0}, "cps", "at least"),
        ({"username": 'x" <sip:y>'}, "username", "cannot be"),
        ({"caller_id": "7916\r\nX: y"}, None, "control character"),
        ({"caller_id": "7916\n"}, None, "control character"),
        ({"name": "\ud800"}, None, "control character"),
    ],
)
def test_a_field_that_breaks_the_contract_is_named_with_what_it_takes(
    anna: Client, change: dict[str, Any], field: str | None, says: str
) -> None:
    answer = anna.post(TRUNKS, data=json.dumps({"name": "x", "host": "127.0.0.1"} | change), headers=JSON)
    assert answer.status == 400
    assert says in answer.json()["message"]
    assert answer.fields == ([field] if field else [])
    assert anna.get(TRUNKS).json()["items"] == []


def test_a_missing_field_is_named(anna: Client) -> None:
    answer = anna.post(TRUNKS, json={"name": "x"})
    assert answer.json()["message"] == "host is required."
    assert answer.fields == ["host"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"window": {"start": "09:00", "end": "18:00"}}, "window.timezone"),
        ({"caps": {"month": 3}}, "caps.month"),
        ({"caps": {"day": 0}}, "caps.day"),
    ],
)
def test_a_field_within_a_field_is_named_by_its_path(anna: Client, change: dict[str, Any], field: str) -> None:
    answer = anna.put("/srv1/campaigns/0190a5f0-0000-7000-8000-000000000000", json=change)
    assert (answer.status, answer.fields) == (400, [field])


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=1.5"])
def test_a_limit_out_of_bounds_is_400(anna: Client, query: str) -> None:
    answer = anna.get(f"{TRUNKS}?{query}")
    assert (answer.status, answer.fields) == (400, ["limit"])


@pytest.mark.parametrize("cursor", ["rubbish", "%ff", "a" * 300, "é"])
def test_a_cursor_that_we_did_not_make_is_a_4xx(anna: Client, cursor: str) -> None:
    answer = anna.get(f"{TRUNKS}?after={cursor}")
    assert answer.status in (400, 422)
    assert answer.fields == ["after"]


def test_an_id_that_is_none_is_400_and_named(anna: Client) -> None:
    answer = anna.get("/srv1/trunks/1")
    assert (answer.status, answer.fields) == (400, ["trunk_id"])


def test_an_idempotency_key_in_another_encoding_is_no_accident_of_ours(anna: Client) -> None:
    answer = anna.post(TRUNKS, json={"name": "x", "host": "127.0.0.1"}, headers={"Idempotency-Key": b"\xe9"})
    assert answer.status == 201


def test_head_answers_like_get_without_a_body(anna: Client) -> None:
    answer = anna.call("HEAD", TRUNKS)
    assert (answer.status, answer.body) == (200, b"")
    assert anna.call("HEAD", "/srv1/users/me").status == 200


def test_an_unexpected_error_is_told_by_reference_and_logged(
    anna: Client, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr(store.trunks, "page", fail)
    with caplog.at_level(logging.ERROR):
        answer = anna.get(TRUNKS)
    assert (answer.status, answer.error) == (500, "internal")
    assert "secret" not in answer.body.decode()
    reference = answer.json()["details"][0]["reference"]
    assert reference in caplog.text
    assert "secret of the inside" in caplog.text


def test_a_database_that_is_away_is_503_with_retry_after(
    anna: Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise Unavailable

    monkeypatch.setattr(store.trunks, "page", fail)
    answer = anna.get(TRUNKS)
    assert (answer.status, answer.error) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"


def test_an_answer_that_breaks_the_contract_is_an_error_in_tests(
    anna: Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autodialer.api.accounts.present_user", lambda _user: {"surprise": 1})
    assert anna.get("/srv1/users/me").error == "internal"


def test_every_answer_has_the_security_headers(anna: Client) -> None:
    for path in ("/", "/nothing", "/srv1/users/me", "/api/doc/", "/healthz"):
        headers = anna.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "content-security-policy" in headers
    assert anna.get("/srv1/users/me").headers["cache-control"] == "no-store"


def test_errors_of_handlers_and_of_the_server_have_the_same_form() -> None:
    assert set(answer_for(ValueError("x")).body) == {"error", "message", "details"}
