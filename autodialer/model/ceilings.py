"""Most calls and minutes of a day, of a user and of a trunk: what a thief with a token can spend at worst."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum


class Ceiling(StrEnum):
    """What is used up."""

    CALLS = "max_calls_day"
    MINUTES = "max_minutes_day"


@dataclass(frozen=True, kw_only=True)
class DayUse:
    """What a user or a trunk may call on a day, and has called."""

    max_calls: int | None
    """None: no ceiling."""
    max_minutes: int | None
    calls: int = 0
    """Claims, whatever became of them; those whose INVITE never left are given back."""
    billsec_s: float = 0.0
    """Of calls that have ended."""

    @property
    def reached(self) -> Ceiling | None:
        """The ceiling that lets no call start before the next day; None: no ceiling does."""
        if self.max_calls is not None and self.calls >= self.max_calls:
            return Ceiling.CALLS
        if self.max_minutes is not None and self.billsec_s >= self.max_minutes * 60:
            return Ceiling.MINUTES
        return None

    def calls_left(self, wanted: int) -> int:
        """How many of the calls that are wanted may start."""
        if self.reached is not None:
            return 0
        return wanted if self.max_calls is None else min(wanted, self.max_calls - self.calls)


def day_of(now: datetime) -> str:
    """The day that a claim counts for: that of UTC, which is the same for a user and all trunks."""
    return now.astimezone(UTC).date().isoformat()


def next_day(now: datetime) -> datetime:
    """When everything may be called again."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), datetime.min.time(), UTC)
