"""One outbound call from its INVITE to the last of its transactions.

The caller's side of RFC 3261 section 9 (CANCEL), section 13 (INVITE) and section 15 (BYE); its state machine
is the TABLE at the end of this module.
"""

import logging
import weakref
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Protocol

from autodialer.q850 import OF_CALLEE
from autodialer.sip.acknowledgement import Acknowledgements
from autodialer.sip.attempts import Attempts
from autodialer.sip.auth import Authenticator
from autodialer.sip.dialog import Dialog
from autodialer.sip.events import (
    CallAnswered,
    CallEnded,
    CallFailed,
    CallProgress,
    DialogMoved,
    EndedBy,
    Event,
    FailureKind,
    HopFailed,
    InviteHeard,
    NameWanted,
)
from autodialer.sip.explanations import explanations, warning_of
from autodialer.sip.fields import parse_q850_cause, parse_retry_after, pause_asked_for
from autodialer.sip.hop import Hop
from autodialer.sip.invite import InviteRequest
from autodialer.sip.left_invite import LeftInvite
from autodialer.sip.message import Request, Response
from autodialer.sip.own_end import OwnEnd
from autodialer.sip.refer import Referrer
from autodialer.sip.reliable import Acknowledger, is_reliable
from autodialer.sip.sdp import extract_sdp
from autodialer.sip.session import Reply, Session
from autodialer.sip.stack import Stack
from autodialer.sip.timers import Timer
from autodialer.sip.transaction import ClientTransaction, InviteClient, NonInviteClient, ServerTransaction, State

logger = logging.getLogger(__name__)

_REFUSES_OFFER = (415, 488, 606)
"""What peers answer to RTP/SAVP that they do not speak, or do not want (RFC 3261 section 21.4.13, 21.4.26, 21.6.4)."""
_NO_RESPONSE = {
    "Timer B": (FailureKind.TIMEOUT, "the gateway did not answer at all"),
    "Transport Err.": (FailureKind.TRANSPORT, "the gateway cannot be reached: its host or port refuses packets"),
}
"""How the transaction ended -> the kind of failure, and a sentence for a person."""


class CallState(StrEnum):
    """What the call waits for."""

    CALLING = "Calling"
    """The first response to the INVITE."""
    PROCEEDING = "Proceeding"
    """The final response; the phone may ring."""
    CANCEL_WANTED = "CancelWanted"
    """A provisional response: until then CANCEL must not be sent (RFC 3261 section 9.1)."""
    CANCELLING = "Cancelling"
    """The final response after our CANCEL."""
    CONFIRMED = "Confirmed"
    """A BYE, either way."""
    TERMINATED = "Terminated"
    """Nothing; the call's last transactions live on to answer what is sent again."""


class CallOwner(Protocol):
    """Who keeps the calls."""

    def emit(self, event: Event) -> None:
        """Hand an event to the outside."""

    def forget(self, call: "Call") -> None:
        """The call and its transactions are gone."""


