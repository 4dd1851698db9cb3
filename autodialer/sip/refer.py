"""Transfers: a REFER within an answered call (RFC 3515), and what its peer tells of it in NOTIFY.

The subscription that a REFER makes is that of RFC 6665; what it tells is the status line of a message (RFC 3420).
"""

import logging
import re
from collections.abc import Callable, Mapping
from enum import StrEnum

from autodialer.sip.auth import Authenticator
from autodialer.sip.capabilities import ALLOW, SUPPORTED
from autodialer.sip.dialog import Dialog
from autodialer.sip.events import TransferEnd, TransferEnded
from autodialer.sip.fields import parse_params
from autodialer.sip.message import Request, Response
from autodialer.sip.own_end import OwnEnd
from autodialer.sip.session import Reply, SessionUser
from autodialer.sip.stack import Stack
from autodialer.sip.transaction import ClientTransaction, NonInviteClient

logger = logging.getLogger(__name__)

GIVE_UP_S = 60.0
"""How long the peer has, from the REFER, to say how the transfer ended."""
PACKAGE = "refer"
"""Event package of RFC 3515 section 3."""
_GONE = 481
"""The dialog is unknown to the peer, and with it the call (RFC 5057 section 5.1)."""
_STATUS_LINE = re.compile(rb"\s*SIP/2\.0[ \t]+([1-6][0-9][0-9])(?![0-9])")


class TransferState(StrEnum):
    """What a transfer waits for."""

    TRYING = "Trying"
    """The final response to the REFER."""
    ACCEPTED = "Accepted"
    """A NOTIFY that says how it ended."""
    TERMINATED = "Terminated"
    """Nothing."""


class Transfer:
    """One REFER in the dialog of an answered call."""

    def __init__(
        self, stack: Stack, user: SessionUser, auth: Authenticator, dialog: Dialog, lines: tuple[str, ...]
    ) -> None:
        """`lines` are Contact, Refer-To and Referred-By."""
        self._stack = stack
        self._user = user
        self._auth = auth
        self._dialog = dialog
        self._lines = lines
        self.state = TransferState.TRYING
        self._cseqs: set[int] = set()
        """Of the REFER and its copy with credentials: the `id` that its NOTIFYs bear."""
        self._code: int | None = None
        """Last status heard: of the REFER, or told in a NOTIFY."""

    def start(self, now: float) -> None:
        """Send the REFER."""
        call_id = self._user.call_id
        self._timer = self._stack.timers.start(now + GIVE_UP_S, lambda at: self._feed("timeout", at), call_id=call_id)
        self._auth.start_request()
        self._send(now)

    def call_over(self, now: float) -> None:
        """The call has ended; nothing that comes now counts."""
        self._feed("call over", now)

    def peer_hung_up(self, now: float) -> None:
        """The peer's BYE came."""
        self._feed("BYE", now)

    @property
    def over(self) -> bool:
        """Whether its end has been told."""
        return self.state is TransferState.TERMINATED

    def _send(self, now: float) -> None:
        cseq = self._dialog.next_cseq()
        self._cseqs.add(cseq)
        lines = (
            *self._lines,
            *self._auth.lines("REFER", self._dialog.request_uri, self._dialog.next_hop),
            SUPPORTED,
            ALLOW,
            f"User-Agent: {self._stack.config.user_agent}",
        )
        self._user.begin(NonInviteClient(self._stack, self._dialog.request("REFER", cseq, lines), self), now)

    def reply_to(self, request: Request, now: float) -> Reply:
        """Take a NOTIFY of the event package `refer`."""
        # RFC 3515 section 2.4.6: the id is the CSeq of the REFER, and may be missing.
        subscription = parse_params((request.get("event") or "").partition(";")[2]).get("id")
        if self.over or (subscription is not None and subscription not in map(str, self._cseqs)):
            return Reply(code=_GONE)
        status = _STATUS_LINE.match(request.body)
        code = int(status[1]) if status else None
        if code is not None:
            self._code = code
        logger.debug("call %s: the transfer stands at %s", self._user.call_id, code)
        if code is not None and code >= 200:
            self._feed("success told" if code < 300 else "failure told", now)
        elif (request.get("subscription-state") or "").partition(";")[0].strip().lower() == "terminated":
            self._feed("subscription over", now)
        return Reply(code=200)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """A response to the REFER."""
        if response.code < 200 or self.state is not TransferState.TRYING:
            return
        if self._auth.tries_again(response, transaction.hop):
            self._feed("challenge", now)
            return
        self._code = response.code
        self._feed("2xx" if response.code < 300 else "refusal", now)
        if response.code == _GONE:
            self._user.bye(now, OwnEnd.DIALOG_UNKNOWN.format(f"{response.code} {response.reason}".rstrip()))

    def on_no_response(self, transaction: ClientTransaction, now: float, happening: str) -> None:
        """The peer is silent or out of reach."""
        self._feed("no response", now)

    def on_terminated(self, transaction: ClientTransaction, now: float) -> None:
        """One transaction less."""
        self._user.on_terminated(transaction, now)

    def _feed(self, happening: str, now: float) -> None:
        arrow = TABLE.get((self.state, happening))
        if arrow is None:
            return
        actions, state = arrow
        if state is not self.state:
            logger.debug("call %s: transfer %s -> %s", self._user.call_id, self.state, state)
            self.state = state
        if state is TransferState.TERMINATED:
            self._stack.timers.stop(self._timer)
        for action in actions:
            action(self, now)

    def _end_accepted(self, now: float) -> None:
        self._tell(TransferEnd.ACCEPTED, now)

    def _end_refused(self, now: float) -> None:
        self._tell(TransferEnd.REFUSED, now)

    def _end_timeout(self, now: float) -> None:
        self._tell(TransferEnd.TIMEOUT, now)

    def _end_unknown(self, now: float) -> None:
        self._tell(TransferEnd.UNKNOWN, now)

    def _tell(self, how: TransferEnd, now: float) -> None:
        self._user.emit(TransferEnded(call_id=self._user.call_id, at=now, how=how, code=self._code))


