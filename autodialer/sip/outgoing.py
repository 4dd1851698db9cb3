"""Requests of ours, kept in pieces: the ACK and the CANCEL of an INVITE are made from the INVITE's own."""

from dataclasses import dataclass, field, fields

from autodialer.sip.fields import parse_tag
from autodialer.sip.hop import TCP, UDP, Hop
from autodialer.sip.message import build_request

LARGEST_DATAGRAM = 1300
"""Octets: a longer request goes by TCP where the peer takes it (RFC 3261 section 18.1.1)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutgoingRequest:
    """One request as it leaves, byte for byte the same each time."""

    method: str
    uri: str
    hop: Hop
    branch: str
    via: str
    """Complete header line, like those below."""
    routes: tuple[str, ...] = ()
    from_: str
    to: str
    call_id: str
    """The value alone."""
    cseq: int
    lines: tuple[str, ...] = ()
    """The other header lines."""
    body: bytes = b""
    data: bytes = field(init=False, default=b"", repr=False)
    """The message on the wire."""

    def __post_init__(self) -> None:
        head = (
            self.via,
            *self.routes,
            "Max-Forwards: 70",
            self.from_,
            self.to,
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.cseq} {self.method}",
            *self.lines,
        )
        object.__setattr__(self, "data", build_request(self.method, self.uri, head, self.body, "application/sdp"))

    @property
    def from_tag(self) -> str | None:
        """Our tag."""
        return parse_tag(self.from_)

    @property
    def too_long(self) -> bool:
        """Whether this should not leave as a datagram."""
        return len(self.data) > LARGEST_DATAGRAM and self.hop.transport == UDP

    def over_tcp(self) -> "OutgoingRequest":
        """The same request for the same host by TCP."""
        # All else stays, the branch too: a peer that gets it by TCP and then by UDP has one request, not two.
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.init}
        values["via"] = self.via.replace(f"SIP/2.0/{UDP} ", f"SIP/2.0/{TCP} ", 1)
        values["hop"] = self.hop._replace(transport=TCP)
        return OutgoingRequest(**values)

    def ack_for(self, to: str) -> bytes:
        """ACK to a final response other than 2xx, whose To value is `to` (RFC 3261 section 17.1.1.3)."""
        return self._same_hop("ACK", f"To: {to}").data

    def cancel(self, lines: tuple[str, ...] = ()) -> "OutgoingRequest":
        """The CANCEL of this INVITE (RFC 3261 section 9.1)."""
        # Without credentials: no server may challenge a CANCEL, which cannot be sent again (RFC 3261 section 22.1).
        return self._same_hop("CANCEL", self.to, lines)

    def _same_hop(self, method: str, to: str, lines: tuple[str, ...] = ()) -> "OutgoingRequest":
        return OutgoingRequest(
            method=method,
            uri=self.uri,
            hop=self.hop,
            branch=self.branch,
            via=self.via,
            routes=self.routes,
            from_=self.from_,
            to=to,
            call_id=self.call_id,
            cseq=self.cseq,
            lines=lines,
        )
