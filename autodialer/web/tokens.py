"""Access tokens: JWTs (RFC 9068) signed with Ed25519, valid for ten minutes, and only while their session lives."""

import json
import logging
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import jwt
from jwt.utils import base64url_decode

from autodialer.clock import Clock
from autodialer.errors import Unauthorized, Unavailable
from autodialer.model import SCOPES_OF, Scope, User
from autodialer.model.rights import in_words, parse_scopes
from autodialer.store import Store, new_id
from autodialer.web.caller import Caller
from autodialer.web.errors import INVALID_TOKEN
from autodialer.web.signing_keys import ALGORITHM, SigningKeys

logger = logging.getLogger(__name__)

LIFETIME_S = 600
AUDIENCE = "dialer"
CLIENT_ID = "dialer"
"""There are no registered clients, but RFC 9068 demands the claim anyway."""
TYPE = "at+jwt"
_SIGNATURES = jwt.PyJWS()
MOST_VERIFIED = 1024
REQUIRED = ("iss", "aud", "exp", "iat", "sub", "jti", "client_id", "fam", "scope")
"""Claims, all of RFC 9068 section 2.2 and 2.2.3, and the session as `fam`."""
LATEST = 2**53
"""The largest time: beyond it not every program reads the same whole number (RFC 7493 section 2.2)."""


@dataclass(frozen=True, kw_only=True)
class AccessToken:
    """A signed access token."""

    text: str = field(repr=False)
    expires_at: int
    """UNIX time, seconds."""


class AccessTokens:
    """Issues and checks the access tokens of one service."""

    def __init__(self, store: Store, keys: SigningKeys, *, issuer: str, clock: Clock) -> None:
        self._store = store
        self.keys = keys
        self._issuer = issuer
        self._clock = clock
        self._verified: dict[str, tuple[str, dict[str, Any]]] = {}
        """What good tokens say, by their text: a signature holds as long as the key does, and costs 0.2 ms to check.
        Every request still asks for expiry, session and role."""

    def issue(self, user: User, family_id: UUID, scopes: frozenset[Scope]) -> AccessToken:
        """A token for a session of this user."""
        now = int(self._clock.utcnow().timestamp())
        claims = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "exp": now + LIFETIME_S,
            "iat": now,
            "sub": str(user.id),
            "jti": str(new_id()),
            "client_id": CLIENT_ID,
            "fam": str(family_id),
            "scope": in_words(scopes),
        }
        key = self.keys.current()
        headers = {"kid": key.kid, "typ": TYPE}
        text = jwt.encode(claims, key.private, algorithm=ALGORITHM, headers=headers)
        return AccessToken(text=text, expires_at=now + LIFETIME_S)

    def check(self, text: str, *, address: str | None) -> Caller:
        """Whose token it is. Raises Unauthorized for any that is not good, without telling a forger what is wrong."""
        claims = self._claims(text)
        if claims["exp"] <= self._clock.utcnow().timestamp():
            raise refused("The access token has expired; renew it with your refresh token at POST /srv1/auth/token.")
        family_id = UUID(claims["fam"])
        holder = self._store.tokens.holder(family_id)
        if holder is None:
            raise refused("The session of this access token has ended; log in again at POST /srv1/auth/token.")
        user = holder.user
        if user.id != UUID(claims["sub"]):
            raise refused()
        if holder.is_use_due:
            self._write_use(family_id, address)
        # The role may have been changed since.
        scopes = (parse_scopes(claims["scope"]) or frozenset()) & frozenset(SCOPES_OF[user.role])
        return Caller(user=user, family_id=family_id, address=address, scopes=scopes)

    def _write_use(self, family_id: UUID, address: str | None) -> None:
        try:
            self._store.sessions.write_use(family_id, address)
        except Unavailable as exc:
            # To know the time of the last use is not worth a refused request; the next one writes it.
            logger.warning("the use of session %s could not be written down: %s", family_id, exc)

    def check_signature(self, text: str) -> None:
        """A quick look, without the store. Raises Unauthorized for what cannot be good."""
        self._claims(text)

    def family_of(self, text: str) -> UUID | None:
        """The session of a token of ours, expired or not; None for anything else."""
        try:
            return UUID(self._claims(text)["fam"])
        except Unauthorized:
            return None

    def _claims(self, text: str) -> dict[str, Any]:
        # The signature is not computed again; whether its key is still believed is asked each time.
        kid, known = self._verified.get(text, (None, None))
        if known is not None and self.keys.known_as(kid) is not None:
            return known
        kid, claims = self._verify(text)
        if len(self._verified) >= MOST_VERIFIED:
            self._verified.clear()
        self._verified[text] = kid, claims
        return claims

    def _verify(self, text: str) -> tuple[str, dict[str, Any]]:
        try:
            header = _object_of(base64url_decode(text.partition(".")[0]))
            key = self.keys.known_as(header.get("kid"))
            # No field more than ours: some of them change what the signature is of (RFC 7515 section 4.1.11).
            if key is None or header != {"alg": ALGORITHM, "typ": TYPE, "kid": key.kid}:
                raise refused()
            payload = _SIGNATURES.decode(text, key.private.public_key(), algorithms=[ALGORITHM])
            claims = _object_of(payload)
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError) as exc:
            raise refused() from exc
        if not self._is_as_issued(claims):
            raise refused()
        return key.kid, claims

    def _is_as_issued(self, claims: dict[str, Any]) -> bool:
        """Whether each claim has a value that `issue` gives. The times are compared with the clock by the caller."""
        return (
            (claims.get("iss"), claims.get("aud"), claims.get("client_id")) == (self._issuer, AUDIENCE, CLIENT_ID)
            and _is_time(claims.get("iat"))
            and _is_time(claims.get("exp"))
            and 0 < claims["exp"] - claims["iat"] <= LIFETIME_S
            and ("nbf" not in claims or _is_time(claims["nbf"]))
            and all(_is_id(claims.get(name)) for name in ("sub", "jti", "fam"))
            and isinstance(claims.get("scope"), str)
            and bool(parse_scopes(claims["scope"]))
        )


def _object_of(text: bytes) -> dict[str, Any]:
    value = json.loads(text, object_pairs_hook=_without_repetition)
    if not isinstance(value, dict):
        raise ValueError("a part of the token is no object")
    return value


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # RFC 7519 section 4: of a name that is there twice, one program takes the first and another one the last.
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _is_time(value: object) -> bool:
    # The type itself: True is an int too, and a fraction may be endless.
    return type(value) is int and 0 < value < LATEST


def _is_id(value: object) -> bool:
    # As `str` writes it: UUID takes braces and other spellings, too.
    try:
        return isinstance(value, str) and str(UUID(value)) == value
    except ValueError:
        return False


def bearer_token(authorization: str) -> str:
    """The token of an Authorization header. Raises Unauthorized."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized(
            "Send an access token as Authorization: Bearer <token>; "
            "POST /srv1/auth/token gives one for login and password."
        )
    return token.strip()


def refused(message: str | None = None) -> Unauthorized:
    """The exception for a token that is not valid."""
    return Unauthorized(message, details=[{"reason": INVALID_TOKEN}])
