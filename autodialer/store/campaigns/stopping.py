"""Cancels the queued jobs of a stopped campaign."""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select, update

from autodialer.model import JobState, SubscriberState
from autodialer.model.admission import ended_state
from autodialer.store.campaigns.tables import campaign_subscribers
from autodialer.store.queue.tables import call_jobs
from autodialer.store.sql.batches import BATCH_ROWS, PAUSE_S
from autodialer.store.sql.engine import Database
from autodialer.store.sql.prepared import Prepared
from autodialer.store.sql.transitions import is_one_of

BY_STOP = "stopped"
"""The rule that ended the attempts of a subscriber whose campaign was stopped."""


BY_END = "ended"
"""The same of one whose campaign came to its `ends_at`."""


SMALL_BATCH_ROWS = 25
"""Beside the dialer's ticks, which wait for the write lock: 500 rows take 15 ms of a processor, 25 take 1.7."""
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
    with database.write(durable=False) as connection:
        return _cancel_batch(connection, campaign_key, reason, rows) == rows


def _cancel_batch(connection: Connection, campaign_key: int, reason: str, most: int) -> int:
    queued = is_one_of(call_jobs.c.state, JobState.QUEUED)
    of_job = (campaign_subscribers.c.campaign_key == call_jobs.c.campaign_key) & (
        campaign_subscribers.c.subscriber_key == call_jobs.c.subscriber_key
    )
    rows = connection.execute(
        select(call_jobs.c.key, call_jobs.c.subscriber_key, campaign_subscribers.c.retries_used)
        .join(campaign_subscribers, of_job)
        .where(call_jobs.c.campaign_key == campaign_key, queued)
        .limit(most)
    ).all()
    keys = [row.key for row in rows]
    connection.execute(update(call_jobs).where(call_jobs.c.key.in_(keys)).values(state=JobState.CANCELLED.value))
    give_up(connection, [GivenUp(campaign_key, row.subscriber_key, row.retries_used) for row in rows], reason)
    return len(rows)


class GivenUp(NamedTuple):
    """A subscriber of a campaign who gets no further attempt."""

    campaign_key: int
    subscriber_key: int
    retries_used: Mapping[str, int]


_GIVE_UP = Prepared(
    update(campaign_subscribers)
    .where(
        campaign_subscribers.c.campaign_key == bindparam("of_campaign"),
        campaign_subscribers.c.subscriber_key == bindparam("of_subscriber"),
        is_one_of(campaign_subscribers.c.state, SubscriberState.IN_PROGRESS),
    )
    .values(state=bindparam("to_state"), reason=bindparam("why"))
)


def give_up(connection: Connection, people: Sequence[GivenUp], reason: str) -> None:
    """End the attempts at those who were called before; a subscriber who was never called stays pending."""
    rows = [
        {
            "of_campaign": person.campaign_key,
            "of_subscriber": person.subscriber_key,
            "to_state": ended_state(person.retries_used).value,
            "why": reason,
        }
        for person in people
    ]
    if rows:
        _GIVE_UP.execute(connection, rows)
