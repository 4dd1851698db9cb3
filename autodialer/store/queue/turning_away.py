"""Subscribers whose turn it is and who may not be called: excluded for good, or put off until they may be."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, bindparam, update

from autodialer.model import ClaimRequest, JobState, SubscriberState
from autodialer.store.campaigns.tables import campaign_subscribers
from autodialer.store.queue.frequency import PutOff, Wait, capped, explain, put_off
from autodialer.store.queue.tables import call_jobs
from autodialer.store.sql.engine import AnyRow
from autodialer.store.sql.prepared import Prepared

EXCLUDED_DNC = "dnc"
EXCLUDED_ERASED = "erased"
EXCLUDED_WINDOW = "window"
EXCLUDED_CAP = "frequency_cap"
WINDOW = "window"
"""The rule that puts a job off to the next opening of its subscriber's calling window."""
UNKNOWN_ZONE = timedelta(seconds=10)
MAX_ATTEMPTS = "max_attempts"
SHORT = "short"
"""The retry rule of an answered call that heard too little."""


def turn_away(
    connection: Connection, request: ClaimRequest, candidates: Sequence[AnyRow], now: datetime
) -> list[AnyRow]:
    """Deal with the jobs of one campaign that must not be claimed now; returns the others.

    Numbers that were erased or are on the DNC list are excluded, and so leave no call, and so are those whom the
    calling window or a cap does not let be called before the campaign's end; others that have reached a cap, or whose
    window is closed, wait for it; those whose attempts are used up, because fewer are allowed now, have no further one.
    """
    campaign_key = request.campaign_key
    barred = {row.key: reason for row in candidates if (reason := _why_excluded(row, request)) is not None}
    left = [row for row in candidates if row.key not in barred]
    used_up = [row for row in left if row.attempts >= row.max_attempts]
    left = [row for row in left if row.attempts < row.max_attempts]
    _end_attempts(connection, campaign_key, used_up)
    waits = {row.key: wait for row in left if (wait := _window_wait(row, request, now)) is not None}
    waits |= capped(connection, [row for row in left if row.key not in waits], now)
    barred |= {row.key: EXCLUDED_CAP for row in left if row.key in waits and _is_too_late(waits[row.key], row)}
    if barred:
        exclude(connection, campaign_key, {row.key: row.subscriber_key for row in candidates}, barred)
    late = [row for row in left if row.key in waits and row.key not in barred]
    put_off(connection, [PutOff(row.key, campaign_key, row.subscriber_key, waits[row.key]) for row in late])
    return [row for row in left if row.key not in waits]


def _why_excluded(row: AnyRow, request: ClaimRequest) -> str | None:
    if row.number is None:
        return EXCLUDED_ERASED
    if row.on_dnc:
        return EXCLUDED_DNC
    never = row.zone in request.zones_open_at and request.zones_open_at[row.zone] is None
    return EXCLUDED_WINDOW if never else None


def _window_wait(row: AnyRow, request: ClaimRequest, now: datetime) -> Wait | None:
    """For what time a subscriber waits whose window is closed; None: it is open."""
    if request.open_zones is None or row.zone in request.open_zones:
        return None
    # A zone that has just come with a new subscriber is not known yet.
    return Wait(until=request.zones_open_at.get(row.zone) or now + UNKNOWN_ZONE, rule=WINDOW)


def _is_too_late(wait: Wait, row: AnyRow) -> bool:
    """Whether a cap lets the number be called only after the campaign's end."""
    return wait.rule != WINDOW and row.ends_at is not None and wait.until > row.ends_at


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
