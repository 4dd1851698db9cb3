"""The queue of call jobs, as the dialer works on it. Every method is one transaction, and one commit."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Connection,
    Update,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from autodialer.clock import Clock
from autodialer.model import (
    Campaign,
    CampaignState,
    ClaimedJob,
    ClaimRequest,
    JobResult,
    JobState,
    NextStep,
    SubscriberState,
)
from autodialer.model.admission import Admit
from autodialer.model.diary import DiaryEvent
from autodialer.store.campaigns.cloning import REACHED_BEFORE, WAS_REACHED
from autodialer.store.campaigns.diary import write_line
from autodialer.store.campaigns.rows import campaigns_from, select_campaigns
from autodialer.store.campaigns.stopping import BY_END, BY_STOP, cancel_batch
from autodialer.store.campaigns.tables import campaign_slices, campaign_subscribers, campaigns
from autodialer.store.queue import ceilings, dialogs, outcomes
from autodialer.store.queue.dialogs import KeptDialog
from autodialer.store.queue.pausing import count_called, up_to_the_pause
from autodialer.store.queue.postponing import Postponement
from autodialer.store.queue.tables import LIVE_JOB_STATES, call_jobs
from autodialer.store.queue.turning_away import turn_away
from autodialer.store.setup.dnc import is_barred
from autodialer.store.setup.second_number import DIALLED, NO_NUMBER, ON_SECOND, number_after
from autodialer.store.setup.tables import callbases, subscribers
from autodialer.store.sql.batches import BATCH_ROWS
from autodialer.store.sql.column_types import new_id
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.prepared import Prepared
from autodialer.store.sql.transitions import CallbaseState, is_one_of

RUNNING = is_one_of(campaigns.c.state, CampaignState.RUNNING)
_RUNNING_CAMPAIGNS = select_campaigns().where(RUNNING).order_by(campaigns.c.key)
READY = is_one_of(callbases.c.state, CallbaseState.READY)
BATCHES_AT_ONCE = 10
"""Most batches that are skipped at once when nobody in them is to be called."""
MOST_LOOKS = 6
"""How often a claim looks for others in place of those who may not be called, ..."""
MORE_CANDIDATES = 100
"""... and how many more than it needs it then looks at."""


class Enqueued(NamedTuple):
    """What `enqueue_due` has done."""

    jobs: int
    is_more: bool
    """A campaign may still have too few due: ask again soon."""


class Queue:
    """The call jobs of all campaigns."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._fed_last = 0
        """The campaign of which jobs were made last: the others go first."""

    def running_campaigns(self) -> list[Campaign]:
        """Campaigns in state `running`, sample calls too, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(_RUNNING_CAMPAIGNS).all()
            return campaigns_from(connection, rows) if rows else []

    def enqueue_due(self, now: datetime, batch: int = BATCH_ROWS, *, most_batches: int | None = None) -> Enqueued:
        """Make jobs of the next subscribers of every running campaign that has few due.

        No subscriber is skipped and none gets two jobs: the position moves in the same transaction. Without anything to
        do this takes one cheap read. With `most_batches` it ends after so many, and goes on with the next campaign when
        it is called again.
        """
        with self._database.read() as connection:
            # Half a batch, so that a campaign has its next jobs before the last ones are taken.
            hungry = connection.execute(_HUNGRY, {"now": now, "enough": batch // 2}).scalars().all()
        made = done = 0
        for key in sorted(hungry, key=lambda key: (key <= self._fed_last, key)):
            for _ in range(BATCHES_AT_ONCE):
                if done == most_batches:
                    return Enqueued(made, is_more=True)
                # After a power loss the position is where it was before the jobs, and the same jobs are made again: no
                # call is lost or made twice, so this commit need not wait for the disk.
                with self._database.write(durable=False) as connection:
                    walked, jobs = _enqueue(connection, key, now, batch)
                self._fed_last = key
                made, done = made + jobs, done + 1
                if jobs or not walked:
                    break
        return Enqueued(made, is_more=bool(hungry))

    def record_and_claim(
        self,
        results: Sequence[JobResult],
        requests: Sequence[ClaimRequest],
        claimed_by: str,
        now: datetime,
        admit: Admit,
        *,
        answered: Sequence[KeptDialog] = (),
    ) -> list[ClaimedJob]:
        """What a dialer's tick brings, as one commit: keep the dialogs of `answered` calls, `record`, `claim`.

        `admit` decides who may be called.
        """
        requests = [request for request in requests if request.limit > 0]
        if not results and not requests and not answered:
            return []
        with self._database.write() as connection:
            dialogs.keep(connection, answered)
            # Outcomes before claims: a call that has just ended counts in the caps by which the next ones are admitted,
            # and nothing is claimed where it cannot be recorded.
            if results:
                outcomes.record(connection, results, now, admit)
            return [job for request in requests for job in _claim(connection, request, claimed_by, now, admit)]

    def claim(self, requests: Sequence[ClaimRequest], claimed_by: str, now: datetime, admit: Admit) -> list[ClaimedJob]:
        """Make due jobs ours, at most `limit` a request; once this returns, their claims are committed.

        Jobs of campaigns that do not run are left alone. Numbers on the DNC list are excluded in this very transaction.
        """
        return self.record_and_claim([], requests, claimed_by, now, admit)

    def record(self, results: Sequence[JobResult], now: datetime, admit: Admit) -> None:
        """Store calls that have ended, with what follows from them.

        A job of a stopped campaign that would be queued again is cancelled instead; so is a sample call that was
        cancelled. A result whose job does not dial that call (or no longer) is logged and dropped, so that recording
        again after an error does no harm.
        """
        self.record_and_claim(results, [], "", now, admit)

    def release(self, jobs: Sequence[ClaimedJob], not_before: datetime) -> None:
        """Give back claimed jobs whose INVITE could not leave: no call was made, no attempt is counted."""
        with self._database.write() as connection:
            outcomes.release(connection, jobs, not_before, self._clock.utcnow())

    def postpone(self, span: timedelta, now: datetime) -> Postponement:
        """The clock was set to `now`: what waits for a span is to be due by `span` later. Raises Unavailable."""
        return Postponement(self._database, span, now)

    def recover(self, claimed_by: str | None, now: datetime, decide: Callable[[Campaign, ClaimedJob], NextStep]) -> int:
        """Turn every job with a committed claim and no outcome into `interrupted`, with a call row; returns how many.

        `claimed_by` is the instance of a dialer that is known to be dead; None: all, for a dialer that starts and is
        the only one. `decide` says what becomes of each job.
        """
        recovered = 0
        while True:
            with self._database.write() as connection:
                done = outcomes.recover_batch(connection, claimed_by, now, decide)
            recovered += done
            if not done:
                return recovered

    def finish_campaigns(self, now: datetime) -> list[UUID]:
        """Finish running campaigns whose callbase is walked through and whose last job has ended; returns their ids."""
        with self._database.read() as connection:
            # A read first: most looks find nothing, and must not take the write lock for it.
            if not connection.execute(_OVER).all():
                return []
        with self._database.write() as connection:
            # Once more under the write lock: a subscriber may have been added in between.
            keys = connection.execute(_OVER).scalars().all()
            finish = update(campaigns).where(campaigns.c.key.in_(keys)).values(_finished(now))
            return _finish(connection, finish, now, rule="everybody")

    def end_overdue(self, now: datetime) -> list[UUID]:
        """Finish campaigns past their `ends_at` that have no queued job and no live call; returns their ids.

        What is queued of them is `cancel_some`'s to cancel.
        """
        with self._database.read() as connection:
            if not connection.execute(_OVERDUE, {"now": now}).all():
                return []
        ready = update(campaigns).where(RUNNING, campaigns.c.ends_at <= now, ~_LIVE_JOB)
        with self._database.write() as connection:
            return _finish(connection, ready.values(_finished(now)), now, rule="ends_at")

    def has_to_cancel(self, now: datetime) -> bool:
        """Whether jobs are queued of a campaign that was stopped or is past its `ends_at`. One cheap read."""
        with self._database.read() as connection:
            return connection.execute(_TO_CANCEL, {"now": now}).first() is not None

    def cancel_some(self, now: datetime) -> bool:
        """Cancel up to 25 jobs of one of those campaigns, as one transaction; returns whether more may be left.

        A subscriber who was never called stays pending; one that waited for another attempt is exhausted, with the
        reason `stopped` or `ended`.
        """
        with self._database.read() as connection:
            row = connection.execute(_TO_CANCEL, {"now": now}).first()
        if row is None:
            return False
        cancel_batch(self._database, row.key, reason=BY_STOP if row.state == CampaignState.STOPPED else BY_END)
        return True

    def dialing_counts(self) -> dict[tuple[int, int], int]:
        """Calls under way by (campaign key, trunk key)."""
        by = (call_jobs.c.campaign_key, call_jobs.c.trunk_key)
        query = select(*by, func.count()).where(is_one_of(call_jobs.c.state, JobState.DIALING)).group_by(*by)
        with self._database.read() as connection:
            return {(row[0], row[1]): row[2] for row in connection.execute(query)}


_IS_DRAWN = campaigns.c.drawn_people.is_not(None)
_AHEAD = and_(
    subscribers.c.callbase_key == campaigns.c.callbase_key, subscribers.c.key > campaigns.c.next_subscriber_key
)
"""Subscribers that the campaign's walk has not come to, where it walks its whole callbase, ..."""
_AHEAD_DRAWN = and_(
    campaign_slices.c.campaign_key == campaigns.c.key,
    campaign_slices.c.subscriber_key > campaigns.c.next_subscriber_key,
)
"""... and where people are drawn for it."""
_IS_AHEAD = case((_IS_DRAWN, exists().where(_AHEAD_DRAWN)), else_=exists().where(_AHEAD))