class Call:
    """One outbound call: exactly one CallFailed or CallEnded, and `forget` with its last transaction."""

    def __init__(self, stack: Stack, owner: CallOwner, request: InviteRequest) -> None:
        self._stack = stack
        self._owner = owner
        self.request = request
        self.call_id = request.call_id
        self.state = CallState.CALLING
        self.over = False
        """Its CallFailed or CallEnded has been told."""
        self.broken = False
        """An error of ours has been told of it."""
        self._user_agent = f"User-Agent: {stack.config.user_agent}"
        self._auth = Authenticator(stack, request.credentials)
        self._auth_message: str | None = None
        self._attempts = Attempts(stack, request, self._auth)
        self.local_tag = self._attempts.local_tag
        # Both know this call only weakly, so that it is freed without the garbage collector.
        self._session = Session(stack, weakref.proxy(self), self._auth, request)
        self._acknowledger = Acknowledger(stack, weakref.proxy(self), self._auth)
        self._referrer = Referrer(stack, weakref.proxy(self), self._auth, request.contact_user)
        self._invite: InviteClient | None = None
        self._heard: InviteClient | None = None
        """The INVITE whose first provisional response has been told."""
        self._transactions = 0
        self._dialogs: dict[str, Dialog] = {}
        """By remote tag."""
        self._dialog: Dialog | None = None
        """The answered one."""
        self._acknowledgements = Acknowledgements(stack)
        self._byes: dict[ClientTransaction, Dialog] = {}
        self._early_sdp: dict[str, bytes] = {}
        self._timer: Timer | None = None
        self._last_progress: tuple[int, bool] | None = None
        self._rang = False
        self._cancel_kind: FailureKind | None = None
        self._cancel_reason: str | None = None
        self._bye_reason: str | None = None
        self._silence = ""
        """What ended an INVITE without a response: Timer B or Transport Err."""
        self._bye_cause: int | None = None
        self._bye_at = self._answered_at = 0.0

    # What the owner asks for.

    def start(self, now: float) -> None:
        """Send the INVITE."""
        logger.debug("call %s: INVITE %s", self.call_id, self.request.target)
        self._send_invite(now, None)

    @property
    def paths(self) -> Iterable[Hop]:
        """Where the peers of a live call are."""
        if self.state is not CallState.TERMINATED and self._invite is not None:
            yield self._invite.hop
            if self._dialog is not None:
                yield self._dialog.next_hop

    @property
    def awaits_peer(self) -> bool:
        """Whether a response may still come that ends it."""
        return not self.over and self._invite is not None and self._invite.waiting

    def cancel(self, now: float, reason: str | None) -> None:
        """Give the call up; nothing happens once it is answered or over."""
        if self.state in (CallState.CALLING, CallState.PROCEEDING):
            self._cancel_kind = FailureKind.CANCELLED
            self._cancel_reason = reason
            self._feed("cancel", now)

    def bye(self, now: float, reason: str | None) -> None:
        """Hang up; nothing happens unless the call is answered. The first reason given counts."""
        if self.state is CallState.CONFIRMED:
            self._bye_reason = self._bye_reason or reason
        self._feed("bye", now)

    def change_address(self, host: str | None, port: int, now: float) -> None:
        """Our stream is elsewhere: offer that, if the call is answered and not over."""
        if self.state is CallState.CONFIRMED:
            self._session.change_address(host, port, now)

    def refer(self, target: str, now: float) -> None:
        """Ask the peer of an answered call to call this SIP URI in its place; TransferEnded follows."""
        if self.state is CallState.CONFIRMED and self._dialog is not None:
            self._referrer.refer(self._dialog, target, self.request.from_uri, now)

    def find_peer(self, now: float) -> None:
        """Have a host name looked up by which the callee is to be reached, if there is one."""
        unfound = self._dialog.unfound() if self._dialog is not None else None
        if unfound is not None:
            uri, (host, port, transport) = unfound
            assert transport is not None
            self.emit(NameWanted(call_id=self.call_id, at=now, uri=uri, host=host, port=port, transport=transport))

    def place(self, uri: str, hop: Hop, now: float) -> None:
        """The host name of this URI leads to `hop`."""
        dialog = self._dialog
        if dialog is not None and dialog.place(uri, hop) and self.state is CallState.CONFIRMED:
            self._acknowledgements.go_elsewhere(dialog)
            self.emit(DialogMoved(call_id=self.call_id, at=now, dialog=dialog.state))

    def acknowledge(self) -> None:
        """Let the ACK leave that `ack_within_s` holds back."""
        self._acknowledgements.release()

    def abandon(self, now: float) -> None:
        """Report the call as over without waiting for the peer any longer."""
        if self.over:
            return
        if self._answered_at:
            self._end_by_us(now, None)
        else:
            self._cancel_kind = self._cancel_kind or FailureKind.CANCELLED
            self._fail_cancelled(now, None)
        self._enter(CallState.TERMINATED, now)

    # What comes from the network.

    def find_dialog(self, request: Request) -> Dialog | None:
        """The dialog whose two tags a peer's request knows."""
        if request.to_tag != self.local_tag:
            return None
        return self._dialogs.get(request.from_tag or "")

    def receive_bye(self, dialog: Dialog, request: Request, now: float) -> None:
        """The peer hung up one dialog."""
        dialog.peer_hung_up = True
        if dialog is self._dialog:
            self._bye_cause = parse_q850_cause(request.headers.get("reason", []))
            # When it reached this machine: what left until this thread read it was not heard.
            self._bye_at = self._stack.arrived_at
            self._referrer.peer_hung_up(now)
            self._feed("BYE", now)

    def receive_strange_copy(self, response: Response) -> bool:
        """A response whose Via is not our INVITE's; whether it is a 2xx sent again, which gets its ACK again."""
        tag = response.to_tag or ""
        ours = response.from_tag == self.local_tag and response.cseq_method == "INVITE"
        if self._invite is None or self._invite.state is not State.ACCEPTED:
            return False
        if not ours or not 200 <= response.code < 300 or not self._acknowledgements.knows(tag, response.cseq):
            return False
        # Without the ACK the callee's side would give the call up 32 s after its answer. A 2xx that is new with such a
        # Via makes no dialog, though: it may be anybody's.
        return self._acknowledgements.repeat(tag)

    def receive_ack(self, request: Request, now: float) -> bool:
        """An ACK that belongs to no transaction of its own; whether it was expected."""
        dialog = self.find_dialog(request)
        return dialog is not None and dialog is self._dialog and self._session.receive_ack(request, now)

    def reply_to(self, dialog: Dialog, request: Request, now: float) -> Reply:
        """Decide about a peer's re-INVITE or UPDATE."""
        if self.state is CallState.CONFIRMED and dialog is self._dialog:
            return self._session.reply_to(request, now)
        if dialog.confirmed or self.state is CallState.TERMINATED:
            return Reply(code=481)
        return self._session.reply_to_early(request, dialog)

    def reply_to_notify(self, request: Request, now: float) -> Reply:
        """Take what the peer tells of a transfer."""
        return self._referrer.reply_to(request, now)

    def await_ack(self, transaction: ServerTransaction, request: Request, data: bytes, now: float) -> None:
        """Our 2xx to a re-INVITE left."""
        self._session.await_ack(transaction, request, data, now)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """A response to our INVITE, CANCEL or BYE."""
        if transaction is self._invite:
            self._feed(self._classify(response, now), now, response)
        elif transaction in self._byes and self._auth.tries_again(response, transaction.hop):
            self._send_bye(self._byes[transaction], now)

    def on_no_response(self, transaction: ClientTransaction, now: float, happening: str) -> None:
        """Our INVITE, CANCEL or BYE got no response. The INVITE's own timer ends a CANCEL's, a BYE needs no answer."""
        if transaction is self._invite:
            self._silence = happening
            self._feed("next hop" if self._go_on_elsewhere(now) else "no response", now)

    def on_terminated(self, transaction: ClientTransaction, now: float) -> None:
        """One transaction less; with the last one goes the call."""
        self._byes.pop(transaction, None)
        self._transactions -= 1
        if self._transactions == 0 and self.state is CallState.TERMINATED:
            # Lets go of the transaction that knows this call: both are freed at once, without the garbage collector.
            self._invite = self._heard = None
            self._owner.forget(self)

    def _classify(self, response: Response, now: float) -> str:
        code = response.code
        # Asked about every response: an 18x or a 2xx also teaches whether the server takes a known nonce.
        is_challenge = self._auth.is_challenged(response, self._attempts.hop)
        if code < 200:
            return "1xx"
        if code < 300:
            return "2xx"
        # After a cancel a challenge is a refusal like any other: nothing is to be called any more.
        if is_challenge and self.state in (CallState.CALLING, CallState.PROCEEDING):
            self._auth_message = self._auth.learn(response, self._attempts.hop)
            return "final" if self._auth_message else "challenge"
        if code == 422 and not self._cancel_kind and self._attempts.ask_for_longer(response):
            return "too short"
        # Not after 180: with another INVITE the phone would ring twice.
        if code in _REFUSES_OFFER and not self._cancel_kind and not self._rang and self._offer_plain():
            return "plain offer"
        # Some gateways make 503 of any cause. Where the cause is the callee's, another server would say the same.
        if code == 503 and not _is_about_callee(response):
            pause_s = pause_asked_for(response.get("retry-after"))
            return "next hop" if self._go_on_elsewhere(now, pause_s) else "final"
        return "final"

    def _offer_plain(self) -> bool:
        """Whether the peer that refused encrypted media is to be offered plain media."""
        request = self._attempts.offer_plain()
        if request is None:
            return False
        logger.info("call %s: the peer refuses encrypted media and is offered plain media", self.call_id)
        self.request = request
        self._session.offer(request)
        return True

    def _go_on_elsewhere(self, now: float, retry_after_s: float | None = None) -> bool:
        """Whether to ask the next server, because this one failed and no phone has rung yet."""
        if self._invite is not None:
            hop = self._attempts.hop
            self._owner.emit(HopFailed(call_id=self.call_id, at=now, hop=hop, retry_after_s=retry_after_s))
        return not self._cancel_kind and not self._rang and self._attempts.take_next_hop()

    # The machine.

    def _feed(self, happening: str, now: float, response: Response | None = None) -> None:
        arrow = TABLE.get((self.state, happening))
        if arrow is None:
            return
        actions, state = arrow
        # The state first: an action may feed the machine again, as a 2xx does whose BYE has overtaken it.
        if state is not self.state:
            self._enter(state, now)
        for action in actions:
            action(self, now, response)

    def _enter(self, state: CallState, now: float) -> None:
        logger.debug("call %s: %s -> %s", self.call_id, self.state, state)
        self.state = state
        # Every timer of a call belongs to the state that it was started in.
        if self._timer is not None:
            self._stack.timers.stop(self._timer)
            self._timer = None
        # Before the actions, so that an ACK that was held leaves before the BYE.
        if state is CallState.TERMINATED:
            self._acknowledgements.release()
            self._session.stop()
            self._referrer.stop(now)

    def _start_timer(self, when: float, happening: str) -> None:
        if self._timer is not None:
            self._stack.timers.stop(self._timer)
        self._timer = self._stack.timers.start(when, lambda now: self._feed(happening, now), call_id=self.call_id)

    # Actions.

    def _send_invite(self, now: float, _response: Response | None) -> None:
        # A PRACK may have counted on.
        outgoing = self._attempts.next_invite(max((dialog.local_cseq for dialog in self._dialogs.values()), default=0))
        # The early dialogs of an INVITE that was refused ended with it.
        self._dialogs.clear()
        self._invite = InviteClient(self._stack, outgoing, self)
        self.begin(self._invite, now)

    def emit(self, event: Event) -> None:
        """Tell the owner."""
        self._owner.emit(event)

    def begin(self, transaction: ClientTransaction, now: float) -> None:
        """Start a transaction of this call."""
        self._transactions += 1
        transaction.begin(now)

    def _note_progress(self, now: float, response: Response | None) -> None:
        assert response is not None
        if self._invite is not None and self._heard is not self._invite:
            self._heard = self._invite
            self.emit(InviteHeard(call_id=self.call_id, at=now, invite=LeftInvite.of(self._invite.request)))
        sdp = extract_sdp(response.content_type, response.body)
        tag = response.to_tag
        if tag is not None and self._invite is not None:
            dialog = self._dialogs.setdefault(tag, Dialog(self._stack, self._invite.request, response))
            # RFC 3262 section 4: a copy, or a response out of order, is to be ignored altogether.
            if not self._acknowledger.take(dialog, response, now):
                return
            if sdp is not None:
                self._early_sdp.setdefault(tag, sdp)
                if dialog.answer is None and is_reliable(response):
                    # RFC 3261 section 13.2.1: what later responses say does not count.
                    dialog.answer = sdp
        self._rang = self._rang or _is_ringing(response)
        # Only news: a peer repeats its 180 every minute to keep proxies waiting (RFC 3261 section 13.3.1.1).
        progress = (response.code, sdp is not None)
        if progress != self._last_progress:
            self._last_progress = progress
            self.emit(
                CallProgress(
                    call_id=self.call_id,
                    at=now,
                    code=response.code,
                    reason=response.reason,
                    sdp=sdp,
                    sdes=self.request.sdes,
                )
            )

    def _time_ringing(self, now: float, response: Response | None) -> None:
        assert response is not None
        # Between 100 and 180 the network looks for the phone; from its first ring the callee gets the whole ring
        # timeout.
        if self._timer is None or (_is_ringing(response) and not self._rang):
            self._start_timer(now + self.request.ring_timeout_s, "ring timeout")

    def _answer(self, now: float, response: Response | None) -> None:
        assert response is not None
        wait_s = self.request.ack_within_s
        self._dialog = dialog = self._confirm(response, hold_until=now + wait_s if wait_s else None)
        # An answer that was settled reliably counts whatever the 2xx says. Some gateways have it in the 183 alone: that
        # of the same fork is taken, for another fork's would lead the sound to another phone.
        own = dialog.answer or extract_sdp(response.content_type, response.body)
        sdp = own or self._early_sdp.get(dialog.remote_tag)
        self._early_sdp.clear()
        logger.debug("call %s: answered", self.call_id)
        self.emit(
            CallAnswered(
                call_id=self.call_id,
                at=now,
                code=response.code,
                reason=response.reason,
                sdp=sdp,
                dialog=dialog.state,
                sdes=self.request.sdes,
            )
        )
        self._answered_at = now
        if dialog.peer_hung_up:
            # Its BYE overtook the 2xx.
            self._feed("BYE", now)
        else:
            self._session.begin(dialog, response, sdp, now)
            self.find_peer(now)

    def _confirm(self, response: Response, *, hold_until: float | None = None) -> Dialog:
        """Make or confirm the dialog of a 2xx and acknowledge it (RFC 3261 section 13.2.2.4)."""
        assert self._invite is not None
        invite = self._invite.request
        dialog = self._dialogs.get(response.to_tag or "")
        if dialog is None:
            dialog = Dialog(self._stack, invite, response)
            self._dialogs[dialog.remote_tag] = dialog
        else:
            dialog.refresh(response)
        self._acknowledgements.send(dialog, invite, hold_until=hold_until)
        return dialog

    def _hang_up_late(self, now: float, response: Response | None) -> None:
        """A 2xx that nobody waits for: sent again, of another fork, or after our CANCEL."""
        assert response is not None
        if self._acknowledgements.repeat(response.to_tag or ""):
            return
        dialog = self._confirm(response)
        # A fork may hang up before its 2xx is read; then it needs the ACK alone.
        if not dialog.peer_hung_up:
            self._auth.start_request()
            self._send_bye(dialog, now)

    def _send_cancel(self, now: float, _response: Response | None) -> None:
        assert self._invite is not None
        if self._cancel_kind is None:
            self._cancel_kind = FailureKind.RING_TIMEOUT
            self._cancel_reason = OwnEnd.RING_TIMEOUT.format(f"{self.request.ring_timeout_s:g}")
        # RFC 3261 section 9.1: without a final response by then the INVITE counts as cancelled.
        self._start_timer(now + 64 * self._stack.config.t1, "give up")
        self.begin(NonInviteClient(self._stack, self._invite.request.cancel((self._user_agent,)), self), now)

    def _destroy_invite(self, now: float, _response: Response | None) -> None:
        assert self._invite is not None
        self._invite.terminate(now)

    def _hang_up(self, now: float, _response: Response | None) -> None:
        assert self._dialog is not None
        self._auth.start_request()
        self._send_bye(self._dialog, now)

    def _send_bye(self, dialog: Dialog, now: float) -> None:
        lines = (*self._auth.lines("BYE", dialog.request_uri, dialog.next_hop), self._user_agent)
        bye = NonInviteClient(self._stack, dialog.request("BYE", dialog.next_cseq(), lines), self)
        self._byes[bye] = dialog
        self.begin(bye, now)

    def _end_by_us(self, now: float, _response: Response | None) -> None:
        logger.debug("call %s: we hung up", self.call_id)
        self._tell_end(
            CallEnded(call_id=self.call_id, at=now, by=EndedBy.US, reason_cause=None, message=self._bye_reason)
        )

    def _end_by_callee(self, now: float, _response: Response | None) -> None:
        logger.debug("call %s: the callee hung up", self.call_id)
        # A BYE that overtook the 2xx, or waited behind it, ends nothing before the answer.
        at = min(now, max(self._bye_at, self._answered_at))
        self._tell_end(CallEnded(call_id=self.call_id, at=at, by=EndedBy.CALLEE, reason_cause=self._bye_cause))

    def _fail_final(self, now: float, response: Response | None) -> None:
        kind = FailureKind.AUTH if self._auth_message else FailureKind.FINAL
        self._fail(now, kind, response, self._auth_message)

    def _fail_silent(self, now: float, _response: Response | None) -> None:
        kind, message = _NO_RESPONSE[self._silence]
        complaint = self._stack.complaint_of(self._invite.hop) if self._invite is not None else None
        self._fail(now, kind, None, complaint or message)

    def _fail_cancelled(self, now: float, response: Response | None) -> None:
        self._fail(now, self._cancel_kind or FailureKind.CANCELLED, response, self._cancel_reason)

    def _fail(self, now: float, kind: FailureKind, response: Response | None, message: str | None) -> None:
        logger.debug("call %s: not answered: %s %s", self.call_id, kind, response.code if response else "")
        self._tell_end(_failed(self.call_id, now, kind, response, message, saw_18x=self._rang))

    def _tell_end(self, event: CallFailed | CallEnded) -> None:
        # Once, whatever goes wrong in between: a channel given back twice is as wrong as a channel never given back.
        if not self.over:
            self.over = True
            self._owner.emit(event)


