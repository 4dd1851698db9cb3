"""Dialogs (RFC 3261 section 12) as the caller sees them: tags, CSeq numbers, Route set, remote target."""

from dataclasses import replace

from autodialer.sip.addresses import is_address, is_inside
from autodialer.sip.dialog_state import DialogState, route_set_of, target_of
from autodialer.sip.hop import Hop
from autodialer.sip.message import Message, Request, Response
from autodialer.sip.outgoing import OutgoingRequest
from autodialer.sip.stack import Place, Stack, place_of


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
        """Remote target: the URI of the peer's Contact, the INVITE's own until a usable one came."""
        self._has_contact = False
        self._found: dict[str, Hop] = {}
        """The URI of the present first hop -> where its host name leads."""
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
        self.route_set = route_set_of(response)
        self.confirmed = self.confirmed or response.code >= 200
        # RFC 3261 section 20.5: a message without Allow says nothing of the methods.
        self.allowed = frozenset(response.get_all("allow")) or self.allowed
        self.retarget(response)

    def retarget(self, message: Message) -> None:
        """Take a new remote target from the Contact (RFC 3261 section 12.2)."""
        contact = target_of(message)
        self.target, self._has_contact = contact or self.target, self._has_contact or contact is not None

    def accept_cseq(self, request: Request) -> bool:
        """Whether the peer's request is in order (RFC 3261 section 12.2.2)."""
        # Copies have found their transaction before they get here, and gaps are legal: only a lower number is out of
        # order.
        if self.remote_cseq is not None and request.cseq < self.remote_cseq:
            return False
        self.remote_cseq = request.cseq
        return True

    def next_cseq(self) -> int:
        """The number of our next request."""
        self.local_cseq += 1
        return self.local_cseq

    @property
    def state(self) -> DialogState:
        """The dialog as it stands."""
        invite = self._invite
        by_flow = not self._has_contact and not self.route_set
        state = DialogState(
            call_id=invite.call_id,
            from_=invite.from_,
            to=self._to,
            cseq=self.local_cseq,
            target=self.target,
            route_set=tuple(line.partition(": ")[2] for line in invite.routes) if by_flow else self.route_set,
            flow=invite.hop,
            by_flow=by_flow,
        )
        found = self._found.get(state.first_hop or "") if self._found else None
        return state if found is None else replace(state, found=found)

    def unfound(self) -> tuple[str, Place] | None:
        """The URI of the first hop and what it says, where it names a host that has not been found."""
        uri = self.state.first_hop
        place = place_of(uri) if uri is not None and uri not in self._found else None
        if uri is None or place is None or is_address(place.host):
            return None
        return uri, place._replace(transport=place.transport or self.flow.transport)

    def may_come_from(self, host: str) -> bool:
        """Whether `host` is among the hosts that this dialog goes through, as far as they are known.

        Without Record-Route the callee's own host sends to us; behind a NAT, or as long as its name has not been found,
        that may be any.
        """
        if host in (self.flow.host, self.next_hop.host):
            return True
        place = place_of(self.target)
        if place is None or not self._has_contact:
            return False
        if host == place.host:
            return True
        if self.route_set or self.state.found is not None:
            return False
        # A private address in the Contact of a peer with a public one: its requests come from its NAT's address.
        return not is_address(place.host) or (is_inside(place.host) and not is_inside(self.flow.host))

    def place(self, uri: str, hop: Hop) -> bool:
        """The name in `uri` leads to `hop`; whether our requests go elsewhere now."""
        before = self.next_hop
        # The callee may have moved while its name was looked up.
        if uri == self.state.first_hop:
            self._found = {uri: hop}
        return self.next_hop != before

    @property
    def flow(self) -> Hop:
        """Where the INVITE went: the peer that knows our Contact."""
        return self._invite.hop

    @property
    def request_uri(self) -> str:
        """Request-URI of our requests: the remote target, or the first hop when that routes strictly."""
        return self.state.routing()[0]

    @property
    def next_hop(self) -> Hop:
        """Where our requests go."""
        return self.state.routing()[2]

    def request(self, method: str, cseq: int, lines: tuple[str, ...] = (), body: bytes = b"") -> OutgoingRequest:
        """A request within the dialog (RFC 3261 section 12.2.1.1), on a branch of its own."""
        return self.state.request(self._stack, method, cseq, lines, body)
