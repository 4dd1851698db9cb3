"""What is forgotten after a time: calls, and callbases with their people. In small batches, beside everything else."""

import time
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Select, case, delete, func, select, update

from autodialer.errors import Conflict, NotFound
from autodialer.model import CampaignState
from autodialer.store.calls.tables import call_traces, calls
from autodialer.store.campaigns.tables import campaigns
from autodialer.store.forget.erasing import NOBODY
from autodialer.store.setup.callbases import BATCH_ROWS, PAUSE_S, Callbases
from autodialer.store.setup.tables import callbases
from autodialer.store.sql.engine import Database
from autodialer.store.sql.transitions import is_one_of

_ENDED = is_one_of(campaigns.c.state, CampaignState.FINISHED, CampaignState.STOPPED)


class Retention:
    """Forgets what is older than it need be."""

    def __init__(self, database: Database, callbases_of: Callbases) -> None:
        self._database = database
        self._callbases = callbases_of

    def delete_calls(self, before: datetime) -> int:
        """Delete calls of ended campaigns that ended before then, with their traces; returns how many."""
        deleted = 0
        last_key = 0
        while True:
            with self._database.write() as connection:
                found = connection.execute(_old_calls(last_key, before)).all()
                _delete_calls(connection, [row.key for row in found], [row.id for row in found])
            deleted += len(found)
            if len(found) < BATCH_ROWS:
                return deleted
            last_key = found[-1].key
            time.sleep(PAUSE_S)

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
        of_callbase = select(campaigns.c.key).where(campaigns.c.callbase_key == callbase_key)
        named = calls.c.campaign_key.in_(of_callbase) & (calls.c.number != "")
        batch = select(calls.c.key).where(named).limit(BATCH_ROWS).scalar_subquery()
        blank = update(calls).where(calls.c.key.in_(batch)).values(NOBODY)
        while True:
            with self._database.write() as connection:
                changed = connection.execute(blank).rowcount
            if changed < BATCH_ROWS:
                return
            time.sleep(PAUSE_S)


def _old_calls(after_key: int, before: datetime) -> Select[tuple[int, UUID]]:
    return (
        select(calls.c.key, calls.c.id)
        .join(campaigns, campaigns.c.key == calls.c.campaign_key)
        .where(calls.c.key > after_key, calls.c.ended_at < before, _ENDED)
        .order_by(calls.c.key)
        .limit(BATCH_ROWS)
    )


def _delete_calls(connection: Connection, keys: list[int], ids: list[UUID]) -> None:
    if keys:
        connection.execute(delete(call_traces).where(call_traces.c.call_id.in_(ids)))
        connection.execute(delete(calls).where(calls.c.key.in_(keys)))


def _old_callbases(before: datetime) -> Select[tuple[int, UUID]]:
    """Those with campaigns, the latest of which ended before then, and none that has not ended."""
    return (
        select(callbases.c.key, callbases.c.id)
        .join(campaigns, campaigns.c.callbase_key == callbases.c.key)
        .where(callbases.c.deleted_at.is_(None))
        .group_by(callbases.c.key, callbases.c.id)
        .having(func.sum(case((_ENDED, 0), else_=1)) == 0, func.max(campaigns.c.finished_at) < before)
    )
