"""Caps across campaigns: how often a number may be called in a day and in a week, by whatever campaign of its owner.

An attempt is a call that ended, `cancelled` ones apart, or one that is in the air. Attempts are counted by number, in
either of its notations, so that a person who stands in several callbases is one person.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, ScalarSelect, Select, bindparam, false, func, select, update

from autodialer.model import Disposition, JobState
from autodialer.store.calls.tables import calls
from autodialer.store.campaigns.tables import campaign_subscribers, campaigns
from autodialer.store.queue.tables import LIVE_JOB_STATES, call_jobs
from autodialer.store.setup.notation import notations
from autodialer.store.setup.second_number import ON_SECOND
from autodialer.store.setup.tables import subscribers
from autodialer.store.sql.engine import AnyRow
from autodialer.store.sql.prepared import Prepared
from autodialer.store.sql.transitions import is_one_of

CAP_DAY = "cap_day"
CAP_WEEK = "cap_week"
SPANS = {CAP_DAY: timedelta(days=1), CAP_WEEK: timedelta(days=7)}
LOOK_AGAIN = timedelta(seconds=10)
"""A number whose last free attempt is in the air is looked at again after this: that call may turn out cancelled."""


@dataclass(frozen=True, kw_only=True)
class Wait:
    """A cap, or a calling window, keeps a number from being called."""

    until: datetime
    """When it lets the next attempt start, as far as is known now."""
    rule: str
    """cap_day, cap_week or window."""


@dataclass(kw_only=True)
class Attempts:
    """The attempts of one number that its caps count."""

    at: list[datetime] = field(default_factory=list)
    """When those that are over began."""
    in_air: int = 0


def wait_for(caps: Mapping[str, int | None], attempts: Attempts, now: datetime) -> Wait | None:
    """What the caps (cap_day, cap_week) say to another attempt now; None: it may be made.

    Of two caps that both forbid it the one that lasts longer is named.
    """
    waits = [
        Wait(until=until, rule=rule)
        for rule, span in SPANS.items()
        if (cap := caps[rule]) is not None and (until := _until(cap, span, attempts, now)) is not None
    ]
    return max(waits, key=lambda wait: wait.until, default=None)


def _until(cap: int, span: timedelta, attempts: Attempts, now: datetime) -> datetime | None:
    recent = sorted(at for at in attempts.at if at > now - span)
    if len(recent) >= cap:
        # It takes so many of them to leave the span that one less than the cap is left.
        return recent[len(recent) - cap] + span
    return now + LOOK_AGAIN if len(recent) + attempts.in_air >= cap else None


def owner_of_call() -> ScalarSelect[int]:
    """The owner of a row of `calls`, for a condition.

    Not by a join: SQLite would then find the calls by the owner's campaigns, of which one may have a million.
    """
    return select(campaigns.c.owner_key).where(campaigns.c.key == calls.c.campaign_key).scalar_subquery()


_ENDED = select(calls.c.number, calls.c.invited_at).where(
    calls.c.number.in_(bindparam("numbers", expanding=True)),
    calls.c.invited_at > bindparam("since"),
    calls.c.disposition != Disposition.CANCELLED.value,
    owner_of_call() == bindparam("owner"),
)
_DIALING = is_one_of(call_jobs.c.state, JobState.DIALING)
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


def attempts_of(
    connection: Connection, owner_key: int, numbers: Iterable[str], now: datetime, *, in_air: bool = True
) -> Mapping[str, Attempts]:
    """The attempts of these numbers that may count, by `person`. Without `in_air` only those that are over."""
    found: dict[str, Attempts] = defaultdict(Attempts)
    both = sorted({notation for number in numbers for notation in notations(number)})
    asked = {"numbers": both, "owner": owner_key}
    for row in connection.execute(_ENDED, {**asked, "since": now - max(SPANS.values())}):
        found[person(row.number)].at.append(row.invited_at)
    for query in _IN_AIR if in_air else ():
        for row in connection.execute(query, asked):
            found[person(row.number)].in_air += row.calls
    return found


def person(number: str) -> str:
    """What is the same for both notations of a number."""
    return number.removeprefix("+")


def capped(connection: Connection, candidates: Sequence[AnyRow], now: datetime) -> dict[int, Wait]:
    """Which of the jobs that a claim considers must wait: key of the job -> for what.

    All are of one campaign and have its `owner_key`, `cap_day` and `cap_week`. Those that may be called are taken as
    in the air for the ones that come after.
    """
    if not candidates or all(getattr(candidates[0], rule) is None for rule in SPANS):
        return {}
    found = attempts_of(connection, candidates[0].owner_key, [row.number for row in candidates], now)
    waits = {}
    for row in candidates:
        attempts = found[person(row.number)]
        wait = wait_for({rule: getattr(row, rule) for rule in SPANS}, attempts, now)
        if wait is None:
            attempts.in_air += 1
        else:
            waits[row.key] = wait
    return waits


@dataclass(frozen=True, kw_only=True)
class Retry:
    """A job that has just been queued for another attempt, with the caps of its campaign."""

    job_key: int
    campaign_key: int
    subscriber_key: int
    number: str
    owner_key: int
    caps: Mapping[str, int | None]
    not_before: datetime


class PutOff(NamedTuple):
    """A queued job that is to wait."""

    job_key: int
    campaign_key: int
    subscriber_key: int
    wait: Wait


def put_off_retries(connection: Connection, retries: Sequence[Retry]) -> None:
    """Queue those whose cap will not let them when their retry rule would for when it does.

    The calls that they follow from are recorded already, so that those count.
    """
    of_owner: dict[int, list[Retry]] = defaultdict(list)
    for retry in retries:
        if any(cap is not None for cap in retry.caps.values()):
            of_owner[retry.owner_key].append(retry)
    late = []
    for owner_key, theirs in of_owner.items():
        numbers, earliest = [retry.number for retry in theirs], min(retry.not_before for retry in theirs)
        found = attempts_of(connection, owner_key, numbers, earliest, in_air=False)
        for retry in theirs:
            wait = wait_for(retry.caps, found[person(retry.number)], retry.not_before)
            if wait is not None:
                late.append(PutOff(retry.job_key, retry.campaign_key, retry.subscriber_key, wait))
    put_off(connection, late)


_PUT_OFF = Prepared(
    update(call_jobs)
    .where(call_jobs.c.key == bindparam("of_job"))
    .values(not_before=bindparam("until"), waits_for=bindparam("rule"))
)
_LAST_CALL = (
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
    explain(connection, rows)


def explain(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Have the last call of each subscriber say what follows: `of_campaign`, `of_subscriber`, `until`, `rule`."""
    _EXPLAIN.execute(connection, rows)