_S = TransferState
Action = Callable[[Transfer, float], None]
TABLE: Mapping[tuple[TransferState, str], tuple[tuple[Action, ...], TransferState]] = {
    (_S.TRYING, "challenge"): ((Transfer._send,), _S.TRYING),
    # Nothing is told yet: a 202 says only that the peer will try.
    (_S.TRYING, "2xx"): ((), _S.ACCEPTED),
    (_S.TRYING, "refusal"): ((Transfer._end_refused,), _S.TERMINATED),
    (_S.TRYING, "no response"): ((Transfer._end_timeout,), _S.TERMINATED),
    # A NOTIFY may overtake the 202 (RFC 3515 section 2.4.4).
    (_S.TRYING, "success told"): ((Transfer._end_accepted,), _S.TERMINATED),
    (_S.TRYING, "failure told"): ((Transfer._end_refused,), _S.TERMINATED),
    (_S.TRYING, "timeout"): ((Transfer._end_timeout,), _S.TERMINATED),
    (_S.TRYING, "call over"): ((Transfer._end_unknown,), _S.TERMINATED),
    (_S.ACCEPTED, "success told"): ((Transfer._end_accepted,), _S.TERMINATED),
    (_S.ACCEPTED, "failure told"): ((Transfer._end_refused,), _S.TERMINATED),
    (_S.ACCEPTED, "subscription over"): ((Transfer._end_unknown,), _S.TERMINATED),
    (_S.ACCEPTED, "timeout"): ((Transfer._end_timeout,), _S.TERMINATED),
    # It said 202 and took the callee away, as a blind transfer does: gateways without NOTIFY tell it in no other way.
    (_S.ACCEPTED, "BYE"): ((Transfer._end_accepted,), _S.TERMINATED),
    (_S.ACCEPTED, "call over"): ((Transfer._end_unknown,), _S.TERMINATED),
}
"""State and happening -> actions in order, and the state after."""


class Referrer:
    """The transfers of one call: one at a time."""

    def __init__(self, stack: Stack, user: SessionUser, auth: Authenticator, contact_user: str) -> None:
        self._stack = stack
        self._user = user
        self._auth = auth
        self._contact_user = contact_user
        self._transfer: Transfer | None = None

    def refer(self, dialog: Dialog, target: str, referred_by: str, now: float) -> None:
        """Ask the peer to call the SIP URI `target` in place of this call; does nothing during a transfer."""
        if self._transfer is not None and not self._transfer.over:
            return
        lines = (
            self._stack.contact(self._contact_user, dialog.flow),
            f"Refer-To: <{target}>",
            # RFC 3892: names who wants the transfer, for peers that check who may.
            f"Referred-By: <{referred_by}>",
        )
        self._transfer = Transfer(self._stack, self._user, self._auth, dialog, lines)
        self._transfer.start(now)

    def peer_hung_up(self, now: float) -> None:
        """The peer ended the call, before or after it said how a transfer ended."""
        if self._transfer is not None:
            self._transfer.peer_hung_up(now)

    def stop(self, now: float) -> None:
        """The call is over."""
        if self._transfer is not None:
            self._transfer.call_over(now)

    def reply_to(self, request: Request, now: float) -> Reply:
        """Take a NOTIFY: a NOTIFY of another event package, such as a keep-alive, needs only its 200."""
        package = (request.get("event") or "").partition(";")[0].strip().lower()
        if package != PACKAGE:
            return Reply(code=200)
        return self._transfer.reply_to(request, now) if self._transfer is not None else Reply(code=_GONE)
