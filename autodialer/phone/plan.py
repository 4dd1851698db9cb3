"""What a call is to the dialer: what is asked of a phone, and what it reports back."""

from dataclasses import dataclass, field
from enum import StrEnum

from autodialer.model import CallOutcome, DigitTime
from autodialer.sip.dialog_state import DialogState
from autodialer.sip.events import TransferEnd
from autodialer.sip.hop import UDP
from autodialer.sip.left_invite import LeftInvite
from autodialer.sip.nonces import Nonces
from autodialer.sip.shell import TlsSettings

Address = tuple[str, int]

LATCHES_MS = 100
"""Five packets: a gateway that sends to where ours come from looks at four of them first (Asterisk's `strictrtp`), and
lets nobody hear them."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """What a trunk says about who we are, beyond pyVoIP's own constructor parameters."""

    domain: str
    """Host part of From, To and Request-URI."""
    auth_username: str
    """User name for digest."""
    caller_id: str
    """User part of From."""
    codecs: tuple[str, ...] = ("PCMA", "PCMU")
    """Order in which they are offered."""
    transport: str = UDP
    """UDP, TCP or TLS."""
    tls: TlsSettings | None = None
    """The server's name and the issuers to trust; required for TLS."""
    register: bool = False
    """The provider wants us to register; no call leaves before that."""
    outbound_proxy: str | None = None
    """SIP URI of the proxy that everything goes through, `lr` included; None: straight to the provider."""
    several_proxies: bool = False
    """Another proxy takes over while that one is down; each is asked by its own address."""
    caller_id_header: str = "from"
    """Where the caller ID stands: from, or another header (see `sip_client`); From names the account then."""
    extra_headers: tuple[tuple[str, str], ...] = ()
    """Of every INVITE, name and value."""
    stun_server: Address | None = None
    """Asked under which addresses we are seen outside; None: the provider's own word has to do."""
    shared_media_port: bool = False
    """All calls of a phone use one RTP port and are told apart by where they go, instead of a port each."""
    media_encryption: str = "none"
    """none, preferred or required: whether RTP and RTCP are encrypted (SRTP)."""
    symmetric_rtp: bool = True
    """Send RTP to where the callee's comes from, if that is elsewhere than it says."""
    strict_source: bool = True
    """Take SIP of a call only from the hosts that it goes through, as far as they are known."""
    nonces: Nonces = field(default_factory=Nonces, repr=False, compare=False)
    """What the provider's servers were told: the same for all phones of the trunk."""

    @property
    def route(self) -> tuple[str, ...]:
        """The Route set that requests start with."""
        return (self.outbound_proxy,) if self.outbound_proxy else ()


@dataclass(frozen=True, kw_only=True)
class CallPlan:
    """What a call is for."""

    reference: object = None
    """Whatever the owner knows the call by; handed back with every event."""
    sound_stem: str | None = None
    """Path of the encoded sound without .alaw or .ulaw; None: play nothing, stay up until hung up."""
    sound_s: float = 0.0
    """Length of the sound."""
    lead_in_ms: int | None = None
    """Silence between the answer and the sound; None: LATCHES_MS behind a NAT, else none."""
    key_wait_s: float = 0.0
    """How long the callee may still press a key after the sound; then BYE."""
    ring_timeout_s: float = 40.0
    """From the first 18x, or from the first other 1xx as long as no 18x comes; then CANCEL."""
    max_call_s: float = 600.0
    """From the answer; then BYE."""
    caller_id: str | None = None
    """None: the trunk's."""
    survives_failed_transfer: bool = True
    """After a failed transfer the sound goes on; else we hang up."""
    keeps_dialog: bool = False
    """The owner writes down what ends the call, and has the answer acknowledged then; see `CallEvent.dialog`."""


class Progress(StrEnum):
    """What a call that is under way has met."""

    HEARD = "heard"
    """The gateway sent any response."""
    RANG = "rang"
    """An 18x or a 2xx came: the call got through to the callee."""


@dataclass(frozen=True, kw_only=True)
class Transferred:
    """How a transfer that was asked for ended."""

    how: TransferEnd
    code: int | None
    """Last SIP status heard of it, None without."""


@dataclass(frozen=True, kw_only=True)
class CallEvent:
    """One thing that a phone tells of a call: progress, a key, the end of a transfer; at last, exactly once, its
    outcome or why nothing left."""

    reference: object
    progress: Progress | None = None
    pressed: DigitTime | None = None
    """The callee pressed a key."""
    transferred: Transferred | None = None
    outcome: CallOutcome | None = None
    dialog: DialogState | LeftInvite | None = None
    """What ends the call when this process no longer can: told when its INVITE is heard of, when it is answered, and
    when it has moved."""
    unstarted: str | None = None
    """Why nothing has left this machine; the number has not been called. Nothing more follows."""


@dataclass(frozen=True, kw_only=True)
class CutOffCall:
    """A call of a dead dialer of which nothing but its claim is known."""

    call_id: str
    number: str
    """As it is dialled."""
    caller_id: str | None
    """None: the trunk's."""
