"""The session of an answered call: its media, which both sides may change, and its timer.

RFC 3261 section 14 (re-INVITE), RFC 3311 (UPDATE), RFC 3264 (offer and answer) and RFC 4028 (session timer).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from autodialer.sip.auth import Authenticator
from autodialer.sip.capabilities import ALLOW, SUPPORTED
from autodialer.sip.dialog import Dialog
from autodialer.sip.events import DialogMoved, Event, MediaChanged
from autodialer.sip.fields import pause_asked_for
from autodialer.sip.invite import InviteRequest
from autodialer.sip.message import Message, Request, Response
from autodialer.sip.offer_answer import LocalMedia
from autodialer.sip.outgoing import OutgoingRequest
from autodialer.sip.own_end import OwnEnd
from autodialer.sip.sdp import MediaPlan, UnusableAnswer, extract_sdp
from autodialer.sip.session_timer import MIN_SE, SessionTimer, accept, agreed, min_se, too_short
from autodialer.sip.stack import Stack
from autodialer.sip.timers import Timer
from autodialer.sip.transaction import ClientTransaction, InviteClient, NonInviteClient, ServerTransaction

logger = logging.getLogger(__name__)

_GONE = (408, 481)
"""Responses to a refresh that end the session (RFC 4028 section 10)."""
_UNKNOWN_METHOD = (405, 501)
_AGAIN_S = 10.0
"""From a re-INVITE that was refused for now to the next; the shortest session still has two of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What to answer to a peer's request."""

    code: int
    lines: tuple[str, ...] = ()
    """More header lines."""
    sdp: bytes = b""


class SessionUser(Protocol):
    """The call whose session it is."""

    call_id: str

    def emit(self, event: Event) -> None:
        """Tell the owner of the call."""

    def begin(self, transaction: ClientTransaction, now: float) -> None:
        """Start a transaction of the call."""

    def bye(self, now: float, reason: str | None) -> None:
        """Hang up; `reason` is a sentence for the record."""

    def find_peer(self, now: float) -> None:
        """Have a host name looked up by which the peer is to be reached, if there is one."""

    def on_terminated(self, transaction: ClientTransaction, now: float) -> None:
        """A transaction of the call is over."""


@dataclass(kw_only=True, slots=True)
class _Unacknowledged:
    """Our 2xx to a re-INVITE, which is sent again until its ACK comes (RFC 3261 section 13.3.1.4)."""

    transaction: ServerTransaction
    cseq: int
    data: bytes
    interval: float
    until: float
    offered: bool
    """It holds an offer of ours; the ACK brings the answer."""


