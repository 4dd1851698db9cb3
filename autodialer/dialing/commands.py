"""What the API asks of the dialer."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from uuid import UUID

from autodialer.campaign.numbers import dial_string
from autodialer.dialing.digits import send_digits
from autodialer.errors import Unavailable
from autodialer.model import CheckResult, CheckStage, ClaimedJob, Command
from autodialer.phone.checks.checks import TrunkChecks
from autodialer.phone.hang_up import HangUp
from autodialer.phone.pool import PhonePool
from autodialer.store import Store

DELETED = "This trunk was deleted before it could be checked."
logger = logging.getLogger(__name__)


class CommandRunner:
    """Obeys what the API has written into the table of commands, each command once. For the dialer's thread."""

    def __init__(
        self, store: Store, phones: PhonePool, checks: TrunkChecks, wake_trunk: Callable[[int], object]
    ) -> None:
        """`wake_trunk` ends the rest of the trunk with a key."""
        self._store = store
        self._phones = phones
        self._checks = checks
        self._wake_trunk = wake_trunk
        self._obeyed: set[int] = set()
        """Keys of commands that are carried out and that the database does not know to be."""
        self._hung_up: set[UUID] = set()
        """Calls under way that an operator has hung up, each by a command of its own."""

    def has_hung_up(self, call_id: UUID) -> bool:
        """Whether an operator has hung up this very call, which is over; asked once."""
        found = call_id in self._hung_up
        self._hung_up.discard(call_id)
        return found

    def obey_new(self, live: Sequence[ClaimedJob]) -> None:
        """Those that have come, with the calls under way. Raises Unavailable.

        One is taken when it is obeyed, so that a database that refuses in between loses none; and none is obeyed twice
        because the database did not take note: digits would be sent twice.
        """
        # A call that went back to the queue is never asked about; its mark would stay for ever.
        self._hung_up &= {job.call_id for job in live}
        try:
            for command in self._store.commands.new():
                if command.key not in self._obeyed:
                    self._obey_whole(command, live)
                    self._obeyed.add(command.key)
        finally:
            # When a command fails, those obeyed before it are still taken.
            if self._obeyed:
                self._store.commands.take(sorted(self._obeyed))
                self._obeyed.clear()

    def _obey_whole(self, command: Command, live: Sequence[ClaimedJob]) -> None:
        try:
            self._obey(command, live)
        except Unavailable:
            raise
        except Exception:
            # It counts as obeyed: a dialer that ended by it would meet it again at its next start, and end again.
            logger.exception("the command %d, %s, failed by an error in the dialer", command.key, command.kind)

    def _obey(self, command: Command, live: Sequence[ClaimedJob]) -> None:
        if command.kind == "check_trunk" and command.call_id is not None:
            self._check_trunk(command.call_id)
        elif command.kind == "trace_call" and command.call_id is not None:
            self._phones.show_trace(command.call_id)
        elif command.kind == "send_digits":
            send_digits(self._store, self._phones, command)
        elif command.kind == "wake_trunk" and command.trunk_key is not None:
            self._wake_trunk(command.trunk_key)
        for job in live:
            of_campaign = command.kind == "hangup_campaign" and job.campaign_key == command.campaign_key
            of_call = command.kind == "hangup_call" and job.call_id == command.call_id
            if of_call:
                self._hung_up.add(job.call_id)
            if of_campaign or of_call:
                self._phones.hang_up(job.call_id, HangUp.OPERATOR if of_call else HangUp.CAMPAIGN_STOPPED)

    def _check_trunk(self, check_id: UUID) -> None:
        asked = self._store.checks.asked(check_id)
        if asked is None:
            return
        trunk = self._store.trunks.by_key(asked.trunk_key)
        problem = DELETED if trunk.deleted else trunk.problem
        if problem is not None:
            self._store.checks.record(check_id, asdict(_unusable(problem)))
            return
        number = dial_string(asked.number, trunk.number_format) if asked.number else None
        self._checks.start(trunk, number, lambda result: self._store.checks.record(check_id, asdict(result)))


def _unusable(problem: str) -> CheckResult:
    return CheckResult(
        ok=False, stage=CheckStage.DNS, sip_code=None, reason=None, verdict=problem, public_address=None, rtt_ms=None
    )