_ENOUGH_DUE = (
    select(call_jobs.c.key)
    .where(
        call_jobs.c.campaign_key == campaigns.c.key,
        is_one_of(call_jobs.c.state, JobState.QUEUED),
        call_jobs.c.not_before <= bindparam("now"),
    )
    .limit(1)
    # Not a count of the due jobs, of which there may be a million: the index is read just as far as decides.
    .offset(bindparam("enough"))
    .correlate(campaigns)
    .scalar_subquery()
)
_HUNGRY = (
    select(campaigns.c.key)
    .join(callbases, callbases.c.key == campaigns.c.callbase_key)
    .where(RUNNING, READY, _ENOUGH_DUE.is_(None), _IS_AHEAD)
)

_LIVE_JOB = exists().where(call_jobs.c.campaign_key == campaigns.c.key, is_one_of(call_jobs.c.state, *LIVE_JOB_STATES))
_OVERDUE = select(campaigns.c.key).where(RUNNING, campaigns.c.ends_at <= bindparam("now"), ~_LIVE_JOB)
# From the campaigns, each with one look into the index: the jobs of all that run would be a million.
_TO_CANCEL = (
    select(campaigns.c.key, campaigns.c.state)
    .where(
        is_one_of(campaigns.c.state, CampaignState.STOPPED)
        | and_(RUNNING, campaigns.c.ends_at.is_not(None), campaigns.c.ends_at <= bindparam("now")),
        exists().where(call_jobs.c.campaign_key == campaigns.c.key, is_one_of(call_jobs.c.state, JobState.QUEUED)),
    )
    .limit(1)
)
_OVER = (
    select(campaigns.c.key)
    .join(callbases, callbases.c.key == campaigns.c.callbase_key)
    .where(
        RUNNING,
        # A failed import brings no more subscribers either.
        is_one_of(callbases.c.state, CallbaseState.READY, CallbaseState.FAILED),
        campaigns.c.drawn_up_to.is_(None),
        ~_IS_AHEAD,
        ~_LIVE_JOB,
    )
)
"""Campaigns with nothing left to do."""


