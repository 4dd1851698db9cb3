"""A pyVoIP phone with one SIP socket: `phone.start()`, `call = phone.call(number)`, `call.hangup()`, `phone.stop()`."""

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from pyVoIP import RTP, SIP
from pyVoIP.VoIP import CallState, VoIPPhone
from pyVoIP.VoIP.status import PhoneStatus

from autodialer.clock import Clock
from autodialer.errors import Invalid, MediaUnavailable, PhoneClosed, PortsExhausted
from autodialer.media.shell import (
    CalleeSilent,
    DigitReceived,
    MediaProcess,
    PortWanted,
    SessionClosed,
    SessionEvent,
    SessionNotOpened,
    SessionOpened,
    SoundFinished,
)
from autodialer.model import DigitVia
from autodialer.phone.hang_up import HangUp
from autodialer.phone.names import NameFinder
from autodialer.phone.plan import Account, CallEvent, CallPlan, CutOffCall
from autodialer.phone.ports import PortLease, Ports
from autodialer.phone.pyvoip import check_pyvoip
from autodialer.phone.pyvoip.call import Call
from autodialer.phone.pyvoip.sip_client import SipClient
from autodialer.phone.reach import Registered
from autodialer.phone.resolver import Resolver
from autodialer.phone.trace import CLOSES_S, CallTrace, TraceBook
from autodialer.sip.addresses import family_of
from autodialer.sip.dialog_state import DialogState
from autodialer.sip.events import (
    AddressDiscovered,
    Event,
    FarewellEnded,
    HopFailed,
    NameWanted,
    ProbeEnded,
    RegistrationChanged,
    RegistrationStanding,
)
from autodialer.sip.hop import Hop
from autodialer.sip.invite import InviteRequest, new_call_id
from autodialer.sip.left_invite import LeftInvite
from autodialer.sip.locate import Targets
from autodialer.sip.user_agent import UserAgent

logger = logging.getLogger(__name__)

OPEN_S = 5.0
"""How long the media process has to bind a port, a silent STUN server included."""
SWEEP_S = 1.0
"""How often calls that last too long are looked for."""
CODECS = {"PCMA": RTP.PayloadType.PCMA, "PCMU": RTP.PayloadType.PCMU}
PHONE_STATUS = {
    RegistrationStanding.OFF: PhoneStatus.REGISTERED,
    RegistrationStanding.REGISTERING: PhoneStatus.REGISTERING,
    RegistrationStanding.REGISTERED: PhoneStatus.REGISTERED,
    RegistrationStanding.FAILED: PhoneStatus.FAILED,
}
"""pyVoIP has no word for a phone that need not register and may call."""


