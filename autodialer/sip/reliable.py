"""Provisional responses that want an acknowledgement (RFC 3262), on the caller's side."""

from autodialer.sip.auth import Authenticator
from autodialer.sip.dialog import Dialog
from autodialer.sip.message import Response
from autodialer.sip.session import SessionUser
from autodialer.sip.session_timer import has_option
from autodialer.sip.stack import Stack
from autodialer.sip.transaction import ClientTransaction, NonInviteClient


def is_reliable(response: Response) -> bool:
    """Whether a response has to be acknowledged by PRACK (RFC 3262 section 4)."""
    return 100 < response.code < 200 and has_option(response, "require", "100rel") and _rseq(response) is not None


class Acknowledger:
    """Sends one PRACK for each reliable provisional response of a call, in their order."""

    def __init__(self, stack: Stack, user: SessionUser, auth: Authenticator) -> None:
        self._stack = stack
        self._user = user
        self._auth = auth
        self._last: dict[tuple[str, int], int] = {}
        """Remote tag and CSeq of the INVITE -> RSeq acknowledged last."""
        self._pracks: dict[ClientTransaction, tuple[Dialog, str]] = {}
        """With the RAck header line."""

    def take(self, dialog: Dialog, response: Response, now: float) -> bool:
        """Acknowledge a reliable response. False: it is a copy or out of order, and to be ignored."""
        rseq = _rseq(response)
        if not is_reliable(response) or rseq is None:
            return True
        last = self._last.get((dialog.remote_tag, response.cseq))
        # RFC 3262 section 4: the first may have any number; a later one is ignored until the one before it has come.
        if last is not None and rseq != last + 1:
            return False
        self._last[dialog.remote_tag, response.cseq] = rseq
        self._auth.start_request()
        self._send(dialog, f"RAck: {rseq} {response.cseq} {response.cseq_method}", now)
        return True

    def _send(self, dialog: Dialog, rack: str, now: float) -> None:
        credentials = self._auth.lines("PRACK", dialog.request_uri, dialog.next_hop)
        lines = (rack, *credentials, f"User-Agent: {self._stack.config.user_agent}")
        prack = NonInviteClient(self._stack, dialog.request("PRACK", dialog.next_cseq(), lines), self)
        self._pracks[prack] = (dialog, rack)
        self._user.begin(prack, now)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """A response to a PRACK: only a challenge matters."""
        if self._auth.tries_again(response, transaction.hop):
            self._send(*self._pracks[transaction], now)

    def on_no_response(self, transaction: ClientTransaction, now: float, happening: str) -> None:
        """The gateway sends its response again or gives the INVITE up by itself."""

    def on_terminated(self, transaction: ClientTransaction, now: float) -> None:
        """One transaction less."""
        self._pracks.pop(transaction, None)
        self._user.on_terminated(transaction, now)


def _rseq(response: Response) -> int | None:
    digits = (response.get("rseq") or "").strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 10 and int(digits) > 0 else None