def _is_about_callee(response: Response) -> bool:
    """Whether the network's own cause says that the call got through to the callee's exchange."""
    return parse_q850_cause(response.headers.get("reason", [])) in OF_CALLEE


def _is_ringing(response: Response) -> bool:
    return 180 <= response.code <= 189


def _failed(
    call_id: str, at: float, kind: FailureKind, response: Response | None, message: str | None, *, saw_18x: bool
) -> CallFailed:
    """The end of a call with its final response, None without one."""
    return CallFailed(
        call_id=call_id,
        at=at,
        kind=kind,
        code=response.code if response else None,
        reason=response.reason if response else None,
        cancelled=kind in (FailureKind.RING_TIMEOUT, FailureKind.CANCELLED),
        saw_18x=saw_18x,
        reason_cause=parse_q850_cause(response.headers.get("reason", [])) if response else None,
        retry_after_s=parse_retry_after(response.get("retry-after")) if response else None,
        explanations=explanations(response) if response else (),
        message=message or warning_of(response),
    )


Action = Callable[[Call, float, Response | None], None]
_S = CallState
TABLE: Mapping[tuple[CallState, str], tuple[tuple[Action, ...], CallState]] = {
    # In this order: the time is taken at the first 18x, which `_note_progress` then notes.
    (_S.CALLING, "1xx"): ((Call._time_ringing, Call._note_progress), _S.PROCEEDING),
    (_S.CALLING, "2xx"): ((Call._answer,), _S.CONFIRMED),
    (_S.CALLING, "challenge"): ((Call._send_invite,), _S.CALLING),
    (_S.CALLING, "too short"): ((Call._send_invite,), _S.CALLING),
    (_S.CALLING, "plain offer"): ((Call._send_invite,), _S.CALLING),
    (_S.CALLING, "next hop"): ((Call._send_invite,), _S.CALLING),
    (_S.CALLING, "final"): ((Call._fail_final,), _S.TERMINATED),
    (_S.CALLING, "no response"): ((Call._fail_silent,), _S.TERMINATED),
    (_S.CALLING, "cancel"): ((), _S.CANCEL_WANTED),
    (_S.PROCEEDING, "1xx"): ((Call._time_ringing, Call._note_progress), _S.PROCEEDING),
    (_S.PROCEEDING, "2xx"): ((Call._answer,), _S.CONFIRMED),
    # Back in Calling the ring timeout is stopped; it starts again with the 1xx to the new INVITE.
    (_S.PROCEEDING, "challenge"): ((Call._send_invite,), _S.CALLING),
    (_S.PROCEEDING, "too short"): ((Call._send_invite,), _S.CALLING),
    (_S.PROCEEDING, "plain offer"): ((Call._send_invite,), _S.CALLING),
    (_S.PROCEEDING, "next hop"): ((Call._send_invite,), _S.CALLING),
    (_S.PROCEEDING, "final"): ((Call._fail_final,), _S.TERMINATED),
    (_S.PROCEEDING, "ring timeout"): ((Call._send_cancel,), _S.CANCELLING),
    (_S.PROCEEDING, "cancel"): ((Call._send_cancel,), _S.CANCELLING),
    (_S.CANCEL_WANTED, "1xx"): ((Call._note_progress, Call._send_cancel), _S.CANCELLING),
    (_S.CANCEL_WANTED, "2xx"): ((Call._hang_up_late, Call._fail_cancelled), _S.TERMINATED),
    (_S.CANCEL_WANTED, "final"): ((Call._fail_cancelled,), _S.TERMINATED),
    # No timer of the call's own: timer B of the INVITE ends a wait in which nothing ever comes.
    (_S.CANCEL_WANTED, "no response"): ((Call._fail_cancelled,), _S.TERMINATED),
    (_S.CANCELLING, "1xx"): ((Call._note_progress,), _S.CANCELLING),
    (_S.CANCELLING, "2xx"): ((Call._hang_up_late, Call._fail_cancelled), _S.TERMINATED),
    (_S.CANCELLING, "final"): ((Call._fail_cancelled,), _S.TERMINATED),
    (_S.CANCELLING, "give up"): ((Call._fail_cancelled, Call._destroy_invite), _S.TERMINATED),
    (_S.CONFIRMED, "2xx"): ((Call._hang_up_late,), _S.CONFIRMED),
    # RFC 3261 section 15.1.1: the session is over as the BYE leaves, whatever is answered to it.
    (_S.CONFIRMED, "bye"): ((Call._hang_up, Call._end_by_us), _S.TERMINATED),
    (_S.CONFIRMED, "BYE"): ((Call._end_by_callee,), _S.TERMINATED),
    # A late answer, or a second fork: without ACK and BYE that phone would stay up.
    (_S.TERMINATED, "2xx"): ((Call._hang_up_late,), _S.TERMINATED),
}
"""State and happening -> actions in order, and the state after."""