class Session:
    """Offers, answers and refreshes within one dialog."""

    def __init__(self, stack: Stack, user: SessionUser, auth: Authenticator, request: InviteRequest) -> None:
        self._stack = stack
        self._user = user
        self._auth = auth
        self._local = LocalMedia(request.sdp, request.sdes)
        self._contact_user = request.contact_user
        self._dialog: Dialog | None = None
        self._media: MediaPlan | None = None
        self._timer: SessionTimer | None = None
        self._min_se = MIN_SE
        self._running: dict[str, Timer] = {}
        """refresh, dead, resend, offer."""
        self._pending: ClientTransaction | None = None
        """Our refresh or offer that waits for its final response."""
        self._over = False
        self._offer_wanted = self._offered = False
        """The peer does not know yet where our stream is; the pending request tells it."""
        self._ack: OutgoingRequest | None = None
        """Of our last re-INVITE."""
        self._sent: _Unacknowledged | None = None
        self._no_update = False
        self._refused = ""
        """What the peer answered to our last refresh; empty once a refresh is accepted."""

    def offer(self, request: InviteRequest) -> None:
        """The INVITE is sent again with another offer."""
        self._local = LocalMedia(request.sdp, request.sdes)

    def begin(self, dialog: Dialog, response: Response, sdp: bytes | None, now: float) -> None:
        """The 2xx to the INVITE came, with or after this session description."""
        self._dialog = dialog
        media = self._local.take_answer(sdp)
        self._media = media if isinstance(media, MediaPlan) else None
        self._set_timer(agreed(response), now)

    def stop(self) -> None:
        """The call is over: refresh, offer and send nothing more."""
        self._over = True
        for name in list(self._running):
            self._stop(name)

    def _contact(self, dialog: Dialog) -> str:
        return self._stack.contact(self._contact_user, dialog.flow)

    # The peer's requests.

    def reply_to_early(self, request: Request, dialog: Dialog) -> Reply:
        """A re-INVITE or UPDATE before the INVITE is answered."""
        offer = extract_sdp(request.content_type, request.body)
        # RFC 3311 section 5.2: our INVITE's offer has no answer yet.
        if request.method == "INVITE" or (offer is not None and dialog.answer is None):
            return Reply(code=491)
        answer = self._local.answer(offer, None) if offer is not None else None
        if isinstance(answer, UnusableAnswer):
            return Reply(code=488)
        dialog.retarget(request)
        dialog.answer = offer or dialog.answer
        return Reply(code=200, lines=(self._contact(dialog),), sdp=answer.sdp if answer else b"")

    def reply_to(self, request: Request, now: float) -> Reply:
        """A re-INVITE or UPDATE (RFC 3261 section 14.2, RFC 3311 section 5.2)."""
        assert self._dialog is not None
        offer = extract_sdp(request.content_type, request.body)
        changes = request.method == "INVITE" or offer is not None
        if changes and self._offering:
            return Reply(code=491)
        if too_short(request):
            return Reply(code=422, lines=(f"Min-SE: {MIN_SE}",))
        if offer is None and request.body.strip():
            return Reply(code=415, lines=("Accept: application/sdp",))
        media = self._media
        sdp = b""
        if offer is not None:
            answer = self._local.answer(offer, media)
            if isinstance(answer, UnusableAnswer):
                logger.info("call %s: a change of media is refused: %s", self._user.call_id, answer.message)
                return Reply(code=488)
            sdp, media = answer.sdp, answer.media
        elif changes and not self._local.codecs:
            return Reply(code=488)
        elif changes:
            sdp = self._local.offer()
        if sdp:
            self._offer_wanted = False  # it says where our stream is
            self._stop("offer")
        self._retarget(request, now)
        timer, lines = accept(request, self._timer)
        self._set_timer(timer, now)
        self._change(media, now)
        return Reply(code=200, lines=(self._contact(self._dialog), SUPPORTED, *lines), sdp=sdp)

    @property
    def _offering(self) -> bool:
        """An offer of ours has no answer yet, or a re-INVITE of ours is under way."""
        return isinstance(self._pending, InviteClient) or (self._sent is not None and self._sent.offered)

    def await_ack(self, transaction: ServerTransaction, request: Request, data: bytes, now: float) -> None:
        """Our 2xx `data` to a re-INVITE left: send it again until its ACK comes."""
        t1 = self._stack.config.t1
        offered = extract_sdp(request.content_type, request.body) is None
        self._sent = _Unacknowledged(
            transaction=transaction, cseq=request.cseq, data=data, interval=t1, until=now + 64 * t1, offered=offered
        )
        self._start("resend", now + t1, self._resend)

    def _resend(self, now: float) -> None:
        sent = self._sent
        if sent is None:
            return
        if now >= sent.until:
            self._user.bye(now, OwnEnd.NOT_ACKNOWLEDGED)
            return
        sent.transaction.respond(200, sent.data, now)
        sent.interval = min(2 * sent.interval, self._stack.config.t2)
        self._start("resend", min(now + sent.interval, sent.until), self._resend)

    def receive_ack(self, request: Request, now: float) -> bool:
        """The ACK to our 2xx; whether it was one."""
        sent = self._sent
        if sent is None or request.cseq != sent.cseq:
            return False
        self._sent = None
        self._stop("resend")
        if sent.offered:
            self._take_answer(extract_sdp(request.content_type, request.body), now)
        return True

    def _take_answer(self, sdp: bytes | None, now: float) -> None:
        media = self._local.take_answer(sdp)
        if isinstance(media, MediaPlan):
            self._change(media, now)
        else:
            self._end_without_media(media, now)

    def _end_without_media(self, why: UnusableAnswer, now: float) -> None:
        logger.info("call %s: %s", self._user.call_id, why.message)
        self._user.bye(now, OwnEnd.MEDIA_UNUSABLE.format(why.message))

    def _change(self, media: MediaPlan | None, now: float) -> None:
        if media is not None and media != self._media:
            self._media = media
            self._user.emit(MediaChanged(call_id=self._user.call_id, at=now, media=media))

    def _retarget(self, message: Message, now: float) -> None:
        assert self._dialog is not None
        before = self._dialog.target
        self._dialog.retarget(message)
        if self._dialog.target != before:
            self._user.emit(DialogMoved(call_id=self._user.call_id, at=now, dialog=self._dialog.state))
            self._user.find_peer(now)

    # Our refreshes.

    def _set_timer(self, timer: SessionTimer | None, now: float) -> None:
        self._timer = timer
        self._stop("refresh")
        self._stop("dead")
        if timer is not None:
            self._start("dead", now + timer.dead_after_s, self._give_up)
            if timer.ours:
                self._start("refresh", now + timer.refresh_after_s, self._refresh)

    def _give_up(self, now: float) -> None:
        if self._refused:
            reason = OwnEnd.REFRESH_REFUSED.format(self._refused)
        elif self._timer is not None and self._timer.ours:
            reason = OwnEnd.REFRESH_UNANSWERED
        else:
            reason = OwnEnd.NOT_REFRESHED
        self._user.bye(now, reason)

    # Our requests.

    def change_address(self, host: str | None, port: int, now: float) -> None:
        """Offer our stream at another port by a re-INVITE (RFC 3261 section 14.1); `host` None: the address stays."""
        self._local.move(host, port)
        self._offer_wanted = True
        self._refresh(now)

    def _refresh(self, now: float) -> None:
        self._auth.start_request()
        self._send_refresh(now)

    def _send_refresh(self, now: float) -> None:
        # What is wanted while a request is pending is sent when that one is over.
        dialog, timer = self._dialog, self._timer
        wanted = timer is not None or self._offer_wanted
        if dialog is None or not wanted or self._pending is not None or self._over:
            return
        if self._sent is not None:
            # A re-INVITE of the peer is not over yet (RFC 3261 section 14.1).
            self._start(self._retry, now + self._stack.config.t2, self._refresh)
            return
        # Every peer knows re-INVITE. UPDATE, where the peer allows it, is a refresh without offer and ACK.
        by_invite = self._offer_wanted or self._no_update or "UPDATE" not in dialog.allowed
        method = "INVITE" if by_invite else "UPDATE"
        lines = (
            self._contact(dialog),
            *self._timer_lines(timer),
            SUPPORTED,
            *self._auth.lines(method, dialog.request_uri, dialog.next_hop),
            ALLOW,
            f"User-Agent: {self._stack.config.user_agent}",
        )
        # RFC 4028 section 7.4: a refresh offers what is in force, with the version of o= as it was.
        body = self._local.offer() if method == "INVITE" else b""
        request = dialog.request(method, dialog.next_cseq(), lines, body)
        kind = InviteClient if method == "INVITE" else NonInviteClient
        self._ack = None
        self._offered, self._offer_wanted = self._offer_wanted, False
        self._pending = kind(self._stack, request, self)
        self._user.begin(self._pending, now)

    def _timer_lines(self, timer: SessionTimer | None) -> tuple[str, ...]:
        if timer is None:
            return ()
        interval = SessionTimer(interval_s=max(timer.interval_s, self._min_se), ours=True)
        return (
            interval.line(refresher="uac"),
            *((f"Min-SE: {self._min_se}",) if self._min_se > MIN_SE else ()),
        )

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """A response to our re-INVITE or UPDATE."""
        is_invite = isinstance(transaction, InviteClient)
        # Before all else, after the end of the call too: without an ACK the peer would repeat its 2xx for 32 s.
        if is_invite and 200 <= response.code < 300:
            self._acknowledge(transaction)
        if response.code < 200 or transaction is not self._pending:
            return
        self._pending = None
        if self._over:
            return
        offered, self._offered = self._offered, False
        if response.code < 300:
            self._refreshed(response, now, is_invite=is_invite, offered=offered)
        elif response.code in _GONE:
            self._user.bye(now, OwnEnd.DIALOG_UNKNOWN.format(_said(response)))
        elif response.code == 491:
            # RFC 3261 section 14.1: we own the Call-ID, so 2.1 to 4 s.
            wait = 2.1 + 1.9 * self._stack.config.random_bytes(1)[0] / 255
            self._offer_wanted = self._offer_wanted or offered
            self._start(self._retry, now + wait, self._refresh)
        elif self._learn(response, transaction):
            self._offer_wanted = self._offer_wanted or offered
            self._send_refresh(now)
        elif offered:
            self._stay(_said(response))
        else:
            self._try_again(response, now, was_invite=is_invite)
        # Our stream has moved once more while this request was under way.
        if self._offer_wanted and self._pending is None and "offer" not in self._running:
            self._refresh(now)

    def _try_again(self, response: Response, now: float, *, was_invite: bool) -> None:
        """A refresh was refused for now: the second try is a re-INVITE, and others follow until the session is dead.

        RFC 4028 section 10 ends a session for 408 and 481 alone. Some peers know UPDATE by name and answer it with 500.
        """
        self._refused, self._no_update = _said(response), True
        wait_s = pause_asked_for(response.get("retry-after")) or (_AGAIN_S if was_invite else 0.0)
        if wait_s:
            self._start(self._retry, now + wait_s, self._refresh)
        else:
            self._refresh(now)

    def _refreshed(self, response: Response, now: float, *, is_invite: bool, offered: bool) -> None:
        assert self._dialog is not None
        self._refused = ""
        self._retarget(response, now)
        self._set_timer(agreed(response), now)
        sdp = extract_sdp(response.content_type, response.body) if is_invite else None
        if sdp is None:
            return
        media = self._local.take_answer(sdp)
        if isinstance(media, MediaPlan):
            self._change(media, now)
        elif offered:
            self._stay(media.message)
        else:
            self._end_without_media(media, now)

    def _stay(self, why: str) -> None:
        """The peer refuses the new place: the session stays what it was, and our stream is heard from there anyway.

        Nearly all peers answer to where packets come from.
        """
        logger.info("call %s: a new place of our stream is refused: %s", self._user.call_id, why)

    @property
    def _retry(self) -> str:
        """Our next request's timer: `offer`, which changes of the session timer leave alone, or its own, `refresh`."""
        return "offer" if self._offer_wanted else "refresh"

    def _learn(self, response: Response, transaction: ClientTransaction) -> bool:
        """Whether another try is worthwhile."""
        if self._auth.is_challenged(response, transaction.hop):
            return self._auth.tries_again(response, transaction.hop)
        if response.code == 422 and (wanted := min_se(response) or 0) > self._min_se:
            self._min_se = wanted
            return True
        if response.code in _UNKNOWN_METHOD and not isinstance(transaction, InviteClient):
            self._no_update = True
            return True
        return False

    def _acknowledge(self, transaction: ClientTransaction) -> None:
        assert self._dialog is not None
        # Made once: each copy of the 2xx gets the same ACK (RFC 3261 section 13.2.2.4).
        if self._ack is None or self._ack.cseq != transaction.request.cseq:
            lines = tuple(line for line in transaction.request.lines if "uthorization:" in line)
            self._ack = self._dialog.request("ACK", transaction.request.cseq, lines)
        self._stack.send(self._ack.data, self._ack.hop)

    def on_no_response(self, transaction: ClientTransaction, now: float, happening: str) -> None:
        """The peer is gone (RFC 4028 section 10)."""
        self._pending = None
        if self._offered:
            self._offered = False
            self._stay("no answer")
        else:
            self._user.bye(now, OwnEnd.REFRESH_UNANSWERED)

    def on_terminated(self, transaction: ClientTransaction, now: float) -> None:
        """One transaction less."""
        self._user.on_terminated(transaction, now)

    def _start(self, name: str, when: float, callback: Callable[[float], None]) -> None:
        self._stop(name)

        def fired(now: float) -> None:
            self._running.pop(name, None)
            callback(now)

        self._running[name] = self._stack.timers.start(when, fired, call_id=self._user.call_id)

    def _stop(self, name: str) -> None:
        timer = self._running.pop(name, None)
        if timer is not None:
            self._stack.timers.stop(timer)


def _said(response: Response) -> str:
    return f"{response.code} {response.reason}".rstrip()