def _finish(connection: Connection, finish: Update, now: datetime, *, rule: str) -> list[UUID]:
    """Finish campaigns; returns their ids."""
    rows = connection.execute(finish.returning(campaigns.c.id, campaigns.c.key, campaigns.c.hidden)).all()
    for row in rows:
        if not row.hidden:
            write_line(connection, row.key, DiaryEvent.FINISHED, now, rule=rule)
    return [row.id for row in rows]


def _finished(now: datetime) -> dict[str, Any]:
    """What a campaign becomes when it is finished."""
    # Kept from here on: a callbase may grow after the end, and the share that was called must not shrink with it.
    imported = select(callbases.c.imported).where(callbases.c.key == campaigns.c.callbase_key).scalar_subquery()
    total = func.coalesce(campaigns.c.drawn_people, imported)
    return {"state": CampaignState.FINISHED.value, "finished_at": now, "final_total": total}


_ADD_SUBSCRIBER = Prepared(insert(campaign_subscribers), columns=["campaign_key", "subscriber_key"])
_ADD_EXCLUDED = Prepared(insert(campaign_subscribers), columns=["campaign_key", "subscriber_key", "state", "reason"])
_ADD_JOB = Prepared(insert(call_jobs), columns=["campaign_key", "subscriber_key", "call_id", "not_before"])


