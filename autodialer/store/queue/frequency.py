"""Caps across campaigns: how often a number may be called in a day and in a week, by whatever campaign of its owner.

Which calls count is `autodialer.campaign.admission`'s to say. They are found by number, in either of its notations, so
that a person who stands in several callbases is one person.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, ScalarSelect, Select, bindparam, false, func, select, update

from autodialer.model import JobState
from autodialer.model.admission import Admit, CallsOf, Candidate, NumberCalls, OpenHours, PastCall, Wait
from autodialer.store.calls.tables import calls
from autodialer.store.campaigns.tables import campaign_subscribers, campaigns
from autodialer.store.queue.tables import LIVE_JOB_STATES, call_jobs
from autodialer.store.setup.notation import notations
from autodialer.store.setup.second_number import ON_SECOND
from autodialer.store.setup.tables import subscribers
from autodialer.store.sql.prepared import Prepared
from autodialer.store.sql.transitions import is_one_of

LONGEST_SPAN = timedelta(days=7)
"""What the longest cap looks back over."""


def owner_of_call() -> ScalarSelect[int]:
    """The owner of a row of `calls`, for a condition.

    Not by a join: SQLite would then find the calls by the owner's campaigns, of which one may have a million.
    """
    return select(campaigns.c.owner_key).where(campaigns.c.key == calls.c.campaign_key).scalar_subquery()


_PAST = select(
    calls.c.number,
    calls.c.invited_at,
    calls.c.disposition,
    calls.c.cause,
    calls.c.sip_code,
    calls.c.q850_cause,
    calls.c.ringing_at,
    calls.c.answered_at,
    calls.c.next_rule,
).where(
    calls.c.number.in_(bindparam("numbers", expanding=True)),
    calls.c.invited_at > bindparam("since"),
    owner_of_call() == bindparam("owner"),
)
_DIALING = is_one_of(call_jobs.c.state, JobState.DIALING)
# Not correlated: the query around it selects from the jobs too, and would lend its own row to this one.
_BUSY_CAMPAIGNS = select(call_jobs.c.campaign_key).where(_DIALING).correlate(None)


def _in_air(number: ColumnElement[Any], *conditions: ColumnElement[bool]) -> Select[Any]:
    """Calls in the air by one of the two numbers of a subscriber."""
    of_subscriber = call_jobs.c.subscriber_key == subscribers.c.key
    within = (campaign_subscribers.c.campaign_key == campaigns.c.key) & (
        campaign_subscribers.c.subscriber_key == subscribers.c.key
    )
    return (
        select(number.label("number"), func.count().label("calls"))
        .select_from(subscribers)
        .join(campaigns, campaigns.c.callbase_key == subscribers.c.callbase_key)
        .join(call_jobs, (call_jobs.c.campaign_key == campaigns.c.key) & of_subscriber)
        .join(campaign_subscribers, within)
        .where(
            campaigns.c.key.in_(_BUSY_CAMPAIGNS.scalar_subquery()),
            campaigns.c.owner_key == bindparam("owner"),
            number.in_(bindparam("numbers", expanding=True)),
            # Said twice: the index is used only where the statement repeats its condition.
            is_one_of(call_jobs.c.state, *LIVE_JOB_STATES),
            _DIALING,
            *conditions,
        )
        .group_by(number)
    )


_IN_AIR = (
    _in_air(subscribers.c.number, func.coalesce(ON_SECOND, false()).is_(False)),
    _in_air(subscribers.c.second_number, ON_SECOND, subscribers.c.second_number.is_not(None)),
)


def calls_of(
    connection: Connection, owner_key: int, numbers: Sequence[str], now: datetime, *, in_air: bool = True
) -> Mapping[str, NumberCalls]:
    """The calls to each of these numbers of as late as a cap may count. Without `in_air` only those that are over."""
    found: dict[str, NumberCalls] = defaultdict(NumberCalls)
    both = sorted({notation for number in numbers for notation in notations(number)})
    asked = {"numbers": both, "owner": owner_key}
    for number, *call in connection.execute(_PAST, {**asked, "since": now - LONGEST_SPAN}):
        found[person(number)].past.append(PastCall(*call))
    for query in _IN_AIR if in_air else ():
        for row in connection.execute(query, asked):
            found[person(row.number)].in_air += row.calls
    return {number: found[person(number)] for number in numbers}


def person(number: str) -> str:
    """What is the same for both notations of a number."""
    return number.removeprefix("+")


@dataclass(frozen=True, kw_only=True)
class Retry:
    """A job that has just been queued for another attempt, with the caps of its campaign."""

    job_key: int
    campaign_key: int
    subscriber_key: int
    owner_key: int
    candidate: Candidate
    not_before: datetime


class PutOff(NamedTuple):
    """A queued job that is to wait."""

    job_key: int
    campaign_key: int
    subscriber_key: int
    wait: Wait


def put_off_retries(connection: Connection, retries: Sequence[Retry], admit: Admit) -> None:
    """Queue those whose cap will not let them when their retry rule would for when it does.

    The calls that they follow from are recorded already, so that those count. Hours are judged at the claim: until then
    a window may be changed, and a job that a window has put off is found only by the next look at it.
    """
    of_owner: dict[int, list[Retry]] = defaultdict(list)
    for retry in retries:
        if any(cap is not None for cap in retry.candidate.caps.values()):
            of_owner[retry.owner_key].append(retry)
    late = []
    for owner_key, theirs in of_owner.items():
        # By the earliest retry: seven days back from a later one would leave out calls that count for this one.
        numbers, earliest = [retry.candidate.number or "" for retry in theirs], min(one.not_before for one in theirs)
        found = calls_of(connection, owner_key, numbers, earliest, in_air=False)
        for retry in theirs:
            [verdict] = admit([retry.candidate], OpenHours(), _known(found), retry.not_before)
            if isinstance(verdict, Wait):
                late.append(PutOff(retry.job_key, retry.campaign_key, retry.subscriber_key, verdict))
    put_off(connection, late)


def _known(found: Mapping[str, NumberCalls]) -> CallsOf:
    return lambda _numbers: found


_PUT_OFF = Prepared(
    update(call_jobs)
    .where(call_jobs.c.key == bindparam("of_job"))
    .values(not_before=bindparam("until"), waits_for=bindparam("rule"))
)
_LAST_CALL = (
    # Keys rise as calls are written.
    select(func.max(calls.c.key))
    .where(calls.c.campaign_key == bindparam("of_campaign"), calls.c.subscriber_key == bindparam("of_subscriber"))
    .scalar_subquery()
)
_EXPLAIN = Prepared(
    update(calls).where(calls.c.key == _LAST_CALL).values(next_at=bindparam("until"), next_rule=bindparam("rule"))
)


def put_off(connection: Connection, late: Sequence[PutOff]) -> None:
    """Queue these jobs for when their cap lets them; the last call of each subscriber says so too."""
    if not late:
        return
    rows = [
        {
            "of_job": job.job_key,
            "of_campaign": job.campaign_key,
            "of_subscriber": job.subscriber_key,
            "until": job.wait.until,
            "rule": job.wait.rule,
        }
        for job in late
    ]
    _PUT_OFF.execute(connection, rows)
    explain_last_call(connection, rows)


def explain_last_call(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Have the last call of each subscriber say what follows: `of_campaign`, `of_subscriber`, `until`, `rule`."""
    _EXPLAIN.execute(connection, rows)
