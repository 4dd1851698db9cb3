"""What ends the calls under way, should this dialer die: into the store first, then the ACKs of answers leave."""

from uuid import UUID

from autodialer.model import ClaimedJob
from autodialer.phone.pool import PhonePool
from autodialer.sip.dialog_state import DialogState
from autodialer.sip.left_invite import LeftInvite
from autodialer.store import KeptDialog


class LeftCalls:
    """What the next commit of the dialer keeps: INVITEs that were heard of, and dialogs that were answered.

    A dialer that is killed before the commit of an answer has not acknowledged it: the gateway repeats it, and the
    dialer that starts next hangs up. A dialer that is killed after the commit leaves all that a BYE needs.
    """

    def __init__(self, phones: PhonePool) -> None:
        self._phones = phones
        self._unkept: dict[UUID, tuple[ClaimedJob, DialogState | LeftInvite]] = {}

    def add(self, job: ClaimedJob, dialog: DialogState | LeftInvite) -> None:
        """An INVITE was heard of, a call was answered, or its callee has moved."""
        self._unkept[job.call_id] = (job, dialog)

    def discard(self, job: ClaimedJob) -> None:
        """The call is over."""
        self._unkept.pop(job.call_id, None)

    @property
    def unkept(self) -> list[KeptDialog]:
        """What the next commit has to write."""
        return [
            KeptDialog(call_id=call_id, trunk_key=job.trunk_key, dialog=left.packed())
            for call_id, (job, left) in self._unkept.items()
        ]

    def kept(self) -> None:
        """They are written."""
        # A call that rang when this was read may be answered by now: its ACK waits for its dialog.
        answered = [call_id for call_id, (_, left) in self._unkept.items() if isinstance(left, DialogState)]
        if answered:
            self._phones.acknowledge(answered)
        self._unkept.clear()