_WALK = (
    select(subscribers.c.key, WAS_REACHED.label("was_reached"))
    .select_from(subscribers)
    .join(campaigns, campaigns.c.callbase_key == subscribers.c.callbase_key)
    .where(campaigns.c.key == bindparam("campaign"), RUNNING, _AHEAD)
    .order_by(subscribers.c.key)
    .limit(bindparam("most"))
)
_WALK_DRAWN = (
    select(subscribers.c.key, WAS_REACHED.label("was_reached"))
    .select_from(campaign_slices)
    .join(campaigns, campaigns.c.key == campaign_slices.c.campaign_key)
    .join(subscribers, subscribers.c.key == campaign_slices.c.subscriber_key)
    .where(campaign_slices.c.campaign_key == bindparam("campaign"), RUNNING, _AHEAD_DRAWN)
    .order_by(campaign_slices.c.subscriber_key)
    .limit(bindparam("most"))
)


def _enqueue(connection: Connection, campaign_key: int, now: datetime, batch: int) -> tuple[int, int]:
    """Walk on by a batch; returns how many subscribers that were and how many jobs came of it."""
    is_drawn = connection.execute(select(_IS_DRAWN).where(campaigns.c.key == campaign_key)).scalar_one()
    rows = connection.execute(_WALK_DRAWN if is_drawn else _WALK, {"campaign": campaign_key, "most": batch}).all()
    if not rows:
        return 0, 0
    both = [{"campaign_key": campaign_key, "subscriber_key": row.key} for row in rows if not row.was_reached]
    excluded = {"campaign_key": campaign_key, "state": SubscriberState.EXCLUDED.value, "reason": REACHED_BEFORE}
    others = [{**excluded, "subscriber_key": row.key} for row in rows if row.was_reached]
    if both:
        _ADD_SUBSCRIBER.execute(connection, both)
        _ADD_JOB.execute(connection, [{**row, "call_id": new_id(), "not_before": now} for row in both])
    if others:
        _ADD_EXCLUDED.execute(connection, others)
    # In the transaction of the jobs: apart, a crash between them would skip subscribers or give them two jobs.
    moved = update(campaigns).where(campaigns.c.key == campaign_key).values(next_subscriber_key=rows[-1].key)
    connection.execute(moved)
    return len(rows), len(both)


