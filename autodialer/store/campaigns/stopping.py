"""Cancels the queued jobs of a stopped campaign."""

import time

from sqlalchemy import Connection, bindparam, select, update

from autodialer.model import JobState, SubscriberState
from autodialer.store.campaigns.tables import campaign_subscribers
from autodialer.store.queue.tables import call_jobs
from autodialer.store.sql.batches import BATCH_ROWS, PAUSE_S
from autodialer.store.sql.engine import Database
from autodialer.store.sql.transitions import is_one_of

BY_STOP = "stopped"
"""The rule that ended the attempts of a subscriber whose campaign was stopped."""


BY_END = "ended"
"""The same of one whose campaign came to its `ends_at`."""


SMALL_BATCH_ROWS = 100
"""Beside the dialer's ticks: 500 rows take 15 ms, for which a tick would have to wait."""
BATCHES_AWAITED = 4
"""Batches that a request waits for; the dialer cancels the rest in the background, so that no request takes seconds."""


def cancel_queued(database: Database, campaign_key: int, *, reason: str = BY_STOP) -> None:
    """Cancel the first queued jobs; `reason` is why a subscriber who waited for another attempt gets none."""
    for _ in range(BATCHES_AWAITED):
        if not cancel_batch(database, campaign_key, reason=reason, rows=BATCH_ROWS):
            return
        time.sleep(PAUSE_S)


def cancel_batch(database: Database, campaign_key: int, *, reason: str, rows: int = SMALL_BATCH_ROWS) -> bool:
    """Cancel up to `rows` queued jobs, as one transaction; returns whether more may be left."""
    with database.write() as connection:
        return _cancel_batch(connection, campaign_key, reason, rows) == rows


def _cancel_batch(connection: Connection, campaign_key: int, reason: str, most: int) -> int:
    queued = is_one_of(call_jobs.c.state, JobState.QUEUED)
    rows = connection.execute(
        select(call_jobs.c.key, call_jobs.c.subscriber_key)
        .where(call_jobs.c.campaign_key == campaign_key, queued)
        .limit(most)
    ).all()
    keys = [row.key for row in rows]
    connection.execute(update(call_jobs).where(call_jobs.c.key.in_(keys)).values(state=JobState.CANCELLED.value))
    # A subscriber who was never called stays pending; a subscriber who waited for another attempt gets no more.
    begun = (
        (campaign_subscribers.c.campaign_key == campaign_key)
        & (campaign_subscribers.c.subscriber_key == bindparam("of_subscriber"))
        & is_one_of(campaign_subscribers.c.state, SubscriberState.IN_PROGRESS)
    )
    if rows:
        connection.execute(
            update(campaign_subscribers).where(begun).values(state=SubscriberState.EXHAUSTED.value, reason=reason),
            [{"of_subscriber": row.subscriber_key} for row in rows],
        )
    return len(rows)
