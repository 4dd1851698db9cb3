"""Keys for SRTP in session descriptions: `a=crypto` lines (RFC 4568), ours made and the peer's read. Pure.

A key is as good as the way that it takes: these lines are offered over TLS only, and kept out of logs and traces.
"""

import base64
import binascii
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

SUITES = {"AES_CM_128_HMAC_SHA1_80": 30, "AES_CM_128_HMAC_SHA1_32": 30, "AEAD_AES_128_GCM": 28}
"""Those that we speak, in the order in which they are offered, and the octets of master key and salt of each.

RFC 4568 section 6.2 and RFC 7714 section 14.2. Every peer has to know the first. Peers take the first that they
know, and old peers stumble over a list that begins with another suite.
"""
_NOT_UNDERSTOOD = ("UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP", "KDR=", "FEC_KEY=")
"""Session parameters that change what is on the wire (RFC 4568 section 6.3); we speak SRTP with its defaults."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Crypto:
    """One `a=crypto` line: how one direction of a stream is encrypted."""

    tag: int
    """Its number within the description; an answer names the line of the offer that it takes."""
    suite: str
    """One of SUITES."""
    key: bytes = field(repr=False)
    """Master key and master salt, one after the other."""

    @property
    def line(self) -> str:
        """As it stands in a session description."""
        return f"a=crypto:{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode('ascii')}"


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaKeys:
    """What both sides have agreed to."""

    suite: str
    ours: bytes = field(repr=False)
    """Encrypts what we send: master key and salt."""
    theirs: bytes = field(repr=False)
    """Encrypts what the peer sends."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SdesOffer:
    """What we say of encryption in an offer, and which answers will do."""

    lines: tuple[Crypto, ...]
    plain_too: bool = False
    """An answer without encryption is taken as well."""


def make_lines() -> tuple[Crypto, ...]:
    """A line for each suite, each with a key of its own."""
    return tuple(make_line(suite, tag) for tag, suite in enumerate(SUITES, 1))


def make_line(suite: str, tag: int) -> Crypto:
    """A line with a new key."""
    return Crypto(tag=tag, suite=suite, key=secrets.token_bytes(SUITES[suite]))


def parse_lines(values: Iterable[str]) -> list[Crypto]:
    """The `a=crypto` values that we can follow, in order; others are passed over (RFC 4568 section 5.1.2)."""
    return [crypto for crypto in map(_parse, values) if crypto is not None]


def _parse(value: str) -> Crypto | None:
    pieces = value.split()
    if len(pieces) < 3 or not (pieces[0].isascii() and pieces[0].isdigit() and len(pieces[0]) <= 9):
        return None
    suite = pieces[1].upper()
    parameters = [text.upper() for text in pieces[3:]]
    if suite not in SUITES or any(text.startswith(_NOT_UNDERSTOOD) for text in parameters):
        return None
    key = _parse_key(pieces[2], SUITES[suite])
    return Crypto(tag=int(pieces[0]), suite=suite, key=key) if key is not None else None


def _parse_key(text: str, octets: int) -> bytes | None:
    """The key of `inline:KEY[|lifetime][|MKI:length]`; None when it is not of that length, or is one of several.

    A call is over long before a lifetime. With an MKI each packet names its key, which we do not write.
    """
    method, colon, rest = text.partition(":")
    if method.lower() != "inline" or not colon or ";" in rest:
        return None
    encoded, *more = rest.split("|")
    if any(":" in part for part in more):
        return None
    try:
        # Some peers leave the padding out.
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
    return key if len(key) == octets else None


def agree(offered: Sequence[Crypto], answered: Iterable[str]) -> MediaKeys | None:
    """What an answer's `a=crypto` values make of our offer (RFC 4568 section 5.1.3); None: nothing that we offered.

    Each suite is offered once, so that it tells the line taken even where a peer numbers its answer from 1.
    """
    for crypto in parse_lines(answered):
        for own in offered:
            if own.suite == crypto.suite:
                return MediaKeys(suite=own.suite, ours=own.key, theirs=crypto.key)
    return None
