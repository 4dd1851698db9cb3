"""What the SIP core tells its owner.

Of one call: any number of CallProgress, an InviteHeard for each INVITE, at most one CallAnswered, any number of
DialogMoved, NameWanted, MediaChanged, DigitSignalled and TransferEnded while it is answered, at most one CallBroken at
any time, and exactly one of CallFailed (never answered) or CallEnded (answered, now over).
"""

from dataclasses import dataclass, field
from enum import StrEnum

from autodialer.sip.dialog_state import DialogState
from autodialer.sip.hop import Hop
from autodialer.sip.left_invite import LeftInvite
from autodialer.sip.sdes import SdesOffer
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
    """It could not be delivered: ICMP unreachable, no route, no connection."""
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
    sdes: SdesOffer | None = field(default=None, repr=False)
    """How our offer wanted it encrypted; None: plain."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InviteHeard:
    """An INVITE got its first provisional response: from now on it takes a CANCEL to silence the callee's phone."""

    call_id: str
    at: float
    """Monotonic seconds."""
    invite: LeftInvite


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
    dialog: DialogState | None = None
    """What a BYE would be made of."""
    sdes: SdesOffer | None = field(default=None, repr=False)
    """How the offer that was answered wanted it encrypted; None: plain."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DialogMoved:
    """The callee of an answered call has to be reached elsewhere (RFC 3261 section 12.2: target refresh)."""

    call_id: str
    at: float
    """Monotonic seconds."""
    dialog: DialogState


@dataclass(frozen=True, kw_only=True, slots=True)
class NameWanted:
    """The callee's side is to be reached by a host name, which the owner may look up: `UserAgent.place` takes the hop.

    Without it requests go where the INVITE went.
    """

    call_id: str
    at: float
    """Monotonic seconds."""
    uri: str
    """The URI that names the host; goes back with the answer."""
    host: str
    port: int | None
    """None: the name servers say (RFC 3263)."""
    transport: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaChanged:
    """The callee changed the media of an answered call, or held or resumed it; the SIP core has agreed."""

    call_id: str
    at: float
    """Monotonic seconds."""
    media: MediaPlan
    """What counts from now on; nothing may be sent while it is `held`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DigitSignalled:
    """The callee pressed a key, as an INFO in the answered dialog says."""

    call_id: str
    at: float
    """Monotonic seconds at which the INFO came."""
    digit: str
    """0 to 9, *, # or A to D."""
    duration_s: float
    """How long it was held; gateways send the INFO when it was let go."""


class TransferEnd(StrEnum):
    """How a transfer ended."""

    ACCEPTED = "accepted"
    """The peer says that the transfer's target has answered, or took the transfer and hung up."""
    REFUSED = "refused"
    """The peer would not, or the transfer's target did not answer."""
    TIMEOUT = "timeout"
    """The peer did not say within a minute."""
    UNKNOWN = "unknown"
    """The call, or the peer's word on the transfer, ended before that."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TransferEnded:
    """A transfer that was asked for is over; exactly one each."""

    call_id: str
    at: float
    """Monotonic seconds."""
    how: TransferEnd
    code: int | None
    """Last status heard of it: the response to the REFER, or what a NOTIFY told; None without."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HopFailed:
    """A server of the provider was silent, refused with 503 or could not be reached; the call may go on elsewhere."""

    call_id: str
    at: float
    """Monotonic seconds."""
    hop: Hop
    retry_after_s: float | None
    """How long it asked to be left alone, None when it did not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallBroken:
    """An error of ours in this call, which is logged. The call is hung up: CallFailed or CallEnded follows."""

    call_id: str
    at: float
    """Monotonic seconds."""


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
    explanations: tuple[str, ...] = ()
    """Header lines of that response that say more on why."""
    message: str | None
    """One sentence for a person where the code does not explain itself."""


def cancelled_unsent(call_id: str, at: float, message: str) -> CallFailed:
    """The end of a call that was cancelled before its INVITE left."""
    return CallFailed(
        call_id=call_id,
        at=at,
        kind=FailureKind.CANCELLED,
        code=None,
        reason=None,
        cancelled=True,
        saw_18x=False,
        reason_cause=None,
        retry_after_s=None,
        message=message,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class CallEnded:
    """An answered call is over: the callee's BYE was answered, or ours was sent (RFC 3261 section 15.1.1)."""

    call_id: str
    at: float
    """Monotonic seconds."""
    by: EndedBy
    reason_cause: int | None
    """Q.850 cause of the BYE's Reason header, None without."""
    message: str | None = None
    """Why we hung up, a sentence for a person; None when the callee did, or the owner gave no reason."""


class RegistrationStanding(StrEnum):
    """How a registration stands."""

    OFF = "off"
    """Not wanted, or taken back."""
    REGISTERING = "registering"
    """The first answer has not come."""
    REGISTERED = "registered"
    """The registrar knows us."""
    FAILED = "failed"
    """It does not; another try follows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistrationChanged:
    """The registration stands otherwise than before."""

    at: float
    """Monotonic seconds."""
    standing: RegistrationStanding
    code: int | None
    """Of the response that made it fail, None without."""
    message: str | None
    """Why it failed, or why its refresh did; a sentence for a person."""
    service_route: tuple[str, ...]
    """URIs that calls take on their way out (RFC 3608)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AddressDiscovered:
    """What a STUN server says our SIP address is: told once, and again when that changes."""

    at: float
    """Monotonic seconds."""
    address: tuple[str, int] | None
    """None: the server is silent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeEnded:
    """An OPTIONS outside a dialog was answered, or not."""

    probe_id: str
    """As `probe` returned it."""
    at: float
    """Monotonic seconds."""
    hop: Hop
    code: int | None
    """Any final code shows that the peer is there; None without an answer."""
    reason: str | None
    failure: str | None
    """silence or unreachable; None when an answer came."""
    message: str | None
    """Why it could not be delivered, where the system says so; a sentence for a person."""
    round_trip_s: float | None
    public_address: tuple[str, int] | None
    """Our address as the server sees it, None when it does not say."""
    date: str | None = None
    """The Date header (RFC 3261 section 20.17) as it came; None: the answer has none, or there is no answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FarewellEnded:
    """What ends a call that an earlier process left up, BYE or CANCEL, was answered, or was not."""

    call_id: str
    at: float
    """Monotonic seconds."""
    code: int | None
    """Any final code to a BYE ends the dialog (RFC 3261 section 15.1.1); None without an answer."""
    message: str
    """How it went, for the log."""
    method: str = "BYE"
    """BYE or CANCEL."""


WhileAnswered = DialogMoved | NameWanted | MediaChanged | DigitSignalled | TransferEnded
OfCall = CallProgress | InviteHeard | CallAnswered | WhileAnswered | HopFailed | CallBroken | CallFailed | CallEnded
"""What is told of one call."""
Event = OfCall | RegistrationChanged | AddressDiscovered | ProbeEnded | FarewellEnded
