"""Figures of a campaign, or of a user's campaigns within a period, added up from the tallies of their calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Table, and_, func, select

from autodialer.model import Disposition
from autodialer.store.campaigns.tables import campaigns
from autodialer.store.figures.tables import call_tallies, key_tallies
from autodialer.store.figures.tallying import HEARD_SHARES
from autodialer.store.setup.tables import callbases
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.owned import not_deleted, owned_by

MOST_CALLBASES = 100
ANSWERABLE = (
    Disposition.ANSWERED,
    Disposition.MACHINE,
    Disposition.BUSY,
    Disposition.NO_ANSWER,
    Disposition.REJECTED,
)
"""Calls that came as far as the callee's phone: of others nobody could have answered, whatever the hour."""
FUNNEL = ("called", "rang", "answered", *(f"heard_{share}" for share in HEARD_SHARES))


@dataclass(frozen=True, kw_only=True)
class TallyScope:
    """Whose calls are meant, and when their INVITEs left."""

    campaign_key: int | None = None
    """None: all campaigns of the owner but those behind sample calls."""
    owner_key: int | None = None
    """None, and no campaign: everybody's."""
    since: datetime | None = None
    """A full quarter of an hour; None: from the first call on."""
    until: datetime | None = None
    """Not this moment itself; None: up to the last call."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """How many came as far as this step of the funnel."""

    name: str
    """called, rang, answered, heard_25 and so on, pressed_1 and so on."""
    people: int
    """Subscribers whose first call within a campaign that got so far is among these."""
    calls: int


@dataclass(frozen=True, kw_only=True)
class PeriodFigures:
    """What the calls of a scope came to."""

    calls: int
    answered: int
    """Also by a machine."""
    billsec_s: float
    dispositions: Mapping[str, int]
    """Only those that occurred."""
    funnel: Sequence[Step]

    @property
    def asr(self) -> float | None:
        """answered over calls, 0 to 1."""
        return self.answered / self.calls if self.calls else None

    @property
    def acd_s(self) -> float | None:
        """Mean billsec of the answered calls."""
        return self.billsec_s / self.answered if self.answered else None


@dataclass(frozen=True, kw_only=True)
class Quarter:
    """Calls to the people of one time zone within a quarter of an hour, of those that could be answered."""

    zone: str
    """IANA name; empty: none is known."""
    at: datetime
    calls: int
    answered: int


@dataclass(frozen=True, kw_only=True)
class CallerIdQuarter:
    """Calls that showed one caller ID within a quarter of an hour."""

    caller_id: str
    """Empty: none of ours."""
    at: datetime
    calls: int
    """Those that could be answered."""
    answered: int
    early_hang_ups: int
    """Answered calls that the callee ended within 3 s."""
    sip_603: int
    sip_607: int
    sip_608: int


@dataclass(frozen=True, kw_only=True)
class CallbaseQuality:
    """How good the numbers of a callbase are: by the import, and by the calls of some of its campaigns."""

    callbase_id: UUID
    name: str
    rows: int
    valid: int
    doubtful: int
    duplicates: int
    rejected: int
    called: int
    """People; of several campaigns each counts its own, as in the two below."""
    dead_numbers: int
    """People with a number that was refused with 404, 410, 484 or 604."""
    never_answered: int
    """People called who never picked up, those with dead numbers included."""


class Tallies:
    """Reads the tallies."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def figures(self, scope: TallyScope) -> PeriodFigures:
        """Calls, dispositions and the funnel."""
        with self._database.read() as connection:
            return _figures(connection, scope)

    def quarters(self, scope: TallyScope) -> list[Quarter]:
        """By time zone and quarter of an hour."""
        by = (call_tallies.c.zone, call_tallies.c.quarter_at)
        query = (
            select(*by, _sum(call_tallies, "calls"), _sum(call_tallies, "answered"))
            .where(_within(call_tallies, scope), _IS_ANSWERABLE)
            .group_by(*by)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [Quarter(zone=row.zone, at=row.quarter_at, calls=row.calls, answered=row.answered) for row in rows]

    def caller_ids(self, scope: TallyScope) -> list[CallerIdQuarter]:
        """By caller ID and quarter of an hour, in this order."""
        by = (call_tallies.c.caller_id, call_tallies.c.quarter_at)
        counts = ("calls", "answered", "early_hang_ups", "sip_603", "sip_607", "sip_608")
        query = (
            select(*by, *(_sum(call_tallies, name) for name in counts))
            .where(_within(call_tallies, scope), _IS_ANSWERABLE)
            .group_by(*by)
            .order_by(*by)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [
            CallerIdQuarter(caller_id=row.caller_id, at=row.quarter_at, **{name: getattr(row, name) for name in counts})
            for row in rows
        ]

    def callbases(self, scope: TallyScope) -> list[CallbaseQuality]:
        """Those of the campaigns with calls in the scope, by all calls of these campaigns; at most 100, the most
        called first. A single campaign's callbase is there without calls too."""
        called, dead, answered = (_sum(call_tallies, f"people_{name}") for name in ("called", "dead", "answered"))
        if scope.campaign_key is None:
            called_in = select(call_tallies.c.campaign_key).where(_within(call_tallies, scope))
            wanted: ColumnElement[bool] = campaigns.c.key.in_(called_in.correlate(None))
        else:
            wanted = campaigns.c.key == scope.campaign_key
        query = (
            select(callbases, called, dead, answered)
            .join(campaigns, campaigns.c.callbase_key == callbases.c.key)
            .outerjoin(call_tallies, call_tallies.c.campaign_key == campaigns.c.key)
            .where(wanted)
            .group_by(callbases.c.key)
            .order_by(called.desc(), callbases.c.key)
            .limit(MOST_CALLBASES)
        )
        with self._database.read() as connection:
            return [_quality(row) for row in connection.execute(query)]


_IS_ANSWERABLE = call_tallies.c.disposition.in_([each.value for each in ANSWERABLE])


def _sum(table: Table, name: str) -> Any:
    return func.coalesce(func.sum(table.c[name]), 0).label(name)


def _within(table: Table, scope: TallyScope) -> ColumnElement[bool]:
    if scope.campaign_key is not None:
        of_whom = table.c.campaign_key == scope.campaign_key
    else:
        shown = select(campaigns.c.key).where(~campaigns.c.hidden, not_deleted(campaigns))
        of_whom = table.c.campaign_key.in_(owned_by(shown, campaigns, scope.owner_key).correlate(None))
    since = [] if scope.since is None else [table.c.quarter_at >= scope.since]
    until = [] if scope.until is None else [table.c.quarter_at < scope.until]
    return and_(of_whom, *since, *until)


def _figures(connection: Connection, scope: TallyScope) -> PeriodFigures:
    people = [f"people_{name}" for name in FUNNEL]
    counts = ("calls", "billsec_ms", *FUNNEL[1:], *people)
    by_disposition = connection.execute(
        select(call_tallies.c.disposition, *(_sum(call_tallies, name) for name in counts))
        .where(_within(call_tallies, scope))
        .group_by(call_tallies.c.disposition)
    ).all()
    total = {name: sum(getattr(row, name) for row in by_disposition) for name in counts}
    keys = connection.execute(
        select(key_tallies.c.digit, _sum(key_tallies, "calls"), _sum(key_tallies, "people"))
        .where(_within(key_tallies, scope))
        .group_by(key_tallies.c.digit)
        .order_by(key_tallies.c.digit)
    ).all()
    total["called"] = total["calls"]
    return PeriodFigures(
        calls=total["calls"],
        answered=total["answered"],
        billsec_s=total["billsec_ms"] / 1000,
        dispositions={row.disposition: row.calls for row in by_disposition},
        funnel=[
            *(Step(name=name, people=total[f"people_{name}"], calls=total[name]) for name in FUNNEL),
            *(Step(name=f"pressed_{row.digit}", people=row.people, calls=row.calls) for row in keys),
        ],
    )


def _quality(row: AnyRow) -> CallbaseQuality:
    return CallbaseQuality(
        callbase_id=row.id,
        name=row.name,
        rows=row.rows,
        valid=row.imported - row.doubtful,
        doubtful=row.doubtful,
        duplicates=row.duplicates,
        rejected=row.rejected,
        called=row.people_called,
        dead_numbers=row.people_dead,
        never_answered=row.people_called - row.people_answered,
    )
