"""How a caller ID does from day to day: a number that operators mark as spam is answered less and refused more."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from autodialer.store import CallerIdQuarter

ENOUGH_OF_DAY = 50
"""Of a day, and ENOUGH_OF_OTHERS of the other days together, before they are compared."""
ENOUGH_OF_OTHERS = 100
FAR_UNDER = 0.6
"""Of its own average."""
CHANCE = 3.0
"""Standard deviations: what chance alone does once in a thousand days."""


@dataclass(frozen=True, kw_only=True)
class CallerIdDay:
    """One day of a caller ID."""

    day: str
    """ISO 8601."""
    calls: int
    """Calls that came as far as the callee's phone."""
    answered: int
    early_hang_ups: int
    sip_603: int
    sip_607: int
    sip_608: int
    note: str | None = None
    """What is wrong and what to do; None: nothing that the figures tell."""

    @property
    def rate(self) -> float | None:
        """Share of the calls that were answered."""
        return self.answered / self.calls if self.calls else None


@dataclass(frozen=True, kw_only=True)
class CallerIdHealth:
    """The days of a caller ID."""

    caller_id: str
    """Empty: none of ours."""
    days: Sequence[CallerIdDay]


def health(
    quarters: Iterable[CallerIdQuarter], day_of: Callable[[datetime], str], *, since: datetime | None = None
) -> list[CallerIdHealth]:
    """By caller ID; days before `since` only count in the average. A day is compared with all others that are given."""
    found: dict[str, dict[str, list[CallerIdQuarter]]] = {}
    shown: set[tuple[str, str]] = set()
    for quarter in quarters:
        day = day_of(quarter.at)
        found.setdefault(quarter.caller_id, {}).setdefault(day, []).append(quarter)
        if since is None or quarter.at >= since:
            shown.add((quarter.caller_id, day))
    return [
        CallerIdHealth(caller_id=caller_id, days=days)
        for caller_id, by_day in found.items()
        if (days := _days(by_day, [day for day in by_day if (caller_id, day) in shown], since))
    ]


def _days(by_day: dict[str, list[CallerIdQuarter]], shown: Sequence[str], since: datetime | None) -> list[CallerIdDay]:
    calls = sum(quarter.calls for quarters in by_day.values() for quarter in quarters)
    answered = sum(quarter.answered for quarters in by_day.values() for quarter in quarters)
    days = []
    for name in sorted(shown):
        quarters = [quarter for quarter in by_day[name] if since is None or quarter.at >= since]
        whole = [sum(getattr(each, field) for each in by_day[name]) for field in ("calls", "answered")]
        counts = {
            field: sum(getattr(quarter, field) for quarter in quarters)
            for field in ("calls", "answered", "early_hang_ups", "sip_603", "sip_607", "sip_608")
        }
        note = _note(counts["calls"], counts["answered"], calls - whole[0], answered - whole[1])
        days.append(CallerIdDay(day=name, note=note, **counts))
    return days


def _note(calls: int, answered: int, other_calls: int, other_answered: int) -> str | None:
    if calls < ENOUGH_OF_DAY or other_calls < ENOUGH_OF_OTHERS:
        return None
    rate, average = answered / calls, other_answered / other_calls
    by_chance = CHANCE * math.sqrt(average * (1 - average) / calls)
    if rate >= FAR_UNDER * average or average - rate <= by_chance:
        return None
    return (
        f"Only {rate:.0%} were answered, against {average:.0%} on the other days: operators may show this number as"
        " spam. Look at the refusals and the calls ended within 3 s, ask the provider, and call less or from another"
        " number meanwhile."
    )
