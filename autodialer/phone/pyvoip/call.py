"""One outbound call: pyVoIP's call object, driven by the events of the SIP core and of the media process.

Everything but `hangup`, `cancel` and reading happens in the loop thread of the call's phone.
"""

import logging
import time
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from pyVoIP import RTP, SIP
from pyVoIP.VoIP import CallState, VoIPCall

from autodialer.errors import Conflict
from autodialer.media.shell import MediaProcess, SessionStats, SrtpKeys
from autodialer.model import CallOutcome, DigitVia
from autodialer.phone.hang_up import HangUp
from autodialer.phone.keys import PressedKeys
from autodialer.phone.names import BOUND_S
from autodialer.phone.outcome import CallTimes, broken_outcome, make_outcome
from autodialer.phone.plan import Address, CallEvent, CallPlan, Progress, Transferred
from autodialer.phone.playing import Playing
from autodialer.phone.ports import PortLease
from autodialer.phone.pyvoip.rtp_client import RtpClient, codecs_of, keys_of
from autodialer.phone.pyvoip.sip_client import SipClient
from autodialer.sip.addresses import family_of
from autodialer.sip.dialog_state import DialogState
from autodialer.sip.events import (
    CallAnswered,
    CallBroken,
    CallEnded,
    CallFailed,
    CallProgress,
    DialogMoved,
    DigitSignalled,
    InviteHeard,
    MediaChanged,
    OfCall,
    TransferEnd,
    TransferEnded,
    cancelled_unsent,
)
from autodialer.sip.invite import InviteRequest, sip_uri
from autodialer.sip.left_invite import LeftInvite
from autodialer.sip.sdp import AnswerFault, MediaPlan, UnusableAnswer, negotiate
from autodialer.sip.user_agent import UserAgent

logger = logging.getLogger(__name__)

NEVER = datetime.min.replace(tzinfo=UTC)
HELD_AT_FIRST_S = 10.0
"""How long a callee that answered on hold may take to tell where the sound goes."""
BROKEN_S = 70.0
"""After an error of ours: longer than a CANCEL or BYE takes that the peer does not answer (64*T1, twice)."""
GONE_S = 5.0
"""How long a callee may be silent after a failed transfer, in RTP as in RTCP."""
STATS_S = 2.0
"""How long the media process has to tell a session's figures."""


class OwnPhone(Protocol):
    """What a call needs of the phone that makes it."""

    media: MediaProcess
    sip: SipClient

    def forget(self, call: "Call") -> None:
        """The call is over."""

    def run_later(self, delay_s: float, fn: Callable[[], object]) -> None:
        """Run `fn` in the loop thread after a while."""

    def find_address(self, host: str, then: Callable[[str | None, str], object]) -> None:
        """Have a host name looked up."""

    def utcnow(self) -> datetime:
        """The wall time: aware, UTC."""


