"""Calls and minutes of each user and trunk by day: counted in the commit of the claim, and no crash forgets them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, literal, select, update

from autodialer.model import ClaimedJob
from autodialer.model.ceilings import DayUse, day_of
from autodialer.store.accounts.tables import audit, users
from autodialer.store.campaigns.tables import campaigns
from autodialer.store.queue.tables import day_use
from autodialer.store.setup.tables import trunks
from autodialer.store.sql.engine import AnyRow, Database, insert_into
from autodialer.store.sql.prepared import Prepared

USER, TRUNK = "users", "trunks"
"""Kinds of what has a ceiling, as the audit names objects."""
REACHED = "ceilings.reached"
"""What the audit calls it; once a day and object."""


@dataclass(frozen=True, kw_only=True)
class DayStanding:
    """How far a user or a trunk is with its day."""

    kind: str
    """users or trunks."""
    key: int
    id: UUID
    name: str
    """Of a user: the login."""
    use: DayUse

    @property
    def of_trunk(self) -> bool:
        """Whether it is a trunk's; else a user's."""
        return self.kind == TRUNK


_OF_USER = and_(day_use.c.kind == USER, day_use.c.of_key == users.c.key, day_use.c.day == bindparam("today"))
_OF_TRUNK = and_(day_use.c.kind == TRUNK, day_use.c.of_key == trunks.c.key, day_use.c.day == bindparam("today"))
_USED = (
    func.coalesce(day_use.c.calls, 0).label("calls"),
    func.coalesce(day_use.c.billsec_ms, 0).label("billsec_ms"),
)
_LIMITS = ("key", "id", "max_calls_day", "max_minutes_day")
_USERS = select(literal(USER).label("kind"), *(users.c[name] for name in _LIMITS), users.c.login.label("name"), *_USED)
_TRUNKS = select(
    literal(TRUNK).label("kind"), *(trunks.c[name] for name in _LIMITS), trunks.c.name.label("name"), *_USED
)
_OF_CLAIM = (
    _USERS.select_from(users)
    .join(campaigns, campaigns.c.owner_key == users.c.key)
    .outerjoin(day_use, _OF_USER)
    .where(campaigns.c.key == bindparam("campaign"))
    .union_all(_TRUNKS.select_from(trunks).outerjoin(day_use, _OF_TRUNK).where(trunks.c.key == bindparam("trunk")))
)
_OF_BOTH = (
    _USERS.select_from(users)
    .outerjoin(day_use, _OF_USER)
    .where(users.c.key == bindparam("user"))
    .union_all(
        _TRUNKS.select_from(trunks)
        .outerjoin(day_use, _OF_TRUNK)
        .where(trunks.c.key.in_(bindparam("trunk_keys", expanding=True)))
    )
)
# PostgreSQL takes the same words.
_NEW = insert_into("sqlite", day_use)
_COUNT = Prepared(
    _NEW.on_conflict_do_update(
        index_elements=[day_use.c.day, day_use.c.kind, day_use.c.of_key],
        set_={
            "calls": day_use.c.calls + _NEW.excluded.calls,
            "billsec_ms": day_use.c.billsec_ms + _NEW.excluded.billsec_ms,
        },
    ),
    columns=["day", "kind", "of_key", "calls", "billsec_ms"],
)


def left_for(connection: Connection, campaign_key: int, trunk_key: int, wanted: int, now: datetime) -> int:
    """How many of the claims that are wanted the ceilings allow; a ceiling that is reached is told to the audit."""
    known = {"campaign": campaign_key, "trunk": trunk_key, "today": day_of(now)}
    for row in connection.execute(_OF_CLAIM, known):
        standing = _standing_from(row)
        wanted = standing.use.calls_left(wanted)
        if standing.use.reached is not None:
            _tell_once(connection, standing, now)
    return wanted


def count_claims(connection: Connection, owner_key: int, jobs: Sequence[ClaimedJob], now: datetime) -> None:
    """Calls that are about to leave, of one user."""
    by_trunk = Counter(job.trunk_key for job in jobs)
    rows = [_row(now, TRUNK, key, calls=calls) for key, calls in by_trunk.items()]
    if rows:
        _COUNT.execute(connection, [*rows, _row(now, USER, owner_key, calls=len(jobs))])


def give_back(connection: Connection, owners: Mapping[int, int], jobs: Iterable[ClaimedJob]) -> None:
    """Calls that never left; `owners`: key of the job -> its campaign's owner."""
    rows = []
    for job in jobs:
        rows += [
            _row(job.claimed_at, USER, owners[job.key], calls=-1),
            _row(job.claimed_at, TRUNK, job.trunk_key, calls=-1),
        ]
    if rows:
        _COUNT.execute(connection, rows)


