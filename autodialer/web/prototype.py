"""How the prototype's clients speak: a request is a JWT in `req_data`, an answer is always 200 with a `status`.

The JWT is signed HS256 with `JWT_KEY`, which both sides know; its header has the access token as `acc_token`, its
payload is the request. The same paths answer a request with an Authorization header like the rest of the API.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import bottle
import jwt
from bottle import request, response
from jsonschema import Draft4Validator
from jwt.algorithms import HMACAlgorithm

from autodialer.errors import Forbidden, Unauthorized, UserError
from autodialer.web.access import check_access
from autodialer.web.body import parse_json, parse_query, read_body
from autodialer.web.contract import load_contract
from autodialer.web.errors import answer_for
from autodialer.web.guard import respond
from autodialer.web.request import PrototypeRequest, Request
from autodialer.web.routing import ErrorStyle, Route
from autodialer.web.tokens import AccessTokens

logger = logging.getLogger(__name__)

NAME = "req_data"
TOKEN = "acc_token"
ALGORITHM = "HS256"
MOST_BYTES = 32_768
"""Of a body that is read before its sender is known."""
WEAK_BYTES = 32
"""RFC 7518 section 3.2: an HS256 key has at least the 256 bits of the hash."""
LONGEST_KEY = 200
"""Characters of an Idempotency-Key, as swagger.yaml has it."""
OFF = (
    "The prototype's calls are off: the administrator of this service has to set JWT_KEY to the key of the clients."
    " Other clients send Authorization: Bearer <token>."
)


class _AnyLength(HMACAlgorithm):
    """PyJWT warns of a short key at every token; the service says it once, at start."""

    def check_key_length(self, key: Any) -> str | None:
        return None


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What a JWT in `req_data` holds."""

    token: str = field(repr=False)
    """The access token."""
    payload: Mapping[str, Any] = field(repr=False)


class Envelope:
    """Opens `req_data` with the key that both sides know."""

    def __init__(self, key: str | None) -> None:
        self._key = key.encode() if key else None
        self._jws = jwt.PyJWS()
        self._jws.unregister_algorithm(ALGORITHM)
        self._jws.register_algorithm(ALGORITHM, _AnyLength(HMACAlgorithm.SHA256))
        if self._key is not None and len(self._key) < WEAK_BYTES:
            logger.warning(
                "JWT_KEY has %s bytes and can be guessed: 32 random bytes are safe, see docs/security.md",
                len(self._key),
            )

    @property
    def is_on(self) -> bool:
        """Whether there is a key."""
        return self._key is not None

    def open(self, sealed: str) -> Opened:
        """The token and the request in it. Raises Unauthorized, UserError."""
        if self._key is None:
            raise Forbidden(OFF)
        try:
            found = self._jws.decode_complete(sealed, self._key, algorithms=[ALGORITHM])
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError) as exc:
            raise Unauthorized(
                f"{NAME} is not a JWT signed {ALGORITHM} with the JWT_KEY of this service; compare the keys."
            ) from exc
        token, payload = found["header"].get(TOKEN), parse_json(found["payload"])
        if not isinstance(token, str) or not token:
            raise Unauthorized(f"{NAME} has no {TOKEN} in its header; POST /srv1/auth/login gives one.")
        if not isinstance(payload, dict):
            raise UserError(f"The payload of {NAME} takes an object with the fields of the request.")
        _check_expiry(payload.get("exp"))
        return Opened(token=token, payload=payload)


def _check_expiry(expires_at: Any) -> None:
    """A client may limit how long its request is valid (RFC 7519 section 4.1.4)."""
    if expires_at is None:
        return
    if not isinstance(expires_at, int | float) or isinstance(expires_at, bool):
        raise UserError(f"exp in {NAME} takes a UNIX time.")
    if expires_at <= time.time():
        raise Unauthorized(f"{NAME} has expired; sign the request again.")


class PrototypePlugin:
    """Answers prototype's clients on the routes that have an operation for them; all other requests pass.

    It stands before the guard and the contract, whose token and body these requests do not have.
    """

    name = "prototype"
    api = 2

    def __init__(self, tokens: AccessTokens, envelope: Envelope) -> None:
        self._tokens = tokens
        self._envelope = envelope

    def apply(self, callback: Callable[..., Any], route: bottle.Route) -> Callable[..., Any]:
        """Bottle's hook."""
        line: Route[Any] | None = getattr(route.callback, "route", None)
        if line is None or line.for_prototype is None:
            return callback
        operation = route.callback.for_prototype

        def either(*args: Any, **kwargs: Any) -> Any:
            if Request().authorization or not self._is_for_prototype(line):
                return callback(*args, **kwargs)
            try:
                return _answered(operation(self._open(line)))
            except Exception as exc:  # noqa: BLE001 -- as in ErrorsPlugin: everything is mapped
                return respond(answer_for(exc), ErrorStyle.PROTOTYPE)

        return either

    def _is_for_prototype(self, line: Route[Any]) -> bool:
        """Where the calls are off, a client that sends `req_data` is told so; any other lacks a token of today."""
        if self._envelope.is_on:
            return True
        try:
            return _sealed(line.method) is not None
        except UserError:
            return False

    def _open(self, line: Route[Any]) -> PrototypeRequest:
        if not self._envelope.is_on:
            raise Forbidden(OFF)
        sealed = _sealed(line.method)
        if not isinstance(sealed, str) or not sealed:
            raise Unauthorized(
                f"{NAME} is missing: send a JWT signed with JWT_KEY, or an access token as Authorization: Bearer"
                " <token>."
            )
        opened = self._envelope.open(sealed)
        caller = self._tokens.check(opened.token, address=Request().address)
        check_access(line.access, caller)
        once = request.environ.get("HTTP_IDEMPOTENCY_KEY") or None
        if once is not None and len(once) > LONGEST_KEY:
            raise UserError(f"Idempotency-Key has at most {LONGEST_KEY} characters.")
        return PrototypeRequest(caller=caller, sent=_checked(opened.payload, schema_of(line)), once=once)


def schema_of(line: Route[Any]) -> Mapping[str, Any]:
    """What the contract says of the payload: the definition that `x-req-data` of the operation names."""
    operation = load_contract()["paths"][line.path][line.method.lower()]
    found: Mapping[str, Any] = load_contract()["definitions"][operation["x-req-data"]["$ref"].rpartition("/")[2]]
    return found


def _sealed(method: str) -> Any:
    """`req_data` as it was sent; None: it was not. Raises UserError for what cannot be read."""
    if method == "GET":
        return parse_query(request.query_string).get(NAME)
    data = read_body(MOST_BYTES)
    sent = parse_json(data) if data.strip() else None
    return sent.get(NAME) if isinstance(sent, dict) else None


def _checked(payload: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields that the contract knows, held to it. Raises jsonschema's ValidationError.

    Others are left out, for the clients are older than the contract; a number stands for its digits.
    """
    known = {name: payload[name] for name in schema.get("properties", {}) if payload.get(name) is not None}
    sent = {name: str(value) if type(value) is int else value for name, value in known.items()}
    for error in Draft4Validator(schema).iter_errors(sent):
        raise error
    return sent


def _answered(answer: Mapping[str, Any] | Iterator[str]) -> Any:
    response.content_type = "application/json"
    return json.dumps(answer) if isinstance(answer, Mapping) else answer