class Call(VoIPCall):
    """A pyVoIP call whose media session lives in the media process. `outcome` is set when it is over."""

    phone: OwnPhone

    def __init__(
        self,
        phone: OwnPhone,
        callstate: CallState,
        request: SIP.SIPMessage,
        session_id: int,
        myIP: str,
        ms: dict[int, dict[int, RTP.PayloadType]] | None = None,
        sendmode: str = "sendrecv",
        *,
        plan: CallPlan,
        draft: InviteRequest,
        lease: PortLease,
        on_event: Callable[[CallEvent], None],
    ) -> None:
        super().__init__(phone, callstate, request, session_id, myIP, ms, sendmode)
        self.lease = lease
        self._offered = (ms or {}).get(lease.port, {})
        self.follow_lease()
        self.plan = plan
        self.draft = draft
        """The INVITE without the addresses that are known once the media process has a port."""
        self.opening = True
        """The media process is binding a port; nothing has left yet."""
        self.opens_until = 0.0
        """Monotonic time by which it must have one."""
        self.behind_nat = False
        """The peer sees our RTP come from another address than ours."""
        self.wants_port = False
        """The media process is binding one of its own for it, because the shared one cannot serve it."""
        self.heard = False
        """The provider has said something to it."""
        self.outcome: CallOutcome | None = None
        """How the call ended; None while it is under way."""
        self._on_event = on_event
        self._times = CallTimes(invited=0.0, invited_at=NEVER)
        self._answer: CallAnswered | None = None
        self._early: set[Address] = set()
        """Where descriptions before the answer said that media is taken."""
        self._agreed: MediaPlan | None = None
        """What the last description says, while its host name is looked up."""
        self._unusable: UnusableAnswer | None = None
        self._end: CallFailed | CallEnded | None = None
        self._keys = PressedKeys()
        # It knows this call only weakly, so that the call is freed without the garbage collector.
        self._playing = Playing(weakref.proxy(self))
        self._media_open = True
        self._lost_stats: SessionStats | None = None
        self._broken_at: float | None = None
        """Monotonic time of the first error of ours."""
        self._told = False
        """The last event has been told: the outcome, or that nothing left."""

    @property
    def over(self) -> bool:
        """Whether its last event has been told."""
        # Ended without a last event of the SIP core: nothing had left.
        return self.outcome is not None or (self.state is CallState.ENDED and self._end is None)

    @property
    def media_id(self) -> str:
        """The id of this call's session in the media process."""
        return str(self.call_id)

    def place(self, user_agent: UserAgent, invite: InviteRequest, now: float, utcnow: datetime) -> None:
        """Let the INVITE leave; in the loop thread."""
        # It was hung up or given up while the port was being bound.
        if not self.opening:
            return
        self.opening = False
        self._times = CallTimes(invited=now, invited_at=utcnow)
        user_agent.invite(invite, now)

    def follow_lease(self) -> None:
        """Have pyVoIP's attributes say which port the call has; a common one is assigned to no call."""
        self.port = self.lease.port
        self.assignedPorts = {} if self.lease.common else {self.port: self._offered}

    def tell_new_port(self, mapped: Address | None) -> None:
        """The sound comes from another port now, outside of a NAT at `mapped`: tell the callee."""
        self.wants_port = False
        host, port = mapped or (None, self.port)
        for client in self.RTPClients:
            client.inPort = self.port
        self.command(lambda user_agent, now: user_agent.change_address(self.call_id, host, port, now))

    def unstarted(self, why: str) -> None:
        """Give up before anything has left this machine."""
        self.opening = False
        self.state = CallState.ENDED
        self.phone.media.close(self.media_id)
        self.phone.forget(self)
        self._tell_last(CallEvent(reference=self.plan.reference, unstarted=why))
        self._let_go()

    def attend(self, step: Callable[[], object]) -> None:
        """Do something for this call, in the loop thread. An error costs this call and no other: see `_break_off`."""
        try:
            step()
        except Exception:
            logger.exception("call %s: an error in the dialer itself; the call is given up", self.call_id)
            self._break_off()

    def command(self, fn: Callable[[UserAgent, float], object]) -> None:
        """Have `fn` run in the loop thread for this call, soon. From any thread."""
        self.phone.sip.run(lambda user_agent, now: self.attend(lambda: fn(user_agent, now)))

    def _break_off(self) -> None:
        """Hang up, and end as `internal_error` once the peer has answered; the second time end at once."""
        second, self._broken_at = self._broken_at is not None, time.monotonic()
        if second or self.opening or self._end is not None:
            self.end_by_force()
            return

        # An orderly end first: without a BYE the callee's phone would stay up.
        def hang_up(user_agent: UserAgent, now: float) -> None:
            if not user_agent.break_off(self.call_id, now):
                self.end_by_force()

        self.command(hang_up)

    def end_by_force(self) -> None:
        """End now with what is known, whatever is still to come. Never raises; harmless when it is over."""
        if self._told:
            return
        self.opening = False
        self.state = CallState.ENDED
        if self.outcome is None:
            self.outcome = self._outcome_by_force()
        # One by one, each on its own: what failed before may fail
        # again here, and the outcome has to be told in any case.
        steps: list[Callable[[], object]] = [
            lambda: self.phone.sip.run(lambda user_agent, now: user_agent.drop(self.call_id, now)),
            lambda: self.phone.media.close(self.media_id),
            lambda: self.phone.forget(self),
            lambda: self._tell_last(CallEvent(reference=self.plan.reference, outcome=self.outcome)),
            self._let_go,
        ]
        for step in steps:
            try:
                step()
            except Exception:
                logger.exception("call %s: its end cannot be cleared up", self.call_id)

    def _outcome_by_force(self) -> CallOutcome:
        if self._end is not None:
            try:
                return self._make_outcome(self._lost_stats)
            except Exception:
                logger.exception("call %s: its record cannot be written", self.call_id)
        return broken_outcome(self._times, self.phone.utcnow())

    def take(self, event: OfCall) -> None:
        """Carry on with what the SIP core tells."""
        if isinstance(event, CallProgress):
            self._progress(event)
        elif isinstance(event, InviteHeard):
            self._tell_dialog(event.invite)
        elif isinstance(event, CallAnswered):
            self._answered(event)
        elif isinstance(event, DialogMoved):
            self._tell_dialog(event.dialog)
        elif isinstance(event, MediaChanged):
            self._media_changed(event.media)
        elif isinstance(event, DigitSignalled):
            self.pressed(event.digit, event.at, DigitVia.INFO, duration_s=event.duration_s)
        elif isinstance(event, TransferEnded):
            self._transfer_ended(event)
        elif isinstance(event, CallBroken):
            self._broken_at = event.at
        elif isinstance(event, CallFailed | CallEnded):
            self._ended(event)

    def _progress(self, event: CallProgress) -> None:
        self.heard = True
        self._tell(Progress.HEARD)
        early = (
            negotiate(event.sdp, self.phone.sip.account.codecs, event.sdes, family=family_of(self.myIP) or 4)
            if event.sdp
            else None
        )
        if isinstance(early, MediaPlan) and not early.named:
            # What still comes from there after the answer is the tail of early media, and must win no latch.
            self._early.add((early.host, early.port))
        # Not every 1xx: 100 is the next server's, and 199 says that an early dialog has ended (RFC 6228).
        if 180 <= event.code <= 189 and self._times.rang is None:
            self._times.rang = event.at
            self._tell(Progress.RANG)

    def _answered(self, event: CallAnswered) -> None:
        self.heard = True
        self._tell(Progress.RANG)
        # Before anything else, because the ACK waits until the dialog is written down.
        self._tell_dialog(event.dialog)
        self._answer = event
        self._times.answered = event.at
        self.state = CallState.ANSWERED
        media = negotiate(event.sdp, self.phone.sip.account.codecs, event.sdes, family=family_of(self.myIP) or 4)
        if isinstance(media, UnusableAnswer):
            self._unusable = media
            logger.warning("call %s: the answer is unusable: %s", self.call_id, self._unusable.message)
            self.hangup(media.message)
        elif self._lost_stats:
            self.hangup(HangUp.MEDIA_DIED)
        elif media.held:
            self.run_later(HELD_AT_FIRST_S, self._still_held)
        else:
            self._with_address(media, self._start_media)

    def pressed(self, digit: str, at: float, via: DigitVia, *, duration_s: float = 0.0) -> None:
        """The callee pressed a key; the same press may be told both ways."""
        if self._keys.take(digit, at, via, duration_s=duration_s):
            # pyVoIP's own buffer, for its `get_dtmf`.
            self.dtmf_callback(digit)
            latest = self._keys.latest(self._times.answered or at)
            self._on_event(CallEvent(reference=self.plan.reference, pressed=latest))

    def _still_held(self) -> None:
        """The callee had its time to end the hold that it answered with."""
        if self.RTPClients or self._end:
            return
        self._unusable = UnusableAnswer(
            reason=AnswerFault.NO_ADDRESS, message="The callee answered on hold and gave no address for the sound."
        )
        self.hangup(self._unusable.message)

    def _media_changed(self, media: MediaPlan) -> None:
        if self._end or self._unusable or self._lost_stats:
            return
        if self.RTPClients:
            self._with_address(media, self._playing.follow)
        elif not media.held:
            self._with_address(media, self._start_media)

    def _with_address(self, media: MediaPlan, then: Callable[[MediaPlan], object]) -> None:
        """Go on with what was agreed; where it names a host, once that is found. The ACK does not wait for it."""
        self._agreed = media
        if not media.named:
            then(media)
            return

        def found(address: str | None, why: str) -> None:
            # A later description counts instead, or the other of look-up and time-out has come first.
            if self._agreed is not media or self._end:
                return
            self._agreed = None
            if address is not None:
                then(media.found_at(address))
                return
            logger.warning("call %s: no place for the sound: %s", self.call_id, why)
            if not self.RTPClients:
                message = f"The callee wants the sound at {media.host}, and that was not found: {why}."
                self._unusable = UnusableAnswer(reason=AnswerFault.NO_ADDRESS, message=message)
            self.hangup()

        def attend(address: str | None, why: str) -> None:
            self.attend(partial(found, address, why))

        self.phone.find_address(media.host, attend)
        self.run_later(BOUND_S, partial(found, None, f"no name server answered within {BOUND_S:g} s"))

    def _start_media(self, media: MediaPlan) -> None:
        codecs = codecs_of(media)
        host, reports_to = media.host, media.rtcp
        self.create_rtp_clients(
            codecs,
            self.myIP,
            self.port,
            self.request,
            media.port,
            remote_host=host,
            reports_to=reports_to,
            keys=keys_of(media),
        )
        self._playing.begin(media)

    def create_rtp_clients(
        self,
        codecs: dict[int, RTP.PayloadType],
        ip: str,
        port: int,
        request: SIP.SIPMessage,
        baseport: int,
        *,
        remote_host: str = "",
        reports_to: Address | None = None,
        keys: SrtpKeys | None = None,
    ) -> None:
        """One handle on this call's media session."""
        client = RtpClient(
            codecs,
            ip,
            port,
            remote_host,
            baseport,
            RTP.TransmitType.SENDRECV,
            dtmf=self.dtmf_callback,
            media=self.phone.media,
            session_id=self.media_id,
            plan=self.plan,
            symmetric=self.phone.sip.account.symmetric_rtp,
            peer_host=self._answer.dialog.flow.host if self._answer and self._answer.dialog else None,
            earlier=tuple(self._early),
            reports_to=reports_to,
            behind_nat=self.behind_nat,
            keys=keys,
        )
        self.RTPClients.append(client)

    def sound_finished(self, repeats: int) -> None:
        """The last packet of the sound has left, begun again so many times."""
        self._playing.finished(repeats)

    def run_later(self, delay_s: float, fn: Callable[[], object]) -> None:
        """Run `fn` for this call in the loop thread after a while."""
        self.phone.run_later(delay_s, partial(self.attend, fn))

    def _transfer(self, number: str, user_agent: UserAgent, now: float) -> None:
        # Paused means that another transfer is under way.
        if not self._end and self._answer is not None and not self._playing.paused:
            self._playing.pause()
            user_agent.refer(self.call_id, sip_uri(number, self.phone.sip.account.domain), now)

    def _transfer_ended(self, event: TransferEnded) -> None:
        told = Transferred(how=event.how, code=event.code)
        self._on_event(CallEvent(reference=self.plan.reference, transferred=told))
        if event.how is TransferEnd.ACCEPTED:
            self.hangup(HangUp.TRANSFERRED)
        else:
            # The end of the call may be the very next event.
            self.run_later(0.0, self._go_on)

    def _go_on(self) -> None:
        if self._end:
            return
        if not self.plan.survives_failed_transfer:
            self.hangup(HangUp.TRANSFER_FAILED)
            return
        self._playing.resume()
        self._watch_callee()

    def _watch_callee(self) -> None:
        """The callee may be gone although the transfer failed: nobody plays to silence for long."""
        for client in self.RTPClients:
            client.watch(GONE_S)

    def callee_silent(self) -> None:
        """Nothing has come from the callee's side for as long as `_watch_callee` said."""
        if self._end or self._playing.paused:
            return  # another transfer is on its way, and starts another watch
        if any(client.held for client in self.RTPClients):
            self._watch_callee()  # a callee that holds the call may be silent, and hears nothing
        else:
            self.hangup(HangUp.GONE_AFTER_TRANSFER.format(f"{GONE_S:g}"))

    def end_if_overdue(self, now: float) -> None:
        """Hang up once the call has lasted as long as it may; give up a port that takes too long."""
        if self.opening and now >= self.opens_until:
            # No INVITE has left: it was no call, and costs the person no attempt.
            self.unstarted("the media process does not answer")
        elif self._broken_at is not None and now - self._broken_at >= BROKEN_S:
            self.end_by_force()
        elif self._times.answered is not None and not self._end and now - self._times.answered >= self.plan.max_call_s:
            self.hangup(HangUp.MAX_CALL.format(f"{self.plan.max_call_s:g}"))

    def media_died(self, played_frames: int) -> None:
        """The media process is gone: nothing can be heard from now on."""
        if self.opening:
            self.unstarted("the media process ended")
            return
        # The process told its progress once a second: that much was heard for certain.
        self._lost_stats = SessionStats(sent=played_frames, played_frames=played_frames)
        self._media_open = False
        if self._end:
            self._complete(self._lost_stats)
        else:
            self.hangup(HangUp.MEDIA_DIED)

    def media_closed(self, stats: SessionStats | None) -> None:
        """The session's figures are in (None: they never came)."""
        self._media_open = False
        if self._end and not self.outcome:
            self._complete(stats)

    def _ended(self, event: CallFailed | CallEnded) -> None:
        self._end = event
        self.state = CallState.ENDED
        if not self._media_open:
            self._complete(self._lost_stats)
            return
        self.phone.media.close(self.media_id, ended_at=event.at)
        # A media process that hangs must not keep the outcome back.
        self.run_later(STATS_S, lambda: self.media_closed(None))

    def _complete(self, stats: SessionStats | None) -> None:
        self.outcome = self._make_outcome(stats)
        self.phone.forget(self)
        self._tell_last(CallEvent(reference=self.plan.reference, outcome=self.outcome))
        self._let_go()

    def _make_outcome(self, stats: SessionStats | None) -> CallOutcome:
        assert self._end
        return make_outcome(
            event=self._end,
            times=self._times,
            answer=self._answer,
            unusable=self._unusable,
            stats=stats,
            sound_s=self.plan.sound_s,
            keys=self._keys,
            media_died=self._lost_stats is not None,
            broken=self._broken_at is not None,
            foreign_caller=self.phone.sip.foreign_caller(self.plan),
        )

    def _tell_last(self, event: CallEvent) -> None:
        self._on_event(event)
        # Only after it: an owner that fails on the event gets it once more from `end_by_force`.
        self._told = True

    def _let_go(self) -> None:
        """Of what knows this call: it is freed at once, without the garbage collector."""
        self.RTPClients.clear()
        self._playing.stop()
        self._answer = None

    def _tell(self, progress: Progress) -> None:
        self._on_event(CallEvent(reference=self.plan.reference, progress=progress))

    def _tell_dialog(self, dialog: DialogState | LeftInvite | None) -> None:
        if dialog is not None and self.plan.keeps_dialog:
            self._on_event(CallEvent(reference=self.plan.reference, dialog=dialog))

    def acknowledge(self) -> None:
        """The dialog is written down: let the ACK leave. From any thread."""
        self.command(lambda user_agent, _now: user_agent.acknowledge(self.call_id))

    # -- pyVoIP's API

    def hangup(self, why: str = HangUp.REQUESTED) -> None:
        """End the call: BYE when it is answered, CANCEL before. Does nothing when it is over. From any thread.

        `why` is a sentence for the record, which keeps the first one.
        """
        self.command(partial(self._hang_up, why))

    def _hang_up(self, why: str, user_agent: UserAgent, now: float) -> None:
        if not self.opening:
            user_agent.hang_up(self.call_id, now, reason=why)
            return
        self.opening = False
        self._times = CallTimes(invited=now, invited_at=self.phone.utcnow())
        # No message has left, so there is no answer to wait for.
        self._ended(cancelled_unsent(self.call_id, now, f"{why} {HangUp.UNSENT}"))

    def send_digits(self, digits: str) -> None:
        """Press keys (0 to 9, *, #, A to D), one after the other. From any thread. Raises Conflict, Invalid."""
        clients = list(self.RTPClients)
        if self.state is not CallState.ANSWERED or not clients:
            raise Conflict("The call is not answered, and only an answered one takes digits.")
        clients[0].send_digits(digits)

    def repeat(self) -> None:
        """Begin the sound again. Does nothing unless the call is answered and stays. From any thread."""
        self.command(lambda _user_agent, _now: self._playing.repeat())

    def transfer(self, number: str) -> None:
        """Have the callee's side call `number`, dialled as it stands, in our place; the sound is silent meanwhile.

        An event `transferred` follows unless the call ends before. Accepted: we hang up; else the plan says whether
        the sound goes on, and the call ends as it would have. Does nothing during another transfer. From any thread.
        """
        self.command(partial(self._transfer, number))

    def cancel(self) -> None:
        """The same as `hangup`; the name for a call that is not answered yet."""
        self.hangup()

    def bye(self) -> None:
        """The dialog is over; the SIP core has answered the callee's BYE."""
        self.state = CallState.ENDED

    def gen_ms(self) -> dict[int, Any]:
        """The media lines of this call, without starting anything."""
        return {client.inPort: client.assoc for client in self.RTPClients}

    def write_audio(self, data: bytes) -> None:
        """Refused: see `RtpClient.write`."""
        for client in self.RTPClients:
            client.write(data)

    def read_audio(self, length: int = 160, blocking: bool = True) -> bytes:
        """Refused: see `RtpClient.read`."""
        return bytes(self.RTPClients[0].read(length, blocking)) if self.RTPClients else b""

    # -- what stock pyVoIP calls with the messages of a call; ours is driven by events

    def answered(self, request: SIP.SIPMessage) -> None:
        """Not used: answers come as events of the SIP core."""

    def not_found(self, request: SIP.SIPMessage) -> None:
        """Not used: failures come as events of the SIP core."""

    def unavailable(self, request: SIP.SIPMessage) -> None:
        """Not used: failures come as events of the SIP core."""

    def renegotiate(self, request: SIP.SIPMessage) -> None:
        """Not used: the SIP core answers re-INVITEs."""

    def __del__(self) -> None:
        """Ports are given back when the call ends, not when the garbage collector comes by."""
