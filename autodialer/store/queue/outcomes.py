"""From a finished or interrupted call to its CDR, its job and its subscriber, within one transaction."""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, exists, insert, or_, select, update

from autodialer.model import (
    CONSENT,
    SECOND_NUMBER,
    CallOutcome,
    Campaign,
    CampaignState,
    ClaimedJob,
    Disposition,
    JobResult,
    JobState,
    NextStep,
    SubscriberState,
)
from autodialer.model.admission import (
    CAP_DAY,
    CAP_WEEK,
    EXCLUDED_DELETED,
    EXCLUDED_ERASED,
    PICKED_UP,
    Admit,
    Candidate,
    ended_state,
)
from autodialer.store.calls.tables import calls
from autodialer.store.campaigns.rows import campaigns_from, select_campaigns
from autodialer.store.campaigns.stopping import BY_STOP, GivenUp, give_up
from autodialer.store.campaigns.tables import campaign_subscribers, campaigns
from autodialer.store.figures.key_figures import count_keys
from autodialer.store.queue.ceilings import count_talk, give_back
from autodialer.store.queue.dialogs import forget
from autodialer.store.queue.frequency import Retry, put_off_retries
from autodialer.store.queue.pausing import uncount_called
from autodialer.store.queue.tables import call_jobs
from autodialer.store.setup.second_number import DIALLED, number_after
from autodialer.store.setup.tables import subscribers
from autodialer.store.sql.batches import BATCH_ROWS
from autodialer.store.sql.column_types import new_id
from autodialer.store.sql.engine import AnyRow
from autodialer.store.sql.prepared import Prepared
from autodialer.store.sql.transitions import is_one_of

logger = logging.getLogger(__name__)

INTERRUPTED_MESSAGE = "The dialer stopped during this call, so how it ended is not known; the phone may have rung."
OUTCOME_COLUMNS = (
    "sip_code",
    "sip_reason",
    "q850_cause",
    "retry_after_s",
    "invited_at",
    "ringing_at",
    "answered_at",
    "ended_at",
    "pdd_s",
    "duration_s",
    "billsec_s",
    "played_s",
    "played_share",
    "digits",
    "digit_times",
    "message",
)
"""Fields of CallOutcome whose columns have the same name and value."""

_OF_JOB = call_jobs.c.key == bindparam("of_job")
_OF_SUBSCRIBER = and_(
    campaign_subscribers.c.campaign_key == bindparam("of_campaign"),
    campaign_subscribers.c.subscriber_key == bindparam("of_subscriber"),
)
_MOVE_JOB = Prepared(update(call_jobs).where(_OF_JOB).values(state=bindparam("to_state")))
_QUEUE_AGAIN = Prepared(
    update(call_jobs)
    .where(_OF_JOB)
    .values(
        state=JobState.QUEUED.value,
        call_id=bindparam("next_call_id"),
        not_before=bindparam("at"),
        waits_for=bindparam("rule"),
        trunk_key=None,
        claimed_by=None,
        claimed_at=None,
    )
)
_MOVE_SUBSCRIBER = Prepared(
    update(campaign_subscribers)
    .where(_OF_SUBSCRIBER)
    .values(
        state=bindparam("to_state"),
        reason=bindparam("why"),
        attempts=campaign_subscribers.c.attempts + bindparam("counted"),
        retries_used=bindparam("used"),
    )
)
_BEGUN = and_(_OF_SUBSCRIBER, is_one_of(campaign_subscribers.c.state, SubscriberState.IN_PROGRESS))
_WAS_CALLED = exists().where(
    calls.c.campaign_key == campaign_subscribers.c.campaign_key,
    calls.c.subscriber_key == campaign_subscribers.c.subscriber_key,
)
_UNBEGIN = Prepared(
    update(campaign_subscribers).where(_BEGUN, ~_WAS_CALLED).values(state=SubscriberState.PENDING.value)
)
_OWNER = select(campaigns.c.owner_key).where(campaigns.c.key == bindparam("of_campaign")).scalar_subquery()
_ADD_CALL = Prepared(
    insert(calls).values(owner_key=_OWNER),
    columns=[column.name for column in calls.c if column.name not in ("key", "owner_key")],
)

