"""How far campaigns are: read for any number of them at once, for lists and pages ask for it all the time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BindParameter, Connection, bindparam, func, select

from autodialer.model import JobState, SubscriberState
from autodialer.store.campaigns.tables import campaigns
from autodialer.store.figures.tables import call_counts, subscriber_counts
from autodialer.store.queue.tables import call_jobs
from autodialer.store.setup.tables import callbases
from autodialer.store.sql.engine import AnyRow
from autodialer.store.sql.transitions import is_one_of

BEGUN = [state.value for state in SubscriberState if state is not SubscriberState.PENDING]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How far a campaign is, in subscribers."""

    total: int
    pending: int
    in_progress: int
    reached: int
    exhausted: int
    excluded: int


@dataclass(frozen=True, kw_only=True)
class CampaignProgress:
    """What is known of a campaign's subscribers, calls and jobs."""

    counts: Counts
    dispositions: dict[str, int]
    """How many calls ended how; only what occurred."""
    active_calls: int
    next_due: datetime | None
    """When the earliest queued job may be dialled; None when nothing is queued."""
    last_due: datetime | None = None
    """The same of the latest."""

    @property
    def calling(self) -> int:
        """Subscribers who are being called; the others `in_progress` wait."""
        return self.active_calls

    @property
    def waiting(self) -> int:
        """Subscribers who were called and wait: for their next attempt, a cap, a window or the trunk."""
        return max(0, self.counts.in_progress - self.active_calls)


_WANTED: BindParameter[list[int]] = bindparam("campaign_keys", expanding=True)
_ACTIVE = (
    select(func.count())
    .where(call_jobs.c.campaign_key == campaigns.c.key, is_one_of(call_jobs.c.state, JobState.DIALING))
    .correlate(campaigns)
    .scalar_subquery()
)
_QUEUED = (
    select(call_jobs.c.not_before)
    .where(call_jobs.c.campaign_key == campaigns.c.key, is_one_of(call_jobs.c.state, JobState.QUEUED))
    .limit(1)
    .correlate(campaigns)
)
# Not by min() and max(): for both at once SQLite would walk over all jobs, and for one it takes no partial index.
_NEXT_DUE = _QUEUED.order_by(call_jobs.c.not_before).scalar_subquery()
_LAST_DUE = _QUEUED.order_by(call_jobs.c.not_before.desc()).scalar_subquery()
_STANDING = (
    select(
        campaigns.c.key,
        campaigns.c.final_total,
        campaigns.c.drawn_people,
        callbases.c.imported,
        _ACTIVE.label("active_calls"),
        _NEXT_DUE.label("next_due"),
        _LAST_DUE.label("last_due"),
    )
    .join(callbases, callbases.c.key == campaigns.c.callbase_key)
    .where(campaigns.c.key.in_(_WANTED))
)
_STATES = (
    select(subscriber_counts.c.campaign_key, subscriber_counts.c.state, func.sum(subscriber_counts.c.subscribers))
    .where(subscriber_counts.c.campaign_key.in_(_WANTED))
    .group_by(subscriber_counts.c.campaign_key, subscriber_counts.c.state)
)
_DISPOSITIONS = (
    select(call_counts.c.campaign_key, call_counts.c.disposition, func.sum(call_counts.c.calls))
    .where(call_counts.c.campaign_key.in_(_WANTED))
    .group_by(call_counts.c.campaign_key, call_counts.c.disposition)
)


def progress_by_key(connection: Connection, campaign_keys: Sequence[int]) -> dict[int, CampaignProgress]:
    """Campaign key -> how far it is, of those that there are. Three queries, however many campaigns."""
    wanted = {"campaign_keys": list(campaign_keys)}
    states: dict[int, dict[str, int]] = {}
    for key, state, subscribers in connection.execute(_STATES, wanted):
        states.setdefault(key, {})[state] = subscribers
    dispositions: dict[int, dict[str, int]] = {}
    for key, disposition, calls in connection.execute(_DISPOSITIONS, wanted):
        dispositions.setdefault(key, {})[disposition] = calls
    return {
        row.key: CampaignProgress(
            counts=_counts(row, states.get(row.key, {})),
            dispositions=dispositions.get(row.key, {}),
            active_calls=row.active_calls,
            next_due=row.next_due,
            last_due=row.last_due,
        )
        for row in connection.execute(_STANDING, wanted)
    }


def total_of(connection: Connection, campaign_key: int) -> int:
    """The subscribers of a campaign: those of its callbase, or drawn for it, as long as it has not ended."""
    return progress_by_key(connection, [campaign_key])[campaign_key].counts.total


def _counts(row: AnyRow, found: dict[str, int]) -> Counts:
    now = row.imported if row.drawn_people is None else row.drawn_people
    total = now if row.final_total is None else row.final_total
    begun = {state: found.get(state, 0) for state in BEGUN}
    return Counts(total=total, pending=max(0, total - sum(begun.values())), **begun)
