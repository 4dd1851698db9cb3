"""Calling windows: the local hours and weekdays in which a subscriber may be called. Pure.

Everything is decided by the clock on the subscriber's wall, so that a window holds through every change of that clock:
an hour that comes twice is open or closed both times, and an hour that is left out opens or closes nothing.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from autodialer.model import WEEKDAYS, CallingWindow

EVERY_DAY = frozenset(range(7))
DAY = timedelta(days=1)
LOOK_AHEAD_DAYS = 400
"""A window that does not open for longer, never does."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """When calls may be placed, by local time. It belongs to the day on which it starts."""

    start: time
    end: time
    """The first moment that is closed again. Not later than `start`: on the next day; the same: it is open all day."""
    days: frozenset[int] = EVERY_DAY
    """Weekdays, 0 is Monday."""
    holidays: frozenset[date] = frozenset()
    """Days on which it does not start."""

    @classmethod
    def of(cls, calling: CallingWindow, holidays: Collection[date] = ()) -> "Window":
        """The window that a campaign names."""
        days = frozenset(WEEKDAYS.index(day) for day in calling.days)
        return cls(start=calling.start, end=calling.end, days=days, holidays=frozenset(holidays))

    def is_open(self, at: datetime, zone: ZoneInfo) -> bool:
        """Whether a subscriber in this zone may be called at that moment."""
        wall = at.astimezone(zone)
        today, clock = wall.date(), wall.time()
        if self.start < self.end:
            return self._starts_on(today) and self.start <= clock < self.end
        since_yesterday = clock < self.end and self._starts_on(today - DAY)
        return since_yesterday or (clock >= self.start and self._starts_on(today))

    def closes_at(self, at: datetime, zone: ZoneInfo) -> datetime | None:
        """The first moment from `at` on at which the window is closed; None when it stays open."""
        return at if not self.is_open(at, zone) else self._first(at, zone, is_open=False)

    def opens_at(self, at: datetime, zone: ZoneInfo) -> datetime | None:
        """The first moment from `at` on at which the window is open; None when it never opens."""
        return at if self.is_open(at, zone) else self._first(at, zone, is_open=True)

    def allows(self, at: datetime, zone: ZoneInfo, *, for_s: float) -> bool:
        """Whether the window is open at that moment and stays open for `for_s` seconds."""
        if not self.is_open(at, zone):
            return False
        closes_at = self.closes_at(at, zone)
        return closes_at is None or closes_at >= at + timedelta(seconds=for_s)

    def next_allowed(self, at: datetime, zone: ZoneInfo, *, for_s: float) -> datetime | None:
        """The first moment from `at` on that `allows` a call of that length; None when no opening is that long."""
        moment: datetime | None = at
        for _ in range(LOOK_AHEAD_DAYS):
            moment = self.opens_at(moment, zone) if moment else None
            if moment is None or self.allows(moment, zone, for_s=for_s):
                return moment
            moment = self.closes_at(moment, zone)
        return None

    def open_s(self, since: datetime, until: datetime, zone: ZoneInfo) -> float:
        """For how many seconds between two moments it is open."""
        total, moment = 0.0, self.opens_at(since, zone)
        while moment is not None and moment < until:
            closes_at = self.closes_at(moment, zone)
            if closes_at is None or closes_at >= until:
                return total + (until - moment).total_seconds()
            total += (closes_at - moment).total_seconds()
            moment = self.opens_at(closes_at, zone)
        return total

    def after_open_s(self, since: datetime, span_s: float, zone: ZoneInfo) -> datetime | None:
        """The moment by which it has been open for that many seconds; None: not within the look-ahead."""
        moment = self.opens_at(since, zone)
        for _ in range(LOOK_AHEAD_DAYS):
            if moment is None:
                return None
            closes_at = self.closes_at(moment, zone)
            if closes_at is None or (closes_at - moment).total_seconds() >= span_s:
                return moment + timedelta(seconds=span_s)
            span_s -= (closes_at - moment).total_seconds()
            moment = self.opens_at(closes_at, zone)
        return None

    def _starts_on(self, day: date) -> bool:
        return day.weekday() in self.days and day not in self.holidays

    def _first(self, after: datetime, zone: ZoneInfo, *, is_open: bool) -> datetime | None:
        """The first moment after `after` that is so. It can only change where the wall clock passes start or end."""
        for moment in self._changes(after, zone):
            if moment > after and self.is_open(moment, zone) is is_open:
                return moment
        return None

    def _changes(self, after: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """Moments at which it may open or close, in order, from some hours before `after` on."""
        first = after.astimezone(zone).date() - DAY
        for offset in range(LOOK_AHEAD_DAYS):
            day = first + offset * DAY
            moments = {
                datetime.combine(day, clock, zone).replace(fold=fold).astimezone(UTC)
                for clock in (self.start, self.end)
                for fold in (0, 1)
            }
            yield from sorted(moments | clock_changes(day, zone))


@cache
def clock_changes(day: date, zone: ZoneInfo) -> frozenset[datetime]:
    """When the clocks of the zone are put forward or back on this local day."""
    start = datetime.combine(day, time(), zone).astimezone(UTC)
    end = datetime.combine(day + DAY, time(), zone).astimezone(UTC)
    if start.astimezone(zone).utcoffset() == end.astimezone(zone).utcoffset():
        return frozenset()
    before, after = start, end
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        middle -= timedelta(microseconds=middle.microsecond)
        if middle.astimezone(zone).utcoffset() == start.astimezone(zone).utcoffset():
            before = middle
        else:
            after = middle
    return frozenset((after,))
