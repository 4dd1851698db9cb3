"""Encrypted RTP and RTCP (RFC 3711, RFC 7714) of one session, by libsrtp."""

from collections.abc import Mapping
from typing import Any

import pylibsrtp

PROFILES: Mapping[str, int] = {
    "AES_CM_128_HMAC_SHA1_80": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "AEAD_AES_128_GCM": pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
}
"""By the names of RFC 4568 and RFC 7714."""
TAG_OCTETS: Mapping[str, int] = {
    "AES_CM_128_HMAC_SHA1_80": 10,
    "AES_CM_128_HMAC_SHA1_32": 4,
    "AEAD_AES_128_GCM": 16,
}
"""What an RTP packet grows by."""
LONGEST_TAG = max(TAG_OCTETS.values())
HEADER = 12
"""Octets of an RTP header without CSRC, which stays readable."""
_LONGEST = 1300
"""Octets of a packet that libsrtp's Python side takes; the telephone has none that long."""
_STRIDE = 0x7000
"""Sequence numbers that a context may be led on by at a time: less than half of their range (RFC 3711 appendix A)."""


class Protection:
    """Encrypts what one session sends."""

    def __init__(self, suite: str, key: bytes) -> None:
        self.suite, self.key = suite, key
        self.tag_octets = TAG_OCTETS[suite]
        self._session = _session(suite, key, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)

    @property
    def handle(self) -> Any:
        """libsrtp's own, for a sender that encrypts in place."""
        return self._session._srtp[0]  # the library's Python side copies each packet three times

    def protect(self, packet: bytes) -> bytes:
        """An RTP packet as it leaves. Each sequence number once, in order."""
        return self._session.protect(packet)

    def protect_report(self, packet: bytes) -> bytes:
        """An RTCP packet as it leaves."""
        return self._session.protect_rtcp(packet)


class Unprotection:
    """Decrypts what the peer sends, and lets nothing else through."""

    def __init__(self, suite: str, key: bytes, *, before: "Unprotection | None" = None, moved: bool = True) -> None:
        """`before`: what was in use until the peer gave a new key; `moved`: it gave another address too.

        RFC 4568 section 7.1.4: at a new address the roll-over counter begins at 0; RFC 3711 section 3.3.1: else it goes
        on. Peers begin at 0 in both cases, so that the first packet has to show which it is.
        """
        self.suite, self.key = suite, key
        # Of any source: which SSRC is the peer's, only its first packet that decrypts will tell.
        self._session = _session(suite, key, pylibsrtp.Policy.SSRC_ANY_INBOUND)
        self._goes_on: pylibsrtp.Session | None = None
        self._ssrc: int | None = None
        self._index = 0
        """Of the latest packet: roll-over counter and sequence number, RFC 3711 section 3.3.1."""
        # With a roll-over counter of 0 both ways are the same.
        if before is not None and not moved and before._ssrc is not None and before._index >> 16:
            self._goes_on = _session(suite, key, pylibsrtp.Policy.SSRC_ANY_INBOUND)
            self._ssrc, self._index = before._ssrc, before._index
            _lead_on(self._goes_on, suite, key, ssrc=before._ssrc, index=before._index)

    def unprotect(self, packet: bytes) -> bytes | None:
        """The RTP packet as the peer made it; None: it is not the peer's, or came before."""
        if not HEADER < len(packet) <= _LONGEST:
            return None
        plain = _opened(self._session.unprotect, packet)
        if self._goes_on is not None:
            if plain is None and (plain := _opened(self._goes_on.unprotect, packet)) is not None:
                self._session = self._goes_on
            # The peer has begun at 0: the index that was carried over is not its own.
            elif plain is not None:
                self._ssrc = None
            if plain is not None:
                self._goes_on = None
        if plain is not None:
            self._count(plain)
        return plain

    def unprotect_report(self, packet: bytes) -> bytes | None:
        """The RTCP packet as the peer made it; None: it is not the peer's."""
        if not 8 < len(packet) <= _LONGEST:
            return None
        # SRTCP carries its index in the packet (RFC 3711 section 3.4), so a report cannot show which counter is right.
        plain = _opened(self._session.unprotect_rtcp, packet)
        if plain is None and self._goes_on is not None:
            plain = _opened(self._goes_on.unprotect_rtcp, packet)
        return plain

    def _count(self, packet: bytes) -> None:
        sequence, ssrc = int.from_bytes(packet[2:4], "big"), int.from_bytes(packet[8:12], "big")
        if ssrc != self._ssrc:
            self._ssrc, self._index = ssrc, sequence
            return
        # RFC 3711 appendix A: of all indexes with this number the nearest one.
        ahead = (sequence - self._index + 0x8000 & 0xFFFF) - 0x8000
        # A late packet sets nothing back.
        if ahead > 0:
            self._index += ahead


def _session(suite: str, key: bytes, kind: int) -> pylibsrtp.Session:
    return pylibsrtp.Session(pylibsrtp.Policy(key=key, ssrc_type=kind, srtp_profile=PROFILES[suite]))


def _opened(step: Any, packet: bytes) -> bytes | None:
    try:
        plain: bytes = step(packet)
    except pylibsrtp.Error:
        return None
    return plain


def _lead_on(session: pylibsrtp.Session, suite: str, key: bytes, *, ssrc: int, index: int) -> None:
    """Have a context that has seen nothing expect what follows `index`: packets of ours, encrypted and decrypted here.

    The library cannot be told a roll-over counter.
    """
    writer = _session(suite, key, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    # A fresh context begins with the roll-over counter 0, and counts a wrap only where the next number is less than
    # half the range ahead: so it is led there in strides from a low number on.
    for number in (*range(index & 0x0FFF, index, _STRIDE), index):
        header = b"\x80\x00" + (number & 0xFFFF).to_bytes(2, "big") + bytes(4) + ssrc.to_bytes(4, "big")
        session.unprotect(writer.protect(header + b"\0"))
