"""What the owner of the SIP core asks for: one outbound call. Checked here: no text of a user can become a header."""

import uuid
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote

from autodialer.errors import Invalid
from autodialer.sip.addresses import in_uri, is_address
from autodialer.sip.fields import TOKEN
from autodialer.sip.hop import DEFAULT_PORTS, Hop
from autodialer.sip.sdes import SdesOffer

Address = tuple[str, int]
"""IP address, an IPv6 one without brackets, and port."""

_USER_MARKS = "-_.!~*'()&=+$,;?/"
"""What the user part of a URI holds unescaped, beside letters and digits."""
_OWN_HEADERS = frozenset(
    (
        *("allow", "authorization", "call-id", "contact", "content-length", "content-type", "cseq", "from"),
        *("max-forwards", "min-se", "proxy-authorization", "record-route", "require", "route", "session-expires"),
        *("supported", "to", "user-agent", "via"),
    )
)


def new_call_id() -> str:
    """A Call-ID that no other call has or had, not even before a restart."""
    return str(uuid.uuid4())


@lru_cache(maxsize=1024)
def sip_uri(user: str, host: str, port: int | None = None) -> str:
    """A SIP URI whose user part is escaped as RFC 3261 section 25.1 asks: `#` becomes %23."""
    name = f"{quote(user, safe=_USER_MARKS)}@" if user else ""
    return f"sip:{name}{in_uri(host)}" if port is None else f"sip:{name}{in_uri(host)}:{port}"


@dataclass(frozen=True, kw_only=True, slots=True)
class InviteRequest:
    """One call to make. Raises Invalid when a value could not stand in a SIP message."""

    target: str
    """SIP URI that is called: the Request-URI and the To header. `sip_uri` makes one."""
    from_uri: str
    """SIP URI of the From header."""
    from_display: str = ""
    """Display name of the From header; any text without control characters."""
    contact_user: str = ""
    """User part of our Contact, not escaped."""
    next_hop: Hop
    """Where the INVITE goes; a pair of address and port means UDP."""
    alternatives: tuple[Hop, ...] = ()
    """Where it goes next, in order, when a hop is silent, unreachable or refuses with 503 (RFC 3263 section 4.3)."""
    route: tuple[str, ...] = ()
    """URIs of a preloaded Route set (outbound proxy), first hop first."""
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    """User name and password for 401 and 407, None when there are none."""
    sdp: bytes = field(repr=False)
    """The offer."""
    sdes: SdesOffer | None = field(default=None, repr=False)
    """How the offer wants its media encrypted; None: plain."""
    plain_sdp: bytes = b""
    """The offer that is made next to a peer that refuses an encrypted one; empty: none."""
    ring_timeout_s: float = 40.0
    """From the first 18x, or from the first other 1xx as long as no 18x comes."""
    headers: tuple[tuple[str, str], ...] = ()
    """More headers of the INVITE, name and value."""
    ack_within_s: float = 0.0
    """How long the ACK to the 2xx may wait for the owner's `acknowledge`; 0: it leaves at once."""
    call_id: str = field(default_factory=new_call_id)
    """Given to `invite`, named in every event."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "next_hop", Hop(*self.next_hop))
        for hop in (self.next_hop, *self.alternatives):
            if not is_address(hop.host) or not 0 < hop.port < 65536 or hop.transport not in DEFAULT_PORTS:
                raise Invalid("next_hop must be an IP address, a port and a transport", field="next_hop")
        for name in ("target", "from_uri"):
            _check_uri(name, getattr(self, name))
        for uri in self.route:
            _check_uri("route", uri)
        _check_text("from_display", self.from_display)
        _check_text("contact_user", self.contact_user)
        _check_uri("call_id", f"sip:{self.call_id}")
        if self.credentials is not None:
            _check_text("credentials", self.credentials[0])
        for header, value in self.headers:
            if not TOKEN.fullmatch(header) or header.lower() in _OWN_HEADERS:
                raise Invalid(f"the header {header!r} cannot be set", field="headers")
            _check_text("headers", value)


def _check_text(name: str, text: str) -> None:
    if not all(character.isprintable() for character in text):
        raise Invalid(f"{name} must not contain line breaks or control characters", field=name)


def _check_uri(name: str, uri: str) -> None:
    if not (uri.startswith(("sip:", "sips:")) and uri.isascii() and uri.isprintable()) or set(uri) & set(' <>",'):
        raise Invalid(f"{name} must be a SIP URI", field=name)
