"""The token endpoint (RFC 6749, RFC 7009): oauthlib asks, this answers from the store."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from oauthlib.common import Request
from oauthlib.oauth2 import LegacyApplicationServer, RequestValidator
from oauthlib.oauth2.rfc6749.errors import (
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    UnsupportedGrantTypeError,
)
from oauthlib.oauth2.rfc6749.grant_types import ResourceOwnerPasswordCredentialsGrant

from autodialer.model import SCOPES_OF, Scope, User
from autodialer.model.rights import parse_scopes
from autodialer.store import Issued, Store
from autodialer.store.accounts.second_factors import MOST_FAILURES, CodeVerdict
from autodialer.web.caller import Sender
from autodialer.web.limiter import GuessLimiter
from autodialer.web.second_step import SecondStep
from autodialer.web.tokens import CLIENT_ID, LIFETIME_S, AccessTokens

MFA_GRANT = "urn:autodialer:mfa"
GRANTS = ("password", "refresh_token", MFA_GRANT)
ENDPOINT = "/srv1/auth/token"
ADDRESS, PROGRAM = "X-Client-Address", "X-Client-Program"
"""Headers by which the sender reaches the validator; no header of the client's gets there."""


@dataclass(frozen=True, kw_only=True)
class OAuthAnswer:
    """What the endpoint answers."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any]


class Passwords:
    """Logging in by password, with the brake on guessing and the audit."""

    def __init__(self, store: Store, limiter: GuessLimiter) -> None:
        self._store = store
        self._limiter = limiter

    def verify(self, login: str, password: str, address: str | None) -> User | None:
        """The user, None when login or password are wrong. Raises TooManyRequests."""
        self._limiter.check(login, address)
        user = self._store.users.verify(login, password)
        if user is None:
            self._limiter.failed(login, address)
            self._store.audit.append_refusal(login[:64], address)
            return None
        if not user.mfa_enabled:
            # With a second factor the log-in is half done: a guesser of codes must not reset the brake by the password.
            self._limiter.succeeded(login, address)
        return user


class TokenEndpoint:
    """The token and the revocation endpoint."""

    def __init__(self, store: Store, tokens: AccessTokens, passwords: Passwords, second_step: SecondStep) -> None:
        self._store = store
        self._tokens = tokens
        self._passwords = passwords
        validator = _Validator(store, tokens, passwords, second_step)
        self._server = LegacyApplicationServer(
            validator,
            token_generator=self._make_access_token,
            refresh_token_generator=_refresh_token_of,
            token_expires_in=LIFETIME_S,
        )
        self._server.grant_types[MFA_GRANT] = _CodeGrant(validator)

    def issue(self, form: Sequence[tuple[str, str]], authorization: str, sender: Sender) -> OAuthAnswer:
        """Answer a token request. Raises TooManyRequests."""
        if dict(form).get("grant_type") not in (None, "", *GRANTS):
            return _answer({}, UnsupportedGrantTypeError().json, 400)
        known = _headers_for_oauthlib(authorization) | {ADDRESS: sender.address or "", PROGRAM: sender.program or ""}
        return _answer(*self._server.create_token_response(ENDPOINT, "POST", urlencode(form), known))

    def revoke(self, form: Sequence[tuple[str, str]], authorization: str) -> OAuthAnswer:
        """Answer a revocation request."""
        known = _headers_for_oauthlib(authorization)
        return _answer(*self._server.create_revocation_response(ENDPOINT, "POST", urlencode(form), known))

    def log_in(self, login: str, password: str, sender: Sender) -> dict[str, Any]:
        """The prototype's way to log in. Raises TooManyRequests."""
        user = self._passwords.verify(login, password, sender.address)
        if user is None:
            return {"status": "fail", "text": "Wrong login or password.", "acc_token": None, "expired": None}
        if user.mfa_enabled:
            text = "This user has a second factor; log in at POST /srv1/auth/token."
            return {"status": "fail", "text": text, "acc_token": None, "expired": None}
        issued = _begin_session(self._store, user, sender, None)
        token = self._tokens.issue(user, issued.family_id, frozenset(SCOPES_OF[user.role]))
        return {
            "status": "success",
            "text": "Logged in.",
            "acc_token": token.text,
            "expired": float(token.expires_at),
        }

    def _make_access_token(self, request: Any) -> str:
        user, family_id, _refresh_token = request.session
        return self._tokens.issue(user, family_id, frozenset(Scope(word) for word in request.scopes)).text


