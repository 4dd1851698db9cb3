"""Subscribers whose turn it is and who may not be called: what the admission says of them is written down."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, update

from autodialer.model import ClaimRequest, JobState, SubscriberState
from autodialer.model.admission import (
    CAP_DAY,
    CAP_WEEK,
    Admit,
    Call,
    Candidate,
    End,
    Exclude,
    NumberCalls,
    OpenHours,
    Wait,
)
from autodialer.store.campaigns.tables import campaign_subscribers
from autodialer.store.queue.frequency import PutOff, calls_of, explain_last_call, put_off
from autodialer.store.queue.tables import call_jobs
from autodialer.store.sql.engine import AnyRow
from autodialer.store.sql.prepared import Prepared


def turn_away(
    connection: Connection, request: ClaimRequest, rows: Sequence[AnyRow], now: datetime, admit: Admit
) -> list[AnyRow]:
    """Deal with the jobs of one campaign that must not be claimed now; returns the others, which may be called."""
    if not rows:
        return []
    hours = OpenHours(request.open_zones, request.zones_open_at)

    def count_calls(numbers: Sequence[str]) -> Mapping[str, NumberCalls]:
        return calls_of(connection, rows[0].owner_key, numbers, now)

    verdicts = admit([_candidate(row) for row in rows], hours, count_calls, now)
    kept, excluded, late, ended = [], {}, [], []
    for row, verdict in zip(rows, verdicts, strict=True):
        match verdict:
            case Call():
                kept.append(row)
            case Exclude():
                excluded[row.key] = verdict.reason
            case Wait():
                late.append(PutOff(row.key, request.campaign_key, row.subscriber_key, verdict))
            case End():
                ended.append((row, verdict))
    _end_attempts(connection, request.campaign_key, ended)
    if excluded:
        exclude(connection, request.campaign_key, {row.key: row.subscriber_key for row in rows}, excluded)
    put_off(connection, late)
    return kept


def _candidate(row: AnyRow) -> Candidate:
    return Candidate(
        number=row.number,
        on_dnc=row.on_dnc,
        zone=row.zone,
        attempts=row.attempts,
        retries_used=row.retries_used,
        max_attempts=row.max_attempts,
        caps={CAP_DAY: row.cap_day, CAP_WEEK: row.cap_week},
        ends_at=row.ends_at,
        doubtful=row.doubtful,
        dial_doubtful=row.dial_doubtful,
    )


def _end_attempts(connection: Connection, campaign_key: int, ended: Sequence[tuple[AnyRow, End]]) -> None:
    if not ended:
        return
    rows = [
        {
            "of_job": row.key,
            "of_campaign": campaign_key,
            "of_subscriber": row.subscriber_key,
            "to_state": end.state.value,
            "why": end.reason,
            "until": None,
            "rule": end.reason,
        }
        for row, end in ended
    ]
    _CANCEL.execute(connection, rows)
    _END.execute(connection, rows)
    explain_last_call(connection, rows)


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
