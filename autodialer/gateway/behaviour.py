"""What the fake carrier's callees do, by the last two digits of their number. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """One way in which a call can go."""

    LISTEN = "listen"
    """Rings, answers, listens until the caller hangs up."""
    HANG_UP = "hang_up"
    """Rings, answers, hangs up early."""
    LATE = "late"
    """183 with early media for some seconds, then answers and listens."""
    BUSY = "busy"
    """486."""
    RING = "ring"
    """Rings and is never answered."""
    UNAVAILABLE = "unavailable"
    """Rings, then 480."""
    DECLINE = "decline"
    """Rings, then 603."""
    UNKNOWN = "unknown"
    """404."""
    INCOMPATIBLE = "incompatible"
    """488: no codec in common."""
    OVERLOAD = "overload"
    """503: the carrier's own fault."""


DISPOSITIONS = {
    Kind.LISTEN: "answered",
    Kind.HANG_UP: "answered",
    Kind.LATE: "answered",
    Kind.BUSY: "busy",
    Kind.RING: "no_answer",
    Kind.UNAVAILABLE: "no_answer",
    Kind.DECLINE: "rejected",
    Kind.UNKNOWN: "invalid_number",
    Kind.INCOMPATIBLE: "failed",
    Kind.OVERLOAD: "congestion",
}
"""What the record of such a call must say."""
FINAL_CODES = {
    Kind.BUSY: 486,
    Kind.UNAVAILABLE: 480,
    Kind.DECLINE: 603,
    Kind.UNKNOWN: 404,
    Kind.INCOMPATIBLE: 488,
    Kind.OVERLOAD: 503,
}
REFUSED_UNRUNG = frozenset({Kind.BUSY, Kind.UNKNOWN, Kind.INCOMPATIBLE, Kind.OVERLOAD})
"""Refused without ringing."""
OVERLOADED = frozenset({17, 58})
"""Far apart, so that the dialer does not rest the trunk."""


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What one callee does."""

    kind: Kind
    ring_s: float = 0.0
    """From the 180 or 183 to what comes next."""
    listen_s: float | None = None
    """From the answer until the callee hangs up; None: never."""


def behaviour_of(number: str) -> Behaviour:
    """What the callee of `number` does."""
    digits = int("".join(character for character in number if character.isdigit())[-2:] or 0)
    if digits in OVERLOADED:
        return Behaviour(kind=Kind.OVERLOAD)
    if digits < 55:
        return Behaviour(kind=Kind.LISTEN, ring_s=0.5 + digits % 7 * 0.3)
    if digits < 67:
        return Behaviour(kind=Kind.HANG_UP, ring_s=0.8, listen_s=1.0 + (digits - 55) * 0.5)
    if digits < 77:
        return Behaviour(kind=Kind.BUSY)
    if digits < 83:
        return Behaviour(kind=Kind.RING)
    if digits < 86:
        return Behaviour(kind=Kind.UNAVAILABLE, ring_s=2.0)
    if digits < 90:
        return Behaviour(kind=Kind.DECLINE, ring_s=1.5)
    if digits < 94:
        return Behaviour(kind=Kind.UNKNOWN)
    if digits < 95:
        return Behaviour(kind=Kind.INCOMPATIBLE)
    return Behaviour(kind=Kind.LATE, ring_s=3.0)