def count_talk(connection: Connection, spans: Iterable[tuple[int, int, float]], now: datetime) -> None:
    """Calls that have ended: (owner, trunk, seconds that are paid for) of each."""
    seconds: Counter[tuple[str, int]] = Counter()
    for owner_key, trunk_key, span_s in spans:
        if span_s > 0:
            seconds[USER, owner_key] += round(span_s * 1000)
            seconds[TRUNK, trunk_key] += round(span_s * 1000)
    rows = [_row(now, kind, key, billsec_ms=span) for (kind, key), span in seconds.items()]
    if rows:
        _COUNT.execute(connection, rows)


def _row(now: datetime, kind: str, key: int, *, calls: int = 0, billsec_ms: int = 0) -> dict[str, Any]:
    return {"day": day_of(now), "kind": kind, "of_key": key, "calls": calls, "billsec_ms": billsec_ms}


def _tell_once(connection: Connection, standing: DayStanding, now: datetime) -> None:
    today = _row(now, standing.kind, standing.key)
    _COUNT.execute(connection, [today])  # a ceiling of 0 is reached before anything was counted
    untold = and_(*(day_use.c[name] == today[name] for name in ("day", "kind", "of_key")), ~day_use.c.told)
    if connection.execute(update(day_use).where(untold).values(told=True)).rowcount:
        reached = standing.use.reached
        connection.execute(
            insert(audit).values(
                at=now,
                action=REACHED,
                object_kind=standing.kind,
                object_id=standing.id,
                details={"ceiling": reached, "name": standing.name, "calls": standing.use.calls},
            )
        )


def _standing_from(row: AnyRow) -> DayStanding:
    use = DayUse(
        max_calls=row.max_calls_day,
        max_minutes=row.max_minutes_day,
        calls=row.calls,
        billsec_s=row.billsec_ms / 1000,
    )
    return DayStanding(kind=row.kind, key=row.key, id=row.id, name=row.name, use=use)


class DayUses:
    """Reads the days."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def standings(self, owner_key: int, trunk_keys: Iterable[int], now: datetime) -> list[DayStanding]:
        """The user's and these trunks' day."""
        known = {"user": owner_key, "trunk_keys": list(trunk_keys), "today": day_of(now)}
        with self._database.read() as connection:
            return [_standing_from(row) for row in connection.execute(_OF_BOTH, known)]

    def full_trunks(self, trunk_keys: Iterable[int], now: datetime) -> set[int]:
        """Those of the trunks that have reached a ceiling."""
        return {each.key for each in self.standings(0, trunk_keys, now) if each.use.reached is not None}

    def count_check(self, owner_key: int, trunk_key: int, now: datetime) -> None:
        """The call of a trunk's check."""
        with self._database.write() as connection:
            _COUNT.execute(connection, [_row(now, USER, owner_key, calls=1), _row(now, TRUNK, trunk_key, calls=1)])

    def forget(self, before: datetime) -> int:
        """Delete the days before that one; returns how many rows were."""
        deleted = 0
        while True:
            with self._database.write() as connection:
                oldest = connection.execute(select(func.min(day_use.c.day))).scalar()
                if oldest is None or oldest >= day_of(before):
                    return deleted
                deleted += connection.execute(delete(day_use).where(day_use.c.day == oldest)).rowcount
