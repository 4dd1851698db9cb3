"""One question to a server outside a dialog, whose answer tells whether it is there, how fast, and as what it sees us.

OPTIONS (RFC 3261 section 11), or REGISTER without a Contact, which only asks what is registered (section 10.2.3).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from autodialer.sip.auth import Authenticator
from autodialer.sip.events import ProbeEnded
from autodialer.sip.hop import Hop
from autodialer.sip.invite import new_call_id
from autodialer.sip.message import Response
from autodialer.sip.outgoing import OutgoingRequest
from autodialer.sip.stack import Stack
from autodialer.sip.transaction import ClientTransaction, NonInviteClient


@dataclass(frozen=True, kw_only=True)
class ProbeRequest:
    """What to ask."""

    hop: Hop
    method: str = "OPTIONS"
    """OPTIONS or REGISTER."""
    target: str
    """SIP URI of the provider, without a user: the Request-URI."""
    from_uri: str
    """SIP URI of the account; REGISTER asks for its bindings."""
    route: tuple[str, ...] = ()
    """URIs of the outbound proxy, first hop first."""
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    """User name and password for 401 and 407; None: such an answer is the end."""
    give_up_s: float = 32.0
    """How long to wait for an answer."""


class Probe:
    """One question and its answer: exactly one ProbeEnded."""

    def __init__(self, stack: Stack, request: ProbeRequest, emit: Callable[[ProbeEnded], None]) -> None:
        self._stack = stack
        self._request = request
        self._emit = emit
        self._auth = Authenticator(stack, request.credentials)
        self._tag = stack.token()
        self._cseq = 0
        self._sent_at = 0.0
        self._ended = False
        self.call_id = new_call_id()

    def start(self, now: float) -> None:
        """Send the question; ProbeEnded follows within `give_up_s`."""
        # Beside timer F: a check has less patience, and an answered challenge begins a second transaction.
        self._stack.timers.start(now + self._request.give_up_s, lambda later: self._end(later, None, "silence"))
        self._send(now)

    def _send(self, now: float) -> None:
        request, stack = self._request, self._stack
        branch = stack.new_branch()
        self._cseq += 1
        # The round trip is that of the request that gets the last word, without the challenge before it.
        self._sent_at = now
        asked = request.from_uri if request.method == "REGISTER" else request.target
        contact = (stack.contact("", request.hop),) if request.method == "OPTIONS" else ()
        outgoing = OutgoingRequest(
            method=request.method,
            uri=request.target,
            hop=request.hop,
            branch=branch,
            via=stack.via(branch, request.hop),
            routes=tuple(f"Route: <{uri}>" for uri in request.route),
            from_=f"From: <{request.from_uri}>;tag={self._tag}",
            to=f"To: <{asked}>",
            call_id=self.call_id,
            cseq=self._cseq,
            lines=(
                *contact,
                *self._auth.lines(request.method, request.target, request.hop),
                "Accept: application/sdp",
                f"User-Agent: {stack.config.user_agent}",
            ),
        )
        NonInviteClient(stack, outgoing, self).begin(now)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """Any final answer shows that the peer is there."""
        if response.code < 200:
            return
        if self._request.credentials is not None and self._auth.tries_again(response, transaction.hop):
            self._send(now)
        else:
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
                round_trip_s=now - self._sent_at if response else None,
                public_address=self._stack.public_address(hop) if known else None,
                date=response.get("date") if response else None,
            )
        )
