"""What an earlier process left at the far side is ended: what rings by CANCEL, what is up by BYE.

For both it wrote down what they are made of.

A peer repeats its 2xx until the ACK comes, so a callee that picks up after a restart tells all that the ACK and the BYE
need (RFC 3261 section 13.2.2.4). Only calls that are known to have been cut off are answered so.
"""

import logging
from collections.abc import Callable, Iterable

from autodialer.sip.auth import Authenticator
from autodialer.sip.dialog_state import DialogState
from autodialer.sip.events import FarewellEnded
from autodialer.sip.hop import Hop
from autodialer.sip.message import Response
from autodialer.sip.outgoing import OutgoingRequest
from autodialer.sip.stack import Stack
from autodialer.sip.transaction import ClientTransaction, NonInviteClient

logger = logging.getLogger(__name__)

CSEQ_GAP = 1000
"""More than a call may have sent after its dialog was kept: a refresh a minute, and answers to challenges."""
GIVE_UP_S = 32.0
"""From the first BYE to the end of waiting, its answer to a challenge included."""
MOST_FORKS = 8
"""Different To tags that are answered for one call: made-up ones must not have us send packets without end."""

Credentials = tuple[str, str] | None


class Farewell:
    """A BYE in a dialog that no call of this process knows: exactly one FarewellEnded."""

    def __init__(
        self, stack: Stack, dialog: DialogState, credentials: Credentials, emit: Callable[[FarewellEnded], None]
    ) -> None:
        self._stack = stack
        self._dialog = dialog
        self._auth = Authenticator(stack, credentials)
        self._cseq = dialog.cseq + CSEQ_GAP
        self._emit = emit
        self._ended = False

    def start(self, now: float) -> None:
        """Send the BYE; FarewellEnded follows within `GIVE_UP_S`."""
        self._stack.timers.start(now + GIVE_UP_S, lambda later: self._end(later, None, "no answer"))
        self._send(now)

    def _send(self, now: float) -> None:
        self._cseq += 1
        uri, _, hop = self._dialog.routing()
        lines = (*self._auth.lines("BYE", uri, hop), f"User-Agent: {self._stack.config.user_agent}")
        bye = self._dialog.request(self._stack, "BYE", self._cseq, lines)
        NonInviteClient(self._stack, bye, self).begin(now)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """Whatever the final answer is, the dialog is over (RFC 3261 section 15.1.1); a challenge is met first."""
        if response.code < 200 or self._ended:
            return
        if self._auth.tries_again(response, transaction.hop):
            self._send(now)
        else:
            self._end(now, response.code, f"{response.code} {response.reason}")

    def on_no_response(self, transaction: ClientTransaction, now: float, happening: str) -> None:
        """Silence, or it could not be delivered."""
        self._end(now, None, "no answer" if happening == "Timer F" else "cannot be reached")

    def on_terminated(self, transaction: ClientTransaction, now: float) -> None:
        """Nothing is kept."""

    def _end(self, now: float, code: int | None, message: str) -> None:
        if not self._ended:
            self._ended = True
            self._emit(FarewellEnded(call_id=self._dialog.call_id, at=now, code=code, message=message))


class Recall:
    """The CANCEL of an INVITE of an earlier process: one FarewellEnded, if that INVITE is known to have left."""

    def __init__(
        self, stack: Stack, invite: OutgoingRequest, emit: Callable[[FarewellEnded], None], *, certain: bool
    ) -> None:
        """`certain`: the INVITE left, as the earlier process wrote down; else it may have."""
        self._stack = stack
        self._invite = invite
        self._emit = emit
        self._certain = certain
        self._ended = False

    def start(self, now: float) -> None:
        """Send it. RFC 3261 section 9.1 wants a provisional response first; without one it gets 481 at worst."""
        cancel = self._invite.cancel((f"User-Agent: {self._stack.config.user_agent}",))
        NonInviteClient(self._stack, cancel, self).begin(now)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """200: the callee's phone falls silent, and the INVITE gets its 487. 481: nothing rings there."""
        if response.code >= 200:
            self._end(now, response.code, f"{response.code} {response.reason}")

    def on_no_response(self, transaction: ClientTransaction, now: float, happening: str) -> None:
        """Silence, or it could not be delivered."""
        self._end(now, None, "no answer" if happening == "Timer F" else "cannot be reached")

    def on_terminated(self, transaction: ClientTransaction, now: float) -> None:
        """Nothing is kept."""

    def _end(self, now: float, code: int | None, message: str) -> None:
        # A 481, or silence, to an INVITE that perhaps never left says nothing about a phone.
        if not self._ended and (self._certain or code == 200):
            self._emit(FarewellEnded(call_id=self._invite.call_id, at=now, code=code, message=message, method="CANCEL"))
        self._ended = True


class Farewells:
    """All farewells of one SIP core."""

    def __init__(self, stack: Stack, emit: Callable[[FarewellEnded], None]) -> None:
        self._stack = stack
        self._emit = emit
        self._said: dict[str, set[str]] = {}
        """Call-ID of a call that was cut off -> the To lines of its dialogs that have had their BYE."""
        self._recalled: dict[str, OutgoingRequest] = {}
        """Branch -> an INVITE that was cancelled, whose final response wants an ACK."""
        self._credentials: Credentials = None

    def recall(self, invite: OutgoingRequest, now: float, *, certain: bool) -> None:
        """Silence the phone that an INVITE of an earlier process has made ring, or (not `certain`) may have."""
        self._recalled[invite.branch] = invite
        self._stack.own_via(invite.via)
        Recall(self._stack, invite, self._emit, certain=certain).start(now)

    def say(self, dialog: DialogState, credentials: Credentials, now: float) -> None:
        """Hang up a dialog that was kept."""
        self._said.setdefault(dialog.call_id, set()).add(dialog.to)
        Farewell(self._stack, dialog, credentials, self._emit).start(now)

    def expect(self, call_ids: Iterable[str], credentials: Credentials, until: float) -> None:
        """Acknowledge and hang up what still answers one of these calls, until that time."""
        self._credentials = credentials
        for call_id in call_ids:
            self._said.setdefault(call_id, set())
        self._stack.timers.start(until, lambda _now: self._forget())

    def _forget(self) -> None:
        self._said.clear()
        self._recalled.clear()

    def take(self, response: Response, source: Hop, now: float) -> bool:
        """A response that no transaction waits for; whether it answered a call that was cut off."""
        if response.cseq_method == "INVITE" and response.code >= 300:
            via = response.top_via
            invite = self._recalled.get(via.params.get("branch", "")) if via is not None else None
            if invite is not None and invite.call_id == response.call_id:
                # No transaction of ours sent that INVITE, so none makes this ACK (RFC 3261 section 17.1.1.3).
                self._stack.send(invite.ack_for(response.headers["to"][0]), invite.hop)
            return invite is not None
        is_answer = response.cseq_method == "INVITE" and 200 <= response.code < 300
        said = self._said.get(response.call_id) if is_answer else None
        dialog = DialogState.of_answer(response, source) if said is not None else None
        if said is None or dialog is None or (dialog.to not in said and len(said) >= MOST_FORKS):
            return False
        # An ACK for each copy, or the peer would repeat its 2xx for 32 s; a BYE for each tag.
        ack = dialog.request(self._stack, "ACK", response.cseq)
        self._stack.send(ack.data, ack.hop)
        if dialog.to not in said:
            logger.info("call %s was answered after it was cut off: it is hung up", response.call_id)
            self.say(dialog, self._credentials, now)
        return True
