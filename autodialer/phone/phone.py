"""A pyVoIP phone with one SIP socket: `phone.start()`, `call = phone.call(number)`, `call.hangup()`, `phone.stop()`."""

import random
from collections.abc import Callable, Mapping
from uuid import UUID

from pyVoIP import RTP, SIP
from pyVoIP.VoIP import CallState, VoIPPhone
from pyVoIP.VoIP.status import PhoneStatus

from autodialer.clock import Clock
from autodialer.errors import PhoneClosed, PortsExhausted
from autodialer.media.shell import DigitReceived, MediaProcess, PortTaken, SessionClosed, SoundFinished
from autodialer.phone.call import Call
from autodialer.phone.compatible import check_pyvoip
from autodialer.phone.plan import Account, CallEvent, CallPlan
from autodialer.phone.sip_client import SipClient
from autodialer.sip.events import Event
from autodialer.sip.invite import InviteRequest, new_call_id
from autodialer.sip.user_agent import UserAgent

PORT_TRIES = 100
SWEEP_S = 1.0
"""How often calls that last too long are looked for."""
CODECS = {"PCMA": RTP.PayloadType.PCMA, "PCMU": RTP.PayloadType.PCMU}


class Phone(VoIPPhone):
    """Makes calls and reports each one's outcome through `on_event`.

    The first parameters are pyVoIP's. `myIP` must be the address that routes to the server: it is written into Contact
    and SDP. `on_event` is called in this phone's loop thread.
    """

    calls: dict[str, Call]

    def __init__(
        self,
        server: str,
        port: int,
        username: str,
        password: str,
        myIP: str = "127.0.0.1",
        callCallback: Callable[[Call], None] | None = None,
        sipPort: int = 5060,
        rtpPortLow: int = 10000,
        rtpPortHigh: int = 20000,
        *,
        account: Account,
        media: MediaProcess,
        on_event: Callable[[CallEvent], None],
        clock: Clock | None = None,
    ) -> None:
        check_pyvoip()
        super().__init__(server, port, username, password, myIP, callCallback, sipPort, rtpPortLow, rtpPortHigh)
        self.media = media
        self._on_call_event = on_event
        self._clock = clock or Clock()
        self._sweeping = False
        self.sip = SipClient(
            server,
            port,
            username,
            password,
            phone=self,
            myIP=myIP,
            myPort=sipPort,
            callCallback=self.callback,
            fatalCallback=self.fatal,
            account=account,
            on_event=self._on_event,
        )

    def start(self) -> None:
        """Bind the SIP socket. Raises PortsExhausted when no port is free."""
        self._status = PhoneStatus.REGISTERING
        try:
            self.sip.start()
        except Exception:
            self._status = PhoneStatus.FAILED
            raise
        self.NSD = True
        self._status = PhoneStatus.REGISTERED

    def stop(self, failed: bool = False, drain_s: float = 2.0) -> None:
        """CANCEL or BYE every call, wait at most `drain_s` for the answers, close the socket. Idempotent."""
        self._status = PhoneStatus.DEREGISTERING
        self.sip.stop(drain_s)
        self.NSD = False
        self._status = PhoneStatus.FAILED if failed else PhoneStatus.INACTIVE

    def call(self, number: str, plan: CallPlan | None = None) -> Call:
        """Call `number` (dialled as it stands) and return at once.

        Raises PortsExhausted, MediaUnavailable or PhoneClosed when nothing could leave, Invalid for a number or caller
        ID that could not stand in a SIP message.
        """
        plan = plan or CallPlan()
        # The record's id is the Call-ID where it can be, so that a provider's log and ours are found by one word.
        call_id = str(plan.reference) if isinstance(plan.reference, UUID) else new_call_id()
        port = self._open_media(call_id)
        try:
            invite = self.sip.prepare(number, port, plan, call_id)
        except Exception:
            self.media.close(call_id)
            self.assignedPorts.remove(port)
            raise
        medias = {port: {CODECS[codec].value: CODECS[codec] for codec in self.sip.account.codecs}}
        call = Call(
            self,
            CallState.DIALING,
            self.sip.describe(invite),
            random.getrandbits(31),
            self.myIP,
            ms=medias,
            sendmode=self.sendmode,
            plan=plan,
            on_event=self._on_call_event,
        )
        self.calls[call_id] = call
        if not self.sip.run(lambda user_agent, now: self._place(call, invite, user_agent, now)):
            self.media.close(call_id)
            self.forget(call)
            raise PhoneClosed
        return call

    def _place(self, call: Call, invite: InviteRequest, user_agent: UserAgent, now: float) -> None:
        call.place(user_agent, invite, now, self._clock.utcnow())
        if not self._sweeping:
            self._sweeping = True
            self.run_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        """A timer a call would outlive its call by minutes and keep it in memory; one look at all of them does not."""
        now = self._clock.monotonic()
        for call in list(self.calls.values()):
            call.end_if_overdue(now)
        self._sweeping = bool(self.calls)
        if self._sweeping:
            self.run_later(SWEEP_S, self._sweep)

    def _open_media(self, call_id: str) -> int:
        """Have the media process bind a port for the call."""
        for _ in range(PORT_TRIES):
            port = self.request_port()
            try:
                self.media.open(call_id, self.myIP, port)
            except PortTaken:
                self.assignedPorts.remove(port)
            except Exception:
                self.assignedPorts.remove(port)
                raise
            else:
                return port
        raise PortsExhausted

    def request_port(self, blocking: bool = True) -> int:
        """A port of the range that no call of this phone has: even, as RFC 3550 section 11 asks."""
        even = range(self.rtpPortLow + self.rtpPortLow % 2, self.rtpPortHigh, 2)
        for _ in range(PORT_TRIES):
            port = random.choice(even)
            if port not in self.assignedPorts:
                self.assignedPorts.append(port)
                return port
        raise PortsExhausted

    def release_ports(self, call: Call | None = None) -> None:
        """Ports are given back by `forget` when their call is over."""

    def _cleanup_dead_calls(self) -> None:
        """Calls have no threads that could die."""

    def forget(self, call: Call) -> None:
        """The call is over: its port is free and `calls` names it no more."""
        if self.calls.pop(call.call_id, None):
            for port in call.assignedPorts:
                self.assignedPorts.remove(port)

    def run_later(self, delay_s: float, fn: Callable[[], object]) -> None:
        """Run `fn` in the loop thread after a while."""
        self.sip.run_later(delay_s, fn)

    def media_event(self, event: SoundFinished | SessionClosed | DigitReceived) -> None:
        """Something the media process tells of one of this phone's calls. From any thread."""
        self.sip.run(lambda _user_agent, _now: self._take_media_event(event))

    def media_died(self, played_frames: Mapping[str, int]) -> None:
        """The media process is gone, and with it the sessions of all calls. From any thread."""

        def tell_all(_user_agent: UserAgent, _now: float) -> None:
            for call in list(self.calls.values()):
                call.media_died(played_frames.get(call.call_id, 0))

        self.sip.run(tell_all)

    def _take_media_event(self, event: SoundFinished | SessionClosed | DigitReceived) -> None:
        call = self.calls.get(event.session_id)
        if call is None:
            return
        if isinstance(event, SoundFinished):
            call.sound_finished()
        elif isinstance(event, SessionClosed):
            call.media_closed(event.stats)
        else:
            call.dtmf_callback(event.digit)

    def _on_event(self, event: Event) -> None:
        call = self.calls.get(event.call_id)
        if call:
            call.take(event)

    # -- what stock pyVoIP dispatches by message, ours by event

    def callback(self, request: SIP.SIPMessage) -> None:
        """Not used: the SIP core tells events, and turns incoming calls away with 480."""

    def _create_Call(self, request: SIP.SIPMessage, sess_id: int) -> None:
        """Not used: this phone takes no incoming calls."""
