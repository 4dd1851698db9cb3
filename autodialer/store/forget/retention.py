"""What is forgotten after a time: calls, and callbases with their people.

What is old is looked for in read transactions, which hold up nobody; a write transaction changes at most 500 rows by
their keys.
"""

import time
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, bindparam, case, delete, exists, func, select, update

from autodialer.errors import Conflict, NotFound
from autodialer.model import CampaignState
from autodialer.store.calls.tables import call_traces, calls
from autodialer.store.campaigns.tables import campaigns
from autodialer.store.forget.erasing import ERASED_CALL
from autodialer.store.setup.callbases import Callbases
from autodialer.store.setup.tables import callbases
from autodialer.store.sql.batches import BATCH_ROWS, PAUSE_S
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.transitions import is_one_of

_ENDED = is_one_of(campaigns.c.state, CampaignState.FINISHED, CampaignState.STOPPED)


class Retention:
    """Forgets what is older than it need be."""

    def __init__(self, database: Database, callbases_of: Callbases) -> None:
        self._database = database
        self._callbases = callbases_of

    def delete_calls(self, before: datetime) -> int:
        """Delete calls of ended campaigns that ended before then, with their traces; returns how many."""
        with self._database.read() as connection:
            keys = connection.execute(_ENDED_WITH_CALLS, {"before": before}).scalars().all()
        return sum(self._delete_calls_of(key, before) for key in keys)

    def _delete_calls_of(self, campaign_key: int, before: datetime) -> int:
        deleted = after = 0
        while True:
            rows = self._calls_after(campaign_key, after)
            old = [row for row in rows if row.ended_at < before]
            if not old:
                # A campaign's calls are written in the order in which they end, so nothing after these is older.
                return deleted
            with self._database.write() as connection:
                connection.execute(delete(call_traces).where(call_traces.c.call_id.in_([row.id for row in old])))
                connection.execute(delete(calls).where(calls.c.key.in_([row.key for row in old])))
            deleted += len(old)
            after = rows[-1].key
            time.sleep(PAUSE_S)

    def _calls_after(self, campaign_key: int, after: int) -> Sequence[AnyRow]:
        """The next batch of a campaign's calls, found outside the write lock: a claim does not wait for the search."""
        with self._database.read() as connection:
            return connection.execute(_CALLS_AFTER, {"campaign": campaign_key, "after": after}).all()

    def delete_callbases(self, before: datetime) -> list[UUID]:
        """Delete callbases whose campaigns have all ended before then; returns their ids.

        A callbase that no campaign has ever used stays: its user may still mean to. The calls that are left of it lose
        their numbers.
        """
        with self._database.read() as connection:
            found = connection.execute(_old_callbases(before)).all()
        deleted = []
        for row in found:
            try:
                self._callbases.delete(row.id, None)
            except (Conflict, NotFound):
                continue  # somebody took it for a new campaign, or deleted it, in this moment
            self._blank_numbers(row.key)
            deleted.append(row.id)
        return deleted

    def _blank_numbers(self, callbase_key: int) -> None:
        with self._database.read() as connection:
            of_callbase = select(campaigns.c.key).where(campaigns.c.callbase_key == callbase_key)
            keys = connection.execute(of_callbase).scalars().all()
        for key in keys:
            after = 0
            while rows := self._calls_after(key, after):
                named = [row.key for row in rows if row.number]
                if named:
                    with self._database.write() as connection:
                        connection.execute(update(calls).where(calls.c.key.in_(named)).values(ERASED_CALL))
                    time.sleep(PAUSE_S)
                after = rows[-1].key


_ENDED_WITH_CALLS = (
    select(campaigns.c.key)
    .where(
        _ENDED, campaigns.c.created_at < bindparam("before"), exists().where(calls.c.campaign_key == campaigns.c.key)
    )
    .order_by(campaigns.c.key)
)
_CALLS_AFTER = (
    select(calls.c.key, calls.c.id, calls.c.number, calls.c.ended_at)
    .where(calls.c.campaign_key == bindparam("campaign"), calls.c.key > bindparam("after"))
    .order_by(calls.c.key)
    .limit(BATCH_ROWS)
)


def _old_callbases(before: datetime) -> Select[tuple[int, UUID]]:
    """Those with campaigns, the latest of which ended before then, and none that has not ended."""
    return (
        select(callbases.c.key, callbases.c.id)
        .join(campaigns, campaigns.c.callbase_key == callbases.c.key)
        .where(callbases.c.deleted_at.is_(None))
        .group_by(callbases.c.key, callbases.c.id)
        .having(func.sum(case((_ENDED, 0), else_=1)) == 0, func.max(campaigns.c.finished_at) < before)
    )
