"""The ACKs to the 2xx of one call (RFC 3261 section 13.2.2.4), the first of which may wait for the owner's word.

A peer repeats its 2xx until it is acknowledged: an owner that dies before it could write the dialog down will hear of
it again.
"""

from autodialer.sip.dialog import Dialog
from autodialer.sip.outgoing import OutgoingRequest
from autodialer.sip.stack import Stack
from autodialer.sip.timers import Timer


class Acknowledgements:
    """One ACK for each To tag, the same again for each repeated 2xx."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._made: dict[str, OutgoingRequest] = {}
        """By remote tag."""
        self._held: OutgoingRequest | None = None
        self._timer: Timer | None = None

    def send(self, dialog: Dialog, invite: OutgoingRequest, *, hold_until: float | None = None) -> None:
        """Acknowledge the 2xx of `dialog`; with `hold_until` only when `release` is called, then at the latest."""
        # Credentials are those of the INVITE itself (RFC 3261 section 22.1).
        lines = tuple(line for line in invite.lines if line.startswith(("Authorization:", "Proxy-Authorization:")))
        ack = self._made[dialog.remote_tag] = dialog.request("ACK", invite.cseq, lines)
        if hold_until is None:
            self._stack.send(ack.data, ack.hop)
        else:
            self._held = ack
            # At the latest then, whatever the owner does: a database that is away must not cost the call.
            self._timer = self._stack.timers.start(hold_until, lambda _now: self.release(), call_id=ack.call_id)

    def go_elsewhere(self, dialog: Dialog) -> None:
        """The host name that the ACK should go to has been found: send it there too, and for each repeated 2xx."""
        made = self._made.get(dialog.remote_tag)
        if made is None:
            return
        credentials = tuple(line for line in made.lines if "uthorization:" in line)
        ack = self._made[dialog.remote_tag] = dialog.request("ACK", made.cseq, credentials)
        if made is self._held:
            self._held = ack
        else:
            self._stack.send(ack.data, ack.hop)

    def release(self) -> None:
        """Let the waiting ACK leave; nothing happens without one."""
        held, self._held = self._held, None
        if held is not None:
            self._stack.send(held.data, held.hop)
        if self._timer is not None:
            self._stack.timers.stop(self._timer)
            self._timer = None

    def knows(self, remote_tag: str, cseq: int) -> bool:
        """Whether a 2xx with this tag, to the INVITE of this number, has come."""
        ack = self._made.get(remote_tag)
        return ack is not None and ack.cseq == cseq

    def repeat(self, remote_tag: str) -> bool:
        """A 2xx came: acknowledge it once more if it has come before; whether it has."""
        ack = self._made.get(remote_tag)
        if ack is None:
            return False
        # While the ACK is held, it answers both the 2xx and its copy.
        if ack is self._held:
            self.release()
        else:
            self._stack.send(ack.data, ack.hop)
        return True
