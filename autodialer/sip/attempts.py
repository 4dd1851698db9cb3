"""The INVITEs of one call: each differs from the one before in credentials, offer, session interval or next hop."""

import dataclasses
import hashlib
from collections.abc import Iterator

from autodialer.sip.auth import Authenticator
from autodialer.sip.capabilities import ALLOW, SUPPORTED
from autodialer.sip.fields import quote
from autodialer.sip.hop import Hop, routes_over
from autodialer.sip.invite import InviteRequest
from autodialer.sip.message import Response
from autodialer.sip.outgoing import OutgoingRequest
from autodialer.sip.session_timer import min_se
from autodialer.sip.stack import MAGIC_COOKIE, Stack

MOST_TRIES = 3
"""CSeq numbers that nearly all calls stay within: a challenge, and a longer session interval or another server."""
_MIN_SE_TRIES = 3
"""INVITEs sent again because the session interval was too short; a gateway may want a longer one each time."""


class Attempts:
    """Writes the INVITEs of a call, and knows whether another one is of use."""

    def __init__(self, stack: Stack, request: InviteRequest, auth: Authenticator) -> None:
        self._stack = stack
        self._request = request
        self._auth = auth
        self.local_tag = _derived(request.call_id, "From")
        display = f"{quote(request.from_display)} " if request.from_display else ""
        self._from = f"From: {display}<{request.from_uri}>;tag={self.local_tag}"
        self._intervals: list[int] = []
        """Session intervals asked for in a 422, seconds."""
        self._hops = [request.next_hop, *request.alternatives]
        self.cseq = 0
        """Of the last INVITE."""

    @property
    def hop(self) -> Hop:
        """The server that is asked now."""
        return self._hops[0]

    def next_invite(self, after_cseq: int = 0) -> OutgoingRequest:
        """The next INVITE, its CSeq above `after_cseq` and above those of the INVITEs before."""
        self.cseq = max(self.cseq, after_cseq) + 1
        return self._invite(self.cseq, self.hop)

    def possible_invites(self) -> Iterator[OutgoingRequest]:
        """The INVITEs that an earlier process may have sent for this call, to be cancelled."""
        for hop in self._hops:
            for cseq in range(1, MOST_TRIES + 1):
                yield self._invite(cseq, hop)

    def _invite(self, cseq: int, hop: Hop) -> OutgoingRequest:
        request, stack = self._request, self._stack
        branch = MAGIC_COOKIE + _derived(request.call_id, f"{cseq} INVITE")
        return OutgoingRequest(
            method="INVITE",
            uri=request.target,
            hop=hop,
            branch=branch,
            via=stack.via(branch, hop),
            routes=routes_over(hop, request.route, names_hop=request.route_names_hop),
            from_=self._from,
            to=f"To: <{request.target}>",
            call_id=request.call_id,
            cseq=cseq,
            lines=(
                stack.contact(request.contact_user, hop),
                *self._auth.lines("INVITE", request.target, hop),
                *(f"{name}: {value}" for name, value in request.headers),
                *self._interval_lines(),
                SUPPORTED,
                ALLOW,
                f"User-Agent: {stack.config.user_agent}",
            ),
            body=request.sdp,
        )

    def _interval_lines(self) -> tuple[str, ...]:
        return tuple(f"{name}: {self._intervals[-1]}" for name in ("Session-Expires", "Min-SE") if self._intervals)

    def ask_for_longer(self, response: Response) -> bool:
        """Take the interval that a 422 asks for; False: another INVITE would not help (RFC 4028 section 7.4)."""
        wanted = min_se(response) or 0
        # An interval that is no longer than the last one would be refused again.
        if wanted <= max(self._intervals, default=0) or len(self._intervals) == _MIN_SE_TRIES:
            return False
        self._intervals.append(wanted)
        return True

    def offer_plain(self) -> InviteRequest | None:
        """The request with its plain offer instead of the encrypted one; None: there is no other offer."""
        request = self._request
        if not request.plain_sdp:
            return None
        self._request = dataclasses.replace(request, sdp=request.plain_sdp, plain_sdp=b"", sdes=None)
        # The peer may challenge this INVITE as well, which does not mean that the password is wrong.
        self._auth.start_request()
        return self._request

    def take_next_hop(self) -> bool:
        """Go on to the next of the provider's servers; False: no server is left (RFC 3263 section 4.3)."""
        if len(self._hops) == 1:
            return False
        del self._hops[0]
        # Another server sets its own challenges: tries at the first server do not count.
        self._auth.start_request()
        return True


def _derived(call_id: str, what: str) -> str:
    """A word for a tag or a branch that the process after a dead one finds again.

    It is as hard to guess as the Call-ID, which has 74 random bits and stands in the same messages.
    """
    return hashlib.sha256(f"{call_id} {what}".encode()).hexdigest()[:16]
