"""The dialogs of calls that were just answered: into the store first, then their ACKs leave."""

from uuid import UUID

from autodialer.model import ClaimedJob
from autodialer.phone.pool import PhonePool
from autodialer.sip.dialog_state import DialogState
from autodialer.store import KeptDialog


class AnsweredDialogs:
    """What the next commit of the dialer keeps.

    A dialer that is killed before that commit has not acknowledged the answer: the gateway repeats it, and the dialer
    that starts next hangs up. A dialer that is killed after the commit leaves all that a BYE needs.
    """

    def __init__(self, phones: PhonePool) -> None:
        self._phones = phones
        self._unkept: dict[UUID, KeptDialog] = {}

    def add(self, job: ClaimedJob, dialog: DialogState) -> None:
        """A call was answered, or its callee has moved."""
        self._unkept[job.call_id] = KeptDialog(call_id=job.call_id, trunk_key=job.trunk_key, dialog=dialog.packed())

    def discard(self, job: ClaimedJob) -> None:
        """The call is over."""
        self._unkept.pop(job.call_id, None)

    @property
    def unkept(self) -> list[KeptDialog]:
        """Those to be written."""
        return list(self._unkept.values())

    def kept(self) -> None:
        """They are written."""
        if self._unkept:
            self._phones.acknowledge(self._unkept)
            self._unkept.clear()
