"""The figures of a campaign, added up from its running figures: as quick after a million calls as after ten."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection, func, select

from autodialer.model import Disposition, SubscriberState
from autodialer.store.figures.tables import call_counts, call_spreads, subscriber_counts
from autodialer.store.setup.tables import trunks
from autodialer.store.sql.engine import AnyRow
from autodialer.store.sql.transitions import is_one_of

PERCENTILES = (50, 90, 95, 99)
PDD_STEPS_PER_S = 100
K = TypeVar("K")


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What any set of calls has in common. Figures that nothing is known of are None."""

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
    dispositions: Mapping[str, int]
    """Only those that occurred."""


@dataclass(frozen=True, kw_only=True)
class HourReport(Figures):
    """The calls of a campaign whose INVITE left within one hour."""

    hour_at: datetime
    """Its start."""


@dataclass(frozen=True, kw_only=True)
class TrunkReport(Figures):
    """The calls of a campaign through one trunk."""

    trunk_id: UUID | None
    """None: claimed, and interrupted before a trunk was known."""
    name: str | None
    price_per_min: float | None
    cost: float | None
    """billsec by the second at the trunk's price a minute; None: it has no price."""


@dataclass(frozen=True, kw_only=True)
class CampaignReport(Figures):
    """The calls of a campaign."""

    pdd_s: Mapping[str, float]
    """`p50`, `p90`, `p95`, `p99` of the calls that rang, to 10 ms (nearest rank); empty when none did."""
    attempts_to_reach: Mapping[int, int]
    """Attempts -> subscribers who were reached by exactly that many."""
    listened: Sequence[float]
    """Share of the calls with disposition answered to which the sound was still played after 0, 1, 2 ... seconds."""
    digits: Mapping[str, int]
    """Key -> calls in which it was pressed, however often."""
    by_hour: Sequence[HourReport]
    by_trunk: Sequence[TrunkReport]
    cost: float | None
    """Sum over the trunks; None when a trunk that carried talk has no price."""


def campaign_report(connection: Connection, campaign_key: int) -> CampaignReport:
    """Everything is added up from a few rows an hour, a trunk and a disposition."""
    cells = connection.execute(select(call_counts).where(call_counts.c.campaign_key == campaign_key)).all()
    by_trunk = _by_trunk(connection, cells)
    return CampaignReport(
        **vars(_figures(cells)),
        pdd_s=_percentiles(_spread(connection, campaign_key, "pdd")),
        attempts_to_reach=_attempts_to_reach(connection, campaign_key),
        listened=_still_there(_spread(connection, campaign_key, "listened")),
        digits={chr(value): calls for value, calls in _spread(connection, campaign_key, "digit")},
        by_hour=[
            HourReport(hour_at=hour_at, **vars(_figures(rows)))
            for hour_at, rows in sorted(_grouped(cells, lambda cell: cell.hour_at).items())
        ],
        by_trunk=by_trunk,
        cost=_sum_of_costs(by_trunk),
    )


def reason_counts(connection: Connection, campaign_key: int) -> dict[tuple[str, str], int]:
    """(State, reason) -> subscribers, for those that will not be called again and were not reached."""
    over = is_one_of(subscriber_counts.c.state, SubscriberState.EXHAUSTED, SubscriberState.EXCLUDED)
    by = (subscriber_counts.c.state, subscriber_counts.c.reason)
    query = (
        select(*by, func.sum(subscriber_counts.c.subscribers))
        .where(subscriber_counts.c.campaign_key == campaign_key, over, subscriber_counts.c.subscribers > 0)
        .group_by(*by)
        .order_by(*by)
    )
    return {(row[0], row[1]): row[2] for row in connection.execute(query)}


_PICKED_UP = (Disposition.ANSWERED.value, Disposition.MACHINE.value)


