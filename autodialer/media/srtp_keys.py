"""What encrypts one session; apart from the library that does it, which the dialer has no use for."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class SrtpKeys:
    """What both sides agreed to."""

    suite: str
    """Its name by RFC 4568 or RFC 7714, as in `srtp.PROFILES`."""
    ours: bytes = field(repr=False)
    """Master key and salt of what we send."""
    theirs: bytes = field(repr=False)
    """The same of what the peer sends."""
