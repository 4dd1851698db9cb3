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
        # The stack writes none of these, and each would change what the INVITE asks for.
        *("content-encoding", "content-disposition", "expires", "proxy-require", "rack", "refer-to", "replaces"),
        # Their compact forms (RFC 3261 section 7.3.3, RFC 4028, RFC 3515).
        *("i", "m", "l", "c", "e", "f", "k", "t", "v", "x", "r"),
    )
)
_IDENTITY_HEADERS = frozenset(("p-asserted-identity", "p-preferred-identity", "remote-party-id"))
LONGEST_HEADER = 1024
"""Characters of a value; an Identity (RFC 8224) takes 600."""


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
    route_names_hop: bool = False
    """There are several proxies: the first URI of `route` becomes the address of the proxy that is asked."""
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
        # The class is frozen, and a plain pair is taken for a Hop.
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
        # What cannot break a URI cannot break a Call-ID either.
        _check_uri("call_id", f"sip:{self.call_id}")
        if self.credentials is not None:
            _check_text("credentials", self.credentials[0])
        for header, value in self.headers:
            check_header(header, value, field_name="headers")


def check_header(name: str, value: str, *, field_name: str) -> None:
    """Raises Invalid for a header that the stack writes itself, and for what could not stand on a line of its own."""
    if not TOKEN.fullmatch(name):
        raise Invalid(f"{field_name}: {name!r} is no name of a header.", field=field_name)
    if name.lower() in _OWN_HEADERS:
        raise Invalid(f"{field_name}: {name} is written by the dialer itself and cannot be set.", field=field_name)
    if len(value) > LONGEST_HEADER:
        raise Invalid(f"{field_name}: {name} has more than {LONGEST_HEADER} characters.", field=field_name)
    if not value.strip():
        raise Invalid(f"{field_name}: {name} has no value.", field=field_name)
    _check_text(field_name, value)


def extra_header(line: str) -> tuple[str, str]:
    """Name and value of a line that a user wants in every INVITE. Raises Invalid that names it."""
    name, colon, value = line.partition(":")
    name, value = name.strip(), value.strip()
    if not colon:
        raise Invalid(f"extra_headers: write {line[:80]!r} as `Name: value`.", field="extra_headers")
    check_header(name, value, field_name="extra_headers")
    if name.lower() in _IDENTITY_HEADERS:
        raise Invalid(f"extra_headers: {name} holds the caller ID; set caller_id_header.", field="extra_headers")
    return name, value


def _check_text(name: str, text: str) -> None:
    if not all(character.isprintable() for character in text):
        raise Invalid(f"{name} must not contain line breaks or control characters", field=name)


def _check_uri(name: str, uri: str) -> None:
    if not (uri.startswith(("sip:", "sips:")) and uri.isascii() and uri.isprintable()) or set(uri) & set(' <>",'):
        raise Invalid(f"{name} must be a SIP URI", field=name)
