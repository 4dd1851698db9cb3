"""pyVoIP's SIP client standing on our SIP core: thread, socket, transactions and dialogs are `autodialer.sip`'s."""

import dataclasses
import random
from collections.abc import Callable, Mapping
from typing import Any

from pyVoIP import RTP, SIP

from autodialer.clock import Clock
from autodialer.phone.foreign_caller import ForeignCaller, foreign_caller
from autodialer.phone.plan import Account, Address, CallPlan
from autodialer.phone.pyvoip.sip_message import SipMessage
from autodialer.phone.reach import Reach
from autodialer.sip.events import Event, RegistrationStanding
from autodialer.sip.hop import TCP, Hop
from autodialer.sip.invite import InviteRequest, new_call_id, sip_uri
from autodialer.sip.locate import Targets
from autodialer.sip.sdes import SdesOffer, make_lines
from autodialer.sip.sdp import build_offer
from autodialer.sip.shell import SipLoop
from autodialer.sip.stack import hop_of
from autodialer.sip.trace import Tracer
from autodialer.sip.user_agent import UserAgent

USER_AGENT = "autodialer"
ACK_WITHIN_S = 0.4
"""An ACK waits for the database no longer than this: a gateway repeats its 2xx after 0.5 s."""
_IDENTITY: Mapping[str, Callable[[str], tuple[str, str]]] = {
    "p_asserted_identity": lambda uri: ("P-Asserted-Identity", f"<{uri}>"),
    "p_preferred_identity": lambda uri: ("P-Preferred-Identity", f"<{uri}>"),
    "remote_party_id": lambda uri: ("Remote-Party-ID", f"<{uri}>;party=calling;screen=yes;privacy=off"),
}
"""Where else than in From the caller ID may stand: RFC 3325, and the older draft that many gateways still read."""