_DIALING_OF = (
    select(
        call_jobs.c.key,
        call_jobs.c.call_id,
        call_jobs.c.trunk_key,
        campaigns.c.state,
        campaigns.c.hidden,
        campaigns.c.owner_key,
        campaigns.c.cap_day,
        campaigns.c.cap_week,
        (subscribers.c.number.is_(None) & subscribers.c.deleted_at.is_(None)).label("erased"),
        subscribers.c.deleted_at.is_not(None).label("deleted"),
    )
    .join(campaigns, campaigns.c.key == call_jobs.c.campaign_key)
    .join(subscribers, subscribers.c.key == call_jobs.c.subscriber_key)
    .where(
        call_jobs.c.key.in_(bindparam("keys", expanding=True)),
        is_one_of(call_jobs.c.state, JobState.DIALING),
    )
)


def record(connection: Connection, results: Sequence[JobResult], now: datetime, admit: Admit) -> None:
    """Store finished calls; calls that their job no longer dials are dropped."""
    rows = connection.execute(_DIALING_OF, {"keys": [result.job.key for result in results]})
    dialing = {(row.key, row.call_id): row for row in rows}
    payers = {row.key: (row.owner_key, row.trunk_key) for row in dialing.values()}
    accepted, retries = [], []
    for result in results:
        # Taken out, so that a call that stands twice in one batch is recorded once.
        row = dialing.pop((result.job.key, result.job.call_id), None)
        if row is None:
            logger.warning("call %s: no job dials this call any more, its outcome is dropped", result.job.call_id)
        else:
            known = _without_person(result) if row.erased else result
            accepted.append((known, ends := _why_it_ends(row, result)))
            if ends is None and result.next_step.job_state is JobState.QUEUED:
                retries.append(_retry_of(row, result, now))
    _store(connection, accepted, now)
    count_talk(connection, [(*payers[result.job.key], result.outcome.billsec_s or 0.0) for result, _ in accepted], now)
    # Those of dropped results too: such a call is over as well.
    forget(connection, [result.job.call_id for result in results])
    # After the calls are stored, because they count in the caps.
    put_off_retries(connection, retries, admit)


def _retry_of(row: AnyRow, result: JobResult, now: datetime) -> Retry:
    job = result.job
    return Retry(
        job_key=job.key,
        campaign_key=job.campaign_key,
        subscriber_key=job.subscriber_key,
        owner_key=row.owner_key,
        candidate=Candidate(
            number=(job.second_number if result.next_step.rule == SECOND_NUMBER else None) or job.number,
            on_dnc=False,
            zone="",
            # What decided on this retry has looked at the attempts; a later limit is met at the claim.
            attempts=0,
            max_attempts=1,
            retries_used=job.retries_used,
            caps={CAP_DAY: row.cap_day, CAP_WEEK: row.cap_week},
            ends_at=None,
        ),
        not_before=result.next_step.not_before or now,
    )


def release(connection: Connection, jobs: Sequence[ClaimedJob], not_before: datetime, now: datetime) -> None:
    """Put claimed jobs back whose call never left; those of a stopped campaign are cancelled.

    A subscriber who was never called is as if the claim had not been: pending, also where the campaign has stopped or
    comes to its end before the next claim.
    """
    rows = connection.execute(_DIALING_OF, {"keys": [job.key for job in jobs]}).all()
    states = {(row.key, row.call_id): row.state for row in rows}
    held = [job for job in jobs if (job.key, job.call_id) in states]
    give_back(connection, {row.key: row.owner_key for row in rows}, held)
    stopped = [job for job in held if states[job.key, job.call_id] == CampaignState.STOPPED]
    if held:
        # The call id stays: no call was made by it.
        again = [{"of_job": job.key, "next_call_id": job.call_id, "at": not_before, "rule": None} for job in held]
        _QUEUE_AGAIN.execute(connection, again)
        _unbegin(connection, held, now)
    # By way of `queued`, because no arrow leads from `dialing` to `cancelled`.
    if stopped:
        _MOVE_JOB.execute(connection, [{"of_job": job.key, "to_state": JobState.CANCELLED.value} for job in stopped])
        people = [GivenUp(job.campaign_key, job.subscriber_key, job.retries_used) for job in stopped]
        give_up(connection, people, BY_STOP)


def _unbegin(connection: Connection, jobs: Sequence[ClaimedJob], now: datetime) -> None:
    people: dict[int, list[dict[str, int]]] = defaultdict(list)
    for job in jobs:
        people[job.campaign_key].append({"of_campaign": job.campaign_key, "of_subscriber": job.subscriber_key})
    for campaign_key, theirs in people.items():
        if never_called := _UNBEGIN.execute(connection, theirs).rowcount:
            uncount_called(connection, campaign_key, never_called, now)


