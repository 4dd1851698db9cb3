"""Subscribers whose turn it is and who may not be called: what the admission says of them is written down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, update

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

    # A function, because only candidates with a cap need their calls counted, the one dear part of a claim.
    def count_calls(numbers: Sequence[str]) -> Mapping[str, NumberCalls]:
        # All rows are of one campaign, and so of one owner.
        return calls_of(connection, rows[0].owner_key, numbers, now)

    # Together and not row by row: one query counts the calls, and
    # a candidate that may be called counts for those after it.
    verdicts = admit([_candidate(row, request) for row in rows], hours, count_calls, now)
    kept, late, ended = [], [], []
    for row, verdict in zip(rows, verdicts, strict=True):
        match verdict:
            case Call():
                kept.append(row)
            case Exclude():
                ended.append(_ended(row, request.campaign_key, verdict.reason, SubscriberState.EXCLUDED))
            case Wait():
                late.append(PutOff(row.key, request.campaign_key, row.subscriber_key, verdict))
            case End():
                ended.append(_ended(row, request.campaign_key, verdict.reason, verdict.state))
    end_attempts(connection, ended)
    put_off(connection, late)
    return kept


def _candidate(row: AnyRow, request: ClaimRequest) -> Candidate:
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
        no_number=row.no_number,
        destination=row.destination,
        dial_rules=request.dial_rules,
    )


@dataclass(frozen=True, kw_only=True)
class EndedAttempts:
    """A queued job that will not be dialled, and what its subscriber is then."""

    job_key: int
    campaign_key: int
    subscriber_key: int
    reason: str
    state: SubscriberState


def _ended(row: AnyRow, campaign_key: int, reason: str, state: SubscriberState) -> EndedAttempts:
    return EndedAttempts(
        job_key=row.key, campaign_key=campaign_key, subscriber_key=row.subscriber_key, reason=reason, state=state
    )


_CANCEL = Prepared(
    update(call_jobs).where(call_jobs.c.key == bindparam("of_job")).values(state=JobState.CANCELLED.value)
)
_END = Prepared(
    update(campaign_subscribers)
    .where(
        campaign_subscribers.c.campaign_key == bindparam("of_campaign"),
        campaign_subscribers.c.subscriber_key == bindparam("of_subscriber"),
    )
    .values(state=bindparam("to_state"), reason=bindparam("rule"))
)


def end_attempts(connection: Connection, ended: Sequence[EndedAttempts]) -> None:
    """Cancel these jobs; the subscribers, and the last call of each if there was one, say why."""
    if not ended:
        return
    rows = [
        {
            "of_job": each.job_key,
            "of_campaign": each.campaign_key,
            "of_subscriber": each.subscriber_key,
            "to_state": each.state.value,
            "until": None,
            "rule": each.reason,
        }
        for each in ended
    ]
    _CANCEL.execute(connection, rows)
    _END.execute(connection, rows)
    explain_last_call(connection, rows)