class SipClient(SIP.SIPClient):
    """One SIP socket. Methods may be called from any thread; events come in the loop's thread."""

    def __init__(
        self,
        server: str,
        port: int,
        username: str,
        password: str,
        phone: Any,
        myIP: str = "0.0.0.0",
        myPort: int = 5060,
        callCallback: Callable[[SIP.SIPMessage], None] | None = None,
        fatalCallback: Callable[..., None] | None = None,
        *,
        account: Account,
        on_event: Callable[[Event], None],
        targets: Targets | None = None,
        clock: Clock | None = None,
        tracer: Tracer | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        """`targets` are the provider's servers; None: `server` and `port` alone. `on_end`: the loop has ended."""
        super().__init__(server, port, username, password, phone, myIP, myPort, callCallback, fatalCallback)
        self.account = account
        self.myPort: int = myPort
        self._on_event = on_event
        self._tracer = tracer
        self._on_end = on_end
        self.loop: SipLoop | None = None
        self.targets = targets or Targets((Hop(server, port, account.transport),))
        self._credentials = (account.auth_username, password) if password else None
        self.reach = Reach(
            account,
            self.targets,
            contact_user=username or account.caller_id,
            credentials=self._credentials,
            run=self.run,
            clock=clock or Clock(),
        )

    def start(self) -> None:
        """Bind the socket (myPort or the next free one upward) and start the loop."""
        if self.loop:
            raise RuntimeError("Attempted to start already started SIPClient")
        self.loop = SipLoop(
            host=self.myIP,
            port=self.myPort,
            on_event=self._on_event,
            user_agent=USER_AGENT,
            known_hosts=(self.server,),
            # Not for TLS, where a callee's requests come on the connection that we made.
            listen_tcp=self.account.transport == TCP,
            tls=self.account.tls,
            tracer=self._tracer,
            nonces=self.account.nonces,
            strict_source=self.account.strict_source,
            on_end=self._on_end,
        )
        self.myPort = self.loop.local_address[1]
        self.loop.start()
        self.NSD = True
        self.run(self.reach.begin)

    def stop(self, drain_s: float = 2.0) -> None:
        """End every call (CANCEL or BYE), wait at most `drain_s` for the answers, close the socket."""
        self.NSD = False
        if self.loop:
            self.loop.stop(drain_s)

    def register(self) -> bool:
        """Not used: the phone registers by itself where its account says so."""
        return True

    def deregister(self) -> bool:
        """Not used: `stop` takes the registration back."""
        return True

    def prepare(self, number: str, plan: CallPlan, call_id: str) -> InviteRequest:
        """The INVITE for one call, without what `complete` adds. Raises Invalid for text that SIP cannot carry."""
        account = self.account
        caller_id = plan.caller_id or account.caller_id
        identity = sip_uri(caller_id, account.domain)
        in_from = account.caller_id_header == "from"
        return InviteRequest(
            target=sip_uri(number, account.domain),
            # A From that does not name the account is refused by some registrars as if the password were wrong.
            from_uri=identity if in_from else sip_uri(self.username or caller_id, account.domain),
            contact_user=self.username or caller_id,
            next_hop=Hop(self.server, self.port, account.transport),
            credentials=self._credentials,
            sdp=b"",
            ring_timeout_s=plan.ring_timeout_s,
            headers=(
                *(() if in_from else (_IDENTITY[account.caller_id_header](identity),)),
                *account.extra_headers,
            ),
            call_id=call_id,
            ack_within_s=ACK_WITHIN_S if plan.keeps_dialog else 0.0,
        )

    def foreign_caller(self, plan: CallPlan) -> ForeignCaller | None:
        """The caller ID of a call, where the provider may refuse it because it is not the login."""
        return foreign_caller(
            plan.caller_id or self.account.caller_id,
            caller_id_header=self.account.caller_id_header,
            username=self.username,
            auth_username=self.account.auth_username,
            login_proved=self.reach.registration.standing is RegistrationStanding.REGISTERED,
        )

    def complete(self, draft: InviteRequest, media: Address, user_agent: UserAgent, now: float) -> InviteRequest:
        """Add where the call goes and where its sound comes back to: `media` is our RTP address as we know it."""
        hops = self.targets.order(now)
        route = (*self.account.route, *self.reach.service_route)
        if self.reach.service_route and not self.account.route:
            # RFC 3608: calls take the way that the registrar names, by
            # its first host; while that rests, by the usual servers.
            first = hop_of(self.reach.service_route[0])
            if first is not None and not self.targets.rests(first, now):
                hops = (first, *(hop for hop in hops if hop != first))
        host, port = media
        # STUN has said nothing of this port: then the address under
        # which the provider sees our SIP is the best that is known.
        if host == self.myIP:
            host = user_agent.public_address(hops[0])[0]
        codecs, session_id = self.account.codecs, random.getrandbits(53)
        plain = build_offer(host, port, codecs, session_id=session_id)
        whole = dataclasses.replace(
            draft,
            next_hop=hops[0],
            alternatives=hops[1:],
            route=route,
            route_names_hop=self.account.several_proxies,
            sdp=plain,
        )
        if self.account.media_encryption == "none":
            return whole
        # Both offers are made now, so that a second INVITE after a
        # refusal needs no look back here; its session is the same.
        preferred = self.account.media_encryption == "preferred"
        sdes = SdesOffer(lines=make_lines(), plain_too=preferred)
        encrypted = build_offer(host, port, codecs, session_id=session_id, crypto=sdes.lines)
        return dataclasses.replace(whole, sdp=encrypted, sdes=sdes, plain_sdp=plain if preferred else b"")

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User name and password for challenges, None without a password."""
        return self._credentials

    def run(self, fn: Callable[[UserAgent, float], object]) -> bool:
        """Run `fn` with the SIP core and the monotonic time in the loop thread; False when the loop has ended."""
        return self.loop is not None and self.loop.run(fn)

    def run_later(self, delay_s: float, fn: Callable[[], object]) -> None:
        """Run `fn` in the loop thread after a while."""
        if self.loop:
            self.loop.run_later(delay_s, fn)

    def invite(
        self, number: str, ms: Mapping[int, Mapping[int, RTP.PayloadType]], sendtype: RTP.TransmitType
    ) -> tuple[SIP.SIPMessage, str, int]:
        """pyVoIP's own way to call: one media line on the port that is the key of `ms`."""
        draft = self.prepare(number, CallPlan(), new_call_id())
        media = (self.myIP, next(iter(ms)))
        self.run(lambda user_agent, now: user_agent.invite(self.complete(draft, media, user_agent, now), now))
        return self.describe(draft), draft.call_id, random.getrandbits(31)

    def describe(self, invite: InviteRequest) -> SIP.SIPMessage:
        """The INVITE as pyVoIP shows requests."""
        text = (
            f"INVITE {invite.target} SIP/2.0\r\nFrom: <{invite.from_uri}>\r\nTo: <{invite.target}>\r\n"
            f"Call-ID: {invite.call_id}\r\nCSeq: 1 INVITE\r\n"
            f"Contact: <sip:{invite.contact_user}@{self.myIP}:{self.myPort}>"
        )
        return SipMessage(text.encode() + b"\r\n\r\n" + invite.sdp)

    def bye(self, request: SIP.SIPMessage) -> None:
        """BYE for the dialog of the INVITE `request`."""
        call_id = request.headers["Call-ID"]
        self.run(lambda user_agent, now: user_agent.bye(call_id, now))