_CANDIDATES = (
    select(
        call_jobs.c.key,
        call_jobs.c.call_id,
        call_jobs.c.subscriber_key,
        DIALLED.label("number"),
        NO_NUMBER.label("no_number"),
        subscribers.c.second_number,
        campaign_subscribers.c.attempts,
        campaign_subscribers.c.retries_used,
        campaigns.c.owner_key,
        campaigns.c.cap_day,
        campaigns.c.cap_week,
        campaigns.c.max_attempts,
        campaigns.c.ends_at,
        campaigns.c.dial_doubtful,
        campaigns.c.pause_after,
        campaigns.c.people_called,
        is_one_of(campaign_subscribers.c.state, SubscriberState.PENDING).label("is_first_call"),
        subscribers.c.doubt.is_not(None).label("doubtful"),
        case((ON_SECOND, None), else_=subscribers.c.destination).label("destination"),
        func.coalesce(subscribers.c.timezone, subscribers.c.number_zone, "").label("zone"),
        or_(
            is_barred(subscribers.c.number, campaigns.c.owner_key),
            # A person who is not to be called is not called at another number either.
            subscribers.c.second_number.is_not(None) & is_barred(subscribers.c.second_number, campaigns.c.owner_key),
        ).label("on_dnc"),
    )
    .join(campaigns, campaigns.c.key == call_jobs.c.campaign_key)
    .join(
        campaign_subscribers,
        and_(
            campaign_subscribers.c.campaign_key == call_jobs.c.campaign_key,
            campaign_subscribers.c.subscriber_key == call_jobs.c.subscriber_key,
        ),
    )
    .join(subscribers, subscribers.c.key == call_jobs.c.subscriber_key)
    .where(
        call_jobs.c.campaign_key == bindparam("campaign"),
        is_one_of(call_jobs.c.state, JobState.QUEUED),
        call_jobs.c.not_before <= bindparam("now"),
        RUNNING,
    )
    # In the order of the index, so that the first rows are found without sorting all that are due.
    .order_by(call_jobs.c.not_before, call_jobs.c.key)
    .limit(bindparam("most"))
)


_TAKE = Prepared(
    update(call_jobs)
    # Without a look at the state: the candidates were read in this
    # transaction, which has held the write lock since its beginning.
    .where(call_jobs.c.key == bindparam("of_job"))
    .values(
        state=JobState.DIALING.value,
        trunk_key=bindparam("on_trunk"),
        claimed_by=bindparam("by"),
        claimed_at=bindparam("at"),
    )
)
_BEGIN_SUBSCRIBER = Prepared(
    update(campaign_subscribers)
    .where(
        campaign_subscribers.c.campaign_key == bindparam("of_campaign"),
        campaign_subscribers.c.subscriber_key == bindparam("of_subscriber"),
        # At a further attempt the subscriber is `in_progress` already.
        is_one_of(campaign_subscribers.c.state, SubscriberState.PENDING),
    )
    .values(state=SubscriberState.IN_PROGRESS.value)
)


def _claim(
    connection: Connection, request: ClaimRequest, claimed_by: str, now: datetime, admit: Admit
) -> list[ClaimedJob]:
    allowed = ceilings.left_for(connection, request.campaign_key, request.trunk_key, request.limit, now)
    if allowed < 1:
        return []
    rows, first_calls = up_to_the_pause(_callable(connection, replace(request, limit=allowed), now, admit))
    jobs = [
        ClaimedJob(
            key=row.key,
            call_id=row.call_id,
            campaign_key=request.campaign_key,
            trunk_key=request.trunk_key,
            subscriber_key=row.subscriber_key,
            number=row.number,
            attempt=row.attempts + 1,
            retries_used=row.retries_used,
            claimed_at=now,
            second_number=number_after(row),
        )
        for row in rows
    ]
    if jobs:
        ceilings.count_claims(connection, rows[0].owner_key, jobs, now)
        taken = [{"of_job": job.key, "on_trunk": job.trunk_key, "by": claimed_by, "at": now} for job in jobs]
        begun = [{"of_campaign": job.campaign_key, "of_subscriber": job.subscriber_key} for job in jobs]
        _TAKE.execute(connection, taken)
        _BEGIN_SUBSCRIBER.execute(connection, begun)
    if first_calls:
        count_called(connection, rows[0], request.campaign_key, first_calls, now)
    return jobs


def _callable(connection: Connection, request: ClaimRequest, now: datetime, admit: Admit) -> Sequence[AnyRow]:
    """The candidates that may be called; the others are excluded or put off, and others come in their place.

    A campaign of which hardly anybody may be called is gone through in several ticks: a claim must not hold up others.
    """
    wanted = {"campaign": request.campaign_key, "now": now, "most": request.limit}
    kept: Sequence[AnyRow] = []
    for _ in range(MOST_LOOKS):
        rows = connection.execute(_CANDIDATES, wanted).all()
        kept = turn_away(connection, request, rows, now, admit)
        if len(kept) == len(rows):
            break
        # Those turned away are no longer candidates, so the same question finds others.
        wanted["most"] = request.limit + MORE_CANDIDATES
    return kept[: request.limit]
