"""Subscribers whose turn it is and who may not be called: excluded for good, or put off until they may be."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, update

from autodialer.model import JobState, SubscriberState
from autodialer.store.engine import AnyRow
from autodialer.store.frequency import PutOff, capped, explain, put_off
from autodialer.store.prepared import Prepared
from autodialer.store.tables import call_jobs, campaign_subscribers

EXCLUDED_DNC = "dnc"
EXCLUDED_ERASED = "erased"
MAX_ATTEMPTS = "max_attempts"
SHORT = "short"
"""The retry rule of an answered call that heard too little."""


def turn_away(connection: Connection, campaign_key: int, candidates: Sequence[AnyRow], now: datetime) -> list[AnyRow]:
    """Deal with the jobs of one campaign that must not be claimed now; returns the others.

    Numbers that were erased or are on the DNC list are excluded, and so leave no call; those that have reached a cap
    wait for it; those whose attempts are used up, because fewer are allowed now, have no further one.
    """
    barred = {row.key: reason for row in candidates if (reason := _why_excluded(row)) is not None}
    left = [row for row in candidates if row.key not in barred]
    used_up = [row for row in left if row.attempts >= row.max_attempts]
    left = [row for row in left if row.attempts < row.max_attempts]
    _end_attempts(connection, campaign_key, used_up)
    waits = capped(connection, left, now)
    if barred:
        exclude(connection, campaign_key, {row.key: row.subscriber_key for row in candidates}, barred)
    put_off(
        connection,
        [PutOff(row.key, campaign_key, row.subscriber_key, waits[row.key]) for row in left if row.key in waits],
    )
    return [row for row in left if row.key not in waits]


def _why_excluded(row: AnyRow) -> str | None:
    if row.number is None:
        return EXCLUDED_ERASED
    return EXCLUDED_DNC if row.on_dnc else None


def _end_attempts(connection: Connection, campaign_key: int, rows: Sequence[AnyRow]) -> None:
    """The campaign allows fewer attempts than when these were queued."""
    if not rows:
        return
    ended = [
        {
            "of_job": row.key,
            "of_campaign": campaign_key,
            "of_subscriber": row.subscriber_key,
            # Who has answered, however short, was reached.
            "to_state": (SubscriberState.REACHED if SHORT in row.retries_used else SubscriberState.EXHAUSTED).value,
            "why": MAX_ATTEMPTS,
        }
        for row in rows
    ]
    _CANCEL.execute(connection, ended)
    _END.execute(connection, ended)
    explain(connection, [{**row, "until": None, "rule": MAX_ATTEMPTS} for row in ended])


_CANCEL = Prepared(
    update(call_jobs).where(call_jobs.c.key == bindparam("of_job")).values(state=JobState.CANCELLED.value)
)
_OF_SUBSCRIBER = and_(
    campaign_subscribers.c.campaign_key == bindparam("of_campaign"),
    campaign_subscribers.c.subscriber_key == bindparam("of_subscriber"),
)
_EXCLUDE = Prepared(
    update(campaign_subscribers)
    .where(_OF_SUBSCRIBER)
    .values(state=SubscriberState.EXCLUDED.value, reason=bindparam("why"))
)
_END = Prepared(
    update(campaign_subscribers).where(_OF_SUBSCRIBER).values(state=bindparam("to_state"), reason=bindparam("why"))
)


def exclude(
    connection: Connection, campaign_key: int, subscriber_of: Mapping[int, int], reasons: Mapping[int, str]
) -> None:
    """Cancel queued jobs (key -> reason) of one campaign and exclude their subscribers from it."""
    rows = [
        {"of_job": key, "of_campaign": campaign_key, "of_subscriber": subscriber_of[key], "why": reason}
        for key, reason in reasons.items()
    ]
    _CANCEL.execute(connection, rows)
    _EXCLUDE.execute(connection, rows)