def _begin_session(store: Store, user: User, sender: Sender, scopes: frozenset[Scope] | None) -> Issued:
    with store.transaction():
        issued = store.tokens.new_family(user.key, scopes, address=sender.address, program=sender.program)
        store.audit.append(user.key, "auth.login", address=sender.address)
    return issued


def _raise_unless_right(verdict: CodeVerdict | None, request: Request) -> None:
    if verdict is CodeVerdict.LOCKED:
        raise InvalidGrantError(
            f"After {MOST_FAILURES} wrong codes in a row no code is taken; ask an admin to take your second factor"
            " away.",
            request=request,
        )
    if verdict is CodeVerdict.WRONG:
        raise InvalidGrantError("The code is wrong, or was used already; wait for the next one.", request=request)


def _sender_of(request: Request) -> Sender:
    return Sender(address=request.headers[ADDRESS] or None, program=request.headers[PROGRAM] or None)


def _refresh_token_of(request: Any) -> str:
    token: str = request.session[2]
    return token


def _headers_for_oauthlib(authorization: str) -> dict[str, str]:
    return {"Authorization": authorization, "Content-Type": "application/x-www-form-urlencoded"}


def _answer(headers: Mapping[str, str], body: str | None, status: int) -> OAuthAnswer:
    value = json.loads(body) if body else {}
    if status >= 400:
        message = value.get("error_description") or "The request is not what RFC 6749 asks for."
        token = {"mfa_token": value["mfa_token"]} if "mfa_token" in value else {}
        value = {"error": value.get("error", "invalid_request"), "error_description": message, **token}
        value |= {"message": message, "details": []}
    kept = {name: text for name, text in headers.items() if name.lower() in ("cache-control", "www-authenticate")}
    return OAuthAnswer(status=status, headers={"Cache-Control": "no-store", "Pragma": "no-cache", **kept}, body=value)


class _Client:
    """Any client: there are no registered clients."""

    client_id = CLIENT_ID


class _MfaRequired(OAuth2Error):  # type: ignore[misc,unused-ignore]
    """The password was right, and a code is to come."""

    error = "mfa_required"

    def __init__(self, token: str, request: Request) -> None:
        super().__init__(
            description=f"Send the code of your authenticator: grant_type={MFA_GRANT} with mfa_token and otp.",
            request=request,
        )
        self._token = token

    @property
    def twotuples(self) -> list[tuple[str, str | None]]:
        """What the answer says, beside what every error does."""
        return [*super().twotuples, ("mfa_token", self._token)]


class _CodeGrant(ResourceOwnerPasswordCredentialsGrant):  # type: ignore[misc,unused-ignore]
    """An extension grant (RFC 6749 section 4.5): what a log-in by password began, a code completes."""

    def validate_token_request(self, request: Any) -> None:
        """Raises OAuth2Error."""
        validator: Any = self.request_validator
        for name in ("mfa_token", "otp"):
            if not getattr(request, name, None):
                raise InvalidRequestError(f"Request is missing {name} parameter.", request=request)
        for name in ("grant_type", "mfa_token", "otp", "scope"):
            if name in request.duplicate_params:
                raise InvalidRequestError(f"Duplicate {name} parameter.", request=request)
        validator.client_authentication_required(request)
        validator.authenticate_client_id("", request)
        validator.complete(request)


