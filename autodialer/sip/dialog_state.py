"""What the requests of a dialog are made of (RFC 3261 section 12.1.2), as a value that outlives the process."""

import json
from dataclasses import dataclass
from typing import Self

from autodialer.sip.fields import parse_name_addr, parse_uri, without_headers
from autodialer.sip.hop import TLS, Hop
from autodialer.sip.message import Message, Response
from autodialer.sip.outgoing import OutgoingRequest
from autodialer.sip.stack import Stack, hop_of


@dataclass(frozen=True, kw_only=True, slots=True)
class DialogState:
    """A dialog at one moment."""

    call_id: str
    from_: str
    """Our From header line with our tag."""
    to: str
    """The peer's To header line with its tag."""
    cseq: int
    """Of our last request."""
    target: str
    """Remote target: the URI of the peer's Contact."""
    route_set: tuple[str, ...]
    """As Route headers name it, first hop first."""
    flow: Hop
    """Where the INVITE went: the peer that knows our Contact."""
    by_flow: bool = False
    """The peer gave neither a usable Contact nor a Route: requests take the way of the INVITE, which worked."""
    found: Hop | None = None
    """Where the host name of the first hop leads; None: it has none, or nobody knows yet."""

    def packed(self) -> str:
        """As text, for the store."""
        # Not `astuple`, which copies every value deeply: this is done at each answer.
        parts = (self.call_id, self.from_, self.to, self.cseq, self.target, self.route_set, self.flow)
        return json.dumps((*parts, self.by_flow, self.found))

    @classmethod
    def unpack(cls, text: str) -> Self:
        """Back from text. Raises ValueError for what `packed` did not write."""
        try:
            # An older dialer wrote seven parts.
            call_id, from_, to, cseq, target, route_set, flow, *more = json.loads(text)
            by_flow, found = more or (False, None)
            return cls(
                call_id=call_id,
                from_=from_,
                to=to,
                cseq=int(cseq),
                target=target,
                route_set=tuple(route_set),
                flow=Hop(*flow),
                by_flow=by_flow,
                found=Hop(*found) if found else None,
            )
        except TypeError as exc:
            raise ValueError("this is no dialog") from exc

    @classmethod
    def of_answer(cls, response: Response, source: Hop) -> Self | None:
        """The dialog that a 2xx from `source` describes, when its INVITE is forgotten; None: it says too little."""
        target, route_set = target_of(response), route_set_of(response)
        called = parse_name_addr(response.headers["to"][0])
        if called is None or not _may_be_request_uri(called.uri):
            return None
        return cls(
            call_id=response.call_id,
            from_=f"From: {response.headers['from'][0]}",
            to=f"To: {response.headers['to'][0]}",
            cseq=response.cseq,
            target=target or without_headers(called.uri),
            route_set=route_set,
            flow=source,
            by_flow=target is None and not route_set,
        )

    def request(
        self, stack: Stack, method: str, cseq: int, lines: tuple[str, ...] = (), body: bytes = b""
    ) -> OutgoingRequest:
        """A request within the dialog (RFC 3261 section 12.2.1.1), on a branch of its own."""
        uri, routes, hop = self.routing()
        branch = stack.new_branch()
        return OutgoingRequest(
            method=method,
            uri=uri,
            hop=hop,
            branch=branch,
            via=stack.via(branch, hop),
            routes=routes,
            from_=self.from_,
            to=self.to,
            call_id=self.call_id,
            cseq=cseq,
            lines=lines,
            body=body,
        )

    def routing(self) -> tuple[str, tuple[str, ...], Hop]:
        """Request-URI, Route header lines and the hop where a request goes."""
        if self.by_flow:
            return self.target, tuple(f"Route: {route}" for route in self.route_set), self.flow
        if not self.route_set:
            return self.target, (), self._hop(self.target)
        first = parse_name_addr(self.route_set[0])
        # A Record-Route that cannot be read: the gateway that took the INVITE knows the way.
        if first is None:
            return self.target, (), self.flow
        hop = self._hop(first.uri)
        parts = parse_uri(first.uri)
        if parts is None or "lr" in parts.params:
            return self.target, tuple(f"Route: {route}" for route in self.route_set), hop
        # RFC 3261 section 12.2.1.1: a strict router finds its own URI in the request line and the target in the last
        # Route.
        routes = (*self.route_set[1:], f"<{self.target}>")
        return without_headers(first.uri), tuple(f"Route: {route}" for route in routes), hop

    @property
    def first_hop(self) -> str | None:
        """The URI that says where requests go; None where they take the way of the INVITE."""
        if self.by_flow:
            return None
        first = parse_name_addr(self.route_set[0]) if self.route_set else None
        return first.uri if first is not None else None if self.route_set else self.target

    def _hop(self, uri: str) -> Hop:
        """Where a request for `uri` goes; what began on TLS stays on it, whatever a Contact or Route says."""
        # Until a host name is found, and where it cannot be, the gateway that took the INVITE is asked to forward.
        flow, hop = self.flow, hop_of(uri) or self.found
        if hop is None or (flow.transport == TLS and hop.transport != TLS):
            return flow
        # The URI names the place of the INVITE and no transport: that of the INVITE worked there; UDP, the default, may
        # not.
        unnamed = "transport=" not in uri.lower()
        return flow if unnamed and hop.address == flow.address else hop


def route_set_of(response: Response) -> tuple[str, ...]:
    """The Route set that a response gives its caller (RFC 3261 section 12.1.2)."""
    return tuple(reversed(response.get_all("record-route")))


def target_of(message: Message) -> str | None:
    """The remote target in a message's Contact; None without a Contact that may become a Request-URI."""
    contacts = message.get_all("contact")
    contact = parse_name_addr(contacts[0]) if contacts else None
    return without_headers(contact.uri) if contact is not None and _may_be_request_uri(contact.uri) else None


def _may_be_request_uri(uri: str) -> bool:
    # Characters outside visible ASCII must have been escaped.
    return uri.isascii() and uri.isprintable() and parse_uri(uri) is not None
