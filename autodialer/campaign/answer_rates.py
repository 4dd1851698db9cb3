"""When people answer: the share of answered calls by hour and weekday, and the hours that stand out."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

from autodialer.model import WEEKDAYS
from autodialer.store import Quarter

ENOUGH_CALLS = 50
"""Of one hour, before it is compared: of 50 calls a share is known to some 14 points, which a better hour stands out
of; of 10 to 30 points, which none does."""
MOST_PROPOSED = 10
SURE = 1.96
"""Standard deviations: the share is above what is said with a probability of 97.5 %."""


@dataclass(frozen=True, kw_only=True)
class HourCell:
    """Calls of one local hour."""

    weekday: str | None
    """Of WEEKDAYS; None: on all days."""
    hour: int
    """0 to 23."""
    calls: int
    answered: int

    @property
    def rate(self) -> float:
        """Share of the calls that were answered."""
        return self.answered / self.calls


@dataclass(frozen=True, kw_only=True)
class LocalHours:
    """Calls by the local time of the people called."""

    cells: Sequence[HourCell]
    """By weekday and hour, only those with calls."""
    by_own_zone: int
    """Calls whose subscriber's zone is known."""
    by_fallback: int
    """The others, counted by the zone that stands in."""


@dataclass(frozen=True, kw_only=True)
class ProposedHours:
    """Hours on end in which clearly more people answer than on average."""

    weekday: str | None
    """None: on every day."""
    start: int
    """Local hour."""
    end: int
    """Up to 24."""
    calls: int
    rate: float


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What follows for a calling window."""

    enough: bool
    """False: there are too few calls to tell."""
    calls: int
    """That were looked at."""
    message: str
    """For a person."""
    hours: Sequence[ProposedHours]
    """The best first; empty: none stands out, or there are too few calls."""


def by_local_hour(quarters: Iterable[Quarter], fallback: str) -> LocalHours:
    """Add quarters up in each one's own zone; those without a zone in `fallback`."""
    calls: Counter[tuple[int, int]] = Counter()
    answered: Counter[tuple[int, int]] = Counter()
    own = other = 0
    for quarter in quarters:
        local = quarter.at.astimezone(_zone(quarter.zone or fallback))
        where = (local.weekday(), local.hour)
        calls[where] += quarter.calls
        answered[where] += quarter.answered
        own, other = (own + quarter.calls, other) if quarter.zone else (own, other + quarter.calls)
    cells = [
        HourCell(weekday=WEEKDAYS[day], hour=hour, calls=calls[day, hour], answered=answered[day, hour])
        for day, hour in sorted(calls)
    ]
    return LocalHours(cells=cells, by_own_zone=own, by_fallback=other)


def local_day(moment: datetime, zone: str) -> str:
    """The day in that zone, ISO 8601."""
    return moment.astimezone(_zone(zone)).date().isoformat()


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def propose(cells: Sequence[HourCell]) -> Proposal:
    """The hours that stand out: of a weekday, or where those have too few calls, of all days together.

    An hour stands out when even the lower end of its confidence interval (Wilson, 95 %) is above the share of all hours
    compared: a good hour of ten calls is chance.
    """
    total = sum(cell.calls for cell in cells)
    of_all_days = _of_all_days(cells)
    for candidates in (cells, of_all_days):
        compared = [cell for cell in candidates if cell.calls >= ENOUGH_CALLS]
        if len(compared) > 1:
            return _proposal(compared, total)
    fullest = max((cell.calls for cell in of_all_days), default=0)
    message = (
        f"Too few calls to propose hours: at least two hours of the day need {ENOUGH_CALLS} calls each; there are"
        f" {total} calls, {fullest} of them in the fullest hour."
    )
    return Proposal(enough=False, calls=total, message=message, hours=())


def _of_all_days(cells: Sequence[HourCell]) -> list[HourCell]:
    calls: Counter[int] = Counter()
    answered: Counter[int] = Counter()
    for cell in cells:
        calls[cell.hour] += cell.calls
        answered[cell.hour] += cell.answered
    return [HourCell(weekday=None, hour=hour, calls=calls[hour], answered=answered[hour]) for hour in sorted(calls)]


def _proposal(compared: Sequence[HourCell], total: int) -> Proposal:
    average = sum(cell.answered for cell in compared) / sum(cell.calls for cell in compared)
    better = [cell for cell in compared if _at_least(cell.answered, cell.calls) > average]
    hours = sorted(_joined(better), key=lambda each: -each.rate)[:MOST_PROPOSED]
    said = "In these hours clearly more people answer than" if hours else "No hour stands out from"
    return Proposal(enough=True, calls=total, message=f"{said} the average of {average:.0%}.", hours=hours)


def _joined(cells: Sequence[HourCell]) -> list[ProposedHours]:
    """Hours that follow each other on the same day become one span."""
    spans: list[list[HourCell]] = []
    for cell in cells:
        last = spans[-1][-1] if spans else None
        if last is not None and last.weekday == cell.weekday and last.hour + 1 == cell.hour:
            spans[-1].append(cell)
        else:
            spans.append([cell])
    return [
        ProposedHours(
            weekday=span[0].weekday,
            start=span[0].hour,
            end=span[-1].hour + 1,
            calls=sum(cell.calls for cell in span),
            rate=sum(cell.answered for cell in span) / sum(cell.calls for cell in span),
        )
        for span in spans
    ]


def _at_least(answered: int, calls: int) -> float:
    """The lower end of the Wilson score interval of a share (E. B. Wilson, 1927)."""
    share, square = answered / calls, SURE * SURE
    middle = share + square / (2 * calls)
    margin = SURE * math.sqrt(share * (1 - share) / calls + square / (4 * calls * calls))
    return (middle - margin) / (1 + square / calls)