class _Validator(RequestValidator):  # type: ignore[misc,unused-ignore]
    """oauthlib's questions. `request.session` is (user, session id, refresh token) once a session is there."""

    def __init__(self, store: Store, tokens: AccessTokens, passwords: Passwords, second_step: SecondStep) -> None:
        super().__init__()
        self._second_step = second_step
        self._store = store
        self._tokens = tokens
        self._passwords = passwords

    def client_authentication_required(self, request: Request, *args: Any, **kwargs: Any) -> bool:
        """Never; but a client that does authenticate is one we do not know."""
        if _names_client(request.headers.get("Authorization", "")):
            raise InvalidClientError(
                description="There are no registered clients; leave client id and secret empty.", request=request
            )
        return False

    def authenticate_client_id(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Anybody. What is set here cannot be taken from the form, where oauthlib looks for missing attributes."""
        request.session = request.user = None
        request.allowed = []
        request.client = _Client()
        request.client_id = CLIENT_ID
        return True

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Any, request: Any, *_: Any, **__: Any
    ) -> bool:
        """Password and refresh token."""
        return grant_type in GRANTS

    def validate_user(self, username: str, password: str, client: Any, request: Any, *_: Any, **__: Any) -> bool:
        """Login and password; starts a session unless the scope is wrong, which oauthlib looks at next.

        Known scopes beyond the role are left out, as RFC 6749 section 3.3 allows: the answer says what was given. A
        form that always asks for all three so works for every role.
        """
        user = self._passwords.verify(username, password, request.headers[ADDRESS] or None)
        if user is None:
            return False
        request.user = user
        if not _granted(user, request.scope):
            return True
        if user.mfa_enabled:
            code = getattr(request, "otp", None)
            if not code:
                raise _MfaRequired(self._second_step.begin(user, request.scope or ""), request)
            _raise_unless_right(self._second_step.judge(user, code, request.headers[ADDRESS] or None), request)
        self._begin(request, user, request.scope or "")
        return True

    def complete(self, request: Any) -> None:
        """The second step of a log-in. Raises OAuth2Error, TooManyRequests."""
        done = self._second_step.complete(request.mfa_token, request.otp, request.headers[ADDRESS] or None)
        if done.verdict in (None, CodeVerdict.NO_FACTOR) or done.user is None:
            raise InvalidGrantError("The mfa_token is unknown or too old; send login and password again.")
        _raise_unless_right(done.verdict, request)
        request.user, request.username = done.user, done.user.login
        request.scopes = _in_order(_granted(done.user, done.scope))
        if not request.scopes:
            raise InvalidScopeError(request=request)
        self._begin(request, done.user, done.scope)

    def _begin(self, request: Any, user: User, scope: str) -> None:
        limit = _granted(user, scope) if scope else None
        issued = _begin_session(self._store, user, _sender_of(request), limit)
        request.session = (user, issued.family_id, issued.refresh_token)

    def validate_refresh_token(self, refresh_token: str, client: Any, request: Any, *_: Any, **__: Any) -> bool:
        """Uses it up, unless the scope is wrong, which oauthlib looks at next."""
        allowed = self._store.tokens.scopes_of(refresh_token)
        wanted = parse_scopes(request.scope or "")
        if allowed == frozenset():
            return False  # the role has been changed since, and nothing is left that the session was begun for
        if wanted is None or (allowed is not None and not wanted <= allowed):
            return True
        rotated = self._store.tokens.rotate(refresh_token)
        if rotated is None:
            return False
        request.user = rotated.user
        request.session = (rotated.user, rotated.family_id, rotated.refresh_token)
        request.allowed = _in_order(rotated.scopes)
        return True

    def get_original_scopes(self, refresh_token: str, request: Any, *args: Any, **kwargs: Any) -> list[str]:
        """What the session was begun with. A narrower wish is for one access token (RFC 6749 section 6)."""
        return list(request.allowed) if request.session else []

    def get_default_scopes(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> list[str]:
        """All that the role allows."""
        return list(SCOPES_OF[request.user.role])

    def validate_scopes(self, client_id: str, scopes: list[str], client: Any, request: Any, *_: Any, **__: Any) -> bool:
        """Known words, at least one of which the role allows."""
        request.scopes = _in_order(_granted(request.user, request.scope))
        return bool(request.scopes)

    def rotate_refresh_token(self, request: Any) -> bool:
        """Always."""
        return True

    def save_token(self, token: Any, request: Any, *args: Any, **kwargs: Any) -> None:
        """The session is in the store already; access tokens are not kept."""

    def save_bearer_token(self, token: Any, request: Any, *args: Any, **kwargs: Any) -> None:
        """The session is in the store already; access tokens are not kept."""

    def revoke_token(self, token: str, token_type_hint: str | None, request: Any, *args: Any, **kwargs: Any) -> None:
        """End the session of a refresh or access token; any other token is not an error (RFC 7009 section 2.2)."""
        family_id: UUID | None = self._tokens.family_of(token)
        if family_id is not None:
            self._store.tokens.revoke_family(family_id)
        else:
            self._store.tokens.revoke(token)


def _granted(user: User, scope: str | None) -> frozenset[Scope]:
    """What a user gets who asks for these scopes; nothing where a word is unknown. No or empty scope is all."""
    allowed = frozenset(SCOPES_OF[user.role])
    wanted = parse_scopes(scope or "")
    if wanted is None:
        return frozenset()
    return allowed & wanted if wanted else allowed


def _in_order(scopes: frozenset[Scope]) -> list[str]:
    return [scope.value for scope in Scope if scope in scopes]


def _names_client(authorization: str) -> bool:
    """Whether a Basic header holds anything; Swagger UI sends an empty one."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        return base64.b64decode(encoded.strip(), validate=True).strip(b": ") != b""
    except (binascii.Error, ValueError):
        return True
