"""The figures of a campaign, added up by the database."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select

from autodialer.model import Disposition, SubscriberState
from autodialer.store.engine import AnyRow
from autodialer.store.tables import calls, campaign_subscribers, trunks
from autodialer.store.transitions import is_one_of

PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True, kw_only=True)
class TrunkReport:
    """The calls of a campaign through one trunk."""

    trunk_id: UUID | None
    """None: claimed, and interrupted before a trunk was known."""
    name: str | None
    calls: int
    answered: int
    asr: float | None
    acd_s: float | None
    dispositions: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class CampaignReport:
    """The calls of a campaign. Figures that nothing is known of are None."""

    calls: int
    answered: int
    """Calls that were picked up: dispositions answered and machine."""
    asr: float | None
    """answered over calls, 0 to 1."""
    acd_s: float | None
    """Mean billsec of the answered calls."""
    billsec_s: float
    """Sum over all calls."""
    played_share_mean: float | None
    """Mean over the answered calls, 0 to 1."""
    pdd_s: Mapping[str, float]
    """`p50`, `p90`, `p95`, `p99` of the calls that rang (nearest rank); empty when none did."""
    dispositions: Mapping[str, int]
    """Only those that occurred."""
    attempts_to_reach: Mapping[int, int]
    """Attempts -> subscribers that were reached by just so many."""
    by_trunk: Sequence[TrunkReport]


def campaign_report(connection: Connection, campaign_key: int) -> CampaignReport:
    """One pass over the campaign's calls for the sums, one look-up a percentile."""
    groups = connection.execute(_groups(campaign_key)).all()
    answered = [row for row in groups if row.disposition in _PICKED_UP]
    dispositions: dict[str, int] = {}
    for row in groups:
        dispositions[row.disposition] = dispositions.get(row.disposition, 0) + row.calls
    of_trunk: dict[int | None, list[AnyRow]] = {}
    for row in groups:
        of_trunk.setdefault(row.trunk_key, []).append(row)
    names = {
        row.key: row
        for row in connection.execute(
            select(trunks.c.key, trunks.c.id, trunks.c.name).where(trunks.c.key.in_([key for key in of_trunk if key]))
        )
    }
    count, picked_up = _sum(groups, "calls"), _sum(answered, "calls")
    return CampaignReport(
        calls=int(count),
        answered=int(picked_up),
        asr=_ratio(picked_up, count),
        acd_s=_ratio(_sum(answered, "billsec_s"), picked_up),
        billsec_s=_sum(groups, "billsec_s"),
        played_share_mean=_ratio(_sum(answered, "played_share"), picked_up),
        pdd_s=_pdd_percentiles(connection, campaign_key),
        dispositions=dispositions,
        attempts_to_reach=_attempts_to_reach(connection, campaign_key),
        by_trunk=[_trunk_report(rows, names.get(key) if key else None) for key, rows in of_trunk.items()],
    )


_PICKED_UP = (Disposition.ANSWERED.value, Disposition.MACHINE.value)


def _groups(campaign_key: int) -> Any:
    return (
        select(
            calls.c.trunk_key,
            calls.c.disposition,
            func.count().label("calls"),
            func.sum(calls.c.billsec_s).label("billsec_s"),
            func.sum(calls.c.played_share).label("played_share"),
        )
        .where(calls.c.campaign_key == campaign_key)
        .group_by(calls.c.trunk_key, calls.c.disposition)
        .order_by(calls.c.trunk_key, calls.c.disposition)
    )


def _trunk_report(rows: Sequence[AnyRow], trunk: AnyRow | None) -> TrunkReport:
    answered = [row for row in rows if row.disposition in _PICKED_UP]
    count, picked_up = _sum(rows, "calls"), _sum(answered, "calls")
    return TrunkReport(
        trunk_id=trunk.id if trunk is not None else None,
        name=trunk.name if trunk is not None else None,
        calls=int(count),
        answered=int(picked_up),
        asr=_ratio(picked_up, count),
        acd_s=_ratio(_sum(answered, "billsec_s"), picked_up),
        dispositions={row.disposition: row.calls for row in rows},
    )


def _pdd_percentiles(connection: Connection, campaign_key: int) -> dict[str, float]:
    rang = (calls.c.campaign_key == campaign_key) & calls.c.pdd_s.is_not(None)
    count = connection.execute(select(func.count()).where(rang)).scalar_one()
    if not count:
        return {}
    found = {}
    for percent in PERCENTILES:
        rank = max(1, math.ceil(count * percent / 100))
        at_rank = select(calls.c.pdd_s).where(rang).order_by(calls.c.pdd_s).limit(1).offset(rank - 1)
        found[f"p{percent}"] = connection.execute(at_rank).scalar_one()
    return found


def _attempts_to_reach(connection: Connection, campaign_key: int) -> dict[int, int]:
    query = (
        select(campaign_subscribers.c.attempts, func.count())
        .where(
            campaign_subscribers.c.campaign_key == campaign_key,
            is_one_of(campaign_subscribers.c.state, SubscriberState.REACHED),
        )
        .group_by(campaign_subscribers.c.attempts)
        .order_by(campaign_subscribers.c.attempts)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _sum(rows: Sequence[AnyRow], name: str) -> float:
    return float(sum(getattr(row, name) for row in rows))


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
