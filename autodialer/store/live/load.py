"""What waits and what is up, for the metrics: a few look-ups by index, no list of people."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import case, func, select

from autodialer.clock import Clock
from autodialer.model import CampaignLimit, CampaignState, JobState
from autodialer.store.campaigns.tables import campaigns
from autodialer.store.live.tables import campaign_status, trunk_status
from autodialer.store.queue.tables import call_jobs
from autodialer.store.setup.tables import trunks
from autodialer.store.sql.engine import Database

BY_THE_CLOCK = (CampaignLimit.WINDOW_CLOSED, CampaignLimit.BEFORE_START, CampaignLimit.AFTER_END)
"""Campaigns whose hours are over: their jobs wait for the morning, not for the dialer."""
RECENT_S = 5.0


@dataclass(frozen=True, kw_only=True)
class QueueLoad:
    """The jobs of running campaigns."""

    running: int
    """Campaigns."""
    queued: int
    """Jobs, due or not."""
    due: int
    """Jobs that may be dialled now."""
    oldest_due_s: float
    """For how long the oldest of them has been due; 0: none is."""


@dataclass(frozen=True, kw_only=True)
class TrunkLoad:
    """A trunk as the dialer saw it last."""

    id: UUID
    name: str
    breaker_state: str
    registers: bool
    registration_state: str
    active_calls: int


class Load:
    """Read by the API."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def queue(self) -> QueueLoad:
        """Raises Unavailable."""
        now = self._clock.utcnow()
        queued = (call_jobs.c.campaign_key == campaigns.c.key) & (call_jobs.c.state == JobState.QUEUED.value)
        oldest, due, waiting = func.min(call_jobs.c.not_before), call_jobs.c.not_before <= now, func.count
        recent = campaign_status.c.written_at >= now - timedelta(seconds=RECENT_S)
        limit = (
            select(campaign_status.c.limited_by)
            .where((campaign_status.c.campaign_key == campaigns.c.key) & recent)
            .scalar_subquery()
        )
        query = select(
            select(waiting()).select_from(call_jobs).where(queued).scalar_subquery().label("queued"),
            select(waiting()).select_from(call_jobs).where(queued, due).scalar_subquery().label("due"),
            select(oldest).where(queued, due).scalar_subquery().label("oldest"),
            limit.label("limit"),
        ).where(campaigns.c.state == CampaignState.RUNNING.value)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        open_now = [row for row in rows if row.limit not in BY_THE_CLOCK]
        waits = [_seconds_since(row.oldest, now) for row in open_now if row.oldest is not None]
        return QueueLoad(
            running=len(rows),
            queued=sum(row.queued for row in rows),
            due=sum(row.due for row in open_now),
            oldest_due_s=max([0.0, *waits]),
        )

    def trunks(self, *, limit: int) -> list[TrunkLoad]:
        """The trunks that the dialer has spoken of, the oldest first. Raises Unavailable."""
        recent = self._clock.utcnow() - timedelta(seconds=RECENT_S)
        query = (
            select(
                trunks.c.id,
                trunks.c.name,
                trunk_status.c.breaker_state,
                trunk_status.c.registration_state,
                trunks.c.register.label("registers"),
                # Of a trunk that no campaign uses any more the dialer says nothing; then nothing is up there.
                case((trunk_status.c.written_at >= recent, trunk_status.c.active_calls), else_=0).label("active_calls"),
            )
            .join(trunk_status, trunk_status.c.trunk_key == trunks.c.key)
            .where(trunks.c.deleted_at.is_(None))
            .order_by(trunks.c.key)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [TrunkLoad(**row._asdict()) for row in connection.execute(query)]


def _seconds_since(moment: datetime, now: datetime) -> float:
    return (now - moment).total_seconds()
