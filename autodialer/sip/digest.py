"""Digest authentication (RFC 7616, RFC 2617, RFC 8760; RFC 2069 when the challenge has no qop)."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autodialer.sip.fields import unquote
from autodialer.sip.tokens import split


def _hash_with(name: str) -> Callable[[str], str]:
    def digest(text: str) -> str:
        data = text.encode("utf-8", "surrogateescape")
        # An OpenSSL in FIPS mode refuses MD5 otherwise, and a challenge that names no algorithm means MD5 (RFC 7616
        # section 3.3).
        return hashlib.new(name, data, usedforsecurity=False).hexdigest()

    return digest


_OPENSSL_NAMES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
_HASHES = {
    algorithm: _hash_with(name) for algorithm, name in _OPENSSL_NAMES.items() if name in hashlib.algorithms_available
}
_STRENGTH = tuple(_OPENSSL_NAMES)
"""Weakest first."""
_QUOTABLE = re.compile(r'(?:[^"\\]|\\.)*', re.DOTALL)
"""What may stand between quotes, escapes and all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Challenge:
    """One Digest challenge of a WWW-Authenticate or Proxy-Authenticate header."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    """Upper case, without -SESS."""
    session: bool = False
    """The algorithm was a -sess one."""
    algorithm_text: str | None = None
    """As the challenge spelled it, None when it named none."""
    qop: tuple[str, ...] = ()
    """Lower case; empty for RFC 2069."""
    opaque: str | None = None
    stale: bool = False
    """The password was right, only the nonce was too old."""

    @property
    def usable(self) -> bool:
        """We know the algorithm and need not hash the body (auth-int)."""
        return self.algorithm in _HASHES and (not self.qop or "auth" in self.qop)


def parse_challenges(values: Sequence[str]) -> list[Challenge]:
    """The Digest challenges in header values, of which one may hold several. Other schemes are left out."""
    found: list[tuple[str, dict[str, str]]] = []
    for value in values:
        for piece in split(value, ","):
            # The comma separates parameters and challenges alike (RFC 3261 section 25.1). Two words before the equals
            # sign, or no equals sign, begin the next challenge.
            name, equals, text = piece.strip().partition("=")
            scheme, space, first_name = name.strip().partition(" ")
            if space or not equals:
                found.append((scheme.lower(), {}))
                name = first_name
            if equals and found:
                found[-1][1].setdefault(name.strip().lower(), text.strip())
    challenges = (_challenge(params) for scheme, params in found if scheme == "digest" and "nonce" in params)
    return [challenge for challenge in challenges if challenge is not None]


def _challenge(params: dict[str, str]) -> Challenge | None:
    """None when a word that we would have to say again cannot stand between quotes."""
    algorithm_text = params.get("algorithm")
    algorithm = unquote(algorithm_text or "MD5").upper()
    realm, nonce, opaque = (_unq(params.get(name, '""')) for name in ("realm", "nonce", "opaque"))
    if not all(_QUOTABLE.fullmatch(text) for text in (realm, nonce, opaque)):
        return None
    return Challenge(
        realm=realm,
        nonce=nonce,
        algorithm=algorithm.removesuffix("-SESS"),
        session=algorithm.endswith("-SESS"),
        algorithm_text=unquote(algorithm_text) if algorithm_text is not None else None,
        qop=tuple(name.strip().lower() for name in unquote(params.get("qop", "")).split(",") if name.strip()),
        opaque=opaque if "opaque" in params else None,
        stale=unquote(params.get("stale", "")).lower() == "true",
    )


def _unq(text: str) -> str:
    """A quoted string without its quotes but with its escapes: RFC 7616 section 3.4 hashes it like that."""
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text


def choose(challenges: Sequence[Challenge]) -> list[Challenge]:
    """The strongest usable challenge of each realm, in the order in which the realms came."""
    best: dict[str, Challenge] = {}
    for challenge in challenges:
        if not challenge.usable:
            continue
        known = best.get(challenge.realm)
        if known is None or _STRENGTH.index(challenge.algorithm) > _STRENGTH.index(known.algorithm):
            best[challenge.realm] = challenge
    return list(best.values())


def authorize(
    challenge: Challenge, *, username: str, password: str, method: str, uri: str, nonce_count: int, cnonce: str
) -> str:
    """The value of the Authorization or Proxy-Authorization header that answers `challenge`.

    `nonce_count` counts the requests sent with this nonce, from 1. Never log the result.
    """
    hash_text = _HASHES[challenge.algorithm]
    ha1 = hash_text(f"{username}:{challenge.realm}:{password}")
    if challenge.session:
        ha1 = hash_text(f"{ha1}:{challenge.nonce}:{cnonce}")
    ha2 = hash_text(f"{method}:{uri}")
    count = f"{nonce_count:08x}"
    middle = f"{challenge.nonce}:{count}:{cnonce}:auth" if challenge.qop else challenge.nonce
    response = hash_text(f"{ha1}:{middle}:{ha2}")
    quoted = username.replace("\\", "\\\\").replace('"', '\\"')
    parts = [
        f'Digest username="{quoted}"',
        f'realm="{challenge.realm}"',
        f'nonce="{challenge.nonce}"',
        f'uri="{uri}"',
        f'response="{response}"',
    ]
    # RFC 7616 section 3.4: algorithm, qop and nc stand without quotes.
    if challenge.algorithm_text is not None:
        parts.append(f"algorithm={challenge.algorithm_text}")
    if challenge.opaque is not None:
        parts.append(f'opaque="{challenge.opaque}"')
    if challenge.qop:
        parts += ("qop=auth", f"nc={count}")
    # A -sess key is made of the cnonce, so the server has to know it even without qop.
    if challenge.qop or challenge.session:
        parts.append(f'cnonce="{cnonce}"')
    return ", ".join(parts)