def _figures(cells: Sequence[AnyRow]) -> Figures:
    answered = [cell for cell in cells if cell.disposition in _PICKED_UP]
    calls, picked_up = _sum(cells, "calls"), _sum(answered, "calls")
    return Figures(
        calls=calls,
        answered=picked_up,
        asr=_ratio(picked_up, calls),
        acd_s=_ratio(_sum(answered, "billsec_ms") / 1000, picked_up),
        billsec_s=_sum(cells, "billsec_ms") / 1000,
        played_share_mean=_ratio(_sum(answered, "played_share_ppm") / 1e6, picked_up),
        dispositions={
            disposition: _sum(rows, "calls")
            for disposition, rows in _grouped(cells, lambda cell: cell.disposition).items()
        },
    )


def _by_trunk(connection: Connection, cells: Sequence[AnyRow]) -> list[TrunkReport]:
    of_trunk = dict(sorted(_grouped(cells, lambda cell: cell.trunk_key).items()))
    known = {row.key: row for row in connection.execute(select(trunks).where(trunks.c.key.in_(list(of_trunk))))}
    return [_trunk_report(_figures(rows), known.get(key)) for key, rows in of_trunk.items()]


def _trunk_report(figures: Figures, trunk: AnyRow | None) -> TrunkReport:
    price = trunk.price_per_min if trunk is not None else None
    return TrunkReport(
        trunk_id=trunk.id if trunk is not None else None,
        name=trunk.name if trunk is not None else None,
        **vars(figures),
        price_per_min=price,
        cost=None if price is None else round(figures.billsec_s / 60 * price, 4),
    )


def _sum_of_costs(by_trunk: Sequence[TrunkReport]) -> float | None:
    talked = [item.cost for item in by_trunk if item.billsec_s]
    known = [cost for cost in talked if cost is not None]
    return round(sum(known), 4) if len(known) == len(talked) else None


def _spread(connection: Connection, campaign_key: int, figure: str) -> Sequence[tuple[int, int]]:
    """(Value, calls) in the order of the values."""
    query = (
        select(call_spreads.c.value, call_spreads.c.calls)
        .where(call_spreads.c.campaign_key == campaign_key, call_spreads.c.figure == figure)
        .order_by(call_spreads.c.value)
    )
    return [(row[0], row[1]) for row in connection.execute(query)]


def _percentiles(spread: Sequence[tuple[int, int]]) -> dict[str, float]:
    count = sum(calls for _, calls in spread)
    ranks = {f"p{percent}": max(1, math.ceil(count * percent / 100)) for percent in PERCENTILES}
    found: dict[str, float] = {}
    passed = 0
    for value, calls in spread:
        passed += calls
        for name, rank in ranks.items():
            if name not in found and rank <= passed:
                found[name] = value / PDD_STEPS_PER_S
    return found


def _still_there(spread: Sequence[tuple[int, int]]) -> list[float]:
    """At each second from 0 the share of those that were played that long."""
    left_after = dict(spread)
    count = there = sum(left_after.values())
    curve = []
    for second in range(max(left_after, default=-1) + 1):
        curve.append(round(there / count, 6))
        there -= left_after.get(second, 0)
    return curve


def _attempts_to_reach(connection: Connection, campaign_key: int) -> dict[int, int]:
    query = (
        select(subscriber_counts.c.attempts, func.sum(subscriber_counts.c.subscribers))
        .where(
            subscriber_counts.c.campaign_key == campaign_key,
            is_one_of(subscriber_counts.c.state, SubscriberState.REACHED),
            subscriber_counts.c.subscribers > 0,
        )
        .group_by(subscriber_counts.c.attempts)
        .order_by(subscriber_counts.c.attempts)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _grouped(cells: Iterable[AnyRow], key: Callable[[AnyRow], K]) -> dict[K, list[AnyRow]]:
    groups: dict[K, list[AnyRow]] = {}
    for cell in cells:
        groups.setdefault(key(cell), []).append(cell)
    return groups


def _sum(cells: Sequence[Any], name: str) -> int:
    return sum(getattr(cell, name) for cell in cells)


def _ratio(part: float, whole: int) -> float | None:
    return part / whole if whole else None
