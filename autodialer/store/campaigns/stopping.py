"""What becomes of the queued jobs of a stopped campaign."""

import time

from sqlalchemy import Connection, bindparam, select, update

from autodialer.model import JobState, SubscriberState
from autodialer.store.campaigns.tables import campaign_subscribers
from autodialer.store.queue.tables import call_jobs
from autodialer.store.setup.callbases import BATCH_ROWS, PAUSE_S
from autodialer.store.sql.engine import Database
from autodialer.store.sql.transitions import is_one_of

STOPPED = "stopped"
"""The rule that ended the attempts of a subscriber whose campaign was stopped."""


ENDED = "ended"
"""The same of one whose campaign came to its `ends_at`."""


def cancel_queued(database: Database, campaign_key: int, *, reason: str = STOPPED) -> None:
    """Cancel all queued jobs, in batches; `reason` is why whoever waited for another attempt gets none."""
    while True:
        with database.write() as connection:
            cancelled = _cancel_batch(connection, campaign_key, reason)
        if cancelled < BATCH_ROWS:
            return
        time.sleep(PAUSE_S)


def _cancel_batch(connection: Connection, campaign_key: int, reason: str) -> int:
    queued = is_one_of(call_jobs.c.state, JobState.QUEUED)
    rows = connection.execute(
        select(call_jobs.c.key, call_jobs.c.subscriber_key)
        .where(call_jobs.c.campaign_key == campaign_key, queued)
        .limit(BATCH_ROWS)
    ).all()
    keys = [row.key for row in rows]
    connection.execute(update(call_jobs).where(call_jobs.c.key.in_(keys)).values(state=JobState.CANCELLED.value))
    # Who was never called stays pending; who waited for another attempt gets none.
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
