"""pyVoIP's SIP client standing on our SIP core: thread, socket, transactions and dialogs are `autodialer.sip`'s."""

import random
from collections.abc import Callable, Mapping
from typing import Any

from pyVoIP import RTP, SIP

from autodialer.phone.plan import Account, CallPlan
from autodialer.phone.sip_message import SipMessage
from autodialer.sip.events import Event
from autodialer.sip.invite import InviteRequest, new_call_id, sip_uri
from autodialer.sip.loop import SipLoop
from autodialer.sip.sdp import build_offer
from autodialer.sip.user_agent import UserAgent

USER_AGENT = "autodialer"


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
    ) -> None:
        super().__init__(server, port, username, password, phone, myIP, myPort, callCallback, fatalCallback)
        self.account = account
        self.myPort: int = myPort
        self._on_event = on_event
        self.loop: SipLoop | None = None

    def start(self) -> None:
        """Bind the socket (myPort or the next free one upward) and start the loop."""
        if self.loop:
            raise RuntimeError("Attempted to start already started SIPClient")
        self.loop = SipLoop(
            host=self.myIP, port=self.myPort, on_event=self._on_event, user_agent=USER_AGENT, known_hosts=(self.server,)
        )
        self.myPort = self.loop.local_address[1]
        self.loop.start()
        self.NSD = True

    def stop(self, drain_s: float = 2.0) -> None:
        """End every call (CANCEL or BYE), wait at most `drain_s` for the answers, close the socket."""
        self.NSD = False
        if self.loop:
            self.loop.stop(drain_s)

    def register(self) -> bool:
        """This phone does not register: its provider knows it by address or by the credentials of each call."""
        return True

    def deregister(self) -> bool:
        """Nothing to take back."""
        return True

    def prepare(self, number: str, port: int, plan: CallPlan, call_id: str) -> InviteRequest:
        """The INVITE for one call, not sent yet. Raises Invalid for what could not stand in a SIP message."""
        caller_id = plan.caller_id or self.account.caller_id
        return InviteRequest(
            target=sip_uri(number, self.account.domain),
            from_uri=sip_uri(caller_id, self.account.domain),
            contact_user=self.username or caller_id,
            next_hop=(self.server, self.port),
            credentials=(self.account.auth_username, self.password) if self.password else None,
            sdp=build_offer(self.myIP, port, self.account.codecs),
            ring_timeout_s=plan.ring_timeout_s,
            call_id=call_id,
        )

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
        invite = self.prepare(number, next(iter(ms)), CallPlan(), new_call_id())
        self.run(lambda user_agent, now: user_agent.invite(invite, now))
        return self.describe(invite), invite.call_id, random.getrandbits(31)

    def describe(self, invite: InviteRequest) -> SIP.SIPMessage:
        """The INVITE as pyVoIP shows requests."""
        text = (
            f"INVITE {invite.target} SIP/2.0\r\nFrom: <{invite.from_uri}>\r\nTo: <{invite.target}>\r\n"
            f"Call-ID: {invite.call_id}\r\nCSeq: 1 INVITE\r\n"
            f"Contact: <sip:{invite.contact_user}@{self.myIP}:{self.myPort}>"
        )
        return SipMessage(text.encode() + b"\r\n\r\n" + invite.sdp)

    def hang_up(self, call_id: str, reason: str | None = None) -> None:
        """CANCEL or BYE, whichever fits."""
        self.run(lambda user_agent, now: user_agent.hang_up(call_id, now, reason=reason))

    def bye(self, request: SIP.SIPMessage) -> None:
        """BYE for the dialog of the INVITE `request`."""
        call_id = request.headers["Call-ID"]
        self.run(lambda user_agent, now: user_agent.bye(call_id, now))