def recover_batch(
    connection: Connection,
    claimed_by: str | None,
    now: datetime,
    decide: Callable[[Campaign, ClaimedJob], NextStep],
) -> int:
    """Interrupt up to 500 jobs that are being dialled by nobody; returns how many."""
    rows = connection.execute(_abandoned(claimed_by)).all()
    if not rows:
        return 0
    connection.execute(
        update(call_jobs).where(call_jobs.c.key.in_([row.key for row in rows])).values(state=JobState.INTERRUPTED.value)
    )
    found = connection.execute(select_campaigns().where(campaigns.c.key.in_({row.campaign_key for row in rows}))).all()
    by_key = {campaign.key: campaign for campaign in campaigns_from(connection, found)}
    accepted, talked = [], []
    for row in rows:
        job = _claimed_from(row)
        campaign = by_key[job.campaign_key]
        outcome = CallOutcome(
            disposition=Disposition.INTERRUPTED,
            invited_at=row.claimed_at,
            # The clock may have been put back since the claim.
            ended_at=max(now, row.claimed_at),
            message=INTERRUPTED_MESSAGE,
        )
        result = JobResult(job=job, outcome=outcome, next_step=decide(campaign, job))
        accepted.append((result, BY_STOP if campaign.state is CampaignState.STOPPED else None))
        logger.info("call %s: interrupted, claimed by %s", job.call_id, row.claimed_by)
        if result.next_step.rule == PICKED_UP:
            # How long it lasted nobody knows: the provider may have it on its bill up to now.
            span_s = min((outcome.ended_at - row.claimed_at).total_seconds(), campaign.max_call_s)
            talked.append((campaign.owner_key, job.trunk_key, span_s))
    _store(connection, accepted, now)
    count_talk(connection, talked, now)
    return len(rows)


def _abandoned(claimed_by: str | None) -> Any:
    query = (
        select(
            call_jobs,
            DIALLED.label("number"),
            subscribers.c.second_number,
            campaign_subscribers.c.attempts,
            campaign_subscribers.c.retries_used,
        )
        .join(subscribers, subscribers.c.key == call_jobs.c.subscriber_key)
        .join(
            campaign_subscribers,
            and_(
                campaign_subscribers.c.campaign_key == call_jobs.c.campaign_key,
                campaign_subscribers.c.subscriber_key == call_jobs.c.subscriber_key,
            ),
        )
        .where(is_one_of(call_jobs.c.state, JobState.DIALING))
        .limit(BATCH_ROWS)
    )
    return query if claimed_by is None else query.where(call_jobs.c.claimed_by == claimed_by)


def _claimed_from(row: AnyRow) -> ClaimedJob:
    return ClaimedJob(
        key=row.key,
        call_id=row.call_id,
        campaign_key=row.campaign_key,
        trunk_key=row.trunk_key,
        subscriber_key=row.subscriber_key,
        # The person may have been erased during the call.
        number=row.number or "",
        attempt=row.attempts + 1,
        retries_used=row.retries_used,
        claimed_at=row.claimed_at,
        second_number=number_after(row),
    )


def _why_it_ends(row: AnyRow, result: JobResult) -> str | None:
    """The rule by which no next attempt is queued, even if the policy wants one; None: it may be."""
    if row.erased:
        return EXCLUDED_ERASED
    if row.deleted:
        return EXCLUDED_DELETED
    cancelled_sample = row.hidden and result.outcome.disposition is Disposition.CANCELLED
    return BY_STOP if row.state == CampaignState.STOPPED or cancelled_sample else None


def _without_person(result: JobResult) -> JobResult:
    """The result without what tells of the person, who was erased during the call."""
    outcome = replace(result.outcome, digits="", digit_times=(), message=None, refusal_headers=())
    return replace(result, job=replace(result.job, number=""), outcome=outcome, key_results=())


