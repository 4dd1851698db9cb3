"""The jobs of people who are erased, deleted or changed: what is queued of them in whichever campaign."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, and_, select, update

from autodialer.model import JobState, SubscriberState
from autodialer.model.admission import MOMENTS, ended_state
from autodialer.store.campaigns.tables import campaign_subscribers, campaigns
from autodialer.store.queue.tables import LIVE_JOB_STATES, call_jobs
from autodialer.store.queue.turning_away import EndedAttempts, end_attempts
from autodialer.store.sql.engine import AnyRow
from autodialer.store.sql.transitions import is_one_of


def live_jobs_of(connection: Connection, people: Sequence[AnyRow]) -> Sequence[AnyRow]:
    """Jobs of these subscribers (`key`, `callbase_key`) that have not ended."""
    query = (
        select(
            call_jobs.c.key,
            call_jobs.c.call_id,
            call_jobs.c.state,
            call_jobs.c.waits_for,
            call_jobs.c.campaign_key,
            call_jobs.c.subscriber_key,
            campaign_subscribers.c.retries_used,
        )
        .join(campaigns, campaigns.c.key == call_jobs.c.campaign_key)
        .join(
            campaign_subscribers,
            and_(
                campaign_subscribers.c.campaign_key == call_jobs.c.campaign_key,
                campaign_subscribers.c.subscriber_key == call_jobs.c.subscriber_key,
            ),
        )
        .where(
            campaigns.c.callbase_key.in_({person.callbase_key for person in people}),
            call_jobs.c.subscriber_key.in_([person.key for person in people]),
            is_one_of(call_jobs.c.state, *LIVE_JOB_STATES),
        )
    )
    return connection.execute(query).all()


def cancel_queued_of(connection: Connection, jobs: Sequence[AnyRow], reason: str) -> int:
    """Cancel those that are queued; returns how many."""
    ended = [
        EndedAttempts(
            job_key=job.key,
            campaign_key=job.campaign_key,
            subscriber_key=job.subscriber_key,
            reason=reason,
            state=ended_state(job.retries_used, unanswered=SubscriberState.EXCLUDED),
        )
        for job in jobs
        if job.state == JobState.QUEUED
    ]
    end_attempts(connection, ended)
    return len(ended)


def decide_again(connection: Connection, jobs: Sequence[AnyRow], now: datetime) -> None:
    """Have the next claim look at those that wait for the hours or the caps of what their subscriber was before."""
    waiting = [job.key for job in jobs if job.state == JobState.QUEUED and job.waits_for in MOMENTS]
    if waiting:
        connection.execute(update(call_jobs).where(call_jobs.c.key.in_(waiting)).values(not_before=now))
