"""Calls: the CDR of those that have ended, the job of those that have not."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from autodialer.errors import NotFound
from autodialer.model import CONSENT, CallOutcome, CallRecord, Cause, Disposition, EndedBy, JobState, RtpStats
from autodialer.store.calls.listing import ALL_CALLS, CallsWanted, page_of_campaign, page_of_owner
from autodialer.store.calls.tables import calls
from autodialer.store.campaigns.tables import campaign_subscribers, campaigns
from autodialer.store.figures.key_figures import KeyFigures, key_figures
from autodialer.store.figures.report import CampaignReport, campaign_report
from autodialer.store.queue.outcomes import OUTCOME_COLUMNS
from autodialer.store.queue.tables import call_jobs
from autodialer.store.setup.second_number import DIALLED
from autodialer.store.setup.tables import subscribers, trunks
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.owned import not_deleted, owned_by
from autodialer.store.sql.paging import DEFAULT_LIMIT, Page
from autodialer.store.sql.transitions import is_one_of


class Calls:
    """The calls."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, call_id: UUID, owner_key: int | None) -> CallRecord:
        """A call: finished, queued or under way. Raises NotFound."""
        there = not_deleted(campaigns)
        finished = owned_by(_finished().where(calls.c.id == call_id, there), campaigns, owner_key)
        unfinished = _unfinished().where(call_jobs.c.call_id == call_id, ~_HAS_ENDED, there)
        unfinished = owned_by(unfinished, campaigns, owner_key)
        with self._database.read() as connection:
            row = connection.execute(finished).one_or_none()
            if row is not None:
                return _record_from(row)
            row = connection.execute(unfinished).one_or_none()
        if row is None:
            raise NotFound
        return _live_from(row)

    def page(
        self,
        campaign_key: int,
        *,
        wanted: CallsWanted = ALL_CALLS,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[CallRecord]:
        """The finished calls of a campaign in the order of their end; `after` also finds what came since."""
        with self._database.read() as connection:
            rows, cursor = page_of_campaign(connection, _finished(), campaign_key, wanted, limit=limit, after=after)
        return [_record_from(row) for row in rows], cursor

    def page_of_owner(
        self,
        owner_key: int | None,
        *,
        wanted: CallsWanted = ALL_CALLS,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[CallRecord]:
        """The finished calls of a user over all campaigns, of everybody for None, those that began last first."""
        there = _finished().where(not_deleted(campaigns))
        with self._database.read() as connection:
            rows, cursor = page_of_owner(connection, there, owner_key, wanted, limit=limit, after=after)
        return [_record_from(row) for row in rows], cursor

    def live(self, campaign_key: int, *, limit: int = DEFAULT_LIMIT) -> list[CallRecord]:
        """Calls of a campaign that are under way."""
        query = _unfinished().where(
            call_jobs.c.campaign_key == campaign_key, is_one_of(call_jobs.c.state, JobState.DIALING)
        )
        with self._database.read() as connection:
            return [_live_from(row) for row in connection.execute(query.order_by(call_jobs.c.key).limit(limit))]

    def report(self, campaign_key: int) -> CampaignReport:
        """The figures of a campaign so far."""
        with self._database.read() as connection:
            return campaign_report(connection, campaign_key)

    def keys(self, campaign_key: int) -> dict[str, KeyFigures]:
        """Key -> what it did in the calls of a campaign so far."""
        with self._database.read() as connection:
            return key_figures(connection, campaign_key)


_HAS_ENDED = is_one_of(call_jobs.c.state, JobState.DONE)
"""A job keeps its call's id after the end; once retention has deleted the call, we no longer tell anything about it."""


def _finished() -> Select[Any]:
    return (
        select(
            calls,
            campaigns.c.id.label("campaign_id"),
            subscribers.c.id.label("subscriber_id"),
            trunks.c.id.label("trunk_id"),
        )
        .join(campaigns, campaigns.c.key == calls.c.campaign_key)
        .join(subscribers, subscribers.c.key == calls.c.subscriber_key)
        .outerjoin(trunks, trunks.c.key == calls.c.trunk_key)
    )


def _unfinished() -> Select[Any]:
    return (
        select(
            call_jobs.c.key,
            call_jobs.c.call_id,
            call_jobs.c.state,
            call_jobs.c.not_before,
            DIALLED.label("number"),
            *(subscribers.c[name] for name in CONSENT),
            campaign_subscribers.c.attempts,
            campaigns.c.id.label("campaign_id"),
            subscribers.c.id.label("subscriber_id"),
            trunks.c.id.label("trunk_id"),
        )
        .join(campaigns, campaigns.c.key == call_jobs.c.campaign_key)
        .join(subscribers, subscribers.c.key == call_jobs.c.subscriber_key)
        .join(
            campaign_subscribers,
            (campaign_subscribers.c.campaign_key == call_jobs.c.campaign_key)
            & (campaign_subscribers.c.subscriber_key == call_jobs.c.subscriber_key),
        )
        .outerjoin(trunks, trunks.c.key == call_jobs.c.trunk_key)
    )


def _record_from(row: AnyRow) -> CallRecord:
    rtp = None
    if row.rtp_sent is not None:
        rtp = RtpStats(
            sent=row.rtp_sent,
            received=row.rtp_received,
            lost=row.rtp_lost,
            jitter_ms=row.rtp_jitter_ms,
            remote_lost=row.rtp_remote_lost,
            round_trip_ms=row.rtp_round_trip_ms,
            reports=row.rtp_reports,
            one_way_audio=row.rtp_one_way_audio,
            strangers=row.rtp_strangers,
            encryption=row.rtp_encryption,
        )
    outcome = CallOutcome(
        disposition=Disposition(row.disposition),
        cause=Cause(row.cause) if row.cause else None,
        ended_by=EndedBy(row.ended_by) if row.ended_by else None,
        rtp=rtp,
        refusal_headers=tuple((row.refusal_headers or "").splitlines()),
        **{name: getattr(row, name) for name in OUTCOME_COLUMNS},
    )
    return CallRecord(
        id=row.id,
        campaign_id=row.campaign_id,
        subscriber_id=row.subscriber_id,
        trunk_id=row.trunk_id,
        number=row.number,
        attempt=row.attempt,
        state=JobState.DONE,
        outcome=outcome,
        next_at=row.next_at,
        next_rule=row.next_rule,
        **{name: row._mapping[name] for name in CONSENT},
        key_results=row.key_results,
    )


def _live_from(row: AnyRow) -> CallRecord:
    state = JobState(row.state)
    return CallRecord(
        id=row.call_id,
        campaign_id=row.campaign_id,
        subscriber_id=row.subscriber_id,
        trunk_id=row.trunk_id,
        number=row.number or "",
        attempt=row.attempts + 1,
        state=state,
        outcome=None,
        next_at=row.not_before if state is JobState.QUEUED else None,
        next_rule=None,
        **{name: row._mapping[name] for name in CONSENT},
    )