def _store(connection: Connection, accepted: Sequence[tuple[JobResult, str | None]], now: datetime) -> None:
    if not accepted:
        return
    ended: list[dict[str, Any]] = []
    again: list[dict[str, Any]] = []
    cancelled: list[dict[str, Any]] = []
    records, people = [], []
    consents = _consents_of(connection, {result.job.subscriber_key for result, _ in accepted})
    for result, end in accepted:
        step, of_job = result.next_step, {"of_job": result.job.key}
        ends = _end_of(step, end)
        if ends:
            cancelled.append(of_job)
        elif step.job_state is JobState.DONE:
            ended.append({**of_job, "to_state": JobState.DONE.value})
        else:
            again.append({**of_job, "next_call_id": new_id(), "at": step.not_before or now, "rule": step.rule})
        consent = consents.get(result.job.subscriber_key, _NO_CONSENT)
        records.append({**_call_values(result, ends=ends), **consent})
        people.append(_subscriber_values(result, ends=ends))
    _ADD_CALL.execute(connection, records)
    if ended:
        _MOVE_JOB.execute(connection, ended)
    if again:
        _QUEUE_AGAIN.execute(connection, again)
    # As above: by way of `queued`.
    for state in (JobState.QUEUED, JobState.CANCELLED) if cancelled else ():
        _MOVE_JOB.execute(connection, [{**of_job, "to_state": state.value} for of_job in cancelled])
    _MOVE_SUBSCRIBER.execute(connection, people)
    count_keys(connection, [result for result, _ in accepted if result.key_results])


_NO_CONSENT: Mapping[str, str | None] = dict.fromkeys(CONSENT)


def _consents_of(connection: Connection, keys: Collection[int]) -> dict[int, Mapping[str, str | None]]:
    """Of those subscribers who have one. A call keeps it, so that changing the subscriber rewrites no evidence."""
    there = or_(*(subscribers.c[name].is_not(None) for name in CONSENT))
    query = select(subscribers.c.key, *(subscribers.c[name] for name in CONSENT)).where(
        subscribers.c.key.in_(keys), there
    )
    return {row.key: {name: row._mapping[name] for name in CONSENT} for row in connection.execute(query)}


def _end_of(step: NextStep, end: str | None) -> str | None:
    """The rule that cancels the job; None: it is done by its policy, or queued again."""
    if step.job_state is JobState.QUEUED:
        return end
    return None if step.job_state is JobState.DONE else end or BY_STOP


def _call_values(result: JobResult, *, ends: str | None) -> dict[str, Any]:
    job, outcome, step = result.job, result.outcome, result.next_step
    rtp = outcome.rtp
    return {name: getattr(outcome, name) for name in OUTCOME_COLUMNS} | {
        "id": job.call_id,
        "campaign_key": job.campaign_key,
        "of_campaign": job.campaign_key,
        "subscriber_key": job.subscriber_key,
        "trunk_key": job.trunk_key,
        "number": job.number,
        "attempt": job.attempt,
        "disposition": outcome.disposition.value,
        "cause": outcome.cause.value if outcome.cause else None,
        "ended_by": outcome.ended_by.value if outcome.ended_by else None,
        "rtp_sent": rtp.sent if rtp else None,
        "rtp_received": rtp.received if rtp else None,
        "rtp_lost": rtp.lost if rtp else None,
        "rtp_jitter_ms": rtp.jitter_ms if rtp else None,
        "rtp_remote_lost": rtp.remote_lost if rtp else None,
        "rtp_round_trip_ms": rtp.round_trip_ms if rtp else None,
        "rtp_reports": rtp.reports if rtp else None,
        "refusal_headers": "\n".join(outcome.refusal_headers) or None,
        "rtp_one_way_audio": rtp.one_way_audio if rtp else None,
        "rtp_strangers": rtp.strangers if rtp else None,
        "rtp_encryption": rtp.encryption if rtp else None,
        "key_results": result.key_results,
        "next_at": None if ends else step.not_before,
        "next_rule": ends or step.rule,
    }


def _subscriber_values(result: JobResult, *, ends: str | None) -> dict[str, Any]:
    step, job = result.next_step, result.job
    # A retry that is not queued after all uses up no budget.
    retried = step.job_state is JobState.QUEUED and step.uses_budget and not ends
    over = ends is not None or step.subscriber_state is not SubscriberState.IN_PROGRESS
    answered = result.outcome.disposition is Disposition.ANSWERED
    state = ended_state(job.retries_used, answered=answered) if ends else step.subscriber_state
    return {
        "of_campaign": job.campaign_key,
        "of_subscriber": job.subscriber_key,
        "to_state": state.value,
        "why": (ends or step.rule) if over else None,
        "counted": int(step.counts_as_attempt),
        "used": _with_one_more(job.retries_used, step.rule) if retried else job.retries_used,
    }


def _with_one_more(used: Mapping[str, int], rule: str) -> dict[str, int]:
    return {**used, rule: used.get(rule, 0) + 1}
