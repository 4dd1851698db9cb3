"""What ends a call: kept while it rings and while it is up, so that the dialer after a dead one can end it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, func, select

from autodialer.model import Disposition
from autodialer.store.calls.tables import calls
from autodialer.store.campaigns.tables import campaigns
from autodialer.store.queue.tables import dialogs
from autodialer.store.sql.engine import Database, insert_into
from autodialer.store.sql.prepared import Prepared

LOOKED_AT = 20_000
"""Latest calls among which those that were cut off are looked for."""


@dataclass(frozen=True, kw_only=True)
class KeptDialog:
    """What ends one call: its INVITE while it rings, its dialog once it is answered."""

    call_id: UUID
    trunk_key: int
    dialog: str
    """What a CANCEL or a BYE needs, as the SIP core wrote it."""


@dataclass(frozen=True, kw_only=True)
class CutOff:
    """A call that was found without an outcome when a dialer started."""

    call_id: UUID
    number: str | None
    """None: it has been erased since."""
    caller_id: str | None
    """Of the campaign; None: the trunk's."""


# PostgreSQL takes the same words.
_ADD = insert_into("sqlite", dialogs)
_KEEP = Prepared(
    # The dialog of the answer takes the place of the INVITE that rang.
    _ADD.on_conflict_do_update(index_elements=[dialogs.c.call_id], set_={"dialog": _ADD.excluded.dialog}),
    columns=["call_id", "trunk_key", "dialog"],
)
_FORGET = Prepared(delete(dialogs).where(dialogs.c.call_id == bindparam("of_call")))


def keep(connection: Connection, kept: Sequence[KeptDialog]) -> None:
    """Write dialogs; a dialog that is kept already is replaced."""
    if kept:
        _KEEP.execute(connection, [vars(one) for one in kept])


def forget(connection: Connection, call_ids: Sequence[UUID]) -> None:
    """Remove the dialogs of calls that are over."""
    if call_ids:
        _FORGET.execute(connection, [{"of_call": call_id} for call_id in call_ids])


class Dialogs:
    """What an earlier dialer left."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[KeptDialog]:
        """Dialogs that nobody has hung up as far as the store knows."""
        with self._database.read() as connection:
            return [KeptDialog(**row._mapping) for row in connection.execute(select(dialogs))]

    def forget(self, call_ids: Sequence[UUID]) -> None:
        """Remove the dialogs of these calls. Raises Unavailable."""
        with self._database.write() as connection:
            forget(connection, call_ids)

    def cut_off_since(self, at: datetime) -> dict[int, list[CutOff]]:
        """Trunk key -> the calls of late that were found without an outcome when a dialer started."""
        last = select(func.max(calls.c.key)).scalar_subquery()
        query = (
            select(calls.c.trunk_key, calls.c.id, calls.c.number, campaigns.c.caller_id)
            .join(campaigns, campaigns.c.key == calls.c.campaign_key)
            .where(
                # No index has the calls by their end; of a million the latest keys are enough.
                calls.c.key > last - LOOKED_AT,
                calls.c.disposition == Disposition.INTERRUPTED.value,
                calls.c.ended_at >= at,
            )
        )
        found: dict[int, list[CutOff]] = {}
        with self._database.read() as connection:
            for row in connection.execute(query):
                call = CutOff(call_id=row.id, number=row.number, caller_id=row.caller_id)
                found.setdefault(row.trunk_key, []).append(call)
        return found
