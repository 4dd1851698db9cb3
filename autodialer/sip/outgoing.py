"""Requests of ours, kept in pieces: the ACK and the CANCEL of an INVITE are made from the INVITE's own."""

from dataclasses import dataclass, field

from autodialer.sip.fields import parse_tag
from autodialer.sip.invite import Address
from autodialer.sip.message import build_request


@dataclass(frozen=True, kw_only=True, slots=True)
class OutgoingRequest:
    """One request as it leaves, byte for byte the same each time."""

    method: str
    uri: str
    hop: Address
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

    def ack_for(self, to: str) -> bytes:
        """ACK to a final response other than 2xx, whose To value is `to` (RFC 3261 section 17.1.1.3)."""
        return self._same_hop("ACK", f"To: {to}").data

    def cancel(self, lines: tuple[str, ...] = ()) -> "OutgoingRequest":
        """The CANCEL of this INVITE (RFC 3261 section 9.1)."""
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