class Phone(VoIPPhone):
    """Makes calls and reports each one's outcome through `on_event`.

    The first parameters are pyVoIP's. `myIP` must be the address that routes to the server: it is written into Contact
    and SDP. `on_event` is called in this phone's loop thread, and so is `on_trace`, with the SIP messages
    of each call whose reference is an id, a while after its end; None: they are not kept.
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
        targets: Targets | None = None,
        names: NameFinder | None = None,
        clock: Clock | None = None,
        on_trace: Callable[[CallTrace], None] | None = None,
    ) -> None:
        check_pyvoip()
        super().__init__(server, port, username, password, myIP, callCallback, sipPort, rtpPortLow, rtpPortHigh)
        self.media = media
        self._names = names or NameFinder(Resolver())
        self._family = family_of(self.myIP) or 4
        self._on_call_event = on_event
        self._clock = clock or Clock()
        self._on_farewell_ended: Callable[[FarewellEnded], None] = lambda _event: None
        self._sweeping = False
        self._ports = Ports(rtpPortLow, rtpPortHigh, self.assignedPorts, shared=account.shared_media_port)
        self._traces = TraceBook(self._clock, on_trace) if on_trace is not None else None
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
            targets=targets,
            clock=self._clock,
            tracer=self._traces.note if self._traces is not None else None,
            on_end=self._end_calls,
        )

    @property
    def ready(self) -> bool:
        """Whether calls may leave."""
        return self.NSD and self.alive and self.sip.reach.ready

    @property
    def alive(self) -> bool:
        """Its SIP loop runs, or has not been started yet."""
        return self.sip.loop is None or not self.sip.loop.closed

    @property
    def registration(self) -> Registered:
        """How the registration stands."""
        return self.sip.reach.registration

    def start(self) -> None:
        """Bind the SIP socket and find the way out. Raises PortsExhausted when no port is free."""
        self._status = PhoneStatus.REGISTERING
        # What the registrar says may come before `sip.start` returns.
        self.NSD = True
        try:
            self.sip.start()
        except Exception:
            self.NSD = False
            self._status = PhoneStatus.FAILED
            raise
        if not self.sip.account.register:
            self._status = PhoneStatus.REGISTERED

    def stop(self, failed: bool = False, drain_s: float = 2.0) -> None:
        """CANCEL or BYE every call, un-REGISTER, wait at most `drain_s` for the answers, close. Idempotent."""
        self._status = PhoneStatus.DEREGISTERING
        # Before the drain: no INVITE may leave once it has begun.
        self.sip.run(lambda _user_agent, _now: self._give_up_opening("the phone is closing"))
        self.sip.stop(drain_s)
        if self._traces is not None:
            self._traces.close_all()
        self.NSD = False
        self._status = PhoneStatus.FAILED if failed else PhoneStatus.INACTIVE

    def call(self, number: str, plan: CallPlan | None = None) -> Call:
        """Call `number` (dialled as it stands) and return at once.

        Raises PortsExhausted, MediaUnavailable or PhoneClosed when nothing could leave, Invalid for a number or caller
        ID that could not stand in a SIP message. The call reports `unstarted` when that shows only later.
        """
        if not self.NSD:
            raise PhoneClosed
        plan = plan or CallPlan()
        # The record's id is the Call-ID where it can be, so that a provider's log and ours are found by one word.
        call_id = str(plan.reference) if isinstance(plan.reference, UUID) else new_call_id()
        draft = self.sip.prepare(number, plan, call_id)
        lease = self._ports.lease()
        try:
            call = self._make_call(draft, plan, lease)
        except Exception:
            lease.give_back()
            raise
        self.calls[call_id] = call
        try:
            # Not before: the loop's end takes with it the calls that are in the book by then.
            if not self.alive:
                raise PhoneClosed
            self._open_media(call)
        except Exception:
            self.forget(call)
            raise
        if not self._sweeping:
            self._sweeping = True
            self.run_later(SWEEP_S, self._sweep)
        return call

    def _make_call(self, draft: InviteRequest, plan: CallPlan, lease: PortLease) -> Call:
        medias = {lease.port: {CODECS[codec].value: CODECS[codec] for codec in self.sip.account.codecs}}
        return Call(
            self,
            CallState.DIALING,
            self.sip.describe(draft),
            random.getrandbits(31),
            self.myIP,
            ms=medias,
            sendmode=self.sendmode,
            plan=plan,
            draft=draft,
            lease=lease,
            on_event=self._on_call_event,
        )

    def _open_media(self, call: Call) -> None:
        """Have the media process bind a port for the call; the INVITE leaves when it has."""
        call.opens_until = self._clock.monotonic() + OPEN_S
        stun_server = self.sip.reach.stun_server
        self.media.open(call.call_id, self.myIP, call.port, stun_server=stun_server, shared=call.lease.common)

    def _on_opened(self, event: SessionOpened) -> None:
        call = self.calls.get(event.session_id)
        if call is not None and call.wants_port:
            call.tell_new_port(event.mapped)
        if call is None or not call.opening:
            return
        media = event.mapped or (self.myIP, call.port)

        def place(user_agent: UserAgent, now: float) -> None:
            # The registration may have ended while the media process was binding the port.
            if call.opening and not self.ready:
                call.unstarted("the trunk is not registered any more")
                return
            utcnow, reference = self._clock.utcnow(), call.plan.reference
            if self._traces is not None and call.opening and isinstance(reference, UUID):
                self._traces.begin(reference, now, utcnow)
            invite = self.sip.complete(call.draft, media, user_agent, now)
            hop = invite.next_hop
            # Known only now, since it depends on the server that this INVITE goes to.
            call.behind_nat = media[0] != self.myIP or self.sip.reach.behind_nat(user_agent, hop, self.myIP)
            call.place(user_agent, invite, now, utcnow)

        call.command(place)

    def _on_not_opened(self, event: SessionNotOpened) -> None:
        """The port is another program's: try the next one."""
        call = self.calls.get(event.session_id)
        if call is not None and call.wants_port:
            self._give_own_port(call)
        if call is None or not call.opening:
            return
        try:
            # The port was free when it was drawn, but other programs draw from the same range.
            call.lease.take_next(event.message)
            call.follow_lease()
            self._open_media(call)
        except (PortsExhausted, MediaUnavailable) as exc:
            call.unstarted(str(exc))

    def _give_own_port(self, call: Call) -> None:
        """Another call has that callee's address on the shared port already: this one goes on at a port of its own."""
        try:
            call.lease.take_own()
            call.wants_port = True
            call.follow_lease()
            # The sound goes on from there at once, before the callee
            # agrees: nearly all peers send to where our packets come from.
            self.media.reopen(call.call_id, self.myIP, call.port, stun_server=self.sip.reach.stun_server)
        except PortsExhausted as exc:
            logger.error("call %s: there is no port for its sound: %s", call.call_id, exc)
            call.hangup(HangUp.NO_PORT.format(exc))

    def _sweep(self) -> None:
        """A timer a call would outlive its call by minutes and keep it in memory; one look at all of them does not."""
        now = self._clock.monotonic()
        # Before the look: a call that comes meanwhile starts the next sweep itself.
        self._sweeping = False
        for call in list(self.calls.values()):
            call.attend(partial(call.end_if_overdue, now))
        if self.calls and not self._sweeping:
            self._sweeping = True
            self.run_later(SWEEP_S, self._sweep)

    def _give_up_opening(self, why: str) -> None:
        for call in list(self.calls.values()):
            if call.opening:
                call.attend(partial(call.unstarted, why))

    def _end_calls(self) -> None:
        """The loop has ended, and nothing that the calls wait for will come now."""
        for call in list(self.calls.values()):
            call.end_by_force()

    def request_port(self, blocking: bool = True) -> int:
        """A port of the range that no call of this phone has. Never blocks; raises PortsExhausted."""
        return self._ports.take()

    def release_ports(self, call: Call | None = None) -> None:
        """Ports are given back by `forget` when their call is over."""

    def _cleanup_dead_calls(self) -> None:
        """Calls have no threads that could die."""

    def forget(self, call: Call) -> None:
        """The call is over: its port is free and `calls` names it no more."""
        # Once: a call that is ended by force may be forgotten again by its own end.
        if self.calls.pop(call.call_id, None):
            call.lease.give_back()
            traces, reference = self._traces, call.plan.reference
            if traces is not None and isinstance(reference, UUID):
                self.run_later(CLOSES_S, lambda: traces.close(reference))

    def show_trace(self, call_id: UUID) -> None:
        """Tell the SIP messages of a call so far, if it is one of this phone's. From any thread."""
        traces = self._traces
        if traces is not None:
            self.sip.run(lambda _user_agent, _now: traces.show(call_id))

    def clean_up(
        self,
        left: Sequence[DialogState | LeftInvite],
        cut_off: Sequence[str],
        unheard: Sequence[CutOffCall] = (),
        *,
        span_s: float,
        on_ended: Callable[[FarewellEnded], None],
    ) -> None:
        """End what an earlier process left: its dialogs by BYE, its INVITEs by CANCEL, and answers to calls `cut_off`.

        The latter are waited for `span_s`. Of the `unheard` calls perhaps an INVITE left: each one that they can have
        sent is cancelled. `on_ended` is called in the loop thread. Once a phone.
        """
        # Before anything is sent, because an answer may come at once.
        self._on_farewell_ended = on_ended
        credentials = self.sip.credentials

        def say(user_agent: UserAgent, now: float) -> None:
            # First: an answer may be on its way already.
            user_agent.expect_answers(cut_off, credentials, now + span_s)
            # What rings comes first: every second of it is heard.
            for one in left:
                if isinstance(one, LeftInvite):
                    user_agent.recall(one, now)
            for call in unheard:
                self._recall_unheard(call, user_agent, now)
            for one in left:
                if isinstance(one, DialogState):
                    user_agent.say_farewell(one, credentials, now)

        self.sip.run(say)

    def _recall_unheard(self, call: CutOffCall, user_agent: UserAgent, now: float) -> None:
        try:
            # From tag and branch follow from the Call-ID and the CSeq, so
            # the INVITE of a dead dialer can be written again (ADR 14).
            draft = self.sip.prepare(call.number, CallPlan(caller_id=call.caller_id), call.call_id)
            # A CANCEL has no session description: any port will do.
            request = self.sip.complete(draft, (self.myIP, self.sip.myPort), user_agent, now)
        except Invalid as exc:
            logger.warning("call %s of an earlier dialer cannot be cancelled: %s", call.call_id, exc)
        else:
            user_agent.recall_unheard(request, now)

    def retire(self) -> None:
        """Another phone takes over: take the registration back; calls go on to their end."""
        self.sip.run(lambda user_agent, now: user_agent.unregister(now))

    def use_targets(self, targets: Sequence[Hop]) -> None:
        """The provider's servers have moved."""

        def move(user_agent: UserAgent, now: float) -> None:
            self.sip.targets.replace(targets)
            user_agent.move_registration(self.sip.targets.order(now))

        self.sip.run(move)

    def find_address(self, host: str, then: Callable[[str | None, str], object]) -> None:
        """Have the address of a host name looked up, and `then` called in the loop thread with it, or with why not."""

        def found(hop: Hop | None, why: str) -> None:
            self.sip.run(lambda _user_agent, _now: then(hop.host if hop is not None else None, why))

        self._names.find_address(host, self._family, found)

    def find_hop(self, wanted: NameWanted) -> None:
        """Look up by what name a call's side is to be reached, and tell the SIP core."""

        def found(hop: Hop | None, why: str) -> None:
            if hop is None:
                logger.info("call %s: %s; its requests go where the INVITE went", wanted.call_id, why)
                return
            self.sip.run(lambda user_agent, now: user_agent.place(wanted.call_id, wanted.uri, hop, now))

        self._names.find(wanted.host, wanted.port, wanted.transport, self._family, found)

    def utcnow(self) -> datetime:
        """The wall time: aware, UTC."""
        return self._clock.utcnow()

    def run_later(self, delay_s: float, fn: Callable[[], object]) -> None:
        """Run `fn` in the loop thread after a while."""
        self.sip.run_later(delay_s, fn)

    def media_event(self, event: SessionEvent) -> None:
        """Something the media process tells of one of this phone's calls. From any thread."""
        self.sip.run(lambda _user_agent, _now: self._take_media_event(event))

    def media_died(self, played_frames: Mapping[str, int]) -> None:
        """The media process is gone, and with it the sessions of all calls. From any thread."""

        def tell_all(_user_agent: UserAgent, _now: float) -> None:
            for call in list(self.calls.values()):
                call.attend(partial(call.media_died, played_frames.get(call.call_id, 0)))

        self.sip.run(tell_all)

    def _take_media_event(self, event: SessionEvent) -> None:
        call = self.calls.get(event.session_id)
        if call is not None:
            call.attend(partial(self._take_event_of, call, event))

    def _take_event_of(self, call: Call, event: SessionEvent) -> None:
        if isinstance(event, SessionOpened):
            self._on_opened(event)
        elif isinstance(event, SessionNotOpened):
            self._on_not_opened(event)
        elif isinstance(event, PortWanted):
            self._give_own_port(call)
        elif isinstance(event, CalleeSilent):
            call.callee_silent()
        elif isinstance(event, SoundFinished):
            call.sound_finished(event.repeats)
        elif isinstance(event, SessionClosed):
            call.media_closed(event.stats)
        elif isinstance(event, DigitReceived):
            call.pressed(event.digit, event.at, DigitVia.RTP)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, RegistrationChanged | AddressDiscovered | ProbeEnded):
            self.sip.reach.take(event)
            if self.NSD and isinstance(event, RegistrationChanged):
                self._status = PHONE_STATUS[event.standing]
            return
        if isinstance(event, NameWanted):
            self.find_hop(event)
            return
        if isinstance(event, FarewellEnded):
            self._on_farewell_ended(event)
            return
        if isinstance(event, HopFailed):
            self.sip.targets.failed(event.hop, event.at, event.retry_after_s)
            return
        call = self.calls.get(event.call_id)
        if call is not None:
            call.attend(partial(call.take, event))

    # -- what stock pyVoIP dispatches by message, ours by event

    def callback(self, request: SIP.SIPMessage) -> None:
        """Not used: the SIP core tells events, and turns incoming calls away with 480."""

    def _create_Call(self, request: SIP.SIPMessage, sess_id: int) -> None:
        """Not used: this phone takes no incoming calls."""
