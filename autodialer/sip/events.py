"""What the SIP core tells its owner.

Of one call: any number of CallProgress, at most one CallAnswered, any number of MediaChanged while it is answered, and
exactly one of CallFailed (never answered) or CallEnded (answered, and now over).
"""

from dataclasses import dataclass
from enum import StrEnum

from autodialer.sip.sdp import MediaPlan


class FailureKind(StrEnum):
    """Why a call was never answered."""

    FINAL = "final"
    """A final response from 300 to 699 that nobody asked for."""
    AUTH = "auth"
    """401 or 407 that could not be answered, or that came again after it was."""
    TIMEOUT = "timeout"
    """No response at all: timer B of RFC 3261 section 17.1.1.2."""
    TRANSPORT = "transport"
    """The datagram could not be delivered: ICMP unreachable, or no route."""
    RING_TIMEOUT = "ring_timeout"
    """We cancelled because nobody answered within the ring timeout."""
    CANCELLED = "cancelled"
    """We cancelled because the owner asked for it."""


class EndedBy(StrEnum):
    """Who ended an answered call."""

    CALLEE = "callee"
    US = "us"


@dataclass(frozen=True, kw_only=True, slots=True)
class CallProgress:
    """A provisional response that says something new."""

    call_id: str
    at: float
    """Monotonic seconds."""
    code: int
    """100 to 199."""
    reason: str
    sdp: bytes | None
    """Early media, None without."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallAnswered:
    """A 2xx came and its ACK is on the way. The SDP is the answer to our offer, not judged yet."""

    call_id: str
    at: float
    """Monotonic seconds."""
    code: int
    reason: str
    sdp: bytes | None
    """None when neither the 2xx nor a provisional response of the same dialog had one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaChanged:
    """The callee changed the media of an answered call, or held or resumed it; the SIP core has agreed."""

    call_id: str
    at: float
    """Monotonic seconds."""
    media: MediaPlan
    """What counts from now on; nothing is to be sent while it is `held`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallFailed:
    """The call ended without having been answered."""

    call_id: str
    at: float
    """Monotonic seconds."""
    kind: FailureKind
    code: int | None
    """Final code of the INVITE; None when none came. After a cancel it may be 487, another final or even a 2xx."""
    reason: str | None
    """Reason phrase of that response."""
    cancelled: bool
    """We wanted to cancel before the call ended: `kind` is then ring_timeout or cancelled."""
    saw_18x: bool
    """A 180 to 189 came: the phone rang."""
    reason_cause: int | None
    """Q.850 cause of the Reason header (RFC 3326), None without."""
    retry_after_s: float | None
    """Retry-After of the final response, None without."""
    message: str | None
    """One sentence for a person where the code does not explain itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallEnded:
    """An answered call is over: the callee's BYE was answered, or ours was sent (RFC 3261 section 15.1.1)."""

    call_id: str
    at: float
    """Monotonic seconds."""
    by: EndedBy
    reason_cause: int | None
    """Q.850 cause of the BYE's Reason header, None without."""


Event = CallProgress | CallAnswered | MediaChanged | CallFailed | CallEnded
