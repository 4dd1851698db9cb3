"""Access tokens: JWTs (RFC 9068) signed with Ed25519, valid for ten minutes, and only while their session lives."""

import base64
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from autodialer.clock import Clock
from autodialer.errors import SettingsError, Unauthorized
from autodialer.model import SCOPES_OF, Scope, User
from autodialer.model.rights import in_words, parse_scopes
from autodialer.store import Store, new_id, read_key_file
from autodialer.web.caller import Caller
from autodialer.web.errors import INVALID_TOKEN

LIFETIME_S = 600
AUDIENCE = "dialer"
CLIENT_ID = "dialer"
"""There are no registered clients, but RFC 9068 demands the claim anyway."""
ALGORITHM = "EdDSA"
TYPE = "at+jwt"
KEY_FILE = "access-tokens.pem"
MOST_VERIFIED = 1024
REQUIRED = ("iss", "aud", "exp", "iat", "sub", "jti", "client_id", "fam", "scope")


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """The key pair of this service."""

    private: Ed25519PrivateKey = field(repr=False)
    kid: str

    @classmethod
    def load(cls, folder: Path) -> "SigningKey":
        """Read the key from the folder; the first start makes it, mode 0600. Raises SettingsError."""
        path = folder / KEY_FILE
        pem = read_key_file(path, _new_key)
        try:
            private = serialization.load_pem_private_key(pem, password=None)
        except ValueError as exc:
            raise SettingsError(
                f"{path} cannot be read as a private key; move it away to have a new one made."
            ) from exc
        if not isinstance(private, Ed25519PrivateKey):
            raise SettingsError(f"{path} is not an Ed25519 key; move it away to have a new one made.")
        raw = private.public_key().public_bytes_raw()
        kid = base64.urlsafe_b64encode(hashlib.sha256(raw).digest()[:12]).decode()
        return cls(private=private, kid=kid)


def _new_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@dataclass(frozen=True, kw_only=True)
class AccessToken:
    """A signed access token."""

    text: str = field(repr=False)
    expires_at: int
    """UNIX time, seconds."""


class AccessTokens:
    """Issues and checks the access tokens of one service."""

    def __init__(self, store: Store, key: SigningKey, *, issuer: str, clock: Clock) -> None:
        self._store = store
        self._key = key
        self._issuer = issuer
        self._clock = clock
        self._verified: dict[str, dict[str, Any]] = {}
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
        headers = {"kid": self._key.kid, "typ": TYPE}
        text = jwt.encode(claims, self._key.private, algorithm=ALGORITHM, headers=headers)
        return AccessToken(text=text, expires_at=now + LIFETIME_S)

    def check(self, text: str, *, address: str | None) -> Caller:
        """Whose token it is. Raises Unauthorized for any that is not good, without telling a forger what is wrong."""
        claims = self._claims(text)
        if claims["exp"] <= self._clock.utcnow().timestamp():
            raise refused("The access token has expired; renew it with your refresh token at POST /srv1/auth/token.")
        family_id = UUID(claims["fam"])
        user = self._store.tokens.user_of_family(family_id)
        if user is None:
            raise refused("The session of this access token has ended; log in again at POST /srv1/auth/token.")
        if user.id != UUID(claims["sub"]):
            raise refused()
        # The role may have been changed since.
        scopes = (parse_scopes(claims["scope"]) or frozenset()) & frozenset(SCOPES_OF[user.role])
        return Caller(user=user, family_id=family_id, address=address, scopes=scopes)

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
        known = self._verified.get(text)
        if known is not None:
            return known
        claims = self._verify(text)
        if len(self._verified) >= MOST_VERIFIED:
            self._verified.clear()
        self._verified[text] = claims
        return claims

    def _verify(self, text: str) -> dict[str, Any]:
        # The times are checked against our clock, by the caller.
        options: Any = {"require": list(REQUIRED), "verify_exp": False, "verify_iat": False, "verify_nbf": False}
        try:
            header = jwt.get_unverified_header(text)
            if header.get("kid") != self._key.kid or header.get("typ") != TYPE:
                raise refused()
            claims: dict[str, Any] = jwt.decode(
                text,
                self._key.private.public_key(),
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=self._issuer,
                options=options,
            )
            UUID(claims["fam"]), UUID(claims["sub"])
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError) as exc:
            raise refused() from exc
        if type(claims["exp"]) is not int:  # a text or a fraction cannot be compared, or is endless
            raise refused()
        if not isinstance(claims["scope"], str) or not parse_scopes(claims["scope"]):
            raise refused()
        return claims


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
