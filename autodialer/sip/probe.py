"""OPTIONS outside a dialog (RFC 3261 section 11): whether a server answers, how fast, and as what it sees us."""

from collections.abc import Callable
from dataclasses import dataclass

from autodialer.sip.events import ProbeEnded
from autodialer.sip.hop import Hop
from autodialer.sip.invite import new_call_id
from autodialer.sip.message import Response
from autodialer.sip.outgoing import OutgoingRequest
from autodialer.sip.stack import Stack
from autodialer.sip.transaction import ClientTransaction, NonInviteClient


@dataclass(frozen=True, kw_only=True)
class ProbeRequest:
    """One OPTIONS to send."""

    hop: Hop
    target: str
    """SIP URI of the provider, without a user."""
    from_uri: str
    route: tuple[str, ...] = ()
    """URIs of the outbound proxy, first hop first."""
    give_up_s: float = 32.0
    """How long to wait for the answer."""


class Probe:
    """One OPTIONS and its answer: exactly one ProbeEnded."""

    def __init__(self, stack: Stack, request: ProbeRequest, emit: Callable[[ProbeEnded], None]) -> None:
        self._stack = stack
        self._request = request
        self._emit = emit
        self._started = 0.0
        self._ended = False
        self.call_id = new_call_id()

    def start(self, now: float) -> None:
        """Send it."""
        request, stack = self._request, self._stack
        branch = stack.new_branch()
        outgoing = OutgoingRequest(
            method="OPTIONS",
            uri=request.target,
            hop=request.hop,
            branch=branch,
            via=stack.via(branch, request.hop),
            routes=tuple(f"Route: <{uri}>" for uri in request.route),
            from_=f"From: <{request.from_uri}>;tag={stack.token()}",
            to=f"To: <{request.target}>",
            call_id=self.call_id,
            cseq=1,
            lines=(stack.contact("", request.hop), "Accept: application/sdp", f"User-Agent: {stack.config.user_agent}"),
        )
        self._started = now
        stack.timers.start(now + request.give_up_s, lambda later: self._end(later, None, "silence"))
        NonInviteClient(stack, outgoing, self).begin(now)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """Any final answer will do: even a refusal shows that somebody is there."""
        if response.code >= 200:
            self._end(now, response, "")

    def on_no_response(self, transaction: ClientTransaction, now: float, happening: str) -> None:
        """Silence, or it could not be delivered."""
        self._end(now, None, "silence" if happening == "Timer F" else "unreachable")

    def on_terminated(self, transaction: ClientTransaction, now: float) -> None:
        """Nothing is kept."""

    def _end(self, now: float, response: Response | None, failure: str) -> None:
        if self._ended:
            return
        self._ended = True
        hop = self._request.hop
        known = self._stack.knows_public_address(hop)
        self._emit(
            ProbeEnded(
                probe_id=self.call_id,
                at=now,
                hop=hop,
                code=response.code if response else None,
                reason=response.reason if response else None,
                failure=failure or None,
                message=None if response else self._stack.complaint_of(hop),
                round_trip_s=now - self._started if response else None,
                public_address=self._stack.public_address(hop) if known else None,
            )
        )
