"""Clears deleted campaigns away: calls, traces, jobs, subscribers' states and figures, 500 rows a transaction.

What is to go is looked for in read transactions, which hold up nobody. Two things outlive the deletion for a while,
seen by nobody: calls that a cap across campaigns may still count, without what tells more than number, time and
outcome; and who was reached, for as long as a follow-up campaign leaves those people out.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, and_, bindparam, delete, exists, select, update

from autodialer.clock import Clock
from autodialer.store.calls.tables import call_traces, calls
from autodialer.store.campaigns.tables import (
    campaign_diary,
    campaign_origins,
    campaign_slices,
    campaign_subscribers,
    campaigns,
)
from autodialer.store.figures.tables import (
    call_counts,
    call_spreads,
    call_tallies,
    key_counts,
    key_tallies,
    subscriber_counts,
)
from autodialer.store.forget.erasing import ERASED_CALL
from autodialer.store.live.tables import commands
from autodialer.store.queue.frequency import LONGEST_SPAN
from autodialer.store.queue.tables import call_jobs
from autodialer.store.sql.batches import BATCH_ROWS
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.owned import not_deleted

LOOK_AGAIN = timedelta(minutes=1)
"""At a campaign of which something has to stay: it may be needed no longer. A look is a few cheap reads, ..."""
LOOK_AT_CALLS_AGAIN = timedelta(hours=1)
"""... but one at the calls that stay reads all of them."""
BLANKED_CALL = {name: value for name, value in ERASED_CALL.items() if name != "number"}
"""What a call row holds that only caps are to count."""

ROWS_OF_CAMPAIGN: Sequence[Table] = (
    # Jobs before the rows that they refer to.
    call_jobs,
    campaign_subscribers,
    campaign_slices,
    campaign_diary,
    call_counts,
    call_spreads,
    call_tallies,
    key_counts,
    key_tallies,
    subscriber_counts,
    commands,
)
"""What goes in batches, in this order; other tables go with the campaign's own row."""


class Clearing:
    """Takes deleted campaigns away bit by bit."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._seen: dict[int, int] = {}
        """Campaign -> the call up to which its calls have been gone through."""
        self._resting: dict[int, datetime] = {}
        """Campaign of which all that may go is gone -> when to look again. After a restart all are looked at."""

    def clear_some(self) -> bool:
        """Take away up to 500 rows of a deleted campaign, as one transaction.

        Returns whether more may be left; finding nothing costs one cheap read. Raises Unavailable.
        """
        now = self._clock.utcnow()
        with self._database.read() as connection:
            keys = connection.execute(_DELETED).scalars().all()
        for key in keys:
            if now >= self._resting.get(key, now):
                self._clear_batch(key, now)
                return True
        return False

    def _clear_batch(self, key: int, now: datetime) -> None:
        with self._database.read() as connection:
            if connection.execute(_DRAWN_FROM, {"campaign": key}).scalar_one():
                self._rest(key, now + LOOK_AGAIN)
                return
        if self._clear_calls(key, now):
            return
        with self._database.read() as connection:
            oldest = connection.execute(_OLDEST, {"campaign": key}).scalar_one_or_none()
            is_needed = connection.execute(_NEEDED, {"campaign": key}).scalar_one()
        if is_needed:
            self._rest(key, now + LOOK_AGAIN)
            return
        for table in ROWS_OF_CAMPAIGN:
            if self._clear_rows(table, key):
                return
        if oldest is not None:
            self._rest(key, max(oldest + LONGEST_SPAN, now + LOOK_AT_CALLS_AGAIN))
            return
        with self._database.write() as connection:
            connection.execute(delete(campaigns).where(campaigns.c.key == key))
        self._rest(key, None)

    def _rest(self, key: int, until: datetime | None) -> None:
        self._seen.pop(key, None)
        self._resting.pop(key, None)
        if until is not None:
            self._resting[key] = until

    def _clear_calls(self, key: int, now: datetime) -> bool:
        """Go through the next calls; returns whether there were any."""
        with self._database.read() as connection:
            rows = connection.execute(_CALLS_AFTER, {"campaign": key, "after": self._seen.get(key, 0)}).all()
            traced = _traced(connection, rows)
        if not rows:
            return False
        old = [row.key for row in rows if row.invited_at <= now - LONGEST_SPAN]
        telling = [row.key for row in rows if row.invited_at > now - LONGEST_SPAN and _tells_more(row)]
        if old or telling or traced:
            with self._database.write() as connection:
                connection.execute(delete(call_traces).where(call_traces.c.key.in_(traced)))
                connection.execute(delete(calls).where(calls.c.key.in_(old)))
                connection.execute(update(calls).where(calls.c.key.in_(telling)).values(BLANKED_CALL))
        self._seen[key] = rows[-1].key
        return True

    def _clear_rows(self, table: Table, key: int) -> bool:
        columns = list(table.primary_key.columns)
        some = select(*columns).where(table.c.campaign_key == key).limit(BATCH_ROWS)
        with self._database.read() as connection:
            rows = connection.execute(some).all()
        if not rows:
            return False
        this = and_(*(column == bindparam(f"its_{column.name}") for column in columns))
        with self._database.write() as connection:
            connection.execute(
                delete(table).where(this),
                [{f"its_{name}": value for name, value in row._asdict().items()} for row in rows],
            )
        return True


_DELETED = select(campaigns.c.key).where(campaigns.c.deleted_at.is_not(None)).order_by(campaigns.c.key)
_CALLS_AFTER = (
    select(calls.c.key, calls.c.id, calls.c.invited_at, *(calls.c[name] for name in BLANKED_CALL))
    .where(calls.c.campaign_key == bindparam("campaign"), calls.c.key > bindparam("after"))
    .order_by(calls.c.key)
    .limit(BATCH_ROWS)
)
_OLDEST = select(calls.c.invited_at).where(calls.c.campaign_key == bindparam("campaign")).order_by(calls.c.key).limit(1)
_DRAWN_FROM = select(
    exists().where(
        campaigns.c.drawn_up_to.is_not(None), campaigns.c.drawn_from == bindparam("campaign"), not_deleted(campaigns)
    )
)
"""Whether people are being drawn from it: its calls say which."""
_FOLLOWER = campaigns.alias("follower")
_NEEDED = select(
    exists().where(
        campaign_origins.c.origin_key == bindparam("campaign"),
        _FOLLOWER.c.key == campaign_origins.c.campaign_key,
        _FOLLOWER.c.deleted_at.is_(None),
    )
)
"""Whether a campaign leaves out the people that this one reached. An ended one counts: its own clones ask the same."""


def _tells_more(row: AnyRow) -> bool:
    kept: dict[str, Any] = {name: getattr(row, name) for name in BLANKED_CALL}
    return kept != BLANKED_CALL


def _traced(connection: Connection, rows: Sequence[AnyRow]) -> Sequence[int]:
    """The keys of the traces of these calls."""
    query = select(call_traces.c.key).where(call_traces.c.call_id.in_([row.id for row in rows]))
    return connection.execute(query).scalars().all()
