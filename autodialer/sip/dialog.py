"""Dialogs (RFC 3261 section 12) as the caller sees them: tags, CSeq numbers, Route set, remote target."""

from autodialer.sip.fields import parse_name_addr, parse_uri, without_headers
from autodialer.sip.hop import TLS, Hop
from autodialer.sip.message import Message, Request, Response
from autodialer.sip.outgoing import OutgoingRequest
from autodialer.sip.stack import Stack, hop_of


class Dialog:
    """The peer-to-peer relation that a response to our INVITE made: one for each To tag."""

    def __init__(self, stack: Stack, invite: OutgoingRequest, response: Response) -> None:
        self._stack = stack
        self._invite = invite
        self.remote_tag = response.to_tag or ""
        self.local_cseq = invite.cseq
        self.remote_cseq: int | None = None
        """Of the last request from the peer, None before the first."""
        self.target = invite.uri
        """Remote target: the URI of the peer's Contact."""
        self.confirmed = False
        """A 2xx came."""
        self.allowed: frozenset[str] = frozenset()
        """Methods in the peer's last Allow."""
        self.answer: bytes | None = None
        """Session description that a reliable provisional response, or an UPDATE after it, settled."""
        self.peer_hung_up = False
        """The peer's BYE came."""
        self.refresh(response)

    def refresh(self, response: Response) -> None:
        """Take To, Route set and remote target from a response that makes or confirms this dialog.

        A 2xx replaces what a provisional response said (RFC 3261 section 13.2.2.4).
        """
        self._to = f"To: {response.headers['to'][0]}"
        self.route_set = tuple(reversed(response.get_all("record-route")))
        self.confirmed = self.confirmed or response.code >= 200
        self.allowed = frozenset(response.get_all("allow")) or self.allowed
        self.retarget(response)

    def retarget(self, message: Message) -> None:
        """Take a new remote target from the Contact (RFC 3261 section 12.2)."""
        contacts = message.get_all("contact")
        contact = parse_name_addr(contacts[0]) if contacts else None
        if contact is not None and _is_usable(contact.uri):
            self.target = without_headers(contact.uri)

    def accept_cseq(self, request: Request) -> bool:
        """Whether the peer's request is in order (RFC 3261 section 12.2.2)."""
        if self.remote_cseq is not None and request.cseq < self.remote_cseq:
            return False
        self.remote_cseq = request.cseq
        return True

    def next_cseq(self) -> int:
        """The number of our next request."""
        self.local_cseq += 1
        return self.local_cseq

    @property
    def flow(self) -> Hop:
        """Where the INVITE went: the peer that knows our Contact."""
        return self._invite.hop

    @property
    def request_uri(self) -> str:
        """Request-URI of our requests: the remote target, or the first hop when that routes strictly."""
        return self._routing()[0]

    @property
    def next_hop(self) -> Hop:
        """Where our requests go."""
        return self._routing()[2]

    def request(self, method: str, cseq: int, lines: tuple[str, ...] = (), body: bytes = b"") -> OutgoingRequest:
        """A request within the dialog (RFC 3261 section 12.2.1.1), on a branch of its own."""
        uri, routes, hop = self._routing()
        branch = self._stack.new_branch()
        return OutgoingRequest(
            method=method,
            uri=uri,
            hop=hop,
            branch=branch,
            via=self._stack.via(branch, hop),
            routes=routes,
            from_=self._invite.from_,
            to=self._to,
            call_id=self._invite.call_id,
            cseq=cseq,
            lines=lines,
            body=body,
        )

    def _routing(self) -> tuple[str, tuple[str, ...], Hop]:
        """Request-URI, Route header lines and the hop where the request goes."""
        # A host name in Contact or Route would need a look-up: the gateway that took the INVITE is asked to forward.
        if not self.route_set:
            return self.target, (), self._hop(self.target)
        first = parse_name_addr(self.route_set[0])
        if first is None:
            return self.target, (), self._invite.hop
        hop = self._hop(first.uri)
        parts = parse_uri(first.uri)
        if parts is None or "lr" in parts.params:
            return self.target, tuple(f"Route: {route}" for route in self.route_set), hop
        routes = (*self.route_set[1:], f"<{self.target}>")
        return without_headers(first.uri), tuple(f"Route: {route}" for route in routes), hop

    def _hop(self, uri: str) -> Hop:
        """Where a request for `uri` goes; what began on TLS stays on it, whatever a Contact or Route says."""
        flow, hop = self._invite.hop, hop_of(uri)
        if hop is None or (flow.transport == TLS and hop.transport != TLS):
            return flow
        unnamed = "transport=" not in uri.lower()
        return flow if unnamed and hop.address == flow.address else hop


def _is_usable(uri: str) -> bool:
    """Whether this may become a Request-URI: what is no visible ASCII must have been escaped."""
    return uri.isascii() and uri.isprintable() and parse_uri(uri) is not None
