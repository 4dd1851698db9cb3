"""Traces: the SIP messages of the latest calls, as the dialer packed them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, func, select

from autodialer.clock import Clock
from autodialer.store.calls.tables import call_traces, calls
from autodialer.store.queue.tables import call_jobs
from autodialer.store.setup.tables import subscribers
from autodialer.store.sql.batches import BATCH_ROWS
from autodialer.store.sql.engine import Database, insert_into
from autodialer.store.sql.owned import not_deleted

PRUNED_ROWS = 2 * BATCH_ROWS
"""Removed at most in one transaction: more than one writes, so that it keeps up, and not a million at once."""
_FIRST = select(func.min(call_traces.c.key))
_LAST = select(func.max(call_traces.c.key))
"""Apart: SQLite finds the least and the greatest by the key's order only when it is asked for one of them."""


@dataclass(frozen=True, kw_only=True)
class KeptTrace:
    """The messages of one call."""

    packed: bytes
    written_at: datetime
    """A call that is under way is written again when somebody asks."""


class Traces:
    """The traces."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        there = insert_into(database.dialect, call_traces)
        new = {"packed": there.excluded.packed, "written_at": there.excluded.written_at}
        self._upsert = there.on_conflict_do_update(index_elements=[call_traces.c.call_id], set_=new)

    def write(self, traces: Mapping[UUID, bytes], *, keep: int, longest: timedelta) -> bool:
        """Keep these by their calls' ids; keep at most `keep` in all, the latest, and none longer than `longest`.

        Whether more than this could remove is still to be removed: write again soon, if only nothing. Raises
        Unavailable.
        """
        now = self._clock.utcnow()
        rows = [{"call_id": call_id, "written_at": now, "packed": packed} for call_id, packed in traces.items()]
        more = False
        for start in range(0, max(1, len(rows)), BATCH_ROWS):
            with self._database.write(durable=False) as connection:
                batch = _of_known_people(connection, rows[start : start + BATCH_ROWS])
                if batch:
                    connection.execute(self._upsert, batch)
                more = _prune(connection, keep, now - longest)
        return more

    def read(self, call_id: UUID) -> KeptTrace | None:
        """The trace of a call; None when it is not kept."""
        query = select(call_traces.c.packed, call_traces.c.written_at).where(call_traces.c.call_id == call_id)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return KeptTrace(packed=bytes(row.packed), written_at=row.written_at) if row is not None else None


def _of_known_people(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The traces without those of people who were erased meanwhile."""
    if not rows:
        return []
    ids = [row["call_id"] for row in rows]
    under_way = (
        select(call_jobs.c.call_id)
        .join(subscribers, subscribers.c.key == call_jobs.c.subscriber_key)
        .where(call_jobs.c.call_id.in_(ids), subscribers.c.number.is_(None), not_deleted(subscribers))
    )
    ended = select(calls.c.id).where(calls.c.id.in_(ids), calls.c.number == "")
    erased = {*connection.execute(under_way).scalars(), *connection.execute(ended).scalars()}
    return [row for row in rows if row["call_id"] not in erased]


def _prune(connection: Connection, keep: int, before: datetime) -> bool:
    """Remove what is over the number or too old; whether that may not have been all.

    Keys rise by one with each new call, so that the ends of their range tell the number without counting.
    """
    first, last = connection.execute(_FIRST).scalar(), connection.execute(_LAST).scalar()
    if first is None or last is None:
        return False
    over = min(last - keep, first + PRUNED_ROWS - 1)
    removed = connection.execute(delete(call_traces).where(call_traces.c.key <= over)).rowcount if over >= first else 0
    old = select(call_traces.c.key).where(call_traces.c.written_at < before).limit(PRUNED_ROWS)
    removed = max(removed, connection.execute(delete(call_traces).where(call_traces.c.key.in_(old))).rowcount)
    return removed >= PRUNED_ROWS
